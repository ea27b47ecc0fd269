//! The next chunk is made ready while the writer has the one before it: nothing of that may be seen in what comes out.

use std::fmt::Write as _;

use super::headend::Served;
use super::job_scene::{Bulk, ends};
use super::scene::{card_serial, stb_serial, wait_until};

const ROUNDS: u32 = 12;

/// One row a chunk, so that each is made ready before the one that it needs is done.
const SCRIPT: &str = r#"
fn options() { #{ columns: ["what", "card", "stb"], chunk: 1 } }

fn row(row, job) {
    switch row.what {
        "card" => register_item(#{ product: "SC-0", serial_number: row.card, alternative_code: "C" + row.card }),
        "recode" => register_item(#{ product: "SC-0", serial_number: row.card, alternative_code: "A" + row.card, ca_id: "no digits", update: true }),
        "subscription" => register_subscription(#{ number: row.card }),
        "pair" => pair(row.card, row.stb),
        "subscribe" => pair(row.card, row.stb, #{ subscription: row.card }),
        "leave" => unpair(row.card, #{ from: row.stb }),
        "look" => if find_item(row.card).pending == 0 { fail("the pair before it is not seen") } else { skip("seen") }
    }
}
"#;

fn paused(bulk: &Bulk) -> Served {
    let served = bulk.serve();
    let said = bulk.run(&["provider", "pause", "north", "--reason", "test"]);
    assert_eq!(said.code, 0, "{}", said.err);
    bulk.write("steps.rhai", SCRIPT);
    served
}

#[test]
fn a_row_that_needs_the_chunk_before_it_is_done_behind_it() {
    let bulk = Bulk::new("", ROUNDS);
    let _served = paused(&bulk);
    let mut text = String::from("what,card,stb\n");
    for at in 0..ROUNDS {
        let (card, stb) = (format!("0190099{at:05}"), stb_serial(at));
        writeln!(text, "card,{card},\npair,{card},{stb}").unwrap();
        writeln!(text, "subscription,{card},\nsubscribe,{card},{stb}").unwrap();
        writeln!(
            text,
            "leave,{card},{stb}\nleave,{card},{}",
            stb_serial(at + ROUNDS)
        )
        .unwrap();
    }
    for at in 0..ROUNDS {
        let (card, stb) = (card_serial(at), stb_serial(at));
        // The mapping takes the card as it was, and not as it is now.
        writeln!(text, "recode,{card},\npair,{card},{stb}").unwrap();
    }
    bulk.write("steps.csv", &text);
    let dry = bulk.job("steps.rhai", "steps.csv", &["--dry-run"]);
    let report = bulk.job("steps.rhai", "steps.csv", &[]);
    let rounds = u64::from(ROUNDS);
    assert_eq!(ends(&dry), [5 * rounds, rounds, 0, 2 * rounds], "{dry}");
    assert_eq!(ends(&report), ends(&dry), "{report}");
}

#[test]
fn a_script_that_looks_sees_the_chunk_before_it() {
    let bulk = Bulk::new("", ROUNDS);
    let _served = paused(&bulk);
    for at in 0..ROUNDS {
        let (card, stb) = (card_serial(at), stb_serial(at));
        let text = format!("what,card,stb\npair,{card},{stb}\nlook,{card},\n");
        bulk.write("steps.csv", &text);
        let report = bulk.job("steps.rhai", "steps.csv", &[]);
        assert_eq!(ends(&report), [1, 0, 1, 0], "{report}");
    }
}

#[test]
fn rows_that_undo_each_other_come_out_as_they_stand_in_the_file() {
    let bulk = Bulk::new("", 4);
    let _served = paused(&bulk);
    let mut text = String::from("what,card,stb\n");
    // Two boxes change places between two cards, again and again; what is asked for last is what holds.
    for at in 0..ROUNDS {
        for card in 0..2 {
            writeln!(text, "pair,{},{}", card_serial(card), stb_serial(card)).unwrap();
            writeln!(text, "leave,{},{}", card_serial(card), stb_serial(card)).unwrap();
        }
        writeln!(text, "pair,{},{}", card_serial(2), stb_serial(at % 2 + 2)).unwrap();
    }
    bulk.write("steps.csv", &text);
    let dry = bulk.job("steps.rhai", "steps.csv", &["--dry-run"]);
    let report = bulk.job("steps.rhai", "steps.csv", &[]);
    assert_eq!(ends(&report), ends(&dry), "{report}");
    let resumed = bulk.run(&["provider", "resume", "north"]);
    assert_eq!(resumed.code, 0, "{}", resumed.err);
    let stb = stb_serial((ROUNDS - 1) % 2 + 2);
    let paired = || bulk.run(&["pairing", "list", "--output", "json"]).json();
    wait_until(
        || {
            let list = paired();
            let held: Vec<_> = list.as_array().unwrap().iter().collect();
            held.len() == 1 && held[0]["card"] == card_serial(2) && held[0]["stb"] == stb.as_str()
        },
        || paired().to_string(),
    );
}
