//! SIGKILL at random moments: of the server under load, and of the server while it starts. Nothing acknowledged is lost,
//! nothing is there twice, nothing is called done that the CAS does not hold.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pairbox::domain::Chance;
use serde_json::Value;

use crate::scene::{Cas, card_serial, stb_serial};

const ITEMS: u32 = 1_000;
const CLIENTS: usize = 4;

/// A data directory that the real binary serves.
struct Headend {
    folder: tempfile::TempDir,
    key: String,
}

impl Headend {
    fn new(cas: SocketAddr) -> Self {
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
        for at in 0..ITEMS {
            let (card, stb) = (card_serial(at), stb_serial(at));
            writeln!(
                rows,
                "{card},A{card},SC-1,,EFFECTIVE\n{stb},A{stb},STB-1,,EFFECTIVE"
            )
            .unwrap();
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

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pairbox"));
        command
            .current_dir(self.path())
            .args(arguments)
            .env("RUST_BACKTRACE", "0");
        command
    }

    /// Runs a command to its end and answers its standard output.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{arguments:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    fn serve(&self) -> Served {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path().join("log"))
            .unwrap();
        let mut child = self
            .command(&["serve"])
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

struct Served {
    child: Child,
    address: SocketAddr,
}

impl Served {
    fn kill(mut self) {
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

/// Acknowledged requests: number, card, and STB (none for an unpair).
type Acknowledged = Vec<(u64, u32, Option<u32>)>;

/// Posts until the server is gone; every card belongs to one client, so that its order is known.
fn load(
    made: &Headend,
    address: SocketAddr,
    client: u32,
    seed: u64,
    stop: &AtomicBool,
) -> Acknowledged {
    let mut acknowledged = Vec::new();
    let mut chance = Chance::branch(seed, u64::from(client));
    let Ok(mut stream) = TcpStream::connect(address) else {
        return acknowledged;
    };
    stream.set_nodelay(true).unwrap();
    let Ok(token) = made.login(&mut stream) else {
        return acknowledged;
    };
    while !stop.load(Ordering::Relaxed) {
        let card = u32::try_from(chance.below(u64::from(ITEMS) / CLIENTS as u64)).unwrap()
            * CLIENTS as u32
            + client;
        let stb = (chance.below(4) > 0).then_some(card);
        let mut body = format!(
            r#"{{"token":"{token}","smartcard_identifier":{{"serial_number":"{}"}}"#,
            card_serial(card)
        );
        if let Some(stb) = stb {
            write!(
                body,
                r#","stb_identifier":{{"serial_number":"{}"}}"#,
                stb_serial(stb)
            )
            .unwrap();
        }
        body += "}";
        let path = "/crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder";
        let Ok(answer) = post(&mut stream, path, &body, "") else {
            break;
        };
        if answer["status"]["code"] == "OK" {
            let number = answer["data"]["number"].as_str().unwrap().parse().unwrap();
            acknowledged.push((number, card, stb));
        }
    }
    acknowledged
}

/// The rows of `store dump`, by table.
fn dump(made: &Headend) -> HashMap<String, BTreeMap<u64, Value>> {
    let mut tables: HashMap<String, BTreeMap<u64, Value>> = HashMap::new();
    for line in made.run(&["store", "dump"]).lines() {
        let Ok(row) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let table = row["table"].as_str().unwrap().to_owned();
        let key = row["key"].as_str().unwrap().parse().unwrap_or(0);
        assert!(
            tables
                .entry(table)
                .or_default()
                .insert(key, row["row"].clone())
                .is_none(),
            "twice: {line}"
        );
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

fn rounds(plain: u32, long: u32) -> u32 {
    if std::env::var_os("PAIRBOX_TEST_LONG").is_some() {
        long
    } else {
        plain
    }
}

fn seed() -> u64 {
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
    let made = Arc::new(Headend::new(cas.address));
    let mut acknowledged: Acknowledged = Vec::new();
    let rounds = rounds(10, 50);
    for round in 0..rounds {
        let served = made.serve();
        let stop = Arc::new(AtomicBool::new(false));
        let address = served.address;
        // One after the other: tiny_http starves connections that are opened at once.
        let threads: Vec<_> = (0..CLIENTS as u32)
            .map(|client| {
                let (made, stop) = (made.clone(), stop.clone());
                std::thread::spawn(move || {
                    load(&made, address, client, seed ^ u64::from(round), &stop)
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(50 + chance.below(500)));
        served.kill();
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            acknowledged.extend(thread.join().unwrap());
        }
    }
    assert!(
        acknowledged.len() > 100,
        "the load was no load: {}",
        acknowledged.len()
    );
    settle(&made);
    made.run(&["ledger", "verify"]);
    check(&made, &acknowledged, &cas);
    println!(
        "{rounds} kills, {} acknowledged, 0 lost",
        acknowledged.len()
    );
}

/// Lets the server run until nothing is unfinished, then ends it in order.
fn settle(made: &Headend) {
    let mut served = made.serve();
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

fn check(made: &Headend, acknowledged: &Acknowledged, cas: &Cas) {
    let tables = dump(made);
    let (items, requests) = (&tables["item"], &tables["request"]);
    for (number, card, stb) in acknowledged {
        let request = requests
            .get(number)
            .unwrap_or_else(|| panic!("request {number} is lost"));
        assert_eq!(
            serial(items, &request["card"]),
            card_serial(*card),
            "request {number}"
        );
        assert_eq!(request["stb"].is_null(), stb.is_none(), "request {number}");
        assert!(
            ["completed", "rejected"].contains(&request["phase"].as_str().unwrap()),
            "{request}"
        );
    }
    let mut ours = BTreeMap::new();
    for (card, pairing) in &tables["pairing"] {
        if pairing["doubt"].is_null() && !pairing["stb"].is_null() {
            let card = serial(items, &Value::from(*card));
            ours.insert(
                card[..10].to_owned(),
                format!("{:0>10}", serial(items, &pairing["stb"])),
            );
        }
    }
    let theirs = cas.pairings();
    for (card, stb) in &ours {
        assert_eq!(
            theirs[card], *stb,
            "card {card} is called paired, the CAS says otherwise"
        );
    }
    assert!(!ours.is_empty());
}

#[test]
fn a_server_killed_while_it_starts_comes_back() {
    let seed = seed();
    let mut chance = Chance::new(seed);
    let cas = Cas::start("", seed);
    let made = Headend::new(cas.address);
    let before = dump(&made);
    for _ in 0..rounds(10, 50) {
        let log = fs::File::create(made.path().join("log")).unwrap();
        let mut child = made
            .command(&["serve"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(chance.below(120)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    made.run(&["ledger", "verify"]);
    let after = dump(&made);
    assert_eq!(before["item"], after["item"]);
    made.serve().kill();
}
