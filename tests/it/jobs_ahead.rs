//! The script is asked for the next chunk while the writer has the one before it: nothing of that may be seen in what comes out.

use std::fmt::Write as _;

use super::headend::Served;
use super::job_scene::{Bulk, ends};
use super::scene::{card_serial, stb_serial, wait_until};

const ROUNDS: u32 = 12;

/// One row a chunk, so that the script is asked for each before the one that it needs is done.
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
        // The mapping would take the card as it was, and does not as it is now.
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

/// An unpair that names an STB is about what the card has when its turn comes, in one chunk as in several.
#[test]
fn a_card_leaves_no_other_stb_than_the_row_names() {
    let bulk = Bulk::new("", 2);
    let _served = paused(&bulk);
    let whole = SCRIPT.replace("chunk: 1", "chunk: 256");
    bulk.write("whole.rhai", &whole);
    let card = card_serial(0);
    let [one, other] = [stb_serial(0), stb_serial(1)];
    let rows = format!(
        "pair,{card},{other}\nleave,{card},{one}\nleave,{card},{other}\nleave,{card},{other}\n"
    );
    bulk.write("steps.csv", &format!("what,card,stb\n{rows}"));
    for script in ["whole.rhai", "steps.rhai", "whole.rhai"] {
        bulk.write("first.csv", &format!("what,card,stb\npair,{card},{one}\n"));
        let first = bulk.job("steps.rhai", "first.csv", &[]);
        assert_eq!(ends(&first), [1, 0, 0, 0], "{first}");
        let report = bulk.job(script, "steps.csv", &[]);
        assert_eq!(ends(&report), [2, 0, 0, 2], "{script}: {report}");
    }
}

/// Each second row must be looked up again behind the first: chunks are cut short, and the next one begins in their middle.
#[test]
fn no_row_is_left_out_or_done_twice_behind_a_chunk_that_was_cut_short() {
    let bulk = Bulk::with("", ROUNDS, "[pairing]\nstb_taken = \"replace\"");
    let _served = paused(&bulk);
    bulk.write("steps.rhai", &SCRIPT.replace("chunk: 1", "chunk: 3"));
    let rows = (0..ROUNDS).map(|at| format!("pair,{},{}\n", card_serial(at), stb_serial(0)));
    let rows = rows.collect::<Vec<_>>().concat();
    bulk.write("steps.csv", &format!("what,card,stb\n{rows}"));
    let report = bulk.job("steps.rhai", "steps.csv", &[]);
    assert_eq!(ends(&report), [u64::from(ROUNDS), 0, 0, 0], "{report}");
    // Each but the last is freed again to make room for the next.
    assert_eq!(bulk.requests(), 2 * ROUNDS as usize - 1);
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
