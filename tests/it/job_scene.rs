//! A headend for bulk jobs: the real binary, a simulator, inputs made of the cards and STBs that are there.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use super::headend::{Headend, Layout, Served};
use super::scene::{Cas, card_serial, stb_serial};

pub struct Bulk {
    pub made: Headend,
    pub cas: Cas,
}

/// What a command line said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}{}", self.out, self.err))
    }
}

impl Bulk {
    pub fn new(faults: &str, cards: u32) -> Self {
        Self::with(faults, cards, "")
    }

    /// With lines of the configuration.
    pub fn with(faults: &str, cards: u32, more: &'static str) -> Self {
        let cas = Cas::start(faults, 1);
        let layout = Layout {
            more,
            ..Layout::new(cas.address, cards)
        };
        let made = Headend::lay_out(&layout, |_| {});
        Self { made, cas }
    }

    pub fn serve(&self) -> Served {
        self.made.serve()
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        Said::of(self.made.command(arguments).output().unwrap())
    }

    /// Runs a job to its end and answers its report.
    pub fn job(&self, script: &str, input: &str, more: &[&str]) -> Value {
        let mut arguments = vec!["run", script, "--input", input, "--output", "json"];
        arguments.extend(more);
        self.run(&arguments).json()
    }

    pub fn report(&self, job: u64) -> Value {
        let job = job.to_string();
        self.run(&["job", "report", &job, "--output", "json"])
            .json()
    }

    /// An input that pairs cards `from..to` with the STBs of the same numbers.
    pub fn pairs(&self, name: &str, from: u32, to: u32) -> PathBuf {
        let mut text = String::from("smartcard,stb\n");
        for at in from..to {
            writeln!(text, "{},{}", card_serial(at), stb_serial(at)).unwrap();
        }
        self.write(name, &text)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        self.made.write(name, text);
        self.made.path().join(name)
    }

    /// The jobs that there are.
    pub fn jobs(&self) -> Value {
        self.run(&["job", "list", "--output", "json"]).json()
    }

    /// How many requests there are of all cards.
    pub fn requests(&self) -> usize {
        let list = self.run(&["request", "list", "--all", "--output", "json"]);
        list.json().as_array().unwrap().len()
    }
}

/// The counts of a report, as the tests compare them: created, unchanged, skipped, failed.
pub fn ends(report: &Value) -> [u64; 4] {
    ["created", "unchanged", "skipped", "failed"].map(|key| report[key].as_u64().unwrap())
}
