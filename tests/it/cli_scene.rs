//! A box for tests of the command line: writer, state, access and control socket run here, the real binary talks to them.
//!
//! The clock stands at 2026-11-23 12:00 UTC and nothing sends: a test plays dispatch by handing its commands in.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, unbounded};
use pairbox::access::Access;
use pairbox::actions::status::{InForce, Setting};
use pairbox::actions::waiting::Waiting;
use pairbox::actions::{Actions, PairingPolicy};
use pairbox::clock::{Clock, ManualClock};
use pairbox::commit::{
    Begin, Command, DispatchCommand, Door, Responses, SettleAttempt, Writer, WriterOptions,
    WriterParts,
};
use pairbox::config::{HttpConfig, Live, ProcessingMode, TokenLife};
use pairbox::control::{ControlContext, DataLock};
use pairbox::domain::event::{Frame, ProviderSettings, Then};
use pairbox::domain::{
    Acknowledges, Confirms, Event, Outcome, Purpose, RequestNumber, Salt, Step, Timestamp, View,
};
use pairbox::http::ApiParts;
use pairbox::jobs::Jobs;
use pairbox::ledger::{Ledger, Options, RealFiles};
use pairbox::provider::{Provider, ProviderOptions, Providers, SessionOverrides};
use pairbox::script::Mapping;

use crate::doorway::{self, Doorway};
use crate::http_scene;

pub const CARDS: &str = "serial_number,alternative_code,product\n\
    019000802077,C1,SC-NAGRA\n019000802085,C2,SC-NAGRA\n019000066677,C3,SC-NAGRA\n";
pub const STBS: &str = "product,ca_id,serial_number,alternative_code\n\
    STB-HD,0046000011,004600001122,B1\nSTB-HD,0046000022,004600002233,B2\n";

/// What a run of the binary gave.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the real binary in a folder, without this process's settings.
pub fn pairbox(folder: &Path, arguments: &[&str]) -> Ran {
    let mut process = Process::new(env!("CARGO_BIN_EXE_pairbox"));
    process.current_dir(folder).args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PAIRBOX_") {
            process.env_remove(name);
        }
    }
    process.env_remove("SUDO_USER").env("LOGNAME", "tester");
    let output = process.output().unwrap();
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        text.replace(folder.to_str().unwrap(), "$DIR")
    };
    Ran {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A transcript of several runs, for a golden file.
#[derive(Default)]
pub struct Transcript(String);

impl Transcript {
    pub fn add(&mut self, arguments: &[&str], ran: &Ran) {
        let quoted: Vec<String> = arguments
            .iter()
            .map(|one| {
                if one.contains(' ') {
                    format!("'{one}'")
                } else {
                    (*one).to_owned()
                }
            })
            .collect();
        write!(self.0, "$ pairbox {}\n{}", quoted.join(" "), ran.stdout).unwrap();
        for line in ran.stderr.lines() {
            writeln!(self.0, "! {line}").unwrap();
        }
        if ran.code != 0 {
            writeln!(self.0, "(exit {})", ran.code).unwrap();
        }
        self.0 += "\n";
    }

    /// Compares with the golden file, or writes it when `PAIRBOX_BLESS` is set.
    pub fn check(&self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/it/golden/cli")
            .join(format!("{name}.txt"));
        let found = masked(&self.0);
        if std::env::var_os("PAIRBOX_BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &found).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, expected, "{name}; PAIRBOX_BLESS=1 rewrites it");
    }
}

/// How long something took, sizes and process numbers differ from run to run.
fn masked(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        if let Some((before, after)) = line.rsplit_once(", in ")
            && after.ends_with('s')
            && after.starts_with(|c: char| c.is_ascii_digit())
        {
            line = format!("{before}, in $TIME");
        }
        // Both follow the text of the shipped scripts.
        if let Some((before, _)) = line.clone().split_once(", last hash ") {
            line = format!("{before}, last hash $HASH");
        }
        if line.starts_with("intact: ") {
            let words = line.split(", ").filter(|word| !word.ends_with("iB"));
            line = words.collect::<Vec<_>>().join(", ");
        }
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

/// A running box with its own folder.
pub struct Scene {
    pub folder: tempfile::TempDir,
    pub actions: Arc<Actions>,
    pub clock: Arc<ManualClock>,
    doorway: Option<Doorway>,
    _lock: DataLock,
    stop_writer: Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Scene {
    /// With the cards and STBs above, and the provider `north`.
    pub fn begin() -> Self {
        Self::begin_in(ProcessingMode::Continuous)
    }

    pub fn begin_in(processing: ProcessingMode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        initialized(folder.path());
        let data_dir = folder.path().join("data");
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(
            1_795_435_200_000_000,
        )));
        let (mut ledger, opening) = Ledger::open(
            &data_dir.join("ledger"),
            Arc::new(RealFiles),
            Options {
                segment_bytes: 32 << 20,
                ..Options::default()
            },
        )
        .unwrap();
        assert_eq!(opening.last_seq, 0);
        let begun = Event::LedgerBegun {
            format: 1,
            salt: Salt([7; 16]),
        };
        ledger.push(clock.now(), "service", &begun).unwrap();
        ledger.sync().unwrap();
        let reader = ledger.reader();
        let (state, _) = pairbox::commit::recover(&data_dir, 1 << 20, &reader, &mut |_| {
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        let state = Arc::new(state);
        let (door, queues) = Door::new(64);
        let (responses, answered) = unbounded::<Responses>();
        let writer = Writer::new(WriterParts {
            ledger,
            state: state.clone(),
            clock: clock.clone(),
            queues,
            mailboxes: Vec::new(),
            responses,
            metrics: Arc::new(pairbox::telemetry::Metrics::new()),
            options: WriterOptions {
                reserve_bytes: 0,
                group_commands_max: 1_000,
            },
        });
        let (stop_writer, writer_stopped) = bounded(1);
        let threads = vec![
            std::thread::spawn(move || writer.run(&writer_stopped)),
            std::thread::spawn(move || {
                for (reply, result) in answered.iter().flatten() {
                    reply(result);
                }
            }),
        ];
        let (provider, settings) = north(folder.path());
        let providers = vec![settings];
        door.call("service", Command::Configure { providers })
            .unwrap();
        let actions = Arc::new(Actions::new(
            state,
            door,
            reader,
            clock.clone(),
            Arc::new(Waiting::new(8)),
            PairingPolicy::default(),
            Providers::new(vec![Arc::new(provider)]),
        ));
        let life = TokenLife::Idle(Duration::from_hours(1));
        let access = Arc::new(Access::open(&data_dir, life, clock.clone()).unwrap());
        let in_force = Arc::new(Live::new(InForce {
            zone: chrono_tz::Europe::Athens,
            processing,
            reserve_bytes: 1 << 20,
        }));
        let context = ControlContext {
            jobs: Jobs::open(actions.clone(), &data_dir, in_force.clone()),
            actions: actions.clone(),
            access,
            setting: Setting {
                in_force,
                data_dir: data_dir.clone(),
                started_at: clock.now(),
                is_serving: true,
            },
        };
        let lock = DataLock::take(&data_dir).unwrap();
        let verbs = doorway::verbs(context.clone(), &data_dir);
        let metrics = Arc::new(pairbox::telemetry::Metrics::new());
        let parts = |finisher| ApiParts {
            actions: actions.clone(),
            access: context.access,
            metrics: metrics.clone(),
            config: http_scene::api(life),
            finisher,
            verbs: Box::new(verbs),
            unready: Box::new(Vec::new),
            is_reachable: Box::new(|_| true),
        };
        let http = HttpConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            ..http_scene::http()
        };
        let doorway = Doorway::open(&data_dir, &http, clock.clone(), metrics.clone(), parts);
        let scene = Self {
            folder,
            actions,
            clock,
            doorway: Some(doorway),
            _lock: lock,
            stop_writer,
            threads,
        };
        scene.import("item", "cards.csv", CARDS);
        scene.import("item", "stbs.csv", STBS);
        scene
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        pairbox(self.folder.path(), arguments)
    }

    /// Runs and adds to the transcript.
    pub fn tell(&self, transcript: &mut Transcript, arguments: &[&str]) -> i32 {
        let ran = self.run(arguments);
        transcript.add(arguments, &ran);
        ran.code
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn import(&self, noun: &str, name: &str, text: &str) {
        self.write(name, text);
        let ran = self.run(&[noun, "import", name]);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    }

    /// Makes a request by the command line; answers its number.
    pub fn pair(&self, arguments: &[&str]) -> u64 {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        ran.stdout
            .split(' ')
            .nth(1)
            .and_then(|number| number.parse().ok())
            .unwrap()
    }

    /// Plays dispatch: an attempt goes out.
    pub fn send(&self, number: u64) {
        let request = self
            .actions
            .state
            .view()
            .request(RequestNumber(number))
            .unwrap();
        let step = Step {
            confirms: confirms(request.is_unpair()),
            card: request.card_ca.to_string(),
            stb: request.stb_ca.as_deref().map(str::to_owned),
            leaves: None,
            data: serde_json::Value::Null,
        };
        self.dispatch(DispatchCommand::Begin(Box::new(Begin {
            request: RequestNumber(number),
            handle: 1,
            purpose: Purpose::Command,
            transaction: 70 + number,
            key: (70 + number).to_string(),
            step: 0,
            plan: (!request.is_bound()).then(|| vec![step]),
            leaves: request.leaves.clone(),
            run: 1,
            frame: frame("0052PAIR"),
            mapping_sha256: "00".into(),
        })));
    }

    /// Plays dispatch: the attempt in flight ends.
    pub fn settle(&self, number: u64, outcome: Outcome, words: Option<(&str, &str)>, then: Then) {
        let request = self
            .actions
            .state
            .view()
            .request(RequestNumber(number))
            .unwrap();
        self.dispatch(DispatchCommand::Settle(Box::new(SettleAttempt {
            request: RequestNumber(number),
            attempt: request.latest_attempt,
            outcome,
            code: words.map(|(code, _)| code.to_owned()),
            text: words.map(|(_, text)| text.to_owned()),
            reference: None,
            frame: Some(frame("1000ANSWER")),
            patience_spent_ms: 0,
            then,
            acknowledges: Acknowledges::all_of(request.action()),
        })));
    }

    pub fn accepted_by_cas(&self, number: u64) {
        self.send(number);
        self.settle(number, Outcome::Ok, None, Then::Completed);
    }

    pub fn dispatch(&self, command: DispatchCommand) {
        self.actions.door.dispatched(command);
        // The writer takes what dispatch did first, so that this answer comes after it.
        self.command(Command::Record(Vec::new()));
    }

    pub fn command(&self, command: Command) {
        self.actions.door.call("service", command).unwrap();
    }

    /// So long after the clock's instant.
    pub fn after(&self, seconds: u64) -> Timestamp {
        self.clock.now().plus(Duration::from_secs(seconds))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(doorway) = self.doorway.take() {
            doorway.close();
        }
        let _ = self.stop_writer.send(());
        for thread in self.threads.drain(..) {
            // A failed test has said why already.
            let _ = thread.join();
        }
    }
}

/// `pairbox init`, with the zone that the goldens are in.
pub fn initialized(folder: &Path) {
    let ran = pairbox(folder, &["init", "."]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let path = folder.join("pairbox.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.replace("#time_zone", "time_zone")).unwrap();
}

fn north(folder: &Path) -> (Provider, ProviderSettings) {
    let mapping = Arc::new(Mapping::load(&folder.join("scripts"), "smsgw").unwrap());
    let settings = ProviderSettings {
        name: "north".into(),
        family: "nagravision".into(),
        is_effective: true,
        mapping: "smsgw".into(),
        mapping_sha256: mapping.sha256().into(),
        cardinality: pairbox::domain::Cardinality::ONE_TO_ONE,
    };
    let provider = Provider::new(ProviderOptions {
        credentials: pairbox::provider::Credentials::default(),
        number: 1,
        name: "north".into(),
        family: "nagravision".into(),
        mapping,
        settings: serde_json::json!({"source_id": 1, "dest_id": 2, "mop_ppid": 3}),
        address: "127.0.0.1:7000".into(),
        overrides: SessionOverrides::default(),
        cardinality: pairbox::domain::Cardinality::ONE_TO_ONE,
        smartcard_products: vec!["SC-*".into()],
        stb_products: vec!["STB-*".into()],
        seed: 1,
    });
    (provider.unwrap(), settings)
}

fn confirms(is_unpair: bool) -> Confirms {
    if is_unpair {
        Confirms::Unpair
    } else {
        Confirms::Pair
    }
}

fn frame(text: &str) -> Frame {
    Frame {
        bytes: text.into(),
        is_hex: false,
        sha256: None,
    }
}
