//! One probe through the whole chain: `GET /healthz` over the control socket, all of it within a bound.
//!
//! The self-watch asks. It tells nothing of the box but that a call gets in, through, and out again.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};
use thiserror::Error;

use super::SOCKET_FILE;
use super::client::read_head;

const CALL: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: control\r\nConnection: close\r\n\r\n";

/// Why a probe counts as missed.
#[derive(Debug, Error)]
pub enum ProbeError {
    #[error("the control socket takes no connection: {0}")]
    Connect(#[source] io::Error),
    #[error("no whole answer came in time: {0}")]
    Exchange(#[source] io::Error),
    #[error("expected status 200, found {0}")]
    Status(u16),
}

/// Asks once; answers how long it took.
pub fn probe(data_dir: &Path, within: Duration) -> Result<Duration, ProbeError> {
    let began = Instant::now();
    let stream = connect(&data_dir.join(SOCKET_FILE), within).map_err(ProbeError::Connect)?;
    let until = began + within;
    match exchange(Timed { stream, until }).map_err(ProbeError::Exchange)? {
        200 => Ok(began.elapsed()),
        found => Err(ProbeError::Status(found)),
    }
}

/// A listener that takes nobody in lets a plain connect wait for ever; the time-out for sending counts for it too.
fn connect(path: &Path, within: Duration) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(within))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}

fn exchange(mut timed: Timed) -> io::Result<u16> {
    timed.stream.set_write_timeout(Some(timed.left()?))?;
    timed.stream.write_all(CALL)?;
    let mut reader = BufReader::new(timed);
    let (status, length) = read_head(&mut reader)?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(status)
}

/// A stream whose reads end together, however slowly the bytes drip.
struct Timed {
    stream: UnixStream,
    until: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(left)
    }
}

impl Read for Timed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(bytes)
    }
}
