//! A data directory that the real binary serves: configuration, items and a key.
//!
//! The binary of the tests is started, killed and stopped here; what it says on stderr is the reason of its end.
#![allow(dead_code)] // two binaries use different halves of it

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::exchange::post;
use crate::scene::{card_serial, stb_serial};

/// How long a start or an end may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A binary that was copied just now is busy as long as a child of another test, between its fork and its exec, has it open.
fn spawned(command: &mut Command) -> Child {
    let until = Instant::now() + PATIENCE;
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == std::io::ErrorKind::ExecutableFileBusy
                    && Instant::now() < until =>
            {
                std::thread::sleep(LOOK_EVERY);
            }
            spawned => return spawned.unwrap(),
        }
    }
}

/// How a headend is laid out.
#[derive(Clone)]
pub struct Layout {
    pub cards: u32,
    /// Name and address of each CAS, one provider each. Cards are dealt out to them in turn: card 0 to the first.
    pub cas: Vec<(&'static str, SocketAddr)>,
    /// Free space under which nothing is accepted.
    pub reserve: &'static str,
    /// Lines of the configuration before the providers.
    pub more: &'static str,
}

impl Layout {
    pub fn new(cas: SocketAddr, cards: u32) -> Self {
        Self {
            cards,
            cas: vec![("north", cas)],
            reserve: "1MiB",
            more: "",
        }
    }

    fn config(&self) -> String {
        let Self { reserve, more, .. } = self;
        let mut config = format!(
            r#"
data_dir = "data"
scripts_dir = "scripts"
[http]
listen = "127.0.0.1:0"
[ledger]
segment = "16MiB"
[store]
reserve = "{reserve}"
[retry]
delays = ["50ms"]
{more}
"#
        );
        for (at, (name, address)) in self.cas.iter().enumerate() {
            write!(
                config,
                r#"
[[provider]]
name = "{name}"
family = "nagravision"
mapping = "smsgw"
address = "{address}"
smartcard_products = ["SC-{at}"]
stb_products = ["STB-*"]
reply_timeout = "400ms"
[provider.settings]
source_id = 1234
dest_id = 5
mop_ppid = 67892
hello_name = "SMSGW"
"#
            )
            .unwrap();
        }
        config
    }

    /// As many cards as said and twice as many STBs.
    fn items(&self) -> String {
        let mut rows = String::from("serial_number,alternative_code,product,ca_id,state\n");
        for card in 0..self.cards {
            let (serial, product) = (card_serial(card), card as usize % self.cas.len());
            writeln!(rows, "{serial},A{serial},SC-{product},,EFFECTIVE").unwrap();
        }
        for stb in (0..2 * self.cards).map(stb_serial) {
            writeln!(rows, "{stb},A{stb},STB-1,,EFFECTIVE").unwrap();
        }
        rows
    }
}

/// A data directory and what stands beside it.
pub struct Headend {
    folder: tempfile::TempDir,
    key: String,
}

impl Headend {
    /// One CAS, and a data directory on the disk of the other temporary files.
    pub fn new(cas: SocketAddr, cards: u32) -> Self {
        Self::lay_out(&Layout::new(cas, cards), |_| {})
    }

    /// `prepare` sees the empty data directory before anything is written into it.
    pub fn lay_out(layout: &Layout, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut made = Self {
            folder,
            key: String::new(),
        };
        fs::create_dir(made.data()).unwrap();
        prepare(&made.data());
        made.write("pairbox.toml", &layout.config());
        made.write("items.csv", &layout.items());
        made.run(&["item", "import", "items.csv"]);
        let told = made.run(&["key", "create", "crm", "--role", "crm"]);
        let mut words = told.split_whitespace();
        let key = words.find(|word| word.len() >= 32).unwrap();
        key.clone_into(&mut made.key);
        made
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What the latest server said on stderr.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pairbox"));
        command.args(arguments);
        self.at_home(command)
    }

    /// The same under a program that watches it, as `strace ARGUMENTS pairbox ...`.
    pub fn command_under(&self, watcher: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(watcher[0]);
        command.args(&watcher[1..]);
        command.arg(env!("CARGO_BIN_EXE_pairbox")).args(arguments);
        self.at_home(command)
    }

    /// In the headend's folder, and without the settings of this process.
    fn at_home(&self, mut command: Command) -> Command {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PAIRBOX_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.path())
            .env("RUST_BACKTRACE", "0")
            .env_remove("NOTIFY_SOCKET");
        command
    }

    /// Runs a command to its end and answers its standard output.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{arguments:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    pub fn serve(&self) -> Served {
        self.serve_by(self.command(&["serve"]))
    }

    /// By a command of the test's own that serves.
    pub fn serve_by(&self, command: Command) -> Served {
        self.serve_from(command, Stdio::null())
    }

    /// With a standard input of the test's own.
    pub fn serve_from(&self, mut command: Command, stdin: Stdio) -> Served {
        command.stdin(stdin);
        self.try_serve(command)
            .unwrap_or_else(|ended| panic!("the server did not come up: {ended:?}"))
    }

    /// Starts a server; answers how it ended if it ends before it listens.
    pub fn try_serve(&self, command: Command) -> Result<Served, Ended> {
        self.try_serve_saying(command, None)
    }

    /// As `try_serve`, with another standard output.
    pub fn try_serve_saying(
        &self,
        mut command: Command,
        output: Option<fs::File>,
    ) -> Result<Served, Ended> {
        let said = self.path().join("said");
        let heard = fs::File::create(&said).unwrap();
        command
            .stdout(output.unwrap_or(heard))
            .stderr(fs::File::create(self.path().join("log")).unwrap());
        let child = spawned(&mut command);
        // From here on a panic ends the child too.
        let mut served = Served {
            child,
            address: ([127, 0, 0, 1], 0).into(),
        };
        let until = Instant::now() + PATIENCE;
        loop {
            let ended = served.child.try_wait().unwrap();
            let text = fs::read_to_string(&said).unwrap();
            let told = text.lines().find_map(|line| line.split_once("://"));
            let told = told.filter(|_| text.ends_with('\n'));
            let told = told.map(|(_, address)| address.trim().trim_end_matches('/').to_owned());
            if let Some(address) = told.or_else(|| unheard_address(&self.log())) {
                served.address = address.parse().unwrap();
                return Ok(served);
            }
            if let Some(status) = ended {
                return Err(self.ended(status));
            }
            assert!(
                Instant::now() < until,
                "no start in time:\n{}",
                stacks(served.child.id())
            );
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until a server ends by itself, which it must.
    pub fn await_end(&self, mut served: Served) -> Ended {
        let status = served.await_end(PATIENCE);
        self.ended(status.unwrap_or_else(|| panic!("it does not end: {}", self.log())))
    }

    pub fn ended(&self, status: ExitStatus) -> Ended {
        Ended {
            code: status.code(),
            reason: self.log(),
        }
    }

    pub fn login(&self, stream: &mut (impl Read + Write)) -> std::io::Result<String> {
        use base64::Engine as _;
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{}:", self.key));
        let path = "/crmapi/rest/v2/authentication/web_api_key/token";
        let header = format!("Authorization: Basic {basic}\r\n");
        let answer = post(stream, path, "", &header)?;
        let token = answer["data"]["token"].as_str();
        let token = token.ok_or_else(|| std::io::Error::other(answer.to_string()));
        token.map(str::to_owned)
    }
}

/// Where a server listens whose standard output cannot be written.
fn unheard_address(log: &str) -> Option<String> {
    let line = log
        .lines()
        .find(|line| line.contains("nobody hears where it listens"))?;
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    line["address"].as_str().map(str::to_owned)
}

/// How a process ended: its exit code (none after a signal) and what it said on stderr.
#[derive(Clone, Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub reason: String,
}

/// A running server.
pub struct Served {
    pub child: Child,
    pub address: SocketAddr,
}

impl Served {
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it in order, by SIGTERM.
    pub fn stop(self) {
        let status = self.stop_as_it_can();
        assert!(status.success(), "SIGTERM is obeyed: {status:?}");
    }

    /// Ends it by SIGTERM; says how it ended.
    pub fn stop_as_it_can(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let status = self.await_end(PATIENCE);
        status.unwrap_or_else(|| panic!("SIGTERM does not end it:\n{}", stacks(self.child.id())))
    }

    /// Waits for its end at most so long.
    pub fn await_end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        loop {
            let status = self.child.try_wait().unwrap();
            if status.is_some() || Instant::now() >= until {
                return status;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The most memory that it ever held, in MiB.
    pub fn memory_mib_max(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|line| line.split_whitespace().next());
        kib.map_or(0, |kib| kib.parse::<u64>().unwrap() / 1_024)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the threads of a process wait for, for the message of a failed test.
fn stacks(pid: u32) -> String {
    let mut text = String::new();
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter();
    for task in tasks.flatten().flatten() {
        let read = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        writeln!(text, "{} {}", read("comm").trim(), read("wchan")).unwrap();
    }
    text
}

/// The rows of `store dump`, by table.
pub fn dump(made: &Headend) -> HashMap<String, BTreeMap<u64, Value>> {
    rows(&made.run(&["store", "dump"]))
}

/// The rows of a dump, by table.
pub fn rows(dump: &str) -> HashMap<String, BTreeMap<u64, Value>> {
    let mut tables: HashMap<String, BTreeMap<u64, Value>> = HashMap::new();
    let mut seen = BTreeSet::new();
    for line in dump.lines() {
        let Ok(row) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let table = row["table"].as_str().unwrap().to_owned();
        let key = row["key"].as_str().unwrap().to_owned();
        assert!(seen.insert((table.clone(), key.clone())), "twice: {line}");
        // Keys of calls are texts, and nobody looks for them here.
        let number = key.parse().unwrap_or(0);
        tables
            .entry(table)
            .or_default()
            .insert(number, row["row"].clone());
    }
    tables
}

/// The first seed of this run: `PAIRBOX_TEST_SEED`, or another one each time.
pub fn seed() -> u64 {
    let given = std::env::var("PAIRBOX_TEST_SEED").ok();
    given.map_or_else(
        || u64::from(std::process::id()) * 1_000_003,
        |text| text.parse().expect("PAIRBOX_TEST_SEED is a number"),
    )
}
