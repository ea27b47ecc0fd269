//! How many rounds a fault is given, and from which seed: few in the plain tier, many in the long one.
//!
//! Round `n` of a run uses the run's seed plus `n`, so that the printed seed of a failed round repeats that round first.

use std::time::{Duration, Instant};

pub use crate::headend::seed;

/// The rounds of one fault.
pub struct Rounds {
    fault: &'static str,
    seed: u64,
    done: u64,
    count_max: u64,
    time_max: Duration,
    started: Instant,
}

pub fn is_long() -> bool {
    std::env::var_os("PAIRBOX_TEST_LONG").is_some()
}

impl Rounds {
    /// So many rounds, however long they take.
    pub fn counted(fault: &'static str, plain: u64, long: u64) -> Self {
        let count_max = if is_long() { long } else { plain };
        Self::new(fault, count_max, Duration::MAX)
    }

    /// As many rounds as begin within the time.
    pub fn timed(fault: &'static str, plain: Duration, long: Duration) -> Self {
        Self::new(fault, u64::MAX, if is_long() { long } else { plain })
    }

    fn new(fault: &'static str, count_max: u64, time_max: Duration) -> Self {
        let seed = seed();
        println!("{fault}: seed {seed}");
        Self {
            fault,
            seed,
            done: 0,
            count_max,
            time_max,
            started: Instant::now(),
        }
    }
}

impl Iterator for Rounds {
    /// The round's seed.
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let is_over = self.done >= self.count_max || self.started.elapsed() >= self.time_max;
        // The first one is always made.
        if is_over && self.done > 0 {
            return None;
        }
        let seed = self.seed.wrapping_add(self.done);
        self.done += 1;
        Some(seed)
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        if std::thread::panicking() && self.done > 0 {
            let seed = self.seed.wrapping_add(self.done - 1);
            println!(
                "{}: PAIRBOX_TEST_SEED={seed} repeats this round",
                self.fault
            );
        }
    }
}
