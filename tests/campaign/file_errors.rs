//! Calls of the ledger's files that fail in the middle of a random history: writes (half of one is done), syncs that fail
//! and later ones that do not, renames, new files, syncs of the folder.
//!
//! The process ends before anybody is answered, and starts again on what the kernel shows, or after a power cut on what
//! the disk kept.

use std::io::ErrorKind;
use std::time::Duration;

use pairbox::ledger::faulty::Call;

use crate::rounds::Rounds;
use crate::staged::Staged;
use crate::table::Row;

const CALLS: [Call; 6] = [
    Call::Write,
    Call::Sync,
    Call::Rename,
    Call::Create,
    Call::Remove,
    Call::SyncFolder,
];
const KINDS: [ErrorKind; 3] = [
    ErrorKind::StorageFull,
    ErrorKind::Other,
    ErrorKind::PermissionDenied,
];

#[test]
fn a_disk_that_refuses_calls_costs_no_acknowledged_request() {
    let rounds = Rounds::timed(
        "file errors",
        Duration::from_secs(3),
        Duration::from_mins(2),
    );
    let (mut row, mut deaths, mut starts_failed) = (Row::default(), 0, 0);
    for seed in rounds {
        let mut staged = Staged::on_a_disk_that_fails(seed);
        for _ in 0..20 + staged.chance.below(60) {
            deaths += u32::from(act(&mut staged));
        }
        staged.history.stage.disk.faults().heal();
        starts_failed += staged.history.stage.starts_failed;
        let (verdict, recoveries) = staged.judge();
        row.add(&verdict, recoveries);
    }
    println!("{deaths} ends while serving, {starts_failed} while starting");
    assert!(deaths > 0, "no error was met");
    row.tell("failing writes, syncs and renames of the ledger");
}

/// One act of the history, perhaps on a disk that has begun to fail; whether the process ended.
fn act(staged: &mut Staged) -> bool {
    if staged.chance.below(4) == 0 {
        let call = CALLS[staged.chance.below(CALLS.len() as u64) as usize];
        let kind = KINDS[staged.chance.below(KINDS.len() as u64) as usize];
        let nth = 1 + staged.chance.below(8) as u32;
        let stage = &mut staged.history.stage;
        stage.log.push(format!("the {nth}. {call:?} fails: {kind}"));
        stage.disk.faults().fail(call, nth, kind);
    }
    if staged.chance.below(4) == 0 {
        staged.history.stage.prepare_segment();
    }
    staged.history.told(|history| {
        history.act();
        history.breathe();
    });
    let is_dead = staged.history.stage.is_dead();
    if is_dead && staged.chance.below(4) == 0 {
        staged.lose_power();
    } else if is_dead {
        staged.start_again();
    }
    is_dead
}
