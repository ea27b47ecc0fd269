//! Random histories on the stage: whatever is asked, answered, lost, cut or set back, the promises hold and all ends.
//!
//! `PAIRBOX_TEST_SEED=n` repeats one history, `PAIRBOX_TEST_LONG=1` runs many more. A failure prints the seed and what happened.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use pairbox::domain::Cardinality;

use crate::history::History;

const HISTORIES: u64 = 400;
const HISTORIES_LONG: u64 = 20_000;
/// Of each cardinality beyond one to one.
const HISTORIES_LONG_OF_SETS: u64 = 5_000;
/// The plain tier stops here on a slow machine.
const PLAIN_TIME_MAX: Duration = Duration::from_mins(1);
/// Histories of the long tier that found a defect once; each is held in every run.
const FAILED_ONCE: [u64; 1] = [19_498];

#[test]
fn no_history_breaks_a_promise() {
    all_hold(Cardinality::ONE_TO_ONE);
}

#[test]
fn no_history_breaks_a_promise_where_a_card_has_several_stbs() {
    all_hold(Cardinality {
        stbs_per_card: 3,
        cards_per_stb: 1,
    });
}

#[test]
fn no_history_breaks_a_promise_where_an_stb_has_several_cards() {
    all_hold(Cardinality {
        stbs_per_card: 1,
        cards_per_stb: 3,
    });
}

#[test]
fn no_history_breaks_a_promise_where_both_have_several() {
    all_hold(Cardinality {
        stbs_per_card: 2,
        cards_per_stb: 2,
    });
}

fn all_hold(cardinality: Cardinality) {
    if let Ok(seed) = std::env::var("PAIRBOX_TEST_SEED") {
        let seed = seed.parse().unwrap();
        return assert!(passes(seed, cardinality), "seed {seed} fails");
    }
    let is_long = std::env::var_os("PAIRBOX_TEST_LONG").is_some();
    let count = match (is_long, cardinality.is_one_to_one()) {
        (false, _) => HISTORIES,
        (true, true) => HISTORIES_LONG,
        (true, false) => HISTORIES_LONG_OF_SETS,
    };
    let started = Instant::now();
    let mut done = 0;
    for seed in FAILED_ONCE.into_iter().chain(0..count) {
        if !is_long && started.elapsed() > PLAIN_TIME_MAX {
            break;
        }
        assert!(
            passes(seed, cardinality),
            "seed {seed} fails; PAIRBOX_TEST_SEED={seed} repeats it"
        );
        done += 1;
    }
    println!("{done} histories in {:?}", started.elapsed());
}

/// One history; on a failure it prints what happened.
fn passes(seed: u64, cardinality: Cardinality) -> bool {
    let mut history = History::of(seed, cardinality);
    let result = catch_unwind(AssertUnwindSafe(|| history.told(History::run)));
    if result.is_err() {
        println!("PAIRBOX_TEST_SEED={seed} repeats this history");
    }
    result.is_ok()
}
