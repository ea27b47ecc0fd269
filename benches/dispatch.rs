//! Dispatch through a real socket to the simulator at windows 1, 16 and 64: every intent and outcome durable.
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
        "{:>7} {:>12} {:>14} {:>10}",
        "window", "requests/s", "accepted/s", "events"
    );
    for window in [1, 16, 64] {
        let cas = bed::Cas::start();
        let mut bed = bed::Bed::open(cas.address, window);
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
            "{window:>7} {:>12.0} {:>14.0} {events:>10}",
            f64::from(requests) / took.as_secs_f64(),
            f64::from(requests) / accepted.as_secs_f64()
        );
        drop(actions);
        bed.service.stop();
    }
}
