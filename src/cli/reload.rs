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
    let Reloaded { exit, told } = ask(global)?;
    say(&told)?;
    Ok(exit)
}

/// What came of a reload, and its words.
pub struct Reloaded {
    pub exit: Exit,
    pub told: String,
}

/// Has the server read again and says nothing, for whoever has more to do before it speaks.
pub fn ask(global: &Global) -> Result<Reloaded, CliError> {
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
    Ok(match end {
        ReloadEnd::Applied {
            generation,
            changes,
        } => {
            let changes = if changes.is_empty() {
                "nothing changed".to_owned()
            } else {
                changes.join(", ")
            };
            Reloaded {
                exit: Exit::Done,
                told: format!("generation {generation}: {changes}"),
            }
        }
        ReloadEnd::Refused { generation, reload } => {
            let findings = findings(&reload);
            Reloaded {
                exit: Exit::No,
                told: format!("{findings}\n\nrefused; generation {generation} stays in force"),
            }
        }
    })
}

/// What is wrong, one finding after the other.
pub fn findings(refused: &RefusedReload) -> String {
    let mut lines: Vec<String> = refused.findings.iter().map(words).collect();
    if refused.left_out > 0 {
        lines.push(format!("... and {} more", refused.left_out));
    }
    lines.join("\n")
}
