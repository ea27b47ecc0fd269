//! `pairbox serve`: takes the lock, sets up the log, and hands everything else to `service.rs`.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::data_dir;
use super::error::CliError;
use super::exit::Exit;
use super::global::{Global, log_style};
use super::output::say;
use crate::config::{Config, ProcessingMode};
use crate::control::DataLock;
use crate::dispatch::Mode;
use crate::service::{Arrival, Service, ServiceError, systemd};
use crate::store::StoreError;

#[derive(Args)]
pub struct ServeArgs {
    /// Another address for the API than the configuration's; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl ServeArgs {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load(self.listen)?;
        // Logging that is set up already stays as it is.
        let _ = crate::telemetry::init(config.log.level, log_style(config.log.format));
        let lock = data_dir::lock(&config.data_dir)?;
        serve(&config, lock)
    }
}

/// Opens everything, says where it listens, and stops in order on SIGINT, SIGTERM, or SIGHUP (a closed terminal).
fn serve(config: &Config, lock: DataLock) -> Result<Exit, CliError> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(CliError::Signals)?;
    let mut patience = Patience::new();
    let opened = Service::open(config, lock, &mut |events| {
        if signals.pending().next().is_some() {
            return ControlFlow::Break(());
        }
        patience.replayed(events);
        ControlFlow::Continue(())
    });
    let mut service = match opened {
        Err(ServiceError::Store(StoreError::Stopped)) => {
            tracing::info!(
                "stopped while the ledger was replayed; the next start goes on from there"
            );
            return Ok(Exit::Done);
        }
        opened => opened?,
    };
    tell_arrival(&service.arrival);
    service.start_sending(mode(config.processing.mode))?;
    let address = service.start_doors()?;
    tracing::info!(%address, data_dir = %config.data_dir.display(), "serving");
    say(&format!("listening on http://{address}"))?;
    let signal = signals.forever().next();
    tracing::info!(signal, "stopping; attempts in flight are awaited");
    service.stop();
    Ok(Exit::Done)
}

/// The processing mode as dispatch takes it.
pub fn mode(configured: ProcessingMode) -> Mode {
    match configured {
        ProcessingMode::Continuous => Mode::Continuous,
        ProcessingMode::Every(interval) => Mode::Every(interval),
        ProcessingMode::Manual => Mode::Manual,
    }
}

/// How often a long replay is told.
const TOLD_EVERY: Duration = Duration::from_secs(3);
/// What it asks of systemd each time; many times `TOLD_EVERY`, for a disk that stalls.
const TIME_ASKED: Duration = Duration::from_mins(1);

/// Tells the log and systemd that a long start goes on, at its first progress and then by time.
struct Patience {
    told: Option<Instant>,
}

impl Patience {
    fn new() -> Self {
        Self { told: None }
    }

    fn replayed(&mut self, events: u64) {
        if self.told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        tracing::info!(events, "bringing up the state from the ledger");
        let status = format!("bringing up the state: {events} events replayed");
        systemd::coming_up(&status, TIME_ASKED);
    }
}

/// What an operator would want to know of this start.
fn tell_arrival(arrival: &Arrival) {
    if let Some(cut) = &arrival.cut {
        let (file, bytes) = (cut.file.display(), cut.bytes);
        tracing::warn!(%file, bytes, "a group that was never acknowledged was cut from the ledger and kept aside");
    }
    if let Some(why) = &arrival.state.rebuilt_because {
        let events = arrival.state.replayed_events;
        tracing::warn!(why, events, took = ?arrival.state.took, "the state was rebuilt from the ledger");
    }
    if arrival.state.lost_events {
        tracing::error!(
            "the ledger lost acknowledged events: every provider is paused, numbers go on a million further"
        );
    }
}
