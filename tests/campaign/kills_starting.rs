//! SIGKILL of the server while it starts and replays a ledger that takes a while: it comes back whole, and what it found out
//! about a loss is not forgotten.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use pairbox::domain::Chance;

use crate::headend::{Headend, dump, rows};
use crate::rounds::{Rounds, is_long, seed};
use crate::scene::Cas;
use crate::table::Row;
use crate::verdict::{Left, judge};

/// With their STBs three times as many events, so that a replay can be hit.
fn cards() -> u32 {
    if is_long() { 20_000 } else { 4_000 }
}

/// What happens to the state before a start.
const FAULTS: [&str; 5] = ["gone", "cut short", "noise", "another boot", "nothing"];

fn spoil(data: &Path, fault: &str) {
    let file = data.join("state/db");
    match fault {
        "gone" => {
            let _ = fs::remove_dir_all(data.join("state"));
        }
        "cut short" => {
            let whole = fs::read(&file).unwrap_or_default();
            fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        }
        "noise" => {
            let mut bytes = fs::read(&file).unwrap_or_default();
            let length = bytes.len();
            bytes
                .iter_mut()
                .skip(length / 8)
                .take(4_096)
                .for_each(|byte| *byte ^= 0x5a);
            fs::write(&file, bytes).unwrap();
        }
        "another boot" => fs::write(data.join("state.open"), "another boot").unwrap(),
        _ => {}
    }
}

/// How long a whole start with a rebuild takes.
fn time_of_a_rebuild(made: &Headend) -> Duration {
    spoil(&made.data(), "gone");
    let began = Instant::now();
    let served = made.serve();
    let took = began.elapsed();
    served.kill();
    took
}

/// Starts the server and kills it after the time; answers whether it listened already.
fn kill_after(made: &Headend, delay: Duration) -> bool {
    let said = made.path().join("said");
    let mut child = made
        .command(&["serve"])
        .stdout(fs::File::create(&said).unwrap())
        .stderr(fs::File::create(made.path().join("log")).unwrap())
        .spawn()
        .unwrap();
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    fs::read_to_string(said).unwrap().contains("http://")
}

fn part_of(whole: Duration, chance: &mut Chance) -> Duration {
    let micros = u64::try_from(whole.as_micros()).unwrap();
    Duration::from_micros(chance.below(micros + micros / 4))
}

#[test]
fn a_server_killed_while_it_starts_comes_back() {
    let rounds = Rounds::counted("kills while starting", 5, 20);
    let cas = Cas::start("", seed());
    let made = Headend::new(cas.address, cards());
    let before = dump(&made);
    let whole = time_of_a_rebuild(&made);
    let (mut row, mut kills, mut listened) = (Row::default(), 0, 0);
    for seed in rounds {
        let fault = FAULTS[(seed % FAULTS.len() as u64) as usize];
        let mut chance = Chance::new(seed);
        for _ in 0..2 {
            if made.data().join("state").exists() {
                spoil(&made.data(), fault);
            }
            kills += 1;
            listened += u32::from(kill_after(&made, part_of(whole, &mut chance)));
        }
        let began = Instant::now();
        let served = made.serve();
        let recovery = began.elapsed();
        served.stop();
        let judged = judge(&Left {
            data: &made.data(),
            acknowledged: &BTreeMap::new(),
            unanswered: Some(0),
            wires: &[],
            ended: None,
        });
        let after = rows(&judged.dump);
        assert!(before["item"] == after["item"], "the items are others");
        assert_eq!(before["product"], after["product"]);
        row.add(&judged.verdict, Some(recovery));
    }
    assert!(listened < kills, "every start was over before its kill");
    row.tell("SIGKILL while it starts, the state gone, cut, noisy or of another boot");
}

#[test]
fn a_start_killed_below_a_restored_ledger_still_begins_a_new_epoch() {
    let cas = Cas::start("", seed());
    let made = Headend::new(cas.address, cards());
    let data = made.data();
    made.serve().kill();
    made.run(&["provider", "list"]);
    let kept = tempfile::tempdir().unwrap();
    copy(&data.join("ledger"), &kept.path().join("ledger"));
    made.run(&["provider", "list"]);
    copy(&data.join("state"), &kept.path().join("state"));
    let whole = time_of_a_rebuild(&made);
    for seed in Rounds::counted("kills below a restored ledger", 2, 10) {
        let mut chance = Chance::new(seed);
        for folder in ["ledger", "state"] {
            let _ = fs::remove_dir_all(data.join(folder));
            copy(&kept.path().join(folder), &data.join(folder));
        }
        for _ in 0..2 {
            kill_after(&made, part_of(whole, &mut chance));
        }
        made.run(&["provider", "list"]);
        let tables = dump(&made);
        let provider = tables["provider"].values().next().unwrap();
        let reason = &provider["pause"]["reason"];
        assert!(
            reason
                .as_str()
                .is_some_and(|reason| reason.contains("restored")),
            "{provider}"
        );
        let last = tables["meta"][&0]["last_request"].as_u64().unwrap();
        assert!(last >= 1_000_000, "{last}");
        assert!(!data.join("epoch.due").exists());
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
