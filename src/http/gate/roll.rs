//! Who is in: all clients, counted by door and by address, and who has to make room for others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use slab::Slab;

use super::client::{Client, Phase};
use super::options::{GateOptions, LEAVING_MAX};
use super::private::{DoorKind, Peer};

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
        let address = peer.address();
        let of_door = self.by_door.get(&door).copied().unwrap_or(0);
        let of_address = self.by_address.get(&(door, address)).copied().unwrap_or(0);
        if of_address >= options.per_address_max(door) {
            return self.instead(self.oldest_head(door, Some(address)));
        }
        if of_door >= options.connections_max(door) {
            let same = self.oldest_head(door, Some(address));
            return self.instead(same.or_else(|| self.oldest_head(door, None)));
        }
        Admission::Room
    }

    pub fn insert(&mut self, client: Client, is_beyond: bool) -> usize {
        if is_beyond {
            self.beyond += 1;
        } else {
            let address = client.peer.address();
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
        let key = (client.door, client.peer.address());
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

    /// The one that has taken its answer for the longest.
    pub fn slowest_reader(&self) -> Option<usize> {
        self.oldest(|client| matches!(client.phase, Phase::Answering))
    }

    fn oldest_head(&self, door: DoorKind, address: Option<IpAddr>) -> Option<usize> {
        self.oldest(|client| {
            client.door == door
                && client.owes_head()
                && address.is_none_or(|address| client.peer.address() == address)
        })
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
