//! The gate: who is let in, how long anybody may take, and that no client holds up or reads another.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use pairbox::config::HttpConfig;
use pairbox::telemetry::Metric;
use socket2::{Domain, Socket, Type};

use super::headend::Headend;
use super::http_scene::{CARD, Choices, GateClock, STB, Scene, http, until};
use super::http_wire::Client;
use super::scene::Cas;

const PROBE: &str = "GET /healthz HTTP/1.1\r\n\r\n";
const HALF: &str = "GET /healthz HTTP/1.1\r\nX-A: ";
const PAIR: &str = "/crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder";

fn scene(bounds: HttpConfig, gate_clock: GateClock) -> Scene {
    Scene::with(Choices {
        http: bounds,
        gate_clock,
        ..Choices::default()
    })
}

fn small(connections_max: usize, connections_per_address_max: usize) -> Scene {
    let bounds = HttpConfig {
        connections_max,
        connections_per_address_max,
        ..http()
    };
    scene(bounds, GateClock::Standing)
}

/// A client from another address of this machine.
fn from(source: [u8; 4], address: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    Client::over(TcpStream::from(socket))
}

#[test]
fn all_of_many_clients_opened_at_once_are_served() {
    let scene = Scene::new();
    for count in [64, 256] {
        let mut clients: Vec<Client> = (0..count).map(|_| scene.client()).collect();
        for _ in 0..3 {
            for client in &mut clients {
                client.write(PROBE.as_bytes());
            }
            for client in &mut clients {
                assert_eq!(client.receive().status(), 200);
            }
        }
    }
}

#[test]
fn requests_sent_ahead_are_answered_in_order_one_at_a_time() {
    let scene = Scene::new();
    let mut client = scene.client();
    let mut writer = client.twin();
    let writing = std::thread::spawn(move || {
        for at in 0..10_000 {
            let target = if at % 2 == 0 { "/healthz" } else { "/nowhere" };
            let request = format!("GET {target} HTTP/1.1\r\n\r\n");
            writer.write_all(request.as_bytes()).unwrap();
        }
    });
    for at in 0..10_000 {
        let expected = if at % 2 == 0 { 200 } else { 404 };
        assert_eq!(client.receive().status(), expected, "{at}");
    }
    writing.join().unwrap();
}

#[test]
fn a_head_or_body_that_drips_is_ended_by_the_wall() {
    let bounds = HttpConfig {
        head_timeout: Duration::from_millis(300),
        body_timeout: Duration::from_millis(300),
        ..http()
    };
    let scene = scene(bounds, GateClock::Running);
    let body = format!("POST {PAIR} HTTP/1.1\r\nContent-Length: 5000\r\n\r\n");
    for (begin, golden) in [(HALF, "head_too_slow"), (&body, "body_too_slow")] {
        let mut client = scene.client();
        let mut dripping = client.twin();
        dripping.write_all(begin.as_bytes()).unwrap();
        let drip = std::thread::spawn(move || {
            // Until the gate has had enough of it.
            while dripping.write_all(b"x").is_ok() {
                std::thread::park_timeout(Duration::from_millis(5));
            }
        });
        let answer = client.receive();
        assert_eq!(answer.error(), "REQUESTTIMEOUT");
        assert!(answer.headers.contains(&"Connection: close".to_owned()));
        answer.is_golden_but_for_its_date(golden);
        drop(client);
        drip.join().unwrap();
    }
    assert_eq!(scene.metric(Metric::HttpTimedOut), 2);
}

#[test]
fn a_silent_connection_is_closed_without_a_word() {
    let bounds = HttpConfig {
        idle_timeout: Duration::from_millis(200),
        ..http()
    };
    let scene = scene(bounds, GateClock::Running);
    let mut fresh = scene.client();
    let mut served = scene.client();
    assert_eq!(served.send(PROBE).status(), 200);
    assert!(fresh.is_closed() && served.is_closed());
}

#[test]
fn half_sent_heads_make_room_oldest_first() {
    let scene = small(4, 4);
    let mut half: Vec<Client> = Vec::new();
    for at in 0..4 {
        let mut client = scene.client();
        client.write(HALF.as_bytes());
        half.push(client);
        until("it is in", || {
            scene.metric(Metric::HttpConnections) == at + 1
        });
    }
    let mut fifth = scene.client();
    assert_eq!(fifth.send(PROBE).status(), 200);
    let mut sixth = scene.client();
    assert_eq!(sixth.send(PROBE).status(), 200);
    assert!(half[0].is_closed() && half[1].is_closed());
    for client in &mut half[2..] {
        assert_eq!(client.send("1\r\n\r\n").status(), 200);
    }
    // Now everyone in has been served, and one that is idle goes.
    assert_eq!(scene.client().send(PROBE).status(), 200);
    assert_eq!(scene.metric(Metric::HttpEvicted), 3);
    assert_eq!(scene.metric(Metric::HttpConnections), 4);
}

/// Callers whose requests wait inside for the CAS, which says nothing.
fn inside(scene: &Scene, count: usize) -> Vec<Client> {
    let key = scene.token(pairbox::access::Role::Crm);
    let clients = (0..count).map(|at| {
        let body = format!(
            r#"{{"token":"{key}","process_immediately":true,"smartcard_identifier":{{"serial_number":"{CARD}"}},"stb_identifier":{{"serial_number":"{STB}"}}}}"#
        );
        let mut client = scene.client();
        let length = body.len();
        let call = format!("POST {PAIR} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}");
        client.write(call.as_bytes());
        until("it is accepted", || scene.requests() > at as u64);
        client
    });
    clients.collect()
}

#[test]
fn who_is_inside_stays_and_the_one_too_many_is_told_to_come_again() {
    let scene = small(2, 2);
    let mut waiting = inside(&scene, 2);
    let mut refused = scene.client();
    let answer = refused.receive();
    assert_eq!((answer.status(), &*answer.error()), (503, "OVERLOADED"));
    assert!(answer.headers.contains(&"Retry-After: 1".to_owned()));
    assert!(refused.is_closed());
    drop(waiting.pop());
    scene.settles(1, None);
    assert_eq!(waiting[0].receive().data()["life_cycle_state"], "COMPLETED");
    assert_eq!(scene.client().send(PROBE).status(), 200);
}

#[test]
fn one_address_cannot_take_all_the_room() {
    let scene = small(16, 8);
    let mut greedy: Vec<Client> = (0..8).map(|_| scene.client()).collect();
    for client in &mut greedy {
        assert_eq!(client.send(PROBE).status(), 200);
    }
    // One more of the same takes the place of the first.
    let mut ninth = scene.client();
    assert_eq!(ninth.send(PROBE).status(), 200);
    assert!(greedy.remove(0).is_closed());
    greedy.push(ninth);
    let mut other = from([127, 0, 0, 2], scene.address());
    assert_eq!(other.send(PROBE).status(), 200);
    // At the cap of all, the one that comes takes room from its own address first.
    let mut own: Vec<Client> = (0..7)
        .map(|_| from([127, 0, 0, 2], scene.address()))
        .collect();
    for client in &mut own {
        client.write(HALF.as_bytes());
    }
    until("all are in", || scene.metric(Metric::HttpConnections) == 16);
    assert_eq!(
        from([127, 0, 0, 2], scene.address()).send(PROBE).status(),
        200
    );
    for client in &mut greedy {
        assert_eq!(client.send(PROBE).status(), 200);
    }
}

#[test]
fn a_full_api_door_leaves_the_other_doors_open() {
    let scene = small(2, 2);
    let _inside = inside(&scene, 2);
    assert_eq!(scene.client().receive().status(), 503);
    let mut ops = Client::connect(scene.ops());
    assert_eq!(ops.send(PROBE).status(), 200);
    let metrics = ops.send("GET /metrics HTTP/1.1\r\n\r\n");
    assert!(metrics.body.contains("pairbox_http_connections "));
    assert_eq!(
        ops.send("GET /crmapi/rest/v2/ HTTP/1.1\r\n\r\n").status(),
        404
    );
    let mut control = scene.control();
    assert_eq!(control.send(PROBE).status(), 200);
    let call = r#"{"by":"cli:anna","ask":null}"#;
    let status = control.send(&format!(
        "POST /control/status HTTP/1.1\r\nContent-Length: {}\r\n\r\n{call}",
        call.len()
    ));
    assert_eq!(status.status(), 200, "{}", status.body);
}

#[test]
fn a_client_that_expects_continue_is_told_to() {
    let scene = Scene::new();
    let mut client = scene.client();
    client.write(
        format!("POST {PAIR} HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            .as_bytes(),
    );
    assert_eq!(client.interim(), "HTTP/1.1 100 Continue");
    assert_eq!(client.send("{}").error(), "INVALIDTOKEN");
    // Whoever sends the body at once is not kept waiting for it.
    let at_once = client.send(&format!(
        "POST {PAIR} HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{{}}"
    ));
    assert_eq!(at_once.error(), "INVALIDTOKEN");
}

#[test]
fn a_head_request_is_answered_without_a_body() {
    let scene = Scene::new();
    let mut client = scene.client();
    client.write(b"HEAD /healthz HTTP/1.1\r\n\r\n");
    assert_eq!(client.head().status_line, "HTTP/1.1 200 OK");
    assert_eq!(client.send(PROBE).status(), 200);
}

/// The longest list goes out whole while its client reads a byte at a time, and others are served meanwhile.
#[test]
fn a_slow_reader_holds_nobody_up() {
    let scene = Scene::new();
    for at in 0..300 {
        scene.import(&format!("88{at:010}"), "SMC-9", true);
    }
    let token = scene.token(pairbox::access::Role::Viewer);
    let list = format!("GET /crmapi/rest/v2/installed_items/list?token={token} HTTP/1.1\r\n\r\n");
    let slow: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(scene.address()).unwrap();
            stream.write_all(list.repeat(50).as_bytes()).unwrap();
            stream
        })
        .collect();
    let mut client = scene.client();
    for _ in 0..50 {
        assert_eq!(client.send(PROBE).status(), 200);
    }
    let pair = scene.pair(&format!(
        r#""smartcard_identifier":{{"serial_number":"{CARD}"}},"stb_identifier":{{"serial_number":"{STB}"}}"#
    ));
    assert_eq!(pair.data()["number"], "1");
    for mut stream in slow {
        let mut first = [0; 15];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
    }
}

/// Of the whole process, whoever calls.
#[test]
fn the_threads_of_the_process_do_not_grow_with_its_clients() {
    let cas = Cas::start("", 5);
    let headend = Headend::new(cas.address, 4);
    let served = headend.serve();
    let mut clients: Vec<Client> = (0..256).map(|_| Client::connect(served.address)).collect();
    for client in &mut clients {
        client.write(PROBE.as_bytes());
    }
    for client in &mut clients {
        assert_eq!(client.receive().status(), 200);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.child.id())).unwrap();
    let threads = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    let threads: u32 = threads.unwrap().trim().parse().unwrap();
    println!("{threads} threads with {} clients", clients.len());
    assert!(threads < 48, "{threads}");
    served.stop();
}

#[test]
fn line_ends_behind_a_body_begin_nothing() {
    let scene = Scene::new();
    let mut client = scene.client();
    for _ in 0..3 {
        let answer = client.send(&format!(
            "POST {PAIR} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}\r\n"
        ));
        assert_eq!(answer.error(), "INVALIDTOKEN");
    }
    assert_eq!(client.send(PROBE).status(), 200);
}

/// Bodies faster than they are taken in: what has left the gate is not kept, what cannot leave stays in the sockets.
#[test]
fn a_flood_of_bodies_is_answered_and_holds_nobody_up() {
    let scene = Scene::new();
    let body = "x".repeat(65_536);
    let flood = format!(
        "POST /nowhere HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut clients: Vec<Client> = (0..64).map(|_| scene.client()).collect();
    for _ in 0..5 {
        for client in &mut clients {
            client.write(flood.as_bytes());
        }
        assert_eq!(scene.client().send(PROBE).status(), 200);
        for client in &mut clients {
            assert_eq!(client.receive().status(), 404);
        }
    }
}

#[test]
fn who_stands_between_two_requests_makes_room() {
    let scene = small(4, 4);
    let mut idle: Vec<Client> = Vec::new();
    for _ in 0..4 {
        let mut client = scene.client();
        assert_eq!(client.send(PROBE).status(), 200);
        idle.push(client);
    }
    let mut newcomer = scene.client();
    assert_eq!(newcomer.send(PROBE).status(), 200);
    assert!(idle[0].is_closed());
    assert_eq!(idle[1].send(PROBE).status(), 200);
}
