//! Whatever the disk does, no synced line is lost, and after an error the ledger takes nothing more.
//!
//! The power cuts are modelled (`FaultyFiles`); each failure prints its seed.

use std::{io::ErrorKind, sync::Arc};

use pairbox::{
    domain::Timestamp,
    ledger::{
        Act, LedgerError,
        faulty::{Call, FaultyFiles},
    },
};

use crate::ledger_scene::{open, open_with, read_all, verify, write_group};

#[test]
fn a_failed_call_is_told_and_ends_the_writing() {
    for (call, act) in [(Call::Write, Act::Write), (Call::Sync, Act::Sync)] {
        let dir = tempfile::tempdir().unwrap();
        let files = FaultyFiles::new(dir.path()).unwrap();
        let (mut ledger, _) = open_with(dir.path(), Arc::new(files.clone())).unwrap();
        write_group(&mut ledger, 2).unwrap();
        files.fail(call, 1, ErrorKind::StorageFull);
        let error = write_group(&mut ledger, 2).unwrap_err();
        assert!(
            matches!(error, LedgerError::File { act: told, .. } if told == act),
            "{error}"
        );
        assert!(error.hint().contains("free space"));
        assert!(matches!(
            ledger.begin_group(),
            Err(LedgerError::Stopped { group: 3 })
        ));
        assert!(matches!(
            ledger.push(Timestamp::ZERO, "x", &1),
            Err(LedgerError::Stopped { .. })
        ));
        assert!(matches!(ledger.sync(), Err(LedgerError::Stopped { .. })));
        assert_eq!(
            read_all(&ledger.reader()),
            2,
            "the failed group is not shown"
        );
        assert!(matches!(ledger.close(), Err(LedgerError::Stopped { .. })));
        // A group whose sync failed may be whole: then it is taken, though nobody was told.
        let (ledger, opening) = open(dir.path());
        assert_eq!(opening.last_seq, if call == Call::Write { 2 } else { 4 });
        assert_eq!(read_all(&ledger.reader()), opening.last_seq);
    }
}

#[test]
fn a_failed_roll_ends_the_writing() {
    for call in [
        Call::Create,
        Call::Rename,
        Call::SyncFolder,
        Call::Sync,
        Call::Write,
    ] {
        let dir = tempfile::tempdir().unwrap();
        let files = FaultyFiles::new(dir.path()).unwrap();
        let (mut ledger, _) = open_with(dir.path(), Arc::new(files.clone())).unwrap();
        let mut last = 0;
        // An empty group is full only if its segment is: the next one must roll.
        while !ledger.group_is_full() {
            write_group(&mut ledger, 3).unwrap();
            last = ledger.next_seq() - 1;
        }
        files.fail(call, 1, ErrorKind::Other);
        assert!(ledger.begin_group().is_err(), "{call:?}");
        assert!(matches!(
            ledger.begin_group(),
            Err(LedgerError::Stopped { .. })
        ));
        let (mut ledger, opening) = open(dir.path());
        assert_eq!(opening.last_seq, last, "{call:?}");
        write_group(&mut ledger, 2).unwrap();
        drop(ledger);
        assert_eq!(verify(dir.path()).unwrap().0, last + 2);
    }
}

#[test]
fn no_power_cut_loses_a_synced_line() {
    for seed in 0..200_u64 {
        let dir = tempfile::tempdir().unwrap();
        let (mut folder, mut acknowledged, mut attempted) = (dir.path().join("0"), 0, 0);
        // Three lives, each ended by a fault and a power cut; the second and third begin with a recovery.
        for life in 1..=3_u64 {
            let files = FaultyFiles::new(&folder).unwrap();
            let chance = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(life * 1_442_695_040_888_963_407)
                >> 33;
            let call = [
                Call::Write,
                Call::Sync,
                Call::Sync,
                Call::Rename,
                Call::SyncFolder,
            ][usize::try_from(chance % 5).unwrap()];
            let nth = u32::try_from(chance / 5 % 40).unwrap() + 1;
            files.fail(call, nth, ErrorKind::Other);
            if let Ok((mut ledger, opening)) = open_with(&folder, Arc::new(files.clone())) {
                assert!(
                    (acknowledged..=attempted).contains(&opening.last_seq),
                    "seed {seed}, life {life}: {acknowledged} to {attempted}, found {}",
                    opening.last_seq
                );
                // What was found and opened counts as kept from now on.
                acknowledged = opening.last_seq;
                attempted = acknowledged;
                for group in 0..30 {
                    let lines = u32::try_from((chance + group) % 4).unwrap() + 1;
                    attempted = acknowledged + u64::from(lines);
                    if write_group(&mut ledger, lines).is_err() {
                        break;
                    }
                    acknowledged = attempted;
                    if group == 12 {
                        let _ = ledger.preparer().prepare_once();
                    }
                }
                assert_eq!(
                    read_all(&ledger.reader()),
                    acknowledged,
                    "seed {seed}, life {life}"
                );
            }
            let next = dir.path().join(life.to_string());
            files.cut_power(seed ^ (life << 32), &next).unwrap();
            folder = next;
        }
        let (mut ledger, opening) = match open_with(&folder, Arc::new(pairbox::ledger::RealFiles)) {
            Ok(opened) => opened,
            Err(error) => panic!("seed {seed}: {error}"),
        };
        assert!(
            (acknowledged..=attempted).contains(&opening.last_seq),
            "seed {seed}"
        );
        write_group(&mut ledger, 2).unwrap();
        assert_eq!(
            read_all(&ledger.reader()),
            opening.last_seq + 2,
            "seed {seed}"
        );
        drop(ledger);
        assert_eq!(
            verify(&folder).unwrap().0,
            opening.last_seq + 2,
            "seed {seed}"
        );
    }
}

#[test]
fn what_a_failed_sync_left_in_memory_is_on_the_disk_after_the_next_opening() {
    for seed in 0..50 {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("ledger");
        let files = FaultyFiles::new(&folder).unwrap();
        let (mut ledger, _) = open_with(&folder, Arc::new(files.clone())).unwrap();
        write_group(&mut ledger, 2).unwrap();
        files.fail(Call::Sync, 1, ErrorKind::Other);
        assert!(write_group(&mut ledger, 3).is_err());
        drop(ledger);
        // The process starts again; the machine does not. The group reads as whole.
        let (ledger, opening) = open_with(&folder, Arc::new(files.clone())).unwrap();
        assert_eq!(opening.last_seq, 5);
        drop(ledger);
        let after = dir.path().join("after");
        files.cut_power(seed, &after).unwrap();
        assert_eq!(open(&after).1.last_seq, 5, "seed {seed}");
    }
}

#[test]
fn a_full_disk_can_be_played() {
    let dir = tempfile::tempdir().unwrap();
    let files = FaultyFiles::new(dir.path()).unwrap();
    let (ledger, _) = open_with(dir.path(), Arc::new(files.clone())).unwrap();
    assert!(ledger.free_bytes().unwrap() > 0);
    files.set_free_bytes(Some(7));
    assert_eq!(ledger.free_bytes().unwrap(), 7);
}

#[test]
fn a_group_costs_one_sync_and_an_empty_one_none() {
    let dir = tempfile::tempdir().unwrap();
    let files = FaultyFiles::new(dir.path()).unwrap();
    let (mut ledger, _) = open_with(dir.path(), Arc::new(files.clone())).unwrap();
    let before = files.syncs();
    write_group(&mut ledger, 4).unwrap();
    write_group(&mut ledger, 0).unwrap();
    assert_eq!(files.syncs(), before + 1);
}
