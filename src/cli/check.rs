//! `pairbox check`: reads configuration, certificates and scripts and says everything that is wrong. Opens no port and no
//! store.

use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::output::say;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::http::tls;
use crate::script::check::Finding;
use crate::service::{ReadProvider, of_tls, overrides, read_providers};

pub fn run(global: &Global) -> Result<Exit, CliError> {
    let loaded = match Config::load(global.config.as_deref(), &global.overrides(None)) {
        Ok(loaded) => loaded,
        Err(errors) => {
            say(&errors.to_string())?;
            return end(errors.findings.len(), "");
        }
    };
    let config = loaded.config;
    let (mut findings, differences) = match read_providers(&config) {
        Ok(read) => (Vec::new(), differences(&config, &read)),
        Err(findings) => (findings, Vec::new()),
    };
    if let Some(files) = &config.http.tls {
        let wrong = tls::findings(files, SystemClock::new().now());
        findings.extend(wrong.iter().map(of_tls));
    }
    for finding in &findings {
        say(&words(finding))?;
    }
    for difference in differences {
        say(&difference)?;
    }
    let (file, count) = (loaded.path.display(), config.providers.len());
    end(
        findings.len(),
        &format!("{file}: in order; providers: {count}"),
    )
}

/// Where a provider's section says otherwise than its mapping: no mistake, but whoever wrote the mapping may not know of it.
fn differences(config: &Config, read: &[ReadProvider]) -> Vec<String> {
    let mut told = Vec::new();
    for (provider, read) in config.providers.iter().zip(read) {
        let described = &read.mapping.description().session;
        for difference in overrides(provider).differences(described) {
            told.push(format!("note: provider {}: {difference}", provider.name));
        }
    }
    told
}

fn end(findings: usize, in_order: &str) -> Result<Exit, CliError> {
    if findings == 0 {
        say(in_order)?;
        return Ok(Exit::Done);
    }
    say(&format!("\nfindings: {findings}"))?;
    Ok(Exit::No)
}

/// A finding as the configuration's findings look.
pub fn words(finding: &Finding) -> String {
    let mut text = finding.file.clone();
    for number in [finding.line, finding.column].into_iter().flatten() {
        text = format!("{text}:{number}");
    }
    text = format!("{text}: {}", finding.message);
    if let Some(hint) = &finding.hint {
        text = format!("{text}\n    hint: {hint}");
    }
    text
}
