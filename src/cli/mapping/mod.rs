//! `pairbox mapping ...`: the workbench. Begin a mapping, look at it, run its cases, try it, and put it in force.

mod asked;
mod attempt;
mod conform;
mod dump;
mod rehearse;
mod versions;

use std::path::PathBuf;

use clap::Subcommand;

use super::check::words;
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::output::say;
use crate::config::{Config, DEFAULT_SCRIPTS_DIR, ProviderConfig};
use crate::script::check::{Finding, check_mapping};
use crate::script::secrets_named::unknown_in_script;
use crate::script::{Origin, Place, skeleton};
use crate::service::secret_names;

#[derive(Subcommand)]
pub enum MappingCommand {
    /// Begin a mapping: a commented skeleton that passes its cases already
    New {
        /// Letters, digits, `-` and `_`
        name: String,
        /// What the CAS speaks
        #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(skeleton::shapes()))]
        shape: String,
    },
    /// Compile the scripts and look for what would fail
    Check { name: String },
    /// Run the golden cases and the conformance list, point by point
    Test {
        name: String,
        /// Show every frame of the cases, field by field where the mapping names its fields
        #[arg(long)]
        trace: bool,
    },
    /// Encode commands that went out again, by the script as it lies now, and show what differs
    Rehearse(rehearse::RehearseArgs),
    /// One live exchange with a CAS, shown byte by byte; recorded, and nothing else changes
    Try(attempt::TryArgs),
    /// Keep the files as a version and put it in force
    Activate { name: String },
    /// Put an earlier version in force again
    Rollback {
        name: String,
        /// The version, or how it begins [default: the one before]
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
    },
    /// What was activated, and what is in force
    Versions { name: String },
}

impl MappingCommand {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let scripts = scripts_dir(global)?;
        match self {
            Self::New { name, shape } => {
                let folder = skeleton::begin(&scripts, &name, &shape)?;
                say(&format!(
                    "wrote {0}/\n\nnext:\n  pairbox mapping test {name} --trace\n  $EDITOR {0}/mapping.rhai\n  pairbox simulate {name}",
                    folder.display()
                ))?;
                Ok(Exit::Done)
            }
            Self::Check { name } => {
                let origin = Origin::find(&scripts, &name)?;
                check(&origin, known_secrets(global, &name).as_deref())
            }
            Self::Test { name, trace } => {
                let origin = Origin::find(&scripts, &name)?;
                conform::test(origin, trace, known_secrets(global, &name).as_deref())
            }
            Self::Rehearse(args) => args.run(global),
            Self::Try(args) => args.run(global),
            Self::Activate { name } => versions::activate(global, &name),
            Self::Rollback { name, to } => versions::roll_back(global, &name, to.as_deref()),
            Self::Versions { name } => versions::list(global, &name),
        }
    }
}

/// The provider of that name, or the first that uses the mapping.
fn provider_of<'a>(
    config: &'a Config,
    mapping: &str,
    name: Option<&str>,
) -> Result<&'a ProviderConfig, CliError> {
    let found = match name {
        Some(name) => config.provider(name),
        None => config.providers.iter().find(|one| one.mapping == mapping),
    };
    found.ok_or_else(|| match name {
        Some(name) => CliError::NoProvider {
            name: name.to_owned(),
        },
        None => CliError::NoProviderOfMapping {
            mapping: mapping.to_owned(),
        },
    })
}

/// The configuration's folder of scripts; where no configuration is, `./scripts`, so that a mapping can be written first.
pub fn scripts_dir(global: &Global) -> Result<PathBuf, CliError> {
    match global.load_quietly() {
        Ok(config) => Ok(config.scripts_dir),
        Err(error) if global.config.is_some() => Err(error),
        Err(_) => Ok(PathBuf::from(DEFAULT_SCRIPTS_DIR)),
    }
}

/// The names of the secrets that frames of the mapping may name; none where no provider has it.
fn known_secrets(global: &Global, mapping: &str) -> Option<Vec<String>> {
    let config = global.load_quietly().ok()?;
    let provider = provider_of(&config, mapping, None).ok()?;
    Some(secret_names(provider))
}

/// Where the mapping comes from, since a folder hides the built-in one.
fn place(origin: &Origin) -> String {
    match origin {
        Origin::Folder(folder) => folder.display().to_string(),
        Origin::BuiltIn(name) => format!("{name} (built in)"),
        Origin::Version { name, folder } => format!("{name} ({})", folder.display()),
    }
}

fn check(origin: &Origin, secrets: Option<&[String]>) -> Result<Exit, CliError> {
    let mut findings = check_mapping(origin);
    findings.extend(unknown_in_script(origin, secrets));
    for finding in &findings {
        say(&words(finding))?;
        if let Some(excerpt) = excerpt(origin, finding) {
            say(&excerpt)?;
        }
    }
    if findings.is_empty() {
        say(&format!("{}: nothing found", place(origin)))?;
        return Ok(Exit::Done);
    }
    say(&format!("\nfindings: {}", findings.len()))?;
    Ok(Exit::No)
}

/// The line of a finding with a caret under its column.
fn excerpt(origin: &Origin, finding: &Finding) -> Option<String> {
    let (_, file) = finding.file.split_once('/')?;
    let text = origin.read(file).ok()??;
    let line = finding.line?;
    let place = Place {
        script: finding.file.clone(),
        line: Some(line),
        column: finding.column,
        source: text.lines().nth(line.checked_sub(1)?).map(str::to_owned),
    };
    Some(place.excerpt()).filter(|excerpt| !excerpt.is_empty())
}
