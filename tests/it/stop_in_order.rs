//! SIGTERM of the real binary while the CAS owes answers: each attempt is settled in the ledger before the process ends, and
//! the next start goes on from there.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use pairbox::domain::Outcome;
use pairbox::domain::event::Event;
use pairbox::ledger::{Reader, RealFiles};
use rustix::process::Signal;
use serde_json::Value;

use crate::headend::{Headend, seed};
use crate::scene::{Cas, card_serial, stb_serial, wait_until};
use crate::self_watch::signal;

const CARDS: u32 = 20;

/// All events, in order.
pub fn events(made: &Headend) -> Vec<Event> {
    let folder = made.path().join("data/ledger");
    let reader = Reader::open(&folder, Arc::new(RealFiles)).unwrap();
    let event = |entry: pairbox::ledger::Entry| serde_json::from_str(entry.event.get()).unwrap();
    reader
        .entries(1)
        .map(|entry| event(entry.unwrap().1))
        .collect()
}

/// Requests that have not ended.
pub fn pending(made: &Headend) -> usize {
    let list = made.run(&["request", "list", "--state", "PENDING", "--output", "json"]);
    let pending: Value = serde_json::from_str(&list).unwrap();
    pending.as_array().unwrap().len()
}

#[test]
fn a_stop_while_the_cas_owes_answers_leaves_no_attempt_without_its_end() {
    let seed = seed();
    let mut cas = Cas::start("drop=50%", seed);
    let made = Headend::new(cas.address, CARDS);
    let config = made.path().join("pairbox.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"400ms\"", "\"60s\"")).unwrap();
    let mut served = made.serve();
    for card in 0..CARDS {
        made.run(&["pair", &card_serial(card), &stb_serial(card)]);
    }
    let heard = || cas.view.figures().commands;
    wait_until(|| heard() >= u64::from(CARDS), || heard().to_string());
    let owed = pending(&made);
    assert!(owed > 0, "the CAS owes no answer, seed {seed}");
    signal(&served, Signal::TERM);
    assert!(served.child.wait().unwrap().success());

    let events = events(&made);
    assert_eq!(events.last(), Some(&Event::ServiceStopped {}));
    let mut begun = BTreeSet::new();
    let mut unknown = 0;
    for event in events {
        match event {
            Event::AttemptBegun(attempt) => {
                begun.insert((attempt.request, attempt.attempt));
            }
            Event::AttemptSettled(settled) => {
                let was_begun = begun.remove(&(settled.request, settled.attempt));
                assert!(was_begun, "{settled:?}");
                if settled.outcome == Outcome::Unknown {
                    assert_eq!(settled.text.as_deref(), Some("the service stopped"));
                    unknown += 1;
                }
            }
            _ => {}
        }
    }
    assert!(begun.is_empty(), "without an end: {begun:?}, seed {seed}");
    assert!(unknown > 0 && unknown <= owed, "{unknown} of {owed}");

    cas.stop();
    let address = cas.address.to_string();
    let honest = Cas::start_on(&address, "", seed);
    let _served = made.serve();
    wait_until(|| pending(&made) == 0, || pending(&made).to_string());
    // What was unknown was sent again.
    let held = || {
        honest
            .pairings()
            .as_object()
            .map_or(0, serde_json::Map::len)
    };
    wait_until(|| held() == unknown, || held().to_string());
}
