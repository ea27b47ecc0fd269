//! Dispatch through a real socket to the simulator at windows 1, 16 and 64, and by each mapping: every intent and outcome durable.
//!
//! `cargo bench --bench dispatch [-- REQUESTS]`. The folder comes from PAIRBOX_BENCH_DIR, else `target/`.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

#[path = "common/bed.rs"]
mod bed;

use std::time::Instant;

use pairbox::commit::Command;
use pairbox::dispatch::Mode;
use pairbox::domain::{ProviderNumber, View};

fn main() {
    let requests = bed::count_argument(10_000);
    println!(
        "dispatch: {requests} pair requests, each intent and outcome in the ledger before it counts\n"
    );
    println!(
        "{:>20} {:>12} {:>14} {:>10}",
        "window", "requests/s", "accepted/s", "events"
    );
    for window in [1, 16, 64] {
        run(
            "smsgw",
            &format!("window = {window}"),
            &window.to_string(),
            requests,
        );
    }
    println!(
        "\neach mapping as it describes itself, and with 16 connections where it has one command on each\n"
    );
    for (mapping, more, shown) in [
        ("smsgw", "", "smsgw, window 64"),
        ("line", "", "line, window 16"),
        ("bin6", "", "bin6, one command"),
        ("bin6", "lanes = 16", "bin6, 16 lanes"),
        ("stxetx", "", "stxetx, one command"),
        ("stxetx", "lanes = 16", "stxetx, 16 lanes"),
        ("httpjson", "", "httpjson, 4 lanes"),
        ("httpjson", "lanes = 16", "httpjson, 16 lanes"),
    ] {
        run(mapping, more, shown, requests.min(FEWER));
    }
}

/// Stop-and-wait takes its time.
const FEWER: u32 = 4_000;

fn run(mapping: &str, more: &str, shown: &str, requests: u32) {
    let cas = bed::Cas::of(mapping);
    let mut bed = bed::Bed::open_for(mapping, cas.address, more);
    bed.import(requests);
    let actions = bed.service.actions().clone();
    let provider = ProviderNumber(1);
    let pause = Command::Pause {
        provider,
        reason: "bench".into(),
        until: None,
    };
    actions.door.call("bench", pause).unwrap();
    let started = Instant::now();
    bed.accept(requests);
    let accepted = started.elapsed();
    bed.service.start_sending(Mode::Continuous).unwrap();
    bed::wait_until(|| bed.is_connected());
    let before = actions.state.view().meta().applied_seq;
    let started = Instant::now();
    actions
        .door
        .call("bench", Command::Resume { provider })
        .unwrap();
    let wanted = u64::from(requests);
    bed::wait_until(|| actions.state.view().meta().completed == wanted);
    let took = started.elapsed();
    let events = actions.state.view().meta().applied_seq - before;
    println!(
        "{shown:>20} {:>12.0} {:>14.0} {events:>10}",
        f64::from(requests) / took.as_secs_f64(),
        f64::from(requests) / accepted.as_secs_f64()
    );
    drop(actions);
    bed.service.stop();
}
