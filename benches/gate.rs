//! The gate beside bare tiny_http, in one run: hello, durable accepts, and a well-behaved client under slow-loris.
//!
//! `cargo bench --bench gate [-- SECONDS]`. The folder comes from PAIRBOX_BENCH_DIR, else `target/`.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

#[path = "common/bare.rs"]
mod bare;
#[path = "common/bed.rs"]
mod bed;
#[path = "common/load.rs"]
mod load;

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use load::{Load, Opening};
use pairbox::access::Role;
use pairbox::domain::View;

const ITEMS: u32 = 100_000;
const CLIENTS: [usize; 4] = [1, 16, 64, 256];
const LORISES: usize = 2_000;
const HELLO: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n";

fn main() {
    load::raise_file_limit();
    let span = Duration::from_secs(u64::from(bed::count_argument(5)));
    let mut bed = bed::Bed::open("127.0.0.1:9".parse().unwrap(), 64);
    bed.import(ITEMS);
    let access = bed.service.access();
    access
        .user_add("crm", Role::Crm, "benchmark password")
        .unwrap();
    let (secret, _) = access.key_create("bench", Role::Crm).unwrap();
    let gate = bed.service.start_doors().unwrap();
    let home = std::net::IpAddr::from([127, 0, 0, 1]);
    let token = bed
        .service
        .access()
        .login_key(secret.as_str(), home)
        .unwrap();

    heading(
        "hello",
        "bare tiny_http: clients opened one by one, as it starves others",
    );
    let hello = bare::hello();
    for clients in CLIENTS {
        let bare = load::run(
            hello,
            clients,
            Opening::OneByOne,
            span,
            || HELLO.to_vec(),
            |_| {},
        );
        let gated = load::run(
            gate,
            clients,
            Opening::AtOnce,
            span,
            || HELLO.to_vec(),
            |_| {},
        );
        row(clients, &bare, &gated);
    }

    heading(
        "durable accepts",
        "both by the same action, writer and ledger",
    );
    let accepts = bare::accepts(bed.service.actions().clone());
    let next = AtomicU32::new(0);
    let request = || accept(token.as_str(), next.fetch_add(1, Ordering::Relaxed));
    let mut acknowledged = 0;
    for clients in CLIENTS {
        let bare = load::run(accepts, clients, Opening::OneByOne, span, request, is_ok);
        let gated = load::run(gate, clients, Opening::AtOnce, span, request, is_ok);
        row(clients, &bare, &gated);
        acknowledged += bare.times.len() + gated.times.len();
    }
    let kept = bed.service.actions().state.view().meta().requests;
    // What was under way as a run ended was kept and not read.
    assert!(kept >= acknowledged as u64, "{kept} of {acknowledged} kept");
    println!("{acknowledged} acknowledged, {kept} kept");

    loris(gate, span);
    bed.service.stop();
}

fn heading(what: &str, note: &str) {
    println!("\n{what} ({note})\n");
    println!(
        "{:>8} {:>11} {:>9} {:>11} {:>9} {:>9} {:>6}",
        "clients", "bare req/s", "p99 us", "gate req/s", "p99 us", "unserved", "ratio"
    );
}

fn row(clients: usize, bare: &Load, gated: &Load) {
    println!(
        "{clients:>8} {:>11.0} {:>9.0} {:>11.0} {:>9.0} {:>9} {:>6.2}",
        bare.rate(),
        bare.at(0.99),
        gated.rate(),
        gated.at(0.99),
        format!("{}/{}", bare.unserved, gated.unserved),
        gated.rate() / bare.rate()
    );
}

fn accept(token: &str, at: u32) -> Vec<u8> {
    // Each card comes again only after all the others: well under 64 unfinished requests a card.
    let (card, stb) = (bed::card_serial(at % ITEMS), bed::stb_serial(at % ITEMS));
    let body = format!(
        r#"{{"token":"{token}","smartcard_identifier":{{"serial_number":"{card}"}},"stb_identifier":{{"serial_number":"{stb}"}}}}"#
    );
    format!(
        "POST /crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder HTTP/1.1\r\nHost: bench\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn is_ok(body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    assert!(text.contains(r#""code":"OK""#), "{text}");
}

/// One client's p99 alone, and while 2,000 connections drip a byte every two seconds each.
fn loris(gate: SocketAddr, span: Duration) {
    println!("\none client, hello, alone and under {LORISES} slow-loris connections\n");
    let probe = || load::run(gate, 1, Opening::AtOnce, span, || HELLO.to_vec(), |_| {});
    let quiet = probe();
    let is_over = Arc::new(AtomicBool::new(false));
    let (over, opened) = (is_over.clone(), Arc::new(AtomicBool::new(false)));
    let ready = opened.clone();
    let attack = std::thread::spawn(move || {
        let mut all: Vec<TcpStream> = (0..LORISES).map(|_| half(gate)).collect();
        ready.store(true, Ordering::Release);
        while !over.load(Ordering::Relaxed) {
            for slow in &mut all {
                // One that was ended by its deadline comes again.
                if slow.write_all(b"x").is_err() {
                    *slow = half(gate);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    bed::wait_until(|| opened.load(Ordering::Acquire));
    let attacked = probe();
    is_over.store(true, Ordering::Relaxed);
    attack.join().unwrap();
    for (name, load) in [("alone", &quiet), ("attacked", &attacked)] {
        println!(
            "{name:>9} {:>8.0} req/s, p50 {:>6.0} us, p99 {:>6.0} us",
            load.rate(),
            load.at(0.5),
            load.at(0.99)
        );
    }
    println!("p99 ratio {:.2}", attacked.at(0.99) / quiet.at(0.99));
}

fn half(gate: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(gate).unwrap();
    // One that is not let in comes again in the next round.
    let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nX-A: ");
    stream
}
