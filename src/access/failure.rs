//! Failed logins on their way to the ledger: one count for each user, address and minute, and few enough an hour that
//! strangers cannot fill the disk. Pure: the caller drains it and makes events of what comes out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;

/// Counts an hour; what comes beyond is a number only.
const COUNTS_PER_HOUR_MAX: usize = 1_000;
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// What the ledger keeps of failed logins. The names are part of the ledger's contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "failures", rename_all = "snake_case")]
pub enum LoginFailures {
    /// So many by one user name from one address within the minute that began at `minute`.
    Counted {
        user: String,
        address: IpAddr,
        minute: Timestamp,
        count: u64,
    },
    /// So many more within the hour that began at `hour`.
    Suppressed { hour: Timestamp, count: u64 },
}

/// The failures that were not drained yet.
#[derive(Debug, Default)]
pub struct FailedLogins {
    counts: BTreeMap<(Timestamp, String, IpAddr), u64>,
    /// The hour that is being counted, and how many counts it has begun.
    hour: Timestamp,
    begun_in_hour: usize,
    suppressed: u64,
    /// Suppressed failures of hours that are over.
    over: Vec<LoginFailures>,
}

impl FailedLogins {
    pub fn record(&mut self, user: &str, address: IpAddr, now: Timestamp) {
        self.turn_hour(now);
        let key = (start_of(now, MINUTE), user.to_owned(), address);
        if let Some(count) = self.counts.get_mut(&key) {
            *count += 1;
        } else if self.begun_in_hour < COUNTS_PER_HOUR_MAX {
            self.begun_in_hour += 1;
            self.counts.insert(key, 1);
        } else {
            self.suppressed += 1;
        }
    }

    /// What is over, oldest first; with `all` also the current minute and hour.
    pub fn drain(&mut self, now: Timestamp, all: bool) -> Vec<LoginFailures> {
        self.turn_hour(now);
        if all {
            self.close_hour();
        }
        let this_minute = start_of(now, MINUTE);
        let (done, open): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.counts)
            .into_iter()
            .partition(|((minute, ..), _)| all || *minute != this_minute);
        self.counts = open;
        let counted =
            done.into_iter()
                .map(|((minute, user, address), count)| LoginFailures::Counted {
                    user,
                    address,
                    minute,
                    count,
                });
        counted.chain(std::mem::take(&mut self.over)).collect()
    }

    /// A clock set back within the hour goes on counting in it; any other hour begins anew.
    fn turn_hour(&mut self, now: Timestamp) {
        let hour = start_of(now, HOUR);
        if hour != self.hour {
            self.close_hour();
            self.hour = hour;
            self.begun_in_hour = 0;
        }
    }

    fn close_hour(&mut self) {
        if self.suppressed > 0 {
            self.over.push(LoginFailures::Suppressed {
                hour: self.hour,
                count: std::mem::take(&mut self.suppressed),
            });
        }
    }
}

fn start_of(at: Timestamp, grain: Duration) -> Timestamp {
    let grain = i64::try_from(grain.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.micros() - at.micros().rem_euclid(grain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn one_count_for_each_user_address_and_minute() {
        let mut failed = FailedLogins::default();
        failed.record("anna", ADDRESS, at(0));
        failed.record("anna", ADDRESS, at(59));
        failed.record("bert", ADDRESS, at(59));
        assert_eq!(failed.drain(at(59), false), []);
        failed.record("anna", ADDRESS, at(60));
        let counted = |user: &str, minute, count| LoginFailures::Counted {
            user: user.to_owned(),
            address: ADDRESS,
            minute: at(minute),
            count,
        };
        assert_eq!(
            failed.drain(at(61), false),
            [counted("anna", 0, 2), counted("bert", 0, 1)]
        );
        assert_eq!(failed.drain(at(61), true), [counted("anna", 60, 1)]);
    }

    #[test]
    fn strangers_cannot_fill_the_disk() {
        let mut failed = FailedLogins::default();
        let mut drained = Vec::new();
        for second in 0..3_600 {
            for guess in 0..10 {
                failed.record(&format!("guess{second}-{guess}"), ADDRESS, at(second));
            }
            drained.extend(failed.drain(at(second), false));
        }
        drained.extend(failed.drain(at(3_600), false));
        assert_eq!(drained.len(), COUNTS_PER_HOUR_MAX + 1);
        assert_eq!(
            drained.last(),
            Some(&LoginFailures::Suppressed {
                hour: at(0),
                count: 35_000
            })
        );
    }
}
