//! The one answer that a request gets: a tiny_http request that can be moved to whichever thread knows the answer.
//!
//! Dropped unanswered (a panic, a queue that was thrown away) it answers 500 in the envelope, for tiny_http's own 500 has no
//! body. It writes by itself and not through tiny_http's `Response`, which splits long answers in two writes and lets a
//! client's `TE` header choose chunks.

use std::io::{self, Read as _, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tiny_http::{HTTPVersion, Header, Method, Request, Response};

use super::answer::{Answer, Shape};
use super::api::Api;
use super::crm::{CallError, envelope};
use super::turns::{Fate, Place, Turn};
use crate::telemetry::Metric;

/// A client that takes its answer in crumbs has so long for all of it.
const ANSWER_WRITE_MAX: Duration = Duration::from_secs(30);
const BLOCK_BYTES: usize = 64 * 1024;

/// Owes one answer.
pub struct Reply {
    owed: Option<(Request, Turn)>,
    api: Arc<Api>,
}

impl Reply {
    /// To be called in the order in which the requests came.
    pub fn new(request: Request, api: Arc<Api>) -> Self {
        let now = api.clock().monotonic();
        let turn = api.turns.take(request.remote_addr().copied(), now);
        Self {
            owed: Some((request, turn)),
            api,
        }
    }

    /// Whether its connection is still served; if not, [`Reply::skip`] is all that may be done.
    pub fn is_wanted(&self) -> bool {
        let place = self.owed.as_ref().map(|(_, turn)| turn.place());
        place != Some(Place::Unwanted)
    }

    /// Answers nothing. `is_whole`: the body was read; of any other the connection's thread is given up with it.
    pub fn skip(mut self, is_whole: bool) {
        let Some((request, _)) = self.owed.take() else {
            return;
        };
        if is_whole {
            // A request that falls without its writer answers nothing; one that falls with it would write 500.
            drop(request.into_writer());
        } else {
            self.api.metrics.count(Metric::HttpAbandoned);
            std::mem::forget(request);
        }
    }

    pub fn send(mut self, answer: &Answer) {
        self.write(answer);
    }

    pub fn error(self, error: &CallError) {
        let answer = envelope::error(error, self.api.config().error_status);
        self.send(&answer);
    }

    /// Answers a request whose body cannot be read to its end, and gives its connection up.
    ///
    /// tiny_http would allocate the unread rest at once when the request falls (a length of 10^14 aborts the process), and
    /// would take the rest of an ambiguous body for the next request. An upgraded stream that is forgotten does neither; it
    /// costs a thread, so it is counted.
    pub fn abandon(mut self, error: &CallError) {
        let Some((request, turn)) = self.owed.take() else {
            return;
        };
        self.api.metrics.count(Metric::HttpRequests);
        self.api.metrics.count(Metric::HttpAbandoned);
        let answer = envelope::error(error, self.api.config().error_status);
        turn.deliver(Box::new(move |fate| match fate {
            Fate::Send => give_up(request, &answer),
            Fate::Skip => {
                std::mem::forget(request);
                Ok(())
            }
        }));
    }

    /// The request's head; none once it is answered.
    pub fn request(&self) -> Option<&Request> {
        self.owed.as_ref().map(|(request, _)| request)
    }

    /// Reads a body of known length; `None` if the client left in the middle of it.
    pub fn read_body(&mut self, bytes: u64) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        if bytes > 0 {
            let (request, _) = self.owed.as_mut()?;
            let mut reader = request.as_reader().take(bytes);
            reader.read_to_end(&mut body).ok()?;
        }
        (u64::try_from(body.len()).ok() == Some(bytes)).then_some(body)
    }

    /// Reads and drops the body up to `bytes_max`; `true` if that was all of it.
    pub fn drain(&mut self, bytes_max: u64) -> bool {
        let Some((request, _)) = self.owed.as_mut() else {
            return true;
        };
        let mut body = request.as_reader().take(bytes_max);
        match std::io::copy(&mut body, &mut std::io::sink()) {
            Ok(bytes) => bytes < bytes_max,
            Err(_) => false,
        }
    }

    fn write(&mut self, answer: &Answer) {
        let Some((request, turn)) = self.owed.take() else {
            return;
        };
        self.api.metrics.count(Metric::HttpRequests);
        let mut shape = shape(&request);
        shape.closes |= turn.place() == Place::Last;
        let bytes = answer.to_bytes(shape, self.api.clock().now());
        turn.deliver(Box::new(move |fate| {
            let writer = request.into_writer();
            match fate {
                Fate::Send => write_within(writer, &bytes),
                Fate::Skip => Ok(()),
            }
        }));
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.owed.is_some() {
            self.write(&envelope::error(
                &CallError::Internal,
                self.api.config().error_status,
            ));
        }
    }
}

/// Writes in blocks: each has the socket's own time-out, all of them [`ANSWER_WRITE_MAX`].
fn write_within(mut writer: impl Write, bytes: &[u8]) -> io::Result<()> {
    let begun = Instant::now();
    for block in bytes.chunks(BLOCK_BYTES) {
        if begun.elapsed() > ANSWER_WRITE_MAX {
            return Err(io::ErrorKind::TimedOut.into());
        }
        writer.write_all(block)?;
    }
    writer.flush()
}

fn give_up(request: Request, answer: &Answer) -> io::Result<()> {
    // tiny_http prints no length with an upgrade; the value is not checked for line ends, so it can carry one.
    let protocol = format!("none\r\nContent-Length: {}", answer.body.len());
    let mut response = Response::empty(answer.status);
    if let Ok(json) = Header::from_bytes("Content-Type", "application/json") {
        response.add_header(json);
    }
    let mut stream = request.upgrade(&protocol, response);
    let written = stream.write_all(&answer.body).and_then(|()| stream.flush());
    std::mem::forget(stream);
    written
}

/// Whose connection it is.
pub fn address(request: &Request) -> IpAddr {
    request
        .remote_addr()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), std::net::SocketAddr::ip)
}

fn shape(request: &Request) -> Shape {
    let asks = |word: &str| {
        request.headers().iter().any(|header| {
            header.field.equiv("Connection")
                && header.value.as_str().to_ascii_lowercase().contains(word)
        })
    };
    let is_http_1_0 = *request.http_version() <= HTTPVersion(1, 0);
    Shape {
        is_http_1_0,
        is_head: *request.method() == Method::Head,
        closes: asks("close") || (is_http_1_0 && !asks("keep-alive")),
    }
}
