//! The command line's side of the control socket: HTTP/1.1 by hand, one connection a call, bodies by Content-Length.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::error::{ErrorReport, Fault};
use super::verb::{Verb, write_call, write_call_of};
use super::{ANSWER_BYTES_MAX, SOCKET_FILE};

/// How long an exchange may stand still: each one is short, but the server may be busy with another's.
const STILL_AT_MOST: Duration = Duration::from_mins(1);
const INTERNAL_ERROR: u16 = 500;
/// Most bytes of the head of an answer.
const HEAD_BYTES_MAX: u64 = 16 * 1024;

/// Knows where the socket is.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

/// Why a call has no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error("no server answers at `{}`: {source}", path.display())]
    NoServer { path: PathBuf, source: io::Error },
    /// Bytes left: nobody knows whether the server acted.
    #[error("the server at `{}` did not answer; whether it did what was asked is unknown: {source}", path.display())]
    Broken { path: PathBuf, source: io::Error },
    #[error("the server's answer cannot be understood: {what}")]
    Answer { what: String },
    #[error("the call cannot be written: {0}")]
    Call(#[source] serde_json::Error),
    #[error(transparent)]
    Told(#[from] ErrorReport),
}

impl Client {
    /// The client of a data directory, if a server answers there; none if there is no socket or nobody behind it.
    pub fn find(data_dir: &Path) -> Result<Option<Self>, ClientError> {
        let path = data_dir.join(SOCKET_FILE);
        match UnixStream::connect(&path) {
            Ok(_) => Ok(Some(Self { path })),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(None)
            }
            Err(source) => Err(ClientError::NoServer { path, source }),
        }
    }

    /// Asks and waits for the answer.
    pub fn call<V: Verb>(&self, by: &str, ask: &V::Ask) -> Result<V::Answer, ClientError> {
        let body = write_call::<V>(by, ask).map_err(ClientError::Call)?;
        let answer = self.exchange(V::NAME, &body)?;
        serde_json::from_slice(&answer).map_err(|error| unreadable(&error))
    }

    /// As `call`, by the verb's name, in JSON.
    pub fn call_by_name(
        &self,
        by: &str,
        verb: &str,
        ask: &serde_json::Value,
    ) -> Result<serde_json::Value, ClientError> {
        let body = write_call_of(by, ask).map_err(ClientError::Call)?;
        let answer = self.exchange(verb, &body)?;
        serde_json::from_slice(&answer).map_err(|error| unreadable(&error))
    }

    fn exchange(&self, verb: &str, body: &[u8]) -> Result<Vec<u8>, ClientError> {
        let mut stream =
            UnixStream::connect(&self.path).map_err(|source| ClientError::NoServer {
                path: self.path.clone(),
                source,
            })?;
        let (status, answer) =
            exchange(&mut stream, verb, body).map_err(|source| ClientError::Broken {
                path: self.path.clone(),
                source,
            })?;
        if status == 200 {
            return Ok(answer);
        }
        match serde_json::from_slice::<ErrorReport>(&answer) {
            Ok(report) => Err(report.into()),
            // The gate has a word before the verbs, in the words of the API.
            Err(error) => match refused_at_the_gate(&answer) {
                Some(report) if status != INTERNAL_ERROR => Err(report.into()),
                // Whoever had the call is gone, and nobody knows how far it came.
                Some(report) => Err(ClientError::Broken {
                    path: self.path.clone(),
                    source: io::Error::other(report),
                }),
                None => Err(unreadable(&error)),
            },
        }
    }
}

fn unreadable(error: &serde_json::Error) -> ClientError {
    ClientError::Answer {
        what: error.to_string(),
    }
}

fn refused_at_the_gate(answer: &[u8]) -> Option<ErrorReport> {
    let envelope: serde_json::Value = serde_json::from_slice(answer).ok()?;
    let message = envelope.pointer("/status/message")?.as_str()?.to_owned();
    Some(ErrorReport {
        fault: Fault::Passing,
        message,
        hint: None,
    })
}

fn exchange(stream: &mut UnixStream, verb: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
    stream.set_read_timeout(Some(STILL_AT_MOST))?;
    stream.set_write_timeout(Some(STILL_AT_MOST))?;
    let mut call = format!(
        "POST /control/{verb} HTTP/1.1\r\nHost: control\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    call.extend_from_slice(body);
    stream.write_all(&call)?;
    let mut reader = BufReader::new(stream);
    let (status, length) = read_head(&mut reader)?;
    let mut answer = vec![0; length];
    reader.read_exact(&mut answer)?;
    Ok((status, answer))
}

/// The status and the body's length.
pub(super) fn read_head(reader: &mut impl BufRead) -> io::Result<(u16, usize)> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut head = reader.take(HEAD_BYTES_MAX);
    let mut line = String::new();
    head.read_line(&mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let status = line
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| invalid("no status line"))?;
    let mut length = None;
    loop {
        line.clear();
        if head.read_line(&mut line)? == 0 {
            return Err(invalid("a head without its end"));
        }
        let field = line.trim_end();
        if field.is_empty() {
            break;
        }
        if let Some((name, value)) = field.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    match length {
        Some(length) if length <= ANSWER_BYTES_MAX => Ok((status, length)),
        Some(_) => Err(invalid("an answer longer than there may be")),
        None => Err(invalid("an answer without its length")),
    }
}
