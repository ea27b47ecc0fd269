//! A torn last group is cut whole and kept aside; anything wrong before it stops the start with file and line.
//!
//! The loss guarded against: an acknowledged line that is silently dropped, or half a group that is believed.

use pairbox::ledger::{Finding, LedgerError};

use crate::ledger_scene::{copy, names, open, read_all, segment, tiny, verify, write_group};

/// Groups of 2, 1 and 3 lines, not closed; the offsets where each group begins and the last one ends.
fn three_groups(folder: &std::path::Path) -> (Vec<u8>, [usize; 4]) {
    let (mut ledger, _) = open(folder);
    let mut starts = [0; 4];
    for (at, lines) in [2, 1, 3].into_iter().enumerate() {
        starts[at] = write_group(&mut ledger, lines).unwrap()[0].offset as usize;
    }
    let bytes = std::fs::read(segment(folder, 1)).unwrap();
    starts[3] = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    (bytes, starts)
}

#[test]
fn a_last_group_cut_at_any_byte_goes_whole_and_alone() {
    let dir = tempfile::tempdir().unwrap();
    let written = dir.path().join("written");
    let (bytes, [_, _, start, end]) = three_groups(&written);
    let work = dir.path().join("work");
    for cut in start..end {
        for is_short in [true, false] {
            let _ = std::fs::remove_dir_all(&work);
            copy(&written, &work);
            let mut torn = bytes[..cut].to_vec();
            if !is_short {
                torn.resize(bytes.len(), 0);
            }
            std::fs::write(segment(&work, 1), torn).unwrap();

            let (mut ledger, opening) = open(&work);
            assert_eq!(opening.last_seq, 3, "cut at {cut}");
            assert!(!opening.was_clean);
            assert_eq!(opening.cut.is_some(), cut > start, "cut at {cut}");
            if let Some(found) = opening.cut {
                assert_eq!((found.first_seq, found.offset), (4, start as u64));
                assert_eq!(std::fs::read(found.file).unwrap(), bytes[start..cut]);
            }
            assert_eq!(read_all(&ledger.reader()), 3);
            assert_eq!(verify(&work).unwrap(), (3, opening.last_hash));
            write_group(&mut ledger, 2).unwrap();
            assert_eq!(read_all(&ledger.reader()), 5);
            assert_eq!(verify(&work).unwrap().0, 5);
            let length = std::fs::metadata(segment(&work, 1)).unwrap().len();
            assert_eq!(length, tiny().segment_bytes);
        }
    }
}

#[test]
fn a_last_group_with_a_lost_stretch_goes_whole() {
    let dir = tempfile::tempdir().unwrap();
    let written = dir.path().join("written");
    let (bytes, [_, _, start, end]) = three_groups(&written);
    let work = dir.path().join("work");
    for from in (start..end).step_by(7) {
        for to in [from + 1, from + 40, from + 300] {
            let to = to.min(end);
            let _ = std::fs::remove_dir_all(&work);
            copy(&written, &work);
            let mut torn = bytes.clone();
            torn[from..to].fill(0);
            std::fs::write(segment(&work, 1), torn).unwrap();
            let (ledger, opening) = open(&work);
            assert_eq!(opening.last_seq, 3, "lost {from}..{to}");
            assert_eq!(read_all(&ledger.reader()), 3);
        }
    }
}

#[test]
fn an_earlier_group_changed_at_any_byte_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let written = dir.path().join("written");
    let (bytes, [_, second, last, _]) = three_groups(&written);
    let feeds: Vec<usize> = (0..last).filter(|at| bytes[*at] == b'\n').collect();
    let work = dir.path().join("work");
    copy(&written, &work);
    for at in 0..last {
        for changed in [0, b'7', b'\n', bytes[at] ^ 1] {
            if changed == bytes[at] {
                continue;
            }
            let mut damaged = bytes.clone();
            damaged[at] = changed;
            std::fs::write(segment(&work, 1), damaged).unwrap();
            let line = feeds.iter().filter(|feed| **feed < at).count() as u64 + 1;
            for error in [
                crate::ledger_scene::open_with(
                    &work,
                    std::sync::Arc::new(pairbox::ledger::RealFiles),
                )
                .err(),
                verify(&work).err(),
            ] {
                let Some(LedgerError::Damaged {
                    file,
                    line: told,
                    offset,
                    ..
                }) = error
                else {
                    panic!("byte {at} changed to {changed}: {error:?}");
                };
                assert_eq!(file, segment(&work, 1));
                // A changed `prev` is told of the line that it should name.
                assert!(told == line || told + 1 == line, "byte {at}: line {told}");
                assert!(offset <= at as u64 && (told == 1 || offset > 0));
            }
        }
    }
    assert!(second > 0);
    assert_eq!(
        names(&work),
        names(&written),
        "a refused start leaves the folder alone"
    );
}

#[test]
fn a_changed_line_feed_does_not_hide_the_last_group() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    write_group(&mut ledger, 2).unwrap();
    let second = write_group(&mut ledger, 1).unwrap()[0].offset as usize;
    drop(ledger);
    let mut bytes = std::fs::read(segment(dir.path(), 1)).unwrap();
    bytes[second - 1] = b' ';
    std::fs::write(segment(dir.path(), 1), bytes).unwrap();
    let error = verify(dir.path()).unwrap_err();
    assert!(
        matches!(&error, LedgerError::Damaged { line: 2, .. }),
        "{error}"
    );
}

#[test]
fn verify_tells_of_a_torn_group_and_is_content() {
    let dir = tempfile::tempdir().unwrap();
    let (mut bytes, [_, _, last, end]) = three_groups(dir.path());
    bytes[end - 100..end].fill(0);
    std::fs::write(segment(dir.path(), 1), bytes).unwrap();
    let files = std::sync::Arc::new(pairbox::ledger::RealFiles);
    let verified = pairbox::ledger::verify(dir.path(), files, &mut |_| {}).unwrap();
    assert_eq!((verified.last_seq, verified.groups), (3, 2));
    let unfinished = verified.unfinished.unwrap();
    assert_eq!((unfinished.line, unfinished.found), (6, Finding::TornLine));
    assert!(unfinished.offset > last as u64);
}

#[test]
fn damage_names_file_line_and_the_next_command() {
    let dir = tempfile::tempdir().unwrap();
    let (mut bytes, [_, second, ..]) = three_groups(dir.path());
    let at = second
        + bytes[second..]
            .iter()
            .position(|byte| *byte == b'x')
            .unwrap();
    bytes[at] = b'y';
    std::fs::write(segment(dir.path(), 1), bytes).unwrap();
    let error = verify(dir.path()).unwrap_err();
    assert!(matches!(
        &error,
        LedgerError::Damaged {
            found: Finding::Changed,
            line: 3,
            ..
        }
    ));
    let text = format!("{error}; {}", error.hint());
    assert!(
        text.contains("00000000000000000001.jsonl`, line 3, byte"),
        "{text}"
    );
    assert!(text.contains("pairbox ledger verify"), "{text}");
}

#[test]
fn a_clean_ledger_that_lost_its_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    write_group(&mut ledger, 2).unwrap();
    let second = write_group(&mut ledger, 2).unwrap()[0].offset as usize;
    ledger.close().unwrap();
    let mut bytes = std::fs::read(segment(dir.path(), 1)).unwrap();
    bytes[second..].fill(0);
    std::fs::write(segment(dir.path(), 1), bytes).unwrap();
    let error =
        crate::ledger_scene::open_with(dir.path(), std::sync::Arc::new(pairbox::ledger::RealFiles))
            .err();
    assert!(
        matches!(
            error,
            Some(LedgerError::NotAsClosed {
                closed_after: 4,
                found: 2,
                ..
            })
        ),
        "{error:?}"
    );
}

#[test]
fn a_clean_stop_leaves_a_marker_for_one_start_only() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, first) = open(dir.path());
    assert!(first.was_clean);
    write_group(&mut ledger, 2).unwrap();
    ledger.close().unwrap();
    assert!(names(dir.path()).contains(&"clean".to_owned()));
    let (ledger, second) = open(dir.path());
    assert!(second.was_clean);
    assert!(!names(dir.path()).contains(&"clean".to_owned()));
    drop(ledger);
    assert!(!open(dir.path()).1.was_clean);
}
