//! Counted numbers: a closed set of names, one atomic each, shared by all threads.
//!
//! A new number is one line in `metrics!`. Names are `pairbox_<noun>_<unit>[_total]`; what ends in `_total` only grows.

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
    RequestsAccepted "pairbox_accepted_requests_total" "Provisioning requests accepted durably."
    RequestsRefused "pairbox_refused_requests_total" "Provisioning requests refused at acceptance."
    RequestsCompleted "pairbox_completed_requests_total" "Provisioning requests that ended COMPLETED."
    RequestsRejected "pairbox_rejected_requests_total" "Provisioning requests that ended REJECTED."
    RequestsHeld "pairbox_held_requests" "Provisioning requests that wait for an operator."
    RequestsUnfinished "pairbox_unfinished_requests" "Provisioning requests that have not ended."
    AttemptsBegun "pairbox_begun_attempts_total" "Attempts recorded before their bytes left."
    AttemptsUnknown "pairbox_unknown_attempts_total" "Attempts whose outcome nobody knows."
    AnswersLate "pairbox_late_answers_total" "Answers of a CAS to an attempt that was settled."
    AnswersUnmatched "pairbox_unmatched_answers_total" "Answers of a CAS that belong to no attempt."
    PushesPassedOver "pairbox_passed_over_pushes_total" "Pushes of a CAS that were neither recorded nor acknowledged: too many, or too little disk."
    CommandsTooLarge "pairbox_too_large_commands_total" "Commands not recorded because their events are too large."
    PairingConflicts "pairbox_pairing_conflicts_total" "Confirmed pairings that contradicted the state."
    ProvidersPaused "pairbox_paused_providers" "Providers that are paused."
    CircuitsOpen "pairbox_open_circuits" "Providers whose circuit is open."
    LedgerGroups "pairbox_ledger_groups_total" "Groups written to the ledger, one sync each."
    LedgerBytes "pairbox_ledger_bytes_total" "Bytes written to the ledger."
    LedgerDamaged "pairbox_ledger_damaged_segments" "Segments in which the scrub found damage."
    StateLag "pairbox_state_lag_events" "Events that the state has not yet stored."
    StateBytes "pairbox_state_bytes" "Size of the state on disk."
    DiskFree "pairbox_disk_free_bytes" "Free space of the data folder's disk."
    QueueFull "pairbox_full_queue_refusals_total" "Commands refused because a queue was full."
    HttpRequests "pairbox_http_requests_total" "HTTP requests answered."
    HttpRefused "pairbox_http_refused_requests_total" "HTTP requests refused at the gate."
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

    /// Sets a gauge.
    pub fn set(&self, metric: Metric, amount: u64) {
        if let Some(value) = self.value(metric) {
            value.store(amount, Ordering::Relaxed);
        }
    }

    pub fn get(&self, metric: Metric) -> u64 {
        self.value(metric)
            .map_or(0, |value| value.load(Ordering::Relaxed))
    }

    /// One line a number: name, space, value.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for metric in Metric::ALL {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} {}", metric.name(), self.get(metric));
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
    }

    #[test]
    fn what_is_counted_is_rendered() {
        let metrics = Metrics::new();
        metrics.count(Metric::RequestsAccepted);
        metrics.add(Metric::RequestsAccepted, 2);
        metrics.set(Metric::Sessions, 7);
        let text = metrics.render();
        assert!(
            text.contains("pairbox_accepted_requests_total 3\n"),
            "{text}"
        );
        assert!(text.ends_with("pairbox_sessions 7\n"), "{text}");
        assert_eq!(Metric::Sessions.kind(), MetricKind::Gauge);
    }
}
