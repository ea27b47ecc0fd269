//! `pairbox demo`: the whole road on sample data, through the doors that a customer has and no others.
//!
//! Runs this same program as simulator and as server in a scratch directory, imports cards and STBs, logs in over HTTP and
//! posts pair requests as a CRM would, waits for the outcomes and shows both sides' view of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};

use self::caller::Caller;
use self::child::Child;
use super::backend::Backend;
use super::error::CliError;
use super::exit::Exit;
use super::output::{say, table};
use crate::actions::pairings::PairingRow;
use crate::config::{Config, DEFAULT_DATA_DIR, Overrides, WORKING_FILE};
use crate::control::{
    Client, PairingList, PairingListAsk, RequestExplain, RequestList, RequestListAsk, RequestNamed,
    Status, UserAdd, UserAddAsk,
};
use crate::domain::LifeCycleState;

mod caller;
mod child;

#[derive(Args)]
pub struct DemoArgs {
    /// Leave when it is shown, instead of staying up until Ctrl-C
    #[arg(long)]
    once: bool,
}

const USER: &str = "crm";
const PASSWORD: &str = "demo-password";
const OUTCOMES_WAIT: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The simulator writes its file at most 200 ms after a change.
const FILE_WAIT: Duration = Duration::from_millis(300);
const ROWS_SHOWN: usize = 8;

impl DemoArgs {
    pub fn run(self) -> Result<Exit, CliError> {
        let stop = Arc::new(AtomicBool::new(false));
        let scratch = Scratch::new()?;
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|source| {
                CliError::File {
                    act: "watch for signals in",
                    path: scratch.path.clone(),
                    source,
                }
            })?;
        }
        let stage = Stage::set(&scratch.path)?;
        stage.import()?;
        let sent = stage.post()?;
        stage.wait(&stop)?;
        stage.show(sent)?;
        if !self.once {
            stage.stay(&stop)?;
        }
        Ok(Exit::Done)
    }
}

/// A directory that goes with the demo.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new() -> Result<Self, CliError> {
        let name = format!("pairbox-demo-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self { path }),
            Err(source) => {
                let act = "make";
                Err(CliError::File { act, path, source })
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies in the system's own scratch folder.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Simulator and server, both running. The server is declared first, so that it stops first.
struct Stage {
    server: Child,
    simulator: Child,
    scratch: PathBuf,
    backend: Backend,
    api: String,
    zone: Tz,
}

impl Stage {
    fn set(scratch: &Path) -> Result<Self, CliError> {
        super::init::write(scratch)?;
        let config = scratch.join(WORKING_FILE);
        let state_file = scratch.join("simulator.json");
        let state_file = state_file.display().to_string();
        let simulate = [
            "simulate",
            "smsgw",
            "--listen",
            "127.0.0.1:0",
            "--state-file",
            &state_file,
        ];
        let (simulator, said) = Child::start("simulator", &config, &simulate, "simulating ")?;
        let address = said.split([' ', ',']).nth(3).unwrap_or_default().to_owned();
        point_at(&config, &address)?;
        let serve = ["serve", "--listen", "127.0.0.1:0"];
        let (server, said) = Child::start("server", &config, &serve, "listening on ")?;
        let api = said.split(' ').nth(2).unwrap_or_default().to_owned();
        let loaded = Config::load(Some(&config), &Overrides::default())?;
        let client = Client::find(&scratch.join(DEFAULT_DATA_DIR))?;
        let client = client.ok_or(CliError::DemoProcess { process: "server" })?;
        let by = "cli:demo".to_owned();
        say(&format!(
            "a CAS simulator listens on {address}, the API on {api}, all in {}",
            scratch.display()
        ))?;
        Ok(Self {
            server,
            simulator,
            scratch: scratch.to_owned(),
            backend: Backend::Remote { client, by },
            api,
            zone: loaded.config.api.time_zone,
        })
    }

    /// Imports by the command that an operator would type.
    fn import(&self) -> Result<(), CliError> {
        for name in ["cards", "stbs"] {
            let file = self.sample(name);
            say(&format!("\n$ pairbox item import {name}.csv"))?;
            let file = file.display().to_string();
            Child::run("import", &self.config(), &["item", "import", &file])?;
        }
        Ok(())
    }

    /// Posts one pair request a card; answers how many.
    fn post(&self) -> Result<usize, CliError> {
        self.backend.call::<UserAdd>(&UserAddAsk {
            name: USER.to_owned(),
            role: crate::access::Role::Crm,
            password: PASSWORD.to_owned(),
        })?;
        let caller = Caller::login(&self.api, USER, PASSWORD)?;
        let cards = self.serial_numbers("cards")?;
        let stbs = self.serial_numbers("stbs")?;
        let mut sent = 0;
        for (card, stb) in cards.iter().zip(&stbs) {
            if sent == 0 {
                say(&format!("\n{}", caller.curl(card, stb)))?;
            }
            let answer = caller.pair(card, stb)?;
            if sent == 0 {
                say(&answer)?;
            }
            sent += 1;
        }
        Ok(sent)
    }

    fn wait(&self, stop: &AtomicBool) -> Result<(), CliError> {
        let until = Instant::now() + OUTCOMES_WAIT;
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            let requests = self.backend.call::<Status>(&())?.requests;
            if requests.completed + requests.rejected == requests.total {
                break;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        std::thread::sleep(FILE_WAIT);
        Ok(())
    }

    fn show(&self, sent: usize) -> Result<(), CliError> {
        let requests = self.backend.call::<Status>(&())?.requests;
        say(&format!(
            "\n{sent} requests posted: {} COMPLETED, {} REJECTED, {} PENDING",
            requests.completed,
            requests.rejected,
            requests.total - requests.completed - requests.rejected
        ))?;
        let rejected = self.backend.call::<RequestList>(&RequestListAsk {
            state: Some(LifeCycleState::Rejected),
            job: None,
            after: Some(0),
            limit: 1,
        })?;
        self.show_pairings()?;
        if let Some(row) = rejected.rows.first() {
            let named = RequestNamed::Number(row.number);
            let told = self.backend.call::<RequestExplain>(&named)?;
            say(&format!("\n$ pairbox request explain {}", row.number))?;
            say(&super::request::words(&told, self.zone))?;
        }
        Ok(())
    }

    /// The first pairings as they are held here and as the simulated CAS holds them.
    fn show_pairings(&self) -> Result<(), CliError> {
        let limit = ROWS_SHOWN;
        let ask = PairingListAsk {
            limit,
            ..PairingListAsk::default()
        };
        let page = self.backend.call::<PairingList>(&ask)?;
        let path = self.scratch.join("simulator.json");
        let text = fs::read_to_string(&path).map_err(|source| CliError::File {
            act: "read",
            path,
            source,
        })?;
        let cas: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let rows = page.rows.iter().map(|row| self.row(row, &cas)).collect();
        let headings = ["card", "STB", "since", "the CAS holds"];
        say(&format!(
            "\nthe first {limit} pairings:\n{}",
            table(&headings, rows)
        ))
    }

    fn row(&self, row: &PairingRow, cas: &serde_json::Value) -> Vec<String> {
        let here = super::output::Listed::cells(row, self.zone);
        // The CAS knows a card by its first ten digits.
        let short = row.card.get(..10).unwrap_or(&row.card);
        let theirs = find(cas, short).unwrap_or_else(|| super::output::DASH.to_owned());
        here.into_iter().take(3).chain([theirs]).collect()
    }

    fn stay(&self, stop: &AtomicBool) -> Result<(), CliError> {
        let config = self.config();
        say(&format!(
            "\nall of it stays up until Ctrl-C; meanwhile, for example:\n  pairbox --config {} status",
            config.display()
        ))?;
        while !stop.load(Ordering::Relaxed) {
            self.server.check()?;
            self.simulator.check()?;
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn config(&self) -> PathBuf {
        self.scratch.join(WORKING_FILE)
    }

    fn sample(&self, name: &str) -> PathBuf {
        self.scratch.join(format!("scripts/samples/{name}.csv"))
    }

    fn serial_numbers(&self, name: &str) -> Result<Vec<String>, CliError> {
        let path = self.sample(name);
        let failed = |source| CliError::Csv {
            path: path.clone(),
            source,
        };
        let mut reader = csv::Reader::from_path(&path).map_err(failed)?;
        let headers = reader.headers().map_err(failed)?.clone();
        let at = headers.iter().position(|name| name == "serial_number");
        let mut found = Vec::new();
        for record in reader.records() {
            let record = record.map_err(failed)?;
            found.extend(at.and_then(|at| record.get(at)).map(str::to_owned));
        }
        Ok(found)
    }
}

/// Puts the simulator's address into the configuration, as an operator would with an editor.
fn point_at(config: &Path, address: &str) -> Result<(), CliError> {
    let failed = |act| {
        move |source| CliError::File {
            act,
            path: config.to_owned(),
            source,
        }
    };
    let text = fs::read_to_string(config).map_err(failed("read"))?;
    // Whoever watches a box does not watch the demo's, and 8088 may be taken.
    let text = text
        .replace("127.0.0.1:7000", address)
        .replace("listen = \"127.0.0.1:8088\"\n", "");
    fs::write(config, text).map_err(failed("write"))
}

/// A card's STB anywhere in the simulator's state, whose shape is the mapping's own.
fn find(state: &serde_json::Value, card: &str) -> Option<String> {
    let serde_json::Value::Object(members) = state else {
        return None;
    };
    match members.get(card) {
        Some(serde_json::Value::String(stb)) => Some(stb.clone()),
        _ => members.values().find_map(|inner| find(inner, card)),
    }
}
