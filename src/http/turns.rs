//! Whose turn it is on a connection: answers go out in the order of the requests, and whoever knows an answer never writes it.
//!
//! tiny_http makes `respond` of the second request of a connection block until the first is answered, and a client that does
//! not read makes every write block until its time-out. So an answer is only put down here; a few writers of their own
//! carry a connection's answers out, one writer at a time. A connection whose write failed is given up for good: what is
//! still owed to it is skipped, nothing is ever written to it again.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

/// What is to become of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Send,
    /// Its connection was given up: nothing may be written.
    Skip,
}

/// Carries one answer out; an error means that the client did not take it.
pub type Delivery = Box<dyn FnOnce(Fate) -> io::Result<()> + Send>;

/// Unanswered requests on one connection. The answer of the last of them says `Connection: close`; what a client sends
/// further ahead is neither looked at nor answered.
const OWED_MAX: usize = 128;
/// After so long a silence an address that was given up is taken for another connection. The kernel has closed the old one
/// long before (`server.rs`, the user time-out).
const FORGIVEN_AFTER: Duration = Duration::from_mins(1);

type Address = Option<SocketAddr>;

/// The answers that are owed and those that wait for their turn.
pub struct Turns {
    waiting: Arc<Mutex<Waiting>>,
    /// Connections with an answer to write: each is in here at most once.
    ready: Sender<Address>,
    readied: Receiver<Address>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    connections: HashMap<Address, Connection>,
}

#[derive(Default)]
struct Connection {
    slots: VecDeque<Slot>,
    /// It is queued for a writer, or one is at it.
    is_being_written: bool,
    /// Nothing is taken from it any more; what it is owed still leaves while it can.
    is_given_up: bool,
    /// When its latest request came, on the monotonic clock.
    seen: Duration,
}

struct Slot {
    number: u64,
    /// The answer, once it is known.
    delivery: Option<Delivery>,
}

/// The place of one request among those of its connection.
pub struct Turn {
    turns: Arc<Turns>,
    connection: Address,
    number: u64,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Owed,
    /// After this answer the connection is over.
    Last,
    /// The connection is over: the request is not to be looked at.
    Unwanted,
}

/// Carries answers out; several share the work. One that a client holds up harms its own connection only.
pub struct AnswerWriter {
    waiting: Arc<Mutex<Waiting>>,
    ready: Receiver<Address>,
}

/// What has not left yet, for the stop to wait for.
pub struct Outgoing(Arc<Mutex<Waiting>>);

impl Turns {
    pub fn new() -> Self {
        let (ready, readied) = unbounded();
        Self {
            waiting: Arc::default(),
            ready,
            readied,
        }
    }

    pub fn writer(&self) -> AnswerWriter {
        AnswerWriter {
            waiting: self.waiting.clone(),
            ready: self.readied.clone(),
        }
    }

    pub fn outgoing(&self) -> Outgoing {
        Outgoing(self.waiting.clone())
    }

    /// Takes a place; to be called in the order in which a connection's requests came.
    pub fn take(self: &Arc<Self>, connection: Address, now: Duration) -> Turn {
        let mut waiting = lock(&self.waiting);
        waiting.last += 1;
        let number = waiting.last;
        let known = waiting.connections.entry(connection).or_default();
        let is_quiet = known.slots.is_empty() && !known.is_being_written;
        if is_quiet && now.saturating_sub(known.seen) >= FORGIVEN_AFTER {
            known.is_given_up = false;
        }
        known.seen = now;
        let place = if known.is_given_up {
            Place::Unwanted
        } else {
            known.slots.push_back(Slot {
                number,
                delivery: None,
            });
            known.is_given_up = known.slots.len() >= OWED_MAX;
            if known.is_given_up {
                Place::Last
            } else {
                Place::Owed
            }
        };
        drop(waiting);
        Turn {
            turns: self.clone(),
            connection,
            number,
            place,
        }
    }
}

impl Turn {
    pub fn place(&self) -> Place {
        self.place
    }

    /// Puts the answer down for the writers; it leaves when it is its turn.
    pub fn deliver(self, delivery: Delivery) {
        let mut waiting = lock(&self.turns.waiting);
        let connection = waiting.connections.get_mut(&self.connection);
        let Some((connection, at)) = connection.and_then(|connection| {
            let at = connection
                .slots
                .iter()
                .position(|slot| slot.number == self.number)?;
            Some((connection, at))
        }) else {
            drop(waiting);
            return skip(vec![delivery]);
        };
        if let Some(slot) = connection.slots.get_mut(at) {
            slot.delivery = Some(delivery);
        }
        if at == 0 && !connection.is_being_written {
            connection.is_being_written = true;
            // The channel's other end lives as long as `turns`.
            let _ = self.turns.ready.send(self.connection);
        }
    }
}

impl AnswerWriter {
    /// Works until nobody can owe an answer any more.
    pub fn run(self) {
        for connection in &self.ready {
            while let Some(delivery) = self.next(connection) {
                let sent = catch_unwind(AssertUnwindSafe(|| delivery(Fate::Send)));
                let failed = match sent {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => "writing panicked".to_owned(),
                };
                tracing::debug!(error = failed, "a client did not take its answer");
                let skipped = lock(&self.waiting).give_up(connection);
                skip(skipped);
            }
        }
    }

    /// The lock is not held while an answer is written.
    fn next(&self, connection: Address) -> Option<Delivery> {
        lock(&self.waiting).next(connection)
    }
}

impl Outgoing {
    /// Whether every answer that is known and whose turn it is has left.
    pub fn is_empty(&self) -> bool {
        let waiting = lock(&self.0);
        !waiting
            .connections
            .values()
            .any(|connection| connection.is_being_written)
    }
}

impl Waiting {
    /// The answer that leaves next; none if the writer is done here for now.
    fn next(&mut self, address: Address) -> Option<Delivery> {
        let connection = self.connections.get_mut(&address)?;
        let is_known = connection
            .slots
            .front()
            .is_some_and(|slot| slot.delivery.is_some());
        if is_known {
            return connection.slots.pop_front()?.delivery;
        }
        connection.is_being_written = false;
        if connection.slots.is_empty() && !connection.is_given_up {
            self.connections.remove(&address);
        }
        None
    }

    /// Ends a connection as far as we are concerned; answers what is to be skipped, outside of the lock.
    fn give_up(&mut self, address: Address) -> Vec<Delivery> {
        let connection = self.connections.entry(address).or_default();
        connection.is_given_up = true;
        let now = connection.seen;
        let slots = std::mem::take(&mut connection.slots);
        self.connections.retain(|_, other| {
            !other.is_given_up
                || other.is_being_written
                || !other.slots.is_empty()
                || now.saturating_sub(other.seen) < FORGIVEN_AFTER
        });
        slots.into_iter().filter_map(|slot| slot.delivery).collect()
    }
}

fn skip(deliveries: Vec<Delivery>) {
    for delivery in deliveries {
        // Nothing is written, so nothing fails.
        let _ = delivery(Fate::Skip);
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    /// Deliveries that tell what became of them.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<(&'static str, Fate)>>>);

    impl Told {
        fn delivery(&self, word: &'static str) -> Delivery {
            let told = self.0.clone();
            Box::new(move |fate| {
                told.lock().unwrap().push((word, fate));
                if word == "stuck" {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(())
            })
        }

        fn take(&self) -> Vec<(&'static str, Fate)> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the turns take it")]
    fn address(port: u16) -> Address {
        Some(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// Writes what is ready and returns.
    fn write(turns: Arc<Turns>) {
        let writer = turns.writer();
        drop(turns);
        writer.run();
    }

    #[test]
    fn answers_go_out_in_the_order_of_the_requests() {
        let (turns, told) = (Arc::new(Turns::new()), Told::default());
        let (first, second) = (turns.take(address(1), NOW), turns.take(address(1), NOW));
        let other = turns.take(address(2), NOW);
        second.deliver(told.delivery("second"));
        other.deliver(told.delivery("other"));
        first.deliver(told.delivery("first"));
        write(turns);
        let send = |word| (word, Fate::Send);
        assert_eq!(told.take(), [send("other"), send("first"), send("second")]);
    }

    #[test]
    fn a_connection_whose_write_failed_is_never_written_to_again() {
        let (turns, told) = (Arc::new(Turns::new()), Told::default());
        let outgoing = turns.outgoing();
        let places: Vec<_> = (0..3).map(|_| turns.take(address(1), NOW)).collect();
        for (turn, word) in places.into_iter().zip(["stuck", "second", "third"]) {
            turn.deliver(told.delivery(word));
        }
        assert!(!outgoing.is_empty());
        let later = turns.clone();
        drop(turns);
        // The late one finds no place any more.
        let late = later.take(address(2), NOW);
        late.deliver(told.delivery("other"));
        write(later);
        assert_eq!(
            told.take(),
            [
                ("stuck", Fate::Send),
                ("second", Fate::Skip),
                ("third", Fate::Skip),
                ("other", Fate::Send)
            ]
        );
        assert!(outgoing.is_empty());
    }

    #[test]
    fn a_client_too_far_ahead_loses_its_connection_until_its_address_is_forgiven() {
        let (turns, told) = (Arc::new(Turns::new()), Told::default());
        let places: Vec<_> = (0..OWED_MAX).map(|_| turns.take(address(1), NOW)).collect();
        assert_eq!(places[OWED_MAX - 2].place(), Place::Owed);
        assert_eq!(places[OWED_MAX - 1].place(), Place::Last);
        let beyond = turns.take(address(1), NOW);
        assert_eq!(beyond.place(), Place::Unwanted);
        beyond.deliver(told.delivery("beyond"));
        assert_eq!(told.take(), [("beyond", Fate::Skip)]);
        for place in places {
            place.deliver(told.delivery("owed"));
        }
        let waiting = turns.waiting.clone();
        loop {
            let Some(delivery) = lock(&waiting).next(address(1)) else {
                break;
            };
            delivery(Fate::Send).unwrap();
        }
        assert_eq!(told.take(), vec![("owed", Fate::Send); OWED_MAX]);
        assert_eq!(turns.take(address(1), NOW).place(), Place::Unwanted);
        let again = turns.take(address(1), FORGIVEN_AFTER);
        assert_eq!(again.place(), Place::Owed);
    }
}
