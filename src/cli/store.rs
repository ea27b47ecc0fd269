//! `pairbox store rebuild|dump`: the state from the ledger anew, and the whole state as canonical text. Without a server.

use std::io::{BufWriter, Write, stdout};
use std::ops::ControlFlow;
use std::sync::Arc;

use clap::Subcommand;

use super::data_dir;
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::output::say;
use super::progress::{Progress, seconds};
use crate::commit;
use crate::config::Config;
use crate::ledger::{Reader, RealFiles};
use crate::store::{self, Opened, State};

#[derive(Subcommand)]
pub enum StoreCommand {
    /// Make the state from the ledger, whatever is there; what was there is set aside
    Rebuild,
    /// Write every row as JSON, the same bytes for the same state
    Dump,
}

impl StoreCommand {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let _lock = data_dir::lock(&config.data_dir)?;
        let reader = Reader::open(&config.data_dir.join("ledger"), Arc::new(RealFiles))?;
        match self {
            Self::Rebuild => rebuild(&config, &reader),
            Self::Dump => dump(&config, &reader),
        }
    }
}

fn rebuild(config: &Config, reader: &Reader) -> Result<Exit, CliError> {
    let mut progress = Progress::new("events", None);
    let cache_bytes = config.store.cache_bytes;
    let (state, opened) = commit::rebuild(&config.data_dir, cache_bytes, reader, &mut |count| {
        progress.at(count, count);
        ControlFlow::Continue(())
    })?;
    state.close()?;
    let took = seconds(progress.end());
    say(&format!(
        "rebuilt from {} events in {took}",
        opened.replayed_events
    ))?;
    tell_loss(&opened);
    Ok(Exit::Done)
}

fn dump(config: &Config, reader: &Reader) -> Result<Exit, CliError> {
    let (state, opened) = open(config, reader)?;
    tell_loss(&opened);
    if let Some(why) = opened.rebuilt_because {
        eprintln!("the state was rebuilt first: {why}");
    }
    let progress = Progress::new("rows", None);
    let mut out = BufWriter::new(stdout().lock());
    let written = store::dump(&state, &mut out)?;
    let rows = written
        .and_then(|rows| out.flush().map(|()| rows))
        .map_err(CliError::Output)?;
    state.close()?;
    eprintln!("{rows} rows in {}", seconds(progress.end()));
    Ok(Exit::Done)
}

fn tell_loss(opened: &Opened) {
    if opened.lost_events {
        eprintln!(
            "the ledger lost acknowledged events: the next start begins a new epoch, with every provider paused"
        );
    }
}

fn open(config: &Config, reader: &Reader) -> Result<(State, Opened), CliError> {
    let mut progress = Progress::new("events replayed", None);
    let cache_bytes = config.store.cache_bytes;
    let opened = commit::recover(&config.data_dir, cache_bytes, reader, &mut |count| {
        progress.at(count, count);
        ControlFlow::Continue(())
    })?;
    progress.end();
    Ok(opened)
}
