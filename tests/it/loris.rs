//! Thousands of connections that are there to be there: half heads that drip, and idle ones. Whoever behaves is served all
//! the time, from the address of the attack and from another.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::http_scene::until;
use crate::http_wire::Client;
use crate::siege::{HEALTH, PATIENCE, Siege};

/// More than one address may have.
const LORIS: usize = 3_000;
const LORIS_IN: usize = 2_000;
const IDLE: usize = 10_000;
/// Descriptors that the other tests of this process may need meanwhile.
const KEPT: usize = 2_000;
/// How long an attack stands once it is complete.
const STANDS_FOR: Duration = Duration::from_secs(1);
const DRIPS_EVERY: Duration = Duration::from_millis(50);
/// The attackers' networks; the first is the well-behaved client's own too. None is the one that other tests connect from,
/// or they would run out of ports there.
const ATTACKERS: [[u8; 4]; 5] = [
    [127, 0, 0, 7],
    [127, 0, 0, 3],
    [127, 0, 0, 4],
    [127, 0, 0, 5],
    [127, 0, 0, 6],
];
const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];
/// As the box is by default.
const DEFAULTS: [(&str, &str); 3] = [
    ("PAIRBOX_HTTP_HEAD_TIMEOUT", "5s"),
    ("PAIRBOX_HTTP_BODY_TIMEOUT", "10s"),
    ("PAIRBOX_HTTP_IDLE_TIMEOUT", "60s"),
];

/// As many as wanted, or as this process may open.
fn as_many_as(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let most = limit.maximum.map_or(usize::MAX, |most| most as usize);
    let count = wanted.min(most.saturating_sub(KEPT));
    if count < wanted {
        println!(
            "SKIPPED: {} of {wanted} connections, for {most} descriptors are the limit here",
            wanted - count
        );
    }
    count
}

fn connect(source: [u8; 4], address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect(&address.into())?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket.into())
}

/// Asks all the time, on one connection that it keeps and on a new one each; every answer must be a 200.
fn behaves(source: [u8; 4], siege: &Siege, is_over: &AtomicBool) -> Vec<Duration> {
    let address = siege.served.address;
    let mut kept = Client::over(connect(source, address).unwrap());
    let mut took = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        assert_eq!(kept.send(HEALTH).status(), 200, "kept, from {source:?}");
        took.push(begun.elapsed());
        let begun = Instant::now();
        let mut fresh = Client::over(connect(source, address).unwrap());
        assert_eq!(fresh.send(HEALTH).status(), 200, "new, from {source:?}");
        took.push(begun.elapsed());
    }
    took
}

fn told(source: [u8; 4], mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!(
        "from {source:?}: {} answered, median {:?}, 99 of 100 within {:?}, all within {:?}",
        took.len(),
        at(50),
        at(99),
        at(100)
    );
    // So few would mean that it hardly ran.
    assert!(took.len() > 20, "{}", took.len());
}

/// Lets both clients behave while the attack runs.
fn served_all_the_time(siege: &mut Siege, attack: impl FnOnce(&Siege)) {
    siege.is_well(&mut siege.stream());
    let is_over = AtomicBool::new(false);
    let watched: &Siege = siege;
    thread::scope(|scope| {
        let over = &is_over;
        let clients = [ATTACKERS[0], ELSEWHERE]
            .map(|source| (source, scope.spawn(move || behaves(source, watched, over))));
        let attacked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| attack(watched)));
        over.store(true, Ordering::Relaxed);
        for (source, client) in clients {
            told(source, client.join().unwrap());
        }
        attacked.unwrap();
    });
    siege.is_well(&mut siege.stream());
}

const HALF: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ";

/// Each sends a byte now and then, and begins anew when it is ended.
#[test]
fn thousands_of_half_heads_that_drip_hold_nobody_up() {
    let mut siege = Siege::begin(&DEFAULTS);
    let count = as_many_as(LORIS);
    served_all_the_time(&mut siege, |siege| {
        let begin = || {
            let mut stream = connect(ATTACKERS[0], siege.served.address).unwrap();
            // Who is ended in this moment begins anew with the next byte.
            let _ = stream.write_all(HALF);
            stream
        };
        let mut loris: Vec<TcpStream> = (0..count).map(|_| begin()).collect();
        until("all are in", || {
            siege.metric("pairbox_http_connections") >= LORIS_IN.min(count)
        });
        let until = Instant::now() + STANDS_FOR;
        while Instant::now() < until {
            for stream in &mut loris {
                if stream.write_all(b"x").is_err() {
                    *stream = begin();
                }
            }
            thread::park_timeout(DRIPS_EVERY);
        }
        println!("memory: {} KiB at most", siege.memory_peak_kib());
    });
}

/// Half of them were served once, and want nothing more.
#[test]
fn ten_thousand_idle_connections_hold_nobody_up() {
    let mut siege = Siege::begin(&DEFAULTS);
    let count = as_many_as(IDLE);
    served_all_the_time(&mut siege, |siege| {
        let mut idle = Vec::new();
        for at in 0..count {
            let source = ATTACKERS[at % ATTACKERS.len()];
            let mut stream = connect(source, siege.served.address).unwrap();
            if at % 2 == 0 {
                // One that had to make room by then is not answered.
                let _ = stream.write_all(HEALTH.as_bytes());
                let _ = stream.read(&mut [0; 512]);
            }
            idle.push(stream);
        }
        thread::park_timeout(STANDS_FOR);
        println!("memory: {} KiB at most", siege.memory_peak_kib());
        drop(idle);
    });
}
