//! `pairbox run SCRIPT`: a bulk job over a vendor's file, or an administrator's script.
//!
//! A job's input becomes plain CSV here, and travels in parts to where the job runs: the server, or this process.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use sha2::{Digest, Sha256};

use super::backend::{Backend, Sending};
use super::error::CliError;
use super::exit::Exit;
use super::failures::is_of_failures;
use super::follow::{Followed, fits_still, follow, rehearse, tell_local_work};
use super::free;
use super::global::Global;
use super::output::{Format, counted, say};
use super::progress::Progress;
use crate::config::Config;
use crate::control::{JobCreate, JobPart, JobUpload, PartAsk};
use crate::jobs::input::{self, Encoding, InputOptions, Source, delimiter_named};
use crate::jobs::{JobFile, NewJob};
use crate::script::{JobOptions, JobScript, job_text, likest};

#[derive(Args)]
pub struct RunArgs {
    /// A file, or the name of a script in scripts/jobs
    #[arg(value_name = "SCRIPT")]
    script: String,
    /// The rows: CSV or XLSX; `-` reads CSV from standard input
    #[arg(long, value_name = "FILE")]
    input: Option<String>,
    /// Carry out a plan that the script made: nothing at all if the world has changed since
    #[arg(long, value_name = "PLAN.csv", value_parser = plan, conflicts_with_all = ["input", "dry_run"])]
    apply: Option<String>,
    /// An argument of the script; its header names them
    #[arg(long = "arg", value_name = "NAME=VALUE", value_parser = argument)]
    args: Vec<(String, String)>,
    /// Judge every row and store nothing
    #[arg(long, conflicts_with_all = ["detach", "wait"])]
    dry_run: bool,
    /// Hand it in and return at once
    #[arg(long, conflicts_with = "wait")]
    detach: bool,
    /// Return when the CAS has answered everything
    #[arg(long)]
    wait: bool,
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    encoding: EncodingArg,
    /// What separates the cells [default: found in the first line]
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// The sheet of an XLSX file [default: the first]
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    /// Rows a second at most, in place of the script's own; 0 is no limit
    #[arg(long, value_name = "ROWS")]
    rate: Option<u32>,
    /// Failed rows that pause it, in place of the script's own; 0 is never
    #[arg(long, value_name = "ROWS")]
    stop_after: Option<u64>,
    /// How the report is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum EncodingArg {
    #[default]
    Utf8,
    Latin1,
}

fn argument(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// A plan is read twice: to be judged, and to be carried out.
fn plan(text: &str) -> Result<String, String> {
    match text {
        "-" => Err("expected a file: a plan is read twice".to_owned()),
        path => Ok(path.to_owned()),
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    delimiter_named(text)
        .ok_or_else(|| "expected one character such as , or ; or the word tab".to_owned())
}

/// Bytes of one part; base64 makes a third more of them.
const PART_BYTES: usize = 1 << 20;
/// A column this like one of the script is meant to be it.
const SLIP_LIKENESS: f64 = 0.9;

impl RunArgs {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let (name, text) = job_text(&config.scripts_dir, &self.script)?;
        let plans = JobScript::has_main(&name, &text)?;
        if self.apply.is_none() && plans {
            return self.run_free(&config, &name, text);
        }
        if self.apply.is_some() && !plans {
            // Its rows would be carried out without a look at what has changed.
            return Err(CliError::Argument {
                what: "--apply",
                expected: "the script that made the plan, with `main(args)`",
                found: name,
            });
        }
        let script = JobScript::compile(&name, text.clone())?;
        // What is wrong with it is said before anything is sent.
        let options = script.options()?;
        script.args(&options, &self.args)?;
        for warning in script.warnings() {
            eprintln!("warning: {warning}");
        }
        let Some(given) = self.apply.as_ref().or(self.input.as_ref()) else {
            return Err(CliError::NoInput { script: name });
        };
        let sending = match (self.dry_run, self.wait) {
            (true, _) => Sending::RehearsalsOnly,
            (false, true) => Sending::WithJobs,
            (false, false) => Sending::JobsOnly,
        };
        let backend = Backend::open(&config, sending)?;
        if !self.dry_run {
            tell_local_work(&backend)?;
        }
        let wants = (&*name, &*text, &options);
        if self.dry_run {
            let job = self.hand_in(&backend, wants, given)?;
            return rehearse(&backend, &job, self.output);
        }
        if self.apply.is_some() {
            let trial = self.hand_in(&backend, wants, given)?;
            if !fits_still(&backend, &trial, given)? {
                eprintln!("left; nothing of the plan was done");
                return Ok(Exit::No);
            }
        }
        let job = self.hand_in(&backend, wants, given)?;
        let number = backend.call::<JobCreate>(&job)?;
        if self.detach && backend.is_remote() {
            say(&format!(
                "job {number} runs; `pairbox job watch {number}` follows it, `pairbox job report {number}` tells how it ends"
            ))?;
            return Ok(Exit::Done);
        }
        follow(
            &backend,
            number,
            &Followed {
                waits_for_cas: self.wait,
                format: self.output,
                is_new: true,
                failures: Some(beside(given, "failures")),
            },
        )
    }

    fn run_free(&self, config: &Config, name: &str, text: String) -> Result<Exit, CliError> {
        if self.dry_run || self.wait || self.detach {
            return Err(CliError::Argument {
                what: "--dry-run, --wait and --detach",
                expected: "a bulk job with `row(row, job)`",
                found: name.to_owned(),
            });
        }
        if self.rate.is_some() || self.stop_after.is_some() {
            return Err(CliError::Argument {
                what: "--rate and --stop-after",
                expected: "a bulk job with `row(row, job)`",
                found: name.to_owned(),
            });
        }
        let is_about_input = self.delimiter.is_some()
            || self.sheet.is_some()
            || self.encoding != EncodingArg::default();
        if is_about_input && self.input.is_none() {
            return Err(CliError::Argument {
                what: "--encoding, --delimiter and --sheet",
                expected: "an input, `--input FILE`",
                found: "none".to_owned(),
            });
        }
        let script = JobScript::compile_free(name, text)?;
        if let Some(options) = script.own_options()? {
            script.args(&options, &self.args)?;
        }
        for warning in script.warnings() {
            eprintln!("warning: {warning}");
        }
        let input = self.input.as_ref().map(|given| free::Input {
            name: given.clone(),
            plan: beside(given, "plan"),
            options: self.input_options(),
        });
        free::run(config, &script, &self.args, input)
    }

    fn input_options(&self) -> InputOptions {
        InputOptions {
            encoding: match self.encoding {
                EncodingArg::Utf8 => Encoding::Utf8,
                EncodingArg::Latin1 => Encoding::Latin1,
            },
            delimiter: self.delimiter,
            sheet: self.sheet.clone(),
        }
    }

    /// Sends script and rows to where the job runs.
    fn hand_in(
        &self,
        backend: &Backend,
        (name, text, wanted): (&str, &str, &JobOptions),
        given: &str,
    ) -> Result<NewJob, CliError> {
        let folder = backend.call::<JobUpload>(&())?;
        let mut script = Upload::new(backend, &folder, JobFile::Script);
        if let Err(error) = script.write_all(text.as_bytes()) {
            return Err(script.why(error));
        }
        let script_sha256 = script.end()?;

        let options = self.input_options();
        let mut progress = Progress::new("rows read", length(given));
        let mut upload = Upload::new(backend, &folder, JobFile::Input);
        let read = input::read(
            Source::named(Path::new(given)),
            &options,
            &mut upload,
            &mut |bytes, rows| {
                progress.at(bytes, rows);
            },
        );
        progress.end();
        let failed = upload.failed.take();
        let plain = match (failed, read) {
            (Some(error), _) => return Err(error),
            (None, read) => read?,
        };
        let input_sha256 = upload.end()?;
        let faults = match plain.faults {
            0 => String::new(),
            faults => format!(", {faults} of them cannot be used"),
        };
        let rows = counted(plain.rows, "row");
        eprintln!("{given}: {}, {rows}{faults}", plain.found);
        look_at_columns(given, &plain.columns, wanted)?;
        Ok(NewJob {
            folder,
            script: name.to_owned(),
            input: file_name(given),
            script_sha256,
            input_sha256,
            args: self.args.clone(),
            rate_per_s: self.rate,
            stop_after: self.stop_after,
        })
    }
}

/// Says which columns nobody reads. One that is nearly a column of the script is a slip that would cost its cells.
fn look_at_columns(given: &str, found: &[String], wanted: &JobOptions) -> Result<(), CliError> {
    let mut known = wanted.columns.iter().chain(&wanted.optional).peekable();
    if known.peek().is_none() {
        return Ok(());
    }
    let known: Vec<&str> = known.map(String::as_str).collect();
    let is_unread = |column: &&String| !known.contains(&column.as_str()) && !is_of_failures(column);
    let unread: Vec<&String> = found.iter().filter(is_unread).collect();
    for column in &unread {
        let is_free = |name: &&str| !found.iter().any(|column| column == name);
        let absent = known.iter().copied().filter(is_free);
        if let Some(meant) = likest(column, absent, SLIP_LIKENESS) {
            return Err(CliError::Column {
                input: given.to_owned(),
                column: (*column).clone(),
                meant: meant.to_owned(),
            });
        }
    }
    if !unread.is_empty() {
        let names: Vec<String> = unread.iter().map(|name| format!("`{name}`")).collect();
        eprintln!("{given}: not read: {}", names.join(", "));
    }
    Ok(())
}

/// How long the input is; nobody knows of standard input.
fn length(given: &str) -> Option<u64> {
    let metadata = std::fs::metadata(given).ok()?;
    (given != "-").then_some(metadata.len())
}

/// As the job remembers its input.
fn file_name(given: &str) -> String {
    let name = Path::new(given).file_name();
    name.map_or_else(
        || given.to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Beside the input, or here if it came by standard input.
fn beside(given: &str, kind: &str) -> PathBuf {
    let input = Path::new(if given == "-" { "input.csv" } else { given });
    let stem = input.file_stem().unwrap_or_default().to_string_lossy();
    input.with_file_name(format!("{stem}.{kind}.csv"))
}

/// A file on its way, in parts.
struct Upload<'a> {
    backend: &'a Backend,
    folder: &'a str,
    file: JobFile,
    at: u64,
    buffer: Vec<u8>,
    hasher: Sha256,
    /// Why a part did not get there; a writer has only words for it.
    failed: Option<CliError>,
}

impl<'a> Upload<'a> {
    fn new(backend: &'a Backend, folder: &'a str, file: JobFile) -> Self {
        Self {
            backend,
            folder,
            file,
            at: 0,
            buffer: Vec::new(),
            hasher: Sha256::new(),
            failed: None,
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let part = PartAsk::new(self.folder, self.file, self.at, &self.buffer);
        if let Err(error) = self.backend.call::<JobPart>(&part) {
            let words = error.to_string();
            self.failed = Some(error);
            return Err(io::Error::other(words));
        }
        self.at += self.buffer.len() as u64;
        self.hasher.update(&self.buffer);
        self.buffer.clear();
        Ok(())
    }

    /// Sends the rest; answers the SHA-256 of all of it.
    fn end(mut self) -> Result<String, CliError> {
        match self.send() {
            Ok(()) => Ok(hex::encode(self.hasher.finalize())),
            Err(error) => Err(self.why(error)),
        }
    }

    /// The error behind the words that a writer has for it.
    fn why(&mut self, error: io::Error) -> CliError {
        self.failed.take().unwrap_or(CliError::Upload(error))
    }
}

impl Write for Upload<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
