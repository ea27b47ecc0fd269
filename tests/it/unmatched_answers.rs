//! A CAS whose answers carry another key than its commands: who looks is told both keys, and nothing waits for ever.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::cli_scene::pairbox;
use super::headend::Headend;
use super::scene::{card_serial, stb_serial, wait_until};

const SCRIPT: &str = r#"
fn describe() {
    #{
        framing: #{ delim: #{ bytes: "\n", max: 256 } },
        session: #{ reply_timeout: "300ms", window: 4, ambiguous: "hold" },
        transaction: #{ min: 1, max: 999999 },
        caps: #{ pair: true, unpair: true, card_to_stb: 1, stb_to_card: 1 }
    }
}
fn encode(step, ctx) { #{ body: ctx.transaction + " " + step.card, key: "" + ctx.transaction } }
fn decode(frame, ctx) {
    let words = if frame.is_ascii() { frame.ascii(0, frame.len).split(" ") } else { [] };
    if words.len != 2 || words[1] != "OK" { return #{ kind: "ignore" }; }
    #{ kind: "reply", key: words[0], outcome: "ok" }
}
"#;

/// Answers each command `7 ...` with `07 OK`, in threads that end with the test.
fn cas() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || converse(stream));
        }
    });
    address
}

fn converse(mut stream: TcpStream) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        let tag = line.split(' ').next().unwrap_or_default();
        if writeln!(stream, "0{tag} OK").is_err() {
            return;
        }
    }
}

fn headend() -> Headend {
    let made = Headend::new(cas(), 4);
    let folder = made.path().join("scripts/mappings/mine");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("mapping.rhai"), SCRIPT).unwrap();
    let text = fs::read_to_string(made.path().join("pairbox.toml")).unwrap();
    let (before, _) = text.split_once("[provider.settings]").unwrap();
    let config = before.replace("\"smsgw\"", "\"mine\"");
    made.write(
        "pairbox.toml",
        &config.replace("reply_timeout", "#reply_timeout"),
    );
    made
}

#[test]
fn try_says_what_each_frame_means_and_which_key_is_waited_for() {
    let made = headend();
    let address = {
        let text = fs::read_to_string(made.path().join("pairbox.toml")).unwrap();
        let (_, behind) = text.split_once("address = \"").unwrap();
        behind.split('"').next().unwrap().to_owned()
    };
    let arguments = [
        "mapping",
        "try",
        "mine",
        "--address",
        &address,
        "pair",
        "77",
        "1",
    ];
    let said = pairbox(made.path(), &arguments);
    assert_eq!(said.code, 3, "{}{}", said.stdout, said.stderr);
    let (_, heard) = said.stdout.split_once("<- 10 bytes (").unwrap();
    let (note, end) = heard.split_once(")\n").unwrap();
    let tag = end
        .trim_start()
        .trim_start_matches('0')
        .split(' ')
        .next()
        .unwrap();
    let why = format!("no command waits for key `0{tag}`; the command's key is `{tag}`");
    assert_eq!(note, format!("ok, key `0{tag}`; {why}"));
    assert!(
        end.trim_end()
            .ends_with(&format!("within the reply time-out; {why}")),
        "{end}"
    );
}

#[test]
fn a_server_tells_of_answers_that_match_no_command() {
    let made = headend();
    let served = made.serve();
    made.run(&["pair", &card_serial(0), &stb_serial(0)]);
    wait_until(
        || {
            made.run(&["request", "explain", "1"])
                .contains("held for an operator")
        },
        || made.run(&["request", "explain", "1"]),
    );
    let list = || made.run(&["provider", "list"]);
    let words = "an answer matched no command: the latest had key `0";
    wait_until(|| list().contains(words), list);
    let told = made.run(&["request", "explain", "1"]);
    for part in [
        words,
        "`, where a command waited with key `",
        "; this command's key is `",
        "pairbox mapping test mine --trace",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    served.stop();
}

#[test]
fn a_job_that_waits_for_the_cas_ends_when_all_that_waits_is_held() {
    let made = headend();
    let served = made.serve();
    let rows = [0, 1].map(|at| format!("{},{}\n", card_serial(at), stb_serial(at)));
    let rows = rows.concat();
    // The second one of card 0 stands behind its first one.
    let (card, stb) = (card_serial(0), stb_serial(3));
    made.write("pair.csv", &format!("smartcard,stb\n{rows}{card},{stb}\n"));
    let said = pairbox(
        made.path(),
        &["run", "pair_from_csv", "--input", "pair.csv", "--wait"],
    );
    assert_eq!(said.code, 3, "{}{}", said.stdout, said.stderr);
    for part in [
        "2 held and 1 behind them: ",
        "`pairbox request resolve NUMBER",
    ] {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
    let list = made.run(&["provider", "list"]);
    assert!(list.contains("2 held: `pairbox request list"), "{list}");
    let pairings = made.run(&["pairing", "list"]);
    assert!(pairings.contains("request 1 is held"), "{pairings}");
    let job = made.run(&["job", "show", "1"]);
    assert!(job.contains("3, of them 2 held and 1 behind them"), "{job}");
    served.stop();
}
