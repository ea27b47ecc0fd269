//! A mapping's golden cases, run without I/O: `pairbox mapping test` and the reload of scripts.
//!
//! `file.rs` reads `cases/*.json`, `run.rs` runs one case, `kinds.rs` says which are missing, `hardships.rs` tries what every
//! mapping must bear. What needs the transport or dispatch is tried in the room `conformance`, with the frames of `CaseReport`.

mod file;
mod hardships;
mod kinds;
mod run;
mod wording;

use std::sync::Arc;

use super::contract::{Decoded, EncodeContext, MappingRequest};
use super::error::ScriptError;
use super::mapping::Mapping;
use file::Case;
pub use hardships::{CUT_FRAME, GARBAGE, SAME_TWICE, WRAP};
pub use kinds::Kind;
pub use run::words;

/// Stands for the file of what every mapping must bear without a case.
const HARDSHIPS: &str = "conformance";

/// How the cases of one mapping went.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct CaseReport {
    /// Cases and hardships.
    pub passed: usize,
    /// Cases alone, whatever came of them.
    pub cases: usize,
    pub failures: Vec<CaseFailure>,
    /// Kinds of cases, and which of them this mapping needs and has.
    #[serde(skip)]
    pub kinds: Vec<Kind>,
    /// Every frame of the cases, in their order.
    #[serde(skip)]
    pub seen: Vec<Seen>,
    /// The requests of the cases that came out as written, to be sent again.
    #[serde(skip)]
    pub commands: Vec<GoldenCommand>,
    /// The answers of the cases that came out as written.
    #[serde(skip)]
    pub replies: Vec<GoldenReply>,
}

/// A request with golden frames.
#[derive(Clone, Debug)]
pub struct GoldenCommand {
    pub case: String,
    pub cfg: serde_json::Value,
    pub context: EncodeContext,
    pub request: MappingRequest,
}

/// A frame of the CAS whose meaning is written down.
#[derive(Clone, Debug)]
pub struct GoldenReply {
    pub case: String,
    pub cfg: serde_json::Value,
    pub frame: Vec<u8>,
    pub decoded: Decoded,
}

/// A frame of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub case: String,
    /// Sent to the CAS, or heard from it.
    pub is_sent: bool,
    pub frame: Vec<u8>,
    /// Its key, or what it means.
    pub meaning: String,
}

impl CaseReport {
    /// Whether the mapping may be used: every case passed. Missing kinds are a matter of review, not of safety.
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }

    /// Kinds of cases that the mapping needs and lacks, e.g. `swap`.
    pub fn missing(&self) -> Vec<&'static str> {
        let missing = self.kinds.iter().filter(|kind| kind.is_missing());
        missing.map(|kind| kind.name).collect()
    }

    /// The cases that came out otherwise, without the hardships.
    pub fn failed_cases(&self) -> impl Iterator<Item = &CaseFailure> {
        self.failures
            .iter()
            .filter(|failure| failure.file != HARDSHIPS)
    }

    /// How a hardship failed, if it did.
    pub fn hardship(&self, name: &str) -> Option<&str> {
        let is_it = |failure: &&CaseFailure| failure.file == HARDSHIPS && failure.case == name;
        let failure = self.failures.iter().find(is_it)?;
        Some(&failure.message)
    }
}

/// A case that did not come out as written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CaseFailure {
    pub file: String,
    pub case: String,
    pub message: String,
}

/// Runs all cases of the mapping and the conformance checks. Fails only if the case files cannot be read.
pub fn run_cases(mapping: &Arc<Mapping>) -> Result<CaseReport, ScriptError> {
    let mut report = CaseReport::default();
    let mut cases = Vec::new();
    for (file, text) in mapping.origin().cases()? {
        match file::read(&text) {
            Ok(read) => cases.extend(read.into_iter().map(|case| (file.clone(), case))),
            Err(message) => report.failures.push(CaseFailure {
                file,
                case: String::new(),
                message,
            }),
        }
    }
    for (file, case) in &cases {
        let result = run::run(mapping, case, &mut report.seen);
        if result.is_ok() {
            report.keep(case);
        }
        report.count(file, &case.name, result);
    }
    let plain: Vec<&Case> = cases.iter().map(|(_, case)| case).collect();
    report.cases = report.passed + report.failures.len();
    for (name, result) in hardships::run(mapping, &plain) {
        report.count(HARDSHIPS, name, result);
    }
    report.kinds = kinds::kinds(mapping, &plain);
    Ok(report)
}

impl CaseReport {
    /// Keeps what a case that passed says of commands and answers.
    fn keep(&mut self, case: &Case) {
        if let (Some(request), Some(_)) = (&case.request, &case.frames) {
            self.commands.push(GoldenCommand {
                case: case.name.clone(),
                cfg: case.cfg.clone(),
                context: case.ctx.at(0),
                request: request.clone(),
            });
        }
        let frame = case.frame.as_ref().and_then(|frame| frame.get().ok());
        let decoded = case.outcome.as_ref().and_then(|it| it.decoded().ok());
        if let (Some(frame), Some(decoded)) = (frame, decoded) {
            self.replies.push(GoldenReply {
                case: case.name.clone(),
                cfg: case.cfg.clone(),
                frame,
                decoded,
            });
        }
    }

    /// Counts one thing that was tried; the error is how it went wrong.
    fn count(&mut self, file: &str, case: &str, result: Result<(), String>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(message) => self.failures.push(CaseFailure {
                file: file.to_owned(),
                case: case.to_owned(),
                message,
            }),
        }
    }
}
