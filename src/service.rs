//! Composes everything, and is the only place that starts threads.
//!
//! `open` brings up what keeps (lock, ledger, state, access, the writer); `start_sending` what sends (dispatch, lanes);
//! `start_doors` what listens. `stop` takes it all down in the other order. An offline command opens, calls, stops.

mod differences;
mod doors;
mod error;
mod exchange;
mod open_files;
mod reading;
mod reload;
mod sending;
mod setup;
pub mod systemd;
mod threads;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::access::Access;
use crate::actions::Actions;
use crate::actions::status::{InForce, Setting};
use crate::actions::waiting::Waiting;
use crate::clock::{Clock, SystemClock};
use crate::commit::{
    Command, Door, Mailbox, Responses, Writer, WriterOptions, WriterParts, give, recover,
};
use crate::config::{Config, Live};
use crate::control::{ControlContext, DataLock};
use crate::domain::event::Event;
use crate::domain::{Timestamp, View};
use crate::http::Turns;
use crate::jobs::{JOBS_AT_ONCE, Jobs};
use crate::ledger::{Cut, Ledger, Options, Preparer, RealFiles};
use crate::script::STACK_BYTES_MIN;
use crate::store::{Opened, Progress, State};
use crate::telemetry::{Metric, Metrics, Pulse, fatal};

use doors::{Doors, Gathering};
pub use error::ServiceError;
pub use exchange::{Asked, Wire, exchange};
pub use open_files::raise_open_files;
pub use reading::{ReadProvider, of_tls, read_providers, secret_names};
use sending::Sending;
pub use setup::credentials;
pub use setup::{mode, overrides};
use threads::Threads;
use watch::WatchParts;
pub use watch::{Unready, Watch};

/// What came up, for the log and for `status`.
#[derive(Debug)]
pub struct Arrival {
    pub cut: Option<Cut>,
    pub state: Opened,
    pub was_clean: bool,
}

/// How long `stop` waits for any one room to empty; what still hangs then ends with the process.
const LEAVE_AFTER: Duration = Duration::from_secs(5);
/// What a stop asks of systemd: all rooms together, and some more for a slow disk.
const STOP_AT_MOST: Duration = Duration::from_mins(1);
/// How often the overlay goes to disk.
const MOVE_EVERY: Duration = Duration::from_millis(250);
/// Turns of a quarter second between two rounds of housekeeping.
const HOUSEKEEPING_TURNS: u32 = 40;
/// How long the preparer waits after a failure.
const PREPARE_AGAIN: Duration = Duration::from_secs(10);

const SELF_WATCH: &str = "self-watch";

/// A running pairbox.
pub struct Service {
    pub config: Config,
    pub arrival: Arrival,
    actions: Arc<Actions>,
    access: Arc<Access>,
    jobs: Arc<Jobs>,
    clock: Arc<dyn Clock>,
    threads: Threads,
    preparer: Preparer,
    writer_stop: Sender<()>,
    stopping: Arc<AtomicBool>,
    sent_mail: Arc<Mailbox>,
    waiting_mail: Arc<Mailbox>,
    sending: Option<Sending>,
    doors: Option<Doors>,
    gathering: Gathering,
    metrics: Arc<Metrics>,
    watch: Arc<Watch>,
    watch_stop: Option<Sender<()>>,
    dispatch_pulse: Arc<Pulse>,
    in_force: Arc<Live<InForce>>,
    reserve_bytes: Arc<AtomicU64>,
    started_at: Timestamp,
    _lock: DataLock,
}

impl Service {
    /// Opens what keeps in the data directory that `lock` holds. Nothing is sent and nobody is listened to yet; `progress`
    /// hears replayed events and may end the start.
    pub fn open(
        config: &Config,
        lock: DataLock,
        progress: Progress<'_>,
    ) -> Result<Self, ServiceError> {
        // First, so that a mistake in a script records no start.
        let mappings = setup::load_mappings(config)?;
        let data = config.data_dir.clone();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let options = Options {
            segment_bytes: config.ledger.segment_bytes,
            ..Options::default()
        };
        let group_commands_max = options.group_commands_max;
        let (ledger, opening) = Ledger::open(&data.join("ledger"), Arc::new(RealFiles), options)?;
        let reader = ledger.reader();
        let (state, opened) = recover(&data, config.store.cache_bytes, &reader, progress)?;
        let access = Arc::new(Access::open(&data, config.api.token_life, clock.clone())?);
        let state = Arc::new(state);
        let (door, queues) = Door::new(config.http.queue_max);
        let (sent_mail, waiting_mail) =
            (Arc::new(Mailbox::default()), Arc::new(Mailbox::default()));
        let (responses, responded) = unbounded();
        let (writer_stop, stop) = bounded(1);
        let preparer = ledger.preparer();
        let metrics = Arc::new(Metrics::new());
        let writer = Writer::new(WriterParts {
            ledger,
            state: state.clone(),
            clock: clock.clone(),
            queues,
            mailboxes: vec![sent_mail.clone(), waiting_mail.clone()],
            responses,
            metrics: metrics.clone(),
            options: WriterOptions {
                reserve_bytes: config.store.reserve_bytes,
                group_commands_max,
            },
        });
        let dispatch_pulse = Arc::<Pulse>::default();
        let reserve_bytes = writer.reserve_bytes();
        let counted = state.clone();
        let watch = Arc::new(Watch::new(WatchParts {
            clock: clock.clone(),
            metrics: metrics.clone(),
            writer: writer.pulse(),
            dispatch: dispatch_pulse.clone(),
            data_dir: data,
            reserve_bytes: reserve_bytes.clone(),
            requests: Box::new(move || {
                let meta = counted.view().meta();
                (meta.requests, meta.unfinished())
            }),
        }));
        let started_at = clock.now();
        let stopping = Arc::new(AtomicBool::new(false));
        let mut threads = Threads::default();
        threads.start("writer", STACK_BYTES_MIN, move || {
            guarded("writer", || writer.run(&stop));
        })?;
        let gathering = Gathering::default();
        let gathers = gathering.clone();
        let counts = metrics.clone();
        threads.start("responder", STACK_BYTES_MIN, move || {
            respond(&responded, &gathers, &counts);
        })?;
        let (moved, halt) = (state.clone(), stopping.clone());
        threads.start("state mover", 0, move || {
            guarded("state mover", || move_overlay(&moved, &halt));
        })?;
        let (prepared, halt) = (preparer.clone(), stopping.clone());
        threads.start("segment preparer", 0, move || prepare(&prepared, &halt))?;

        setup::record_start(&door, opening.last_seq, opened.lost_events)?;
        setup::record_providers(config, &door, &mappings)?;
        if opened.lost_events {
            setup::settle_epoch(&door, &state)?;
        }
        let providers = setup::providers(config, mappings, &state)?;
        let waiting = Arc::new(Waiting::new(config.api.immediate_waiting_max));
        let (kept, recorder, halt) = (access.clone(), door.clone(), stopping.clone());
        threads.start("housekeeper", 0, move || {
            keep_house(&kept, &recorder, &halt);
        })?;
        metrics.set(Metric::Generation, 1);
        let mut actions = Actions::new(
            state,
            door,
            reader,
            clock.clone(),
            waiting,
            setup::policy(config),
            providers,
        );
        actions.metrics = metrics.clone();
        let _ = actions.threads.set(threads.shown());
        let actions = Arc::new(actions);
        let in_force = Arc::new(Live::new(setup::in_force(config)));
        let jobs = Jobs::open(actions.clone(), &config.data_dir, in_force.clone());
        Ok(Self {
            config: config.clone(),
            arrival: Arrival {
                cut: opening.cut,
                state: opened,
                was_clean: opening.was_clean,
            },
            actions,
            access,
            jobs,
            clock,
            threads,
            preparer,
            writer_stop,
            stopping,
            sent_mail,
            waiting_mail,
            sending: None,
            doors: None,
            gathering,
            metrics,
            watch,
            watch_stop: None,
            dispatch_pulse,
            in_force,
            reserve_bytes,
            started_at,
            _lock: lock,
        })
    }

    pub fn actions(&self) -> &Arc<Actions> {
        &self.actions
    }

    pub fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Opens the API and the control socket; answers the API's address.
    pub fn start_doors(&mut self) -> Result<SocketAddr, ServiceError> {
        let doors = Doors::open(self)?;
        let address = doors.address;
        self.doors = Some(doors);
        let shown = self.watch.clone();
        let _ = self.actions.readiness.set(Box::new(move || shown.report()));
        let (stop, stopped) = bounded(1);
        let watch = self.watch.clone();
        self.threads
            .start(SELF_WATCH, 0, move || watch.run(&stopped))?;
        self.watch_stop = Some(stop);
        Ok(address)
    }

    /// Lets jobs run, those too that an earlier process left unfinished.
    pub fn start_jobs(&mut self) -> Result<(), ServiceError> {
        for name in job_threads() {
            let jobs = self.jobs.clone();
            self.threads
                .start(&name, STACK_BYTES_MIN, move || jobs.work())?;
        }
        Ok(())
    }

    /// Lets dry runs of jobs run; nothing else of a job begins by it.
    pub fn start_rehearsals(&mut self) -> Result<(), ServiceError> {
        let jobs = self.jobs.clone();
        self.threads
            .start(REHEARSALS, STACK_BYTES_MIN, move || jobs.rehearse_all())
    }

    /// Where this machine's own eyes look, if anywhere.
    pub fn ops_address(&self) -> Option<SocketAddr> {
        self.doors.as_ref().and_then(|doors| doors.ops_address)
    }

    /// What the operator's verbs work with.
    pub fn control(&self) -> ControlContext {
        let setting = Setting {
            in_force: self.in_force.clone(),
            // Whoever asks may stand in another folder.
            data_dir: std::path::absolute(&self.config.data_dir)
                .unwrap_or_else(|_| self.config.data_dir.clone()),
            started_at: self.started_at,
            is_serving: self.doors.is_some(),
        };
        ControlContext {
            actions: self.actions.clone(),
            access: self.access.clone(),
            jobs: self.jobs.clone(),
            setting,
        }
    }

    /// Takes everything down: doors, dispatch, waiters, writer. What is in flight settles, or is recorded as unknown.
    ///
    /// No client, operator or peer can hold it up: each room has [`LEAVE_AFTER`], and the stop is recorded whatever hangs.
    pub fn stop(mut self) {
        let soon = || Instant::now() + LEAVE_AFTER;
        self.watch.stopping();
        self.jobs.stop();
        if let Some(stop) = self.watch_stop.take() {
            systemd::stopping(STOP_AT_MOST);
            let _ = stop.send(());
            self.threads.join(SELF_WATCH, soon());
        }
        let doors = self.doors.take();
        if let Some(doors) = &doors {
            doors.close();
        }
        for name in job_threads().chain([REHEARSALS.to_owned()]) {
            self.threads.join(&name, soon());
        }
        self.stop_sending();
        record_failures(&self.access, &self.actions.door, true);
        let _ = self
            .actions
            .door
            .call("service", Command::Record(vec![Event::ServiceStopped {}]));
        if let Err(error) = self.access.flush() {
            tracing::warn!(%error, "the sessions could not be written");
        }
        let _ = self.writer_stop.send(());
        self.threads.join("writer", soon());
        self.threads.join("responder", soon());
        if let Some(doors) = doors {
            doors.end(&mut self.threads, self.clock.monotonic(), soon());
        }
        self.stopping.store(true, Ordering::Release);
        self.preparer.wake();
        drop(self.jobs);
        drop(self.actions);
        self.threads.join_all(soon());
    }
}

/// The thread of dry runs.
const REHEARSALS: &str = "dry runs";

fn job_threads() -> impl Iterator<Item = String> {
    (1..=JOBS_AT_ONCE).map(|at| format!("job {at}"))
}

/// Answers on its own thread, so that the next group does not wait for what is rendered and written.
fn respond(responded: &Receiver<Responses>, gathering: &Gathering, metrics: &Metrics) {
    for responses in responded {
        let _batch = gathering.get().map(Turns::batch);
        for (reply, result) in responses {
            give(reply, result, metrics);
        }
    }
}

/// A panic in the writer, in dispatch or where the state is written ends the process: what it holds may no longer be what was
/// recorded.
fn guarded(thread: &str, work: impl FnOnce()) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
        fatal(&format!("the {thread} panicked"));
    }
}

fn move_overlay(state: &State, stopping: &AtomicBool) {
    while !stopping.load(Ordering::Acquire) {
        std::thread::sleep(MOVE_EVERY);
        if state.overlay_rows() > 0
            && let Err(error) = state.move_overlay()
        {
            fatal(&format!("the state cannot be written: {error}"));
        }
    }
}

/// Writes sessions out, and records failed logins, gathered by minute.
fn keep_house(access: &Access, door: &Door, stopping: &AtomicBool) {
    let mut turns = 0_u32;
    while !stopping.load(Ordering::Acquire) {
        std::thread::sleep(MOVE_EVERY);
        turns += 1;
        if !turns.is_multiple_of(HOUSEKEEPING_TURNS) {
            continue;
        }
        if let Err(error) = access.flush() {
            tracing::warn!(%error, "the sessions could not be written");
        }
        record_failures(access, door, false);
    }
}

/// Records what failed logins were gathered; `all` takes the minute that is not over too.
fn record_failures(access: &Access, door: &Door, all: bool) {
    let failures = access.drain_failures(all);
    if !failures.is_empty() {
        let events = failures.into_iter().map(setup::failure_event).collect();
        if let Err(refusal) = door.call("access", Command::Record(events)) {
            tracing::warn!(%refusal, "failed logins could not be recorded");
        }
    }
}

fn prepare(preparer: &Preparer, stopping: &AtomicBool) {
    while !stopping.load(Ordering::Acquire) {
        if let Err(error) = preparer.run(stopping) {
            // The writer makes the segment itself when it comes to it, and ends the process if it cannot.
            tracing::warn!(%error, "the next ledger segment could not be prepared");
            let mut waited = Duration::ZERO;
            while waited < PREPARE_AGAIN && !stopping.load(Ordering::Acquire) {
                std::thread::sleep(MOVE_EVERY);
                waited += MOVE_EVERY;
            }
        }
    }
}
