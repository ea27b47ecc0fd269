//! Attempts: those in flight, and those that are over but may still be answered.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::domain::{Acknowledges, ItemNumber, Purpose, Request, RequestNumber};
use crate::provider::LaneId;

/// Attempts that are over and still known by their key, for each provider.
const OVER_MAX: usize = 65_536;

/// An attempt from the `begin` command to its settling.
#[derive(Clone, Debug)]
pub struct Flight {
    pub request: RequestNumber,
    pub lane: LaneId,
    pub connection: u64,
    /// Given by the writer; none until the intent is recorded.
    pub attempt: Option<u32>,
    pub purpose: Purpose,
    pub step: u8,
    pub transaction: u64,
    pub key: String,
    pub acknowledges: Acknowledges,
    /// The card and STBs that it is about.
    pub items: Vec<ItemNumber>,
    pub body: Vec<u8>,
    /// Sent alone on its lane.
    pub is_alone: bool,
}

impl Flight {
    /// What is kept of it; none if its intent was never recorded.
    pub fn over(&self) -> Option<Over> {
        Some(Over {
            request: self.request,
            attempt: self.attempt?,
            purpose: self.purpose,
            step: self.step,
            transaction: self.transaction,
            acknowledges: self.acknowledges,
        })
    }
}

/// What is still known of an attempt that is over.
#[derive(Clone, Copy, Debug)]
pub struct Over {
    pub request: RequestNumber,
    pub attempt: u32,
    pub purpose: Purpose,
    pub step: u8,
    pub transaction: u64,
    pub acknowledges: Acknowledges,
}

/// The attempts of one provider.
#[derive(Default)]
pub struct Attempts {
    flights: HashMap<u64, Flight>,
    by_key: HashMap<String, u64>,
    by_request: HashMap<RequestNumber, u64>,
    /// The items of the attempts in flight. An attempt may outlive its request, if a late answer ends that.
    busy: HashMap<ItemNumber, RequestNumber>,
    /// Deadlines of replies, soonest first: the time-out is the same for all.
    deadlines: VecDeque<(Duration, u64)>,
    over: HashMap<String, Over>,
    over_order: VecDeque<String>,
    over_max: usize,
    forgotten: Vec<u64>,
}

impl Attempts {
    /// Keeps at most a quarter of the `numbers` there are for attempts that are over, so that the others stay usable.
    pub fn new(numbers: u64) -> Self {
        let quarter = usize::try_from(numbers / 4).unwrap_or(OVER_MAX);
        Self {
            over_max: quarter.clamp(1, OVER_MAX),
            ..Self::default()
        }
    }

    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    pub fn has(&self, request: RequestNumber) -> bool {
        self.by_request.contains_key(&request)
    }

    pub fn add(&mut self, handle: u64, flight: Flight) {
        self.by_key.insert(flight.key.clone(), handle);
        self.by_request.insert(flight.request, handle);
        for item in &flight.items {
            self.busy.insert(*item, flight.request);
        }
        self.flights.insert(handle, flight);
    }

    pub fn get(&self, handle: u64) -> Option<&Flight> {
        self.flights.get(&handle)
    }

    /// Whether an attempt of another request is out for its card or one of its STBs.
    pub fn is_busy(&self, request: &Request) -> bool {
        let other = |item| {
            self.busy
                .get(&item)
                .is_some_and(|other| *other != request.number)
        };
        !self.busy.is_empty() && request.queues().any(other)
    }

    /// The intent is recorded: the attempt has a number and a deadline.
    pub fn begun(&mut self, handle: u64, attempt: u32, deadline: Duration) -> Option<&mut Flight> {
        let flight = self.flights.get_mut(&handle)?;
        flight.attempt = Some(attempt);
        self.deadlines.push_back((deadline, handle));
        Some(flight)
    }

    /// The key of the attempt that waits longest for its answer.
    pub fn longest_out(&self) -> Option<&str> {
        let mut out = self.deadlines.iter();
        out.find_map(|(_, handle)| self.flights.get(handle))
            .map(|flight| flight.key.as_str())
    }

    pub fn by_key(&self, key: &str) -> Option<u64> {
        self.by_key.get(key).copied()
    }

    /// The attempt that an answer on a connection is for, for mappings that match in order: the oldest one, unless the answer
    /// names another.
    pub fn next_on(&self, lane: LaneId, connection: u64, key: &str) -> Option<u64> {
        let handle = self.oldest_on(lane, connection)?;
        let flight = self.flights.get(&handle)?;
        (key.is_empty() || flight.key.is_empty() || flight.key == key).then_some(handle)
    }

    fn oldest_on(&self, lane: LaneId, connection: u64) -> Option<u64> {
        let on_it = |handle: &&u64| {
            self.flights.get(handle).is_some_and(|flight| {
                flight.lane == lane && flight.connection == connection && flight.attempt.is_some()
            })
        };
        self.deadlines
            .iter()
            .map(|(_, handle)| handle)
            .find(on_it)
            .copied()
    }

    /// All attempts on a connection, in the order of their handles.
    pub fn on_connection(&self, lane: LaneId, connection: u64) -> Vec<u64> {
        let on_it =
            |(_, flight): &(&u64, &Flight)| flight.lane == lane && flight.connection == connection;
        let mut handles: Vec<u64> = self
            .flights
            .iter()
            .filter(on_it)
            .map(|(handle, _)| *handle)
            .collect();
        handles.sort_unstable();
        handles
    }

    /// Takes an attempt out of flight. If its intent was recorded it stays known by its key.
    pub fn end(&mut self, handle: u64) -> Option<Flight> {
        let flight = self.flights.remove(&handle)?;
        self.by_key.remove(&flight.key);
        self.by_request.remove(&flight.request);
        for item in &flight.items {
            self.busy.remove(item);
        }
        if let Some(over) = flight.over() {
            self.remember(flight.key.clone(), over);
        }
        Some(flight)
    }

    /// Keeps the key of an attempt that is over. Answers in order may have one key again and again: the newest has it.
    /// Of what had to go, the transaction numbers are put aside for `take_forgotten`.
    pub fn remember(&mut self, key: String, over: Over) {
        match self.over.insert(key.clone(), over) {
            None => self.over_order.push_back(key),
            Some(gone) if gone.transaction != over.transaction => {
                self.forgotten.push(gone.transaction);
            }
            Some(_) => {}
        }
        while self.over_order.len() > self.over_max {
            if let Some(oldest) = self.over_order.pop_front() {
                let gone = self.over.remove(&oldest);
                self.forgotten.extend(gone.map(|over| over.transaction));
            }
        }
    }

    /// Transaction numbers that no late answer can be matched to any more: free for use again.
    pub fn take_forgotten(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.forgotten)
    }

    pub fn over(&self, key: &str) -> Option<Over> {
        self.over.get(key).copied()
    }

    /// An attempt whose answer is overdue.
    pub fn take_overdue(&mut self, now: Duration) -> Option<u64> {
        while let Some((deadline, handle)) = self.deadlines.front().copied() {
            let is_over = !self.flights.contains_key(&handle);
            if !is_over && deadline > now {
                return None;
            }
            self.deadlines.pop_front();
            if !is_over {
                return Some(handle);
            }
        }
        None
    }

    /// When the next answer is overdue.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_whose_key_another_takes_gives_its_number_back() {
        let mut attempts = Attempts::new(100);
        for transaction in [1, 2, 2, 3] {
            let over = Over {
                request: RequestNumber(7),
                attempt: 1,
                purpose: Purpose::Command,
                step: 0,
                transaction,
                acknowledges: Acknowledges::NOTHING,
            };
            attempts.remember(String::new(), over);
        }
        assert_eq!(attempts.take_forgotten(), [1, 2]);
        assert_eq!(attempts.over("").map(|over| over.transaction), Some(3));
    }
}
