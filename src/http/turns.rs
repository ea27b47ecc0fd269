//! Whose turn it is on a connection: answers go out in the order of the requests, and nobody waits for that.
//!
//! tiny_http makes `respond` of the second request of a connection block until the first is answered. A client that sends
//! requests ahead could so hold up the pump, a worker or the responder, for as long as its first call is parked, or for
//! ever where one thread owes both answers. Here an answer that comes too early is kept, and whoever gives the one before
//! it sends it along.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Sends one answer.
pub type Delivery = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub struct Turns {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    connections: HashMap<Option<SocketAddr>, VecDeque<Slot>>,
}

struct Slot {
    number: u64,
    /// The answer, once it is known.
    delivery: Option<Delivery>,
}

/// The place of one request among those of its connection.
pub struct Turn {
    turns: Arc<Turns>,
    connection: Option<SocketAddr>,
    number: u64,
}

impl Turns {
    /// Takes a place; to be called in the order in which a connection's requests came.
    pub fn take(self: &Arc<Self>, connection: Option<SocketAddr>) -> Turn {
        let mut waiting = self.lock();
        waiting.last += 1;
        let number = waiting.last;
        let slot = Slot {
            number,
            delivery: None,
        };
        waiting
            .connections
            .entry(connection)
            .or_default()
            .push_back(slot);
        Turn {
            turns: self.clone(),
            connection,
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Sends the answer and those that waited for it; or keeps it, if one before it is still owed.
    pub fn deliver(self, delivery: Delivery) {
        let mut waiting = self.turns.lock();
        let Some(slots) = waiting.connections.get_mut(&self.connection) else {
            return;
        };
        if let Some(slot) = slots.iter_mut().find(|slot| slot.number == self.number) {
            slot.delivery = Some(delivery);
        }
        let known = slots.iter().take_while(|slot| slot.delivery.is_some());
        let count = known.count();
        let due: Vec<Slot> = slots.drain(..count).collect();
        if slots.is_empty() {
            waiting.connections.remove(&self.connection);
        }
        drop(waiting);
        for delivery in due.into_iter().filter_map(|slot| slot.delivery) {
            delivery();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_out_in_the_order_of_the_requests() {
        let turns = Arc::new(Turns::default());
        let told = Arc::new(Mutex::new(Vec::new()));
        let send = |word: &'static str| -> Delivery {
            let told = told.clone();
            Box::new(move || told.lock().unwrap().push(word))
        };
        let here = Some("127.0.0.1:1".parse().unwrap());
        let there = Some("127.0.0.1:2".parse().unwrap());
        let (first, second, third) = (turns.take(here), turns.take(here), turns.take(here));
        let other = turns.take(there);
        second.deliver(send("second"));
        other.deliver(send("other"));
        assert_eq!(*told.lock().unwrap(), ["other"]);
        first.deliver(send("first"));
        assert_eq!(*told.lock().unwrap(), ["other", "first", "second"]);
        third.deliver(send("third"));
        assert_eq!(told.lock().unwrap().len(), 4);
        assert!(turns.lock().connections.is_empty());
    }
}
