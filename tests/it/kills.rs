//! SIGKILL of the server at random moments under load. Nothing acknowledged is lost, no call is there twice, nothing is
//! called done that the CAS did not acknowledge, and the CAS holds what the ledger says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pairbox::domain::event::{Ending, Event, Frame, LateEffect, Then};
use pairbox::domain::{Chance, Confirms, Outcome};
use pairbox::ledger::{Reader, RealFiles};
use serde_json::Value;

use crate::scene::{Cas, card_serial, stb_serial};

pub const ITEMS: u32 = 1_000;
pub const CLIENTS: usize = 4;

/// A data directory that the real binary serves.
pub struct Headend {
    folder: tempfile::TempDir,
    key: String,
}

impl Headend {
    /// With `cards` cards and twice as many STBs.
    pub fn new(cas: SocketAddr, cards: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            r#"
data_dir = "data"
scripts_dir = "scripts"
[http]
listen = "127.0.0.1:0"
[ledger]
segment = "16MiB"
[store]
reserve = "1MiB"
[retry]
delays = ["50ms"]
[[provider]]
name = "north"
mapping = "smsgw"
address = "{cas}"
smartcard_products = ["SC-*"]
stb_products = ["STB-*"]
reply_timeout = "400ms"
[provider.settings]
source_id = 1234
dest_id = 5
mop_ppid = 67892
hello_name = "SMSGW"
"#
        );
        fs::write(folder.path().join("pairbox.toml"), config).unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        let mut rows = String::from("serial_number,alternative_code,product,ca_id,state\n");
        for card in (0..cards).map(card_serial) {
            writeln!(rows, "{card},A{card},SC-1,,EFFECTIVE").unwrap();
        }
        for stb in (0..2 * cards).map(stb_serial) {
            writeln!(rows, "{stb},A{stb},STB-1,,EFFECTIVE").unwrap();
        }
        fs::write(folder.path().join("items.csv"), rows).unwrap();
        let mut made = Self {
            folder,
            key: String::new(),
        };
        made.run(&["item", "import", "items.csv"]);
        made.key = made.run(&["key", "create", "crm", "--role", "crm"]);
        made.key = made
            .key
            .split_whitespace()
            .find(|word| word.len() >= 32)
            .unwrap()
            .to_owned();
        made
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pairbox"));
        command
            .current_dir(self.path())
            .args(arguments)
            .env("RUST_BACKTRACE", "0");
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
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path().join("log"))
            .unwrap();
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                panic!(
                    "the server did not come up: {}",
                    fs::read_to_string(self.path().join("log")).unwrap()
                );
            };
            if let Some(at) = line.find("http://") {
                break line[at + 7..].trim().trim_end_matches('/').parse().unwrap();
            }
        };
        Served { child, address }
    }

    fn login(&self, stream: &mut TcpStream) -> std::io::Result<String> {
        use base64::Engine as _;
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{}:", self.key));
        let path = "/crmapi/rest/v2/authentication/web_api_key/token";
        let answer = post(
            stream,
            path,
            "",
            &format!("Authorization: Basic {basic}\r\n"),
        )?;
        Ok(answer["data"]["token"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned())
    }
}

pub struct Served {
    pub child: Child,
    pub address: SocketAddr,
}

impl Served {
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn post(stream: &mut TcpStream, path: &str, body: &str, headers: &str) -> std::io::Result<Value> {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let Some(end) = text.find("\r\n\r\n") else {
            continue;
        };
        let length = text[..end].lines().find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length:")
                .map(|length| length.trim().parse::<usize>().unwrap())
        });
        if answer.len() >= end + 4 + length.unwrap() {
            return Ok(serde_json::from_str(&text[end + 4..]).unwrap());
        }
    }
}

/// A call of a client; `stb` none is an unpair.
#[derive(Clone, Debug)]
pub struct Call {
    key: String,
    card: u32,
    stb: Option<u32>,
}

/// A client that asks again, under the same key, after every call that it heard no answer to. Every card belongs to one
/// client, so that its order is known.
pub struct Client {
    at: u32,
    chance: Chance,
    calls: u32,
    unanswered: Option<Call>,
    asked_again: u32,
    pub acknowledged: BTreeMap<u64, Call>,
}

impl Client {
    pub fn new(at: u32, seed: u64) -> Self {
        Self {
            at,
            chance: Chance::branch(seed, u64::from(at)),
            calls: 0,
            unanswered: None,
            asked_again: 0,
            acknowledged: BTreeMap::new(),
        }
    }

    fn next_call(&mut self) -> Call {
        let mine = u64::from(ITEMS) / CLIENTS as u64;
        let card = u32::try_from(self.chance.below(mine)).unwrap() * CLIENTS as u32 + self.at;
        // One of the two STBs that belong to the card, so that the last command decides.
        let stb = match self.chance.below(4) {
            0 => None,
            1 => Some(card + ITEMS),
            _ => Some(card),
        };
        self.calls += 1;
        let key = format!("client-{}-call-{}", self.at, self.calls);
        Call { key, card, stb }
    }

    /// Posts until the server is gone or `stop` is set; what was not answered goes first.
    pub fn work(&mut self, made: &Headend, address: SocketAddr, stop: &AtomicBool) {
        let Ok(mut stream) = TcpStream::connect(address) else {
            return;
        };
        stream.set_nodelay(true).unwrap();
        let Ok(token) = made.login(&mut stream) else {
            return;
        };
        self.asked_again += u32::from(self.unanswered.is_some());
        while self.unanswered.is_some() || !stop.load(Ordering::Relaxed) {
            let call = self.unanswered.take().unwrap_or_else(|| self.next_call());
            let Ok(answer) = post_pair(&mut stream, &token, &call) else {
                self.unanswered = Some(call);
                return;
            };
            if answer["status"]["code"] == "OK" {
                let number = answer["data"]["number"].as_str().unwrap().parse().unwrap();
                let twice = self.acknowledged.insert(number, call);
                assert!(twice.is_none(), "{number} was given out twice: {twice:?}");
            }
        }
    }
}

fn post_pair(stream: &mut TcpStream, token: &str, call: &Call) -> std::io::Result<Value> {
    let mut body = format!(
        r#"{{"token":"{token}","smartcard_identifier":{{"serial_number":"{}"}}"#,
        card_serial(call.card)
    );
    if let Some(stb) = call.stb {
        write!(
            body,
            r#","stb_identifier":{{"serial_number":"{}"}}"#,
            stb_serial(stb)
        )
        .unwrap();
    }
    body += "}";
    let path = "/crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder";
    let key = format!("Idempotency-Key: {}\r\n", call.key);
    post(stream, path, &body, &key)
}

/// The rows of `store dump`, by table.
pub fn dump(made: &Headend) -> HashMap<String, BTreeMap<u64, Value>> {
    let mut tables: HashMap<String, BTreeMap<u64, Value>> = HashMap::new();
    let mut seen = BTreeSet::new();
    for line in made.run(&["store", "dump"]).lines() {
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

fn serial(items: &BTreeMap<u64, Value>, number: &Value) -> String {
    let item = &items[&number.as_u64().unwrap()];
    item["identifiers"]
        .as_str()
        .unwrap()
        .split('\n')
        .next()
        .unwrap()
        .to_owned()
}

pub fn rounds(plain: u32, long: u32) -> u32 {
    if std::env::var_os("PAIRBOX_TEST_LONG").is_some() {
        long
    } else {
        plain
    }
}

pub fn seed() -> u64 {
    let seed = std::env::var("PAIRBOX_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) ^ 0x5eed);
    println!("seed {seed}");
    seed
}

#[test]
fn a_server_killed_under_load_loses_nothing_it_acknowledged() {
    let seed = seed();
    let mut chance = Chance::new(seed);
    let cas = Cas::start("drop=1%,refuse=1%,late=1%,duplicate=2%", seed);
    let made = Headend::new(cas.address, ITEMS);
    let mut clients: Vec<_> = (0..CLIENTS as u32)
        .map(|at| Client::new(at, seed))
        .collect();
    let rounds = rounds(10, 50);
    for _ in 0..rounds {
        let served = made.serve();
        let (address, stop) = (served.address, AtomicBool::new(false));
        std::thread::scope(|scope| {
            for client in &mut clients {
                scope.spawn(|| client.work(&made, address, &stop));
            }
            std::thread::sleep(Duration::from_millis(50 + chance.below(500)));
            served.kill();
            stop.store(true, Ordering::Relaxed);
        });
    }
    settle(&made, &mut clients);
    made.run(&["ledger", "verify"]);
    let asked_again: u32 = clients.iter().map(|client| client.asked_again).sum();
    let acknowledged: BTreeMap<u64, Call> = clients
        .into_iter()
        .flat_map(|client| client.acknowledged)
        .collect();
    assert!(
        acknowledged.len() > 100,
        "{} is no load",
        acknowledged.len()
    );
    assert!(asked_again > 0, "no call was cut off");
    let record = Record::read(&made);
    check_calls(&made, &record, &acknowledged);
    check_cas(&made, &record, &cas);
    println!(
        "{rounds} kills, {} acknowledged, {asked_again} asked again, 0 lost, 0 twice",
        acknowledged.len()
    );
}

/// Lets the server answer what is unanswered and finish what is unfinished, then ends it in order.
pub fn settle(made: &Headend, clients: &mut [Client]) {
    let mut served = made.serve();
    let stop = AtomicBool::new(true);
    for client in clients {
        client.work(made, served.address, &stop);
        assert!(client.unanswered.is_none(), "{:?}", client.unanswered);
    }
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let list = made.run(&["request", "list", "--state", "PENDING", "--output", "json"]);
        let pending: Value = serde_json::from_str(&list).unwrap();
        if pending.as_array().unwrap().is_empty() {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "unfinished after a minute: {list}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let pid = rustix::process::Pid::from_child(&served.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(served.child.wait().unwrap().success());
}

/// What the ledger alone says, line by line.
#[derive(Default)]
pub struct Record {
    /// Card and STB of each request.
    accepted: BTreeMap<u64, (u64, Option<u64>)>,
    keys: BTreeSet<String>,
    /// Requests that the ledger calls done, each with the acknowledgement of the CAS or with nothing to do.
    completed: BTreeSet<u64>,
    /// The STB that the CAS confirmed last for each card.
    confirmed: BTreeMap<u64, Option<u64>>,
    /// What the CAS may hold for each card: the last confirmed, and what was sent since.
    possible: BTreeMap<u64, BTreeSet<Option<u64>>>,
}

impl Record {
    pub fn read(made: &Headend) -> Self {
        let folder = made.path().join("data/ledger");
        let reader = Reader::open(&folder, Arc::new(RealFiles)).unwrap();
        let mut record = Self::default();
        let mut transactions = HashMap::new();
        for entry in reader.entries(1) {
            let (_, entry) = entry.unwrap();
            let event = serde_json::from_str(entry.event.get()).unwrap();
            record.take(&event, &mut transactions);
        }
        record
    }

    fn take(&mut self, event: &Event, transactions: &mut HashMap<u64, u64>) {
        match event {
            Event::RequestAccepted(accepted) => {
                let number = accepted.request.0;
                let what = (accepted.card.0, accepted.stb.map(|stb| stb.0));
                assert!(
                    self.accepted.insert(number, what).is_none(),
                    "{number} twice"
                );
                let key = accepted.idempotency.as_ref().unwrap().key.clone();
                assert!(self.keys.insert(key), "the key of {number} made another");
            }
            Event::AttemptBegun(begun) => {
                transactions.insert(begun.request.0, begun.transaction);
                let (card, stb) = self.accepted[&begun.request.0];
                // A plan may free the card before it pairs it.
                let possible = self.possible.entry(card).or_insert([None].into());
                possible.extend([None, stb]);
            }
            Event::AttemptSettled(settled) => {
                let number = settled.request.0;
                if settled.then == Then::Completed {
                    assert!(matches!(settled.outcome, Outcome::Ok | Outcome::Already));
                    is_acknowledged(settled.frame.as_ref().unwrap(), transactions[&number]);
                    assert!(settled.confirmed.is_some(), "{settled:?}");
                    assert!(self.completed.insert(number));
                }
                if let Some(confirmed) = &settled.confirmed {
                    self.confirm(confirmed);
                }
            }
            Event::LateAnswer(late) => {
                if late.effect == LateEffect::Completes {
                    assert!(matches!(late.outcome, Outcome::Ok | Outcome::Already));
                    is_acknowledged(&late.frame, late.transaction);
                    assert!(late.confirmed.is_some(), "{late:?}");
                    assert!(self.completed.insert(late.request.0));
                }
                if let Some(confirmed) = &late.confirmed {
                    self.confirm(confirmed);
                }
            }
            Event::RequestEnded {
                request,
                ending: Ending::Already,
                ..
            } => {
                // Only an unpair of a card that has no STB has nothing to do.
                let (card, stb) = self.accepted[&request.0];
                let held = self.confirmed.get(&card).copied().flatten();
                assert_eq!((stb, held), (None, None), "{request}");
                assert!(self.completed.insert(request.0));
            }
            _ => {}
        }
    }

    fn confirm(&mut self, confirmed: &pairbox::domain::event::Confirmed) {
        let stb = match confirmed.confirms {
            Confirms::None => return,
            Confirms::Unpair => None,
            Confirms::Pair => confirmed.stb.map(|stb| stb.0),
        };
        self.confirmed.insert(confirmed.card.0, stb);
        self.possible.insert(confirmed.card.0, [stb].into());
    }
}

/// The frame is the acknowledgement of the CAS for this very transaction.
fn is_acknowledged(frame: &Frame, transaction: u64) {
    assert!(!frame.is_hex, "{frame:?}");
    assert_eq!(frame.bytes[..9], format!("{transaction:09}"), "{frame:?}");
    assert_eq!(&frame.bytes[32..36], "1000", "{frame:?}");
}

/// What was acknowledged is what was accepted, once each; and what is called done was acknowledged by the CAS.
pub fn check_calls(made: &Headend, record: &Record, acknowledged: &BTreeMap<u64, Call>) {
    let tables = dump(made);
    let (items, requests) = (&tables["item"], &tables["request"]);
    let ours: Vec<_> = acknowledged.keys().collect();
    let theirs: Vec<_> = record.accepted.keys().collect();
    assert_eq!(ours, theirs, "acknowledged, and accepted by the ledger");
    assert_eq!(record.keys.len(), acknowledged.len());
    let calls: BTreeSet<_> = acknowledged.values().map(|call| &call.key).collect();
    assert_eq!(calls.len(), acknowledged.len(), "a call made two requests");
    for (number, call) in acknowledged {
        let (card, stb) = record.accepted[number];
        assert_eq!(serial(items, &card.into()), card_serial(call.card));
        let stb = stb.map(|stb| serial(items, &stb.into()));
        assert_eq!(stb, call.stb.map(stb_serial), "request {number}");
        let phase = requests[number]["phase"].as_str().unwrap();
        let is_completed = record.completed.contains(number);
        assert_eq!(
            phase == "completed",
            is_completed,
            "request {number}: {phase}"
        );
        assert!(["completed", "rejected"].contains(&phase), "{number}");
    }
}

/// The CAS holds for every card what was confirmed last, or, of a card in doubt, what was sent since; and nothing else.
pub fn check_cas(made: &Headend, record: &Record, cas: &Cas) {
    let tables = dump(made);
    let (items, pairings) = (&tables["item"], &tables["pairing"]);
    let wire_card = |card: u64| serial(items, &card.into())[..10].to_owned();
    let wire_stb = |stb: Option<u64>| stb.map(|stb| format!("{:0>10}", serial(items, &stb.into())));
    // The simulator shows its state a little later.
    let mut theirs = cas.pairings();
    let mut looked = Instant::now();
    while looked.elapsed() < Duration::from_millis(600) {
        std::thread::sleep(Duration::from_millis(50));
        let now = cas.pairings();
        if now != theirs {
            (theirs, looked) = (now, Instant::now());
        }
    }
    let mut theirs: BTreeMap<String, String> = serde_json::from_value(theirs).unwrap();
    let mut certain = 0;
    for (card, possible) in &record.possible {
        let held = theirs.remove(&wire_card(*card));
        let is_doubted = pairings
            .get(card)
            .is_some_and(|row| !row["doubt"].is_null());
        if is_doubted {
            let possible: Vec<_> = possible.iter().map(|stb| wire_stb(*stb)).collect();
            assert!(
                possible.contains(&held),
                "card {card}: {held:?}, {possible:?}"
            );
            continue;
        }
        let confirmed = record.confirmed.get(card).copied().flatten();
        let row = pairings.get(card).and_then(|row| row["stb"].as_u64());
        assert_eq!(row, confirmed, "card {card} in the state and in the ledger");
        assert_eq!(held, wire_stb(confirmed), "card {card} in the CAS");
        certain += 1;
    }
    assert!(
        theirs.is_empty(),
        "in the CAS, never sent for here: {theirs:?}"
    );
    assert!(certain > 100, "only {certain} cards are beyond doubt");
}
