//! `pairbox mapping check|test`: look at a mapping's scripts, run its cases. Neither opens a port or a store.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;

use super::check::words;
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::output::say;
use crate::config::DEFAULT_SCRIPTS_DIR;
use crate::script::cases::run_cases;
use crate::script::check::check_mapping;
use crate::script::{Mapping, Origin};

#[derive(Subcommand)]
pub enum MappingCommand {
    /// Compile the scripts and look for what would fail
    Check { name: String },
    /// Run the golden cases
    Test { name: String },
}

impl MappingCommand {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let scripts = scripts_dir(global)?;
        match self {
            Self::Check { name } => check(&Origin::find(&scripts, &name)?),
            Self::Test { name } => test(Origin::find(&scripts, &name)?),
        }
    }
}

/// The configuration's folder of scripts; where no configuration is, `./scripts`, so that a mapping can be written first.
pub fn scripts_dir(global: &Global) -> Result<PathBuf, CliError> {
    match global.load_quietly() {
        Ok(config) => Ok(config.scripts_dir),
        Err(error) if global.config.is_some() => Err(error),
        Err(_) => Ok(PathBuf::from(DEFAULT_SCRIPTS_DIR)),
    }
}

/// Where the mapping comes from, since a folder hides the built-in one.
fn place(origin: &Origin) -> String {
    match origin {
        Origin::Folder(folder) => folder.display().to_string(),
        Origin::BuiltIn(name) => format!("{name} (built in)"),
    }
}

fn check(origin: &Origin) -> Result<Exit, CliError> {
    let findings = check_mapping(origin);
    for finding in &findings {
        say(&words(finding))?;
    }
    if findings.is_empty() {
        say(&format!("{}: nothing found", place(origin)))?;
        return Ok(Exit::Done);
    }
    say(&format!("\nfindings: {}", findings.len()))?;
    Ok(Exit::No)
}

fn test(origin: Origin) -> Result<Exit, CliError> {
    let place = place(&origin);
    let mapping = Arc::new(Mapping::from_origin(origin)?);
    let report = run_cases(&mapping)?;
    for failure in &report.failures {
        say(&format!(
            "{}: {}: {}",
            failure.file, failure.case, failure.message
        ))?;
    }
    if !report.missing.is_empty() {
        say(&format!("no case for: {}", report.missing.join(", ")))?;
    }
    say(&format!(
        "{place}: {} passed, {} failed",
        report.passed,
        report.failures.len()
    ))?;
    Ok(if report.is_ok() { Exit::Done } else { Exit::No })
}
