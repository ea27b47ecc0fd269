//! A mapping's golden cases, run without I/O: `pairbox mapping test` and the reload of scripts.
//!
//! `file.rs` reads `cases/*.json`, `run.rs` runs one case, `conformance.rs` tries what every mapping must bear. Cutting frames
//! out of a byte stream is the transport's: `CaseReport::frames` has the payloads to split and merge there.

mod conformance;
mod file;
mod run;

use std::sync::Arc;

use super::contract::{Ability, Action};
use super::error::ScriptError;
use super::mapping::Mapping;
use file::Case;
pub use run::words;

/// How the cases of one mapping went.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct CaseReport {
    pub passed: usize,
    pub failures: Vec<CaseFailure>,
    /// Kinds of cases that every mapping needs and this one lacks, e.g. `swap`.
    pub missing: Vec<&'static str>,
    /// Every frame of the cases, in their order.
    #[serde(skip)]
    pub seen: Vec<Seen>,
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
        report.count(file, &case.name, result);
    }
    let plain: Vec<&Case> = cases.iter().map(|(_, case)| case).collect();
    for (name, result) in conformance::run(mapping, &plain) {
        report.count("conformance", name, result);
    }
    report.missing = missing(mapping, &plain);
    Ok(report)
}

impl CaseReport {
    /// Counts one thing that was tried; the error is how it went wrong.
    pub fn count(&mut self, file: &str, case: &str, result: Result<(), String>) {
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

fn missing(mapping: &Mapping, cases: &[&Case]) -> Vec<&'static str> {
    let description = mapping.description();
    let golden = |wanted: Action, is_swap: bool| {
        cases.iter().any(|case| {
            case.frames.is_some()
                && case.request.as_ref().is_some_and(|request| {
                    request.action == wanted && (!is_swap || request.previous_stb.is_some())
                })
        })
    };
    let outcome = |wanted: &str| {
        cases.iter().any(|case| {
            case.outcome
                .as_ref()
                .is_some_and(|outcome| outcome.is(wanted))
        })
    };
    let needs_keepalive = !description.session.keepalive_every.is_zero();
    [
        (
            "pair",
            !description.caps.pair || golden(Action::Pair, false),
        ),
        (
            "unpair",
            !description.caps.unpair || golden(Action::Unpair, false),
        ),
        ("swap", !description.caps.pair || golden(Action::Pair, true)),
        (
            "add_products",
            !description.caps.products || golden(Action::AddProducts, false),
        ),
        (
            "cancel_products",
            !description.caps.products || golden(Action::CancelProducts, false),
        ),
        (
            "reset_pin",
            description.caps.pin == Ability::No || golden(Action::ResetPin, false),
        ),
        (
            "keepalive",
            !needs_keepalive || cases.iter().any(|case| case.keepalive.is_some()),
        ),
        (
            "query",
            !description.caps.query || cases.iter().any(|case| case.query.is_some()),
        ),
        ("acknowledgement", outcome("ok")),
        ("refusal", outcome("refused")),
        ("garbage", outcome("ignore")),
    ]
    .into_iter()
    .filter_map(|(kind, is_there)| (!is_there).then_some(kind))
    .collect()
}
