//! Rows of a bulk job a second, beside the same calls made one by one with 512 in the air; every row durable, nothing sent.
//!
//! `cargo bench --bench jobs [-- ROWS]`. The folder comes from PAIRBOX_BENCH_DIR, else `target/`.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, dead_code)]

#[path = "common/bed.rs"]
mod bed;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use pairbox::domain::{JobNumber, JobPhase, View};
use pairbox::jobs::{JobFile, NewJob};
use sha2::{Digest, Sha256};

const SCRIPT: &str = include_str!("../scripts/jobs/pair_from_csv.rhai");
/// Does no more than a row needs.
const BARE: &str = "fn row(row, job) { pair(row.smartcard, row.stb); }\n";

fn main() {
    let rows = bed::count_argument(50_000);
    println!("jobs: {rows} rows, each judged and kept before it counts\n");
    let calls = calls(rows);
    println!(
        "{:>28} {:>10} {:>8} {:>12}",
        "", "rows/s", "ratio", "memory MiB"
    );
    tell("calls, 512 in the air", rows, calls.0, calls.0, calls.1);
    for (name, script) in [("pair_from_csv", SCRIPT), ("a script of one line", BARE)] {
        let (took, memory) = job(rows, script, false);
        tell(name, rows, took, calls.0, memory);
    }
    let (took, memory) = job(rows, SCRIPT, true);
    tell("pair_from_csv, a dry run", rows, took, calls.0, memory);
}

fn tell(name: &str, rows: u32, took: Duration, calls: Duration, memory_mib: f64) {
    println!(
        "{name:>28} {:>10.0} {:>8.2} {memory_mib:>12.1}",
        f64::from(rows) / took.as_secs_f64(),
        calls.as_secs_f64() / took.as_secs_f64()
    );
}

/// How long, and by how much memory grew.
fn calls(rows: u32) -> (Duration, f64) {
    let cas = bed::Cas::start();
    let bed = bed::Bed::open(cas.address, 64);
    bed.import(rows);
    let before = memory_mib();
    let began = Instant::now();
    bed.accept(rows);
    let took = began.elapsed();
    let memory = memory_mib() - before;
    bed.service.stop();
    (took, memory)
}

fn job(rows: u32, script: &str, is_dry_run: bool) -> (Duration, f64) {
    let cas = bed::Cas::start();
    let mut bed = bed::Bed::open(cas.address, 64);
    bed.import(rows);
    bed.service.start_jobs().unwrap();
    bed.service.start_rehearsals().unwrap();
    let jobs = bed.service.control().jobs;
    let mut input = String::from("smartcard,stb,input_line,input_fault\n");
    for at in 0..rows {
        writeln!(
            input,
            "{},{},{},",
            bed::card_serial(at),
            bed::stb_serial(at),
            at + 2
        )
        .unwrap();
    }
    let folder = jobs.begin_upload().unwrap();
    jobs.append(&folder, JobFile::Script, 0, script.as_bytes())
        .unwrap();
    jobs.append(&folder, JobFile::Input, 0, input.as_bytes())
        .unwrap();
    let sha256 = |text: &str| hex::encode(Sha256::digest(text.as_bytes()));
    let new = NewJob {
        script: "bench.rhai".into(),
        input: "bench.csv".into(),
        script_sha256: sha256(script),
        input_sha256: sha256(&input),
        args: Vec::new(),
        rate_per_s: None,
        stop_after: None,
        folder,
    };
    drop(input);
    let before = memory_mib();
    let began = Instant::now();
    if is_dry_run {
        let folder = jobs.rehearse("bench", &new).unwrap();
        bed::wait_until(|| jobs.rehearsal(&folder).is_ok_and(|report| report.is_over));
    } else {
        let JobNumber(number) = jobs.create("bench", &new).unwrap();
        let actions = bed.service.actions();
        bed::wait_until(|| {
            let job = actions.state.view().job(JobNumber(number)).unwrap();
            job.phase == JobPhase::Done
        });
        let job = actions.state.view().job(JobNumber(number)).unwrap();
        assert_eq!(job.counts.created, u64::from(rows));
    }
    let took = began.elapsed();
    let memory = memory_mib() - before;
    drop(jobs);
    bed.service.stop();
    (took, memory)
}

/// What the process holds now.
fn memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
