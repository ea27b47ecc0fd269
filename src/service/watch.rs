//! The self-watch: whether the box can do its work right now, and if not, why, in words of a closed set.
//!
//! One thread asks `/healthz` over the control socket, through everything that a call goes through, and looks at the disk;
//! the pulses of writer and dispatch are read whenever somebody asks. It mends nothing: it tells, systemd too.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::systemd;
use crate::actions::status::{Readiness, free_bytes};
use crate::clock::Clock;
use crate::control::{ProbeError, probe};
use crate::telemetry::{Metric, Metrics, Pulse};

/// How often it looks, and how long a probe may take.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Probes missed in a row that mean not ready; one may be a moment of load.
const MISSES_MAX: u32 = 2;
/// A turn of the writer or of dispatch that lasts longer stands still. Dispatch naps for a second at most.
const TURN_MAX: Duration = Duration::from_secs(5);
/// What a start whose dispatch still comes up asks of systemd at each look.
const COMING_UP_ASKS: Duration = Duration::from_mins(1);

/// Why the box is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// No probe has passed yet, or dispatch still reads what it begins from.
    Starting,
    Stopping,
    /// A command waits for the writer.
    Ledger,
    /// Nothing is sent, settled or timed out.
    Dispatch,
    /// Free space is below `[store] reserve`: nothing new is accepted.
    Disk,
    /// Calls do not get through.
    Probe,
}

impl Unready {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::Ledger => "ledger",
            Self::Dispatch => "dispatch",
            Self::Disk => "disk",
            Self::Probe => "probe",
        }
    }
}

/// What the watch looks at.
pub struct WatchParts {
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub writer: Arc<Pulse>,
    pub dispatch: Arc<Pulse>,
    pub data_dir: PathBuf,
    pub reserve_bytes: Arc<AtomicU64>,
    /// Requests, and those that are unfinished.
    pub requests: Box<dyn Fn() -> (u64, u64) + Send + Sync>,
}

/// Shared by its thread and whoever asks.
pub struct Watch {
    parts: WatchParts,
    seen: Mutex<Seen>,
}

/// What the latest looks saw.
#[derive(Default)]
struct Seen {
    has_started: bool,
    is_stopping: bool,
    misses_in_a_row: u32,
    latency: Option<Duration>,
    miss: Option<String>,
    is_disk_low: bool,
    /// What the log was told last.
    told: Vec<&'static str>,
}

/// What systemd was told.
struct Told {
    is_ready: bool,
    status: String,
    /// How often it wants to hear that the box lives.
    alive_every: Option<Duration>,
    alive_at: Option<Instant>,
}

impl Watch {
    pub fn new(parts: WatchParts) -> Self {
        Self {
            parts,
            seen: Mutex::default(),
        }
    }

    /// Why the box is not ready; empty if it is.
    pub fn unready(&self) -> Vec<&'static str> {
        self.reasons().into_iter().map(Unready::word).collect()
    }

    /// Whether a probe has ever passed.
    pub fn has_started(&self) -> bool {
        self.seen().has_started
    }

    pub fn report(&self) -> Readiness {
        let because = self.unready();
        let seen = self.seen();
        Readiness {
            because: because.into_iter().map(str::to_owned).collect(),
            probe_latency_us: seen
                .latency
                .map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
            probe_missed: seen.miss.clone(),
            probes_missed: self.parts.metrics.get(Metric::ProbesMissed),
        }
    }

    /// The box goes down: from now on it is not ready, and the probes end.
    pub fn stopping(&self) {
        self.seen().is_stopping = true;
    }

    /// Looks until `stop`.
    pub fn run(&self, stop: &Receiver<()>) {
        let mut told = Told {
            is_ready: false,
            status: String::new(),
            alive_every: systemd::alive_every(),
            alive_at: None,
        };
        // Systemd may want to hear of it more often than there is need to look.
        let turn = told
            .alive_every
            .map_or(LOOK_EVERY, |every| every.min(LOOK_EVERY));
        let mut looked_at: Option<Instant> = None;
        loop {
            if looked_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
                looked_at = Some(Instant::now());
                self.look_at_disk();
                self.probed(probe(&self.parts.data_dir, LOOK_EVERY));
                self.tell_log();
            }
            self.tell_systemd(&mut told, turn);
            match stop.recv_timeout(turn) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn reasons(&self) -> Vec<Unready> {
        let parts = &self.parts;
        let now = parts.clock.monotonic();
        let stands = |pulse: &Pulse| pulse.lasts(now) > TURN_MAX;
        let seen = self.seen();
        let reasons = [
            (!seen.has_started, Unready::Starting),
            (seen.is_stopping, Unready::Stopping),
            (stands(&parts.writer), Unready::Ledger),
            (stands(&parts.dispatch), Unready::Dispatch),
            (seen.is_disk_low, Unready::Disk),
            (seen.misses_in_a_row >= MISSES_MAX, Unready::Probe),
        ];
        reasons
            .into_iter()
            .filter_map(|(holds, reason)| holds.then_some(reason))
            .collect()
    }

    /// The ledger's folder is what the writer measures too.
    fn look_at_disk(&self) {
        let Some(free) = free_bytes(&self.parts.data_dir.join("ledger")) else {
            return;
        };
        self.parts.metrics.set(Metric::DiskFree, free);
        self.seen().is_disk_low = free < self.parts.reserve_bytes.load(Ordering::Relaxed);
    }

    fn probed(&self, result: Result<Duration, ProbeError>) {
        let is_up = !self.parts.dispatch.is_coming_up();
        let mut seen = self.seen();
        match result {
            Ok(took) => {
                seen.misses_in_a_row = 0;
                seen.latency = Some(took);
                seen.miss = None;
                seen.has_started |= is_up;
            }
            Err(error) => {
                self.parts.metrics.count(Metric::ProbesMissed);
                seen.misses_in_a_row = seen.misses_in_a_row.saturating_add(1);
                seen.miss = Some(error.to_string());
            }
        }
    }

    /// What an operator would retell: that it is not ready and why, and that it is again.
    fn tell_log(&self) {
        let because = self.unready();
        let mut seen = self.seen();
        if seen.told == because {
            return;
        }
        if because.is_empty() {
            tracing::info!("ready");
        } else {
            let missed = seen.miss.as_deref();
            tracing::warn!(because = because.join(", "), missed, "not ready");
        }
        seen.told = because;
    }

    /// That it is ready once it was, that it lives while it does, and one line for people.
    fn tell_systemd(&self, told: &mut Told, turn: Duration) {
        let reasons = self.reasons();
        if !reasons.contains(&Unready::Starting) {
            if !std::mem::replace(&mut told.is_ready, true) {
                systemd::ready();
            }
        } else if self.parts.dispatch.is_coming_up() {
            systemd::coming_up("reading what is unfinished", COMING_UP_ASKS);
        }
        let status = self.status_line(&reasons);
        if told.is_ready && told.status != status {
            systemd::status(&status);
            told.status = status;
        }
        let is_due = told
            .alive_every
            .is_some_and(|every| told.alive_at.is_none_or(|at| at.elapsed() + turn > every));
        if is_due && told.is_ready && is_alive(&reasons) {
            told.alive_at = Some(Instant::now());
            systemd::alive();
        }
    }

    fn status_line(&self, reasons: &[Unready]) -> String {
        let (requests, unfinished) = (self.parts.requests)();
        let readiness = if reasons.is_empty() {
            "ready".to_owned()
        } else {
            let words: Vec<_> = reasons.iter().map(|reason| reason.word()).collect();
            format!("not ready ({})", words.join(", "))
        };
        format!("{readiness}; {requests} requests, {unfinished} unfinished")
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the process does its work: a full disk is no reason to kill it, a new process would find it full too.
fn is_alive(reasons: &[Unready]) -> bool {
    let dead = [Unready::Ledger, Unready::Dispatch, Unready::Probe];
    !reasons.iter().any(|reason| dead.contains(reason))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::Timestamp;

    struct Bench {
        folder: tempfile::TempDir,
        clock: Arc<ManualClock>,
        reserve_bytes: Arc<AtomicU64>,
        watch: Watch,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("ledger")).unwrap();
            let clock = Arc::new(ManualClock::new(Timestamp::ZERO));
            let reserve_bytes = Arc::new(AtomicU64::new(0));
            let watch = Watch::new(WatchParts {
                clock: clock.clone(),
                metrics: Arc::default(),
                writer: Arc::default(),
                dispatch: Arc::default(),
                data_dir: folder.path().to_owned(),
                reserve_bytes: reserve_bytes.clone(),
                requests: Box::new(|| (1_204, 3)),
            });
            Self {
                folder,
                clock,
                reserve_bytes,
                watch,
            }
        }

        fn started() -> Self {
            let bench = Self::new();
            bench.watch.probed(Ok(Duration::from_millis(1)));
            assert_eq!(bench.watch.unready(), [""; 0]);
            bench
        }

        fn beat(&self, pulse: &Pulse) {
            pulse.beat(self.clock.monotonic());
        }

        /// A probe of a control socket that answers the first call with these bytes, all at once.
        fn probe_answered(&self, answer: &'static [u8]) -> Result<Duration, ProbeError> {
            let path = self.folder.path().join("control.sock");
            let listener = UnixListener::bind(&path).unwrap();
            let thread = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut call = [0; 1_024];
                let length = stream.read(&mut call).unwrap();
                stream.write_all(answer).unwrap();
                if !answer.is_empty() {
                    return call[..length].to_vec();
                }
                // Holds the connection until the prober gives up.
                let _ = stream.read(&mut call[length..]);
                call[..length].to_vec()
            });
            let within = Duration::from_millis(if answer.is_empty() { 50 } else { 5_000 });
            let result = probe(self.folder.path(), within);
            let call = String::from_utf8(thread.join().unwrap()).unwrap();
            std::fs::remove_file(path).unwrap();
            assert!(call.starts_with("GET /healthz HTTP/1.1\r\n"), "{call}");
            assert!(call.contains("\r\nConnection: close\r\n"), "{call}");
            result
        }
    }

    #[test]
    fn the_box_is_starting_until_a_probe_passed_and_dispatch_is_up() {
        let bench = Bench::new();
        assert_eq!(bench.watch.unready(), ["starting"]);
        bench.watch.parts.dispatch.come_up();
        bench.watch.probed(Ok(Duration::from_millis(3)));
        assert_eq!(bench.watch.unready(), ["starting"]);
        bench.beat(&bench.watch.parts.dispatch);
        bench.watch.probed(Ok(Duration::from_millis(3)));
        assert_eq!(bench.watch.unready(), [""; 0]);
        assert_eq!(bench.watch.report().probe_latency_us, Some(3_000));
        bench.watch.stopping();
        assert_eq!(bench.watch.unready(), ["stopping"]);
    }

    #[test]
    fn a_turn_of_more_than_five_seconds_is_named_and_an_idle_thread_never() {
        let bench = Bench::started();
        let parts = &bench.watch.parts;
        bench.beat(&parts.writer);
        bench.clock.advance(Duration::from_secs(5));
        assert_eq!(bench.watch.unready(), [""; 0]);
        bench.clock.advance(Duration::from_millis(1));
        assert_eq!(bench.watch.unready(), ["ledger"]);
        bench.beat(&parts.dispatch);
        parts.writer.rest();
        bench.clock.advance(Duration::from_mins(1));
        assert_eq!(bench.watch.unready(), ["dispatch"]);
        bench.beat(&parts.dispatch);
        assert_eq!(bench.watch.unready(), [""; 0]);
    }

    #[test]
    fn a_disk_below_its_reserve_is_named() {
        let bench = Bench::started();
        bench.watch.look_at_disk();
        assert_eq!(bench.watch.unready(), [""; 0]);
        assert!(bench.watch.parts.metrics.get(Metric::DiskFree) > 0);
        bench.reserve_bytes.store(u64::MAX, Ordering::Relaxed);
        bench.watch.look_at_disk();
        assert_eq!(bench.watch.unready(), ["disk"]);
        let reasons = bench.watch.reasons();
        assert!(is_alive(&reasons));
        assert_eq!(
            bench.watch.status_line(&reasons),
            "not ready (disk); 1204 requests, 3 unfinished"
        );
    }

    #[test]
    fn two_misses_in_a_row_are_named_and_one_is_not() {
        let bench = Bench::started();
        let good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        for answer in ["HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "HTTP", ""] {
            let miss = bench.probe_answered(answer.as_bytes());
            assert!(miss.is_err(), "{answer}: {miss:?}");
            bench.watch.probed(miss);
            assert_eq!(bench.watch.unready(), [""; 0]);
            bench.watch.probed(probe(bench.folder.path(), LOOK_EVERY));
            assert_eq!(bench.watch.unready(), ["probe"]);
            let report = bench.watch.report();
            let missed = report.probe_missed.unwrap();
            assert!(missed.contains("takes no connection"), "{missed}");
            bench.watch.probed(bench.probe_answered(good));
            assert_eq!(bench.watch.unready(), [""; 0]);
        }
        assert_eq!(bench.watch.report().probes_missed, 6);
    }

    #[test]
    fn a_listener_that_takes_nobody_in_is_a_miss_in_time() {
        let bench = Bench::started();
        let path = bench.folder.path().join("control.sock");
        let listener = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
        let listener = listener.unwrap();
        listener
            .bind(&socket2::SockAddr::unix(&path).unwrap())
            .unwrap();
        listener.listen(0).unwrap();
        let within = Duration::from_millis(100);
        // The first waits in the queue of the listener and is never taken; the next do not even get there.
        let _first = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let began = std::time::Instant::now();
        assert!(matches!(
            probe(bench.folder.path(), within),
            Err(ProbeError::Connect(_))
        ));
        assert!(began.elapsed() >= within);
    }
}
