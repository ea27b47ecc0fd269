//! Whether the pump does a call of the write lane itself: handing it over costs more than the call, unless scripts are slow.
//!
//! Two rules. Calls that take long on average are handed over. And one that takes milliseconds of processor time keeps the
//! pump out for a while, however many quick ones come in between: another provider's must not wait for it again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// On average longer calls are handed over. One that is not slow takes tenths of it, on a cold cache.
const QUICK: Duration = Duration::from_micros(200);
/// The average moves by this part of each call.
const PART: u64 = 16;
/// A call of so much processor time is slow.
const SLOW: Duration = Duration::from_millis(2);
/// How long a slow call keeps the pump out.
const OUT: Duration = Duration::from_secs(10);

/// How long calls of the lane take. Of two noted at once one may go unnoticed.
#[derive(Debug)]
pub(super) struct Pace {
    micros: AtomicU64,
    born: Instant,
    /// When the pump may come back, in milliseconds since its birth.
    out_until: AtomicU64,
}

/// A call under way. Whoever waits for a core or a lock takes longer and is not slow.
pub(super) struct Measured {
    begun: Instant,
    used: Duration,
}

impl Measured {
    /// Begins on the thread that does the call.
    pub fn begin() -> Self {
        Self {
            begun: Instant::now(),
            used: processor_time(),
        }
    }
}

impl Pace {
    pub fn new() -> Self {
        Self {
            micros: AtomicU64::new(0),
            born: Instant::now(),
            out_until: AtomicU64::new(0),
        }
    }

    pub fn is_quick(&self) -> bool {
        self.is_quick_at(self.born.elapsed())
    }

    /// Notes a call that is done.
    pub fn took(&self, call: &Measured) {
        let span = call.begun.elapsed();
        let used = if span < SLOW {
            span
        } else {
            processor_time().saturating_sub(call.used)
        };
        self.note(span, used, self.born.elapsed());
    }

    fn is_quick_at(&self, now: Duration) -> bool {
        let average = Duration::from_micros(self.micros.load(Ordering::Relaxed));
        average <= QUICK && whole_millis(now) >= self.out_until.load(Ordering::Relaxed)
    }

    fn note(&self, span: Duration, used: Duration, now: Duration) {
        let span = u64::try_from(span.as_micros()).unwrap_or(u64::MAX / PART);
        let average = self.micros.load(Ordering::Relaxed);
        let next = average - average / PART + span.min(u64::MAX / PART) / PART;
        self.micros.store(next, Ordering::Relaxed);
        if used >= SLOW {
            let until = whole_millis(now + OUT);
            self.out_until.store(until, Ordering::Relaxed);
        }
    }
}

fn processor_time() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(used.tv_sec).unwrap_or(0),
        u32::try_from(used.tv_nsec).unwrap_or(0),
    )
}

fn whole_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROSECOND: Duration = Duration::from_micros(1);

    #[test]
    fn one_slow_call_keeps_the_pump_out_however_many_quick_ones_follow() {
        let pace = Pace::new();
        assert!(pace.is_quick_at(Duration::ZERO));
        pace.note(SLOW, SLOW, Duration::ZERO);
        for _ in 0..100_000 {
            pace.note(20 * MICROSECOND, 20 * MICROSECOND, Duration::ZERO);
        }
        assert!(!pace.is_quick_at(OUT / 2));
        assert!(pace.is_quick_at(OUT));
    }

    #[test]
    fn a_call_that_waited_for_a_core_is_not_slow() {
        let pace = Pace::new();
        for _ in 0..1_000 {
            pace.note(20 * MICROSECOND, 20 * MICROSECOND, Duration::ZERO);
        }
        pace.note(Duration::from_millis(20), 20 * MICROSECOND, Duration::ZERO);
        let mut handed_over = 0;
        while !pace.is_quick_at(Duration::ZERO) {
            pace.note(20 * MICROSECOND, 20 * MICROSECOND, Duration::ZERO);
            handed_over += 1;
        }
        assert!((10..100).contains(&handed_over), "{handed_over}");
    }

    #[test]
    fn calls_that_are_always_longer_stay_handed_over() {
        let pace = Pace::new();
        for _ in 0..10_000 {
            pace.note(300 * MICROSECOND, 300 * MICROSECOND, Duration::ZERO);
        }
        assert!(!pace.is_quick_at(OUT));
        pace.note(Duration::MAX, Duration::ZERO, OUT);
        pace.note(Duration::MAX, Duration::ZERO, OUT);
        assert!(!pace.is_quick_at(OUT));
    }

    #[test]
    fn what_a_thread_computed_is_counted_and_what_it_slept_is_not() {
        let call = Measured::begin();
        while call.begun.elapsed() < 2 * SLOW || processor_time() < call.used + SLOW {
            std::hint::spin_loop();
        }
        let pace = Pace::new();
        pace.took(&call);
        assert!(!pace.is_quick());
        let call = Measured::begin();
        std::thread::sleep(2 * SLOW);
        let pace = Pace::new();
        pace.took(&call);
        assert_eq!(pace.out_until.load(Ordering::Relaxed), 0);
    }
}
