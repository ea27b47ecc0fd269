//! The power goes at random moments of a history, between groups and in the middle of one: what was synced is there, of
//! what was not each sector is there or not, and so are new names. The state is as it was, gone, old or torn.

use std::io::ErrorKind;
use std::time::Duration;

use pairbox::ledger::faulty::Call;

use crate::rounds::Rounds;
use crate::staged::Staged;
use crate::table::Row;

#[test]
fn a_power_cut_at_any_moment_costs_no_acknowledged_request() {
    let rounds = Rounds::timed("power cuts", Duration::from_secs(3), Duration::from_mins(2));
    let (mut row, mut cuts) = (Row::default(), 0);
    for seed in rounds {
        let mut staged = Staged::on_a_disk_that_fails(seed);
        for _ in 0..20 + staged.chance.below(60) {
            act(&mut staged);
        }
        staged.history.stage.disk.faults().heal();
        cuts += staged.recoveries.len();
        let (verdict, recoveries) = staged.judge();
        row.add(&verdict, recoveries);
    }
    println!("{cuts} power cuts");
    row.tell("power cuts, the state as it was, gone, old or torn");
}

fn act(staged: &mut Staged) {
    let faults = staged.history.stage.disk.faults().clone();
    let cuts_within_a_group = staged.chance.below(10) == 0;
    if cuts_within_a_group {
        // The call that the power goes in: half of a write is done, nothing of a sync is sure.
        let call = [Call::Write, Call::Sync][staged.chance.below(2) as usize];
        let nth = 1 + staged.chance.below(4) as u32;
        faults.fail(call, nth, ErrorKind::Other);
    }
    if staged.chance.below(4) == 0 {
        staged.history.stage.prepare_segment();
    }
    staged.history.told(|history| {
        history.act();
        history.breathe();
    });
    faults.heal();
    if staged.history.stage.is_dead() || staged.chance.below(12) == 0 {
        staged.lose_power();
    }
}
