//! A CAS over HTTP that does not behave: answers twice, closes, repeats what it should not know.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use super::headend::Headend;
use super::scene::{card_serial, stb_serial, wait_until};

const PASSWORD: &str = "hunter2-of-the-cas";

/// What the CAS does with the body of a command: the bytes of its answers.
type Manner = fn(u32, &Value) -> String;

/// A CAS by hand; gives its logins and commands.
struct Cas {
    address: std::net::SocketAddr,
    logins: Arc<AtomicU32>,
    commands: Arc<AtomicU32>,
}

impl Cas {
    fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (logins, commands) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let counts = (logins.clone(), commands.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (logins, commands) = counts.clone();
                std::thread::spawn(move || serve(stream, manner, &logins, &commands));
            }
        });
        Self {
            address,
            logins,
            commands,
        }
    }
}

fn answer(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn serve(mut stream: TcpStream, manner: Manner, logins: &AtomicU32, commands: &AtomicU32) {
    let mut heard = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&heard).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Some(length) = head
                .lines()
                .find_map(|l| l.strip_prefix("Content-Length: "))
            && body.len() >= length.parse::<usize>().unwrap()
        {
            heard.clear();
            let asked: Value = serde_json::from_str(body).unwrap();
            let said = if head.contains("/Login") {
                logins.fetch_add(1, Ordering::SeqCst);
                answer(r#"{"status":0,"session":"SESSION-77"}"#)
            } else {
                manner(commands.fetch_add(1, Ordering::SeqCst), &asked)
            };
            let _ = stream.write_all(said.as_bytes());
            continue;
        }
        match stream.read(&mut piece) {
            Ok(count) if count > 0 => heard.extend_from_slice(&piece[..count]),
            _ => return,
        }
    }
}

fn headend(cas: &Cas) -> Headend {
    let made = Headend::new(cas.address, 4);
    let password = made.path().join("cas.password");
    fs::write(&password, PASSWORD).unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let text = fs::read_to_string(made.path().join("pairbox.toml")).unwrap();
    let (before, _) = text.split_once("[provider.settings]").unwrap();
    let config = format!(
        "{}lanes = 1\n[provider.settings]\noperator = \"north\"\n[provider.secrets]\npassword = \"cas.password\"\n",
        before.replace("\"smsgw\"", "\"httpjson\"")
    );
    made.write("pairbox.toml", &config);
    made
}

fn ask(made: &Headend, number: u32) {
    made.run(&["pair", &card_serial(number), &stb_serial(number)]);
}

fn states(made: &Headend) -> Vec<String> {
    let list = made.run(&["request", "list", "--all", "--output", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&list).unwrap();
    let state = |row: &Value| row["life_cycle_state"].as_str().unwrap().to_owned();
    rows.iter().map(state).collect()
}

fn await_states(made: &Headend, wanted: &[&str]) {
    wait_until(
        || states(made) == wanted,
        || format!("{:?}\n{}", states(made), made.log()),
    );
}

#[test]
fn an_answer_that_comes_twice_speaks_for_no_other_card() {
    // The first is done, and said so twice; the second is refused.
    let cas = Cas::start(|number, _| match number {
        0 => answer(r#"{"status":0}"#).repeat(2),
        _ => answer(r#"{"status":1,"type":9001}"#),
    });
    let made = headend(&cas);
    ask(&made, 0);
    ask(&made, 1);
    let served = made.serve();
    await_states(&made, &["COMPLETED", "REJECTED"]);
    served.stop();
    assert_eq!(cas.logins.load(Ordering::SeqCst), 2, "the order was lost");
}

#[test]
fn a_cas_that_closes_after_its_answer_is_asked_on_a_new_connection() {
    let cas = Cas::start(|_, _| {
        let body = r#"{"status":0}"#;
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
    });
    let made = headend(&cas);
    for number in 0..4 {
        ask(&made, number);
    }
    let served = made.serve();
    await_states(&made, &["COMPLETED"; 4]);
    served.stop();
    assert_eq!(
        cas.commands.load(Ordering::SeqCst),
        4,
        "none was sent twice"
    );
}

#[test]
fn an_item_that_names_a_secret_is_refused_and_what_the_cas_repeats_is_veiled() {
    let cas = Cas::start(|_, asked| {
        let said = serde_json::json!({
            "status": 1,
            "type": 7,
            "statusMsg": format!("no card {} in {}", asked["cardNumber"], asked["session"]),
        });
        answer(&said.to_string())
    });
    let made = headend(&cas);
    made.write(
        "more.csv",
        "serial_number,alternative_code,product,ca_id,state\nX1,AX1,SC-0,{{password}},EFFECTIVE\n",
    );
    made.run(&["item", "import", "more.csv"]);
    let said = super::cli_scene::pairbox(made.path(), &["pair", "X1", &stb_serial(3)]);
    assert!(
        said.stderr.contains("by which frames name secrets"),
        "{}",
        said.stderr
    );
    ask(&made, 0);
    let served = made.serve();
    await_states(&made, &["REJECTED"]);
    let told = made.run(&["request", "show", "1"]);
    assert!(told.contains("in \"{{session}}\""), "{told}");
    served.stop();
}
