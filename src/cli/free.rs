//! An administrator's script: `main(args)`, run here as a client of the box.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;

use super::backend::{Backend, Sending};
use super::error::CliError;
use super::exit::Exit;
use super::follow::watch_signals;
use super::output::{say, say_csv_rows, table};
use crate::actions::spreadsheet::marked;
use crate::config::Config;
use crate::jobs;
use crate::jobs::input::{FAULT_COLUMN, InputOptions, LINE_COLUMN, Source};
use crate::script::{FreeHost, InputTable, JobScript};

/// What `--input` names, for scripts that want its rows.
pub struct Input {
    pub name: String,
    /// Where `plan` writes.
    pub plan: PathBuf,
    pub options: InputOptions,
}

/// Rows of an input that are held in memory.
const INPUT_ROWS_MAX: usize = 5_000_000;

/// Runs `main` to its end, or to Ctrl-C.
pub fn run(
    config: &Config,
    script: &JobScript,
    args: &[(String, String)],
    input: Option<Input>,
) -> Result<Exit, CliError> {
    let backend = Backend::open(config, Sending::On)?;
    let stop = watch_signals()?;
    let host = Rc::new(Host {
        backend,
        input,
        plan: RefCell::default(),
    });
    let ran = script.run_main(args, host.clone(), stop.clone());
    let planned = host.plan.take();
    if let Some(input) = host.input.as_ref().filter(|_| planned.is_some())
        && (ran.is_err() || stop.load(Ordering::Relaxed))
    {
        let _ = fs::remove_file(unfinished(&input.plan));
    }
    if stop.load(Ordering::Relaxed) {
        eprintln!("interrupted; what it has asked for so far is done");
        return Ok(Exit::No);
    }
    ran?;
    match (planned, &host.input) {
        (Some(plan), Some(input)) => {
            let (rows, path) = (plan.rows, input.plan.display());
            plan.keep(&input.plan).map_err(|source| CliError::File {
                act: "write",
                path: input.plan.clone(),
                source,
            })?;
            eprintln!("{rows} rows are planned in {path}; `--apply {path}` carries them out");
            Ok(Exit::No)
        }
        (None, Some(input)) if input.plan.exists() => {
            let path = input.plan.display();
            eprintln!("nothing was planned; {path} is of an earlier run");
            Ok(Exit::Done)
        }
        _ => Ok(Exit::Done),
    }
}

struct Host {
    backend: Backend,
    input: Option<Input>,
    plan: RefCell<Option<Plan>>,
}

/// The plan file; made with its first row, whose columns it has. It has its name when it is whole: nobody carries out half of
/// a plan.
struct Plan {
    columns: Vec<String>,
    writer: csv::Writer<File>,
    rows: u64,
}

impl Plan {
    fn begin(path: &Path, columns: Vec<String>) -> csv::Result<Self> {
        let mut writer = csv::Writer::from_path(unfinished(path))?;
        writer.write_record(columns.iter().cloned().map(marked))?;
        Ok(Self {
            columns,
            writer,
            rows: 0,
        })
    }

    /// A plan that is there already may have been shortened by hand: it is kept beside.
    fn keep(mut self, path: &Path) -> io::Result<()> {
        self.writer.flush()?;
        if path.exists() {
            let old = path.with_extension("old.csv");
            fs::rename(path, &old)?;
            eprintln!("the plan that was there is {} now", old.display());
        }
        fs::rename(unfinished(path), path)
    }
}

/// What a plan is called while it is made.
fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("csv.unfinished")
}

impl Host {
    fn need_input(&self) -> Result<&Input, String> {
        self.input
            .as_ref()
            .ok_or_else(|| "the script needs rows: add `--input FILE`".to_owned())
    }
}

/// The vendor's file as rows of cells.
fn read_rows(input: &Input) -> Result<(Vec<String>, Vec<Vec<String>>), String> {
    let source = Source::named(Path::new(&input.name));
    let mut plain = Vec::new();
    jobs::input::read(source, &input.options, &mut plain, &mut |_, _| {})
        .map_err(|error| error.to_string())?;
    let mut reader = csv::Reader::from_reader(plain.as_slice());
    let wrong = |error: csv::Error| format!("`{}`: {error}", input.name);
    let mut columns: Vec<String> = reader
        .headers()
        .map_err(wrong)?
        .iter()
        .map(str::to_owned)
        .collect();
    let own = |column: &String| column == LINE_COLUMN || column == FAULT_COLUMN;
    let kept: Vec<usize> = (0..columns.len())
        .filter(|at| columns.get(*at).is_some_and(|column| !own(column)))
        .collect();
    let fault = columns.iter().position(|column| column == FAULT_COLUMN);
    let line = columns.iter().position(|column| column == LINE_COLUMN);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        let cell = |at: usize| record.get(at).unwrap_or_default();
        if let Some(what) = fault.map(cell).filter(|what| !what.is_empty()) {
            let line = line.map(cell).unwrap_or_default();
            return Err(format!("`{}`, line {line}: {what}", input.name));
        }
        if rows.len() == INPUT_ROWS_MAX {
            return Err(format!("expected at most {INPUT_ROWS_MAX} rows"));
        }
        rows.push(kept.iter().map(|at| cell(*at).to_owned()).collect());
    }
    columns.retain(|column| !own(column));
    Ok((columns, rows))
}

impl FreeHost for Host {
    fn call(&self, verb: &str, ask: Value) -> Result<Value, String> {
        self.backend
            .call_by_name(verb, &ask)
            .map_err(|error| error.to_string())
    }

    fn print(&self, text: &str) -> Result<(), String> {
        say(text).map_err(|error| error.to_string())
    }

    fn table(&self, headings: Vec<String>, rows: Vec<Vec<String>>) -> Result<(), String> {
        let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
        say(&table(&headings, rows)).map_err(|error| error.to_string())
    }

    fn csv(&self, headings: Vec<String>, rows: Vec<Vec<String>>) -> Result<(), String> {
        say_csv_rows(headings, rows).map_err(|error| error.to_string())
    }

    fn input(&self, key: &str) -> Result<Arc<InputTable>, String> {
        let (columns, rows) = read_rows(self.need_input()?)?;
        InputTable::new(columns, rows, key).map(Arc::new)
    }

    fn plan(&self, cells: BTreeMap<String, String>) -> Result<(), String> {
        let path = &self.need_input()?.plan;
        let wrong = |error: csv::Error| format!("cannot write `{}`: {error}", path.display());
        let mut slot = self.plan.borrow_mut();
        if slot.is_none() {
            let columns = cells.keys().cloned().collect();
            *slot = Some(Plan::begin(path, columns).map_err(wrong)?);
        }
        let Some(plan) = slot.as_mut() else {
            return Ok(());
        };
        if !cells.keys().eq(&plan.columns) {
            return Err(format!(
                "every planned row has the same columns: expected {}",
                plan.columns.join(", ")
            ));
        }
        let guarded = cells.into_values().map(marked);
        plan.writer.write_record(guarded).map_err(wrong)?;
        plan.rows += 1;
        Ok(())
    }
}
