//! Time as an argument: wall clock for due times, monotonic clock for time-outs.
//!
//! Nothing else in the crate asks the operating system for the time. `ManualClock` is the tests' clock.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::domain::Timestamp;

/// The two clocks. Implementations are cheap to ask and never go backwards in `monotonic`.
pub trait Clock: Send + Sync {
    /// The wall clock; may jump either way.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary start; never goes back.
    fn monotonic(&self) -> Duration;
}

/// The machine's clocks.
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_utc(chrono::Utc::now())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands until it is moved.
pub struct ManualClock {
    at: Mutex<(Timestamp, Duration)>,
}

impl ManualClock {
    pub fn new(start: Timestamp) -> Self {
        Self {
            at: Mutex::new((start, Duration::ZERO)),
        }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, span: Duration) {
        let mut at = self.lock();
        at.0 = at.0.plus(span);
        at.1 += span;
    }

    /// Sets the wall clock only, forward or back.
    pub fn set_wall(&self, now: Timestamp) {
        self.lock().0 = now;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Timestamp, Duration)> {
        self.at
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().0
    }

    fn monotonic(&self) -> Duration {
        self.lock().1
    }
}
