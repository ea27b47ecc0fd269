//! The real binary watches itself: it says when it is ready, when it is not and why, to whoever asks and to systemd.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::kills::Headend;
use crate::scene::{Cas, wait_until};

/// The answer of `/readyz`, head and body.
fn readyz(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let call = b"GET /readyz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    stream.write_all(call).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn status(made: &Headend) -> Value {
    serde_json::from_str(&made.run(&["status", "--output", "json"])).unwrap()
}

#[test]
fn a_box_that_answers_is_ready_and_tells_how_long_its_probe_took() {
    let cas = Cas::start("", 1);
    let made = Headend::new(cas.address, 1);
    let served = made.serve();
    wait_until(
        || readyz(served.address).starts_with("HTTP/1.1 200"),
        || readyz(served.address),
    );
    let status = status(&made);
    let readiness = &status["readiness"];
    assert_eq!(readiness["because"], Value::Array(Vec::new()), "{status}");
    assert!(
        readiness["probe_latency_us"].as_u64().unwrap() > 0,
        "{status}"
    );
    assert_eq!(readiness["probe_missed"], Value::Null, "{status}");
    assert!(status["uptime_s"].as_u64().unwrap() < 600, "{status}");
    let told = made.run(&["status"]);
    assert!(
        told.contains("ready          yes; the last probe took "),
        "{told}"
    );
    assert!(told.contains("self-watch"), "{told}");
}

#[test]
fn a_box_whose_disk_is_below_its_reserve_is_not_ready_and_says_disk() {
    let cas = Cas::start("", 1);
    let made = Headend::new(cas.address, 1);
    let disk = rustix::fs::statvfs(made.path()).unwrap();
    if disk.f_bavail * disk.f_frsize >= 1 << 40 {
        println!("SKIPPED: the disk has more free than a reserve may be");
        return;
    }
    let mut command = made.command(&["serve"]);
    command.env("PAIRBOX_STORE_RESERVE", "1024GiB");
    let served = made.serve_by(command);
    let is_disk = || status(&made)["readiness"]["because"] == serde_json::json!(["disk"]);
    wait_until(is_disk, || status(&made).to_string());
    assert!(readyz(served.address).starts_with("HTTP/1.1 503"));
    let told = made.run(&["status"]);
    assert!(told.contains("ready          no: disk; "), "{told}");
}
