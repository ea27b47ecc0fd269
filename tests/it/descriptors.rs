//! A process that has no file descriptor left for its clients: it goes on, keeps what it is told, and the operator gets in.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;

use crate::headend::Headend;
use crate::http_scene::until;
use crate::http_wire::Client;
use crate::siege::{HEALTH, Siege};

const DESCRIPTORS: usize = 64;
const CLIENTS: usize = 200;

fn with_few_descriptors(made: &Headend) -> Command {
    let mut shell = Command::new("sh");
    shell
        .current_dir(made.path())
        .args(["-c", &format!("ulimit -n {DESCRIPTORS}; exec \"$0\" serve")])
        .arg(env!("CARGO_BIN_EXE_pairbox"));
    shell
}

fn descriptors_in_use(siege: &Siege) -> usize {
    let path = format!("/proc/{}/fd", siege.served.child.id());
    std::fs::read_dir(path).unwrap().count()
}

/// Opened one after the other, each with this on the way.
fn crowd(siege: &Siege, each: &str) -> Vec<TcpStream> {
    (0..CLIENTS)
        .map(|_| {
            let mut stream = siege.stream();
            // One that was turned away need not take it.
            let _ = stream.write_all(each.as_bytes());
            stream
        })
        .collect()
}

fn the_box_goes_on(variables: &[(&str, &str)], each: &str) {
    let mut siege = Siege::begin_by(variables, with_few_descriptors);
    siege.is_well(&mut siege.stream());
    println!("descriptors of a quiet box: {}", descriptors_in_use(&siege));
    let crowd = crowd(&siege, each);
    // One whose request was inside in that moment did not have to, and the newcomer went instead.
    until("most of them had to make room", || {
        let made_room = siege.metric("pairbox_http_evicted_connections_total");
        made_room + siege.metric("pairbox_http_refused_requests_total") > CLIENTS / 2
    });
    let in_use = descriptors_in_use(&siege);
    println!("under {CLIENTS} clients: {in_use}");
    assert!(in_use < DESCRIPTORS - 4, "{in_use}");
    for round in 0..5 {
        // Its own files and its operator have what they need.
        siege.made.run(&["status"]);
        siege
            .made
            .run(&["provider", "pause", "north", "--reason", "a test"]);
        siege.made.run(&["provider", "resume", "north"]);
        let mut ops = Client::connect(siege.ops);
        assert_eq!(ops.send(HEALTH).status(), 200, "{round}");
    }
    drop(crowd);
    until("clients are served again", || {
        let mut client = siege.stream();
        client.write_all(HEALTH.as_bytes()).is_ok() && Client::over(client).tries() == Some(200)
    });
    siege.is_well(&mut siege.stream());
    assert!(!siege.log().contains("ERROR"), "{}", siege.log());
}

const PATIENT: [(&str, &str); 3] = [
    ("PAIRBOX_HTTP_HEAD_TIMEOUT", "60s"),
    ("PAIRBOX_HTTP_BODY_TIMEOUT", "60s"),
    ("PAIRBOX_HTTP_IDLE_TIMEOUT", "60s"),
];

#[test]
fn silent_clients_cannot_take_the_last_descriptors() {
    the_box_goes_on(&PATIENT, "");
}

#[test]
fn clients_with_half_a_head_cannot_take_the_last_descriptors() {
    the_box_goes_on(&PATIENT, "GET /healthz HTTP/1.1\r\nA: ");
}

#[test]
fn clients_with_half_a_body_cannot_take_the_last_descriptors() {
    the_box_goes_on(
        &PATIENT,
        "POST /healthz HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
    );
}

#[test]
fn clients_that_were_served_and_stay_cannot_take_the_last_descriptors() {
    the_box_goes_on(&PATIENT, HEALTH);
}
