//! A start that replays a ledger which takes a while asks systemd for time, and ends in order when it is told to; one that nobody
//! hears serves.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use crate::headend::{Headend, dump};
use crate::scene::Cas;

/// With their STBs three times as many events, so that the replay lasts.
const CARDS: u32 = 20_000;

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
        fs::remove_dir_all(made.data().join("state")).unwrap();
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
    assert!(!made.data().join("state.open").exists(), "closed in order");
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

#[test]
fn a_server_whose_standard_output_is_full_serves_all_the_same() {
    let cas = Cas::start("", 2);
    let made = Headend::new(cas.address, 2);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let served = made.try_serve_saying(made.command(&["serve"]), Some(full));
    let served = served.unwrap_or_else(|ended| panic!("{ended:?}"));
    let answer = ureq::get(format!("http://{}/healthz", served.address)).call();
    assert_eq!(answer.unwrap().status(), 200);
    served.stop();
}
