//! How fast commands may leave for one provider: a token bucket and a least gap between two.
//!
//! Pure: the caller brings the monotonic time. Dispatch asks before it begins an attempt.

use std::time::Duration;

const NANOS_A_SECOND: u128 = 1_000_000_000;

/// A bucket of at most one second's worth of commands.
#[derive(Clone, Debug)]
pub struct Rate {
    per_s: u32,
    min_gap: Duration,
    /// Tokens in billionths, so that refilling loses nothing.
    nano_tokens: u128,
    filled_at: Duration,
    last_taken_at: Option<Duration>,
}

impl Rate {
    /// `per_s` zero: no limit. The bucket starts with a single command, so that a restart is no burst.
    pub fn new(per_s: u32, min_gap: Duration, now: Duration) -> Self {
        Self {
            per_s,
            min_gap,
            nano_tokens: NANOS_A_SECOND,
            filled_at: now,
            last_taken_at: None,
        }
    }

    /// Takes up to `wanted` tokens and says how many. With a gap it is one at a time.
    pub fn take(&mut self, wanted: u32, now: Duration) -> u32 {
        if wanted == 0 || now < self.gap_ends_at() {
            return 0;
        }
        let mut granted = if self.min_gap.is_zero() { wanted } else { 1 };
        if self.per_s > 0 {
            self.fill(now);
            let whole = u32::try_from(self.nano_tokens / NANOS_A_SECOND).unwrap_or(u32::MAX);
            granted = granted.min(whole);
            self.nano_tokens -= u128::from(granted) * NANOS_A_SECOND;
        }
        if granted > 0 {
            self.last_taken_at = Some(now);
        }
        granted
    }

    /// Gives back tokens whose commands did not go out after all.
    pub fn give_back(&mut self, count: u32) {
        self.nano_tokens = (self.nano_tokens + u128::from(count) * NANOS_A_SECOND).min(self.full());
    }

    /// The earliest instant at which `take` can grant one.
    pub fn next_at(&self, now: Duration) -> Duration {
        let mut at = self.gap_ends_at().max(now);
        if self.per_s > 0 && self.nano_tokens < NANOS_A_SECOND {
            let missing = (NANOS_A_SECOND - self.nano_tokens).div_ceil(u128::from(self.per_s));
            let wait = Duration::from_nanos(u64::try_from(missing).unwrap_or(u64::MAX));
            at = at.max(self.filled_at + wait);
        }
        at
    }

    fn gap_ends_at(&self) -> Duration {
        self.last_taken_at
            .map_or(Duration::ZERO, |last| last + self.min_gap)
    }

    fn fill(&mut self, now: Duration) {
        let span = now.saturating_sub(self.filled_at);
        let fresh = span.as_nanos() * u128::from(self.per_s);
        self.nano_tokens = (self.nano_tokens + fresh).min(self.full());
        self.filled_at = self.filled_at.max(now);
    }

    fn full(&self) -> u128 {
        u128::from(self.per_s.max(1)) * NANOS_A_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn no_limit_grants_what_is_wanted() {
        let mut rate = Rate::new(0, Duration::ZERO, ms(0));
        assert_eq!(rate.take(64, ms(0)), 64);
        assert_eq!(rate.take(64, ms(0)), 64);
        assert_eq!(rate.next_at(ms(5)), ms(5));
    }

    #[test]
    fn never_more_than_the_rate_and_one_second_of_burst() {
        let mut rate = Rate::new(50, Duration::ZERO, ms(0));
        let mut granted = 0;
        for step in 0..=10_000 {
            granted += rate.take(7, ms(step));
        }
        assert_eq!(granted, 1 + 500);
        assert_eq!(rate.take(u32::MAX, ms(100_000)), 50);
    }

    #[test]
    fn next_at_is_the_first_instant_that_grants() {
        let mut rate = Rate::new(3, Duration::ZERO, ms(0));
        assert_eq!(rate.take(5, ms(0)), 1);
        let at = rate.next_at(ms(0));
        assert_eq!(
            rate.take(1, at.checked_sub(Duration::from_nanos(1)).unwrap()),
            0
        );
        assert_eq!(rate.next_at(ms(100)), at);
        assert_eq!(rate.take(1, at), 1);
    }

    #[test]
    fn a_gap_holds_the_commands_apart() {
        let mut rate = Rate::new(0, ms(20), ms(0));
        assert_eq!(rate.take(5, ms(0)), 1);
        assert_eq!(rate.take(5, ms(19)), 0);
        assert_eq!(rate.next_at(ms(19)), ms(20));
        assert_eq!(rate.take(5, ms(20)), 1);
    }

    #[test]
    fn what_was_given_back_can_be_taken_again() {
        let mut rate = Rate::new(2, Duration::ZERO, ms(0));
        assert_eq!(rate.take(2, ms(1_000)), 2);
        rate.give_back(2);
        assert_eq!(rate.take(3, ms(1_000)), 2);
    }
}
