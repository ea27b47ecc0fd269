//! The table of the campaign: one row a fault, in the order of `FAULTS`, printed when a fault is through.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::verdict::Verdict;

/// Every fault of the campaign.
pub const FAULTS: [&str; 13] = [
    "SIGKILL under load",
    "SIGKILL while it starts, the state gone, cut, noisy or of another boot",
    "disk full, refused by the reserve",
    "disk full, ENOSPC",
    "failing writes, syncs and renames of the ledger",
    "calls that fail with EIO or ENOSPC, by strace",
    "power cuts, the state as it was, gone, old or torn",
    "reloads under load",
    "clock jumps of up to 20 years, both ways",
    "a CAS that vanishes, hangs, floods, lies, sends garbage, answers late or again",
    "random and spoilt frames to every decoder",
    "random and spoilt bodies to every method of the API",
    "random bytes to the API's port and the control socket",
];

const HEAD: &str = "| fault | rounds | acknowledged | lost | doubled | recovery, median | recovery, max |\n\
    |---|---|---|---|---|---|---|\n";

/// The rows that are there so far, by their place in `FAULTS`.
static ROWS: Mutex<BTreeMap<usize, String>> = Mutex::new(BTreeMap::new());

/// What the rounds of one fault came to.
#[derive(Default)]
pub struct Row {
    rounds: u64,
    acknowledged: u64,
    lost: u64,
    doubled: u64,
    recoveries: Vec<Duration>,
}

impl Row {
    /// A round, and how long the box was away or behind after each of its faults, where that can be said.
    pub fn add(&mut self, verdict: &Verdict, recovery: impl IntoIterator<Item = Duration>) {
        self.rounds += 1;
        self.acknowledged += verdict.acknowledged;
        self.lost += verdict.lost;
        self.doubled += verdict.doubled;
        self.recoveries.extend(recovery);
    }

    /// Says how many rounds there were, where one verdict is on many.
    pub fn set_rounds(&mut self, rounds: u64) {
        self.rounds = rounds;
    }

    /// Prints the row, and writes the table anew where one is wanted.
    pub fn tell(mut self, fault: &str) {
        let place = FAULTS.iter().position(|known| *known == fault);
        let place = place.unwrap_or_else(|| panic!("`{fault}` is not in the table"));
        let line = self.line(fault);
        print!("{line}");
        let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
        rows.insert(place, line);
        if let Some(path) = std::env::var_os("PAIRBOX_TEST_TABLE") {
            let lines: String = rows.values().map(String::as_str).collect();
            std::fs::write(path, format!("{HEAD}{lines}")).unwrap();
        }
    }

    fn line(&mut self, fault: &str) -> String {
        self.recoveries.sort_unstable();
        let mut line = format!("| {fault} | {} |", self.rounds);
        if self.acknowledged == 0 {
            line += " | | |";
        } else {
            let Self {
                acknowledged,
                lost,
                doubled,
                ..
            } = self;
            write!(line, " {acknowledged} | {lost} | {doubled} |").unwrap();
        }
        let median = self.recoveries.get(self.recoveries.len() / 2);
        for span in [median, self.recoveries.last()] {
            match span {
                Some(span) => write!(line, " {} |", shown(*span)).unwrap(),
                None => line += " |",
            }
        }
        line + "\n"
    }
}

fn shown(span: Duration) -> String {
    if span < Duration::from_secs(1) {
        format!("{} ms", span.as_millis())
    } else {
        format!("{:.1} s", span.as_secs_f64())
    }
}
