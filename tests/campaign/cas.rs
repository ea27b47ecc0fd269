//! A CAS that vanishes, hangs, floods, lies, sends garbage, answers late or again and again, beside one that is well.
//!
//! The box keeps answering its API, its memory stays bounded, the other provider's requests go on; and when the CAS
//! behaves again everything ends.

use std::time::{Duration, Instant};

use crate::bed::{CARDS, await_pending, check_cas};
use crate::callers::Callers;
use crate::headend::{Headend, Layout};
use crate::rogue::{Manner, Rogue};
use crate::rounds::{Rounds, is_long};
use crate::scene::Cas;
use crate::stage::SMSGW;
use crate::table::Row;
use crate::tap::Tap;
use crate::verdict::{Judged, Left, judge};

/// The most that the box may hold in memory at any time, in MiB.
const MEMORY_MIB_MAX: u64 = 256;
/// A call of the API takes at most so long while a CAS misbehaves.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// A box with two providers: `north` is the rogue's, `south` is sound.
struct Scene {
    made: Headend,
    callers: Callers,
    north: Rogue,
    south: Cas,
    tap: Tap,
    counted: u64,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let north = Rogue::start(1, seed);
        let south = Cas::start("", seed);
        let tap = Tap::before(2, south.address);
        let mut layout = Layout::new(north.address, CARDS);
        layout.cas.push(("south", tap.address));
        let made = Headend::lay_out(&layout, |_| {});
        let eager = SMSGW
            .replace("reconnect_min: \"1s\"", "reconnect_min: \"20ms\"")
            .replace("reconnect_max: \"60s\"", "reconnect_max: \"500ms\"");
        assert_ne!(eager, SMSGW);
        made.write("scripts/mappings/smsgw/mapping.rhai", &eager);
        Self {
            made,
            callers: Callers::new(seed, CARDS),
            north,
            south,
            tap,
            counted: 0,
        }
    }

    fn judge(&mut self) -> Judged {
        let mut judged = judge(&Left {
            data: &self.made.data(),
            acknowledged: &self.callers.acknowledged(),
            unanswered: Some(self.callers.unanswered()),
            wires: &[self.north.seen(), self.tap.seen()],
            ended: None,
        });
        check_cas(&judged, &self.south, 2);
        let all = judged.verdict.acknowledged;
        judged.verdict.acknowledged -= std::mem::replace(&mut self.counted, all);
        judged
    }
}

#[test]
fn a_cas_that_misbehaves_harms_itself_only() {
    let rounds = Rounds::counted("misbehaving CAS", 6, 24);
    let mut scene = Scene::new(crate::rounds::seed());
    let (mut row, mut memory_mib_max) = (Row::default(), 0);
    for seed in rounds {
        let manner = Manner::FAULTS[(seed % Manner::FAULTS.len() as u64) as usize];
        let (recovery, memory_mib) = round(&mut scene, manner);
        let flooded_kib = scene.north.flooded_bytes() / 1_024;
        println!(
            "{manner:?}: {memory_mib} MiB, {flooded_kib} KiB flooded so far, well again after {recovery:?}"
        );
        assert!(memory_mib <= MEMORY_MIB_MAX, "{manner:?}: {memory_mib} MiB");
        memory_mib_max = memory_mib_max.max(memory_mib);
        row.add(&scene.judge().verdict, Some(recovery));
    }
    println!("at most {memory_mib_max} MiB in memory");
    row.tell("a CAS that vanishes, hangs, floods, lies, sends garbage, answers late or again");
}

/// Answers how long it took until everything was done after the CAS behaved again, and the most memory that was held.
fn round(scene: &mut Scene, manner: Manner) -> (Duration, u64) {
    let Scene {
        made,
        callers,
        north,
        ..
    } = scene;
    let (misbehaves_for, calls) = if is_long() {
        (Duration::from_secs(5), 200)
    } else {
        (Duration::from_millis(300), 20)
    };
    let mut served = made.serve();
    // Some of what is out already when it begins.
    callers.call_while(made, served.address, calls / 2, |_| {});
    north.behave(manner);
    callers.call_while(made, served.address, calls, |_| {
        std::thread::sleep(misbehaves_for);
    });
    let slowest = callers.take_slowest();
    assert!(
        slowest < ANSWERS_WITHIN,
        "{manner:?}: answered in {slowest:?}"
    );
    // The other provider has nothing left to do while this one still misbehaves.
    await_pending(made, "south", ANSWERS_WITHIN);
    let mut memory_mib = served.memory_mib_max();
    north.behave(Manner::Honest);
    let began = Instant::now();
    if !is_long() {
        // An open circuit is probed after half a minute: the long tier waits for it, here a new start does.
        served.stop();
        served = made.serve();
    }
    await_pending(made, "", Duration::from_mins(2));
    let recovery = began.elapsed();
    memory_mib = memory_mib.max(served.memory_mib_max());
    callers.finish(made, served.address);
    served.stop();
    (recovery, memory_mib)
}
