//! Reloads under load: sending begins anew again and again while everybody calls. Nothing is lost, and of an honest CAS nothing
//! is sent twice.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::bed::Bed;
use crate::rounds::{Rounds, seed};
use crate::scene::Cas;
use crate::table::Row;

const FILE: &str = "pairbox.toml";
/// How long a round reloads.
const SPAN: Duration = Duration::from_secs(2);
/// One that changes nothing of sending would not begin it anew.
const WINDOWS: [&str; 2] = ["window = 64", "window = 32"];

#[test]
fn reloads_under_load_lose_nothing_and_send_nothing_twice() {
    let cas = Cas::start("", seed());
    let mut bed = bed_of(&cas);
    let reloads = reload_under_load(&mut bed);
    bed.settle(&cas);
    let judged = bed.judge(None);
    // An honest CAS answers everything in time: each attempt was the only one of its request.
    let sent = judged.record.intents.len() as u64;
    assert_eq!(cas.view.figures().commands, sent);
    assert!(
        sent <= judged.record.accepted.len() as u64,
        "{sent} attempts for {} requests",
        judged.record.accepted.len()
    );
    assert!(reloads > 2 && sent > 100, "{reloads} reloads, {sent} sent");
    println!("{reloads} reloads, {sent} sent");
}

#[test]
fn reloads_with_a_cas_that_drops_and_refuses_lose_nothing_either() {
    let rounds = Rounds::counted("reloads", 1, 20);
    let faults = "drop=1%,refuse=1%,late=1%,duplicate=2%,close=0.2%";
    let cas = Cas::start(faults, seed());
    let mut bed = bed_of(&cas);
    let mut row = Row::default();
    let mut reloads = 0;
    for _ in rounds {
        reloads += reload_under_load(&mut bed);
        let recovery = bed.come_back();
        row.add(&bed.judge(None).verdict, Some(recovery));
    }
    bed.settle(&cas);
    assert!(reloads > 2, "{reloads} reloads");
    row.tell("reloads under load");
}

fn bed_of(cas: &Cas) -> Bed {
    let bed = Bed::new(cas, seed());
    let text = fs::read_to_string(bed.made.path().join(FILE)).unwrap();
    let text = text.replace("reply_timeout", &format!("{}\nreply_timeout", WINDOWS[0]));
    bed.made.write(FILE, &text);
    bed
}

/// Changes the window and reloads; answers what that said.
fn reload(folder: &Path) -> String {
    let file = folder.join(FILE);
    let text = fs::read_to_string(&file).unwrap();
    let [one, other] = WINDOWS;
    let (from, to) = if text.contains(one) {
        (one, other)
    } else {
        (other, one)
    };
    fs::write(&file, text.replace(from, to)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pairbox"));
    let output = command.arg("reload").current_dir(folder).output().unwrap();
    let [said, wrong] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    format!("{said}{wrong}")
}

/// Serves, calls and reloads for a while, then stops in order; answers how often it reloaded.
fn reload_under_load(bed: &mut Bed) -> u64 {
    let served = bed.made.serve();
    let folder = bed.made.path().to_owned();
    let reloads = bed.call_while(served.address, u32::MAX, |stop| {
        let until = Instant::now() + SPAN;
        let mut reloads = 0;
        while Instant::now() < until {
            reloads += 1;
            let told = reload(&folder);
            let generation = reloads + 1;
            assert_eq!(
                told,
                format!("generation {generation}: provider north changed\n")
            );
        }
        stop.store(true, Ordering::Relaxed);
        reloads
    });
    served.stop();
    reloads
}
