//! Secrets in frames, by the command line: a slip in a name is found where it stands, and goes to no CAS.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::cli_scene::{Ran, pairbox};
use super::scene::wait_until;

/// A headend whose mapping sends what a test has it send, with one secret `password`.
struct Site(tempfile::TempDir);

impl Site {
    /// `pair` is the frame of a pair, an expression of the script.
    fn new(pair: &str) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        assert_eq!(site.run(&["init", "."]).code, 0);
        let made = site.run(&["mapping", "new", "mine", "--shape", "tcp-delim"]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        let path = site.path("scripts/mappings/mine/mapping.rhai");
        let script = SCRIPT.replace("PAIR", pair);
        fs::write(path, script).unwrap();
        fs::remove_dir_all(site.path("scripts/mappings/mine/cases")).unwrap();
        fs::create_dir(site.path("scripts/mappings/mine/cases")).unwrap();
        let password = site.path("password");
        fs::write(&password, "secret-7").unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
        let text = fs::read_to_string(site.path("pairbox.toml")).unwrap();
        let (before, _) = text.split_once("[provider.settings]").unwrap();
        let config = before.replace("\"smsgw\"", "\"mine\"");
        let config = format!("{config}[provider.secrets]\npassword = \"password\"\n");
        fs::write(site.path("pairbox.toml"), config).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        pairbox(self.0.path(), arguments)
    }

    /// A server whose CAS is at `address`, on ports that are free.
    fn serve(&self, address: &str) -> Child {
        let config = self.path("pairbox.toml");
        let text = fs::read_to_string(&config).unwrap();
        let text = text.replace("127.0.0.1:7000", address);
        let text = text.replace("127.0.0.1:8087", "127.0.0.1:0");
        let text = text.replace("127.0.0.1:8088", "127.0.0.1:0");
        fs::write(&config, text).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_pairbox"));
        process.arg("serve").current_dir(self.0.path());
        process.stdout(Stdio::null()).stderr(Stdio::null());
        process.spawn().unwrap()
    }

    fn attempt(&self, address: &str) -> Ran {
        self.run(&[
            "mapping",
            "try",
            "mine",
            "--address",
            address,
            "pair",
            "019000802077",
            "1",
        ])
    }
}

const SCRIPT: &str = r#"
fn describe() {
    #{
        framing: #{ delim: #{ bytes: "\n", max: 256 } },
        session: #{ reply_timeout: "300ms", window: 4, ambiguous: "hold" },
        transaction: #{ min: 1, max: 999999 },
        caps: #{ pair: true, unpair: true, card_to_stb: 1, stb_to_card: 1 }
    }
}
fn encode(step, ctx) { #{ body: PAIR, key: "" + ctx.transaction } }
fn decode(frame, ctx) { #{ kind: "ignore" } }
"#;

/// A CAS that hears one connection to its end and answers nothing.
fn listener() -> (String, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        heard
    });
    (address, heard)
}

#[test]
fn a_misspelt_secret_is_found_where_it_stands() {
    let site = Site::new(r#""LOGIN {{pasword}}""#);
    for check in [&["check"][..], &["mapping", "check", "mine"]] {
        let said = site.run(check);
        assert_eq!(said.code, 3, "{}{}", said.stdout, said.stderr);
        for words in [
            "mine/mapping.rhai:10:",
            "names the secret `pasword`",
            "did you mean `password`?",
        ] {
            assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
        }
    }
}

#[test]
fn a_frame_with_a_name_that_only_shows_when_it_is_made_is_not_sent() {
    let site = Site::new(r#""LOGIN {{" + "pasword" + "}}""#);
    assert_eq!(site.run(&["mapping", "check", "mine"]).code, 0);
    let (address, heard) = listener();
    let said = site.attempt(&address);
    assert_eq!(said.code, 3, "{}{}", said.stdout, said.stderr);
    assert!(
        said.stdout
            .contains("not sent: `{{pasword}}` names the secret `pasword`"),
        "{}",
        said.stdout
    );
    assert_eq!(heard.join().unwrap(), b"");
    let case = r#"{"cases": [{"name": "pair", "request": {"action": "pair", "number": 1, "card": "1", "stb": "2", "previous_stb": null},
        "frames": [{"text": "LOGIN {{pasword}}", "key": "1"}]}], "ctx": {"transaction": 1}}"#;
    fs::write(site.path("scripts/mappings/mine/cases/commands.json"), case).unwrap();
    let said = site.run(&["mapping", "test", "mine"]);
    assert!(
        said.stdout.contains("found pair: `{{pasword}}` names"),
        "{}{}",
        said.stdout,
        said.stderr
    );
}

#[test]
fn a_secret_goes_out_with_its_length_and_try_says_what_was_sent() {
    let site = Site::new(r#""L{{password|prefix_u8}}{{password|pad:10}}.""#);
    assert_eq!(site.run(&["mapping", "check", "mine"]).code, 0);
    let (address, heard) = listener();
    let said = site.attempt(&address);
    assert_eq!(heard.join().unwrap(), b"L\x08secret-7secret-7  .\n");
    assert!(
        said.stdout
            .contains("-> 43 bytes (21 sent, with 2 secrets put in)"),
        "{}{}",
        said.stdout,
        said.stderr
    );
    assert!(!said.stdout.contains("secret-7"), "{}", said.stdout);
}

#[test]
fn a_session_whose_login_names_an_unknown_secret_fails_with_that_reason() {
    let site = Site::new(r#""PAIR""#);
    let path = site.path("scripts/mappings/mine/mapping.rhai");
    let script = fs::read_to_string(&path).unwrap();
    let login = r#"fn on_connect(ctx, state) { #{ send: ["LOGIN {{" + "pasword" + "}}"] } }
fn on_frame(frame, state) { #{ ready: true } }"#;
    fs::write(path, format!("{script}{login}\n")).unwrap();
    let (address, heard) = listener();
    let said = site.attempt(&address);
    assert_eq!(said.code, 3, "{}{}", said.stdout, said.stderr);
    let end = said.stdout.lines().last().unwrap();
    assert!(
        end.starts_with("no session (Hello): `{{pasword}}` names the secret `pasword`")
            && end.ends_with("did you mean `password`?"),
        "{end}"
    );
    assert_eq!(heard.join().unwrap(), b"");
}

/// A CAS that counts its callers and says nothing.
fn counting_listener() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let callers = Arc::new(AtomicUsize::new(0));
    let counted = callers.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
            drop(stream);
        }
    });
    (address, callers)
}

#[test]
fn a_lane_whose_only_hello_frame_cannot_be_sent_comes_back_for_another_try() {
    for keepalive in ["", "keepalive_every: \"30s\", ready_after: 1,"] {
        let site = Site::new(r#""PAIR""#);
        let path = site.path("scripts/mappings/mine/mapping.rhai");
        let script = fs::read_to_string(&path).unwrap();
        let script = script.replace(
            "reply_timeout: \"300ms\",",
            &format!("reply_timeout: \"300ms\", reconnect_min: \"50ms\", {keepalive}"),
        );
        let hello = r#"fn on_connect(ctx, state) { #{ send: ["LOGIN {{" + "pasword" + "}}"] } }
fn keepalive(ctx, state) { #{ body: "PING", key: "" + ctx.transaction } }"#;
        fs::write(path, format!("{script}{hello}\n")).unwrap();
        let (address, callers) = counting_listener();
        let mut served = site.serve(&address);
        wait_until(
            || callers.load(Ordering::Relaxed) >= 3,
            || format!("{keepalive:?}: {} callers", callers.load(Ordering::Relaxed)),
        );
        served.kill().unwrap();
        served.wait().unwrap();
    }
}

#[test]
fn a_command_that_can_never_be_sent_is_held_with_the_reason() {
    let site = Site::new(r#""LOGIN {{" + "pasword" + "}}""#);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    assert_eq!(
        site.run(&["item", "import", "scripts/samples/cards.csv"])
            .code,
        0
    );
    assert_eq!(
        site.run(&["item", "import", "scripts/samples/stbs.csv"])
            .code,
        0
    );
    let mut served = site.serve(&address);
    // Before its socket is there a command would take the data directory itself.
    let socket = site.path("data/control.sock");
    wait_until(|| socket.exists(), String::new);
    let is_up = || site.run(&["provider", "list"]).stdout.contains("ready");
    wait_until(is_up, String::new);
    let said = site.run(&["pair", "019008000729", "000046100000", "--wait", "5s"]);
    assert!(
        said.stdout.contains("PENDING (held)"),
        "{}{}",
        said.stdout,
        said.stderr
    );
    let said = site.run(&["request", "explain", "1"]);
    let words = "the frame cannot be sent: `{{pasword}}` names the secret `pasword`";
    assert!(said.stdout.contains(words), "{}", said.stdout);
    served.kill().unwrap();
    served.wait().unwrap();
    drop(listener);
}
