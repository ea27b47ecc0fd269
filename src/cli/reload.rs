//! `pairbox reload`: the running server reads configuration, certificates and scripts again, all or nothing.

use std::time::Duration;

use super::backend::who;
use super::check::words;
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::output::say;
use crate::actions::reload::{RefusedReload, ReloadEnd};
use crate::config::Config;
use crate::control::{Client, ReloadBegin, ReloadProgress};

const LOOK_EVERY: Duration = Duration::from_millis(100);

pub fn run(global: &Global) -> Result<Exit, CliError> {
    // Only where the server is; what is wrong with the file is the server's to say.
    let data_dir = Config::locate(global.config.as_deref(), &global.overrides(None))?;
    let Some(client) = Client::find(&data_dir)? else {
        return Err(CliError::NoServer { data_dir });
    };
    let by = who();
    let attempt = client.call::<ReloadBegin>(&by, &())?;
    let end = loop {
        if let Some(end) = client.call::<ReloadProgress>(&by, &attempt)? {
            break end;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    match end {
        ReloadEnd::Applied {
            generation,
            changes,
        } => {
            let changes = if changes.is_empty() {
                "nothing changed".to_owned()
            } else {
                changes.join(", ")
            };
            say(&format!("generation {generation}: {changes}"))?;
            Ok(Exit::Done)
        }
        ReloadEnd::Refused { generation, reload } => {
            say(&findings(&reload))?;
            say(&format!(
                "\nrefused; generation {generation} stays in force"
            ))?;
            Ok(Exit::No)
        }
    }
}

/// What is wrong, one finding after the other.
pub fn findings(refused: &RefusedReload) -> String {
    let mut lines: Vec<String> = refused.findings.iter().map(words).collect();
    if refused.left_out > 0 {
        lines.push(format!("... and {} more", refused.left_out));
    }
    lines.join("\n")
}
