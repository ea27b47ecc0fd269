//! The contract of a job script: `options()`, `row(row, job)`, `summary(job)`; or, for an administrator's, `main(args)`.
//!
//! A row's function says what it wants done, by calls that are recorded and give nothing back; the engine does it. Look-ups
//! see what is committed.

mod acts;
mod args;
mod host;
mod options;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rhai::{Dynamic, Map};
use serde_json::Value;

use super::check::unknown_calls;
use super::definitions::Function;
use super::free;
pub(crate) use acts::named;
pub use acts::{ActOptions, Named, NamedBy, PairAct, RowAct, RowActs};
pub(crate) use host::{FUNCTIONS, register, thrown};
pub use host::{Finder, Lookup};
pub use options::{JobArg, JobOptions};

use super::budget::{Budget, Run};
use super::engine::Profile;
use super::error::ScriptError;
use super::program::{Hook, Program};
use super::value::{from_json, show, text_of};
use host::RowContext;

const OPTIONS: Hook = ("options", 0);
const ROW: Hook = ("row", 2);
const SUMMARY: Hook = ("summary", 1);
pub(crate) const MAIN: Hook = ("main", 1);
const HOOKS: &[Hook] = &[OPTIONS, ROW, SUMMARY, MAIN];

/// Longest summary, in characters.
const SUMMARY_CHARACTERS_MAX: usize = 2_000;

/// Lines that all rows of a job may print; they go to the log of the server.
const JOB_PRINTS_MAX: u32 = 1_000;

/// A compiled script of either kind.
pub struct JobScript {
    pub(crate) program: Program,
    /// Lines that its rows may still print.
    prints_left: AtomicU32,
}

/// What a row's function is told beside the row.
pub struct JobFacts<'a> {
    pub number: u64,
    /// As [`JobScript::args`] made them.
    pub args: &'a Value,
    /// The line of the vendor's file.
    pub line: u64,
    pub is_dry_run: bool,
}

impl JobScript {
    /// Compiles a bulk job; `name` is what errors call it.
    pub fn compile(name: &str, text: String) -> Result<Self, ScriptError> {
        let program = Program::compile(name, text, Profile::Job, HOOKS)?;
        program.require(ROW)?;
        Ok(Self::of(program))
    }

    fn of(program: Program) -> Self {
        Self {
            program,
            prints_left: AtomicU32::new(JOB_PRINTS_MAX),
        }
    }

    /// Compiles an administrator's script.
    pub fn compile_free(name: &str, text: String) -> Result<Self, ScriptError> {
        let program = Program::compile(name, text, Profile::Free, HOOKS)?;
        program.require(MAIN)?;
        Ok(Self::of(program))
    }

    /// Whether a script has `main(args)`; one that has `row` too carries out what `main` plans.
    pub fn has_main(name: &str, text: &str) -> Result<bool, ScriptError> {
        let program = Program::compile(name, text.to_owned(), Profile::Free, HOOKS)?;
        Ok(program.has(MAIN))
    }

    pub fn name(&self) -> &str {
        self.program.script()
    }

    /// Calls of functions that nobody knows; rhai finds them only when the line is reached.
    pub fn warnings(&self) -> Vec<String> {
        let known = FUNCTIONS.iter().map(Function::name);
        let known: Vec<&str> = known.chain(free::names()).collect();
        unknown_calls(&self.program, &known)
            .into_iter()
            .map(|call| call.words())
            .collect()
    }

    /// What the script says of itself; none if it says nothing.
    pub fn own_options(&self) -> Result<Option<JobOptions>, ScriptError> {
        if !self.program.has(OPTIONS) {
            return Ok(None);
        }
        self.options().map(Some)
    }

    /// What the script says of itself; the defaults where it says nothing.
    pub fn options(&self) -> Result<JobOptions, ScriptError> {
        if !self.program.has(OPTIONS) {
            return Ok(JobOptions::default());
        }
        let value = self
            .program
            .call_within(Budget::SMALL, OPTIONS, Vec::new())?;
        options::read(value).map_err(|wrong| self.program.shape(OPTIONS.0, wrong))
    }

    /// The arguments as the script gets them: its defaults, with the given ones in their types.
    pub fn args(
        &self,
        options: &JobOptions,
        given: &[(String, String)],
    ) -> Result<Value, ScriptError> {
        args::read(&options.args, given).map_err(|wrong| self.program.shape(OPTIONS.0, wrong))
    }

    /// What a row wants done.
    pub fn row(
        &self,
        cells: &[(&str, &str)],
        facts: &JobFacts<'_>,
        finder: &Arc<dyn Finder>,
    ) -> Result<RowActs, ScriptError> {
        let row: Map = cells
            .iter()
            .map(|(column, cell)| ((*column).into(), (*cell).into()))
            .collect();
        let mut job = Map::new();
        let number = i64::try_from(facts.number).unwrap_or(i64::MAX);
        let line = i64::try_from(facts.line).unwrap_or(i64::MAX);
        job.insert("number".into(), number.into());
        job.insert("line".into(), line.into());
        job.insert("dry_run".into(), facts.is_dry_run.into());
        job.insert("args".into(), from_json(facts.args));
        let context = RowContext::begin(finder.clone());
        let prints_left = self.prints_left.load(Ordering::Relaxed);
        let budget = Budget::default();
        let budget = Budget {
            prints_max: budget.prints_max.min(prints_left),
            ..budget
        };
        let arguments = vec![Dynamic::from_map(row), Dynamic::from_map(job)];
        let called = self.program.call_within(budget, ROW, arguments);
        let printed = Run::prints().min(budget.prints_max);
        self.prints_left
            .store(prints_left - printed, Ordering::Relaxed);
        // `skip` and `fail` end the call like an error that nothing catches.
        let acts = RowContext::end();
        drop(context);
        match (acts, called) {
            (RowActs::Acts(_), Err(error)) => Err(with_columns(error, cells)),
            (acts, _) => Ok(acts),
        }
    }

    /// What the script says of the whole; `job` has its number, arguments and counts.
    pub fn summary(&self, job: &Value) -> Result<Option<String>, ScriptError> {
        if !self.program.has(SUMMARY) {
            return Ok(None);
        }
        let arguments = vec![from_json(job)];
        let value = self
            .program
            .call_within(Budget::SMALL, SUMMARY, arguments)?;
        if value.is_unit() {
            return Ok(None);
        }
        let text = text_of(&value).ok_or_else(|| {
            let found = format!("expected a text, found {}", show(&value));
            self.program
                .shape(SUMMARY.0, super::value::Wrong::new(found))
        })?;
        Ok(Some(text.chars().take(SUMMARY_CHARACTERS_MAX).collect()))
    }
}

/// A property that is not there was mostly meant to be a column.
fn with_columns(mut error: ScriptError, cells: &[(&str, &str)]) -> ScriptError {
    if let ScriptError::Run { message, .. } = &mut error
        && message.starts_with("Property not found")
    {
        let columns: Vec<&str> = cells.iter().map(|(column, _)| *column).collect();
        *message = format!("{message}; the row has {}", columns.join(", "));
    }
    error
}
