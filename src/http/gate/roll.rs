//! Who is in: all clients, counted by door and by address, and who has to make room for others.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use slab::Slab;

use super::client::{Client, Phase};
use super::options::{GateOptions, LEAVING_MAX};
use super::private::{DoorKind, Peer};
use crate::domain::network::network;

#[derive(Default)]
pub struct Roll {
    clients: Slab<Entry>,
    by_door: HashMap<DoorKind, usize>,
    by_address: HashMap<(DoorKind, IpAddr), usize>,
    beyond: usize,
    /// Bytes of requests that have not come whole, and of answers that have not left.
    pub request_bytes: usize,
    pub answer_bytes: usize,
}

struct Entry {
    client: Client,
    /// Over the caps: in only to be told so.
    is_beyond: bool,
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
    /// Judges one more client of a door.
    pub fn admit(&self, door: DoorKind, peer: &Peer, options: &GateOptions) -> Admission {
        let address = network(peer.address());
        let of_door = self.by_door.get(&door).copied().unwrap_or(0);
        if self.of_address(door, address) >= options.per_address_max(door) {
            return self.instead(self.victim(door, address, true));
        }
        if of_door >= options.connections_max(door) {
            return self.instead(self.victim(door, address, false));
        }
        Admission::Room
    }

    /// Who makes room for a newcomer of that address: who owes the rest of a head, then who stands between two requests, then
    /// who owes the rest of a body. Of each the newcomer's own address first, then the address that holds most, then the
    /// oldest; heads by their age alone.
    fn victim(&self, door: DoorKind, newcomer: IpAddr, is_own_only: bool) -> Option<usize> {
        let of_door = |(_, entry): &(usize, &Entry)| !entry.is_beyond && entry.client.door == door;
        self.clients
            .iter()
            .filter(of_door)
            .filter_map(|(slot, Entry { client, .. })| {
                let address = network(client.peer.address());
                let is_own = address == newcomer;
                if is_own_only && !is_own {
                    return None;
                }
                let (tier, held) = if client.owes_head() {
                    (0, 0)
                } else if client.is_idle() {
                    (1, self.of_address(door, address))
                } else if client.owes_body() {
                    (2, self.of_address(door, address))
                } else {
                    return None;
                };
                Some(((tier, !is_own, Reverse(held), client.since), slot))
            })
            .min()
            .map(|(_, slot)| slot)
    }

    fn of_address(&self, door: DoorKind, address: IpAddr) -> usize {
        self.by_address.get(&(door, address)).copied().unwrap_or(0)
    }

    pub fn insert(&mut self, client: Client, is_beyond: bool) -> usize {
        if is_beyond {
            self.beyond += 1;
        } else {
            let address = network(client.peer.address());
            *self.by_door.entry(client.door).or_default() += 1;
            *self.by_address.entry((client.door, address)).or_default() += 1;
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
        let key = (client.door, network(client.peer.address()));
        if let Some(count) = self.by_address.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&key);
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

    fn oldest(&self, holds: impl Fn(&Client) -> bool) -> Option<usize> {
        self.clients
            .iter()
            .filter(|(_, entry)| !entry.is_beyond && holds(&entry.client))
            .min_by_key(|(_, entry)| entry.client.since)
            .map(|(slot, _)| slot)
    }

    fn instead(&self, slot: Option<usize>) -> Admission {
        match slot {
            Some(slot) => Admission::InsteadOf(slot),
            None if self.beyond < LEAVING_MAX => Admission::Full,
            None => Admission::Crowded,
        }
    }

    /// The clients whose time is up.
    pub fn overdue(&self, options: &GateOptions, now: Duration) -> Vec<usize> {
        self.slots(|client| client.deadline(options).is_some_and(|at| now >= at))
    }
}
