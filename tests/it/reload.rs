//! The real binary reads its configuration again while it runs: all of it or nothing, and nothing that was accepted or sent
//! is lost or doubled by it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use pairbox::domain::event::Event;
use pairbox::script::shipped;
use rustix::process::Signal;
use serde_json::Value;

use crate::headend::Headend;
use crate::scene::{Cas, card_serial, stb_serial, wait_until};
use crate::self_watch::{Systemd, serve_watched, signal, status};
use crate::stop_in_order::{events, pending};

/// What a command gave.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn ran(made: &Headend, arguments: &[&str]) -> Ran {
    let output = made.command(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Reloads, which must be taken; answers what it said.
fn reloaded(made: &Headend) -> String {
    let ran = ran(made, &["reload"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    ran.stdout
}

/// Reloads, which must be refused; answers the findings.
fn refused(made: &Headend) -> String {
    let ran = ran(made, &["reload"]);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    ran.stdout
}

fn generation(made: &Headend) -> u64 {
    status(made)["configuration"]["generation"]
        .as_u64()
        .unwrap()
}

/// Replaces the first `from` in a file of the headend.
fn edit(made: &Headend, file: &str, from: &str, to: &str) {
    let path = made.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Line and column of a text in a file of the headend, as a finding names them.
fn place(made: &Headend, file: &str, of: &str) -> String {
    let text = fs::read_to_string(made.path().join(file)).unwrap();
    let before = &text[..text.find(of).unwrap()];
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    format!("{}:{column}", before.matches('\n').count() + 1)
}

/// A headend with its scripts on disk.
fn with_scripts(cas: &Cas, cards: u32) -> Headend {
    let made = Headend::new(cas.address, cards);
    for (file, bytes) in shipped::files() {
        let path = made.path().join("scripts").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    made
}

fn pair(made: &Headend, card: u32) -> Ran {
    ran(
        made,
        &["pair", &card_serial(card), &stb_serial(card), "--wait=30s"],
    )
}

fn is_paired(made: &Headend, card: u32) {
    let ran = pair(made, card);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

const SCRIPT: &str = "scripts/mappings/smsgw/mapping.rhai";

#[test]
fn a_changed_script_takes_effect_and_a_wrong_one_changes_nothing() {
    let cas = Cas::start("", 1);
    let made = with_scripts(&cas, 4);
    let served = made.serve();
    is_paired(&made, 0);
    assert_eq!(reloaded(&made), "generation 2: nothing changed\n");

    let first = "if !card.is_digits()";
    let wary = format!(
        "if request.card == \"{}\" {{ return \"not this one\"; }}\n    {first}",
        card_serial(1)
    );
    edit(&made, SCRIPT, first, &wary);
    assert_eq!(reloaded(&made), "generation 3: provider north changed\n");
    let told = pair(&made, 1);
    assert!(told.stderr.contains("not this one"), "{}", told.stderr);
    is_paired(&made, 2);

    edit(
        &made,
        SCRIPT,
        "fn decode(frame, ctx) {",
        "fn decode(frame, ctx) { let = 1;",
    );
    let wrong = place(&made, SCRIPT, "= 1;");
    let told = refused(&made);
    assert!(
        told.starts_with(&format!("smsgw/mapping.rhai:{wrong}: does not compile")),
        "{told}"
    );
    assert!(
        told.ends_with("\nrefused; generation 3 stays in force\n"),
        "{told}"
    );
    is_paired(&made, 2);
    let told = made.run(&["status"]);
    assert!(
        told.contains(&format!("smsgw/mapping.rhai:{wrong}: ")),
        "{told}"
    );

    edit(&made, SCRIPT, "{ let = 1;", "{");
    let case = r#"{"name": "wrong", "normalize": {"kind": "smartcard", "ca_id": "019000802077"}, "gives": "1",
        "cfg": {"source_id": 1, "dest_id": 2, "mop_ppid": 3}}"#;
    let cases = made.path().join("scripts/mappings/smsgw/cases/zz.json");
    fs::write(&cases, case).unwrap();
    let told = refused(&made);
    let expected = "smsgw/cases/zz.json: case `wrong`: normalize differs";
    assert!(told.starts_with(expected), "{told}");
    let kept = &status(&made)["configuration"];
    assert_eq!(kept["generation"], 3);
    let finding = &kept["refused"]["findings"][0];
    assert_eq!(finding["file"], "smsgw/cases/zz.json");

    // The same road by a signal.
    fs::remove_file(cases).unwrap();
    signal(&served, Signal::HUP);
    wait_until(|| generation(&made) == 4, || made.run(&["status"]));
    assert_eq!(status(&made)["configuration"]["refused"], Value::Null);
    is_paired(&made, 3);
}

#[test]
fn a_wrong_configuration_is_refused_with_every_place_and_all_goes_on() {
    let cas = Cas::start("", 1);
    let made = Headend::new(cas.address, 2);
    let mut command = made.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("PAIRBOX_LOG_LEVEL", "warn");
    let served = made.serve_by(command);

    // What a flag or a variable decides stays, whatever the file says.
    edit(&made, "pairbox.toml", "127.0.0.1:0", "127.0.0.1:1");
    fs::write(
        made.path().join("pairbox.toml"),
        fs::read_to_string(made.path().join("pairbox.toml")).unwrap()
            + "\n[log]\nlevel = \"error\"\n",
    )
    .unwrap();
    assert_eq!(reloaded(&made), "generation 2: nothing changed\n");

    edit(&made, "pairbox.toml", "16MiB", "32MiB");
    edit(
        &made,
        "pairbox.toml",
        "[log]\n",
        "[log]\nformat = \"text\"\n",
    );
    let told = refused(&made);
    for (of, key) in [("\"32MiB\"", "ledger.segment"), ("\"text\"", "log.format")] {
        let at = place(&made, "pairbox.toml", of);
        let expected = format!("pairbox.toml:{at}: `{key}` cannot change while the service runs");
        assert!(told.contains(&expected), "{expected}\n{told}");
    }

    edit(&made, "pairbox.toml", "32MiB", "16MiB");
    edit(&made, "pairbox.toml", "[store]", "[stor]");
    edit(&made, "pairbox.toml", "\"400ms\"", "400");
    let told = refused(&made);
    for of in ["stor]", "400"] {
        let expected = format!("pairbox.toml:{}: ", place(&made, "pairbox.toml", of));
        assert!(told.contains(&expected), "{expected}\n{told}");
    }
    assert!(told.contains("did you mean `store`?"), "{told}");
    is_paired_by_server(&made, 0);
    let kept = &status_by(&made)["configuration"];
    assert_eq!(kept["generation"], 2);
    assert_eq!(kept["refused"]["findings"].as_array().unwrap().len(), 2);

    edit(&made, "pairbox.toml", "[stor]", "[store]");
    edit(&made, "pairbox.toml", " 400", " \"500ms\"");
    edit(&made, "pairbox.toml", "format = \"text\"\n", "");
    assert_eq!(reloaded(&made), "generation 3: provider north changed\n");
    is_paired(&made, 1);
    drop(served);
    let told = ran(&made, &["reload"]);
    assert_eq!(told.code, 4, "{}", told.stderr);
    assert!(told.stderr.contains("no server runs on"), "{}", told.stderr);
}

/// While the file is wrong, other commands need another one to find the server by.
fn by_another_file(made: &Headend) -> String {
    let path = made.path().join("other.toml");
    fs::write(&path, "data_dir = \"data\"\n").unwrap();
    path.to_str().unwrap().to_owned()
}

fn is_paired_by_server(made: &Headend, card: u32) {
    let other = by_another_file(made);
    let (card, stb) = (card_serial(card), stb_serial(card));
    let told = ran(
        made,
        &["--config", &other, "pair", &card, &stb, "--wait=30s"],
    );
    assert_eq!(told.code, 0, "{}{}", told.stdout, told.stderr);
}

fn status_by(made: &Headend) -> Value {
    let other = by_another_file(made);
    let told = made.run(&["--config", &other, "status", "--output", "json"]);
    serde_json::from_str(&told).unwrap()
}

#[test]
fn what_the_api_answers_and_the_log_tells_follows_a_reload() {
    let cas = Cas::start("", 1);
    let made = Headend::new(cas.address, 1);
    let served = made.serve();
    let code = || {
        let mut stream = TcpStream::connect(served.address).unwrap();
        let call = "GET /crmapi/rest/v2/subscriptions/list?token=0 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        stream.write_all(call.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let connected = || {
        let lanes = &status(&made)["providers"][0]["health"]["lanes"];
        lanes[0]["connected_since"].clone()
    };
    wait_until(|| !connected().is_null(), || made.run(&["status"]));
    let (since, plain) = (connected(), code());
    let more = "[api]\nerror_status = \"rest\"\n[log]\nlevel = \"warn\"\n[retry]";
    edit(&made, "pairbox.toml", "[retry]", more);
    let told = reloaded(&made);
    assert_eq!(told, "generation 2: [api] changed, [log] level changed\n");
    assert_eq!((plain.as_str(), code().as_str()), ("200", "401"));
    assert_eq!(connected(), since, "sending was not interrupted");
    edit(&made, "pairbox.toml", "level = \"warn\"\n", "");
    edit(&made, "pairbox.toml", "\"50ms\"", "\"60ms\"");
    let told = reloaded(&made);
    assert_eq!(told, "generation 3: [retry] changed, [log] level changed\n");
    let log = fs::read_to_string(made.path().join("log")).unwrap();
    let told = |generation: u64| log.contains(&format!("\"generation\":{generation},"));
    assert_eq!((told(2), told(3)), (false, true), "{log}");
}

const SOUTH: &str = r#"
[[provider]]
name = "south"
mapping = "smsgw"
address = "CAS"
smartcard_products = ["SX-*"]
stb_products = ["STB-*"]
reply_timeout = "400ms"
[provider.settings]
source_id = 1234
dest_id = 5
mop_ppid = 67892
hello_name = "SMSGW"
"#;

#[test]
fn a_provider_leaves_only_when_it_has_no_unfinished_request_and_may_come_back() {
    let cas = Cas::start("", 1);
    let made = Headend::new(cas.address, 2);
    let _served = made.serve();
    let config = made.path().join("pairbox.toml");
    let one = fs::read_to_string(&config).unwrap();
    let two = format!("{one}{}", SOUTH.replace("CAS", &cas.address.to_string()));
    fs::write(&config, &two).unwrap();
    assert_eq!(reloaded(&made), "generation 2: provider south added\n");
    let rows =
        "serial_number,alternative_code,product,ca_id,state\n019099999999,X1,SX-1,,EFFECTIVE\n";
    fs::write(made.path().join("more.csv"), rows).unwrap();
    made.run(&["item", "import", "more.csv"]);
    made.run(&["provider", "pause", "south", "--reason", "test"]);
    made.run(&["pair", "019099999999", &stb_serial(2)]);
    is_paired(&made, 0);

    fs::write(&config, &one).unwrap();
    let told = refused(&made);
    let expected =
        "pairbox.toml: provider `south` has 1 unfinished requests and is no longer configured";
    assert!(told.starts_with(expected), "{told}");
    made.run(&["provider", "resume", "south"]);
    wait_until(|| pending(&made) == 0, || pending(&made).to_string());
    assert_eq!(reloaded(&made), "generation 3: provider south removed\n");
    let told = ran(&made, &["pair", "019099999999", &stb_serial(3)]);
    assert_eq!(told.code, 1, "{}{}", told.stdout, told.stderr);
    is_paired(&made, 1);

    fs::write(&config, &two).unwrap();
    assert_eq!(reloaded(&made), "generation 4: provider south added\n");
    made.run(&["pair", "019099999999", &stb_serial(3), "--wait=30s"]);
}

#[test]
fn a_pass_goes_on_over_a_reload() {
    const CARDS: u32 = 120;
    let cas = Cas::start("", 1);
    let made = Headend::new(cas.address, CARDS);
    let manual = "[processing]\nmode = \"manual\"\n[retry]";
    edit(&made, "pairbox.toml", "[retry]", manual);
    edit(
        &made,
        "pairbox.toml",
        "reply_timeout",
        "rate_per_s = 50\nreply_timeout",
    );
    let _served = made.serve();
    for card in 0..CARDS {
        made.run(&["pair", &card_serial(card), &stb_serial(card)]);
    }
    let mut pass = made.command(&["process"]);
    let pass = pass.stdout(Stdio::piped()).spawn().unwrap();
    wait_until(
        || (1..u64::from(CARDS)).contains(&cas.view.figures().commands),
        || cas.view.figures().commands.to_string(),
    );
    edit(&made, "pairbox.toml", "\"400ms\"", "\"450ms\"");
    assert_eq!(reloaded(&made), "generation 2: provider north changed\n");
    assert!(
        pending(&made) > 0,
        "the reload came too late to be one in a pass"
    );
    let output = pass.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let expected = format!("{CARDS} due, {CARDS} completed, 0 rejected, 0 to be tried again");
    assert!(told.contains(&expected), "{told}");
}

#[test]
fn systemd_hears_of_a_reload_that_is_taken_and_of_one_that_is_refused() {
    let cas = Cas::start("", 1);
    let made = Headend::new(cas.address, 1);
    let systemd = Systemd::listen(&made);
    let served = serve_watched(&made);
    systemd.until("READY=1");
    for is_wrong in [false, true] {
        if is_wrong {
            edit(&made, "pairbox.toml", "[store]", "[stor]");
        }
        signal(&served, Signal::HUP);
        let reloading = systemd.until("RELOADING=1").pop().unwrap();
        assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
        systemd.until("READY=1");
    }
}

/// A shell that closes its terminal tells all that it started there.
#[test]
fn a_closed_terminal_still_stops_a_server_that_was_started_from_one() {
    let cas = Cas::start("", 1);
    let made = Headend::new(cas.address, 1);
    let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
    let terminal = rustix::pty::openpt(flags).unwrap();
    rustix::pty::grantpt(&terminal).unwrap();
    rustix::pty::unlockpt(&terminal).unwrap();
    let path = rustix::pty::ptsname(&terminal, Vec::new()).unwrap();
    let screen = fs::File::options()
        .read(true)
        .write(true)
        .open(path.to_str().unwrap())
        .unwrap();
    let mut served = made.serve_from(made.command(&["serve"]), OwnedFd::from(screen).into());
    signal(&served, Signal::HUP);
    assert!(served.child.wait().unwrap().success());
    assert_eq!(events(&made).last(), Some(&Event::ServiceStopped {}));
}
