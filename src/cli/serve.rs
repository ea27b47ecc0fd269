//! `pairbox serve`: takes the lock, sets up the log, and hands everything else to `service.rs`.

use std::io::IsTerminal;
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
use crate::config::{Config, Loaded, Overrides};
use crate::control::DataLock;
use crate::service::{Arrival, Service, ServiceError, mode, raise_open_files, systemd};
use crate::store::StoreError;

#[derive(Args)]
pub struct ServeArgs {
    /// Another address for the API than the configuration's; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl ServeArgs {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let overrides = global.overrides(self.listen);
        let loaded = Config::load(global.config.as_deref(), &overrides)?;
        let config = &loaded.config;
        // Logging that is set up already stays as it is.
        let _ = crate::telemetry::init(config.log.level, log_style(config.log.format));
        raise_open_files();
        let lock = data_dir::lock(&config.data_dir)?;
        serve(&loaded, &overrides, lock)
    }
}

/// Opens everything, says where it listens, reads the configuration again when asked to, and stops in order.
fn serve(loaded: &Loaded, overrides: &Overrides, lock: DataLock) -> Result<Exit, CliError> {
    let Loaded { config, path, .. } = loaded;
    let mut signals = Asked::watch()?;
    let mut patience = Patience::new();
    let opened = Service::open(config, lock, &mut |events| {
        if signals.stop().is_some() {
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
    let actions = service.actions().clone();
    actions.reloads.open();
    let address = service.start_doors()?;
    service.start_jobs()?;
    service.start_rehearsals()?;
    let ops = service.ops_address().map(tracing::field::display);
    tracing::info!(%address, ops, data_dir = %config.data_dir.display(), "serving");
    let scheme = config.http.tls.as_ref().map_or("http", |_| "https");
    if let Err(error) = say(&format!("listening on {scheme}://{address}")) {
        // Whoever wants to hear it finds it in the log.
        tracing::warn!(%error, %address, "nobody hears where it listens; it serves all the same");
    }
    let signal = loop {
        let asked = actions.reloads.next(SIGNALS_EVERY);
        if let Some(signal) = signals.stop() {
            break signal;
        }
        if signals.take_reload() {
            actions.reloads.ask("service");
        }
        let Some(asked) = asked else { continue };
        // The file that it came from at the start, whatever else lies in the folder now.
        let reloaded = service.reload(&asked, || Config::load(Some(path), overrides));
        if let Err(error) = reloaded {
            tracing::error!(%error, "sending cannot begin again after a reload; the service stops");
            service.stop();
            return Err(error.into());
        }
    };
    tracing::info!(signal, "stopping; attempts in flight are awaited");
    service.stop();
    Ok(Exit::Done)
}

/// How often signals are looked at.
const SIGNALS_EVERY: Duration = Duration::from_millis(100);

/// What signals ask for: SIGINT and SIGTERM the end, SIGHUP a reload.
///
/// A SIGHUP to a server that was started from a terminal says that the terminal is closed, and ends it too.
struct Asked {
    signals: Signals,
    hangup_stops: bool,
    is_reload_due: bool,
}

impl Asked {
    fn watch() -> Result<Self, CliError> {
        Ok(Self {
            signals: Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(CliError::Signals)?,
            hangup_stops: std::io::stdin().is_terminal(),
            is_reload_due: false,
        })
    }

    /// The signal that ends the process, if one came.
    fn stop(&mut self) -> Option<i32> {
        for signal in self.signals.pending() {
            if signal != SIGHUP || self.hangup_stops {
                return Some(signal);
            }
            self.is_reload_due = true;
        }
        None
    }

    /// Whether a reload is due; the signals were looked at by `stop`.
    fn take_reload(&mut self) -> bool {
        std::mem::take(&mut self.is_reload_due)
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
