//! `pairbox mapping activate|rollback|versions`: which version of a mapping is in force.
//!
//! A switch speaks when it is done and written down: a reader that goes away early (`| head -1`) cannot leave half of one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::backend::who;
use super::super::check::words;
use super::super::error::CliError;
use super::super::exit::Exit;
use super::super::global::Global;
use super::super::output::{say, table};
use super::super::reload::{self, Reloaded};
use super::{known_secrets, scripts_dir};
use crate::actions::local_time::local_time;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::conformance::judge;
use crate::control::Client;
use crate::script::check::check_mapping;
use crate::script::secrets_named::unknown_in_script;
use crate::script::versions::{self, Activation};
use crate::script::{Mapping, Origin, ScriptError};

/// Judges the draft, keeps it as a version, and has it in force.
pub fn activate(global: &Global, name: &str) -> Result<Exit, CliError> {
    let folder = folder(global, name)?;
    let origin = Origin::Folder(folder.clone());
    let mut findings = check_mapping(&origin);
    let secrets = known_secrets(global, name);
    findings.extend(unknown_in_script(&origin, secrets.as_deref()));
    for finding in &findings {
        say(&words(finding))?;
    }
    if !findings.is_empty() {
        say(&format!("\nnot activated; findings: {}", findings.len()))?;
        return Ok(Exit::No);
    }
    let mapping = Arc::new(Mapping::from_origin(origin)?);
    let judged = judge(&mapping, secrets.as_deref())?;
    if !judged.is_ok() {
        let failed: Vec<&str> = judged.failed_points().map(|point| point.name).collect();
        say(&format!(
            "not activated; of the conformance list fail: {}; `pairbox mapping test {name}` shows how",
            failed.join(", ")
        ))?;
        return Ok(Exit::No);
    }
    let before = versions::active(&folder)?;
    let hash = versions::activate(&folder)?;
    let words = format!("{name}: version {hash} is active");
    put_in_force(global, &folder, before, &hash, (false, words))
}

/// Names an earlier version active: the one before, or the one of that hash.
pub fn roll_back(global: &Global, name: &str, to: Option<&str>) -> Result<Exit, CliError> {
    let folder = folder(global, name)?;
    let before = versions::active(&folder)?;
    let history = versions::history(&folder)?;
    let found = match (to, &before) {
        (Some(to), _) => {
            let named = history.iter().rev().find(|one| one.hash.starts_with(to));
            named.map(|one| one.hash.clone())
        }
        (None, Some(active)) => versions::before(&history, active),
        (None, None) => None,
    };
    let Some(found) = found.filter(|hash| versions::kept(&folder, hash).is_some()) else {
        return Err(match to {
            Some(to) => CliError::Argument {
                what: "rollback",
                expected: "a version that was active before; `pairbox mapping versions NAME` lists them",
                found: to.to_owned(),
            },
            None => CliError::NoEarlierVersion {
                mapping: name.to_owned(),
            },
        });
    };
    versions::name_active(&folder, &found)?;
    let words = format!("{name}: version {found} is active again");
    put_in_force(global, &folder, before, &found, (true, words))
}

/// What was activated, and whether the files are another version by now.
pub fn list(global: &Global, name: &str) -> Result<Exit, CliError> {
    let folder = folder(global, name)?;
    let active = versions::active(&folder)?;
    let rows = versions::history(&folder)?.into_iter().rev();
    let rows: Vec<Vec<String>> = rows
        .map(|one| {
            let again = if one.is_back { "again" } else { "" };
            vec![one.hash, one.at, one.by, again.to_owned()]
        })
        .collect();
    if !rows.is_empty() {
        say(&table(&["version", "activated", "by", ""], rows))?;
    }
    let draft = versions::hash(&folder)?;
    match active {
        None => say(&format!(
            "{name} was never activated: it is used as it lies, version {draft}"
        ))?,
        Some(active) if active == draft => say(&format!("in force: {active}, as the files are"))?,
        Some(active) => say(&format!(
            "in force: {active}; the files are a draft, version {draft}"
        ))?,
    }
    Ok(Exit::Done)
}

/// Has a running server read it. If that refuses, or nobody knows, what was active is active again; else it is written down.
fn put_in_force(
    global: &Global,
    folder: &Path,
    before: Option<String>,
    hash: &str,
    (is_back, words): (bool, String),
) -> Result<Exit, CliError> {
    let reloaded = match reloaded(global) {
        Ok(reloaded) if reloaded.exit == Exit::Done => reloaded,
        failed => {
            match &before {
                Some(before) => versions::name_active(folder, before)?,
                None => versions::forget_active(folder)?,
            }
            let still = match before {
                Some(before) => format!("version {before} is active, as before"),
                None => "no version is active, as before".to_owned(),
            };
            let refused = failed.inspect_err(|_| eprintln!("{still}"))?;
            say(&format!("{}\n{still}", refused.told))?;
            return Ok(refused.exit);
        }
    };
    let zone = global
        .load_quietly()
        .map_or(chrono_tz::UTC, |config| config.api.time_zone);
    let activation = Activation {
        at: local_time(SystemClock::new().now(), zone),
        hash: hash.to_owned(),
        by: who(),
        is_back,
    };
    versions::record(folder, &activation)?;
    let place = match before {
        Some(before) if before != hash => format!(", in place of {before}"),
        _ => String::new(),
    };
    say(&format!("{words}{place}\n{}", reloaded.told))?;
    Ok(reloaded.exit)
}

fn reloaded(global: &Global) -> Result<Reloaded, CliError> {
    let data_dir = Config::locate(global.config.as_deref(), &global.overrides(None));
    let client = match data_dir {
        Ok(data_dir) => Client::find(&data_dir)?,
        Err(_) => None,
    };
    if client.is_some() {
        return reload::ask(global);
    }
    Ok(Reloaded {
        exit: Exit::Done,
        told: "no server runs; the next one uses it".to_owned(),
    })
}

/// Versions are of the site's own mappings: one that is built in has no files.
fn folder(global: &Global, name: &str) -> Result<PathBuf, CliError> {
    match Origin::find(&scripts_dir(global)?, name)? {
        Origin::Folder(folder) => Ok(folder),
        Origin::BuiltIn(_) | Origin::Version { .. } => Err(ScriptError::NotFound {
            name: name.to_owned(),
            folder: scripts_dir(global)?.join("mappings").join(name),
            nearest: None,
        }
        .into()),
    }
}
