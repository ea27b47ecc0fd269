//! Those who ask: clients of the API that ask again, under the same key, after every call that they heard no answer to,
//! and an operator at the command line, who cannot.
//!
//! Every card belongs to one caller, so that its order is known.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pairbox::domain::Chance;
use serde_json::Value;

use crate::exchange::post;
use crate::headend::Headend;
use crate::scene::{card_serial, stb_serial};
use crate::verdict::Asked;

/// Even, so that each caller's cards belong to one CAS of two.
pub const CALLERS: u32 = 4;
/// An API that does not answer for so long is not up.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A call of a client.
#[derive(Clone, Debug)]
struct Call {
    key: String,
    asked: Asked,
}

/// All callers of one headend. The last one is the operator.
pub struct Callers {
    clients: Vec<Client>,
    operator: Operator,
}

impl Callers {
    pub fn new(seed: u64, cards: u32) -> Self {
        Self {
            clients: (0..CALLERS - 1)
                .map(|at| Client::new(Hand::new(at, seed, cards)))
                .collect(),
            operator: Operator {
                hand: Hand::new(CALLERS - 1, seed, cards),
                acknowledged: BTreeMap::new(),
                unanswered: 0,
            },
        }
    }

    /// Everybody calls until `stop` is set, the server is gone, or so many calls each are through; meanwhile `meanwhile`
    /// happens.
    pub fn call_while<T>(
        &mut self,
        made: &Headend,
        address: SocketAddr,
        calls_max: u32,
        meanwhile: impl FnOnce(&AtomicBool) -> T,
    ) -> T {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for client in &mut self.clients {
                scope.spawn(|| client.work(made, address, calls_max, &stop));
            }
            let operator = &mut self.operator;
            scope.spawn(|| operator.work(made, calls_max, &stop));
            meanwhile(&stop)
        })
    }

    /// Asks again what nobody answered; afterwards every call of a client has an answer.
    pub fn finish(&mut self, made: &Headend, address: SocketAddr) {
        let stop = AtomicBool::new(true);
        for client in &mut self.clients {
            client.work(made, address, 0, &stop);
            assert!(client.unanswered.is_none(), "{:?}", client.unanswered);
        }
    }

    /// By request number. No number was given out for two calls.
    pub fn acknowledged(&self) -> BTreeMap<u64, Asked> {
        let mut all = self.operator.acknowledged.clone();
        for client in &self.clients {
            for (number, asked) in &client.acknowledged {
                let twice = all.insert(*number, asked.clone());
                assert!(twice.is_none(), "{number} was given out twice: {twice:?}");
            }
        }
        all
    }

    /// Calls that may have made a request which nobody knows of.
    pub fn unanswered(&self) -> usize {
        let clients = self.clients.iter();
        self.operator.unanswered + clients.filter(|client| client.unanswered.is_some()).count()
    }

    pub fn asked_again(&self) -> u32 {
        self.clients.iter().map(|client| client.asked_again).sum()
    }

    /// The longest that a call has taken since the last look.
    pub fn take_slowest(&mut self) -> Duration {
        let slowest = self
            .clients
            .iter_mut()
            .map(|client| std::mem::take(&mut client.slowest));
        slowest.max().unwrap_or_default()
    }

    /// Calls that were refused, politely.
    pub fn refused(&self) -> u32 {
        self.clients.iter().map(|client| client.refused).sum()
    }
}

/// Deals out calls for a caller's own cards.
struct Hand {
    at: u32,
    cards: u32,
    chance: Chance,
}

impl Hand {
    fn new(at: u32, seed: u64, cards: u32) -> Self {
        let chance = Chance::branch(seed, u64::from(at));
        Self { at, cards, chance }
    }

    fn deal(&mut self) -> Asked {
        let mine = u64::from(self.cards / CALLERS);
        let card = u32::try_from(self.chance.below(mine)).unwrap() * CALLERS + self.at;
        // One of the two STBs that belong to the card, so that the last command decides.
        let stb = match self.chance.below(4) {
            0 => None,
            1 => Some(card + self.cards),
            _ => Some(card),
        };
        Asked {
            card: card_serial(card),
            stb: stb.map(stb_serial),
        }
    }
}

struct Client {
    hand: Hand,
    calls: u32,
    unanswered: Option<Call>,
    asked_again: u32,
    refused: u32,
    slowest: Duration,
    acknowledged: BTreeMap<u64, Asked>,
}

impl Client {
    fn new(hand: Hand) -> Self {
        Self {
            hand,
            calls: 0,
            unanswered: None,
            asked_again: 0,
            refused: 0,
            slowest: Duration::ZERO,
            acknowledged: BTreeMap::new(),
        }
    }

    fn next_call(&mut self) -> Call {
        self.calls += 1;
        Call {
            key: format!("client-{}-call-{}", self.hand.at, self.calls),
            asked: self.hand.deal(),
        }
    }

    /// What was not answered goes first, whatever `stop` says.
    fn work(&mut self, made: &Headend, address: SocketAddr, calls_max: u32, stop: &AtomicBool) {
        let Ok(mut stream) = TcpStream::connect(address) else {
            return;
        };
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(ANSWER_WITHIN)).unwrap();
        let Ok(token) = made.login(&mut stream) else {
            return;
        };
        self.asked_again += u32::from(self.unanswered.is_some());
        let mut left = calls_max;
        while self.unanswered.is_some() || (left > 0 && !stop.load(Ordering::Relaxed)) {
            let call = self.unanswered.take().unwrap_or_else(|| {
                left -= 1;
                self.next_call()
            });
            let asked = Instant::now();
            let Ok(answer) = post_pair(&mut stream, &token, &call) else {
                self.unanswered = Some(call);
                return;
            };
            self.slowest = self.slowest.max(asked.elapsed());
            if answer["status"]["code"] == "OK" {
                let number = answer["data"]["number"].as_str().unwrap().parse().unwrap();
                let twice = self.acknowledged.insert(number, call.asked);
                assert!(twice.is_none(), "{number} was given out twice: {twice:?}");
            } else if answer["status"]["code"] == UNKNOWN_END {
                // It says so itself: asked again under its key.
                self.unanswered = Some(call);
                return;
            } else {
                self.refused += 1;
            }
        }
    }
}

/// The one error after which a call may have been recorded.
const UNKNOWN_END: &str = "COM.CRM.EXCEPTION.WEBAPI.INTERNALERROREXCEPTION";

fn post_pair(stream: &mut TcpStream, token: &str, call: &Call) -> std::io::Result<Value> {
    let Asked { card, stb } = &call.asked;
    let mut body =
        format!(r#"{{"token":"{token}","smartcard_identifier":{{"serial_number":"{card}"}}"#);
    if let Some(stb) = stb {
        write!(body, r#","stb_identifier":{{"serial_number":"{stb}"}}"#).unwrap();
    }
    body += "}";
    let path = "/crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder";
    let key = format!("Idempotency-Key: {}\r\n", call.key);
    post(stream, path, &body, &key)
}

struct Operator {
    hand: Hand,
    acknowledged: BTreeMap<u64, Asked>,
    /// Calls that ended without a clear answer.
    unanswered: usize,
}

impl Operator {
    /// Without a server a call works in the data directory itself; then the operator leaves it alone.
    fn work(&mut self, made: &Headend, calls_max: u32, stop: &AtomicBool) {
        for _ in 0..calls_max {
            if stop.load(Ordering::Relaxed) || !made.data().join("control.sock").exists() {
                return;
            }
            let asked = self.hand.deal();
            let mut call = made.command(&["unpair", &asked.card]);
            if let Some(stb) = &asked.stb {
                call = made.command(&["pair", &asked.card, stb]);
            }
            let output = call.output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let number = said
                .strip_prefix("request ")
                .and_then(|rest| rest.split_once(" is queued"))
                .and_then(|(number, _)| number.parse().ok());
            match (output.status.code(), number) {
                (Some(0), Some(number)) => {
                    self.acknowledged.insert(number, asked);
                }
                // Refused before anything was recorded.
                (Some(1 | 3 | 5), None) => {}
                // The server went away in between: whether it did what was asked is unknown.
                (Some(4 | 74), None) => self.unanswered += 1,
                other => panic!(
                    "{other:?}: {said}{}",
                    String::from_utf8_lossy(&output.stderr)
                ),
            }
        }
    }
}
