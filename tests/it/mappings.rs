//! Every shipped mapping keeps pairbox and its CAS of one mind, whatever goes wrong between them, and its cases pass.
//!
//! The same hundred requests go through the real binary to the mapping's own simulator, with faults on. What went wrong follows
//! from the seed; when it did does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use pairbox::domain::event::Event;
use pairbox::domain::{Cardinality, Chance, Outcome, Purpose, RequestNumber};
use pairbox::simulate::{Faults, SimulateOptions};
use serde_json::{Value, json};

use crate::exchange::post;
use crate::headend::{Headend, Layout, Served, seed};
use crate::scene::{Cas, persona, settings, wait_until};
use crate::stop_in_order::{events, pending};

const ITEMS: u64 = 30;
/// Faults that every way of matching answers must bear.
const FAULTS: &str = "drop=4%,refuse=4%,late=5%,close=2%,duplicate=5%,split=5%,merge=5%";
/// An HTTP server gives no answer twice, and none together with the next.
const HTTP_FAULTS: &str = "drop=4%,refuse=4%,busy=4%,late=5%,close=2%,split=5%";
/// How long the CAS may take to do all that is asked.
const PATIENCE: Duration = Duration::from_mins(3);
/// Rounds until every refusal of a doubtful card has been tried again.
const ROUNDS_MAX: u32 = 20;

/// A mapping between pairbox and its CAS.
struct Pair {
    mapping: &'static str,
    seed: u64,
    limits: Cardinality,
    cas: Cas,
    made: Headend,
    /// Card and STB as the CAS writes them.
    on_the_wire: fn(&str, &str) -> (String, String),
}

/// What pairbox holds of a card.
struct Held {
    card: String,
    stb: Option<String>,
    may_be_with: Option<String>,
    doubt: Option<String>,
}

impl Pair {
    fn new(
        mapping: &'static str,
        faults: &str,
        cfg: &Value,
        on_the_wire: fn(&str, &str) -> (String, String),
    ) -> Self {
        let seed = seed();
        println!("PAIRBOX_TEST_SEED={seed}");
        let mut options = SimulateOptions::new(persona(mapping, cfg.clone()), "127.0.0.1:0");
        options.faults = faults.parse::<Faults>().unwrap();
        options.seed = seed;
        options.late_after = Duration::from_millis(300);
        let cas = Cas::run(options);
        let made = Headend::lay_out(&Layout::new(cas.address, 0), |_| {});
        let text = std::fs::read_to_string(made.path().join("pairbox.toml")).unwrap();
        let (before, _) = text.split_once("[provider.settings]").unwrap();
        let mut config = before
            .replace("\"smsgw\"", &format!("\"{mapping}\""))
            .replace("\"400ms\"", "\"200ms\"");
        config.push_str("[provider.settings]\n");
        let of_the_simulator = ["noisy", "session_uses"];
        let settings = cfg.as_object().unwrap().iter();
        for (name, value) in settings.filter(|(name, _)| !of_the_simulator.contains(&&***name)) {
            writeln!(config, "{name} = {value}").unwrap();
        }
        if mapping == "httpjson" {
            // Its frames name it, whatever the CAS makes of it.
            made.write("cas.password", "secret");
            let only_mine = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(made.path().join("cas.password"), only_mine).unwrap();
            config.push_str("[provider.secrets]\npassword = \"cas.password\"\n");
        }
        made.write("pairbox.toml", &config);
        made.write("all.csv", &items());
        made.run(&["item", "import", "all.csv"]);
        Self {
            mapping,
            seed,
            limits: Cardinality::ONE_TO_ONE,
            cas,
            made,
            on_the_wire,
        }
    }

    /// Where so many belong together.
    fn with(mut self, limits: Cardinality) -> Self {
        let text = std::fs::read_to_string(self.made.path().join("pairbox.toml")).unwrap();
        let Cardinality {
            stbs_per_card,
            cards_per_stb,
        } = limits;
        let keys = format!("stbs_per_card = {stbs_per_card}\ncards_per_stb = {cards_per_stb}\n");
        let text = text.replace("[provider.settings]", &format!("{keys}[provider.settings]"));
        self.made.write("pairbox.toml", &text);
        self.limits = limits;
        self
    }

    /// The hundred requests, as they would be fit if the CAS refused none; answers how many were accepted.
    fn ask_for_all(&self, served: &Served) -> u32 {
        let mut door = Door::open(self, served);
        let mut chance = Chance::new(self.seed);
        let mut paired: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        let mut accepted = 0;
        for _ in 0..requests() {
            let number = chance.below(ITEMS);
            let own = paired.entry(number).or_default();
            let is_full = self.limits.stbs_per_card > 1
                && own.len() == usize::from(self.limits.stbs_per_card);
            let unpairs = is_full || (!own.is_empty() && chance.below(100) < 40);
            if unpairs {
                own.clear();
                accepted += u32::from(door.pair(&card(number), None));
                continue;
            }
            let cards = |stb: u64| paired.values().filter(|stbs| stbs.contains(&stb)).count();
            let free: Vec<u64> = (0..ITEMS)
                .filter(|stb| cards(*stb) < usize::from(self.limits.cards_per_stb))
                .filter(|stb| !paired[&number].contains(stb))
                .collect();
            let Some(to) = free.get(chance.below(free.len() as u64) as usize) else {
                continue;
            };
            let own = paired.entry(number).or_default();
            if self.limits.stbs_per_card == 1 {
                own.clear();
            }
            own.insert(*to);
            accepted += u32::from(door.pair(&card(number), Some(&stb(*to))));
        }
        accepted
    }

    fn await_all(&self) {
        let until = Instant::now() + PATIENCE;
        while pending(&self.made) > 0 {
            let list = || {
                self.made
                    .run(&["request", "list", "--state", "pending", "--output", "json"])
            };
            assert!(
                Instant::now() < until,
                "{}: {}\n{}",
                self.mapping,
                list(),
                self.made.log()
            );
        }
    }

    fn held(&self) -> Vec<Held> {
        let list = self.made.run(&["pairing", "list", "--output", "json"]);
        let list: Value = serde_json::from_str(&list).unwrap();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let rows = list.as_array().unwrap().iter();
        rows.map(|row| Held {
            card: text(&row["card"]).unwrap(),
            stb: text(&row["stb"]),
            may_be_with: text(&row["may_be_with"]),
            doubt: text(&row["doubt"]),
        })
        .collect()
    }

    /// What the CAS must hold, and what of it is open: for a card in doubt anything that pairbox calls possible.
    fn agrees(&self, held: &[Held]) -> bool {
        let found = self.cas.pairings();
        let found: BTreeMap<String, String> = serde_json::from_value(found).unwrap();
        let mut found: BTreeMap<String, BTreeSet<String>> = found
            .into_iter()
            .map(|(card, stbs)| (card, stbs.split('+').map(str::to_owned).collect()))
            .collect();
        let mut cards: BTreeMap<&str, Vec<&Held>> = BTreeMap::new();
        for row in held {
            cards.entry(&row.card).or_default().push(row);
        }
        for (card, rows) in cards {
            let (mut sure, mut possible) = (BTreeSet::new(), BTreeSet::new());
            for row in rows {
                let Some(stb) = row.stb.as_deref().or(row.may_be_with.as_deref()) else {
                    continue;
                };
                let (_, stb) = (self.on_the_wire)(card, stb);
                if row.doubt.is_none() {
                    sure.insert(stb.clone());
                }
                possible.insert(stb);
            }
            let (wire, _) = (self.on_the_wire)(card, "0");
            let theirs = found.remove(&wire).unwrap_or_default();
            if !sure.is_subset(&theirs) || !theirs.is_subset(&possible) {
                return false;
            }
        }
        found.is_empty()
    }

    fn await_agreement(&self, held: &[Held]) {
        wait_until(
            || self.agrees(held),
            || {
                let list = self.made.run(&["pairing", "list"]);
                format!(
                    "{}, seed {}\n{list}\n{:#}",
                    self.mapping,
                    self.seed,
                    self.cas.pairings()
                )
            },
        );
    }

    /// All that is asked for comes to an end, pairbox and the CAS hold the same, and doubts can be cleared by asking again.
    fn holds(&self) {
        let served = self.made.serve();
        let accepted = self.ask_for_all(&served);
        let asked = requests();
        assert!(
            accepted >= asked * 7 / 10,
            "{accepted} of {asked} were accepted"
        );
        self.await_all();
        let mut held = self.held();
        self.await_agreement(&held);
        let mut rounds = 0;
        while held.iter().any(|row| row.doubt.is_some()) {
            rounds += 1;
            assert!(rounds <= ROUNDS_MAX, "{}: doubts stay", self.mapping);
            let mut door = Door::open(self, &served);
            let doubted = held.iter().filter(|row| row.doubt.is_some());
            let cards: BTreeSet<&str> = doubted.map(|row| row.card.as_str()).collect();
            for card in cards {
                assert!(door.pair(card, None), "{card} cannot be unpaired");
            }
            self.await_all();
            held = self.held();
            self.await_agreement(&held);
        }
        let figures = self.cas.view.figures();
        println!(
            "{}: {accepted} accepted, {} commands, {} faults, {} pairings, {rounds} rounds for doubts",
            self.mapping,
            figures.commands,
            figures.faults,
            held.len()
        );
        assert!(
            figures.faults > 0 && figures.script_errors == 0,
            "{figures:?}"
        );
        served.stop();
    }
}

/// The API, as a CRM uses it.
struct Door {
    stream: TcpStream,
    token: String,
}

impl Door {
    fn open(pair: &Pair, served: &Served) -> Self {
        let mut stream = TcpStream::connect(served.address).unwrap();
        let token = pair.made.login(&mut stream).unwrap();
        Self { stream, token }
    }

    /// Whether it was accepted.
    fn pair(&mut self, card: &str, stb: Option<&str>) -> bool {
        let mut body =
            json!({"token": self.token, "smartcard_identifier": {"serial_number": card}});
        if let Some(stb) = stb {
            body["stb_identifier"] = json!({"serial_number": stb});
        }
        let path = "/crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder";
        let answer = post(&mut self.stream, path, &body.to_string(), "").unwrap();
        answer["status"]["code"] == "OK"
    }
}

/// A thousand in the long tests.
fn requests() -> u32 {
    if std::env::var_os("PAIRBOX_TEST_LONG").is_some() {
        1_000
    } else {
        100
    }
}

/// Numbers that every mapping takes: the last ten digits of a card fit a u32, an STB has eight hex digits.
fn card(number: u64) -> String {
    format!("0010{number:06}00")
}

fn stb(number: u64) -> String {
    format!("{:08}", 1_000 + number)
}

fn items() -> String {
    let mut rows = String::from("serial_number,alternative_code,product,ca_id,state\n");
    for number in 0..ITEMS {
        let (card, stb) = (card(number), stb(number));
        writeln!(rows, "{card},A{card},SC-0,,EFFECTIVE").unwrap();
        writeln!(rows, "{stb},A{stb},STB-1,,EFFECTIVE").unwrap();
    }
    rows
}

/// After a command whose answer never came, another one goes out only if the CAS said that it does not hold the first.
fn assert_nothing_went_twice(events: &[Event]) {
    let mut purposes = BTreeMap::new();
    let mut unknown: BTreeMap<RequestNumber, u32> = BTreeMap::new();
    let mut asked = 0;
    for event in events {
        match event {
            Event::AttemptBegun(begun) => {
                purposes.insert((begun.request, begun.attempt), begun.purpose);
                if begun.purpose == Purpose::Command {
                    let open = unknown.get(&begun.request);
                    assert_eq!(open, None, "{} was sent twice", begun.request);
                }
            }
            Event::AttemptSettled(settled) => {
                match (
                    purposes[&(settled.request, settled.attempt)],
                    settled.outcome,
                ) {
                    (Purpose::Command, Outcome::Unknown) => {
                        unknown.insert(settled.request, settled.attempt);
                    }
                    (Purpose::Query, Outcome::Refused) => {
                        unknown.remove(&settled.request);
                    }
                    (Purpose::Query, Outcome::Ok) => asked += 1,
                    _ => {}
                }
            }
            _ => {}
        }
    }
    assert!(asked > 0, "no lost answer was asked for");
}

#[test]
fn smsgw_and_its_cas_hold_the_same_after_a_hundred_requests_with_faults() {
    let pair = Pair::new(
        "smsgw",
        &format!("{FAULTS},reorder=5%"),
        &settings(),
        |card, stb| (card[..10].to_owned(), format!("{stb:0>10}")),
    );
    pair.holds();
}

#[test]
fn bin6_and_its_cas_hold_the_same_after_a_hundred_requests_with_faults() {
    let pair = Pair::new(
        "bin6",
        &format!("{FAULTS},busy=2%"),
        &json!({"busy_s": 1}),
        |card, stb| (card[2..].to_owned(), format!("{stb:0>8}")),
    );
    pair.holds();
}

#[test]
fn bin6_and_its_cas_hold_the_same_sets_where_both_may_have_several() {
    let pair = Pair::new(
        "bin6",
        &format!("{FAULTS},busy=2%"),
        &json!({"busy_s": 1}),
        |card, stb| (card[2..].to_owned(), format!("{stb:0>8}")),
    );
    let limits = Cardinality {
        stbs_per_card: 3,
        cards_per_stb: 3,
    };
    pair.with(limits).holds();
}

#[test]
fn line_asks_before_it_sends_again_and_holds_what_its_cas_holds() {
    let faults = format!("{FAULTS},reorder=5%,busy=2%,hello=20%");
    let pair = Pair::new("line", &faults, &json!({"user": "north"}), |card, stb| {
        (card.to_owned(), stb.to_owned())
    });
    pair.holds();
    assert_nothing_went_twice(&events(&pair.made));
}

#[test]
fn stxetx_and_its_cas_hold_the_same_after_a_hundred_requests_with_faults() {
    // The next command for these is heard with a wrong checksum.
    let cfg = json!({"noisy": [card(0), card(1), card(2)]});
    let pair = Pair::new("stxetx", &format!("{FAULTS},busy=2%"), &cfg, |card, stb| {
        (card.to_owned(), format!("{stb:0>12}"))
    });
    pair.holds();
}

/// Each session is over after twenty commands.
#[test]
fn httpjson_and_its_cas_hold_the_same_after_a_hundred_requests_with_faults() {
    let cfg = json!({"operator": "north", "session_uses": 20});
    let pair = Pair::new("httpjson", HTTP_FAULTS, &cfg, |card, stb| {
        (card.to_owned(), stb.to_owned())
    });
    pair.holds();
}
