//! Counted numbers: a closed set of names, one atomic each, shared by all threads.
//!
//! A new number is one line in `metrics!`. Names are `pairbox_<noun>_<unit>[_total]`; what ends in `_total` only grows. Most are
//! counted where the thing happens; what the state knows anyway is set when somebody looks (`http/figures.rs`).

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether a number only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    Counter,
    Gauge,
}

impl MetricKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

macro_rules! metrics {
    ($($variant:ident $name:literal $help:literal)*) => {
        /// Every number that the box counts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric { $($variant),* }

        impl Metric {
            /// All of them, in the order of the rendering.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// One sentence for the person who reads the number.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),* }
            }
        }
    };
}

metrics! {
    RequestsAccepted "pairbox_accepted_requests_total" "Provisioning requests accepted durably, since the ledger began."
    RequestsRefused "pairbox_refused_requests_total" "Calls for a request that were refused; nothing was stored."
    RequestsCompleted "pairbox_completed_requests_total" "Provisioning requests that ended COMPLETED, since the ledger began."
    RequestsRejected "pairbox_rejected_requests_total" "Provisioning requests that ended REJECTED, since the ledger began."
    RequestsHeld "pairbox_held_requests" "Provisioning requests that wait for an operator."
    RequestsUnfinished "pairbox_unfinished_requests" "Provisioning requests that have not ended."
    AttemptsBegun "pairbox_begun_attempts_total" "Attempts recorded before their bytes left."
    AttemptsUnknown "pairbox_unknown_attempts_total" "Attempts whose outcome nobody knows."
    AnswersLate "pairbox_late_answers_total" "Answers of a CAS to an attempt that was settled."
    AnswersUnmatched "pairbox_unmatched_answers_total" "Answers of a CAS that belong to no attempt; recorded when their minute is over."
    PushesPassedOver "pairbox_passed_over_pushes_total" "Pushes of a CAS that were neither recorded nor acknowledged: too many, or too little disk."
    CommandsTooLarge "pairbox_too_large_commands_total" "Commands not recorded because their events are too large."
    PairingConflicts "pairbox_pairing_conflicts_total" "Confirmed pairings that contradicted the state, since the ledger began."
    ProvidersPaused "pairbox_paused_providers" "Providers that are paused."
    CircuitsOpen "pairbox_open_circuits" "Providers whose circuit is open."
    LedgerGroups "pairbox_ledger_groups_total" "Groups written to the ledger, one sync each."
    LedgerBytes "pairbox_ledger_bytes_total" "Bytes written to the ledger."
    StateLag "pairbox_state_lag_rows" "Rows of the state that wait for the disk."
    StateBytes "pairbox_state_bytes" "Size of the state on disk."
    DiskFree "pairbox_disk_free_bytes" "Free space of the data folder's disk."
    QueueFull "pairbox_full_queue_refusals_total" "Calls refused because a queue before the workers was full."
    WriterQueueFull "pairbox_full_writer_queue_refusals_total" "Commands refused because the writer's queue was full."
    HttpRequests "pairbox_http_requests_total" "HTTP requests answered."
    HttpRefused "pairbox_http_refused_requests_total" "HTTP requests and connections refused at the gate."
    HttpEvicted "pairbox_http_evicted_connections_total" "Connections that had to make room: heads or bodies half sent, answers not taken."
    HttpTimedOut "pairbox_http_timed_out_requests_total" "Requests that came too slowly."
    HttpLinesBroken "pairbox_http_broken_lines_total" "Private lines between gate and server that were opened anew."
    HttpConnections "pairbox_http_connections" "Open connections of clients."
    UnknownFields "pairbox_http_unknown_fields_total" "Unknown body fields that were ignored."
    ProbesMissed "pairbox_missed_probes_total" "Probes of the self-watch through the whole chain that got no answer in time."
    Generation "pairbox_configuration_generation" "Generation of the configuration that is in force; 1 at the start."
    ReloadsRefused "pairbox_refused_reloads_total" "Reloads that changed nothing because something was wrong."
    LanePanics "pairbox_lane_panics_total" "Lanes whose thread panicked and went on with a new connection."
    HandlerPanics "pairbox_handler_panics_total" "Requests whose handler panicked."
    ScriptErrors "pairbox_script_errors_total" "Errors of mapping and job scripts."
    JobsRunning "pairbox_running_jobs" "Bulk jobs that have rows left and are not paused."
    JobsPaused "pairbox_paused_jobs" "Bulk jobs that wait for an operator."
    JobRows "pairbox_job_rows_total" "Rows of bulk jobs that have their ending, since the ledger began."
    LoginsFailed "pairbox_failed_logins_total" "Logins refused for a wrong name, password or key."
    LoginsThrottled "pairbox_throttled_logins_total" "Logins refused unseen after too many failures."
    Sessions "pairbox_sessions" "Tokens that are alive."
}

impl Metric {
    /// By the name: `_total` is a counter.
    pub fn kind(self) -> MetricKind {
        if self.name().ends_with("_total") {
            MetricKind::Counter
        } else {
            MetricKind::Gauge
        }
    }
}

/// The values. Relaxed throughout: a number is never used to order anything.
#[derive(Debug)]
pub struct Metrics {
    values: [AtomicU64; Metric::ALL.len()],
}

impl Metrics {
    pub fn new() -> Self {
        Self {
            values: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Adds one.
    pub fn count(&self, metric: Metric) {
        self.add(metric, 1);
    }

    pub fn add(&self, metric: Metric, amount: u64) {
        if let Some(value) = self.value(metric) {
            value.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// Sets a gauge, or a counter that somebody else counts.
    pub fn set(&self, metric: Metric, amount: u64) {
        if let Some(value) = self.value(metric) {
            value.store(amount, Ordering::Relaxed);
        }
    }

    pub fn get(&self, metric: Metric) -> u64 {
        self.value(metric)
            .map_or(0, |value| value.load(Ordering::Relaxed))
    }

    /// In the text format 0.0.4 of Prometheus: what it is, of which kind, and how much.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for metric in Metric::ALL {
            let (name, help, kind) = (metric.name(), metric.help(), metric.kind().as_str());
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            let _ = writeln!(text, "{name} {}", self.get(metric));
        }
        text
    }

    fn value(&self, metric: Metric) -> Option<&AtomicU64> {
        self.values.get(metric as usize)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_follow_the_rule() {
        let names: HashSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        for name in names {
            let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(name.starts_with("pairbox_") && is_plain, "{name}");
        }
        for metric in Metric::ALL {
            // One line, and none that the format would have to escape.
            let is_one = metric
                .help()
                .chars()
                .all(|c| c.is_ascii_graphic() || c == ' ');
            assert!(is_one && !metric.help().contains('\\'), "{}", metric.help());
        }
    }

    #[test]
    fn what_is_counted_is_rendered() {
        let metrics = Metrics::new();
        metrics.count(Metric::RequestsAccepted);
        metrics.add(Metric::RequestsAccepted, 2);
        metrics.set(Metric::Sessions, 7);
        let text = metrics.render();
        let first = "# HELP pairbox_accepted_requests_total Provisioning requests accepted durably, since the ledger began.\n\
             # TYPE pairbox_accepted_requests_total counter\n\
             pairbox_accepted_requests_total 3\n# HELP ";
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains("\n# TYPE pairbox_sessions gauge\npairbox_sessions 7\n"));
        assert!(text.ends_with("pairbox_sessions 7\n"), "{text}");
        assert_eq!(Metric::Sessions.kind(), MetricKind::Gauge);
    }
}
