//! Whether the pump does a call of the write lane itself: handing it over costs more than the call, unless scripts are slow.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// On average longer calls are handed over. One that is not slow takes hundredths of it.
const QUICK: Duration = Duration::from_micros(500);
/// The average moves by this part of each call: one that takes a script's whole budget keeps the pump out of dozens of calls.
const PART: u64 = 16;

/// How long calls of the lane take on average.
#[derive(Debug, Default)]
pub(super) struct Pace {
    micros: AtomicU64,
}

impl Pace {
    pub fn is_quick(&self) -> bool {
        Duration::from_micros(self.micros.load(Ordering::Relaxed)) <= QUICK
    }

    /// Notes how long one took. Of two at once one may go unnoticed.
    pub fn took(&self, span: Duration) {
        let span = u64::try_from(span.as_micros()).unwrap_or(u64::MAX / PART);
        let average = self.micros.load(Ordering::Relaxed);
        let next = average - average / PART + span.min(u64::MAX / PART) / PART;
        self.micros.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_call_hands_dozens_over_and_quick_ones_bring_the_pump_back() {
        let pace = Pace::default();
        assert!(pace.is_quick());
        for _ in 0..1_000 {
            pace.took(Duration::from_micros(20));
        }
        assert!(pace.is_quick());
        pace.took(Duration::from_millis(100));
        let mut handed_over = 0;
        while !pace.is_quick() {
            pace.took(Duration::from_micros(20));
            handed_over += 1;
        }
        assert!((30..100).contains(&handed_over), "{handed_over}");
    }

    #[test]
    fn calls_that_are_always_slow_stay_handed_over() {
        let pace = Pace::default();
        for _ in 0..10_000 {
            pace.took(Duration::from_millis(1));
        }
        assert!(!pace.is_quick());
        pace.took(Duration::MAX);
        pace.took(Duration::MAX);
        assert!(!pace.is_quick());
    }
}
