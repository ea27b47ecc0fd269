//! How near the ledger comes to its floor: the same bytes by bare pwrite + fdatasync into a file of written zeros.
//!
//! `cargo bench --bench ledger`; the folder is `PAIRBOX_BENCH_DIR`, or one in `target/`. Rounds of both alternate, so that
//! a busy disk hurts both alike.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_precision_loss)]

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use pairbox::{
    domain::Timestamp,
    ledger::{Ledger, Options, Reader, RealFiles},
};
use serde::Serialize;

const ROUNDS: u32 = 5;
const SEGMENT_BYTES: u64 = 64 << 20;

/// About what an accepted request records.
#[derive(Serialize)]
struct Accepted<'a> {
    event: &'a str,
    request: u64,
    card: &'a str,
    stb: &'a str,
    provider: &'a str,
    due: Timestamp,
    remarks: &'a str,
}

fn main() {
    let base = std::env::var_os("PAIRBOX_BENCH_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
        Into::into,
    );
    std::fs::create_dir_all(&base).unwrap();
    println!("lines/group  bytes/line  floor groups/s  ledger groups/s  lines/s    of floor");
    for (lines, groups) in [(1, 2_000), (64, 1_000), (1_024, 100)] {
        append(&base, lines, groups);
    }
    let folder = tempfile::tempdir_in(&base).unwrap();
    read_back(folder.path());
}

fn append(base: &Path, lines: u32, groups: u32) {
    let (mut floor, mut ledger, mut bytes) = (Duration::ZERO, Duration::ZERO, 0);
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir_in(base).unwrap();
        let (took, round_bytes) = append_to_ledger(folder.path(), lines, groups);
        ledger += took;
        bytes += round_bytes;
        let per_group = usize::try_from(round_bytes / u64::from(groups)).unwrap();
        floor += append_bare(&folder.path().join("bare"), per_group, groups);
    }
    let all_groups = f64::from(groups * ROUNDS);
    let per_second = all_groups / ledger.as_secs_f64();
    println!(
        "{lines:>11}  {:>10.0}  {:>14.0}  {:>15.0}  {:>9.0}  {:>8.2}",
        bytes as f64 / (all_groups * f64::from(lines)),
        all_groups / floor.as_secs_f64(),
        per_second,
        per_second * f64::from(lines),
        floor.as_secs_f64() / ledger.as_secs_f64(),
    );
}

fn append_to_ledger(folder: &Path, lines: u32, groups: u32) -> (Duration, u64) {
    let (mut ledger, _) = Ledger::open(folder, Arc::new(RealFiles), Options::default()).unwrap();
    ledger.preparer().prepare_once().unwrap();
    let mut bytes = 0;
    let started = Instant::now();
    for _ in 0..groups {
        bytes += write_group(&mut ledger, lines);
    }
    (started.elapsed(), bytes)
}

fn write_group(ledger: &mut Ledger, lines: u32) -> u64 {
    ledger.begin_group().unwrap();
    for _ in 0..lines {
        push(ledger);
    }
    ledger.sync().unwrap().bytes
}

fn push(ledger: &mut Ledger) {
    let seq = ledger.next_seq();
    let at = Timestamp::from_micros(1_795_456_789_000_000 + i64::try_from(seq).unwrap());
    let event = Accepted {
        event: "request_accepted",
        request: seq,
        card: "019000802077",
        stb: "0123456789012345",
        provider: "headend-north",
        due: at,
        remarks: "moved to the new address of the subscriber",
    };
    ledger.push(at, "crm", &event).unwrap();
}

fn append_bare(path: &Path, group_bytes: usize, groups: u32) -> Duration {
    let file = File::create(path).unwrap();
    let zeros = vec![0; 1 << 20];
    for at in 0..SEGMENT_BYTES >> 20 {
        file.write_all_at(&zeros, at << 20).unwrap();
    }
    file.sync_all().unwrap();
    let group = vec![b'x'; group_bytes];
    let mut offset = 0;
    let started = Instant::now();
    for _ in 0..groups {
        if offset + group_bytes as u64 > SEGMENT_BYTES {
            offset = 0;
        }
        file.write_all_at(&group, offset).unwrap();
        file.sync_data().unwrap();
        offset += group_bytes as u64;
    }
    started.elapsed()
}

/// The processor's part of a line, and reading it all back.
fn read_back(folder: &Path) {
    const LINES: u32 = 300_000;
    let options = Options {
        group_bytes_max: 32 << 20,
        ..Options::default()
    };
    let (mut ledger, _) = Ledger::open(folder, Arc::new(RealFiles), options).unwrap();
    let mut pushing = Duration::ZERO;
    for _ in 0..LINES / 10_000 {
        ledger.begin_group().unwrap();
        let started = Instant::now();
        let mut pushed = 0;
        while pushed < 10_000 && !ledger.group_is_full() {
            push(&mut ledger);
            pushed += 1;
        }
        pushing += started.elapsed();
        ledger.sync().unwrap();
    }
    let lines = ledger.next_seq() - 1;
    let nanos = |took: Duration| took.as_nanos() / u128::from(lines);
    println!("\nserialize, chain, buffer: {} ns a line", nanos(pushing));
    let reader = ledger.reader();
    for (name, entries) in [
        ("read and verified", reader.entries(1)),
        ("read, hashes trusted", reader.entries_trusted(1)),
    ] {
        let started = Instant::now();
        assert_eq!(entries.map(Result::unwrap).count() as u64, lines);
        println!("{name}: {} ns a line", nanos(started.elapsed()));
    }
    drop(ledger);
    let started = Instant::now();
    let reader = Reader::open(folder, Arc::new(RealFiles)).unwrap();
    assert_eq!(reader.last_seq(), lines);
    println!("find the end of the open segment: {:?}", started.elapsed());
    let started = Instant::now();
    let (ledger, _) = Ledger::open(folder, Arc::new(RealFiles), Options::default()).unwrap();
    println!("open after an unclean stop: {:?}", started.elapsed());
    ledger.close().unwrap();
    let started = Instant::now();
    Ledger::open(folder, Arc::new(RealFiles), Options::default()).unwrap();
    println!("open after a clean stop: {:?}", started.elapsed());
}
