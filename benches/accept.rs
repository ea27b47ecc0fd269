//! Durable accepts over HTTP at 1 and 16 keep-alive clients, unique bodies, beside the floor of the same run: one write and
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

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

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
    let next = Arc::new(AtomicU32::new(0));
    let mut acknowledged = 0;
    for clients in [1, 16] {
        let times = load(
            address,
            &token,
            clients,
            Duration::from_secs(u64::from(seconds)),
            &next,
        );
        acknowledged += times.len() as u64;
        floor = floor.max(measure_floor(&bed));
        let rate = times.len() as f64 / f64::from(seconds);
        println!(
            "{clients:>8} {rate:>10.0} {:>9.0} {:>9.0} {:>14.2}",
            at(&times, 0.5),
            at(&times, 0.99),
            rate / floor
        );
    }
    println!(
        "{:>8} {floor:>10.0}   one line of 600 bytes a write and fdatasync, preallocated",
        "floor"
    );
    let kept = bed.service.actions().state.view().meta().requests;
    assert_eq!(kept, acknowledged, "every acknowledged request is kept");
    println!("\n{acknowledged} acknowledged, {kept} kept");
    bed.service.stop();
}

fn load(
    address: SocketAddr,
    token: &str,
    clients: u32,
    span: Duration,
    next: &Arc<AtomicU32>,
) -> Vec<f64> {
    // One after the other, each proven by an answer: the server behind starves connections opened at once.
    let mut connections: Vec<TcpStream> = (0..clients).map(|_| connect(address)).collect();
    let until = Instant::now() + span;
    let threads: Vec<_> = connections
        .drain(..)
        .map(|mut stream| {
            let (token, next) = (token.to_owned(), next.clone());
            std::thread::spawn(move || {
                let mut times = Vec::new();
                while Instant::now() < until {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    // Each card comes again only after all the others: well under 64 unfinished requests a card.
                    let card = bed::card_serial(at % ITEMS);
                    let stb = bed::stb_serial(at % ITEMS);
                    let body = format!(
                        r#"{{"token":"{token}","smartcard_identifier":{{"serial_number":"{card}"}},"stb_identifier":{{"serial_number":"{stb}"}}}}"#
                    );
                    let started = Instant::now();
                    let answer = post(&mut stream, "/crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder", &body);
                    times.push(started.elapsed().as_secs_f64() * 1e6);
                    assert!(answer.contains(r#""code":"OK""#), "{answer}");
                }
                times
            })
        })
        .collect();
    let mut times: Vec<f64> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

fn at(times: &[f64], part: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let index = (times.len() as f64 * part) as usize;
    times[index.min(times.len() - 1)]
}

fn connect(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n")
        .unwrap();
    read_answer(&mut stream);
    stream
}

fn login(address: SocketAddr) -> String {
    let mut stream = connect(address);
    let body = r#"{"username":"crm","password":"benchmark password","organisation":"bench"}"#;
    let answer = post(&mut stream, "/crmapi/rest/v2/authentication/token", body);
    let at = answer.find(r#""token":""#).unwrap() + 9;
    answer[at..at + 32].to_owned()
}

fn post(stream: &mut TcpStream, path: &str, body: &str) -> String {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    read_answer(stream)
}

fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part).unwrap();
        assert!(count > 0, "the server closed the connection");
        answer.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&answer);
        let Some(end) = text.find("\r\n\r\n") else {
            continue;
        };
        let length: usize = text[..end]
            .lines()
            .find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("content-length:")
                    .map(|length| length.trim().parse().unwrap())
            })
            .unwrap();
        if answer.len() >= end + 4 + length {
            return text[end + 4..].to_owned();
        }
    }
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
