//! What the ledger alone says, read line by line, and what must hold of it whatever happened to the box.
//!
//! No request twice, order for each card, every intent before its end, nothing done that the CAS did not acknowledge.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use pairbox::domain::event::{
    Accepted, Begun, Confirmed, Ending, Event, Frame, LateAnswer, LateEffect, Resolution, Settled,
    Then,
};
use pairbox::domain::{Confirms, Outcome, Place, Purpose, Timestamp};
use pairbox::ledger::Reader;

use crate::verdict::Asked;
use crate::wire::{Sent, acknowledged};

/// A request as it was accepted.
pub struct Known {
    pub provider: u16,
    pub card: u64,
    pub stb: Option<u64>,
    place: Place,
    /// The date before which it must not go, unless somebody hastens it.
    not_before: Option<Timestamp>,
    transaction: u64,
}

/// How a request became COMPLETED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// By the answer to this transaction.
    Acknowledged(u64),
    /// Nothing was left to do.
    Already,
    /// An operator said so.
    Told,
}

#[derive(Default)]
pub struct Record {
    pub accepted: BTreeMap<u64, Known>,
    /// Digests of the calls' own keys, with the request that each made last.
    pub keys: BTreeMap<String, u64>,
    /// Whether a key made two requests.
    pub keys_used_again: u64,
    pub completed: BTreeMap<u64, Done>,
    /// What was to be sent, by provider and number on the wire.
    pub intents: BTreeMap<(u16, u64), Sent>,
    /// The STB that the CAS confirmed last for each card.
    pub confirmed: BTreeMap<u64, Option<u64>>,
    /// What the CAS may hold for each card: the last confirmed, and what was sent since.
    pub possible: BTreeMap<u64, BTreeSet<Option<u64>>>,
    serials: HashMap<u64, String>,
    /// Places of the unfinished requests of each card.
    queues: BTreeMap<u64, BTreeSet<Place>>,
}

impl Record {
    pub fn read(reader: &Reader) -> Self {
        let mut record = Self::default();
        for entry in reader.entries(1) {
            let (_, entry) = entry.unwrap();
            let event = serde_json::from_str(entry.event.get()).unwrap();
            record.take(entry.at, &event);
        }
        record
    }

    pub fn serial(&self, item: u64) -> &str {
        &self.serials[&item]
    }

    /// What a request asks for, in serial numbers.
    pub fn asked(&self, number: u64) -> Option<Asked> {
        let known = self.accepted.get(&number)?;
        let serial = |item| self.serial(item).to_owned();
        Some(Asked {
            card: serial(known.card),
            stb: known.stb.map(serial),
        })
    }

    fn take(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::ItemAdded { number, item } => {
                self.serials.insert(number.0, item.serial_number.clone());
            }
            Event::RequestAccepted(accepted) => self.accept(accepted),
            Event::AttemptBegun(begun) => self.begin(at, begun),
            Event::AttemptSettled(settled) => self.settle(settled),
            Event::LateAnswer(late) => self.late(late),
            Event::RequestEnded {
                request, ending, ..
            } => self.end_unsent(request.0, ending),
            Event::RequestHastened { request, .. } => self.hasten(request.0),
            Event::RequestResolved {
                request,
                resolution,
                confirmed,
                ..
            } => {
                match resolution {
                    Resolution::Done => self.complete(request.0, Done::Told),
                    Resolution::NotDone => self.leave(request.0),
                    Resolution::SendAgain => self.hasten(request.0),
                }
                self.confirm(confirmed.as_ref());
            }
            _ => {}
        }
    }

    fn accept(&mut self, accepted: &Accepted) {
        let number = accepted.request;
        let known = Known {
            provider: accepted.provider.0,
            card: accepted.card.0,
            stb: accepted.stb.map(|stb| stb.0),
            place: Place {
                due: accepted.due,
                number,
            },
            not_before: accepted.is_scheduled.then_some(accepted.scheduled),
            transaction: 0,
        };
        let queue = self.queues.entry(known.card).or_default();
        queue.insert(known.place);
        let twice = self.accepted.insert(number.0, known);
        assert!(twice.is_none(), "request {number} was accepted twice");
        if let Some(idempotency) = &accepted.idempotency {
            let before = self.keys.insert(idempotency.key.clone(), number.0);
            self.keys_used_again += u64::from(before.is_some());
        }
    }

    fn begin(&mut self, at: Timestamp, begun: &Begun) {
        let number = begun.request.0;
        let known = self.accepted.get_mut(&number).unwrap();
        known.transaction = begun.transaction;
        assert_eq!(
            self.queues[&known.card].first(),
            Some(&known.place),
            "request {number} is sent before its turn"
        );
        assert!(
            known.not_before.is_none_or(|date| date <= at),
            "request {number} is sent at {at}, it was to wait until {:?}",
            known.not_before
        );
        let sent = Sent::parse(begun.frame.bytes.as_bytes()).unwrap();
        assert_eq!(sent.transaction, begun.transaction);
        let wire = (known.provider, begun.transaction);
        let twice = self.intents.insert(wire, sent);
        assert!(twice.is_none(), "number {wire:?} was given out twice");
        if begun.purpose == Purpose::Command {
            // A plan may free the card before it pairs it.
            let possible = self.possible.entry(known.card).or_insert([None].into());
            possible.extend([None, known.stb]);
        }
    }

    fn settle(&mut self, settled: &Settled) {
        let number = settled.request.0;
        match settled.then {
            Then::Completed => {
                let transaction = self.accepted[&number].transaction;
                let frame = settled.frame.as_ref();
                is_acknowledged(settled.outcome, frame, transaction);
                self.complete(number, Done::Acknowledged(transaction));
            }
            Then::Rejected { .. } => {
                assert_eq!(settled.outcome, Outcome::Refused, "request {number}");
                self.leave(number);
            }
            _ => {}
        }
        self.confirm(settled.confirmed.as_ref());
    }

    fn late(&mut self, late: &LateAnswer) {
        let number = late.request.0;
        match late.effect {
            LateEffect::Completes => {
                is_acknowledged(late.outcome, Some(&late.frame), late.transaction);
                self.complete(number, Done::Acknowledged(late.transaction));
            }
            LateEffect::Rejects => self.leave(number),
            LateEffect::Nothing | LateEffect::NextStep | LateEffect::MarksDoubt => {}
        }
        self.confirm(late.confirmed.as_ref());
    }

    fn end_unsent(&mut self, number: u64, ending: &Ending) {
        if *ending != Ending::Already {
            return self.leave(number);
        }
        // Only an unpair of a card that has no STB has nothing to do.
        let known = &self.accepted[&number];
        let held = self.confirmed.get(&known.card).copied().flatten();
        assert_eq!((known.stb, held), (None, None), "request {number}");
        self.complete(number, Done::Already);
    }

    fn hasten(&mut self, number: u64) {
        self.accepted.get_mut(&number).unwrap().not_before = None;
    }

    fn complete(&mut self, number: u64, done: Done) {
        let twice = self.completed.insert(number, done);
        assert!(twice.is_none(), "request {number} is completed twice");
        self.leave(number);
    }

    /// The request leaves its card's queue for good.
    fn leave(&mut self, number: u64) {
        let known = &self.accepted[&number];
        let queue = self.queues.get_mut(&known.card).unwrap();
        assert!(queue.remove(&known.place), "request {number} ended twice");
    }

    fn confirm(&mut self, confirmed: Option<&Confirmed>) {
        let Some(confirmed) = confirmed else { return };
        let stb = match confirmed.confirms {
            Confirms::None => return,
            Confirms::Unpair => None,
            Confirms::Pair | Confirms::PairBeside => confirmed.stb.map(|stb| stb.0),
        };
        self.confirmed.insert(confirmed.card.0, stb);
        self.possible.insert(confirmed.card.0, [stb].into());
    }
}

/// The frame is the acknowledgement of the CAS for this very transaction.
fn is_acknowledged(outcome: Outcome, frame: Option<&Frame>, transaction: u64) {
    assert!(outcome.is_confirmed(), "{outcome:?}");
    let frame = frame.unwrap_or_else(|| panic!("{transaction} has no answer"));
    assert!(!frame.is_hex, "{frame:?}");
    let told = acknowledged(frame.bytes.as_bytes());
    assert_eq!(told, Some(transaction), "{frame:?}");
}
