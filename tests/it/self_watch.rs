//! The real binary watches itself: it says when it is ready, when it is not and why, to whoever asks and to systemd.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::headend::{Headend, Served};
use crate::scene::{Cas, wait_until};

/// The answer of `/readyz`, head and body.
fn readyz(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let call = b"GET /readyz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    stream.write_all(call).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub fn status(made: &Headend) -> Value {
    serde_json::from_str(&made.run(&["status", "--output", "json"])).unwrap()
}

#[test]
fn a_box_that_answers_is_ready_and_tells_how_long_its_probe_took() {
    let cas = Cas::start("", 1);
    let made = Headend::new(cas.address, 1);
    let served = made.serve();
    wait_until(
        || readyz(served.address).starts_with("HTTP/1.1 200"),
        || readyz(served.address),
    );
    let status = status(&made);
    let readiness = &status["readiness"];
    assert_eq!(readiness["because"], Value::Array(Vec::new()), "{status}");
    assert!(
        readiness["probe_latency_us"].as_u64().unwrap() > 0,
        "{status}"
    );
    assert_eq!(readiness["probe_missed"], Value::Null, "{status}");
    assert!(status["uptime_s"].as_u64().unwrap() < 600, "{status}");
    let told = made.run(&["status"]);
    assert!(
        told.contains("ready          yes; the last probe took "),
        "{told}"
    );
    assert!(told.contains("self-watch"), "{told}");
}

#[test]
fn a_box_whose_disk_is_below_its_reserve_is_not_ready_and_says_disk() {
    let cas = Cas::start("", 1);
    let made = Headend::new(cas.address, 1);
    let disk = rustix::fs::statvfs(made.path()).unwrap();
    if disk.f_bavail * disk.f_frsize >= 1 << 40 {
        println!("SKIPPED: the disk has more free than a reserve may be");
        return;
    }
    let mut command = made.command(&["serve"]);
    command.env("PAIRBOX_STORE_RESERVE", "1024GiB");
    let served = made.serve_by(command);
    let is_disk = || status(&made)["readiness"]["because"] == serde_json::json!(["disk"]);
    wait_until(is_disk, || status(&made).to_string());
    assert!(readyz(served.address).starts_with("HTTP/1.1 503"));
    let told = made.run(&["status"]);
    assert!(told.contains("ready          no: disk; "), "{told}");
}

#[test]
fn the_limit_of_open_files_is_raised_as_far_as_the_system_lets_it() {
    let cas = Cas::start("", 1);
    let made = Headend::new(cas.address, 1);
    let mut shell = Command::new("sh");
    shell
        .current_dir(made.path())
        .args(["-c", "ulimit -S -n 256 && exec \"$0\" serve"])
        .arg(env!("CARGO_BIN_EXE_pairbox"));
    let _served = made.serve_by(shell);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    assert!(limit.maximum > Some(256), "{limit:?}");
    let status = status(&made);
    assert_eq!(status["open_files_max"].as_u64(), limit.maximum, "{status}");
    let open = status["open_files"].as_u64().unwrap();
    assert!((10..256).contains(&open), "{status}");
    let most = limit.maximum.unwrap();
    let told = made.run(&["status"]);
    assert!(
        told.contains(&format!(" open of at most {most}\n")),
        "{told}"
    );
}

/// Plays systemd: hears every message, so that nobody ever waits for it.
pub struct Systemd {
    messages: Receiver<String>,
}

/// A word that comes at some time comes within this.
const HEARD_WITHIN: Duration = Duration::from_secs(40);

impl Systemd {
    pub fn listen(made: &Headend) -> Self {
        let socket = UnixDatagram::bind(made.path().join("notify")).unwrap();
        let (message, messages) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(count) = socket.recv(&mut bytes) {
                let text = String::from_utf8(bytes[..count].to_vec()).unwrap();
                if message.send(text).is_err() {
                    break;
                }
            }
        });
        Self { messages }
    }

    /// What is said until a message has these words, that one included.
    pub fn until(&self, words: &str) -> Vec<String> {
        let deadline = Instant::now() + HEARD_WITHIN;
        let mut heard = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(message) = self.messages.recv_timeout(left) else {
                panic!("`{words}` was never said, but {heard:#?}");
            };
            let is_it = message.contains(words);
            heard.push(message);
            if is_it {
                return heard;
            }
        }
    }
}

/// A server that systemd watches; it pings every quarter second.
pub fn serve_watched(made: &Headend) -> Served {
    let mut shell = Command::new("sh");
    shell
        .current_dir(made.path())
        .args(["-c", "WATCHDOG_PID=$$ exec \"$0\" serve"])
        .arg(env!("CARGO_BIN_EXE_pairbox"))
        .env("WATCHDOG_USEC", "500000")
        .env("NOTIFY_SOCKET", made.path().join("notify"));
    made.serve_by(shell)
}

pub fn signal(served: &Served, signal: Signal) {
    kill_process(Pid::from_child(&served.child), signal).unwrap();
}

fn has_strace() -> bool {
    let found = Command::new("strace").arg("-V").output();
    let has = found.is_ok_and(|output| output.status.success());
    if !has {
        println!("SKIPPED: there is no strace");
    }
    has
}

#[test]
fn systemd_hears_of_a_box_that_lives_and_that_it_stops() {
    let cas = Cas::start("", 1);
    let made = Headend::new(cas.address, 1);
    let systemd = Systemd::listen(&made);
    let mut served = serve_watched(&made);
    systemd.until("READY=1");
    made.run(&["status"]);
    systemd.until("STATUS=ready; 0 requests, 0 unfinished\n");
    let heard = [systemd.until("WATCHDOG=1"), systemd.until("WATCHDOG=1")].concat();
    let ready = |message: &&String| message.contains("READY=1");
    assert_eq!(heard.iter().find(ready), None, "ready is said once");
    signal(&served, Signal::TERM);
    let stopping = systemd.until("STOPPING=1").pop().unwrap();
    assert!(stopping.contains("EXTEND_TIMEOUT_USEC="), "{stopping}");
    assert!(served.child.wait().unwrap().success());
}

/// The first call of `connect` of every thread fails here, and so does the first probe.
#[test]
fn a_box_is_ready_for_systemd_only_when_a_probe_has_passed() {
    if !has_strace() {
        return;
    }
    let cas = Cas::start("", 1);
    let made = Headend::new(cas.address, 1);
    let systemd = Systemd::listen(&made);
    let trace = made.path().join("trace");
    let mut strace = Command::new("strace");
    strace
        .current_dir(made.path())
        .args(["-D", "-f", "-e", "trace=connect", "-o"])
        .arg(&trace)
        .args(["-e", "inject=connect:error=ECONNREFUSED:when=1"])
        .args([env!("CARGO_BIN_EXE_pairbox"), "serve"])
        .env("NOTIFY_SOCKET", made.path().join("notify"));
    let _served = made.serve_by(strace);
    systemd.until("READY=1");
    let trace = fs::read_to_string(trace).unwrap();
    let probes: Vec<&str> = trace
        .lines()
        .filter(|line| line.contains("control.sock"))
        .collect();
    assert!(
        ended(&trace, probes[0]).contains("INJECTED"),
        "the first probe fails: {trace}"
    );
    assert!(probes.len() > 1, "ready after a probe that failed: {trace}");
}

/// The line with the result of a call: on a busy machine a later one of the same thread.
fn ended<'a>(trace: &'a str, call: &'a str) -> &'a str {
    if !call.contains("<unfinished ...>") {
        return call;
    }
    let thread = call.split_whitespace().next();
    let mut later = trace.lines().skip_while(|line| *line != call).skip(1);
    later
        .find(|line| line.split_whitespace().next() == thread)
        .expect("the call's end")
}

/// Every sync of the ledger takes this long.
struct SlowSync(Child);

impl SlowSync {
    fn of(served: &Served, delay: Duration) -> Option<Self> {
        let inject = format!("inject=fdatasync:delay_enter={}", delay.as_micros());
        let mut strace = Command::new("strace")
            .args([
                "-f",
                "-e",
                "trace=fdatasync",
                "-e",
                &inject,
                "-o",
                "/dev/null",
                "-p",
            ])
            .arg(served.child.id().to_string())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(strace.stderr.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let slow = Self(strace);
        if lines.any(|line| line.contains("attached")) {
            return Some(slow);
        }
        println!("SKIPPED: strace may not look at another process here");
        None
    }
}

impl Drop for SlowSync {
    fn drop(&mut self) {
        // It lets go of the process when it is asked to end, not when it is killed.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

#[test]
fn a_writer_that_hangs_is_named_and_no_sign_of_life_until_it_goes_on() {
    if !has_strace() {
        return;
    }
    let cas = Cas::start("", 1);
    let made = Headend::new(cas.address, 1);
    let systemd = Systemd::listen(&made);
    let served = serve_watched(&made);
    systemd.until("WATCHDOG=1");
    let Some(slow) = SlowSync::of(&served, Duration::from_secs(12)) else {
        return;
    };
    let mut pause = made.command(&["provider", "pause", "north", "--reason", "a slow disk"]);
    let mut pause = pause.stdout(Stdio::null()).spawn().unwrap();
    let heard = systemd.until("ledger");
    assert!(
        heard.last().unwrap().starts_with("STATUS=not ready ("),
        "{heard:?}"
    );
    let answer = readyz(served.address);
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let heard = systemd.until("STATUS=ready; ");
    let goes_on = |message: &String| message.starts_with("STATUS=") && !message.contains("ledger");
    let goes_on = heard.iter().position(goes_on).unwrap();
    let hanging = heard[..goes_on].join("");
    assert!(!hanging.contains("WATCHDOG=1"), "{heard:#?}");
    drop(slow);
    assert!(pause.wait().unwrap().success());
    systemd.until("WATCHDOG=1");
}
