//! Durable accepts over HTTP at 1, 16 and 64 keep-alive clients, unique bodies, beside the floor of the same run: one write and
//! one fdatasync of a line of the same length.
//!
//! `cargo bench --bench accept [-- SECONDS]`. The folder comes from PAIRBOX_BENCH_DIR, else `target/`.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::indexing_slicing
)]

#[path = "common/bed.rs"]
mod bed;
#[path = "common/load.rs"]
mod load;

use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use load::Opening;
use pairbox::access::Role;
use pairbox::domain::View;

const ITEMS: u32 = 100_000;

fn main() {
    let seconds = bed::count_argument(5);
    let mut bed = bed::Bed::open("127.0.0.1:9".parse().unwrap(), 64);
    bed.import(ITEMS);
    bed.service
        .access()
        .user_add("crm", Role::Crm, "benchmark password")
        .unwrap();
    let address = bed.service.start_doors().unwrap();
    let token = login(address);
    println!("durable accepts over HTTP, {seconds} s each, {ITEMS} cards and STBs known\n");
    println!(
        "{:>8} {:>10} {:>9} {:>9} {:>14}",
        "clients", "req/s", "p50 us", "p99 us", "of the floor"
    );
    let mut floor = measure_floor(&bed);
    let next = AtomicU32::new(0);
    let mut acknowledged = 0;
    for clients in [1, 16, 64] {
        let span = Duration::from_secs(u64::from(seconds));
        let request = || accept(&token, next.fetch_add(1, Ordering::Relaxed));
        let load = load::run(address, clients, Opening::AtOnce, span, request, is_ok);
        acknowledged += load.times.len() as u64;
        floor = floor.max(measure_floor(&bed));
        let rate = load.rate();
        println!(
            "{clients:>8} {rate:>10.0} {:>9.0} {:>9.0} {:>14.2}",
            load.at(0.5),
            load.at(0.99),
            rate / floor
        );
    }
    println!(
        "{:>8} {floor:>10.0}   one line of 600 bytes a write and fdatasync, preallocated",
        "floor"
    );
    let kept = bed.service.actions().state.view().meta().requests;
    // What was under way as a run ended was kept and not read.
    assert!(kept >= acknowledged, "every acknowledged request is kept");
    println!("\n{acknowledged} acknowledged, {kept} kept");
    bed.service.stop();
}

fn accept(token: &str, at: u32) -> Vec<u8> {
    // Each card comes again only after all the others: well under 64 unfinished requests a card.
    let (card, stb) = (bed::card_serial(at % ITEMS), bed::stb_serial(at % ITEMS));
    let body = format!(
        r#"{{"token":"{token}","smartcard_identifier":{{"serial_number":"{card}"}},"stb_identifier":{{"serial_number":"{stb}"}}}}"#
    );
    post(
        "/crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder",
        &body,
    )
}

fn is_ok(body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    assert!(text.contains(r#""code":"OK""#), "{text}");
}

fn login(address: SocketAddr) -> String {
    let body = r#"{"username":"crm","password":"benchmark password","organisation":"bench"}"#;
    let answer = load::once(address, &post("/crmapi/rest/v2/authentication/token", body));
    let at = answer.find(r#""token":""#).unwrap() + 9;
    answer[at..at + 32].to_owned()
}

fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Lines a second of one writer: one write and one fdatasync each, into space that is written already.
fn measure_floor(bed: &bed::Bed) -> f64 {
    let path = bed.folder().join("floor");
    let file = std::fs::File::create(&path).unwrap();
    file.write_all_at(&vec![0; 8 << 20], 0).unwrap();
    file.sync_all().unwrap();
    let line = vec![b'x'; 600];
    let started = Instant::now();
    let mut lines = 0_u32;
    while started.elapsed() < Duration::from_secs(2) {
        file.write_all_at(&line, u64::from(lines % 10_000) * 600)
            .unwrap();
        file.sync_data().unwrap();
        lines += 1;
    }
    f64::from(lines) / started.elapsed().as_secs_f64()
}
