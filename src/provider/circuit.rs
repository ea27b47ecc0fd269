//! Whether a provider is worth connecting to: five failed connects, hellos or keepalives in a row open the circuit.
//!
//! Pure: it never sees a command or a refusal, and a probe is a connect with its keepalives, never a live request.
//! Dispatch feeds it with what the lanes report and obeys `advice`.

use std::time::Duration;

/// Failures in a row that open the circuit.
pub const FAILURES_TO_OPEN: u32 = 5;
/// How long an open circuit waits before it probes.
pub const PROBE_AFTER: Duration = Duration::from_secs(30);

/// The circuit of one provider, all its lanes together.
#[derive(Clone, Debug, Default)]
pub struct Circuit {
    state: State,
    failures_in_a_row: u32,
    times_opened: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    Open {
        probe_at: Duration,
    },
    Probing,
}

/// What dispatch does with the provider's lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Lanes connect by themselves, commands flow.
    Connect,
    /// All lanes stay down until the instant; nothing is begun.
    StayDown { until: Duration },
    /// One lane connects; commands wait until it is ready.
    Probe,
}

impl Circuit {
    pub fn new() -> Self {
        Self::default()
    }

    /// A connect, hello or keepalive failed. True if this opened the circuit.
    pub fn failed(&mut self, now: Duration) -> bool {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        match self.state {
            State::Closed if self.failures_in_a_row < FAILURES_TO_OPEN => false,
            State::Open { .. } => false,
            State::Closed | State::Probing => {
                let is_new = self.state == State::Closed;
                self.times_opened += u64::from(is_new);
                self.state = State::Open {
                    probe_at: now + PROBE_AFTER,
                };
                is_new
            }
        }
    }

    /// A lane became ready. True if this closed the circuit.
    pub fn succeeded(&mut self) -> bool {
        let was_open = self.state != State::Closed;
        *self = Self {
            times_opened: self.times_opened,
            ..Self::default()
        };
        was_open
    }

    /// What to do now. The probe is advised until its outcome is told.
    pub fn advice(&mut self, now: Duration) -> Advice {
        match self.state {
            State::Closed => Advice::Connect,
            State::Open { probe_at } if now < probe_at => Advice::StayDown { until: probe_at },
            State::Open { .. } | State::Probing => {
                self.state = State::Probing;
                Advice::Probe
            }
        }
    }

    /// Whether commands may be begun.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    pub fn failures_in_a_row(&self) -> u32 {
        self.failures_in_a_row
    }

    pub fn times_opened(&self) -> u64 {
        self.times_opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_a_success_between_does_not() {
        let mut circuit = Circuit::new();
        for _ in 0..4 {
            assert!(!circuit.failed(s(1)));
        }
        assert!(!circuit.succeeded());
        for _ in 0..4 {
            assert!(!circuit.failed(s(2)));
        }
        assert_eq!(circuit.advice(s(2)), Advice::Connect);
        assert!(circuit.failed(s(3)));
        assert!(!circuit.is_closed());
        assert_eq!(circuit.advice(s(3)), Advice::StayDown { until: s(33) });
    }

    #[test]
    fn an_open_one_probes_after_thirty_seconds_until_a_probe_succeeds() {
        let mut circuit = Circuit::new();
        for _ in 0..5 {
            circuit.failed(s(0));
        }
        assert_eq!(circuit.advice(s(29)), Advice::StayDown { until: s(30) });
        assert_eq!(circuit.advice(s(30)), Advice::Probe);
        assert!(!circuit.failed(s(31)));
        assert_eq!(circuit.advice(s(32)), Advice::StayDown { until: s(61) });
        assert_eq!(circuit.advice(s(61)), Advice::Probe);
        assert_eq!(circuit.advice(s(62)), Advice::Probe);
        assert!(circuit.succeeded());
        assert_eq!(circuit.advice(s(62)), Advice::Connect);
        assert_eq!(circuit.times_opened(), 1);
        assert_eq!(circuit.failures_in_a_row(), 0);
    }

    #[test]
    fn failures_of_other_lanes_while_open_do_not_put_the_probe_off() {
        let mut circuit = Circuit::new();
        for _ in 0..5 {
            circuit.failed(s(0));
        }
        assert!(!circuit.failed(s(20)));
        assert_eq!(circuit.advice(s(30)), Advice::Probe);
    }
}
