//! `pairbox mapping activate|rollback|versions`: which version of a mapping is in force.

use std::path::{Path, PathBuf};

use super::super::backend::who;
use super::super::check::words;
use super::super::error::CliError;
use super::super::exit::Exit;
use super::super::global::Global;
use super::super::output::{say, table};
use super::super::reload;
use super::scripts_dir;
use crate::actions::local_time::local_time;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::control::Client;
use crate::script::cases::run_cases;
use crate::script::check::check_mapping;
use crate::script::{Mapping, Origin, ScriptError, versions};

/// Judges the draft, keeps it as a version, and has it in force.
pub fn activate(global: &Global, name: &str) -> Result<Exit, CliError> {
    let folder = folder(global, name)?;
    let origin = Origin::Folder(folder.clone());
    let findings = check_mapping(&origin);
    for finding in &findings {
        say(&words(finding))?;
    }
    if !findings.is_empty() {
        say(&format!("\nnot activated; findings: {}", findings.len()))?;
        return Ok(Exit::No);
    }
    let report = run_cases(&std::sync::Arc::new(Mapping::from_origin(origin)?))?;
    if !report.is_ok() {
        let failed = report.failures.len();
        say(&format!(
            "not activated; {failed} of its cases fail: `pairbox mapping test {name}`"
        ))?;
        return Ok(Exit::No);
    }
    let before = versions::active(&folder)?;
    let hash = versions::activate(&folder, &now(global), &who())?;
    say(&format!("{name}: version {hash} is active"))?;
    put_in_force(global, &folder, before)
}

/// Names an earlier version active: the one before, or the one of that hash.
pub fn roll_back(global: &Global, name: &str, to: Option<&str>) -> Result<Exit, CliError> {
    let folder = folder(global, name)?;
    let before = versions::active(&folder)?;
    let history = versions::history(&folder)?;
    let found = match to {
        Some(to) => history.iter().rev().find(|one| one.hash.starts_with(to)),
        None => history
            .iter()
            .rev()
            .find(|one| Some(&one.hash) != before.as_ref()),
    };
    let Some(found) = found.filter(|one| versions::kept(&folder, &one.hash).is_some()) else {
        return Err(CliError::Argument {
            what: "rollback",
            expected: "a version that was active before; `pairbox mapping versions NAME` lists them",
            found: to.unwrap_or("none").to_owned(),
        });
    };
    versions::go_back(&folder, &found.hash, &now(global), &who())?;
    say(&format!("{name}: version {} is active again", found.hash))?;
    put_in_force(global, &folder, before)
}

/// What was activated, and whether the files are another version by now.
pub fn list(global: &Global, name: &str) -> Result<Exit, CliError> {
    let folder = folder(global, name)?;
    let active = versions::active(&folder)?;
    let rows = versions::history(&folder)?.into_iter().rev();
    let rows: Vec<Vec<String>> = rows.map(|one| vec![one.hash, one.at, one.by]).collect();
    if !rows.is_empty() {
        say(&table(&["version", "activated", "by"], rows))?;
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

/// Has a running server read it; if that refuses, what was active is active again.
fn put_in_force(global: &Global, folder: &Path, before: Option<String>) -> Result<Exit, CliError> {
    let data_dir = Config::locate(global.config.as_deref(), &global.overrides(None));
    let client = match data_dir {
        Ok(data_dir) => Client::find(&data_dir)?,
        Err(_) => None,
    };
    if client.is_none() {
        say("no server runs; the next one uses it")?;
        return Ok(Exit::Done);
    }
    let exit = reload::run(global)?;
    if exit != Exit::Done {
        match before {
            Some(before) => versions::go_back(folder, &before, &now(global), &who())?,
            None => versions::forget_active(folder)?,
        }
        say("what was active before is active again")?;
    }
    Ok(exit)
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

fn now(global: &Global) -> String {
    let zone = global
        .load_quietly()
        .map_or(chrono_tz::UTC, |config| config.api.time_zone);
    local_time(SystemClock::new().now(), zone)
}
