//! The record runs on across segments: no group is split, the chain holds, prepared segments are used.
//!
//! Readers see whole groups only, while the writer writes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use pairbox::{
    domain::{Position, Timestamp},
    ledger::{Finding, LedgerError, Reader, RealFiles},
};
use serde_json::json;

use crate::ledger_scene::{names, open, open_with, read_all, segment, tiny, verify, write_group};

#[test]
fn groups_roll_over_many_segments_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..8 {
        let (mut ledger, opening) = open(dir.path());
        assert_eq!(opening.last_seq, last);
        for group in 0..6 {
            write_group(&mut ledger, 1 + (round + group) % 4).unwrap();
        }
        last = ledger.next_seq() - 1;
        assert_eq!(read_all(&ledger.reader()), last);
        let whole = ledger.reader().verify(&mut |_| {}).unwrap();
        assert_eq!(whole.last_seq, last);
        if round % 2 == 0 {
            ledger.close().unwrap();
        }
    }
    assert_eq!(verify(dir.path()).unwrap().0, last);
    let is_segment = |name: &&String| name.strip_suffix(".jsonl").is_some();
    assert!(names(dir.path()).iter().filter(is_segment).count() > 4);
    let reader = Reader::open(dir.path(), Arc::new(RealFiles)).unwrap();
    assert_eq!(read_all(&reader), last);
    for from in 1..=last + 1 {
        let seqs: Vec<u64> = reader
            .entries_trusted(from)
            .map(|entry| entry.unwrap().0.seq)
            .collect();
        assert_eq!(seqs, (from..=last).collect::<Vec<_>>());
    }
}

#[test]
fn a_prepared_segment_is_used_and_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let preparer = ledger.preparer();
    assert!(preparer.prepare_once().unwrap());
    assert!(!preparer.prepare_once().unwrap());
    let ready = dir.path().join("next.prepared");
    assert_eq!(std::fs::read(&ready).unwrap(), vec![0; 4096]);
    let before = names(dir.path()).len();
    while names(dir.path()).len() == before && ready.exists() {
        write_group(&mut ledger, 2).unwrap();
    }
    assert!(!ready.exists());
    assert!(preparer.prepare_once().unwrap());

    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| preparer.run(&stop));
        for _ in 0..40 {
            write_group(&mut ledger, 2).unwrap();
        }
        stop.store(true, Ordering::Release);
        preparer.wake();
        running.join().unwrap().unwrap();
    });
    assert_eq!(read_all(&ledger.reader()), ledger.next_seq() - 1);
    drop(ledger);
    assert!(verify(dir.path()).is_ok());
}

#[test]
fn a_group_that_is_not_full_has_room_for_the_largest_command() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    // Just under the limit for one command, its frame included.
    let text = "y".repeat(usize::try_from(tiny().command_bytes_max).unwrap() - 250);
    for _ in 0..50 {
        ledger.begin_group().unwrap();
        assert!(!ledger.group_is_full(), "an empty group takes a command");
        while !ledger.group_is_full() {
            ledger.push(Timestamp::ZERO, "x", &json!(text)).unwrap();
        }
        assert!(ledger.sync().unwrap().bytes <= tiny().group_bytes_max);
    }
    ledger.begin_group().unwrap();
    let huge = "z".repeat(5_000);
    let error = ledger.push(Timestamp::ZERO, "x", &huge).unwrap_err();
    assert!(matches!(error, LedgerError::LineTooLong { seq, .. } if seq == ledger.next_seq()));
    assert_eq!(ledger.sync().unwrap().lines, 0);
    write_group(&mut ledger, 1).unwrap();
    drop(ledger);
    assert!(verify(dir.path()).is_ok());
}

#[test]
fn a_missing_or_swapped_segment_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    for _ in 0..60 {
        write_group(&mut ledger, 2).unwrap();
    }
    drop(ledger);
    let segments: Vec<u64> = names(dir.path())
        .iter()
        .filter_map(|name| name.strip_suffix(".jsonl")?.parse().ok())
        .collect();
    let aside = dir.path().join("aside");
    let (middle, open_one, before_open) = (
        segments[2],
        segments[segments.len() - 1],
        segments[segments.len() - 2],
    );
    std::fs::rename(segment(dir.path(), middle), &aside).unwrap();
    let error = verify(dir.path()).unwrap_err();
    assert!(
        matches!(error, LedgerError::Damaged { found: Finding::NoSegment { expected }, .. } if expected == middle)
    );
    std::fs::rename(&aside, segment(dir.path(), middle)).unwrap();

    std::fs::rename(segment(dir.path(), before_open), &aside).unwrap();
    let error = open_with(dir.path(), Arc::new(RealFiles)).err();
    assert!(
        matches!(
            error,
            Some(LedgerError::Damaged {
                found: Finding::NoSegment { .. },
                ..
            })
        ),
        "{error:?}"
    );
    std::fs::rename(&aside, segment(dir.path(), before_open)).unwrap();

    // The last line of a closed segment, changed: the open segment does not continue it.
    let mut bytes = std::fs::read(segment(dir.path(), before_open)).unwrap();
    let last = bytes.iter().rposition(|byte| *byte == b'\n').unwrap();
    let changed = bytes[..last]
        .windows(6)
        .rposition(|piece| piece == b"tester")
        .unwrap();
    bytes[changed] = b'T';
    std::fs::write(segment(dir.path(), before_open), &bytes).unwrap();
    let error = open_with(dir.path(), Arc::new(RealFiles)).err();
    let Some(LedgerError::Damaged {
        file,
        line: 1,
        found: Finding::NotContinuing,
        ..
    }) = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(file, segment(dir.path(), open_one));

    // Bytes behind the end of a closed segment.
    bytes[changed] = b't';
    *bytes.last_mut().unwrap() = b'!';
    std::fs::write(segment(dir.path(), before_open), &bytes).unwrap();
    let error = verify(dir.path()).unwrap_err();
    assert!(
        matches!(
            error,
            LedgerError::Damaged {
                found: Finding::AfterTheEnd,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn readers_see_a_group_when_it_is_synced_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let reader = ledger.reader();
    let mut entries = reader.entries(1);
    assert!(entries.next().is_none());
    let first = ledger.push(Timestamp::ZERO, "x", &1).unwrap();
    ledger.push(Timestamp::ZERO, "x", &2).unwrap();
    assert!(entries.next().is_none());
    assert!(matches!(
        reader.line(first),
        Err(LedgerError::NoSuchLine { seq: 1, .. })
    ));
    ledger.sync().unwrap();
    assert_eq!(entries.next().unwrap().unwrap().0, first);
    assert_eq!(reader.line(first).unwrap().event.get(), "1");
    ledger.begin_group().unwrap();
    let third = ledger.push(Timestamp::ZERO, "x", &3).unwrap();
    assert_eq!(entries.next().unwrap().unwrap().1.lines, Some(2));
    assert!(entries.next().is_none());
    ledger.sync().unwrap();
    assert_eq!(entries.next().unwrap().unwrap().0, third);
    let wrong = Position { seq: 2, ..first };
    assert!(matches!(
        reader.line(wrong),
        Err(LedgerError::OtherLine { found: 1, .. })
    ));
}

#[test]
fn a_reader_beside_the_writer_sees_every_line_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let reader = ledger.reader();
    let total = 600;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while ledger.next_seq() <= total {
                write_group(&mut ledger, 3).unwrap();
            }
        });
        let mut due = 1;
        let mut entries = reader.entries(1);
        while due <= total {
            let Some(entry) = entries.next() else {
                std::thread::yield_now();
                continue;
            };
            let (position, entry) = entry.unwrap();
            assert_eq!(position.seq, due);
            assert_eq!(entry.lines.is_some(), due % 3 == 0);
            assert_eq!(reader.line(position).unwrap().seq, due);
            due += 1;
        }
    });
}
