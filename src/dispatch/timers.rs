//! What to look at again, and when: monotonic deadlines, checked for sense only when they fire.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{ProviderNumber, RequestNumber};

/// Clock jumps and patience are looked at this often.
pub const TICK_EVERY: Duration = Duration::from_secs(1);
/// How long nothing begins after the disk was too full for an intent.
pub const SPACE_AGAIN: Duration = Duration::from_secs(1);

/// What a deadline is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A scheduled date or the end of a wait.
    Look(RequestNumber),
    /// Replies that are overdue, rates, pauses, circuits of one provider.
    Line(ProviderNumber),
    /// A processing run of `every`, or the day's change.
    Run,
    /// Clock jumps, patience, counters.
    Tick,
}

/// The deadlines, soonest first.
#[derive(Default)]
pub struct Timers {
    queue: BTreeMap<(Duration, u64), Timer>,
    count: u64,
}

impl Timers {
    pub fn set(&mut self, at: Duration, timer: Timer) {
        self.count += 1;
        self.queue.insert((at, self.count), timer);
    }

    /// The next deadline.
    pub fn next(&self) -> Option<Duration> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// One deadline that is over.
    pub fn take_due(&mut self, now: Duration) -> Option<Timer> {
        let entry = self.queue.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}
