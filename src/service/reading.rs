//! What the configured providers are made of read with a cold eye, as a reload takes it and `pairbox check` judges it:
//! everything that is wrong at once, nothing opened and nothing changed.

use std::sync::Arc;

use super::setup;
use crate::config::{self, Config, ProviderConfig};
use crate::http::tls::TlsError;
use crate::provider::{Credentials, CredentialsError};
use crate::script::cases::{CaseFailure, run_cases};
use crate::script::check::{Finding, check_mapping};
use crate::script::secrets_named::unknown_in_script;
use crate::script::{Mapping, ScriptError, versions};

/// What a provider is made of besides its section.
pub struct ReadProvider {
    pub mapping: Arc<Mapping>,
    pub credentials: Credentials,
}

/// Mapping and credentials of every configured provider, in the configuration's order. A mapping is compiled, searched for
/// unknown calls, its cases passed, and the provider's settings known to it; what is wrong with it is told once, whoever
/// uses it.
pub fn read_providers(config: &Config) -> Result<Vec<ReadProvider>, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut read: Vec<(&str, Option<Arc<Mapping>>)> = Vec::new();
    let mut providers = Vec::new();
    for provider in &config.providers {
        let name = provider.mapping.as_str();
        let known = read.iter().find(|(other, _)| *other == name);
        let mapping = if let Some((_, mapping)) = known {
            mapping.clone()
        } else {
            let mapping = read_mapping(config, provider);
            let mapping = mapping.map_err(|found| findings.extend(found)).ok();
            read.push((name, mapping.clone()));
            mapping
        };
        let Some(mapping) = mapping else { continue };
        if let Err(error) = mapping.settings(&provider.settings) {
            findings.push(of_provider(provider, &error));
        }
        findings.extend(unknown_secrets(provider, &mapping));
        match setup::credentials(provider) {
            Ok(credentials) => providers.push(ReadProvider {
                mapping,
                credentials,
            }),
            Err(error) => findings.push(of_credentials(provider, &error)),
        }
    }
    if findings.is_empty() {
        Ok(providers)
    } else {
        Err(findings)
    }
}

/// What the mapping names and the provider has no secret for.
fn unknown_secrets(provider: &ProviderConfig, mapping: &Arc<Mapping>) -> Vec<Finding> {
    let names = secret_names(provider);
    let mut found = unknown_in_script(mapping.origin(), Some(&names));
    for finding in &mut found {
        finding.message = format!("provider {}: {}", provider.name, finding.message);
    }
    found
}

/// The names of a provider's secrets.
pub fn secret_names(provider: &ProviderConfig) -> Vec<String> {
    let secrets = provider.credentials.secrets.iter();
    secrets.map(|(name, _)| name.clone()).collect()
}

fn read_mapping(config: &Config, provider: &ProviderConfig) -> Result<Arc<Mapping>, Vec<Finding>> {
    let one = |error: ScriptError| vec![of_provider(provider, &error)];
    let origin = versions::in_force(&config.scripts_dir, &provider.mapping).map_err(one)?;
    let found = check_mapping(&origin);
    if !found.is_empty() {
        return Err(found);
    }
    let mapping = Arc::new(Mapping::from_origin(origin).map_err(one)?);
    let report = run_cases(&mapping).map_err(one)?;
    if report.is_ok() {
        return Ok(mapping);
    }
    let name = mapping.name();
    Err(report
        .failures
        .iter()
        .map(|failure| of_case(name, failure))
        .collect())
}

/// A mistake that a script cannot be blamed for is the provider's.
pub fn of_provider(provider: &ProviderConfig, error: &ScriptError) -> Finding {
    Finding {
        file: format!("provider {}", provider.name),
        line: None,
        column: None,
        message: error.to_string(),
        hint: error.hint(),
    }
}

/// A mistake of the files that a provider's connections need.
fn of_credentials(provider: &ProviderConfig, error: &CredentialsError) -> Finding {
    let file = error.file().map(|file| file.display().to_string());
    Finding {
        file: file.unwrap_or_else(|| format!("provider {}", provider.name)),
        line: None,
        column: None,
        message: error.to_string(),
        hint: Some(error.hint()),
    }
}

fn of_case(mapping: &str, failure: &CaseFailure) -> Finding {
    Finding {
        file: format!("{mapping}/cases/{}", failure.file),
        line: None,
        column: None,
        message: format!("case `{}`: {}", failure.case, failure.message),
        hint: Some(format!("`pairbox mapping test {mapping}` runs them all")),
    }
}

/// A mistake in the configuration as all others are told.
pub fn of_config(finding: config::Finding) -> Finding {
    let config::Finding {
        origin,
        message,
        hint,
    } = finding;
    let (file, line, column) = match origin {
        config::Origin::File { path, line, column } => {
            (path.display().to_string(), Some(line), Some(column))
        }
        other => (other.to_string(), None, None),
    };
    Finding {
        file,
        line,
        column,
        message,
        hint,
    }
}

/// A mistake of the door's certificate or key.
pub fn of_tls(error: &TlsError) -> Finding {
    Finding {
        file: error.file().display().to_string(),
        line: None,
        column: None,
        message: error.to_string(),
        hint: Some(error.hint()),
    }
}
