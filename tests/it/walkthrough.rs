//! Every command that the README and the chapters print is run, in order, in an empty directory each, and what it prints must
//! match.
//!
//! How a page is read: in a `console` block a line after `$ ` is a command and the rest what it prints (stdout and
//! stderr); `...` stands for any lines. `In a second terminal` makes the next block stay up beside the others;
//! `Ctrl-C in the third terminal` stops one. Ids, instants, spans, sizes and counts of the ledger may differ. The package's
//! commands are for `packaging/try-deb`, and `tests/run` is who runs this.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use pairbox::domain::Chance;

const README: &str = include_str!("../../README.md");
const CONNECT: &str = include_str!("../../packaging/docs/connect-a-cas.md");
const BULK_JOBS: &str = include_str!("../../packaging/docs/bulk-jobs.md");
const NOT_HERE: &str = "## Installing the package";
const CAS: &str = "127.0.0.1:7000";
const API: &str = "127.0.0.1:8087";
const OPS: &str = "127.0.0.1:8088";
const ANSWER_WAIT: Duration = Duration::from_mins(2);
const MARK: &str = "@@ended@@";
/// What only looks may be asked again until the box got there.
const LOOKS: [&str; 4] = [
    "pairbox request ",
    "pairbox pairing ",
    "pairbox provider list",
    "pairbox status",
];

struct Step {
    command: String,
    prints: Vec<String>,
}

enum Event {
    /// The first terminal.
    Here(Vec<Step>),
    StaysUp(Vec<Step>),
    /// By place: 0 is the second terminal.
    Stopped(usize),
}

#[test]
fn every_command_of_the_readme_does_what_it_prints() {
    follow(README, [6, 2, 1]);
}

#[test]
fn every_command_of_the_chapter_on_bulk_jobs_does_what_it_prints() {
    follow(BULK_JOBS, [6, 2, 0]);
}

#[test]
fn every_command_of_the_chapter_on_mappings_does_what_it_prints() {
    follow(CONNECT, [6, 2, 0]);
}

/// Does what a page says. It has at least so many blocks for the first terminal, and exactly so many that stay up and that are
/// stopped: a page that is not understood would show nothing.
fn follow(page: &str, [here, stay_up, stopped]: [usize; 3]) {
    let folder = tempfile::tempdir().unwrap();
    let bin = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pairbox"), bin.path().join("pairbox")).unwrap();
    let stage = Stage {
        folder: folder.path(),
        bin: bin.path(),
        ports: [free_address(), free_address(), free_address()],
    };
    let mut shell = Shell::new(&stage);
    let mut beside: Vec<Beside> = Vec::new();
    let events = events(page);
    let count = |is_it: fn(&Event) -> bool| events.iter().filter(|event| is_it(event)).count();
    assert_eq!(count(|event| matches!(event, Event::StaysUp(_))), stay_up);
    assert_eq!(count(|event| matches!(event, Event::Stopped(_))), stopped);
    assert!(count(|event| matches!(event, Event::Here(_))) >= here);
    for event in &events {
        match event {
            Event::Here(steps) => steps.iter().for_each(|step| stage.run(&mut shell, step)),
            Event::StaysUp(steps) => beside.push(Beside::start(&stage, steps)),
            Event::Stopped(place) => beside[*place].stop(),
        }
    }
}

fn events(text: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut stays_up = false;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == NOT_HERE {
            break;
        }
        stays_up |=
            line.starts_with("In a second terminal") || line.starts_with("In a third terminal");
        if line.contains("Ctrl-C in the third terminal") {
            events.push(Event::Stopped(1));
        }
        if !line.starts_with("```") {
            continue;
        }
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match line {
            "```console" if stays_up => events.push(Event::StaysUp(steps(&block))),
            "```console" => events.push(Event::Here(steps(&block))),
            // What the demo prints, whose command stands alone.
            "```text" => {
                let prints = block.into_iter().map(str::to_owned).collect();
                let command = "pairbox demo --once".to_owned();
                events.push(Event::Here(vec![Step { command, prints }]));
            }
            "```toml" | "```rhai" => {}
            other => panic!("a block that this test cannot read: {other}"),
        }
        stays_up = false;
    }
    events
}

fn steps(block: &[&str]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block {
        if let Some(command) = line.strip_prefix("$ ") {
            let command = command.to_owned();
            let prints = Vec::new();
            steps.push(Step { command, prints });
            continue;
        }
        let step = steps.last_mut().expect("a block begins with a command");
        let is_open = step.command.matches('\'').count() % 2 == 1;
        if is_open {
            write!(step.command, "\n{line}").unwrap();
        } else {
            step.prints.push((*line).to_owned());
        }
    }
    steps
}

struct Stage<'a> {
    folder: &'a Path,
    bin: &'a Path,
    /// Free addresses that stand in for the CAS's, the API's and the watchers'.
    ports: [String; 3],
}

impl Stage<'_> {
    fn run(&self, shell: &mut Shell, step: &Step) {
        // The demo that stays up is the same as the one that leaves, which comes next; `tests/run` runs this.
        if step.command == "cargo run --release -- demo" || step.command == "tests/run" {
            return;
        }
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let (code, printed) = shell.run(&self.here(&step.command));
            let printed = self.as_printed(&printed);
            let told = format!("$ {}\n{printed}\n(exit {code})", step.command);
            assert_eq!(code, 0, "{told}");
            if is_as_said(&step.prints, &printed) {
                break;
            }
            let may_change = LOOKS.iter().any(|look| step.command.starts_with(look));
            let said = step.prints.join("\n");
            assert!(
                may_change && Instant::now() < until,
                "the page says:\n{said}\n\nwhat was printed:\n{told}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        if step.command.starts_with("pairbox init ") {
            let path = self.folder.join("headend/pairbox.toml");
            let text = fs::read_to_string(&path).unwrap();
            assert!([CAS, API, OPS].iter().all(|address| text.contains(address)));
            fs::write(path, self.here(&text)).unwrap();
        }
    }

    /// The page's addresses as they are in this run.
    fn here(&self, text: &str) -> String {
        text.replace(CAS, &self.ports[0])
            .replace(API, &self.ports[1])
            .replace(OPS, &self.ports[2])
    }

    fn as_printed(&self, text: &str) -> String {
        text.replace(&self.ports[0], CAS)
            .replace(&self.ports[1], API)
            .replace(&self.ports[2], OPS)
    }

    fn bash(&self) -> Command {
        let mut bash = Command::new("bash");
        bash.current_dir(self.folder)
            .args(["--noprofile", "--norc"]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PAIRBOX_") {
                bash.env_remove(name);
            }
        }
        let path = std::env::var("PATH").unwrap();
        bash.env("PATH", format!("{}:{path}", self.bin.display()))
            .env("LOGNAME", "maria")
            .env_remove("SUDO_USER");
        bash
    }
}

/// The first terminal: one shell that keeps its folder and its variables.
struct Shell {
    child: Child,
    typed: ChildStdin,
    lines: Receiver<String>,
}

impl Shell {
    fn new(stage: &Stage) -> Self {
        let mut bash = stage.bash();
        let spawned = bash.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.unwrap();
        let mut typed = child.stdin.take().unwrap();
        writeln!(typed, "exec 2>&1").unwrap();
        let lines = lines_of(&mut child);
        Self {
            child,
            typed,
            lines,
        }
    }

    /// Runs one command; answers its exit code and all that it printed.
    fn run(&mut self, command: &str) -> (i32, String) {
        let line = format!("{{ {command}\n}} </dev/null; printf '\\n%s %d\\n' {MARK} $?\n");
        self.typed.write_all(line.as_bytes()).unwrap();
        let mut printed = Vec::new();
        loop {
            let line = self.lines.recv_timeout(ANSWER_WAIT);
            let line = line.unwrap_or_else(|error| panic!("{command}: {error}: {printed:?}"));
            if let Some(code) = line.strip_prefix(MARK) {
                return (code.trim().parse().unwrap(), printed.join("\n"));
            }
            printed.push(line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // A failed test has said why already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Another terminal, whose last command stays up.
struct Beside(Child);

impl Beside {
    fn start(stage: &Stage, steps: &[Step]) -> Self {
        let (last, before) = steps.split_last().unwrap();
        let mut script: String = before
            .iter()
            .map(|step| step.command.clone() + " && ")
            .collect();
        write!(script, "exec {}", stage.here(&last.command)).unwrap();
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(stage.bin.join("log"));
        let mut bash = stage.bash();
        let spawned = bash
            .args(["-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.unwrap())
            .spawn();
        let mut beside = Self(spawned.unwrap());
        let lines = lines_of(&mut beside.0);
        for said in &last.prints {
            let line = lines.recv_timeout(ANSWER_WAIT).unwrap_or_else(|error| {
                let log = fs::read_to_string(stage.bin.join("log")).unwrap();
                panic!("{}: {error}\n{log}", last.command)
            });
            assert_eq!(&stage.as_printed(&line), said, "{}", last.command);
        }
        beside
    }

    /// What Ctrl-C does.
    fn stop(&mut self) {
        let process = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have been stopped already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines_of(child: &mut Child) -> Receiver<String> {
    let (line, lines) = channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for text in stdout.lines().map_while(Result::ok) {
            if line.send(text).is_err() {
                break;
            }
        }
    });
    lines
}

/// Below what the kernel gives to clients, which would hold one without listening on it.
fn free_address() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let mut chance = Chance::branch(std::process::id().into(), call);
    loop {
        let address = format!("127.0.0.1:{}", 20_000 + chance.below(12_000));
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// Whether something was printed as the page says it.
fn is_as_said(said: &[String], printed: &str) -> bool {
    let printed = printed.trim_end();
    if said.first().is_some_and(|line| line.starts_with('{')) {
        // JSON is folded on the page.
        let flat = |text: &str| masked(&text.split_whitespace().collect::<String>());
        return flat(&said.concat()) == flat(printed);
    }
    let said: Vec<String> = said.iter().map(|line| masked(line)).collect();
    let printed: Vec<String> = printed.lines().map(masked).collect();
    matches(&said, &printed)
}

/// Line by line; `...` stands for any number of lines.
fn matches(said: &[String], printed: &[String]) -> bool {
    match said.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=printed.len()).any(|from| matches(rest, &printed[from..]))
        }
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(line, others)| line == first && matches(rest, others)),
    }
}

/// A line without what differs from run to run; columns shrink to one blank.
fn masked(line: &str) -> String {
    let counts = [
        "intact: ",
        "lines ",
        "rebuilt ",
        "wrote ",
        "scripts/mappings/",
    ];
    let counts_differ = counts.iter().any(|start| line.starts_with(start));
    let addresses_differ = line.contains("CAS simulator listens");
    let is_separator = |c: char| c.is_whitespace() || "\"'{},;()[]".contains(c);
    let mut out = String::new();
    let mut rest = line.trim_end();
    let mut before = "";
    while !rest.is_empty() {
        let end = rest.find(is_separator).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let is_number = word.parse::<f64>().is_ok();
        out += if is_number && (counts_differ || before == "process") {
            "N"
        } else if addresses_differ && (word.contains("127.0.0.1:") || word.contains("demo-")) {
            "PLACE"
        } else {
            mask_of(word).unwrap_or(word)
        };
        before = if word.is_empty() { before } else { word };
        let gap = after.find(|c| !is_separator(c)).unwrap_or(after.len());
        let (gap, next) = after.split_at(gap);
        let gap = gap.split_whitespace().collect::<Vec<_>>().join(" ");
        out += if gap.is_empty() { " " } else { &gap };
        rest = next;
    }
    out.trim_end().to_owned()
}

fn mask_of(word: &str) -> Option<&'static str> {
    let is_hex = word.chars().all(|c| c.is_ascii_hexdigit());
    let shape: String = word
        .trim_end_matches(':')
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let span = word.strip_suffix("ms").or_else(|| word.strip_suffix('s'));
    let plain = word.trim_matches('`');
    if plain.len() == 9 && plain.bytes().all(|byte| byte.is_ascii_digit()) {
        // A transaction number.
        Some("NUMBER")
    } else if is_hex && [16, 32, 64].contains(&word.len()) {
        Some("ID")
    } else if word.len() >= 40 && word.chars().all(|c| c.is_ascii_alphanumeric()) {
        Some("FRAME")
    } else if ["0000-00-00", "00:00:00", "0000-00-00T00:00:00"].contains(&shape.as_str()) {
        Some("TIME")
    } else if ["KiB", "MiB", "GiB"].contains(&word) {
        Some("UNIT")
    } else {
        span.and_then(|number| number.parse::<f64>().ok())
            .map(|_| "SPAN")
    }
}
