//! Where verbs are carried out: by the running server through its control socket, else in this process.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::data_dir;
use super::error::CliError;
use crate::config::Config;
use crate::control::{
    Client, ControlContext, DataLock, LockError, Verb, handle, write_call, write_call_of,
};
use crate::dispatch::Mode;
use crate::service::Service;

/// One of the two.
pub enum Backend {
    Remote { client: Client, by: String },
    Local { service: LocalService, by: String },
}

/// The box in this process, without doors. Dropping it stops everything, then the lock is free.
pub struct LocalService {
    pub context: ControlContext,
    stop: Option<Box<dyn FnOnce()>>,
}

/// What an offline command needs besides the verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Accepts and looks only.
    Off,
    /// Connects to the CASs and sends what it is asked to: `process`, `--wait`.
    On,
    /// Connects to the CASs and sends whatever is due, and runs jobs: `run --wait`.
    WithJobs,
    /// Runs jobs and sends nothing: `run`.
    JobsOnly,
    /// Judges dry runs, and lets no job go on: `run --dry-run`.
    RehearsalsOnly,
}

/// How long a server may take from its lock to its socket.
const SOCKET_WAIT: Duration = Duration::from_secs(3);

impl Backend {
    pub fn open(config: &Config, sending: Sending) -> Result<Self, CliError> {
        let by = who();
        let until = Instant::now() + SOCKET_WAIT;
        loop {
            if let Some(client) = Client::find(&config.data_dir)? {
                return Ok(Self::Remote { client, by });
            }
            match data_dir::lock(&config.data_dir) {
                Ok(lock) => {
                    let service = open_local(config, sending, lock)?;
                    return Ok(Self::Local { service, by });
                }
                // A server that starts or stops has the lock and no socket for a moment.
                Err(CliError::Lock(LockError::Held { .. })) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(CliError::Lock(held @ LockError::Held { .. })) => {
                    return Err(CliError::SilentHolder(held));
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub fn call<V: Verb>(&self, ask: &V::Ask) -> Result<V::Answer, CliError> {
        match self {
            Self::Remote { client, by } => Ok(client.call::<V>(by, ask)?),
            Self::Local { service, by } => {
                let failed = |source| crate::control::ControlError::Answer {
                    verb: V::NAME,
                    source,
                };
                let call = write_call::<V>(by, ask).map_err(failed)?;
                let answer = handle(&service.context, V::NAME, &call, None)?;
                Ok(serde_json::from_slice(&answer).map_err(failed)?)
            }
        }
    }

    /// As `call`, by the verb's name, in JSON.
    pub fn call_by_name(
        &self,
        verb: &str,
        ask: &serde_json::Value,
    ) -> Result<serde_json::Value, CliError> {
        match self {
            Self::Remote { client, by } => Ok(client.call_by_name(by, verb, ask)?),
            Self::Local { service, by } => {
                let failed = |source| crate::control::ControlError::Answer { verb: "it", source };
                let call = write_call_of(by, ask).map_err(failed)?;
                let answer = handle(&service.context, verb, &call, None)?;
                Ok(serde_json::from_slice(&answer).map_err(failed)?)
            }
        }
    }

    /// Whether a server does the work, which goes on when this process ends.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote { .. })
    }
}

impl Drop for LocalService {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
    }
}

/// Opens the box in this process, without doors; and does what `sending` says.
fn open_local(config: &Config, sending: Sending, lock: DataLock) -> Result<LocalService, CliError> {
    let mut service = Service::open(config, lock, &mut |_| ControlFlow::Continue(()))?;
    match sending {
        Sending::Off | Sending::JobsOnly | Sending::RehearsalsOnly => {}
        Sending::On => service.start_sending(Mode::Manual)?,
        Sending::WithJobs => service.start_sending(Mode::Continuous)?,
    }
    if matches!(sending, Sending::WithJobs | Sending::JobsOnly) {
        service.start_jobs()?;
    }
    if !matches!(sending, Sending::Off | Sending::On) {
        service.start_rehearsals()?;
    }
    Ok(LocalService {
        context: service.control(),
        stop: Some(Box::new(move || service.stop())),
    })
}

/// Who types, as the ledger says it: behind `sudo` the one who called it.
pub fn who() -> String {
    let name = ["SUDO_USER", "LOGNAME", "USER"]
        .into_iter()
        .find_map(|variable| std::env::var(variable).ok().filter(|name| !name.is_empty()));
    if let Some(name) = name {
        return format!("cli:{name}");
    }
    let uid = rustix::process::getuid().as_raw();
    match uzers::get_user_by_uid(uid) {
        Some(user) => format!("cli:{}", user.name().to_string_lossy()),
        None => format!("cli:uid {uid}"),
    }
}
