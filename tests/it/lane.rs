//! A lane against the real simulator over loopback: session, window, faults, and the exact account of what had not left.
//!
//! Waits have a deadline and no sleep; every run has one seed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use pairbox::clock::{Clock, SystemClock};
use pairbox::domain::{Framing, Outcome, Timestamp};
use pairbox::provider::lane::{Cause, NotTaken};
use pairbox::provider::{
    DownPhase, EVENT_BATCHES_MAX, LaneBatch, LaneCommand, LaneEvent, LaneHandle, LaneWires,
    Outgoing, Provider, ProviderOptions, SessionOverrides, Transactions,
};
use pairbox::script::contract::{Confirms, EncodeContext, ItemKind, Step};
use pairbox::script::{Mapping, STACK_BYTES_MIN};
use pairbox::simulate::{Faults, Persona, SimulateOptions, Simulator, SimulatorView};
use pairbox::telemetry::{Metric, Metrics};
use pairbox::transport::Decoder;
use serde_json::{Value, json};
use socket2::{Domain, SockRef, Socket, Type};

const SEED: u64 = 2_026;
const DEADLINE: Duration = Duration::from_secs(30);

fn mapping() -> Arc<Mapping> {
    Arc::new(Mapping::load(Path::new("scripts"), "smsgw").unwrap())
}

/// A simulated CAS on a thread of its own.
struct Cas {
    address: SocketAddr,
    view: SimulatorView,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Cas {
    fn start(listen: &str, faults: &str, settings: Value) -> Self {
        let persona = Persona::new(mapping(), settings).unwrap();
        let mut options = SimulateOptions::new(persona, listen);
        options.faults = faults.parse::<Faults>().unwrap();
        options.seed = SEED;
        Self::run(options)
    }

    fn run(options: SimulateOptions) -> Self {
        let (simulator, address) = Simulator::bind(options).unwrap();
        let view = simulator.view();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = on_thread("cas", move || simulator.run(&flag).unwrap());
        Self {
            address,
            view,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Cas {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A lane on a thread of its own, with the part of dispatch that the test plays.
struct Lane {
    provider: Provider,
    transactions: Arc<Transactions>,
    handle: LaneHandle,
    events: Receiver<LaneBatch>,
    waiting: VecDeque<LaneEvent>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    fn start(address: SocketAddr, overrides: SessionOverrides) -> Self {
        Self::start_by(address, overrides, Arc::new(SystemClock::new()))
    }

    fn start_by(address: SocketAddr, overrides: SessionOverrides, clock: Arc<dyn Clock>) -> Self {
        let provider = Provider::new(ProviderOptions {
            credentials: pairbox::provider::Credentials::default(),
            number: 1,
            name: "main".to_owned(),
            family: "nagravision".to_owned(),
            mapping: mapping(),
            settings: json!({ "source_id": 1234, "dest_id": 5, "mop_ppid": 67892 }),
            address: address.to_string(),
            overrides,
            cardinality: pairbox::domain::Cardinality::ONE_TO_ONE,
            smartcard_products: vec!["CARD*".to_owned()],
            stb_products: vec!["STB*".to_owned()],
            seed: SEED,
        })
        .unwrap();
        let metrics = Arc::new(Metrics::new());
        let (sender, events) = bounded(EVENT_BATCHES_MAX);
        let transactions = provider.transactions(None);
        let wires = LaneWires {
            clock: Arc::clone(&clock),
            transactions: Arc::clone(&transactions),
            events: sender,
            tap: None,
            metrics: Arc::clone(&metrics),
        };
        let (runner, handle) = provider.lane(0, wires).unwrap();
        let thread = on_thread("lane", move || runner.run());
        let lane = Self {
            provider,
            transactions,
            handle,
            events,
            waiting: VecDeque::new(),
            clock,
            metrics,
            thread: Some(thread),
        };
        lane.grant();
        lane.handle.command(LaneCommand::Connect).unwrap();
        lane
    }

    fn grant(&self) {
        while let Some((first, last)) = self.transactions.needs_block() {
            self.transactions.grant(first, last);
        }
    }

    /// The next event that `wanted` takes; what comes before it is dropped.
    fn wait<T>(&mut self, what: &str, wanted: impl Fn(&LaneEvent) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        loop {
            let event = self
                .next(until)
                .unwrap_or_else(|| panic!("no {what}, seed {SEED}"));
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    }

    fn next(&mut self, until: Instant) -> Option<LaneEvent> {
        while self.waiting.is_empty() {
            match self.events.recv_deadline(until) {
                Ok((_, batch)) => self.waiting.extend(batch),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
        self.waiting.pop_front()
    }

    fn ready(&mut self) -> u64 {
        self.wait("Ready", |event| match event {
            LaneEvent::Ready { connection } => Some(*connection),
            _ => None,
        })
    }

    fn down(&mut self) -> (DownPhase, String, Vec<u64>, Option<Duration>) {
        self.wait("Down", |event| match event {
            LaneEvent::Down {
                phase,
                reason,
                unsent,
                retry_in,
                ..
            } => Some((*phase, reason.clone(), unsent.clone(), *retry_in)),
            _ => None,
        })
    }

    /// A pair command for the card and STB of this number, and the key of its answer.
    fn pair(&self, number: u64) -> (Outgoing, String) {
        let step = Step {
            confirms: Confirms::Pair,
            card: card(number),
            stb: Some(format!("{:010}", number + 1)),
            leaves: None,
            data: Value::Null,
        };
        self.grant();
        let context = EncodeContext {
            transaction: self.transactions.take().unwrap(),
            now: self.clock.now(),
            lane: 0,
        };
        let encoded = self
            .provider
            .mapping
            .encode(&step, &context, &self.provider.settings)
            .unwrap();
        let outgoing = Outgoing {
            attempt: number,
            body: encoded.body,
        };
        (outgoing, encoded.key)
    }

    /// Sends `numbers` through a window; returns the outcome of each and how many answers matched nothing.
    fn run_window(&mut self, connection: u64, count: u64, window: usize) -> (usize, usize) {
        let mut in_flight = HashMap::new();
        let (mut begun, mut answered, mut unmatched) = (0, 0, 0);
        let until = Instant::now() + DEADLINE;
        while answered < count as usize {
            let mut frames = Vec::new();
            while in_flight.len() < window && begun < count {
                let (outgoing, key) = self.pair(begun);
                in_flight.insert(key, outgoing.attempt);
                frames.push(outgoing);
                begun += 1;
            }
            if !frames.is_empty() {
                let send = LaneCommand::Send { connection, frames };
                self.handle.command(send).unwrap();
            }
            let first = self
                .next(until)
                .unwrap_or_else(|| panic!("stuck at {answered}"));
            for event in std::iter::once(first).chain(std::mem::take(&mut self.waiting)) {
                match event {
                    LaneEvent::Reply { reply, .. } => {
                        if in_flight.remove(&reply.key).is_some() {
                            assert_eq!(reply.outcome, Outcome::Ok);
                            answered += 1;
                        } else {
                            unmatched += 1;
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        (answered, unmatched)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let _ = self.handle.command(LaneCommand::Stop);
        while self.events.recv().is_ok() {}
        self.thread.take().unwrap().join().unwrap();
    }
}

fn on_thread(name: &str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES_MIN)
        .spawn(body)
        .unwrap()
}

fn card(number: u64) -> String {
    format!("{:010}", 1_000_000_000 + number * 1_000)
}

fn quick() -> SessionOverrides {
    SessionOverrides {
        reconnect_min: Some(Duration::from_millis(5)),
        reconnect_max: Some(Duration::from_millis(80)),
        ..SessionOverrides::default()
    }
}

fn wait_until(what: &str, is_true: impl Fn() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !is_true() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn ten_thousand_commands_are_matched_through_split_merged_reordered_and_doubled_answers() {
    let faults = "split=2%,merge=10%,reorder=10%,duplicate=5%";
    let cas = Cas::start("127.0.0.1:0", faults, json!({}));
    let mut lane = Lane::start(cas.address, quick());
    let connection = lane.ready();
    let (answered, unmatched) = lane.run_window(connection, 10_000, 64);
    assert_eq!(answered, 10_000);
    assert!((300..700).contains(&unmatched), "{unmatched}");
    assert_eq!(cas.view.figures().commands, 10_000);
    let report = lane.handle.status().report();
    assert_eq!(report.state, "ready");
    assert_eq!(report.frames_out, 10_000 + 1 + 3);
    wait_until("the snapshot shows every pairing", || {
        cas.view.snapshot().as_object().unwrap().len() == 10_000
    });
    assert_eq!(cas.view.snapshot()[card(7)], json!("0000000008"));
}

#[test]
fn a_connection_closed_in_mid_window_leaves_no_command_unaccounted() {
    let cas = Cas::start("127.0.0.1:0", "close=0.5%", json!({}));
    let mut lane = Lane::start(cas.address, quick());
    let (mut begun, mut closes) = (0, 0);
    let (mut answered, mut unsent_ever) = (0, HashSet::new());
    let until = Instant::now() + DEADLINE;
    while closes < 10 {
        let connection = lane.ready();
        let mut in_flight = HashMap::new();
        'connection: loop {
            let mut frames = Vec::new();
            while in_flight.len() < 64 {
                let (outgoing, key) = lane.pair(begun);
                in_flight.insert(key, begun);
                frames.push(outgoing);
                begun += 1;
            }
            if !frames.is_empty() {
                let taken = lane
                    .handle
                    .command(LaneCommand::Send { connection, frames });
                if let Err(NotTaken {
                    command: LaneCommand::Send { frames, .. },
                    cause,
                }) = taken
                {
                    assert_eq!(cause, Cause::ConnectionGone);
                    unsent_ever.extend(frames.iter().map(|frame| frame.attempt));
                }
            }
            match lane.next(until).unwrap() {
                LaneEvent::Reply { reply, .. } => {
                    assert!(in_flight.remove(&reply.key).is_some());
                    answered += 1;
                }
                LaneEvent::Down {
                    phase,
                    unsent,
                    connection: ended,
                    ..
                } => {
                    assert_eq!((phase, ended), (DownPhase::Established, connection));
                    assert!(
                        unsent
                            .iter()
                            .all(|attempt| in_flight.values().any(|known| known == attempt))
                    );
                    unsent_ever.extend(unsent);
                    closes += 1;
                    break 'connection;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    drop(lane);
    wait_until("the snapshot is the last one", || {
        cas.view.snapshot().as_object().unwrap().len() as u64 == cas.view.figures().commands
    });
    let pairings = cas.view.snapshot();
    let figures = cas.view.figures();
    assert!(figures.commands >= answered && figures.commands <= begun - unsent_ever.len() as u64);
    for attempt in unsent_ever {
        assert!(pairings.get(card(attempt)).is_none(), "{attempt} was sent");
    }
}

/// A CAS that greets, answers three keepalives and then reads no more until told to; returns how many frames it had got.
fn stalling_cas(read_on: Receiver<()>) -> (SocketAddr, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    SockRef::from(&listener)
        .set_recv_buffer_size(4_096)
        .unwrap();
    let address = listener.local_addr().unwrap();
    let framing = mapping().description().framing.clone();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let hello = read_frame(&mut stream, 2);
        assert_eq!(hello[0], 0);
        stream.write_all(&[0, 1, 6, 0, 1, 0]).unwrap();
        for _ in 0..3 {
            let keepalive = read_frame(&mut stream, 2);
            let answer = [&keepalive[..32], b"1000", &keepalive[..9], &[b'0'; 24]].concat();
            stream.write_all(&[0, answer.len() as u8]).unwrap();
            stream.write_all(&answer).unwrap();
        }
        read_on.recv().unwrap();
        let mut rest = Vec::new();
        // A reset at the end is an end too.
        let _ = stream.read_to_end(&mut rest);
        frames_touched(framing, &rest)
    });
    (address, thread)
}

fn read_frame(stream: &mut TcpStream, width: usize) -> Vec<u8> {
    let mut prefix = vec![0; width];
    stream.read_exact(&mut prefix).unwrap();
    let mut body = vec![0; usize::from(prefix[0]) << 8 | usize::from(prefix[1])];
    stream.read_exact(&mut body).unwrap();
    body
}

fn frames_touched(framing: Framing, bytes: &[u8]) -> usize {
    let mut decoder = Decoder::new(framing);
    decoder.feed(bytes);
    let mut whole = 0;
    while decoder.next_frame().unwrap().is_some() {
        whole += 1;
    }
    whole + usize::from(decoder.waiting_bytes() > 0)
}

#[test]
fn unsent_are_exactly_the_commands_of_which_no_byte_left() {
    let (read_on, told) = bounded(1);
    let (address, cas) = stalling_cas(told);
    let mut lane = Lane::start(address, quick());
    let connection = lane.ready();
    let frames: Vec<Outgoing> = (0..90_000)
        .map(|attempt| Outgoing {
            attempt,
            body: vec![b'0'; 78],
        })
        .collect();
    let count = frames.len();
    lane.handle
        .command(LaneCommand::Send { connection, frames })
        .unwrap();
    let status = lane.handle.status();
    wait_until("the lane has taken the frames", || {
        status.report().frames_out >= count as u64
    });
    lane.handle
        .command(LaneCommand::Disconnect {
            reason: "test".to_owned(),
        })
        .unwrap();
    let (phase, reason, unsent, retry_in) = lane.down();
    read_on.send(()).unwrap();
    assert_eq!(
        (phase, reason.as_str(), retry_in),
        (DownPhase::Asked, "test", None)
    );
    assert!(
        !unsent.is_empty() && unsent.len() < count,
        "{}",
        unsent.len()
    );
    assert_eq!(*unsent.last().unwrap(), count as u64 - 1);
    assert_eq!(cas.join().unwrap(), count - unsent.len());
}

#[test]
fn an_absent_cas_is_tried_again_later_and_later_until_it_is_there() {
    // Bound and not listening: the port stays ours and refuses, and the simulator can still take it.
    let reserved = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    reserved.set_reuse_address(true).unwrap();
    let anywhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
    reserved.bind(&anywhere.into()).unwrap();
    let address = reserved.local_addr().unwrap().as_socket().unwrap();
    let mut lane = Lane::start(address, quick());
    let mut waits = Vec::new();
    for _ in 0..6 {
        let (phase, reason, unsent, retry_in) = lane.down();
        assert_eq!((phase, unsent), (DownPhase::Connect, Vec::new()));
        assert!(reason.contains("refused"), "{reason}");
        waits.push(retry_in.unwrap());
    }
    let bounds = [5, 10, 20, 40, 80, 80];
    for (wait, bound) in waits.iter().zip(bounds.map(Duration::from_millis)) {
        assert!(*wait >= bound / 2 && *wait <= bound, "{waits:?}");
    }
    assert_eq!(lane.handle.status().report().state, "reconnecting");
    let cas = Cas::start(&address.to_string(), "", json!({}));
    let connection = lane.ready();
    assert!(connection > 6);
    assert_eq!(lane.run_window(connection, 10, 4), (10, 0));
    drop(cas);
    assert_eq!(lane.down().0, DownPhase::Established);
}

#[test]
fn a_rejected_hello_is_down_in_hello_with_the_mappings_words() {
    let cas = Cas::start("127.0.0.1:0", "", json!({ "hello_name": "ANOTHER" }));
    let mut lane = Lane::start(cas.address, quick());
    let (phase, reason, ..) = lane.down();
    assert_eq!(phase, DownPhase::Hello);
    assert!(reason.starts_with("hello rejected"), "{reason}");
}

#[test]
fn an_unanswered_keepalive_ends_the_connection() {
    let cas = Cas::start("127.0.0.1:0", "keepalive=100%", json!({}));
    let overrides = SessionOverrides {
        reply_timeout: Some(Duration::from_millis(50)),
        ..quick()
    };
    let mut lane = Lane::start(cas.address, overrides);
    let (phase, reason, ..) = lane.down();
    assert_eq!(phase, DownPhase::Keepalive);
    assert_eq!(reason, "no answer to a keepalive in time");
}

#[test]
fn keepalives_go_on_by_themselves() {
    let cas = Cas::start("127.0.0.1:0", "", json!({}));
    let overrides = SessionOverrides {
        keepalive_every: Some(Duration::from_millis(5)),
        ..quick()
    };
    let mut lane = Lane::start(cas.address, overrides);
    lane.ready();
    let status = lane.handle.status();
    wait_until("twenty keepalives are answered", || {
        status.report().frames_in >= 2 + 3 + 20
    });
    assert_eq!(cas.view.figures().commands, 0);
}

#[test]
fn a_push_is_acknowledged_only_when_dispatch_says_so() {
    let cas = Cas::start("127.0.0.1:0", "", json!({ "feedback": true }));
    let mut lane = Lane::start(cas.address, quick());
    let connection = lane.ready();
    let (outgoing, _) = lane.pair(1);
    let frames = vec![outgoing];
    lane.handle
        .command(LaneCommand::Send { connection, frames })
        .unwrap();
    let reply = lane.wait("Push", |event| match event {
        LaneEvent::Push { reply, .. } => reply.clone(),
        _ => None,
    });
    let status = lane.handle.status();
    let before = status.report().frames_out;
    let stale = LaneCommand::AckPush {
        connection: connection + 1,
        body: reply.clone(),
    };
    assert_eq!(
        lane.handle.command(stale).unwrap_err().cause,
        Cause::ConnectionGone
    );
    lane.handle
        .command(LaneCommand::AckPush {
            connection,
            body: reply,
        })
        .unwrap();
    wait_until("the answer left", || {
        status.report().frames_out == before + 1
    });
}

#[test]
fn a_simulator_that_starts_again_holds_what_it_held() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cas.json");
    let start = || {
        let persona = Persona::new(mapping(), json!({})).unwrap();
        let mut options = SimulateOptions::new(persona, "127.0.0.1:0");
        options.state_file = Some(file.clone());
        Cas::run(options)
    };
    let cas = start();
    let mut lane = Lane::start(cas.address, quick());
    let connection = lane.ready();
    lane.run_window(connection, 100, 16);
    drop(lane);
    drop(cas);
    let pairings = start().view.snapshot();
    assert_eq!(pairings.as_object().unwrap().len(), 100);
}

#[test]
fn a_refused_command_changes_no_pairing_and_a_rejected_hello_is_tried_again() {
    let persona = Persona::new(mapping(), json!({})).unwrap();
    let mut options = SimulateOptions::new(persona, "127.0.0.1:0");
    options.faults = "refuse=50%,hello=50%".parse().unwrap();
    options.seed = SEED;
    let cas = Cas::run(options);
    let mut lane = Lane::start(cas.address, quick());
    let connection = lane.ready();
    let (frames, keys): (Vec<_>, Vec<_>) = (0..100).map(|number| lane.pair(number)).unzip();
    lane.handle
        .command(LaneCommand::Send { connection, frames })
        .unwrap();
    let mut confirmed = 0;
    for _ in keys {
        let outcome = lane.wait("Reply", |event| match event {
            LaneEvent::Reply { reply, .. } => Some(reply.outcome),
            _ => None,
        });
        confirmed += usize::from(outcome == Outcome::Ok);
    }
    assert!((25..75).contains(&confirmed), "{confirmed}");
    wait_until("the snapshot shows the confirmed ones only", || {
        cas.view.snapshot().as_object().unwrap().len() == confirmed
    });
}

#[test]
fn a_late_answer_comes_late_and_a_dropped_one_was_taken_all_the_same() {
    let persona = Persona::new(mapping(), json!({})).unwrap();
    let mut options = SimulateOptions::new(persona, "127.0.0.1:0");
    options.faults = "late=100%,drop=50%".parse().unwrap();
    options.seed = SEED;
    options.late_after = Duration::from_millis(60);
    let cas = Cas::run(options);
    let mut lane = Lane::start(cas.address, quick());
    let connection = lane.ready();
    let frames: Vec<Outgoing> = (0..64).map(|number| lane.pair(number).0).collect();
    let began = Instant::now();
    lane.handle
        .command(LaneCommand::Send { connection, frames })
        .unwrap();
    lane.wait("Reply", |event| match event {
        LaneEvent::Reply { .. } => Some(()),
        _ => None,
    });
    assert!(began.elapsed() >= Duration::from_millis(60));
    // Each command suffered `late` unless `drop` came first: one fault each.
    assert_eq!(cas.view.figures().faults, 64);
    wait_until("every command was taken", || {
        cas.view.snapshot().as_object().unwrap().len() == 64
    });
}

#[test]
fn a_product_is_classified_by_the_globs() {
    let cas = Cas::start("127.0.0.1:0", "", json!({}));
    let lane = Lane::start(cas.address, quick());
    let kind = |code| lane.provider.classify(code);
    assert_eq!(kind("CARD-HD"), Some(ItemKind::Smartcard));
    assert_eq!(kind("STB1"), Some(ItemKind::Stb));
    assert_eq!(kind("DISH"), None);
}

/// The machine's clock, that once makes the thread panic which asks it.
struct TrapClock {
    clock: SystemClock,
    is_set: AtomicBool,
}

impl Clock for TrapClock {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        let is_lane = std::thread::current().name() == Some("lane");
        assert!(
            !is_lane || !self.is_set.swap(false, Ordering::Relaxed),
            "the trap"
        );
        self.clock.monotonic()
    }
}

#[test]
fn a_lane_that_panics_tells_that_its_commands_are_unknown_and_goes_on_with_a_new_connection() {
    let cas = Cas::start("127.0.0.1:0", "drop=100%", json!({}));
    let clock = Arc::new(TrapClock {
        clock: SystemClock::new(),
        is_set: AtomicBool::new(false),
    });
    let mut lane = Lane::start_by(cas.address, quick(), Arc::clone(&clock) as Arc<dyn Clock>);
    let connection = lane.ready();
    let frames: Vec<_> = (1..=3).map(|number| lane.pair(number).0).collect();
    lane.handle
        .command(LaneCommand::Send { connection, frames })
        .unwrap();
    let until = Instant::now() + DEADLINE;
    while cas.view.figures().commands < 3 {
        assert!(
            Instant::now() < until,
            "the commands did not arrive, seed {SEED}"
        );
        std::thread::yield_now();
    }
    clock.is_set.store(true, Ordering::Relaxed);
    let (phase, reason, unsent, retry_in) = lane.down();
    assert_eq!(
        (phase, reason.as_str()),
        (DownPhase::Established, "the lane panicked")
    );
    assert_eq!(unsent, [0; 0], "bytes of them had left");
    assert!(retry_in.is_some(), "it backs off");
    assert_eq!(lane.ready(), connection + 1);
    assert_eq!(lane.metrics.get(Metric::LanePanics), 1);
    let stale = LaneCommand::Send {
        connection,
        frames: vec![lane.pair(4).0],
    };
    let refused = lane.handle.command(stale).unwrap_err();
    assert_eq!(refused.cause, Cause::ConnectionGone);
}
