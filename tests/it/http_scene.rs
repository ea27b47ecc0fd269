//! A whole pairbox in this process, without a CAS: ledger, state, writer, actions and the HTTP front on a free port.
//!
//! Clock and salt are fixed, so answers are the same bytes on every run. Nothing is dispatched: requests stay PENDING unless
//! a test plays the CAS (`settles`). `restart` closes everything and opens it again; `rebuild` deletes the state in between.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded, unbounded};
use pairbox::access::{Access, Role};
use pairbox::actions::status::{InForce, Setting};
use pairbox::actions::waiting::Waiting;
use pairbox::actions::{Actions, PairingPolicy};
use pairbox::clock::{Clock, ManualClock, SystemClock};
use pairbox::commit::{
    Begin, Command, DispatchCommand, Door, Mailbox, SettleAttempt, Writer, WriterOptions,
    WriterParts,
};
use pairbox::config::{
    ApiConfig, Config, Environment, ErrorStatus, HttpConfig, Live, Overrides, ProcessingMode,
    TokenLife,
};
use pairbox::control::ControlContext;
use pairbox::domain::event::{Frame, ProviderSettings, Then};
use pairbox::domain::items::NewItem;
use pairbox::domain::{
    Acknowledges, Event, ItemKind, ItemNumber, Outcome, Phase, ProviderNumber, Purpose,
    RequestNumber, Salt, Step, Timestamp, View,
};
use pairbox::http::{ApiParts, Turns};
use pairbox::jobs::Jobs;
use pairbox::ledger::{Ledger, Options, RealFiles};
use pairbox::provider::{Provider, ProviderOptions, Providers, SessionOverrides};
use pairbox::script::Mapping;
use pairbox::telemetry::{Metric, Metrics};

use super::doorway::{self, Doorway, join, spawn};
use super::http_wire::{Client, Response};

/// 2026-11-23T08:00:00Z, ten o'clock in Athens.
const START: Timestamp = Timestamp::from_micros(1_795_420_800_000_000);
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub const PASSWORD: &str = "correct horse battery";

/// Cards and STBs that every scene has: `CARD` to `CARD_4`, `STB` to `STB_4`.
pub const CARD: &str = "019000802077";
pub const CARD_2: &str = "019000802085";
pub const STB: &str = "4400000001";
pub const STB_2: &str = "4400000002";

#[derive(Clone, Debug)]
pub struct Choices {
    pub policy: PairingPolicy,
    pub error_status: ErrorStatus,
    pub organisation: Option<String>,
    pub immediate_wait: Duration,
    pub is_effective: bool,
    pub mapping: &'static str,
    /// A setting of smsgw.
    pub pin_command: &'static str,
    pub queue_max: usize,
    /// The gate's own bounds.
    pub http: HttpConfig,
    pub gate_clock: GateClock,
}

/// Whether the gate's deadlines pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateClock {
    /// Only when a test moves the scene's clock.
    Standing,
    Running,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            policy: PairingPolicy::default(),
            error_status: ErrorStatus::Ok,
            organisation: None,
            immediate_wait: Duration::from_secs(10),
            is_effective: true,
            mapping: "smsgw",
            pin_command: "0099",
            queue_max: 64,
            http: http(),
            gate_clock: GateClock::Standing,
        }
    }
}

/// The dialect's choices as they are by default, in Athens.
pub fn api(token_life: TokenLife) -> ApiConfig {
    ApiConfig {
        time_zone: "Europe/Athens".parse().unwrap(),
        token_life,
        ..defaults().api
    }
}

/// The bounds as they are by default.
pub fn http() -> HttpConfig {
    defaults().http
}

fn defaults() -> Config {
    let nothing = Environment::from_pairs(Vec::<(String, String)>::new());
    let read = Config::parse(
        Path::new("pairbox.toml"),
        "",
        &Overrides::default(),
        &nothing,
    );
    read.unwrap_or_else(|errors| panic!("{errors}"))
}

pub struct Scene {
    folder: tempfile::TempDir,
    pub clock: Arc<ManualClock>,
    choices: Choices,
    keys: Vec<(Role, String)>,
    running: Option<Running>,
}

struct Running {
    doorway: Doorway,
    access: Arc<Access>,
    actions: Arc<Actions>,
    metrics: Arc<Metrics>,
    ready: Arc<AtomicBool>,
    stop_waiting: Sender<()>,
    stop_writer: Sender<()>,
    back: Vec<JoinHandle<()>>,
}

impl Scene {
    pub fn new() -> Self {
        Self::with(Choices::default())
    }

    pub fn with(choices: Choices) -> Self {
        let mut scene = Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::new(START)),
            choices,
            keys: Vec::new(),
            running: None,
        };
        scene.start();
        scene.furnish();
        scene
    }

    pub fn replacing() -> Self {
        Self::with(Choices {
            policy: PairingPolicy {
                gives_way: pairbox::domain::foresight::GivesWay {
                    holder: true,
                    oldest: false,
                },
                ..PairingPolicy::default()
            },
            ..Choices::default()
        })
    }

    /// Closes everything and opens it again.
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// The same with the state deleted in between.
    pub fn rebuild(&mut self) {
        self.stop();
        std::fs::remove_dir_all(self.folder.path().join("state")).unwrap();
        self.start();
    }

    /// A token of a key with that role; of an earlier one if it still lives.
    pub fn token(&self, role: Role) -> String {
        let (_, secret) = self.keys.iter().find(|(known, _)| *known == role).unwrap();
        let token = self.running().access.login_key(secret, HOME).unwrap();
        token.as_str().to_owned()
    }

    pub fn key(&self, role: Role) -> &str {
        &self
            .keys
            .iter()
            .find(|(known, _)| *known == role)
            .unwrap()
            .1
    }

    pub fn client(&self) -> Client {
        Client::connect(self.running().doorway.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.running().doorway.address
    }

    pub fn ops(&self) -> SocketAddr {
        self.running().doorway.ops
    }

    /// A client of the control socket, with this process's account.
    pub fn control(&self) -> Client {
        let path = self.folder.path().join("control.sock");
        Client::over(UnixStream::connect(path).unwrap())
    }

    /// A POST by the CRM; `{token}` stands for a live token.
    pub fn post(&self, method: &str, body: &str) -> Response {
        self.post_as(Role::Crm, method, body, "")
    }

    /// The same with further header lines, each with its line end.
    pub fn post_as(&self, role: Role, method: &str, body: &str, headers: &str) -> Response {
        let body = body.replace("{token}", &self.token(role));
        self.client().send(&format!(
            "POST /crmapi/rest/v2/{method} HTTP/1.1\r\nHost: box\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    pub fn get(&self, method_and_query: &str) -> Response {
        let target = method_and_query.replace("{token}", &self.token(Role::Viewer));
        self.client().send(&format!(
            "GET /crmapi/rest/v2/{target} HTTP/1.1\r\nHost: box\r\n\r\n"
        ))
    }

    /// The pair method with these members beside the token.
    pub fn pair(&self, members: &str) -> Response {
        self.post(
            "nagravision/provisioning_requests/pair_smartcard_decoder",
            &format!(r#"{{"token":"{{token}}",{members}}}"#),
        )
    }

    pub fn pair_with_key(&self, key: &str, members: &str) -> Response {
        self.post_as(
            Role::Crm,
            "nagravision/provisioning_requests/pair_smartcard_decoder",
            &format!(r#"{{"token":"{{token}}",{members}}}"#),
            &format!("Idempotency-Key: {key}\r\n"),
        )
    }

    pub fn show(&self, number: u64) -> Response {
        self.get(&format!(
            "nagravision/provisioning_requests/show?token={{token}}&provisioning_request_identifier=number={number}"
        ))
    }

    /// How many requests were ever accepted.
    pub fn requests(&self) -> u64 {
        self.actions().state.view().meta().requests
    }

    pub fn metric(&self, metric: Metric) -> u64 {
        self.running().metrics.get(metric)
    }

    /// The page of `/metrics`.
    pub fn figures(&self) -> Response {
        Client::connect(self.ops()).send("GET /metrics HTTP/1.1\r\n\r\n")
    }

    /// One number of that page.
    pub fn figure(&self, metric: Metric) -> u64 {
        let page = self.figures().body;
        let start = format!("{} ", metric.name());
        let value = page.lines().find_map(|line| line.strip_prefix(&start));
        value.unwrap().parse().unwrap()
    }

    pub fn actions(&self) -> &Arc<Actions> {
        &self.running().actions
    }

    pub fn access(&self) -> &Access {
        &self.running().access
    }

    pub fn set_ready(&self, is_ready: bool) {
        self.running().ready.store(is_ready, Ordering::Relaxed);
    }

    pub fn record(&self, command: Command) {
        self.actions().door.call("test", command).unwrap();
    }

    pub fn item(&self, serial_number: &str) -> ItemNumber {
        self.actions()
            .state
            .view()
            .items_by_serial_number(serial_number)[0]
    }

    pub fn import(&self, serial_number: &str, product: &str, is_effective: bool) {
        let item = NewItem {
            product: product.into(),
            serial_number: serial_number.into(),
            alternative_code: format!("A{serial_number}"),
            ca_id: None,
            is_effective,
            id: None,
            notes: String::new(),
        };
        let rows = self
            .actions()
            .register_items("import", vec![item], false)
            .unwrap();
        rows[0].as_ref().unwrap();
    }

    /// Plays dispatch: the first attempt begins.
    pub fn begins(&self, number: u64) -> Acknowledges {
        let number = RequestNumber(number);
        let view = self.actions().state.view();
        let request = view.request(number).unwrap();
        drop(view);
        let acknowledges = Acknowledges::all_of(request.action());
        let door = &self.actions().door;
        door.dispatched(DispatchCommand::Begin(Box::new(Begin {
            request: number,
            handle: 1,
            purpose: Purpose::Command,
            transaction: 1,
            key: "000000001".into(),
            step: 0,
            plan: Some(vec![Step {
                confirms: acknowledges.confirms,
                card: request.card_ca.to_string(),
                stb: request.stb_ca.as_deref().map(str::to_owned),
                leaves: None,
                data: serde_json::Value::Null,
            }]),
            leaves: request.leaves.clone(),
            run: 1,
            frame: frame("sent"),
            mapping_sha256: String::new(),
        })));
        until("the attempt began", || {
            let view = self.actions().state.view();
            view.request(number).unwrap().latest_attempt == 1
        });
        acknowledges
    }

    /// Plays dispatch: the first attempt ends before a byte has left.
    pub fn is_not_sent(&self, number: u64) {
        let acknowledges = self.begins(number);
        let number = RequestNumber(number);
        let settle = SettleAttempt {
            request: number,
            attempt: 1,
            outcome: Outcome::NotSent,
            code: None,
            text: None,
            reference: None,
            frame: None,
            patience_spent_ms: 0,
            then: Then::Waiting {
                until: START,
                counts: false,
            },
            acknowledges,
        };
        let door = &self.actions().door;
        door.dispatched(DispatchCommand::Settle(Box::new(settle)));
        until("the attempt settled", || {
            let view = self.actions().state.view();
            view.request(number).unwrap().phase == Phase::Waiting
        });
    }

    /// Plays dispatch and the CAS: one attempt that the CAS acknowledges, or refuses with a code.
    pub fn settles(&self, number: u64, refusal: Option<&str>) {
        let acknowledges = self.begins(number);
        let number = RequestNumber(number);
        let door = &self.actions().door;
        door.dispatched(DispatchCommand::Settle(Box::new(SettleAttempt {
            request: number,
            attempt: 1,
            outcome: refusal.map_or(Outcome::Ok, |_| Outcome::Refused),
            code: refusal.map(str::to_owned),
            text: refusal.map(|_| "card unknown to the CAS".to_owned()),
            reference: Some("R77".into()),
            frame: Some(frame("received")),
            patience_spent_ms: 0,
            then: refusal.map_or(Then::Completed, |_| Then::Rejected { in_doubt: false }),
            acknowledges,
        })));
        until("the attempt settled", || {
            let view = self.actions().state.view();
            view.request(number).unwrap().phase.is_finished()
        });
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// Items, keys and users of a fresh box.
    fn furnish(&mut self) {
        for at in 1..=4 {
            self.import(&format!("440000000{at}"), "STB-HD", true);
        }
        for serial_number in [CARD, CARD_2, "019000802093", "019000802101"] {
            self.import(serial_number, "SMC-1", true);
        }
        self.import("770000000001", "PHONE", true);
        for (name, role) in [
            ("crm", Role::Crm),
            ("desk", Role::Operator),
            ("eye", Role::Viewer),
        ] {
            let (secret, _) = self.running().access.key_create(name, role).unwrap();
            self.keys.push((role, secret.as_str().to_owned()));
        }
    }

    fn start(&mut self) {
        let data = self.folder.path();
        let options = Options {
            segment_bytes: 2 << 20,
            group_bytes_max: 1 << 20,
            group_commands_max: 4096,
            command_bytes_max: 256 << 10,
        };
        let (ledger, _) = Ledger::open(&data.join("ledger"), Arc::new(RealFiles), options).unwrap();
        let reader = ledger.reader();
        let is_new = reader.last_seq() == 0;
        let (state, _) = pairbox::commit::recover(data, 16 << 20, &reader, &mut |_| {
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        let state = Arc::new(state);
        let clock: Arc<dyn Clock> = self.clock.clone();
        let (door, queues) = Door::new(1024);
        let mailbox = Arc::new(Mailbox::default());
        let (responses, answered) = unbounded::<pairbox::commit::Responses>();
        let (stop_writer, writer_stops) = bounded(1);
        let (stop_waiting, waiting_stops) = bounded(1);
        let metrics = Arc::new(Metrics::new());
        let writer = Writer::new(WriterParts {
            ledger,
            state: state.clone(),
            clock: clock.clone(),
            queues,
            mailboxes: vec![mailbox.clone()],
            responses,
            metrics: metrics.clone(),
            options: WriterOptions {
                reserve_bytes: 0,
                group_commands_max: 4096,
            },
        });
        let mut back = vec![spawn("writer", move || writer.run(&writer_stops))];
        let gathering = Arc::new(OnceLock::<Arc<Turns>>::new());
        let gathers = gathering.clone();
        back.push(spawn("responder", move || {
            for responses in answered {
                let _batch = gathers.get().map(Turns::batch);
                for (reply, result) in responses {
                    reply(result);
                }
            }
        }));

        if is_new {
            let begun = Event::LedgerBegun {
                format: 1,
                salt: Salt([7; 16]),
            };
            door.call("service", Command::Record(vec![begun])).unwrap();
        }
        let providers = providers(&self.choices);
        let configure = Command::Configure {
            providers: vec![settings(&self.choices)],
        };
        door.call("service", configure).unwrap();

        let waiting = Arc::new(Waiting::new(256));
        let mut actions = Actions::new(
            state.clone(),
            door,
            reader,
            clock.clone(),
            waiting.clone(),
            self.choices.policy,
            providers,
        );
        actions.metrics = metrics.clone();
        let actions = Arc::new(actions);
        let watching = (state, clock.clone());
        back.push(spawn("waiting", move || {
            waiting.run(&mailbox, &watching.0, &*watching.1, &waiting_stops);
        }));

        let life = TokenLife::Idle(Duration::from_hours(1));
        let access = Arc::new(Access::open(data, life, clock).unwrap());
        let ready = Arc::new(AtomicBool::new(true));
        let is_ready = ready.clone();
        let config = ApiConfig {
            organisation: self.choices.organisation.clone(),
            error_status: self.choices.error_status,
            immediate_wait: self.choices.immediate_wait,
            ..api(life)
        };
        let http = HttpConfig {
            listen: SocketAddr::new(HOME, 0),
            queue_max: self.choices.queue_max,
            ..self.choices.http.clone()
        };
        let in_force = Arc::new(Live::new(InForce {
            zone: config.time_zone,
            processing: ProcessingMode::Continuous,
            reserve_bytes: 0,
        }));
        let context = ControlContext {
            jobs: Jobs::open(actions.clone(), data, in_force.clone()),
            actions: actions.clone(),
            access: access.clone(),
            setting: Setting {
                in_force,
                data_dir: data.to_owned(),
                started_at: START,
                is_serving: true,
            },
        };
        let verbs = doorway::verbs(context, data);
        let parts = |finisher| ApiParts {
            actions: actions.clone(),
            access: access.clone(),
            metrics: metrics.clone(),
            config,
            finisher,
            verbs: Box::new(verbs),
            unready: Box::new(move || {
                if is_ready.load(Ordering::Relaxed) {
                    Vec::new()
                } else {
                    vec!["disk"]
                }
            }),
            is_reachable: Box::new(|_| true),
        };
        let clock: Arc<dyn Clock> = match self.choices.gate_clock {
            GateClock::Standing => self.clock.clone(),
            GateClock::Running => Arc::new(SystemClock::new()),
        };
        let doorway = Doorway::open(data, &http, clock, metrics.clone(), parts);
        let _ = gathering.set(doorway.api.turns().clone());
        self.running = Some(Running {
            doorway,
            access,
            actions,
            metrics,
            ready,
            stop_waiting,
            stop_writer,
            back,
        });
    }

    fn stop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        running.doorway.shut();
        let _ = running.stop_waiting.send(());
        running.doorway.close();
        let _ = running.stop_writer.send(());
        running.back.into_iter().for_each(join);
        let _ = running.access.flush();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Also of a failed test: a writer whose folder vanishes ends the whole process.
        self.stop();
    }
}

/// One provider, `north`, with a built-in mapping.
fn providers(choices: &Choices) -> Providers {
    let settings = match choices.mapping {
        "smsgw" => serde_json::json!({
            "source_id": 1,
            "dest_id": 2,
            "mop_ppid": 3,
            "pin_command": choices.pin_command,
        }),
        _ => serde_json::json!({}),
    };
    let options = ProviderOptions {
        credentials: pairbox::provider::Credentials::default(),
        number: 1,
        name: "north".into(),
        family: "nagravision".into(),
        mapping: Arc::new(mapping(choices)),
        settings,
        address: "127.0.0.1:1".into(),
        overrides: SessionOverrides::default(),
        cardinality: pairbox::domain::Cardinality::ONE_TO_ONE,
        smartcard_products: vec!["SMC*".into()],
        stb_products: vec!["STB*".into()],
        seed: 1,
    };
    let provider = Provider::new(options).unwrap();
    assert_eq!(provider.classify("SMC-1"), Some(ItemKind::Smartcard));
    Providers::new(vec![Arc::new(provider)])
}

/// A mapping that uses up its budget with every call.
pub const SLOW: &str = "slow";
const SLOW_TEXT: &str = r#"
fn describe() {
    #{ framing: #{ len: #{ bytes: 2, endian: "big", max: 512 } }, session: #{}, transaction: #{ min: 1, max: 9 },
       caps: #{ pair: true, unpair: true } }
}
fn encode(step, ctx) { #{} }
fn decode(frame, ctx) { #{} }
fn validate(request, cfg) { loop { } }
"#;

fn mapping(choices: &Choices) -> Mapping {
    if choices.mapping == SLOW {
        return Mapping::from_text(SLOW, SLOW_TEXT).unwrap();
    }
    Mapping::load(std::path::Path::new("no-such-folder"), choices.mapping).unwrap()
}

fn settings(choices: &Choices) -> ProviderSettings {
    ProviderSettings {
        name: "north".into(),
        family: "nagravision".into(),
        is_effective: choices.is_effective,
        mapping: choices.mapping.into(),
        mapping_sha256: mapping(choices).sha256().to_owned(),
        cardinality: pairbox::domain::Cardinality::ONE_TO_ONE,
    }
}

/// Waits for something that other threads bring about.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn frame(text: &str) -> Frame {
    Frame {
        bytes: text.into(),
        is_hex: false,
        sha256: None,
    }
}

/// Pauses the provider.
pub fn pause() -> Command {
    Command::Pause {
        provider: ProviderNumber(1),
        reason: "maintenance".into(),
        until: None,
    }
}
