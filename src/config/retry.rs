//! `[retry]` and `[provider.retry]`: when a request that did not get through is tried again, and until when.
//!
//! An explicit table of delays instead of a formula: the operator sees what will happen.

use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::reader::{Reading, Section};

const DAY: Duration = Duration::from_hours(24);

/// `[retry]`: the delays in order, of which the last repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    pub delays: Vec<Duration>,
    pub jitter_percent: u8,
    pub give_up_after: Duration,
}

impl RetryConfig {
    pub const DELAYS: [Duration; 5] = [
        Duration::from_secs(1),
        Duration::from_secs(5),
        Duration::from_secs(30),
        Duration::from_mins(2),
        Duration::from_mins(10),
    ];
    pub const JITTER_PERCENT: u8 = 20;
    pub const GIVE_UP_AFTER: Duration = DAY;
    const DELAYS_MAX: usize = 32;

    pub(super) fn read<'a>(reading: &mut Reading<'a>, table: Option<&'a DeTable<'a>>) -> Self {
        let mut section = Section::top(reading, "retry", table);
        let retry = Self {
            delays: Self::read_delays(&mut section).unwrap_or_else(|| Self::DELAYS.to_vec()),
            jitter_percent: Self::read_jitter(&mut section).unwrap_or(Self::JITTER_PERCENT),
            give_up_after: Self::read_give_up(&mut section).unwrap_or(Self::GIVE_UP_AFTER),
        };
        section.finish();
        retry
    }

    pub(super) fn read_delays(section: &mut Section<'_, '_>) -> Option<Vec<Duration>> {
        let (_, value) = section.entry("delays")?;
        let at = value.span().start;
        let delays = section.spans("delays", &(Duration::from_millis(1)..=DAY))?;
        if (1..=Self::DELAYS_MAX).contains(&delays.len()) {
            return Some(delays);
        }
        let is_long = delays.len() > Self::DELAYS_MAX;
        let empty_list = matches!(value.get_ref(), DeValue::Array(items) if items.is_empty());
        if is_long || empty_list {
            let message = format!(
                "{}: expected 1 to {} delays, found {}",
                section.path_of("delays"),
                Self::DELAYS_MAX,
                delays.len()
            );
            let reading = section.reading();
            let origin = reading.origin(at);
            reading.find(origin, message, None);
        }
        None
    }

    pub(super) fn read_jitter(section: &mut Section<'_, '_>) -> Option<u8> {
        section.whole("jitter_percent", 0..=100_u8)
    }

    pub(super) fn read_give_up(section: &mut Section<'_, '_>) -> Option<Duration> {
        section.span("give_up_after", Duration::from_secs(1)..=365 * DAY)
    }
}

/// The parts of `[retry]` that one provider decides for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryOverrides {
    pub delays: Option<Vec<Duration>>,
    pub jitter_percent: Option<u8>,
    pub give_up_after: Option<Duration>,
}

impl RetryOverrides {
    /// These over those of the whole box.
    #[must_use]
    pub fn over(&self, general: &RetryConfig) -> RetryConfig {
        RetryConfig {
            delays: self
                .delays
                .clone()
                .unwrap_or_else(|| general.delays.clone()),
            jitter_percent: self.jitter_percent.unwrap_or(general.jitter_percent),
            give_up_after: self.give_up_after.unwrap_or(general.give_up_after),
        }
    }
}
