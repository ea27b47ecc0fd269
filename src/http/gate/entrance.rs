//! The gate's entrance: doors that open and shut, who comes in by them, and for whom somebody else has to go.
//!
//! A door lets in so many at a time, or a flood of newcomers would keep the gate from those who are in. Clients leave some
//! file descriptors to the rest of the process: a ledger or a state that cannot open a file ends it.

use std::time::Duration;

use mio::Token;
use rustix::process::{Resource, getrlimit};

use super::client::Client;
use super::door::Accepted;
use super::options::{DESCRIPTORS_KEPT, SHORTAGE_TOLD_EVERY};
use super::private::DoorKind;
use super::roll::Admission;
use super::upstream::Upstream;
use super::{FIRST_CLIENT, FIRST_DOOR, Gate, NO_SLOT};
use crate::domain::Refusal;
use crate::http::crm::CallError;
use crate::telemetry::Metric;

/// How many file descriptors the process may have, and how many of them clients leave alone.
pub(super) struct Descriptors {
    limit: usize,
    kept: usize,
    told: Option<Duration>,
}

impl Descriptors {
    pub fn of_process() -> Self {
        let limit = getrlimit(Resource::Nofile).current;
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.unwrap_or(usize::MAX);
        Self {
            limit,
            kept: DESCRIPTORS_KEPT.min(limit / 4),
            told: None,
        }
    }

    /// Whether a client with this one has come too close to the limit. The lowest number that is free is given, so a high
    /// one says that all below are in use. This machine's own doors may go half as far again.
    fn are_short(&self, descriptor: usize, door: DoorKind) -> bool {
        let kept = match door {
            DoorKind::Api => self.kept,
            DoorKind::Ops | DoorKind::Control => self.kept / 2,
        };
        descriptor >= self.limit.saturating_sub(kept)
    }

    fn tell(&mut self, now: Duration) {
        let is_due = |told: Duration| now.saturating_sub(told) >= SHORTAGE_TOLD_EVERY;
        if self.told.is_none_or(is_due) {
            self.told = Some(now);
            tracing::warn!(
                limit = self.limit,
                "file descriptors are short: clients make room for others; LimitNOFILE= or `ulimit -n` gives more"
            );
        }
    }
}

impl Gate {
    /// Lets in who waits at the doors, a number at a time.
    pub(super) fn accept_waiting(&mut self, now: Duration) {
        for at in 0..self.doors.len() {
            let Some(kind) = self.doors.get(at).map(|door| door.kind) else {
                return;
            };
            for _ in 0..self.options.accepts_max(kind) {
                let Some(door) = self.doors.get_mut(at).filter(|door| door.is_due(now)) else {
                    break;
                };
                match door.accept(now) {
                    Accepted::Done => break,
                    Accepted::Nobody => {}
                    Accepted::Client(stream, peer) => {
                        self.admit(Client::new(stream, kind, peer, now), now);
                    }
                }
            }
        }
    }

    fn admit(&mut self, mut client: Client, now: Duration) {
        let is_short = self
            .descriptors
            .are_short(client.stream.descriptor(), client.door);
        if is_short {
            self.descriptors.tell(now);
        }
        let options = &self.options;
        let admission = self
            .roll
            .admit(client.door, &client.peer, is_short, options, now);
        if let Admission::InsteadOf(slot) = admission {
            self.metrics.count(Metric::HttpEvicted);
            self.close(slot);
            // Into the place that is free now, or one more would be taken with every second newcomer.
            if is_short && client.stream.lower().is_err() {
                return self.metrics.count(Metric::HttpRefused);
            }
        }
        let is_beyond = match admission {
            Admission::Room | Admission::InsteadOf(_) => false,
            // Without keys nothing can be said, and keys cost a signature.
            Admission::Full if !client.stream.is_shaking_hands() => true,
            Admission::Full | Admission::Crowded => {
                return self.metrics.count(Metric::HttpRefused);
            }
        };
        if is_beyond {
            self.metrics.count(Metric::HttpRefused);
            let date = self.date();
            client.refuse(&CallError::Refused(Refusal::Overloaded), &date, now);
        }
        let slot = self.roll.insert(client, is_beyond);
        let token = Token(FIRST_CLIENT + slot);
        let registry = self.poll.registry();
        let registered = self
            .roll
            .with(slot, |client| client.stream.register(registry, token));
        match registered {
            // At once: whoever has asked by now is inside before another newcomer may want the room.
            Some(Ok(())) if slot < NO_SLOT => self.turn(slot, now),
            _ => self.close(slot),
        }
    }

    /// Opens the doors once there is a way on.
    pub(super) fn open_doors(&mut self) {
        if self.are_doors_open
            || self.are_doors_closed()
            || !self.lines.iter().any(Upstream::is_open)
        {
            return;
        }
        self.are_doors_open = true;
        let registry = self.poll.registry();
        for (at, door) in self.doors.iter_mut().enumerate() {
            if let Err(error) = door.register(registry, Token(FIRST_DOOR + at)) {
                tracing::error!(door = door.kind.as_str(), %error, "a door cannot be watched");
            }
        }
    }

    pub(super) fn shut_doors(&mut self) {
        let registry = self.poll.registry();
        for mut door in std::mem::take(&mut self.doors) {
            if self.are_doors_open
                && let Err(error) = door.deregister(registry)
            {
                tracing::debug!(%error, "a door could not be taken out of the loop");
            }
        }
        for slot in self.roll.slots(Client::is_idle) {
            self.close(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_descriptors_to_the_process_and_to_its_operator() {
        let of = |limit: usize| Descriptors {
            limit,
            kept: DESCRIPTORS_KEPT.min(limit / 4),
            told: None,
        };
        for (limit, api, own) in [(64, 48, 56), (1_024, 960, 992), (65_536, 65_472, 65_504)] {
            let descriptors = of(limit);
            for (door, first) in [
                (DoorKind::Api, api),
                (DoorKind::Ops, own),
                (DoorKind::Control, own),
            ] {
                assert!(!descriptors.are_short(first - 1, door), "{limit} {door:?}");
                assert!(descriptors.are_short(first, door), "{limit} {door:?}");
            }
        }
    }
}
