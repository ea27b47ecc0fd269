//! This same program once more as a process of its own: what the demo shows is what an installation runs.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cli::error::CliError;

/// A running process; dropping it stops it.
pub struct Child {
    process: &'static str,
    handle: RefCell<std::process::Child>,
    /// Kept open, so that the process can go on writing.
    said: BufReader<ChildStdout>,
}

/// How long a process may take to end by itself.
const END_WAIT: Duration = Duration::from_secs(10);

impl Child {
    /// Starts it and waits for the line that begins with `greeting`.
    pub fn start(
        process: &'static str,
        config: &Path,
        arguments: &[&str],
        greeting: &str,
    ) -> Result<(Self, String), CliError> {
        let ended = || CliError::DemoProcess { process };
        let mut child = command(config, arguments)?
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| cannot_start(config, source))?;
        let said = child.stdout.take().ok_or_else(ended)?;
        let mut running = Self {
            process,
            handle: RefCell::new(child),
            said: BufReader::new(said),
        };
        let mut line = String::new();
        while !line.starts_with(greeting) {
            line.clear();
            if running.said.read_line(&mut line).unwrap_or(0) == 0 {
                return Err(ended());
            }
        }
        Ok((running, line.trim_end().to_owned()))
    }

    /// Runs it to its end, its words on our terminal.
    pub fn run(process: &'static str, config: &Path, arguments: &[&str]) -> Result<(), CliError> {
        let status = command(config, arguments)?
            .status()
            .map_err(|source| cannot_start(config, source))?;
        if status.success() {
            return Ok(());
        }
        Err(CliError::DemoProcess { process })
    }

    /// Says if it has ended.
    pub fn check(&self) -> Result<(), CliError> {
        match self.handle.borrow_mut().try_wait() {
            Ok(None) => Ok(()),
            _ => Err(CliError::DemoProcess {
                process: self.process,
            }),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let child = self.handle.get_mut();
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if let (Ok(None), Some(pid)) = (child.try_wait(), pid) {
            // It may have ended by the same Ctrl-C a moment ago.
            let _ = kill_process(pid, Signal::TERM);
        }
        let until = Instant::now() + END_WAIT;
        while Instant::now() < until {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn command(config: &Path, arguments: &[&str]) -> Result<Command, CliError> {
    let program = std::env::current_exe().map_err(|source| cannot_start(config, source))?;
    let mut command = Command::new(program);
    command.arg("--config").arg(config).args(arguments);
    command.args(["--log-level", "warn"]).stdin(Stdio::null());
    // The operator's own settings have no part in the demo.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PAIRBOX_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

fn cannot_start(config: &Path, source: std::io::Error) -> CliError {
    CliError::File {
        act: "start a process with",
        path: config.to_owned(),
        source,
    }
}
