//! How many pushes of a CAS are recorded: one that never stops pushing must not fill the disk.
//!
//! Decides nothing about the disk's reserve. The writer asks for each push.

use std::collections::HashMap;

use crate::domain::{ProviderNumber, Timestamp};

/// Pushes of one provider that are recorded in one minute of the clock.
pub const PUSHES_A_MINUTE_MAX: u32 = 600;

const MICROS_A_MINUTE: i64 = 60_000_000;

/// The minute that each provider pushes in, and how often it did.
#[derive(Default)]
pub struct Pushes {
    minutes: HashMap<ProviderNumber, (i64, u32)>,
}

impl Pushes {
    /// Whether one more push of this provider is recorded.
    pub fn take(&mut self, provider: ProviderNumber, now: Timestamp) -> bool {
        let minute = now.micros().div_euclid(MICROS_A_MINUTE);
        let (of, count) = self.minutes.entry(provider).or_insert((minute, 0));
        if *of != minute {
            (*of, *count) = (minute, 0);
        }
        let takes = *count < PUSHES_A_MINUTE_MAX;
        *count += u32::from(takes);
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_pushes_without_end_is_recorded_so_often_a_minute() {
        let mut pushes = Pushes::default();
        let (loud, calm) = (ProviderNumber(1), ProviderNumber(2));
        let at = Timestamp::from_micros(1_795_456_789_000_000);
        let recorded = (0..10_000).filter(|_| pushes.take(loud, at)).count();
        assert_eq!(recorded, PUSHES_A_MINUTE_MAX as usize);
        assert!(pushes.take(calm, at));
        let later = Timestamp::from_micros(at.micros() + MICROS_A_MINUTE);
        assert!(pushes.take(loud, later));
    }
}
