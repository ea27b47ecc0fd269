//! SIGKILL of the server at random moments under load. Nothing acknowledged is lost, no call is there twice, nothing is
//! called done that the CAS did not acknowledge, and the CAS holds what the ledger says.

use std::sync::atomic::Ordering;
use std::time::Duration;

use pairbox::domain::Chance;

use crate::bed::Bed;
use crate::rounds::{Rounds, seed};
use crate::scene::Cas;
use crate::table::Row;

#[test]
fn a_server_killed_under_load_loses_nothing_it_acknowledged() {
    let rounds = Rounds::counted("kills", 4, 50);
    let cas = Cas::start("drop=1%,refuse=1%,late=1%,duplicate=2%", seed());
    let mut bed = Bed::new(&cas, seed());
    let mut row = Row::default();
    for seed in rounds {
        let mut chance = Chance::new(seed);
        let served = bed.made.serve();
        bed.call_while(served.address, u32::MAX, |stop| {
            std::thread::sleep(Duration::from_millis(50 + chance.below(500)));
            served.kill();
            stop.store(true, Ordering::Relaxed);
        });
        let recovery = bed.come_back();
        row.add(&bed.judge(None).verdict, Some(recovery));
    }
    bed.settle(&cas);
    assert!(bed.callers.asked_again() > 0, "no call was cut off");
    row.tell("SIGKILL under load");
}
