//! Free scripts, `main(args)`: an administrator's own, with every verb of the command line as a function.
//!
//! They run in the process that was called, as its client: one call of a verb is one commit. Nothing bounds their time but
//! Ctrl-C; their memory is bounded, and they have no files and no network.

mod ask;
mod ca_ids;
mod listing;
mod table;
mod verbs;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rhai::{Array, Dynamic, Engine, EvalAltResult, Map};
use serde_json::Value;

use super::definitions::Function;
use super::error::ScriptError;
use super::job::thrown;
use super::job::{JobScript, MAIN};
use super::value::from_json;
pub use table::InputTable;
use table::Shared;
use verbs::{VERBS, VerbFunction};

/// What a free script works with.
pub trait FreeHost {
    /// Carries out a verb of `control/`. An error's text becomes the script's, which may catch it.
    fn call(&self, verb: &str, ask: Value) -> Result<Value, String>;
    /// One line of the answer.
    fn print(&self, text: &str) -> Result<(), String>;
    fn table(&self, headings: Vec<String>, rows: Vec<Vec<String>>) -> Result<(), String>;
    fn csv(&self, headings: Vec<String>, rows: Vec<Vec<String>>) -> Result<(), String>;
    /// The rows of `--input`, by the cells of one column.
    fn input(&self, key: &str) -> Result<Arc<InputTable>, String>;
    /// Adds a row to the plan file.
    fn plan(&self, cells: BTreeMap<String, String>) -> Result<(), String>;
}

thread_local! {
    static HOST: RefCell<Option<std::rc::Rc<dyn FreeHost>>> = const { RefCell::new(None) };
}

/// The host while `main` runs.
struct Hosted(());

impl Drop for Hosted {
    fn drop(&mut self) {
        HOST.set(None);
    }
}

impl JobScript {
    /// Runs `main(args)` until it ends, or `stop` is set. What it returns is for nobody.
    pub fn run_main(
        &self,
        args: &[(String, String)],
        host: std::rc::Rc<dyn FreeHost>,
        stop: Arc<AtomicBool>,
    ) -> Result<(), ScriptError> {
        let map: Map = args
            .iter()
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
            .collect();
        HOST.set(Some(host));
        let hosted = Hosted(());
        let called = self
            .program
            .call_until(MAIN, vec![Dynamic::from_map(map)], stop);
        drop(hosted);
        called.map(|_| ())
    }
}

/// Prints for the script that runs on this thread; `false` if none of these does.
pub(crate) fn print(text: &str) -> bool {
    let Some(host) = host() else {
        return false;
    };
    // Where the answer cannot be written, the next call of the script says so.
    let _ = host.print(text);
    true
}

fn host() -> Option<std::rc::Rc<dyn FreeHost>> {
    HOST.with_borrow(Option::clone)
}

/// The functions beside the verbs.
const OTHERS: &[Function] = &[
    Function::new(
        "table",
        "headings, rows",
        "Writes a table: an array of headings, an array of arrays of cells.",
    ),
    Function::new(
        "csv",
        "headings, rows",
        "Writes CSV, guarded against formulas.",
    ),
    Function::new(
        "input_by",
        "column",
        "The rows of `--input`, found by the cells of a column: `rows.get(cell)` gives the row or (), `rows.has(cell)`, `rows.len()`, `for row in rows`. All of them are in memory.",
    ),
    Function::new(
        "ca_ids",
        "",
        "All items by their CA ID, as it is kept and as the provider's mapping normalizes it, for `with_serial_numbers`. All of them are in memory.",
    ),
    Function::new(
        "with_serial_numbers",
        "rows, ca_ids, card_column, stb_column",
        "The rows of `input_by` with serial numbers in the place of CA IDs; one that is unknown becomes a text that is nobody's serial number.",
    ),
    Function::new(
        "plan",
        "row",
        "Adds a row, a map of texts, to the plan file beside the input; `--apply FILE` carries a plan out.",
    ),
];

/// Every function of a free script, for the editors' file.
pub(crate) fn functions() -> Vec<Function> {
    let mut all: Vec<Function> = VERBS
        .iter()
        .flat_map(|function| {
            function.arities().map(|arity| {
                let names: Vec<String> = function
                    .parameters
                    .iter()
                    .take(arity)
                    .map(|parameter| parameter.name().to_owned())
                    .collect();
                Function::owned(function.name, names.join(", "), function.doc)
            })
        })
        .collect();
    all.extend(OTHERS.iter().cloned());
    all.extend(listing::functions());
    all
}

/// The names of all of them.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let verbs = VERBS.iter().map(|function| function.name);
    let others = OTHERS.iter().map(Function::name);
    verbs.chain(others).chain(listing::names())
}

/// The verbs that free scripts can call, for a test that none is forgotten.
pub fn verbs() -> Vec<&'static str> {
    VERBS.iter().map(|function| function.verb).collect()
}

type Called = Result<Dynamic, Box<EvalAltResult>>;

/// Puts the functions on an engine.
pub(crate) fn register(engine: &mut Engine) {
    for function in VERBS {
        for arity in function.arities() {
            register_verb(engine, function, arity);
        }
    }
    engine.register_fn("table", |headings: Array, rows: Array| -> Called {
        let (headings, rows) = cells(&headings, &rows)?;
        hosted()?.table(headings, rows).map_err(thrown)?;
        Ok(Dynamic::UNIT)
    });
    engine.register_fn("csv", |headings: Array, rows: Array| -> Called {
        let (headings, rows) = cells(&headings, &rows)?;
        hosted()?.csv(headings, rows).map_err(thrown)?;
        Ok(Dynamic::UNIT)
    });
    engine.register_fn("input_by", |column: &str| -> Called {
        let table = hosted()?.input(column).map_err(thrown)?;
        Ok(Dynamic::from(Shared(table)))
    });
    engine.register_fn("plan", |row: Map| -> Called {
        let cells = row
            .into_iter()
            .map(|(column, cell)| (column.to_string(), cell.to_string()));
        hosted()?.plan(cells.collect()).map_err(thrown)?;
        Ok(Dynamic::UNIT)
    });
    table::register(engine);
    ca_ids::register(engine);
    listing::register(engine);
}

fn register_verb(engine: &mut Engine, function: &'static VerbFunction, arity: usize) {
    let name = function.name;
    let call = move |arguments: &[Dynamic]| -> Called {
        let ask = function.ask(arguments).map_err(thrown)?;
        let answer = hosted()?.call(function.verb, ask).map_err(thrown)?;
        Ok(from_json(&answer))
    };
    match arity {
        0 => engine.register_fn(name, move || call(&[])),
        1 => engine.register_fn(name, move |a: Dynamic| call(&[a])),
        2 => engine.register_fn(name, move |a: Dynamic, b: Dynamic| call(&[a, b])),
        _ => engine.register_fn(name, move |a: Dynamic, b: Dynamic, c: Dynamic| {
            call(&[a, b, c])
        }),
    };
}

fn hosted() -> Result<std::rc::Rc<dyn FreeHost>, Box<EvalAltResult>> {
    host().ok_or_else(|| thrown("only `main` can call this".to_owned()))
}

type Cells = (Vec<String>, Vec<Vec<String>>);

fn cells(headings: &Array, rows: &Array) -> Result<Cells, Box<EvalAltResult>> {
    let line = |cells: &Array| cells.iter().map(Dynamic::to_string).collect::<Vec<_>>();
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(cells) = row.read_lock::<Array>() else {
            return Err(thrown("expected rows that are arrays of cells".to_owned()));
        };
        lines.push(line(&cells));
    }
    Ok((line(headings), lines))
}
