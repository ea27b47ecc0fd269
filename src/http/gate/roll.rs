//! Who is in: all clients, counted by door and by network, and who has to make room for others.
//!
//! At a cap the newcomer is let in and the connection goes that is missed least, of the network that has most of them: so whoever
//! fills a door makes room in it, and nobody else has to. One whose request is inside never goes.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use slab::Slab;

use super::client::{Client, Missed, Phase};
use super::options::{GRACE, GateOptions, LEAVING_MAX};
use super::private::{DoorKind, Peer};

/// Connections that are put in the queue to make room at one look.
const AT_A_LOOK_MAX: usize = 256;

#[derive(Default)]
pub struct Roll {
    clients: Slab<Entry>,
    by_door: HashMap<DoorKind, usize>,
    by_network: HashMap<(DoorKind, IpAddr), usize>,
    beyond: usize,
    next_to_go: NextToGo,
    /// Bytes of requests that have not come whole, and of answers that have not left.
    pub request_bytes: usize,
    pub answer_bytes: usize,
}

struct Entry {
    client: Client,
    /// Over the caps: in only to be told so.
    is_beyond: bool,
}

/// Those that are next to make room, as they were when all were looked through.
#[derive(Default)]
struct NextToGo {
    of: Option<(DoorKind, Option<IpAddr>)>,
    queue: VecDeque<(Missed, Duration, usize)>,
}

/// Whether another client may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Room,
    /// If this one goes.
    InsteadOf(usize),
    /// Only to be told that there is no room.
    Full,
    /// Not even that.
    Crowded,
}

impl Roll {
    /// Judges one more client of a door. `is_short`: the process has few file descriptors left.
    pub fn admit(
        &mut self,
        door: DoorKind,
        peer: &Peer,
        is_short: bool,
        options: &GateOptions,
        now: Duration,
    ) -> Admission {
        let network = peer.network();
        let of_door = self.by_door.get(&door).copied().unwrap_or(0);
        let of_network = self.by_network.get(&(door, network)).copied();
        let goes = if of_network.unwrap_or(0) >= options.per_address_max(door) {
            self.goes(door, Some(network), now)
        } else if is_short {
            // The doors share the descriptors, and the API's clients have most of them.
            let of_api = self.goes(DoorKind::Api, None, now);
            of_api.or_else(|| self.goes(door, None, now))
        } else if of_door >= options.connections_max(door) {
            self.goes(door, None, now)
        } else {
            return Admission::Room;
        };
        match goes {
            Some(slot) => Admission::InsteadOf(slot),
            None if self.beyond < LEAVING_MAX && !is_short => Admission::Full,
            None => Admission::Crowded,
        }
    }

    pub fn insert(&mut self, client: Client, is_beyond: bool) -> usize {
        if is_beyond {
            self.beyond += 1;
        } else {
            let network = client.peer.network();
            *self.by_door.entry(client.door).or_default() += 1;
            *self.by_network.entry((client.door, network)).or_default() += 1;
        }
        self.clients.insert(Entry { client, is_beyond })
    }

    pub fn remove(&mut self, slot: usize) -> Option<Client> {
        let Entry { client, is_beyond } = self.clients.try_remove(slot)?;
        let (request_bytes, answer_bytes) = client.held_bytes();
        self.request_bytes = self.request_bytes.saturating_sub(request_bytes);
        self.answer_bytes = self.answer_bytes.saturating_sub(answer_bytes);
        if is_beyond {
            self.beyond -= 1;
            return Some(client);
        }
        if let Some(count) = self.by_door.get_mut(&client.door) {
            *count -= 1;
        }
        let key = (client.door, client.peer.network());
        if let Some(count) = self.by_network.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&key);
            }
        }
        Some(client)
    }

    /// Works with a client and keeps the account of its bytes.
    pub fn with<T>(&mut self, slot: usize, work: impl FnOnce(&mut Client) -> T) -> Option<T> {
        let client = &mut self.clients.get_mut(slot)?.client;
        let (request_before, answer_before) = client.held_bytes();
        let done = work(client);
        let (request_after, answer_after) = client.held_bytes();
        self.request_bytes = (self.request_bytes + request_after).saturating_sub(request_before);
        self.answer_bytes = (self.answer_bytes + answer_after).saturating_sub(answer_before);
        Some(done)
    }

    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Client> {
        Some(&mut self.clients.get_mut(slot)?.client)
    }

    pub fn len(&self) -> usize {
        self.clients.len() - self.beyond
    }

    /// The slots of the clients that this holds for.
    pub fn slots(&self, holds: impl Fn(&Client) -> bool) -> Vec<usize> {
        self.clients
            .iter()
            .filter(|(_, entry)| holds(&entry.client))
            .map(|(slot, _)| slot)
            .collect()
    }

    pub fn any(&self, holds: impl Fn(&Client) -> bool) -> bool {
        self.clients.iter().any(|(_, entry)| holds(&entry.client))
    }

    /// The one that has sent its body for the longest.
    pub fn slowest_body(&self) -> Option<usize> {
        self.oldest(Client::owes_body)
    }

    /// The one that holds most of an answer which it does not take.
    pub fn largest_reader(&self) -> Option<usize> {
        self.clients
            .iter()
            .filter(|(_, entry)| matches!(entry.client.phase, Phase::Answering))
            .max_by_key(|(_, entry)| entry.client.held_bytes().1)
            .map(|(slot, _)| slot)
    }

    /// Who goes for a newcomer: of this network only, or of the one that has most connections at the door and then of others.
    fn goes(&mut self, door: DoorKind, only: Option<IpAddr>, now: Duration) -> Option<usize> {
        if self.next_to_go.of != Some((door, only)) {
            self.next_to_go.of = Some((door, only));
            self.next_to_go.queue.clear();
        }
        while let Some((missed, since, slot)) = self.next_to_go.queue.pop_front() {
            let is_as_it_was = |entry: &Entry| {
                let client = &entry.client;
                let is_here = !entry.is_beyond && client.door == door;
                is_here && client.missed(now) == Some(missed) && client.since == since
            };
            if self.clients.get(slot).is_some_and(is_as_it_was) {
                return Some(slot);
            }
        }
        self.look_who_goes(door, only, now);
        self.next_to_go.queue.pop_front().map(|(.., slot)| slot)
    }

    /// Looks through all, and puts those that are missed least in a queue: a flood of newcomers must not cost a look each.
    fn look_who_goes(&mut self, door: DoorKind, only: Option<IpAddr>, now: Duration) {
        let of_door = self.by_network.iter().filter(|((of, _), _)| *of == door);
        let heaviest = of_door.max_by_key(|((_, network), count)| (**count, *network));
        let heaviest = heaviest.map(|((_, network), _)| *network);
        let Some(network) = only.or(heaviest) else {
            return;
        };
        let ranked = self.clients.iter().filter_map(|(slot, entry)| {
            let client = &entry.client;
            let is_other = client.peer.network() != network;
            if entry.is_beyond || client.door != door || (only.is_some() && is_other) {
                return None;
            }
            let is_young = now.saturating_sub(client.since) < GRACE;
            let missed = client.missed(now)?;
            Some((is_other, is_young, missed, client.since, slot))
        });
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_unstable();
        // A small part, or the network would have given up more than it had too many.
        let count = (ranked.len() / 16).clamp(1, AT_A_LOOK_MAX);
        let first = ranked.into_iter().take(count);
        let queue = &mut self.next_to_go.queue;
        queue.extend(first.map(|(_, _, missed, since, slot)| (missed, since, slot)));
    }

    fn oldest(&self, holds: impl Fn(&Client) -> bool) -> Option<usize> {
        self.clients
            .iter()
            .filter(|(_, entry)| !entry.is_beyond && holds(&entry.client))
            .min_by_key(|(_, entry)| entry.client.since)
            .map(|(slot, _)| slot)
    }

    /// The clients whose time is up.
    pub fn overdue(&self, options: &GateOptions, now: Duration) -> Vec<usize> {
        self.slots(|client| client.deadline(options).is_some_and(|at| now >= at))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use mio::net::UnixStream;

    use super::super::private::RequestId;
    use super::super::stream::Stream;
    use super::*;
    use crate::http::answer::Shape;

    const OPTIONS: GateOptions = GateOptions {
        connections_max: 4,
        connections_per_address_max: 3,
        head_timeout: Duration::from_secs(5),
        body_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_mins(1),
        body_bytes_max: 1_000,
        control_body_bytes_max: 1_000,
    };
    const API: DoorKind = DoorKind::Api;

    fn peer(last: u8) -> Peer {
        Peer::Address(IpAddr::from([192, 0, 2, last]))
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    struct Bench {
        roll: Roll,
        ends: Vec<UnixStream>,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                roll: Roll::default(),
                ends: Vec::new(),
            }
        }

        /// A client that has sent nothing since it came.
        fn comes(&mut self, door: DoorKind, peer: Peer, at: Duration) -> usize {
            let (stream, end) = UnixStream::pair().unwrap();
            self.ends.push(end);
            let client = Client::new(Stream::Unix(stream), door, peer, at);
            self.roll.insert(client, false)
        }

        fn goes_inside(&mut self, slot: usize) {
            let client = self.roll.get_mut(slot).unwrap();
            client.is_inside(RequestId(1), Shape::default(), 0);
        }

        fn admit(&mut self, peer: Peer, at: Duration) -> Admission {
            self.roll.admit(API, &peer, false, &OPTIONS, at)
        }
    }

    #[test]
    fn who_fills_a_door_makes_room_in_it() {
        let mut bench = Bench::new();
        let alone = bench.comes(API, peer(1), seconds(0));
        let many: Vec<usize> = (1..4)
            .map(|at| bench.comes(API, peer(2), seconds(at)))
            .collect();
        // The oldest of all is spared, for its network has but one.
        assert_eq!(
            bench.admit(peer(3), seconds(60)),
            Admission::InsteadOf(many[0])
        );
        assert_eq!(
            bench.admit(peer(2), seconds(60)),
            Admission::InsteadOf(many[0])
        );
        bench.goes_inside(many[0]);
        assert_eq!(
            bench.admit(peer(3), seconds(60)),
            Admission::InsteadOf(many[1])
        );
        bench.goes_inside(many[1]);
        bench.goes_inside(many[2]);
        // At its own cap a network makes room itself or not at all; for others the next one does.
        assert_eq!(bench.admit(peer(2), seconds(60)), Admission::Full);
        assert_eq!(
            bench.admit(peer(3), seconds(60)),
            Admission::InsteadOf(alone)
        );
        bench.goes_inside(alone);
        assert_eq!(bench.admit(peer(3), seconds(60)), Admission::Full);
        assert_eq!(
            bench
                .roll
                .admit(DoorKind::Control, &peer(3), false, &OPTIONS, seconds(60)),
            Admission::Room
        );
    }

    /// A look is taken once in a while; who has moved on since is not among those that go.
    #[test]
    fn a_flood_of_newcomers_takes_the_oldest_one_after_the_other() {
        let options = GateOptions {
            connections_max: 64,
            connections_per_address_max: 64,
            ..OPTIONS
        };
        let mut bench = Bench::new();
        for at in 0..64 {
            bench.comes(API, peer(1), seconds(at));
        }
        let mut gone = Vec::new();
        for at in 0..32 {
            if at % 8 == 0 {
                // The one that would be next asks something.
                bench.goes_inside(at + at / 8);
            }
            let now = seconds(100 + at as u64);
            let Admission::InsteadOf(slot) = bench.roll.admit(API, &peer(1), false, &options, now)
            else {
                panic!("nobody goes");
            };
            gone.push(bench.roll.remove(slot).unwrap().since.as_secs());
            bench.comes(API, peer(1), now);
        }
        let spared = [0, 9, 18, 27];
        let expected: Vec<u64> = (0..64).filter(|at| !spared.contains(at)).take(32).collect();
        assert_eq!(gone, expected);
    }

    #[test]
    fn who_has_just_come_is_spared_while_others_can_go() {
        let mut bench = Bench::new();
        let old = bench.comes(API, peer(2), seconds(0));
        let client = bench.roll.get_mut(old).unwrap();
        client.phase = Phase::Answering;
        let young = bench.comes(API, peer(2), seconds(10));
        let inside = bench.comes(API, peer(2), seconds(0));
        bench.goes_inside(inside);
        let now = seconds(10) + GRACE / 2;
        assert_eq!(bench.admit(peer(2), now), Admission::InsteadOf(old));
        // A reader that is not slow yet is not asked.
        bench.roll.get_mut(old).unwrap().since = seconds(10);
        assert_eq!(bench.admit(peer(2), now), Admission::InsteadOf(young));
    }

    #[test]
    fn descriptors_that_are_short_are_won_from_the_api_first() {
        let mut bench = Bench::new();
        let api = bench.comes(API, peer(1), seconds(1));
        let control = bench.comes(DoorKind::Control, peer(1), seconds(0));
        let short =
            |bench: &mut Bench, door| bench.roll.admit(door, &peer(2), true, &OPTIONS, seconds(9));
        assert_eq!(
            short(&mut bench, DoorKind::Control),
            Admission::InsteadOf(api)
        );
        bench.goes_inside(api);
        assert_eq!(
            short(&mut bench, DoorKind::Control),
            Admission::InsteadOf(control)
        );
        // A client of the API takes nothing from the operator, and there is nothing left to say so with.
        assert_eq!(short(&mut bench, API), Admission::Crowded);
    }

    #[test]
    fn one_customer_of_ipv6_is_one_address() {
        let mut bench = Bench::new();
        let six = |last| Peer::Address(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into());
        for last in 0..3 {
            let slot = bench.comes(API, six(last), seconds(0));
            bench.goes_inside(slot);
        }
        assert_eq!(bench.admit(six(99), seconds(0)), Admission::Full);
        let other = Peer::Address(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 0).into());
        assert_eq!(bench.admit(other, seconds(0)), Admission::Room);
        for slot in 0..3 {
            bench.roll.remove(slot);
        }
        assert!(bench.roll.by_network.is_empty() && bench.roll.clients.is_empty());
    }
}
