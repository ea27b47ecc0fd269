//! Every number of `/metrics` is seen to move on the ops door when the thing happens that it counts.
//!
//! Each test lists the numbers it moves; together they are all there are.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixStream;
use std::process::Command as Process;
use std::sync::Arc;
use std::time::Duration;

use pairbox::access::{Access, Role};
use pairbox::commit::{
    Answered, Chunk, ChunkRow, Command, DispatchCommand, RowAsked, SettleAttempt,
};
use pairbox::config::{HttpConfig, TokenLife};
use pairbox::domain::event::{Confirmed, Event, Frame, JobFields, LateAnswer, LateEffect, Then};
use pairbox::domain::{
    Acknowledges, Confirms, JobNumber, Outcome, Position, ProviderNumber, Purpose, RequestNumber,
    Timestamp, View as _,
};
use pairbox::http::ApiParts;
use pairbox::telemetry::{Metric, MetricKind, Metrics};

use crate::doorway::Doorway;
use crate::http_scene::{
    self, CARD, CARD_2, Choices, GateClock, STB, STB_2, Scene, http, pause, until,
};
use crate::http_wire::Client;
use crate::scene::{card_serial, stb_serial};
use crate::siege::Siege;

const OF_REQUESTS: [Metric; 6] = [
    Metric::RequestsAccepted,
    Metric::RequestsRefused,
    Metric::RequestsCompleted,
    Metric::RequestsRejected,
    Metric::RequestsHeld,
    Metric::RequestsUnfinished,
];
const OF_ATTEMPTS: [Metric; 5] = [
    Metric::AttemptsBegun,
    Metric::AttemptsUnknown,
    Metric::AnswersLate,
    Metric::AnswersUnmatched,
    Metric::PairingConflicts,
];
const OF_THE_WRITER: [Metric; 5] = [
    Metric::PushesPassedOver,
    Metric::CommandsTooLarge,
    Metric::LedgerGroups,
    Metric::LedgerBytes,
    Metric::WriterQueueFull,
];
const OF_ACCESS: [Metric; 3] = [
    Metric::LoginsFailed,
    Metric::LoginsThrottled,
    Metric::Sessions,
];
const OF_HTTP: [Metric; 7] = [
    Metric::HttpRequests,
    Metric::HttpRefused,
    Metric::HttpEvicted,
    Metric::HttpTimedOut,
    Metric::HttpConnections,
    Metric::UnknownFields,
    Metric::QueueFull,
];
/// Seen where a test plays what stands behind the gate, lets a handler or a lane panic, or reloads.
const ELSEWHERE: [Metric; 5] = [
    Metric::HttpLinesBroken,
    Metric::HandlerPanics,
    Metric::LanePanics,
    Metric::Generation,
    Metric::ReloadsRefused,
];
const OF_THE_BOX: [Metric; 6] = [
    Metric::ProvidersPaused,
    Metric::CircuitsOpen,
    Metric::ScriptErrors,
    Metric::StateLag,
    Metric::StateBytes,
    Metric::DiskFree,
];
const OF_JOBS: [Metric; 3] = [Metric::JobsRunning, Metric::JobsPaused, Metric::JobRows];
const OF_THE_WATCH: [Metric; 1] = [Metric::ProbesMissed];

type Page = BTreeMap<String, u64>;

/// Reads a page as Prometheus does: help and type before each number, each number once.
fn read(text: &str) -> Page {
    let mut page = Page::new();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        text.ends_with('\n') && lines.len().is_multiple_of(3),
        "{text}"
    );
    for (chunk, metric) in lines.chunks(3).zip(Metric::ALL) {
        let (name, kind) = (metric.name(), metric.kind());
        let kind = if kind == MetricKind::Counter {
            "counter"
        } else {
            "gauge"
        };
        assert_eq!(chunk[0], format!("# HELP {name} {}", metric.help()));
        assert_eq!(chunk[1], format!("# TYPE {name} {kind}"));
        let (found, value) = chunk[2].split_once(' ').unwrap();
        assert_eq!(found, name);
        page.insert(found.to_owned(), value.parse().unwrap());
    }
    assert_eq!(page.len(), Metric::ALL.len());
    page
}

/// All of these moved, and counters grew.
fn moved(metrics: &[Metric], before: &Page, after: &Page) {
    for metric in metrics {
        let name = metric.name();
        let (before, after) = (before[name], after[name]);
        assert_ne!(before, after, "{name}");
        if metric.kind() == MetricKind::Counter {
            assert!(after > before, "{name}: {before}, then {after}");
        }
    }
}

fn page(scene: &Scene) -> Page {
    read(&scene.figures().body)
}

#[test]
fn every_number_has_a_test_that_moves_it() {
    let mut names: Vec<&str> = OF_REQUESTS
        .iter()
        .chain(&OF_ATTEMPTS)
        .chain(&OF_THE_WRITER)
        .chain(&OF_ACCESS)
        .chain(&OF_HTTP)
        .chain(&ELSEWHERE)
        .chain(&OF_THE_BOX)
        .chain(&OF_JOBS)
        .chain(&OF_THE_WATCH)
        .map(|metric| metric.name())
        .collect();
    names.sort_unstable();
    let mut all: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    all.sort_unstable();
    assert_eq!(names, all);
}

#[test]
fn the_page_is_what_prometheus_reads() {
    let scene = Scene::new();
    let answer = scene.figures();
    let kind = "Content-Type: text/plain; version=0.0.4; charset=utf-8";
    assert!(answer.headers.contains(&kind.to_owned()));
    read(&answer.body);
}

fn pair(scene: &Scene, card: &str, stb: &str) {
    let answer = scene.pair(&format!(
        r#""smartcard_identifier":{{"serial_number":"{card}"}},"stb_identifier":{{"serial_number":"{stb}"}}"#
    ));
    answer.data();
}

fn frame() -> Frame {
    Frame {
        bytes: "x".into(),
        is_hex: false,
        sha256: None,
    }
}

/// Plays dispatch: the attempt of a request ends, and nobody knows how.
fn ends_unknown(scene: &Scene, number: u64, then: Then) {
    let acknowledges = scene.begins(number);
    let settle = SettleAttempt {
        request: RequestNumber(number),
        attempt: 1,
        outcome: Outcome::Unknown,
        code: None,
        text: None,
        reference: None,
        frame: None,
        patience_spent_ms: 0,
        then,
        acknowledges,
    };
    let door = &scene.actions().door;
    door.dispatched(DispatchCommand::Settle(Box::new(settle)));
}

#[test]
fn requests_are_counted_by_what_becomes_of_them() {
    let mut scene = Scene::new();
    let before = page(&scene);
    pair(&scene, CARD, STB);
    pair(&scene, CARD_2, STB_2);
    let accepted = page(&scene);
    assert_eq!(accepted["pairbox_accepted_requests_total"], 2);
    assert_eq!(accepted["pairbox_unfinished_requests"], 2);
    scene.settles(1, None);
    ends_unknown(
        &scene,
        2,
        Then::Held {
            reason: "who knows".into(),
        },
    );
    let held = || scene.figure(Metric::RequestsHeld) == 1;
    until("it is held", held);
    pair(&scene, CARD, "4400000003");
    scene.settles(3, Some("13"));
    let refused = scene.pair(r#""smartcard_identifier":{"serial_number":"0"}"#);
    assert_eq!(refused.error(), "SMARTCARDNOTFOUND");
    let after = page(&scene);
    moved(&OF_REQUESTS, &before, &after);
    assert_eq!(after["pairbox_completed_requests_total"], 1);
    assert_eq!(after["pairbox_rejected_requests_total"], 1);
    assert_eq!(after["pairbox_refused_requests_total"], 1);
    // What was held is so after a restart, and is not when it ends.
    scene.restart();
    assert_eq!(scene.figure(Metric::RequestsHeld), 1);
    assert_eq!(scene.figure(Metric::RequestsCompleted), 1);
    scene.record(Command::Resolve {
        request: RequestNumber(2),
        resolution: pairbox::domain::event::Resolution::Done,
        reason: "seen".into(),
    });
    assert_eq!(scene.figure(Metric::RequestsHeld), 0);
    assert_eq!(scene.figure(Metric::RequestsUnfinished), 0);
}

#[test]
fn jobs_are_counted_by_their_phase_and_their_rows_by_their_endings() {
    let scene = Scene::new();
    let before = page(&scene);
    let fields = |rows| {
        Box::new(JobFields {
            folder: "0".into(),
            script: "a.rhai".into(),
            script_sha256: String::new(),
            input: "a.csv".into(),
            input_sha256: String::new(),
            rows,
            byte: 0,
            args: "{}".into(),
            chunk_rows: 256,
            rate_per_s: 0,
            stop_after: 0,
        })
    };
    scene.record(Command::CreateJob(fields(3)));
    scene.record(Command::CreateJob(fields(3)));
    let skipped = |to_byte| ChunkRow {
        asked: RowAsked::Skipped("not today".into()),
        to_byte,
    };
    scene.record(Command::RunChunk(Chunk {
        job: JobNumber(1),
        from_row: 0,
        rows: vec![skipped(1), skipped(2)],
    }));
    scene.record(Command::PauseJob {
        job: JobNumber(2),
        reason: "later".into(),
    });
    let after = page(&scene);
    moved(&OF_JOBS, &before, &after);
    assert_eq!(after["pairbox_running_jobs"], 1);
    assert_eq!(after["pairbox_paused_jobs"], 1);
    assert_eq!(after["pairbox_job_rows_total"], 2);
}

#[test]
fn attempts_and_answers_are_counted_as_they_are_recorded() {
    let scene = Scene::new();
    let before = page(&scene);
    pair(&scene, CARD, STB);
    pair(&scene, CARD_2, STB_2);
    ends_unknown(
        &scene,
        1,
        Then::Held {
            reason: "who knows".into(),
        },
    );
    let door = &scene.actions().door;
    door.dispatched(DispatchCommand::Answered(Box::new(Answered {
        request: RequestNumber(1),
        attempt: 1,
        purpose: Purpose::Command,
        step: 0,
        transaction: 1,
        outcome: Outcome::Ok,
        code: None,
        text: None,
        reference: None,
        frame: frame(),
        acknowledges: Acknowledges {
            confirms: Confirms::Pair,
            leaves: None,
        },
    })));
    door.dispatched(DispatchCommand::AnswersUnknown {
        provider: ProviderNumber(1),
        minute: Timestamp::ZERO,
        count: 5,
        sample: "x".into(),
    });
    // A CAS that says that the other card has the same STB.
    let accepted = scene
        .actions()
        .state
        .view()
        .request(RequestNumber(2))
        .unwrap();
    scene.record(Command::Record(vec![Event::LateAnswer(LateAnswer {
        request: RequestNumber(2),
        before: accepted.latest,
        transaction: 2,
        outcome: Outcome::Ok,
        code: None,
        text: None,
        reference: None,
        frame: frame(),
        effect: LateEffect::Completes,
        confirmed: Some(Confirmed {
            confirms: Confirms::Pair,
            card: scene.item(CARD_2),
            stb: Some(scene.item(STB)),
            before: Position::NONE,
        }),
        doubted_before: None,
        doubt: None,
    })]));
    let after = page(&scene);
    moved(&OF_ATTEMPTS, &before, &after);
    assert_eq!(after["pairbox_unmatched_answers_total"], 5);
    assert_eq!(after["pairbox_pairing_conflicts_total"], 1);
}

#[test]
fn the_writer_counts_what_it_writes_and_what_it_passes_over() {
    let scene = Scene::new();
    let before = page(&scene);
    let actions = scene.actions();
    for push in 0..601 {
        actions.door.dispatched(DispatchCommand::PushReceived {
            provider: ProviderNumber(1),
            data: "x".into(),
            push,
        });
    }
    let too_large = Event::PushReceived {
        provider: ProviderNumber(1),
        data: "x".repeat(1 << 20),
    };
    let refused = actions.door.call("test", Command::Record(vec![too_large]));
    assert!(refused.is_err());
    // While somebody looks, the writer cannot make its group visible, and the queue behind it fills.
    let view = actions.state.view();
    let mut refusals = 0;
    let (told, hears) = crossbeam_channel::unbounded();
    while refusals == 0 {
        let told = told.clone();
        let reply = move |result: Result<_, _>| {
            let _ = told.send(result.is_err());
        };
        actions.door.submit("test", pause(), Box::new(reply));
        refusals += hears.try_iter().filter(|is_refused| *is_refused).count();
    }
    drop(view);
    until("the writer goes on", || {
        scene.figure(Metric::ProvidersPaused) == 1
    });
    let after = page(&scene);
    moved(&OF_THE_WRITER, &before, &after);
    assert_eq!(
        after["pairbox_full_writer_queue_refusals_total"],
        refusals as u64
    );
    assert_eq!(after["pairbox_passed_over_pushes_total"], 1);
}

#[test]
fn logins_are_counted_that_fail_and_that_live() {
    let scene = Scene::new();
    let before = page(&scene);
    let wrong = r#"{"username":"anna","password":"wrong","organisation":"o"}"#;
    for _ in 0..6 {
        scene.post("authentication/token", wrong);
    }
    scene.token(Role::Viewer);
    let after = page(&scene);
    moved(&OF_ACCESS, &before, &after);
    assert_eq!(after["pairbox_failed_logins_total"], 5);
    assert_eq!(after["pairbox_throttled_logins_total"], 1);
}

#[test]
fn the_gate_counts_who_is_answered_refused_and_sent_away() {
    let scene = Scene::with(Choices {
        http: HttpConfig {
            connections_max: 16,
            head_timeout: Duration::from_millis(200),
            ..http()
        },
        gate_clock: GateClock::Running,
        queue_max: 1,
        ..Choices::default()
    });
    let before = page(&scene);
    let mut slow = scene.client();
    slow.write(b"GET /healthz HTTP/1.1\r\n");
    assert_eq!(slow.receive().status(), 408);
    assert_eq!(scene.client().send("GET / HTTP/9.9\r\n\r\n").status(), 400);
    let idle: Vec<Client> = (0..20).map(|_| scene.client()).collect();
    assert_eq!(
        scene
            .client()
            .send("GET /healthz HTTP/1.1\r\n\r\n")
            .status(),
        200
    );
    scene.post("authentication/token", r#"{"colour":"red"}"#);
    pair(&scene, CARD, STB);
    let unknown = r#","note":"ignored""#;
    scene.pair(&format!(
        r#""smartcard_identifier":{{"serial_number":"0"}}{unknown}"#
    ));
    until("a queue is full", || {
        let mut floods: Vec<Client> = (0..8).map(|_| scene.client()).collect();
        for client in &mut floods {
            client.write(b"GET /crmapi/rest/v2/installed_items/list HTTP/1.1\r\n\r\n");
        }
        floods.iter_mut().any(|client| client.tries() == Some(503))
    });
    until("it is told", || {
        let after = page(&scene);
        OF_HTTP
            .iter()
            .all(|metric| after[metric.name()] != before[metric.name()])
    });
    moved(&OF_HTTP, &before, &page(&scene));
    drop(idle);
}

/// The real box: its disk, a provider that is paused or out of reach, a mapping that fails.
#[test]
fn the_box_shows_its_disk_its_providers_and_its_scripts() {
    let (card, stb) = (card_serial(1), stb_serial(1));
    let mut siege = Siege::begin_by(&[], |made| {
        let mapping = fs::read_to_string("scripts/mappings/smsgw/mapping.rhai").unwrap();
        let validate = "fn validate(request, cfg) {";
        let throws = format!("{validate} if request.card == `{card}` {{ throw `on purpose` }}");
        let broken = mapping.replace(validate, &throws);
        assert_ne!(mapping, broken);
        // It gives a CAS up sooner, too.
        let broken = broken.replace(r#"reconnect_min: "1s""#, r#"reconnect_min: "50ms""#);
        let folder = made.path().join("scripts/mappings/smsgw");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("mapping.rhai"), broken).unwrap();
        made.command(&["serve"])
    });
    let shown = read(&siege.metrics());
    assert!(shown["pairbox_state_bytes"] > 0, "{shown:?}");
    until("the disk was looked at", || {
        siege.metric("pairbox_disk_free_bytes") > 0
    });
    siege.is_well(&mut siege.stream());
    until("rows wait for the disk", || {
        siege
            .made
            .run(&["provider", "pause", "north", "--reason", "a test"]);
        let lags = siege.metric("pairbox_state_lag_rows") > 0;
        assert_eq!(siege.metric("pairbox_paused_providers"), 1);
        siege.made.run(&["provider", "resume", "north"]);
        lags
    });
    assert_eq!(siege.metric("pairbox_paused_providers"), 0);
    let ran = siege.made.command(&["pair", &card, &stb]).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success(), "{told}");
    assert_eq!(siege.metric("pairbox_script_errors_total"), 1, "{told}");
    assert_eq!(siege.metric("pairbox_refused_requests_total"), 1, "{told}");
    siege.cas.stop();
    until("its circuit opens", || {
        siege.metric("pairbox_open_circuits") == 1
    });
}

/// Its caller is told, its worker lives on.
#[test]
fn a_handler_that_panics_is_counted() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let life = TokenLife::Idle(Duration::from_hours(1));
    let access = Access::open(folder.path(), life, scene.clock.clone()).unwrap();
    let metrics = Arc::new(Metrics::new());
    let parts = |finisher| ApiParts {
        actions: scene.actions().clone(),
        access: Arc::new(access),
        metrics: metrics.clone(),
        config: http_scene::api(life),
        finisher,
        verbs: Box::new(|_| panic!("on purpose")),
        unready: Box::new(Vec::new),
        is_reachable: Box::new(|_| true),
    };
    let http = HttpConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        ..http()
    };
    let clock = scene.clock.clone();
    let doorway = Doorway::open(folder.path(), &http, clock, metrics.clone(), parts);
    let socket = folder.path().join("control.sock");
    let mut control = Client::over(UnixStream::connect(socket).unwrap());
    // More than there are workers.
    for _ in 0..5 {
        let answer = control.send("POST /control/status HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
        assert_eq!((answer.status(), &*answer.error()), (500, "INTERNALERROR"));
    }
    // The caller is answered as the handler falls, before it is counted.
    until("each is counted", || {
        let page = Client::connect(doorway.ops).send("GET /metrics HTTP/1.1\r\n\r\n");
        read(&page.body)["pairbox_handler_panics_total"] == 5
    });
    doorway.close();
}

#[test]
fn a_probe_that_is_missed_is_counted() {
    let strace = Process::new("strace").arg("-V").output();
    if !strace.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: there is no strace");
        return;
    }
    let siege = Siege::begin_by(&[], |made| {
        let mut strace = Process::new("strace");
        strace
            .current_dir(made.path())
            .args(["-D", "-f", "-e", "trace=connect", "-o", "/dev/null"])
            .args(["-e", "inject=connect:error=ECONNREFUSED:when=1"])
            .args([env!("CARGO_BIN_EXE_pairbox"), "serve"]);
        strace
    });
    until("it is counted", || {
        siege.metric("pairbox_missed_probes_total") > 0
    });
}
