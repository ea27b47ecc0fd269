//! `pairbox check`: reads configuration, certificates and scripts and says everything that is wrong. Opens no port and no
//! store.

use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::output::say;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Overrides, ProviderConfig};
use crate::http::tls::{self, TlsError};
use crate::script::check::{Finding, check_mapping};
use crate::script::{Mapping, Origin};

pub fn run(global: &Global) -> Result<Exit, CliError> {
    let overrides = Overrides {
        data_dir: global.data_dir.clone(),
        listen: None,
        log_level: global.log_level.clone(),
    };
    let loaded = match Config::load(global.config.as_deref(), &overrides) {
        Ok(loaded) => loaded,
        Err(errors) => {
            say(&errors.to_string())?;
            return end(errors.findings.len(), "");
        }
    };
    let config = loaded.config;
    let mut findings = Vec::new();
    if let Some(files) = &config.http.tls {
        let wrong = tls::findings(files, SystemClock::new().now());
        findings.extend(wrong.iter().map(of_tls));
    }
    let mut checked: Vec<&str> = Vec::new();
    for provider in &config.providers {
        let is_new = !checked.contains(&provider.mapping.as_str());
        checked.push(&provider.mapping);
        findings.extend(of_provider(&config, provider, is_new));
    }
    for finding in &findings {
        say(&words(finding))?;
    }
    let (file, count) = (loaded.path.display(), config.providers.len());
    end(
        findings.len(),
        &format!("{file}: in order; providers: {count}"),
    )
}

fn end(findings: usize, in_order: &str) -> Result<Exit, CliError> {
    if findings == 0 {
        say(in_order)?;
        return Ok(Exit::Done);
    }
    say(&format!("\nfindings: {findings}"))?;
    Ok(Exit::No)
}

fn of_tls(error: &TlsError) -> Finding {
    Finding {
        file: error.file().display().to_string(),
        line: None,
        column: None,
        message: error.to_string(),
        hint: Some(error.hint()),
    }
}

/// What is wrong with a provider's mapping (told once a mapping), and with its settings.
fn of_provider(config: &Config, provider: &ProviderConfig, is_new: bool) -> Vec<Finding> {
    let of_error = |error: &crate::script::ScriptError| Finding {
        file: format!("provider {}", provider.name),
        line: None,
        column: None,
        message: error.to_string(),
        hint: error.hint(),
    };
    let origin = match Origin::find(&config.scripts_dir, &provider.mapping) {
        Ok(origin) => origin,
        Err(error) => return vec![of_error(&error)],
    };
    let found = check_mapping(&origin);
    if !found.is_empty() {
        return if is_new { found } else { Vec::new() };
    }
    match Mapping::from_origin(origin) {
        Ok(mapping) => {
            let wrong = mapping.settings(&provider.settings).err();
            wrong.iter().map(of_error).collect()
        }
        Err(error) => vec![of_error(&error)],
    }
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
