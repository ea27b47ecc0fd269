//! The provider's own numbers in place of the mapping's, and where they differ: whoever wrote the mapping may not know of them.
//!
//! Callers: `Provider::new` for what is in force, `pairbox check` and `provider list` for what to tell.

use std::fmt::Display;
use std::time::Duration;

use crate::config::SpanText;
use crate::script::contract::{Ambiguous, Matching, Session};

/// What `[[provider]]` says of a session; none leaves the mapping's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionOverrides {
    pub window: Option<u32>,
    pub connect_timeout: Option<Duration>,
    pub reply_timeout: Option<Duration>,
    pub keepalive_every: Option<Duration>,
    pub rate_per_s: Option<u32>,
    pub min_gap: Option<Duration>,
    pub lanes: Option<u8>,
    pub reconnect_min: Option<Duration>,
    pub reconnect_max: Option<Duration>,
    pub ambiguous: Option<Ambiguous>,
}

impl SessionOverrides {
    pub(super) fn over(&self, described: &Session) -> Session {
        Session {
            // One that is lost would make the next answer speak for another command.
            window: match described.matching {
                Matching::Fifo => 1,
                Matching::Key => self.window.unwrap_or(described.window).max(1),
            },
            connect_timeout: self.connect_timeout.unwrap_or(described.connect_timeout),
            reply_timeout: self.reply_timeout.unwrap_or(described.reply_timeout),
            keepalive_every: self.keepalive_every.unwrap_or(described.keepalive_every),
            rate_per_s: self.rate_per_s.unwrap_or(described.rate_per_s),
            min_gap: self.min_gap.unwrap_or(described.min_gap),
            lanes: self.lanes.unwrap_or(described.lanes).max(1),
            reconnect_min: self.reconnect_min.unwrap_or(described.reconnect_min),
            reconnect_max: self.reconnect_max.unwrap_or(described.reconnect_max),
            ambiguous: self.ambiguous.unwrap_or(described.ambiguous),
            matching: described.matching,
            ready_after: described.ready_after,
        }
    }

    /// What the configuration says otherwise than the mapping: `window 64 here, the mapping says 8`.
    pub fn differences(&self, described: &Session) -> Vec<String> {
        let window = match (described.matching, self.window) {
            (Matching::Fifo, Some(window)) if window > 1 => Some(format!(
                "window {window} here counts for nothing: the mapping has answers in their order, one at a time"
            )),
            (Matching::Fifo, _) => None,
            (Matching::Key, window) => difference("window", window, &described.window),
        };
        let span = |key, own: Option<Duration>, described: Duration| {
            difference(key, own.map(SpanShown), &SpanShown(described))
        };
        let found = [
            window,
            span("reply_timeout", self.reply_timeout, described.reply_timeout),
            span(
                "connect_timeout",
                self.connect_timeout,
                described.connect_timeout,
            ),
            span(
                "keepalive_every",
                self.keepalive_every,
                described.keepalive_every,
            ),
            difference(
                "rate_per_s",
                self.rate_per_s.map(RateShown),
                &RateShown(described.rate_per_s),
            ),
            span("min_gap", self.min_gap, described.min_gap),
            difference("lanes", self.lanes, &described.lanes),
            difference(
                "ambiguous",
                self.ambiguous.map(AmbiguousShown),
                &AmbiguousShown(described.ambiguous),
            ),
        ];
        found.into_iter().flatten().collect()
    }
}

fn difference<T: Display + PartialEq>(key: &str, own: Option<T>, described: &T) -> Option<String> {
    let own = own.filter(|own| own != described)?;
    Some(format!("{key} {own} here, the mapping says {described}"))
}

#[derive(PartialEq)]
struct SpanShown(Duration);

impl Display for SpanShown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_zero() {
            return f.write_str("none");
        }
        SpanText(self.0).fmt(f)
    }
}

#[derive(PartialEq)]
struct RateShown(u32);

impl Display for RateShown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => f.write_str("no limit"),
            rate => write!(f, "{rate}"),
        }
    }
}

#[derive(PartialEq)]
struct AmbiguousShown(Ambiguous);

impl Display for AmbiguousShown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Ambiguous::Resend => "resend",
            Ambiguous::Query => "query",
            Ambiguous::Hold => "hold",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described() -> Session {
        Session {
            connect_timeout: Duration::from_secs(5),
            reply_timeout: Duration::from_secs(10),
            keepalive_every: Duration::from_secs(30),
            lanes: 1,
            window: 8,
            matching: Matching::Key,
            rate_per_s: 0,
            min_gap: Duration::ZERO,
            ready_after: 3,
            reconnect_min: Duration::from_secs(1),
            reconnect_max: Duration::from_mins(1),
            ambiguous: Ambiguous::Resend,
        }
    }

    #[test]
    fn overrides_replace_the_mappings_numbers_one_by_one() {
        let described = described();
        assert_eq!(SessionOverrides::default().over(&described), described);
        let overrides = SessionOverrides {
            window: Some(0),
            rate_per_s: Some(50),
            ambiguous: Some(Ambiguous::Hold),
            ..SessionOverrides::default()
        };
        let expected = Session {
            window: 1,
            rate_per_s: 50,
            ambiguous: Ambiguous::Hold,
            ..described.clone()
        };
        assert_eq!(overrides.over(&described), expected);
    }

    #[test]
    fn what_the_configuration_says_otherwise_is_told() {
        let described = described();
        let same = SessionOverrides {
            window: Some(8),
            reply_timeout: Some(Duration::from_secs(10)),
            ..SessionOverrides::default()
        };
        assert!(same.differences(&described).is_empty());
        let other = SessionOverrides {
            window: Some(64),
            reply_timeout: Some(Duration::from_millis(2500)),
            rate_per_s: Some(200),
            min_gap: Some(Duration::from_millis(5)),
            ambiguous: Some(Ambiguous::Hold),
            ..SessionOverrides::default()
        };
        assert_eq!(
            other.differences(&described),
            [
                "window 64 here, the mapping says 8",
                "reply_timeout 2s500ms here, the mapping says 10s",
                "rate_per_s 200 here, the mapping says no limit",
                "min_gap 5ms here, the mapping says none",
                "ambiguous hold here, the mapping says resend",
            ]
        );
        let in_order = Session {
            matching: Matching::Fifo,
            window: 1,
            ..described
        };
        let told = other.differences(&in_order);
        assert!(told[0].contains("counts for nothing"), "{told:?}");
    }
}
