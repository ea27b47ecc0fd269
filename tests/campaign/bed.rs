//! A headend with its callers and with whatever stands between it and its CAS: what most faults begin from.
//!
//! A round: serve, call, let the fault happen, come back, judge. `settle` ends a fault where the CAS can be looked into.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::callers::Callers;
use crate::headend::{Ended, Headend, Layout, rows};
use crate::scene::Cas;
use crate::tap::Tap;
use crate::verdict::{Judged, Left, judge};

/// Cards of a headend.
pub const CARDS: u32 = 1_000;
/// What is unfinished is finished by then.
pub const SETTLES_WITHIN: Duration = Duration::from_mins(1);

/// The simulator shows a change by then.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);

pub struct Bed {
    pub made: Headend,
    pub callers: Callers,
    tap: Tap,
    /// Acknowledged calls that an earlier verdict has counted.
    counted: u64,
}

impl Bed {
    pub fn new(cas: &Cas, seed: u64) -> Self {
        Self::lay_out(cas, seed, |_| {}, |_| {})
    }

    /// With another layout, and a data directory that is prepared.
    pub fn lay_out(
        cas: &Cas,
        seed: u64,
        change: impl FnOnce(&mut Layout),
        prepare: impl FnOnce(&Path),
    ) -> Self {
        let tap = Tap::before(1, cas.address);
        let mut layout = Layout::new(tap.address, CARDS);
        change(&mut layout);
        Self {
            made: Headend::lay_out(&layout, prepare),
            callers: Callers::new(seed, CARDS),
            tap,
            counted: 0,
        }
    }

    /// Everybody calls, so many calls each at most, while something happens.
    pub fn call_while<T>(
        &mut self,
        address: SocketAddr,
        calls_max: u32,
        meanwhile: impl FnOnce(&AtomicBool) -> T,
    ) -> T {
        self.callers
            .call_while(&self.made, address, calls_max, meanwhile)
    }

    /// Starts the server again, lets every call come to its answer, and stops it in order. Answers how long it took from
    /// the start to the last of those answers.
    pub fn come_back(&mut self) -> Duration {
        let started = Instant::now();
        let served = self.made.serve();
        self.callers.finish(&self.made, served.address);
        let recovery = started.elapsed();
        served.stop();
        recovery
    }

    /// The verdict on a box that is down, counting what was acknowledged since the one before; `ended` is how the box
    /// ended by itself before it came back.
    pub fn judge(&mut self, ended: Option<&Ended>) -> Judged {
        let mut judged = judge(&Left {
            data: &self.made.data(),
            acknowledged: &self.callers.acknowledged(),
            unanswered: Some(self.callers.unanswered()),
            wires: &[self.tap.seen()],
            ended,
        });
        let all = judged.verdict.acknowledged;
        judged.verdict.acknowledged -= std::mem::replace(&mut self.counted, all);
        judged
    }

    /// Lets everything end, and looks whether the CAS holds what the ledger says. Answers how long it took.
    pub fn settle(&mut self, cas: &Cas) -> Duration {
        let started = Instant::now();
        let served = self.made.serve();
        self.callers.finish(&self.made, served.address);
        await_pending(&self.made, "", SETTLES_WITHIN);
        let took = started.elapsed();
        served.stop();
        self.made.run(&["ledger", "verify"]);
        check_cas(&self.judge(None), cas, 1);
        took
    }
}

/// Waits until no request of the provider is unfinished; no name is any provider. Patience is for those that get no fewer.
pub fn await_pending(made: &Headend, provider: &str, patience: Duration) {
    let mut until = Instant::now() + patience;
    let mut fewest = usize::MAX;
    loop {
        let list = made.run(&[
            "request", "list", "--state", "PENDING", "--all", "--output", "json",
        ]);
        let pending: Vec<Value> = serde_json::from_str(&list).unwrap();
        let is_its = |row: &&Value| provider.is_empty() || row["provider"] == provider;
        let Some(one) = pending.iter().find(is_its) else {
            return;
        };
        if pending.len() < fewest {
            fewest = pending.len();
            until = Instant::now() + patience;
        }
        assert!(
            Instant::now() < until,
            "{} are unfinished and get no fewer for {patience:?}, one is {one}",
            pending.len()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The CAS of that provider holds for every card what was confirmed last, or, of a card in doubt, what was sent since; and
/// nothing else. The simulator shows what it holds a little later.
pub fn check_cas(judged: &Judged, cas: &Cas, provider: u16) {
    let until = Instant::now() + SHOWN_WITHIN;
    while let Some(difference) = difference(judged, cas, provider) {
        assert!(Instant::now() < until, "{difference}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What the CAS holds otherwise than it should.
fn difference(judged: &Judged, cas: &Cas, provider: u16) -> Option<String> {
    let Judged { record, dump, .. } = judged;
    let pairings = rows(dump).remove("pairing").unwrap_or_default();
    let mut theirs: BTreeMap<String, String> = serde_json::from_value(cas.pairings()).unwrap();
    let all = record.accepted.values();
    let its = all.filter(|known| known.provider == provider);
    let cards: BTreeSet<u64> = its.map(|known| known.card).collect();
    let mut certain = 0;
    for card in cards {
        let held = theirs.remove(&record.serial(card)[..10]);
        let on_wire = |stb: &Option<u64>| stb.map(|stb| format!("{:0>10}", record.serial(stb)));
        let row = pairings.get(&card);
        let links = row.and_then(|row| row["links"].as_array());
        let links = links.map_or(&[][..], Vec::as_slice);
        if links.iter().any(|link| link["standing"] != "confirmed") {
            let possible: Vec<_> = record.possible[&card].iter().map(on_wire).collect();
            if !possible.contains(&held) {
                return Some(format!("card {card}: {held:?} of {possible:?}"));
            }
            continue;
        }
        let confirmed = record.confirmed.get(&card).copied().flatten();
        let row: Vec<u64> = links
            .iter()
            .filter_map(|link| link["stb"].as_u64())
            .collect();
        assert_eq!(
            row,
            Vec::from_iter(confirmed),
            "card {card} in the state and in the ledger"
        );
        if held != on_wire(&confirmed) {
            return Some(format!("card {card}: {held:?}, confirmed is {confirmed:?}"));
        }
        certain += 1;
    }
    assert!(certain > 0, "no card is beyond doubt");
    (!theirs.is_empty()).then(|| format!("never sent from here: {theirs:?}"))
}
