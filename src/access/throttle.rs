//! Slows down guessing without letting a stranger lock a user out: what waits is the pair of user and address, and the
//! address as a whole, never the user alone. Pure: time comes in, nothing goes out.
//!
//! A pair that logged in lately is not held up by other guesses from the same address (a proxy, a site's one line).

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use crate::domain::network_of;

/// Failures of one pair before it must wait.
const PAIR_FREE: u32 = 5;
/// Failures of one address, whatever the users, before it must wait.
const ADDRESS_FREE: u32 = 30;
/// The first wait; it doubles with every further failure.
const WAIT_FIRST: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_mins(5);
/// After so long without a failure all is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(30);
/// For so long a pair that logged in counts as known.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);
/// Entries of each map; the stalest goes first.
const ENTRIES_MAX: usize = 10_000;

type Pair = (String, IpAddr);

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Duration,
}

/// The failures of late. Instants are those of the monotonic clock.
#[derive(Debug, Default)]
pub struct Throttle {
    pairs: HashMap<Pair, Failures>,
    addresses: HashMap<IpAddr, Failures>,
    known: HashMap<Pair, Duration>,
}

impl Throttle {
    /// How long this login has to wait; `None` lets it through.
    pub fn wait_for(&self, user: &str, address: IpAddr, now: Duration) -> Option<Duration> {
        let address = network_of(address);
        let pair = (user.to_owned(), address);
        let of_pair = self.pairs.get(&pair);
        let is_known = self
            .known
            .get(&pair)
            .is_some_and(|last| now.saturating_sub(*last) < KNOWN_FOR);
        let of_address = self.addresses.get(&address).filter(|_| !is_known);
        let left = |failures: Option<&Failures>, free| {
            failures.map_or(Duration::ZERO, |failures| wait_left(failures, free, now))
        };
        let wait = left(of_pair, PAIR_FREE).max(left(of_address, ADDRESS_FREE));
        (wait > Duration::ZERO).then_some(wait)
    }

    /// Counts a failed login.
    pub fn failed(&mut self, user: &str, address: IpAddr, now: Duration) {
        let address = network_of(address);
        count(&mut self.pairs, (user.to_owned(), address), now);
        count(&mut self.addresses, address, now);
    }

    /// Forgets the pair's failures; those of the address stay, or a guesser with one account would be free.
    pub fn succeeded(&mut self, user: &str, address: IpAddr, now: Duration) {
        let pair = (user.to_owned(), network_of(address));
        self.pairs.remove(&pair);
        make_room(&mut self.known, &pair, |last| *last);
        self.known.insert(pair, now);
    }
}

fn count<K: Clone + Eq + Hash>(map: &mut HashMap<K, Failures>, key: K, now: Duration) {
    make_room(map, &key, |failures| failures.last);
    let failures = map.entry(key).or_insert(Failures {
        count: 0,
        last: now,
    });
    if now.saturating_sub(failures.last) >= FORGOTTEN_AFTER {
        failures.count = 0;
    }
    failures.count = failures.count.saturating_add(1);
    failures.last = now;
}

fn make_room<K: Clone + Eq + Hash, V>(
    map: &mut HashMap<K, V>,
    key: &K,
    last: impl Fn(&V) -> Duration,
) {
    if map.len() < ENTRIES_MAX || map.contains_key(key) {
        return;
    }
    let stalest = map
        .iter()
        .min_by_key(|(_, value)| last(value))
        .map(|(key, _)| key.clone());
    if let Some(stalest) = stalest {
        map.remove(&stalest);
    }
}

fn wait_left(failures: &Failures, free: u32, now: Duration) -> Duration {
    let since = now.saturating_sub(failures.last);
    if failures.count < free || since >= FORGOTTEN_AFTER {
        return Duration::ZERO;
    }
    let doublings = (failures.count - free).min(16);
    let wait = WAIT_FIRST.saturating_mul(1 << doublings).min(WAIT_MAX);
    wait.saturating_sub(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 66));

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_stranger_cannot_lock_a_user_out() {
        let mut throttle = Throttle::default();
        for at in 0..1_000 {
            throttle.failed("anna", AWAY, seconds(at));
        }
        assert!(throttle.wait_for("anna", AWAY, seconds(1_000)).is_some());
        assert_eq!(throttle.wait_for("anna", HOME, seconds(1_000)), None);
    }

    #[test]
    fn waits_double_up_to_the_longest_and_are_forgotten() {
        let mut throttle = Throttle::default();
        for _ in 0..PAIR_FREE {
            assert_eq!(throttle.wait_for("anna", HOME, seconds(0)), None);
            throttle.failed("anna", HOME, seconds(0));
        }
        let wait = |throttle: &Throttle, at| throttle.wait_for("anna", HOME, seconds(at));
        assert_eq!(wait(&throttle, 0), Some(seconds(1)));
        assert_eq!(wait(&throttle, 1), None);
        throttle.failed("anna", HOME, seconds(1));
        assert_eq!(wait(&throttle, 1), Some(seconds(2)));
        for _ in 0..100 {
            throttle.failed("anna", HOME, seconds(2));
        }
        assert_eq!(wait(&throttle, 2), Some(WAIT_MAX));
        assert_eq!(wait(&throttle, 2 + 1_800), None);
        throttle.failed("anna", HOME, seconds(2_000));
        assert_eq!(wait(&throttle, 2_000), None);
    }

    #[test]
    fn an_address_that_tries_many_names_waits_but_a_known_user_there_does_not() {
        let mut throttle = Throttle::default();
        throttle.succeeded("crm", HOME, seconds(0));
        for at in 0..ADDRESS_FREE + 5 {
            throttle.failed(&format!("guess{at}"), HOME, seconds(1));
        }
        assert!(throttle.wait_for("anyone", HOME, seconds(1)).is_some());
        assert_eq!(throttle.wait_for("crm", HOME, seconds(1)), None);
    }

    #[test]
    fn the_maps_are_bounded() {
        let mut throttle = Throttle::default();
        for at in 0..u32::try_from(ENTRIES_MAX + 100).unwrap() {
            let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(at));
            throttle.failed("anna", address, seconds(u64::from(at)));
        }
        assert_eq!(throttle.pairs.len(), ENTRIES_MAX);
        assert_eq!(throttle.addresses.len(), ENTRIES_MAX);
    }

    #[test]
    fn one_ipv6_customer_is_one_address() {
        let mut throttle = Throttle::default();
        for at in 0..10 {
            let address: IpAddr = format!("2001:db8::{at}").parse().unwrap();
            throttle.failed("anna", address, seconds(0));
        }
        let other = "2001:db8::ffff".parse().unwrap();
        assert!(throttle.wait_for("anna", other, seconds(0)).is_some());
        let elsewhere = "2001:db8:0:1::1".parse().unwrap();
        assert_eq!(throttle.wait_for("anna", elsewhere, seconds(0)), None);
    }
}
