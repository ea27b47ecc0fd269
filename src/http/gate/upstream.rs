//! One connection to tiny_http: requests go out pipelined, many in one write; answers come back in their order.
//!
//! Each answer must carry the number of the request it is for. One that does not, or bytes that are no answer of ours, break
//! the connection: nobody is ever given another's answer. A connection is used only after an answer has proven that tiny_http
//! serves it, for it starves connections that are opened at once.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use httparse::{EMPTY_HEADER, Response, Status};
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

use super::super::answer::{Allow, Answer, ContentType};
use super::options::{LINE_AGAIN_AFTER, ONE_ANSWER_BYTES_MAX, PROOF_TIMEOUT};
use super::private::{Belonging, PRIVATE_HEADER, RequestId};

const READ_BYTES: usize = 64 * 1024;
/// Room that a quiet line keeps.
const KEPT_BYTES: usize = 64 * 1024;
const HEADERS_MAX: usize = 8;
const READ: Interest = Interest::READABLE;
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);
const HEAD_BYTES_MAX: usize = 1024;

pub struct Upstream {
    /// Another one for each connection.
    pub line: u64,
    pub may_read: bool,
    pub may_write: bool,
    /// The other side has ended it; that is read last.
    pub has_ended: bool,
    stream: Option<UnixStream>,
    token: Token,
    listens_for: Interest,
    state: State,
    output: Vec<u8>,
    written: usize,
    input: Vec<u8>,
    /// What one read fills.
    block: Vec<u8>,
    /// The requests whose answers are still to come, in order.
    owed: VecDeque<RequestId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { again_at: Duration },
    Proving { since: Duration },
    Open,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub enum Returned {
    Answer(RequestId, Answer),
    /// The answer comes by another way.
    Ticket,
}

/// Why a connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("an answer was lost on its way here")]
    Lost,
    #[error("it was closed")]
    Closed,
    #[error("no answer proved it within {PROOF_TIMEOUT:?}")]
    Unproven,
    #[error("bytes that are no answer of ours")]
    NoAnswer,
    #[error("an answer of {0} bytes")]
    TooLong(usize),
    #[error("the answer for request {found:?}, expected {expected:?}")]
    Foreign {
        expected: Option<RequestId>,
        found: RequestId,
    },
}

impl Upstream {
    pub fn new() -> Self {
        Self {
            line: 0,
            may_read: false,
            may_write: false,
            has_ended: false,
            stream: None,
            token: Token(0),
            listens_for: READ,
            state: State::Closed {
                again_at: Duration::ZERO,
            },
            output: Vec::new(),
            written: 0,
            input: Vec::new(),
            block: vec![0; READ_BYTES],
            owed: VecDeque::new(),
        }
    }

    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub fn is_proving(&self) -> bool {
        matches!(self.state, State::Proving { .. })
    }

    pub fn is_due(&self, now: Duration) -> bool {
        matches!(self.state, State::Closed { again_at } if now >= again_at)
    }

    pub fn is_overdue(&self, now: Duration) -> bool {
        matches!(self.state, State::Proving { since } if now.saturating_sub(since) > PROOF_TIMEOUT)
    }

    /// Requests whose answers are to come by this connection.
    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    /// Opens the connection; `proof` is a request whose answer proves it.
    pub fn connect(
        &mut self,
        path: &Path,
        registry: &Registry,
        token: Token,
        now: Duration,
    ) -> io::Result<()> {
        let mut stream = UnixStream::connect(path)?;
        registry.register(&mut stream, token, READ)?;
        self.stream = Some(stream);
        self.token = token;
        self.state = State::Proving { since: now };
        (self.may_read, self.may_write) = (true, true);
        self.listens_for = READ;
        self.has_ended = false;
        Ok(())
    }

    /// Adds a request to what leaves with the next `flush`.
    pub fn send(&mut self, id: RequestId, head: &[u8], body: &[u8]) {
        self.output.extend_from_slice(head);
        self.output.extend_from_slice(body);
        self.owed.push_back(id);
    }

    /// Writes all that was added, in as few writes as the socket takes. Room is waited for only where there is none: otherwise
    /// everything that tiny_http reads would be an event.
    pub fn flush(&mut self, registry: &Registry) -> Result<(), Broken> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        while self.may_write && self.written < self.output.len() {
            let rest = self.output.get(self.written..).unwrap_or_default();
            match stream.write(rest) {
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.may_write = false,
                Err(error) => return Err(error.into()),
            }
        }
        let wanted = if self.may_write { READ } else { BOTH };
        if wanted != self.listens_for {
            registry.reregister(stream, self.token, wanted)?;
            self.listens_for = wanted;
        }
        self.forget_written();
        Ok(())
    }

    /// Bytes that wait to leave.
    pub fn pending_bytes(&self) -> usize {
        self.output.len() - self.written
    }

    /// What has left is not kept: a line that is never quite empty would grow without end.
    fn forget_written(&mut self) {
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
            self.output.shrink_to(KEPT_BYTES);
        } else if self.written > KEPT_BYTES && self.written > self.output.len() / 2 {
            self.output.drain(..self.written);
            self.written = 0;
        }
    }

    /// Takes what has come.
    pub fn receive(&mut self, returned: &mut Vec<Returned>) -> Result<(), Broken> {
        while self.may_read {
            let Some(stream) = &mut self.stream else {
                return Ok(());
            };
            match stream.read(&mut self.block) {
                Ok(0) => return Err(Broken::Closed),
                Ok(bytes) => {
                    // A stream that gives less than there is room for is empty, or at its end; more of it is another event.
                    self.may_read = bytes == self.block.len() || self.has_ended;
                    self.input
                        .extend_from_slice(self.block.get(..bytes).unwrap_or_default());
                    self.parse(returned)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.may_read = false,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Ends the connection; gives back the requests that will never be answered by it.
    pub fn close(&mut self, registry: &Registry, now: Duration) -> VecDeque<RequestId> {
        if let Some(mut stream) = self.stream.take()
            && let Err(error) = registry.deregister(&mut stream)
        {
            tracing::debug!(%error, "a line could not be taken out of the loop");
        }
        self.state = State::Closed {
            again_at: now + LINE_AGAIN_AFTER,
        };
        self.output = Vec::new();
        self.written = 0;
        self.input = Vec::new();
        std::mem::take(&mut self.owed)
    }

    fn parse(&mut self, returned: &mut Vec<Returned>) -> Result<(), Broken> {
        let mut used = 0;
        while let Some((belonging, answer, bytes)) =
            parse(self.input.get(used..).unwrap_or_default())?
        {
            used += bytes;
            // Whoever it was meant for is still owed something, and is told so when the line ends.
            let expected = self.owed.front().copied();
            if expected != Some(belonging.id) {
                return Err(Broken::Foreign {
                    expected,
                    found: belonging.id,
                });
            }
            self.owed.pop_front();
            self.state = State::Open;
            returned.push(if belonging.is_ticket {
                Returned::Ticket
            } else {
                Returned::Answer(belonging.id, answer)
            });
        }
        self.input.drain(..used);
        Ok(())
    }
}

/// The first answer, if it has come whole, and how many bytes it has.
fn parse(input: &[u8]) -> Result<Option<(Belonging, Answer, usize)>, Broken> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut response = Response::new(&mut headers);
    let head_bytes = match response.parse(input) {
        Ok(Status::Complete(bytes)) => bytes,
        Ok(Status::Partial) if input.len() < HEAD_BYTES_MAX => return Ok(None),
        _ => return Err(Broken::NoAnswer),
    };
    let status = response.code.ok_or(Broken::NoAnswer)?;
    let field = |name: &str| {
        let named = |field: &&httparse::Header| field.name.eq_ignore_ascii_case(name);
        let found = response.headers.iter().find(named)?;
        std::str::from_utf8(found.value).ok()
    };
    let belonging = field(PRIVATE_HEADER).and_then(Belonging::parse);
    let length = field("Content-Length").and_then(|length| length.parse::<usize>().ok());
    let (Some(belonging), Some(length)) = (belonging, length) else {
        return Err(Broken::NoAnswer);
    };
    if length > ONE_ANSWER_BYTES_MAX {
        return Err(Broken::TooLong(length));
    }
    let Some(body) = input.get(head_bytes..head_bytes + length) else {
        return Ok(None);
    };
    let mut answer = Answer::new(status, body.to_vec());
    answer.content_type = field("Content-Type")
        .and_then(|found| {
            ContentType::ALL
                .into_iter()
                .find(|kind| kind.as_str() == found)
        })
        .unwrap_or_default();
    answer.retry_after_s = field("Retry-After").and_then(|seconds| seconds.parse().ok());
    answer.allow =
        field("Allow").and_then(|found| Allow::ALL.into_iter().find(|one| one.as_str() == found));
    Ok(Some((belonging, answer, head_bytes + length)))
}

#[cfg(test)]
mod tests {
    use super::super::private::{write_answer, write_ticket};
    use super::*;

    fn fed(bytes: &[u8], owed: &[u64]) -> (Vec<Returned>, Option<Broken>) {
        let mut upstream = Upstream::new();
        upstream.owed = owed.iter().copied().map(RequestId).collect();
        let mut returned = Vec::new();
        for byte in bytes {
            upstream.input.push(*byte);
            if let Err(broken) = upstream.parse(&mut returned) {
                return (returned, Some(broken));
            }
        }
        (returned, None)
    }

    #[test]
    fn answers_and_tickets_are_read_byte_by_byte() {
        let mut full = Answer::new(503, b"{\"a\":1}".to_vec());
        full.retry_after_s = Some(7);
        full.allow = Some(Allow::Post);
        full.content_type = ContentType::Metrics;
        let mut bytes = write_answer(RequestId(1), &full);
        bytes.extend(write_ticket(RequestId(2)));
        bytes.extend(write_answer(RequestId(3), &Answer::new(200, Vec::new())));
        let (returned, broken) = fed(&bytes, &[1, 2, 3]);
        assert!(broken.is_none());
        assert_eq!(
            returned,
            [
                Returned::Answer(RequestId(1), full),
                Returned::Ticket,
                Returned::Answer(RequestId(3), Answer::new(200, Vec::new()))
            ]
        );
    }

    #[test]
    fn a_line_that_is_never_quite_empty_does_not_grow() {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut upstream = Upstream::new();
        let poll = mio::Poll::new().unwrap();
        let mut ours = UnixStream::from_std(ours);
        poll.registry()
            .register(&mut ours, upstream.token, Interest::READABLE)
            .unwrap();
        upstream.stream = Some(ours);
        let block = vec![b'x'; 64 * 1024];
        for _ in 0..16 {
            upstream.send(RequestId(1), &[], &block);
        }
        let mut taken = vec![0; block.len()];
        for _ in 0..500 {
            upstream.send(RequestId(1), &[], &block);
            upstream.may_write = true;
            upstream.flush(poll.registry()).unwrap();
            theirs.read_exact(&mut taken).unwrap();
            assert!(upstream.pending_bytes() > 0);
            assert!(upstream.output.len() < 4 << 20, "{}", upstream.output.len());
        }
    }

    #[test]
    fn an_answer_for_another_request_breaks_the_line() {
        let bytes = write_answer(RequestId(2), &Answer::new(200, Vec::new()));
        assert!(matches!(
            fed(&bytes, &[1]),
            (returned, Some(Broken::Foreign { .. })) if returned.is_empty()
        ));
        assert!(matches!(fed(&bytes, &[]).1, Some(Broken::Foreign { .. })));
    }

    #[test]
    fn what_is_not_ours_breaks_the_line() {
        for bytes in [
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX-Pairbox: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX-Pairbox: one\r\nContent-Length: 0\r\n\r\n",
            "SMTP ready\r\n\r\n",
        ] {
            assert!(
                matches!(fed(bytes.as_bytes(), &[1]).1, Some(Broken::NoAnswer)),
                "{bytes}"
            );
        }
        let long = format!(
            "HTTP/1.1 200 OK\r\nX-Pairbox: 1\r\nContent-Length: {}\r\n\r\n",
            ONE_ANSWER_BYTES_MAX + 1
        );
        assert!(matches!(
            fed(long.as_bytes(), &[1]).1,
            Some(Broken::TooLong(_))
        ));
    }
}
