//! `pairbox ledger verify`: every line, hash and group of the record. Beside a running server too: it only reads.

use std::sync::Arc;

use clap::Subcommand;

use super::data_dir;
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::output::say;
use super::progress::{Progress, bytes, seconds};
use crate::control::LockError;
use crate::ledger::{self, LedgerError, Reader, RealFiles, Verified};

#[derive(Subcommand)]
pub enum LedgerCommand {
    /// Check the whole chain
    Verify,
}

impl LedgerCommand {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let Self::Verify = self;
        let config = global.load_quietly()?;
        let folder = config.data_dir.join("ledger");
        let lock = match data_dir::lock(&config.data_dir) {
            Ok(lock) => Some(lock),
            Err(CliError::Lock(LockError::Held { .. })) => None,
            Err(error) => return Err(error),
        };
        let mut progress = Progress::new("MiB verified", None);
        let mut at = |now: ledger::Progress| progress.at(now.bytes, now.bytes >> 20);
        let files = Arc::new(RealFiles);
        let verified = if lock.is_some() {
            ledger::verify(&folder, files, &mut at)
        } else {
            // Another process may be writing: what is complete now is what is verified.
            Reader::open(&folder, files).and_then(|reader| reader.verify(&mut at))
        };
        let took = seconds(progress.end());
        match verified {
            Ok(verified) => tell(&verified, &took, lock.is_none()),
            Err(
                error @ (LedgerError::Damaged { .. }
                | LedgerError::NotAsClosed { .. }
                | LedgerError::Marker { .. }),
            ) => {
                say(&error.to_string())?;
                eprintln!("  hint: keep the folder as it is, and restore the ledger from a backup");
                Ok(Exit::No)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn tell(verified: &Verified, took: &str, is_beside: bool) -> Result<Exit, CliError> {
    let beside = if is_beside {
        "; another process may have written more since"
    } else {
        ""
    };
    say(&format!(
        "intact: {} lines in {} groups and {} segments, {}, in {took}{beside}",
        verified.lines,
        verified.groups,
        verified.segments,
        bytes(verified.bytes)
    ))?;
    if verified.lines > 0 {
        say(&format!(
            "lines {} to {}, last hash {}",
            verified.first_seq, verified.last_seq, verified.last_hash
        ))?;
    }
    if let Some(torn) = &verified.unfinished {
        say(&format!(
            "a torn group lies behind the record and is cut at the next start: {}, line {}, byte {}: {}",
            torn.file.display(),
            torn.line,
            torn.offset,
            torn.found
        ))?;
    }
    Ok(Exit::Done)
}
