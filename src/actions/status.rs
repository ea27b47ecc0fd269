//! The box at a glance: what is kept, what waits, what the disk has left, who sends.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono_tz::Tz;
use rustix::process::{Resource, getrlimit};
use serde::{Deserialize, Serialize};

use super::Actions;
use super::providers::ProviderReport;
use super::reload::ReloadReport;
use crate::config::{Live, ProcessingMode};
use crate::domain::{Phase, Timestamp, View};

/// What people are told beside what is kept; `service.rs` fills it from the configuration.
#[derive(Clone, Debug)]
pub struct Setting {
    pub in_force: Arc<Live<InForce>>,
    pub data_dir: PathBuf,
    pub started_at: Timestamp,
    /// False: a command of its own opened the data directory, nothing else runs.
    pub is_serving: bool,
}

/// What a reload may change of it.
#[derive(Clone, Copy, Debug)]
pub struct InForce {
    pub zone: Tz,
    pub processing: ProcessingMode,
    pub reserve_bytes: u64,
}

impl Setting {
    pub fn zone(&self) -> Tz {
        self.in_force.get().zone
    }

    pub fn processing(&self) -> ProcessingMode {
        self.in_force.get().processing
    }
}

/// Whether the box can do its work, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Words of a closed set; empty: it is ready.
    pub because: Vec<String>,
    /// How long the latest probe took that was answered.
    pub probe_latency_us: Option<u64>,
    /// Why the latest probe was not answered, if it was not.
    pub probe_missed: Option<String>,
    pub probes_missed: u64,
}

/// Asks the self-watch.
pub type ReadinessShown = Box<dyn Fn() -> Readiness + Send + Sync>;

/// Lists the service's threads.
pub type ThreadsShown = Box<dyn Fn() -> Vec<ThreadReport> + Send + Sync>;

/// A thread as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadReport {
    pub name: String,
    pub state: String,
}

/// What `pairbox status` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    pub version: String,
    pub pid: u32,
    pub is_serving: bool,
    pub now: Timestamp,
    pub started_at: Timestamp,
    pub uptime_s: u64,
    /// None where nothing serves.
    pub readiness: Option<Readiness>,
    pub configuration: ReloadReport,
    pub time_zone: String,
    pub data_dir: PathBuf,
    /// As the configuration writes it.
    pub processing: String,
    pub ledger_last_seq: u64,
    pub ledger_first_seq: u64,
    pub ledger_bytes: u64,
    pub state_bytes: u64,
    pub disk_free_bytes: Option<u64>,
    pub reserve_bytes: u64,
    /// None: it cannot be told.
    pub open_files: Option<u64>,
    /// None: there is no limit.
    pub open_files_max: Option<u64>,
    pub items: u64,
    pub subscriptions: u64,
    pub pairings: u64,
    pub pairing_conflicts: u64,
    pub requests: RequestCounts,
    pub providers: Vec<ProviderReport>,
    pub threads: Vec<ThreadReport>,
}

/// Requests by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    pub total: u64,
    pub completed: u64,
    pub rejected: u64,
    /// Not due yet.
    pub scheduled: u64,
    /// Due and not begun.
    pub due: u64,
    pub waiting: u64,
    pub sending: u64,
    pub in_doubt: u64,
    pub held: u64,
}

/// Requests that one look at the state counts.
const ROWS_A_LOOK: usize = 4_096;

impl Actions {
    pub fn status(&self, setting: &Setting) -> StatusReport {
        let meta = self.state.view().meta();
        let now = self.clock.now();
        let in_force = setting.in_force.get();
        let mut requests = self.count_unfinished();
        requests.total = meta.requests;
        requests.completed = meta.completed;
        requests.rejected = meta.rejected;
        StatusReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            is_serving: setting.is_serving,
            now,
            started_at: setting.started_at,
            uptime_s: now.since(setting.started_at).as_secs(),
            readiness: self.readiness.get().map(|show| show()),
            configuration: self.reloads.report(),
            time_zone: in_force.zone.name().to_owned(),
            data_dir: setting.data_dir.clone(),
            processing: mode_words(in_force.processing),
            ledger_last_seq: self.ledger.last_seq(),
            ledger_first_seq: self.ledger.first_seq(),
            ledger_bytes: folder_bytes(&setting.data_dir.join("ledger")),
            state_bytes: self.state.disk_bytes(),
            disk_free_bytes: free_bytes(&setting.data_dir),
            reserve_bytes: in_force.reserve_bytes,
            open_files: open_files(),
            open_files_max: getrlimit(Resource::Nofile).current,
            items: meta.items,
            subscriptions: meta.subscriptions,
            pairings: meta.pairings,
            pairing_conflicts: meta.conflicts,
            requests,
            providers: self.provider_reports(),
            threads: self.threads.get().map(|show| show()).unwrap_or_default(),
        }
    }

    fn count_unfinished(&self) -> RequestCounts {
        let now = self.clock.now();
        let numbers = self.state.view().unfinished();
        let mut counts = RequestCounts::default();
        for some in numbers.chunks(ROWS_A_LOOK) {
            let view = self.state.view();
            for request in some.iter().filter_map(|number| view.request(*number)) {
                let count = match request.phase {
                    Phase::Pending if request.is_due(now) => &mut counts.due,
                    Phase::Pending => &mut counts.scheduled,
                    Phase::Waiting => &mut counts.waiting,
                    Phase::Sending => &mut counts.sending,
                    Phase::InDoubt => &mut counts.in_doubt,
                    Phase::Held => &mut counts.held,
                    Phase::Completed | Phase::Rejected => continue,
                };
                *count += 1;
            }
        }
        counts
    }
}

/// The processing mode as the configuration writes it.
pub fn mode_words(mode: ProcessingMode) -> String {
    match mode {
        ProcessingMode::Continuous => "continuous".to_owned(),
        ProcessingMode::Manual => "manual".to_owned(),
        ProcessingMode::Every(span) => format!("every {}", crate::config::SpanText(span)),
    }
}

/// What the files of a folder hold; unreadable ones count nothing, for this is for the eye only.
fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

/// Files and sockets of this process, the one that looks not counted.
fn open_files() -> Option<u64> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    u64::try_from(entries.count()).ok()?.checked_sub(1)
}

/// Free space of the folder's disk for us; none if it cannot be told.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}
