//! Why a command failed: what was expected, what was found, the next command, the exit code. All of them in one place.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::exit::Exit;
use crate::actions::import::HeaderError;
use crate::config::ConfigErrors;
use crate::control::{ClientError, ControlError, ErrorReport, Fault, LockError};
use crate::jobs::input::InputError;
use crate::ledger::LedgerError;
use crate::script::ScriptError;
use crate::script::skeleton::SkeletonError;
use crate::service::ServiceError;
use crate::simulate::{FaultError, SimulateError};
use crate::store::StoreError;

#[derive(Debug, Error)]
pub enum CliError {
    #[error("the configuration has mistakes:\n{0}")]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Told(#[from] ErrorReport),
    #[error(transparent)]
    Client(ClientError),
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A command that a server would carry out, but the holder opens no control socket.
    #[error(transparent)]
    SilentHolder(LockError),
    #[error("no server runs on data directory `{}`", data_dir.display())]
    NoServer { data_dir: PathBuf },
    #[error("there is no data directory `{}`", path.display())]
    NoDataDir { path: PathBuf },
    #[error("data directory `{}` belongs to user {owner}, and this is user {user}", path.display())]
    NotOwner {
        path: PathBuf,
        owner: u32,
        user: u32,
    },
    #[error("`{}` is there already; nothing was written", path.display())]
    Exists { path: PathBuf },
    #[error("cannot {act} `{}`: {source}", path.display())]
    File {
        act: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cannot write the answer: {0}")]
    Output(#[source] io::Error),
    #[error("{what}: expected {expected}, found `{found}`")]
    Argument {
        what: &'static str,
        expected: &'static str,
        found: String,
    },
    #[error("smartcard `{card}` has no pairing to send again: expected an STB")]
    NothingToSendAgain { card: String },
    #[error("smartcard `{card}` has several STBs: expected the one to send again, found none")]
    SeveralToSendAgain { card: String, stbs: String },
    #[error("`{}`: {source}", path.display())]
    Header { path: PathBuf, source: HeaderError },
    #[error("`{}` cannot be read as CSV: {source}", path.display())]
    Csv { path: PathBuf, source: csv::Error },
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}", .0.report())]
    Script(Box<ScriptError>),
    #[error(transparent)]
    FaultList(#[from] FaultError),
    #[error(transparent)]
    Simulate(Box<SimulateError>),
    #[error("no provider `{name}` is configured")]
    NoProvider { name: String },
    #[error("no provider of the configuration has the mapping `{mapping}`")]
    NoProviderOfMapping { mapping: String },
    #[error("mapping `{mapping}` has no earlier version to go back to")]
    NoEarlierVersion { mapping: String },
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error("`{script}` is a bulk job and needs rows: expected `--input FILE`")]
    NoInput { script: String },
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("the input did not get to where the job runs: {0}")]
    Upload(#[source] io::Error),
    #[error(
        "plan `{plan}` does not fit any more: {rows} of its rows would fail now; nothing was done"
    )]
    PlanChanged { plan: String, rows: u64 },
    #[error("`{input}` has a column `{column}`, which nobody reads: did you mean `{meant}`?")]
    Column {
        input: String,
        column: String,
        meant: String,
    },
    #[error(transparent)]
    Skeleton(#[from] SkeletonError),
    #[error("the dry run ended early: {0}")]
    Rehearsal(String),
    #[error("cannot watch for signals: {0}")]
    Signals(#[source] io::Error),
    #[error("the demo's {process} ended too early; its last words are above")]
    DemoProcess { process: &'static str },
    #[error("the demo's call of {call} failed: {what}")]
    DemoCall { call: String, what: String },
}

impl CliError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_)
            | Self::Argument { .. }
            | Self::FaultList(_)
            | Self::NoEarlierVersion { .. }
            | Self::NothingToSendAgain { .. }
            | Self::SeveralToSendAgain { .. }
            | Self::NoInput { .. }
            | Self::Column { .. }
            | Self::Skeleton(SkeletonError::Name { .. })
            | Self::Input(_)
            | Self::Header { .. } => Exit::Usage,
            Self::Told(report) if report.fault == Fault::Usage => Exit::Usage,
            Self::Told(report) if report.fault == Fault::Denied => Exit::Unsafe,
            Self::NoServer { .. }
            | Self::Client(ClientError::NoServer { .. } | ClientError::Broken { .. }) => {
                Exit::NoServer
            }
            Self::Lock(LockError::Held { .. }) | Self::SilentHolder(_) => Exit::Locked,
            Self::NotOwner { .. }
            | Self::Exists { .. }
            | Self::PlanChanged { .. }
            | Self::Skeleton(SkeletonError::Exists { .. }) => Exit::Unsafe,
            // `pairbox ... | head` is no failure.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            _ => Exit::Failed,
        }
    }

    /// Says it on stderr, with the next command.
    pub fn tell(&self) {
        if self.exit() == Exit::Done {
            return;
        }
        eprintln!("error: {self}");
        if let Some(hint) = self.hint() {
            eprintln!("  hint: {hint}");
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Told(report) => return report.hint.clone(),
            Self::Client(ClientError::NoServer { .. }) => {
                "run as the owner of the data directory, or with sudo".to_owned()
            }
            Self::Client(ClientError::Broken { .. }) => {
                "`pairbox status` shows whether the server lives; then look before you repeat"
                    .to_owned()
            }
            Self::Lock(LockError::Held { .. }) => {
                "this needs the directory for itself: stop that process first (a server: Ctrl-C, or `systemctl stop pairbox`)"
                    .to_owned()
            }
            Self::SilentHolder(_) => {
                "wait for that process to end; it is no server that answers on its control socket"
                    .to_owned()
            }
            Self::NoServer { .. } => {
                "`pairbox serve` reads the configuration when it starts; `pairbox check` reads it now"
                    .to_owned()
            }
            Self::NoDataDir { .. } => {
                "`pairbox init DIR` makes one; `--data-dir` or data_dir in the configuration names another"
                    .to_owned()
            }
            Self::NotOwner { owner, .. } => {
                format!("run as that user: `sudo -u '#{owner}' pairbox ...`")
            }
            Self::Exists { .. } => "name an empty directory, or move the file away".to_owned(),
            Self::SeveralToSendAgain { card, stbs } => {
                format!("`pairbox pair {card} STB`; it has {stbs}")
            }
            Self::NothingToSendAgain { .. } => {
                "`pairbox pair CARD STB` pairs, `pairbox unpair CARD` unpairs".to_owned()
            }
            Self::Header { .. } => {
                "the first line names the columns, in any order; lines after it are rows".to_owned()
            }
            Self::NoInput { .. } => {
                "the script's header says which columns; `--dry-run` tries it".to_owned()
            }
            Self::Input(error) => return error.hint().map(str::to_owned),
            Self::PlanChanged { .. } => "make the plan anew, or take the rows that are named out of it".to_owned(),
            Self::Ledger(error) => error.hint().to_owned(),
            Self::NoProvider { .. } => "`pairbox provider list` shows them".to_owned(),
            Self::NoProviderOfMapping { mapping } => {
                format!("write `mapping = \"{mapping}\"` into a [[provider]] of pairbox.toml, or name one by `--provider`")
            }
            Self::NoEarlierVersion { mapping } => {
                format!("`pairbox mapping versions {mapping}` lists what was active")
            }
            _ => return None,
        })
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Told(report) => Self::Told(report),
            other => Self::Client(other),
        }
    }
}

impl From<ScriptError> for CliError {
    fn from(error: ScriptError) -> Self {
        Self::Script(Box::new(error))
    }
}

impl From<SimulateError> for CliError {
    fn from(error: SimulateError) -> Self {
        Self::Simulate(Box::new(error))
    }
}

impl From<ControlError> for CliError {
    fn from(error: ControlError) -> Self {
        Self::Told(ErrorReport::from(&error))
    }
}
