//! The verdict that every round ends in: (a) every acknowledged request is there, none twice; (b) nothing was sent that
//! is not recorded; (c) nothing is COMPLETED that the CAS did not acknowledge; (d) the chain is whole and the state is
//! what the ledger says; (e) the box answered, or ended with a reason and came back.
//!
//! The data directory is read after everybody has let go of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use pairbox::ledger::{self, Reader, RealFiles};
use pairbox::store::{self, State};

use crate::headend::{Ended, rows};
use crate::record::{Done, Record};
use crate::stage::opening::open_state;
use crate::wire::Wire;

/// What a call asks for, in serial numbers; `stb` none is an unpair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub card: String,
    pub stb: Option<String>,
}

/// What a round left behind.
pub struct Left<'a> {
    pub data: &'a Path,
    /// By request number: what the API answered OK to, and what the command line said is queued.
    pub acknowledged: &'a BTreeMap<u64, Asked>,
    /// Calls that ended without an answer; each may have made one request. None where keys are used again after a day.
    pub unanswered: Option<usize>,
    pub wires: &'a [Wire],
    /// How the box ended by itself, if it did. It was started again since.
    pub ended: Option<&'a Ended>,
}

/// The figures of a verdict; one that is not good panics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdict {
    pub acknowledged: u64,
    pub lost: u64,
    pub doubled: u64,
}

/// The verdict, with what the ledger says and what the state holds.
pub struct Judged {
    pub verdict: Verdict,
    pub record: Record,
    pub dump: String,
}

/// Exit codes of a box that ends by itself: an error of the disk while it runs, or any before it serves.
const ENDS: [i32; 2] = [pairbox::telemetry::EXIT_IO_ERROR, 1];

/// Judges a round; panics where a promise is broken.
pub fn judge(left: &Left) -> Judged {
    if let Some(ended) = left.ended {
        assert!(
            ended.code.is_some_and(|code| ENDS.contains(&code)),
            "{ended:?}"
        );
        let is_told =
            |line: &str| line.starts_with("pairbox: fatal: ") || line.starts_with("error: ");
        assert!(ended.reason.lines().any(is_told), "no reason: {ended:?}");
    }
    let folder = left.data.join("ledger");
    ledger::verify(&folder, Arc::new(RealFiles), &mut |_| {})
        .unwrap_or_else(|error| panic!("{error}"));
    let reader = Reader::open(&folder, Arc::new(RealFiles)).unwrap();
    let dump = found(left.data, &reader);
    assert_same(&dump, &rebuilt(&reader));
    let record = Record::read(&reader);
    let verdict = count(left, &record);
    assert_eq!((verdict.lost, verdict.doubled), (0, 0), "{verdict:?}");
    for wire in left.wires {
        check_wire(wire, &record);
    }
    check_phases(&dump, &record);
    Judged {
        verdict,
        record,
        dump,
    }
}

/// The state as it was found, after the replay of what it lacked.
fn found(data: &Path, reader: &Reader) -> String {
    let (state, opened) = open_state(data, reader);
    assert!(!opened.lost_events, "no acknowledged event is gone");
    dumped(&state)
}

fn rebuilt(reader: &Reader) -> String {
    let scratch = tempfile::tempdir().unwrap();
    let (state, _) = pairbox::commit::rebuild(scratch.path(), CACHE_BYTES, reader, &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    dumped(&state)
}

const CACHE_BYTES: u64 = 16 << 20;

fn dumped(state: &State) -> String {
    let mut bytes = Vec::new();
    store::dump(state, &mut bytes).unwrap().unwrap();
    state.close().unwrap();
    String::from_utf8(bytes).unwrap()
}

fn assert_same(found: &str, rebuilt: &str) {
    if found != rebuilt {
        let differing = found.lines().zip(rebuilt.lines()).find(|(a, b)| a != b);
        panic!("the state is not what the ledger says: {differing:#?}");
    }
}

/// What is gone of the acknowledged, and what is there more often than it was asked for.
fn count(left: &Left, record: &Record) -> Verdict {
    let is_there = |number: &u64, asked: &Asked| record.asked(*number).as_ref() == Some(asked);
    let lost = left
        .acknowledged
        .iter()
        .filter(|(number, asked)| !is_there(number, asked))
        .inspect(|(number, asked)| println!("lost: request {number}, {asked:?}"))
        .count();
    let mut doubled = 0;
    if let Some(unanswered) = left.unanswered {
        let nobodys = record.accepted.len() - (left.acknowledged.len() - lost);
        doubled = record.keys_used_again + nobodys.saturating_sub(unanswered) as u64;
        if doubled > 0 {
            let of_nobody = |number: &&u64| !left.acknowledged.contains_key(number);
            for number in record.accepted.keys().filter(of_nobody) {
                println!("nobody's: request {number}, {:?}", record.asked(*number));
            }
            println!(
                "unanswered: {unanswered}, keys used again: {}",
                record.keys_used_again
            );
        }
    }
    Verdict {
        acknowledged: left.acknowledged.len() as u64,
        lost: lost as u64,
        doubled,
    }
}

/// Every frame that left was recorded before as it is, once; and what is called done was acknowledged on this wire.
fn check_wire(wire: &Wire, record: &Record) {
    let mut seen = BTreeSet::new();
    for sent in &wire.heard {
        let intent = record.intents.get(&(wire.provider, sent.transaction));
        assert_eq!(intent, Some(sent), "sent, and the intent that is recorded");
        assert!(seen.insert(sent.transaction), "sent twice: {sent:?}");
    }
    for (number, done) in &record.completed {
        let is_ours = record.accepted[number].provider == wire.provider;
        if let Done::Acknowledged(transaction) = done
            && is_ours
        {
            assert!(
                wire.confirmed.contains(transaction),
                "request {number} is called done, the CAS never acknowledged {transaction}"
            );
        }
    }
}

/// What the state calls completed is what the ledger calls so.
fn check_phases(dump: &str, record: &Record) {
    let tables = rows(dump);
    for number in record.accepted.keys() {
        let phase = &tables["request"][number]["phase"];
        assert_eq!(
            phase.as_str() == Some("completed"),
            record.completed.contains_key(number),
            "request {number}: {phase}"
        );
    }
}
