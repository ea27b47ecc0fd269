//! The control socket: `POST /control/<verb>` on a Unix socket in the data directory, one exchange at a time.
//!
//! Who may connect is the file system's to say: the directory is 0700, the socket 0600. `service.rs` runs it on a thread.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thiserror::Error;
use tiny_http::{Method, Request, Response, Server};

use super::error::{ControlError, ErrorReport, Fault};
use super::{CALL_BYTES_MAX, ControlContext, handle};

pub const SOCKET_FILE: &str = "control.sock";
const PREFIX: &str = "/control/";
const HEALTH: &str = "/healthz";
/// How often the stop flag is looked at.
const TURN_AT_MOST: Duration = Duration::from_millis(100);

/// A bound control socket.
pub struct ControlServer {
    server: Server,
    path: PathBuf,
}

/// Why the socket cannot be served.
#[derive(Debug, Error)]
pub enum ControlServerError {
    #[error("cannot make the control socket `{}`: {source}", path.display())]
    Bind { path: PathBuf, source: io::Error },
    #[error("cannot serve the control socket `{}`: {source}", path.display())]
    Start {
        path: PathBuf,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ControlServer {
    /// Binds `<data>/control.sock`; the caller holds the lock of the directory, so a socket that lies there is stale.
    pub fn bind(data_dir: &Path) -> Result<Self, ControlServerError> {
        let path = data_dir.join(SOCKET_FILE);
        let failed = |source| ControlServerError::Bind {
            path: path.clone(),
            source,
        };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        match Server::from_listener(listener, None) {
            Ok(server) => Ok(Self { server, path }),
            Err(source) => Err(ControlServerError::Start { path, source }),
        }
    }

    /// Serves until `stop`, then removes the socket.
    pub fn run(
        &self,
        context: &ControlContext,
        stop: &AtomicBool,
    ) -> Result<(), ControlServerError> {
        while !stop.load(Ordering::Relaxed) {
            match self.server.recv_timeout(TURN_AT_MOST) {
                Ok(Some(request)) => serve(context, request),
                Ok(None) => {}
                Err(source) => {
                    let path = self.path.clone();
                    return Err(ControlServerError::Bind { path, source });
                }
            }
        }
        // A socket that stays is removed by the next start.
        let _ = fs::remove_file(&self.path);
        Ok(())
    }
}

fn serve(context: &ControlContext, mut request: Request) {
    if *request.method() == Method::Get && request.url() == HEALTH {
        // The self-watch asks; whoever has left has no use for the answer.
        let _ = request.respond(Response::from_string(r#"{"healthy":true}"#));
        return;
    }
    let (status, body) = match answer(context, &mut request) {
        Ok(body) => (200, body),
        Err(report) => {
            let status = match report.fault {
                Fault::Usage => 400,
                Fault::Refused => 409,
                Fault::Passing => 503,
                Fault::Failed => 500,
            };
            (status, serde_json::to_vec(&report).unwrap_or_default())
        }
    };
    // The client reads by Content-Length: no chunks, however long.
    let response = Response::from_data(body)
        .with_status_code(status)
        .with_chunked_threshold(usize::MAX);
    if let Err(error) = request.respond(response) {
        tracing::debug!(%error, "a control client left before its answer");
    }
}

fn answer(context: &ControlContext, request: &mut Request) -> Result<Vec<u8>, ErrorReport> {
    let usage = |message: String| ErrorReport {
        fault: Fault::Usage,
        message,
        hint: None,
    };
    if *request.method() != Method::Post {
        return Err(usage("expected POST".to_owned()));
    }
    let Some(verb) = request.url().strip_prefix(PREFIX).map(str::to_owned) else {
        return Err(usage(format!("expected {PREFIX}VERB")));
    };
    let mut body = Vec::new();
    let limit = u64::try_from(CALL_BYTES_MAX).unwrap_or(u64::MAX);
    request
        .as_reader()
        .take(limit + 1)
        .read_to_end(&mut body)
        .map_err(|error| usage(format!("the call cannot be read: {error}")))?;
    if body.len() > CALL_BYTES_MAX {
        return Err(usage(format!(
            "expected a call of at most {CALL_BYTES_MAX} bytes"
        )));
    }
    handle(context, &verb, &body).map_err(|error| {
        if matches!(error, ControlError::Answer { .. }) {
            tracing::error!(%error, verb, "a control verb failed");
        }
        ErrorReport::from(&error)
    })
}
