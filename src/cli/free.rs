//! An administrator's script: `main(args)`, run here as a client of the box.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::backend::{Backend, Sending};
use super::error::CliError;
use super::exit::Exit;
use super::output::{say, say_csv_rows, table};
use crate::config::Config;
use crate::script::{FreeHost, JobScript};

/// Runs `main` to its end, or to Ctrl-C.
pub fn run(
    config: &Config,
    script: &JobScript,
    args: &[(String, String)],
) -> Result<Exit, CliError> {
    let backend = Backend::open(config, Sending::On)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(CliError::Signals)?;
    }
    let host = Rc::new(Host { backend });
    let ran = script.run_main(args, host, stop.clone());
    if stop.load(Ordering::Relaxed) {
        eprintln!("interrupted; what it has asked for so far is done");
        return Ok(Exit::No);
    }
    ran?;
    Ok(Exit::Done)
}

struct Host {
    backend: Backend,
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
}
