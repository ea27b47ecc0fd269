//! Many rows: the report adds up, the CAS holds what is paired here, and a SIGKILL at any moment does no row twice or never.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pairbox::domain::Chance;
use serde_json::Value;

use super::headend::seed;
use super::job_scene::{Bulk, ends};
use super::scene::{card_serial, stb_serial, wait_until};

fn is_long() -> bool {
    std::env::var_os("PAIRBOX_TEST_LONG").is_some()
}

#[test]
fn the_report_of_many_rows_adds_up_and_the_cas_holds_what_is_paired_here() {
    let rows: u32 = if is_long() { 200_000 } else { 20_000 };
    let bulk = Bulk::new("refuse=2%", rows);
    let served = bulk.serve();
    bulk.pairs("cards.csv", 0, rows);
    let began = Instant::now();
    let report = bulk.job("pair_from_csv", "cards.csv", &["--wait"]);
    let took = began.elapsed();
    assert_eq!(ends(&report), [u64::from(rows), 0, 0, 0], "{report}");
    let count = |key: &str| report[key].as_u64().unwrap();
    assert_eq!(count("completed") + count("rejected"), u64::from(rows));
    assert_eq!((count("pending"), count("requests")), (0, u64::from(rows)));
    assert!(count("rejected") > u64::from(rows) / 100, "{report}");
    let list = bulk.run(&["pairing", "list", "--output", "json"]).json();
    let ours: BTreeMap<String, String> = list.as_array().unwrap().iter().map(on_wire).collect();
    assert_eq!(ours.len() as u64, count("completed"));
    // The simulator shows what it holds a little later.
    let theirs = || serde_json::from_value::<BTreeMap<_, _>>(bulk.cas.pairings()).unwrap();
    wait_until(
        || theirs() == ours,
        || "the CAS holds something else".to_owned(),
    );
    println!(
        "{rows} rows in {took:?} with the CAS's answers, {} MiB at most",
        served.memory_mib_max()
    );
    served.stop();
    bulk.made.run(&["ledger", "verify"]);
}

/// Card and STB as the CAS knows them.
fn on_wire(pairing: &Value) -> (String, String) {
    let card = text(&pairing["card"])[..10].to_owned();
    (card, format!("{:0>10}", text(&pairing["stb"])))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn a_server_killed_at_any_moment_does_every_row_once() {
    let (rows, kills) = if is_long() { (50_000, 30) } else { (10_000, 5) };
    let seed = seed();
    println!("seed {seed}");
    let mut chance = Chance::new(seed);
    let bulk = Bulk::new("", rows);
    bulk.pairs("cards.csv", 0, rows);
    let mut served = bulk.serve();
    bulk.made
        .run(&["provider", "pause", "north", "--reason", "rows only"]);
    // So slow that it runs for about as long as the kills take.
    let rate = (rows / kills * 4).to_string();
    bulk.made.run(&[
        "run",
        "pair_from_csv",
        "--input",
        "cards.csv",
        "--detach",
        "--arg",
        "resend=true",
        "--rate",
        &rate,
    ]);
    let mut met = 0;
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(chance.below(250)));
        served.kill();
        served = bulk.serve();
        met += u32::from(bulk.report(1)["state"] == "running");
    }
    let until = Instant::now() + Duration::from_mins(5);
    while bulk.report(1)["state"] != "done" {
        assert!(Instant::now() < until, "{}", bulk.report(1));
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("{kills} kills, {met} of them before its end");
    assert!(met > kills / 2, "{met} of {kills} kills met it");
    assert_eq!(ends(&bulk.report(1)), [u64::from(rows), 0, 0, 0]);
    // `resend` would make a second request of every row that is done twice.
    let list = bulk
        .run(&["request", "list", "--all", "--output", "json"])
        .json();
    let mut cards: Vec<(String, String)> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|request| {
            (
                text(&request["card"]).to_owned(),
                text(&request["stb"]).to_owned(),
            )
        })
        .collect();
    cards.sort();
    let mut wanted: Vec<(String, String)> = (0..rows)
        .map(|at| (card_serial(at), stb_serial(at)))
        .collect();
    wanted.sort();
    assert!(cards == wanted, "{} requests of {rows} rows", cards.len());
    served.stop();
    bulk.made.run(&["ledger", "verify"]);
}

#[test]
fn a_server_answers_others_while_a_hostile_script_runs() {
    let bulk = Bulk::new("", 40);
    let _served = bulk.serve();
    bulk.pairs("cards.csv", 0, 20);
    bulk.write("endless.rhai", "fn row(row, job) { loop { } }\n");
    bulk.made
        .run(&["run", "endless.rhai", "--input", "cards.csv", "--detach"]);
    bulk.pairs("good.csv", 20, 40);
    let good = bulk.job("pair_from_csv", "good.csv", &["--wait"]);
    assert_eq!(ends(&good), [20, 0, 0, 0]);
    wait_until(
        || bulk.report(1)["state"] == "done",
        || bulk.report(1).to_string(),
    );
    let report = bulk.report(1);
    assert_eq!(ends(&report), [0, 0, 0, 20]);
    let reasons = report["reasons"].to_string();
    assert!(
        reasons.contains("in `row`: stopped: more than 500000 operations"),
        "{reasons}"
    );
}
