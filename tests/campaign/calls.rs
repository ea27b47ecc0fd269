//! Random JSON and spoilt good calls to every method of the API, with a token that lives: each has an answer in the
//! envelope, none ends the server, and what was answered OK is there.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use pairbox::domain::Chance;
use serde_json::{Value, json};

use crate::exchange::{Answer, exchange};
use crate::headend::Headend;
use crate::mutate::{bytes, change, json as any_json, one_of, spoil};
use crate::rounds::Rounds;
use crate::scene::{Cas, card_serial, stb_serial};
use crate::table::Row;
use crate::verdict::{Asked, Left, judge};

const CARDS: u32 = 20;
const BASE: &str = "/crmapi/rest/v2/";
/// What any call is answered within.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// Statuses of the dialect: business as usual, the client's fault, too busy.
const STATUSES: [u16; 10] = [200, 400, 401, 404, 405, 411, 413, 414, 431, 503];

#[test]
fn no_body_breaks_a_method() {
    let rounds = Rounds::timed("calls", Duration::from_secs(2), Duration::from_mins(1));
    let cas = Cas::start("", crate::rounds::seed());
    let made = Headend::new(cas.address, CARDS);
    let served = made.serve();
    let mut caller = Caller::new(&made, served.address);
    let mut row = Row::default();
    let mut calls = 0_u64;
    for seed in rounds {
        caller.call(&mut Chance::new(seed));
        calls += 1;
    }
    // A good call is served as ever.
    caller.token = made.login(&mut caller.stream).unwrap();
    let good = caller.good(PAIR);
    let answer = caller.post(PAIR, good.to_string().as_bytes(), "");
    assert!(answer.body.contains(r#""code":"OK""#), "{answer:?}");
    caller.look_at(PAIR, &answer);
    let acknowledged = std::mem::take(&mut caller.acknowledged);
    let began = Instant::now();
    served.stop();
    made.serve().stop();
    let left = Left {
        data: &made.data(),
        acknowledged: &acknowledged,
        unanswered: Some(0),
        wires: &[],
        ended: None,
    };
    row.add(&judge(&left).verdict, Some(began.elapsed()));
    row.set_rounds(calls);
    row.tell("random and spoilt bodies to every method of the API");
}

const PAIR: &str = "nagravision/provisioning_requests/pair_smartcard_decoder";
const POSTS: [&str; 6] = [
    PAIR,
    "authentication/token",
    "authentication/web_api_key/token",
    "authentication/token/release",
    "installed_items/create",
    "subscriptions/create",
];
const GETS: [&str; 8] = [
    "provisioning/provisioning_requests/show",
    "provisioning/provisioning_requests/list",
    "nagravision/provisioning_requests/show",
    "nagravision/provisioning_requests/list",
    "installed_items/show",
    "installed_items/list",
    "subscriptions/show",
    "subscriptions/list",
];

/// One client, one call at a time.
struct Caller<'a> {
    made: &'a Headend,
    address: SocketAddr,
    stream: TcpStream,
    token: String,
    calls: u64,
    acknowledged: BTreeMap<u64, Asked>,
}

impl<'a> Caller<'a> {
    fn new(made: &'a Headend, address: SocketAddr) -> Self {
        let mut stream = connect(address);
        let token = made.login(&mut stream).unwrap();
        Self {
            made,
            address,
            stream,
            token,
            calls: 0,
            acknowledged: BTreeMap::new(),
        }
    }

    fn call(&mut self, chance: &mut Chance) {
        self.calls += 1;
        if chance.below(3) == 0 {
            return self.get(chance);
        }
        let method = *one_of(chance, &POSTS);
        let mut body = self.good(method);
        match chance.below(4) {
            0 => {
                body = any_json(chance, 0);
                if let Value::Object(map) = &mut body {
                    map.insert("token".to_owned(), json!(self.token));
                }
            }
            1 => {}
            _ => change(chance, &mut body),
        }
        let mut text = body.to_string().into_bytes();
        match chance.below(12) {
            0 => spoil(chance, &mut text),
            1 => text = bytes(chance, 400),
            2 => text = "[".repeat(chance.below(20_000) as usize).into_bytes(),
            3 => text = twice(&body),
            _ => {}
        }
        let key = match chance.below(6) {
            0 => format!("Idempotency-Key: key-{}\r\n", chance.below(20)),
            1 => "Idempotency-Key: \r\n".to_owned(),
            _ => String::new(),
        };
        let answer = self.post(method, &text, &key);
        self.look_at(method, &answer);
        let status = serde_json::from_str::<Value>(&answer.body).unwrap();
        if method == "authentication/token/release" && status["status"]["code"] == "OK" {
            self.token = self.made.login(&mut self.stream).unwrap();
        }
    }

    /// A body that the method takes.
    fn good(&self, method: &str) -> Value {
        let (token, at) = (&self.token, self.calls);
        let serial_number = format!("77{at:010}");
        match method {
            PAIR => json!({
                "token": token,
                "smartcard_identifier": {"serial_number": card_serial((at % u64::from(CARDS)) as u32)},
                "stb_identifier": {"serial_number": stb_serial((at % u64::from(CARDS)) as u32)},
                "priority": "REGULAR",
                "process_immediately": false,
            }),
            "authentication/token" => json!({
                "username": "nobody", "password": "wrong", "organisation": "any", "unit": "x",
            }),
            "authentication/web_api_key/token" => json!({"unit": "x"}),
            "installed_items/create" => json!({
                "token": token,
                "serial_number": serial_number,
                "alternative_code": format!("A{serial_number}"),
                "product_identifier": {"code": "PHONE"},
                "state": "EFFECTIVE",
                "notes": "",
            }),
            "subscriptions/create" => json!({
                "token": token, "number": format!("S{at}"), "life_cycle_state": "ACTIVE",
            }),
            _ => json!({"token": token}),
        }
    }

    fn get(&mut self, chance: &mut Chance) {
        let method = *one_of(chance, &GETS);
        let mut query = format!(
            "token={}&provisioning_request_identifier=number=1&installed_item_identifier=serial_number={}\
             &subscription_identifier=number=S1&number_of_results=5&fields_set=id,number",
            self.token,
            card_serial(1)
        )
        .into_bytes();
        if chance.below(4) > 0 {
            spoil(chance, &mut query);
        }
        // What a request line cannot carry is left to the listeners' test.
        query.retain(u8::is_ascii_graphic);
        let query = String::from_utf8(query).unwrap();
        let request = format!("GET {BASE}{method}?{query} HTTP/1.1\r\nHost: box\r\n\r\n");
        let answer = self.exchange(request.as_bytes());
        self.look_at(method, &answer);
    }

    fn post(&mut self, method: &str, body: &[u8], headers: &str) -> Answer {
        let length = body.len();
        let mut request = format!(
            "POST {BASE}{method} HTTP/1.1\r\nHost: box\r\n{headers}Content-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.exchange(&request)
    }

    /// A server may close a connection that it had enough of; then the call is made again on another one.
    fn exchange(&mut self, request: &[u8]) -> Answer {
        for _ in 0..2 {
            match exchange(&mut self.stream, request) {
                Ok(answer) => return answer,
                Err(_) => self.stream = connect(self.address),
            }
        }
        let text = String::from_utf8_lossy(request);
        panic!("no answer to {text}\n{}", self.made.log());
    }

    fn look_at(&mut self, method: &str, answer: &Answer) {
        assert!(STATUSES.contains(&answer.status), "{method}: {answer:?}");
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        let code = body["status"]["code"].as_str();
        let code = code.unwrap_or_else(|| panic!("no envelope: {answer:?}"));
        if code != "OK" || method != PAIR {
            return;
        }
        let data = &body["data"];
        let number = data["number"].as_str().unwrap().parse().unwrap();
        let named = |name: &str| {
            let sets = data["parameters_set"].as_array().unwrap();
            let found = sets.iter().find_map(|set| set[name].as_str());
            found.map(str::to_owned)
        };
        let asked = Asked {
            card: named("smartcard_ca_id").unwrap(),
            stb: named("stb_ca_id"),
        };
        self.acknowledged.insert(number, asked);
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(ANSWERS_WITHIN)).unwrap();
    stream
}

/// The same members twice in one object.
fn twice(body: &Value) -> Vec<u8> {
    let text = body.to_string();
    let inside = text.trim_start_matches('{').trim_end_matches('}');
    format!("{{{inside},{inside}}}").into_bytes()
}
