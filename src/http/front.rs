//! tiny_http on its private socket, the pump, and the workers, put together but not started.
//!
//! The socket lies in a folder of the data directory that only its owner can enter; the gate is its only client.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};
use tiny_http::Server;

use super::api::Api;
use super::desk::{Desk, Lanes};
use super::pace::Pace;
use super::pump::Pump;
use super::worker::{Job, Worker};
use crate::config::HttpConfig;
use crate::script::STACK_BYTES_MIN;

/// Password logins that may wait; each costs tens of milliseconds.
const PASSWORD_QUEUE_MAX: usize = 64;
/// Calls of the control socket that may wait: its door lets in no more clients.
const CONTROL_QUEUE_MAX: usize = 64;
/// Lists and shows run beside accepting, so that they never hold it up; so do an operator's verbs.
const READERS: usize = 2;
const CONTROLLERS: usize = 2;

const FOLDER: &str = "gate";
const SOCKET_FILE: &str = "http.sock";

/// Why the API is not served.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    #[error("cannot make the socket `{}`: {source}", path.display())]
    Socket { path: PathBuf, source: io::Error },
    #[error("the HTTP server cannot start: {reason}")]
    Start { reason: String },
    #[error("the HTTP server accepts no connections any more: {source}")]
    Accept { source: io::Error },
}

/// The pump and what works for it; one thread each.
pub struct Front {
    pub pump: Pump,
    /// They end with the pump.
    pub workers: Vec<Worker>,
}

/// tiny_http, listening where only the gate can go.
pub struct PrivateServer {
    server: Server,
    pub path: PathBuf,
}

impl PrivateServer {
    /// Binds the socket; the caller holds the lock of the directory, so what lies there is stale.
    pub fn bind(data_dir: &Path) -> Result<Self, FrontError> {
        let folder = data_dir.join(FOLDER);
        let path = folder.join(SOCKET_FILE);
        let listener = bind(&folder, &path).map_err(|source| FrontError::Socket {
            path: path.clone(),
            source,
        })?;
        let server = Server::from_listener(listener, None).map_err(|error| FrontError::Start {
            reason: error.to_string(),
        })?;
        Ok(Self { server, path })
    }
}

fn bind(folder: &Path, path: &Path) -> io::Result<UnixListener> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?,
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(path)
}

impl Front {
    /// The stack that the pump's thread and a worker's need: handlers run mapping scripts.
    pub const STACK_BYTES: usize = STACK_BYTES_MIN;

    pub fn new(server: PrivateServer, config: &HttpConfig, api: &Arc<Api>) -> Self {
        let (write, writes) = bounded(config.queue_max);
        let (password, passwords) = bounded(PASSWORD_QUEUE_MAX);
        let (read, reads) = bounded(config.queue_max);
        let (control, controls) = bounded(CONTROL_QUEUE_MAX);
        let mut workers = Vec::new();
        let pace = Arc::new(Pace::new());
        let paced = Some(&pace);
        workers.extend(team("http-write", config.workers, &writes, api, paced));
        workers.extend(team("http-read", READERS, &reads, api, None));
        workers.extend(team("http-login", 1, &passwords, api, None));
        workers.extend(team("control", CONTROLLERS, &controls, api, None));
        let desk = Arc::new(Desk {
            api: api.clone(),
            lanes: Lanes {
                write,
                password,
                read,
                control,
            },
            pace,
        });
        let pump = Pump {
            server: server.server,
            desk,
        };
        Self { pump, workers }
    }
}

fn team(
    name: &str,
    count: usize,
    jobs: &Receiver<Job>,
    api: &Arc<Api>,
    pace: Option<&Arc<Pace>>,
) -> Vec<Worker> {
    (1..=count)
        .map(|at| Worker {
            name: format!("{name}-{at}"),
            jobs: jobs.clone(),
            api: api.clone(),
            pace: pace.cloned(),
        })
        .collect()
}
