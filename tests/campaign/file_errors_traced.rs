//! The real binary under `strace`, which makes the nth call of its kind on some thread fail: whatever the kernel refuses,
//! nobody is answered OK for what is not kept, and the box ends with a reason or goes on.
//!
//! Needs strace and the right to trace.

use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pairbox::domain::Chance;

use crate::bed::Bed;
use crate::headend::Ended;
use crate::rounds::{Rounds, seed};
use crate::scene::Cas;
use crate::table::Row;

/// Calls that reach the disk, and how many of one thread are made before the one that fails, at most.
const CALLS: [(&str, u64); 8] = [
    ("fdatasync", 200),
    ("pwrite64", 200),
    ("fsync", 20),
    ("rename", 4),
    ("write", 40),
    ("pread64", 200),
    ("openat", 80),
    ("unlink", 4),
];
/// One that always comes: a few rounds may all draw calls that seldom do.
const SURE: (&str, u64) = ("fdatasync", 8);
const ERRORS: [&str; 2] = ["EIO", "ENOSPC"];
/// How long a round waits for the failing call to come.
const MET_WITHIN: Duration = Duration::from_millis(1_500);

fn can_trace() -> bool {
    let traced = Command::new("strace")
        .args(["-f", "--seccomp-bpf", "-o", "/dev/null", "true"])
        .output();
    traced.is_ok_and(|output| output.status.success())
}

#[test]
fn a_call_that_the_kernel_refuses_costs_no_acknowledged_request() {
    if !can_trace() {
        println!("skipped: there is no strace that may trace");
        return;
    }
    let rounds = Rounds::counted("refused calls", 4, 64);
    let cas = Cas::start("", seed());
    let mut bed = Bed::new(&cas, seed());
    let (mut row, mut endings) = (Row::default(), 0);
    let drawn = rounds.map(|seed| (seed, CALLS[(seed % CALLS.len() as u64) as usize]));
    for (seed, (call, nth_max)) in drawn.chain([(seed(), SURE)]) {
        let mut chance = Chance::new(seed);
        let error = ERRORS[chance.below(2) as usize];
        let nth = 1 + chance.below(nth_max);
        let inject = format!("inject={call}:error={error}:when={nth}");
        let trace = format!("trace={call}");
        let strace = [
            "strace",
            "-f",
            "-D",
            "--seccomp-bpf",
            "-qqq",
            "-o",
            "/dev/null",
        ];
        let strace = [&strace[..], &["-e", &trace, "-e", &inject]].concat();
        let command = bed.made.command_under(&strace, &["serve"]);
        let mut ended = None;
        match bed.made.try_serve(command) {
            Err(refused) => ended = Some(refused),
            Ok(mut served) => {
                let status = bed.call_while(served.address, u32::MAX, |stop| {
                    let status = served.await_end(MET_WITHIN);
                    stop.store(true, Ordering::Relaxed);
                    status
                });
                // It may come when the box stops.
                let status = status.unwrap_or_else(|| served.stop_as_it_can());
                if !status.success() {
                    let told = bed.made.ended(status);
                    assert_eq!(told.code, Some(74), "{told:?}");
                    ended = Some(told);
                }
            }
        }
        let code = ended.as_ref().and_then(|ended: &Ended| ended.code);
        println!("{error} of call {nth} of {call}: exit code {code:?}");
        endings += u32::from(ended.is_some());
        let recovery = bed.come_back();
        let judged = bed.judge(ended.as_ref());
        row.add(&judged.verdict, ended.map(|_| recovery));
    }
    bed.settle(&cas);
    assert!(endings > 0, "no call was met");
    row.tell("calls that fail with EIO or ENOSPC, by strace");
}
