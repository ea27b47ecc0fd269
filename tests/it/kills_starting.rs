//! SIGKILL and SIGTERM of the server while it starts and replays a ledger that takes a while: it comes back whole, and what
//! it found out about a loss is not forgotten.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pairbox::domain::Chance;

use crate::kills::{Headend, dump, rounds, seed};
use crate::scene::Cas;

/// With their STBs three times as many events, so that a replay can be hit.
const CARDS: u32 = 20_000;

/// What happens to the state before a start.
const FAULTS: [&str; 5] = ["gone", "cut short", "noise", "another boot", "nothing"];

fn spoil(data: &Path, fault: &str) {
    let file = data.join("state/db");
    match fault {
        "gone" => fs::remove_dir_all(data.join("state")).unwrap(),
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
    spoil(&made.path().join("data"), "gone");
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
    let seed = seed();
    let mut chance = Chance::new(seed);
    let cas = Cas::start("", seed);
    let made = Headend::new(cas.address, CARDS);
    let before = dump(&made);
    let whole = time_of_a_rebuild(&made);
    let rounds = rounds(10, 50);
    let mut listened = 0;
    for round in 0..rounds {
        let fault = FAULTS[round as usize % FAULTS.len()];
        if made.path().join("data/state").exists() {
            spoil(&made.path().join("data"), fault);
        }
        listened += u32::from(kill_after(&made, part_of(whole, &mut chance)));
    }
    made.run(&["ledger", "verify"]);
    let after = dump(&made);
    assert!(before["item"] == after["item"], "the items are others");
    assert_eq!(before["product"], after["product"]);
    assert!(listened < rounds, "every start was over before its kill");
    made.serve().kill();
    println!("{rounds} starts of {whole:?} killed, {listened} of them when they listened");
}

#[test]
fn a_start_killed_below_a_restored_ledger_still_begins_a_new_epoch() {
    let seed = seed();
    let mut chance = Chance::new(seed);
    let cas = Cas::start("", seed);
    let made = Headend::new(cas.address, CARDS);
    let data = made.path().join("data");
    made.serve().kill();
    made.run(&["provider", "list"]);
    let kept = tempfile::tempdir().unwrap();
    copy(&data.join("ledger"), &kept.path().join("ledger"));
    made.run(&["provider", "list"]);
    copy(&data.join("state"), &kept.path().join("state"));
    let whole = time_of_a_rebuild(&made);
    for _ in 0..rounds(5, 25) {
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

#[test]
fn a_long_start_asks_systemd_for_time_and_ends_in_order_when_it_is_told_to() {
    let cas = Cas::start("", 1);
    let made = Headend::new(cas.address, CARDS);
    let before = dump(&made);
    let path = made.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let start = || {
        spoil(&made.path().join("data"), "gone");
        let log = fs::File::create(made.path().join("log")).unwrap();
        let mut command = made.command(&["serve"]);
        command
            .env("NOTIFY_SOCKET", &path)
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().unwrap();
        assert!(heard(&systemd).contains("EXTEND_TIMEOUT_USEC="));
        child
    };
    let mut stopped = start();
    let pid = rustix::process::Pid::from_child(&stopped);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(stopped.wait().unwrap().success());
    let log = fs::read_to_string(made.path().join("log")).unwrap();
    assert!(
        log.contains("stopped while the ledger was replayed"),
        "{log}"
    );
    assert!(
        !made.path().join("data/state.open").exists(),
        "closed in order"
    );
    assert!(
        before["item"] == dump(&made)["item"],
        "the items are others"
    );
    let mut served = start();
    while !heard(&systemd).contains("READY=1") {}
    served.kill().unwrap();
    served.wait().unwrap();
}

fn heard(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 4_096];
    let count = socket.recv(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..count]).into_owned()
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
