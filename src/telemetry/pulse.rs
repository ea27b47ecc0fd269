//! The pulse of a thread that must never stand still: since when its present turn lasts, or that it rests.
//!
//! The thread sets it (one relaxed store a turn), the self-watch reads it. It decides nothing and orders nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// At rest: waits for something to do, or has not begun, or has ended.
const AT_REST: u64 = 0;
/// Reads what it begins from; that may take long and is not judged.
const COMING_UP: u64 = u64::MAX;

/// One thread's pulse.
#[derive(Debug, Default)]
pub struct Pulse {
    /// One of the words above, else the begin of the turn in microseconds, plus one.
    turn: AtomicU64,
}

impl Pulse {
    /// A turn begins at this instant of the monotonic clock.
    pub fn beat(&self, now: Duration) {
        let micros = u64::try_from(now.as_micros()).unwrap_or(COMING_UP);
        self.set(micros.saturating_add(1).min(COMING_UP - 1));
    }

    pub fn rest(&self) {
        self.set(AT_REST);
    }

    pub fn come_up(&self) {
        self.set(COMING_UP);
    }

    pub fn is_coming_up(&self) -> bool {
        self.turn.load(Ordering::Relaxed) == COMING_UP
    }

    /// How long the present turn lasts; none at rest.
    pub fn lasts(&self, now: Duration) -> Duration {
        match self.turn.load(Ordering::Relaxed) {
            AT_REST | COMING_UP => Duration::ZERO,
            since => now.saturating_sub(Duration::from_micros(since - 1)),
        }
    }

    fn set(&self, turn: u64) {
        self.turn.store(turn, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_turn_that_began_lasts() {
        let pulse = Pulse::default();
        let second = Duration::from_secs(1);
        assert_eq!(pulse.lasts(second), Duration::ZERO);
        pulse.beat(Duration::ZERO);
        assert_eq!(pulse.lasts(second), second);
        pulse.beat(second);
        assert_eq!(pulse.lasts(second), Duration::ZERO);
        assert_eq!(pulse.lasts(3 * second), 2 * second);
        pulse.rest();
        assert_eq!(pulse.lasts(9 * second), Duration::ZERO);
        pulse.come_up();
        assert!(pulse.is_coming_up());
        assert_eq!(pulse.lasts(9 * second), Duration::ZERO);
    }
}
