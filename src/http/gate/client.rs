//! One client's connection: what has come, what it waits for, what has still to leave. Knows of no other client.
//!
//! One request of a connection is inside at a time; what a client sends ahead stays in the socket, or in `input`. Every phase
//! has a deadline by the wall, so that a peer that drips bytes gains nothing.

use std::io::{self, Read, Write};
use std::time::Duration;

use super::super::answer::{Answer, Shape};
use super::super::crm::{CallError, envelope};
use super::head::{self, Head, Parsed};
use super::options::{ANSWER_TIMEOUT, GateOptions, LEAVING_TIMEOUT, READS_MAX};
use super::private::{DoorKind, Peer, RequestId};
use super::stream::Stream;
use crate::config::ErrorStatus;

/// Bytes that one read takes.
pub const READ_BYTES: usize = 16 * 1024;
/// Room that an idle connection keeps.
const KEPT_BYTES: usize = 4 * 1024;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

pub struct Client {
    pub stream: Stream,
    pub door: DoorKind,
    pub peer: Peer,
    pub phase: Phase,
    pub since: Duration,
    pub may_read: bool,
    pub may_write: bool,
    /// The other side sends no more; that is read last.
    pub has_ended: bool,
    input: Vec<u8>,
    scanned: usize,
    output: Vec<u8>,
    written: usize,
    shape: Shape,
    past: Past,
    /// Bytes of its request that is inside.
    inside_bytes: usize,
}

/// Where a connection stands.
pub enum Phase {
    /// Before a head, or in the middle of one.
    Head,
    Body(Box<Head>),
    /// Its request is inside.
    Inside(RequestId),
    /// Its answer is on the way out.
    Answering,
    /// It was told to go; what it still sends is thrown away, so that it can read why.
    Leaving,
}

/// What a connection has behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    /// Nothing: it owes its first head.
    Fresh,
    /// An answer: between two requests it owes nothing.
    Served,
    /// An answer and the line end that old clients send behind a body; it begins nothing, another one would.
    SkippedLineEnd,
}

/// Connections that may have to make room, the one that is missed least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missed {
    /// It was told to go already.
    Told,
    /// It has never asked anything, or not to the end.
    HalfHead,
    HalfBody,
    /// It was served and stands between two requests.
    Idle,
    /// It takes its answer slowly.
    SlowReader,
}

/// What the gate is to do with a client after a turn.
#[derive(Debug)]
pub enum Turn {
    /// Nothing until something moves.
    Wait,
    /// The same again, when the others had their turn.
    Again,
    /// A request has come whole.
    Request(Box<Head>, Vec<u8>),
    Refuse(CallError),
    Close,
}

impl Client {
    pub fn new(stream: Stream, door: DoorKind, peer: Peer, now: Duration) -> Self {
        Self {
            stream,
            door,
            peer,
            phase: Phase::Head,
            since: now,
            may_read: true,
            may_write: true,
            has_ended: false,
            input: Vec::new(),
            scanned: 0,
            output: Vec::new(),
            written: 0,
            shape: Shape::default(),
            past: Past::Fresh,
            inside_bytes: 0,
        }
    }

    /// Does what can be done now: writes what is owed, then reads until a request is whole.
    /// `block` is what one read fills.
    pub fn turn(&mut self, options: &GateOptions, block: &mut [u8], now: Duration) -> Turn {
        self.stream.begin_turn();
        match self.write() {
            Ok(true) => {}
            Ok(false) => return Turn::Wait,
            Err(_) => return Turn::Close,
        }
        if matches!(self.phase, Phase::Answering) {
            if self.shape.closes {
                self.leave(now);
            } else {
                self.begin_head(now);
            }
        }
        match self.phase {
            Phase::Inside(_) | Phase::Answering => Turn::Wait,
            Phase::Leaving => self.throw_away(block),
            Phase::Head | Phase::Body(_) => self.take(options, block, now),
        }
    }

    /// The request is inside now.
    pub fn is_inside(&mut self, id: RequestId, shape: Shape, body_bytes: usize) {
        self.inside_bytes = body_bytes;
        self.shape = shape;
        self.phase = Phase::Inside(id);
    }

    /// Puts the answer down; it leaves with the next turns. `ends`: the connection is over after it.
    pub fn answer(&mut self, answer: &Answer, ends: bool, date: &str, now: Duration) {
        self.shape.closes |= ends;
        self.inside_bytes = 0;
        self.output.extend(answer.to_bytes(self.shape, date));
        self.phase = Phase::Answering;
        self.since = now;
        self.past = Past::Served;
    }

    /// Answers what never went inside, and ends the connection: where its next request would begin is unknown.
    pub fn refuse(&mut self, error: &CallError, date: &str, now: Duration) {
        self.answer(&envelope::error(error, ErrorStatus::Ok), true, date, now);
    }

    /// When the connection has to have moved on; none while its request is inside.
    pub fn deadline(&self, options: &GateOptions) -> Option<Duration> {
        let span = match self.phase {
            Phase::Head if self.is_head_begun() => options.head_timeout,
            Phase::Head => options.idle_timeout,
            Phase::Body(_) => options.body_timeout,
            Phase::Inside(_) => return None,
            Phase::Answering => ANSWER_TIMEOUT,
            Phase::Leaving => LEAVING_TIMEOUT,
        };
        Some(self.since + span)
    }

    /// What a client hears whose time is up; none if it has sent nothing.
    pub fn overdue(&self, options: &GateOptions) -> Option<CallError> {
        let (what, span) = match self.phase {
            Phase::Head if !self.input.is_empty() => ("head", options.head_timeout),
            Phase::Body(_) => ("body", options.body_timeout),
            _ => return None,
        };
        Some(CallError::TooSlow {
            what,
            milliseconds: u64::try_from(span.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// How it would be missed if it had to make room; none: it stays.
    pub fn missed(&self, now: Duration) -> Option<Missed> {
        match self.phase {
            Phase::Leaving => Some(Missed::Told),
            Phase::Head if self.past == Past::Fresh || self.is_head_begun() => {
                Some(Missed::HalfHead)
            }
            Phase::Body(_) => Some(Missed::HalfBody),
            Phase::Head => Some(Missed::Idle),
            Phase::Answering if now.saturating_sub(self.since) >= LEAVING_TIMEOUT => {
                Some(Missed::SlowReader)
            }
            Phase::Answering | Phase::Inside(_) => None,
        }
    }

    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Head) && !self.is_head_begun()
    }

    pub fn owes_body(&self) -> bool {
        matches!(self.phase, Phase::Body(_))
    }

    /// Bytes held of a request that is not whole, and of an answer that has not left.
    pub fn held_bytes(&self) -> (usize, usize) {
        let answer = self.output.len() - self.written;
        (self.input.capacity() + self.inside_bytes, answer)
    }

    /// Nothing of a head was looked at yet.
    fn is_before_head(&self) -> bool {
        matches!(self.phase, Phase::Head) && self.scanned == 0
    }

    fn is_head_begun(&self) -> bool {
        !self.input.is_empty() || self.stream.is_shaking_hands()
    }

    fn begin_head(&mut self, now: Duration) {
        self.phase = Phase::Head;
        self.scanned = 0;
        self.since = now;
        self.shape = Shape::default();
        if self.input.capacity() > KEPT_BYTES && self.input.is_empty() {
            self.input = Vec::new();
        }
    }

    fn leave(&mut self, now: Duration) {
        self.stream.end();
        self.phase = Phase::Leaving;
        self.since = now;
        self.input = Vec::new();
    }

    fn take(&mut self, options: &GateOptions, block: &mut [u8], now: Duration) -> Turn {
        for _ in 0..READS_MAX {
            match self.parse(options, now) {
                Turn::Wait => {}
                done => return done,
            }
            if !self.may_read {
                return Turn::Wait;
            }
            let was_empty = self.input.is_empty();
            match self.read(block) {
                Ok(0) => return Turn::Close,
                Ok(_) if was_empty && matches!(self.phase, Phase::Head) => self.since = now,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.may_read => {
                    return Turn::Again;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Wait,
                Err(_) => return Turn::Close,
            }
        }
        Turn::Again
    }

    /// What the bytes so far make.
    fn parse(&mut self, options: &GateOptions, now: Duration) -> Turn {
        if self.past == Past::Served && self.is_before_head() && self.input.starts_with(b"\r\n") {
            self.input.drain(..2);
            self.past = Past::SkippedLineEnd;
        }
        if matches!(self.phase, Phase::Head) && !self.input.is_empty() {
            let body_bytes_max = options.body_bytes_max(self.door);
            match head::parse(&self.input, &mut self.scanned, body_bytes_max) {
                Parsed::Partial => return Turn::Wait,
                Parsed::Refused(error) => return Turn::Refuse(error),
                Parsed::Whole(head, bytes) => {
                    self.input.drain(..bytes);
                    if head.expects_continue && self.input.len() < head.body_bytes {
                        self.output.extend_from_slice(CONTINUE);
                        // What does not leave now leaves with the next turn.
                        if self.write().is_err() {
                            return Turn::Close;
                        }
                    }
                    self.phase = Phase::Body(head);
                    self.since = now;
                }
            }
        }
        let Phase::Body(head) = &self.phase else {
            return Turn::Wait;
        };
        if self.input.len() < head.body_bytes {
            return Turn::Wait;
        }
        let rest = self.input.split_off(head.body_bytes);
        let body = std::mem::replace(&mut self.input, rest);
        match std::mem::replace(&mut self.phase, Phase::Answering) {
            Phase::Body(head) => Turn::Request(head, body),
            _ => Turn::Close,
        }
    }

    /// Reads into `input`, which grows by what has come only: thousands of idle connections keep no room.
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let read = loop {
            match self.stream.read(block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let came = read.as_ref().copied().unwrap_or(0);
        self.input
            .extend_from_slice(block.get(..came).unwrap_or_default());
        match &read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.may_read = self.stream.is_spent();
            }
            // A plain stream that gives less than there is room for is empty, or at its end; more of it is another event.
            Ok(bytes) if (1..block.len()).contains(bytes) => {
                self.may_read = self.stream.is_tls() || self.has_ended;
            }
            _ => {}
        }
        read
    }

    fn throw_away(&mut self, block: &mut [u8]) -> Turn {
        for _ in 0..READS_MAX {
            match self.stream.read(block) {
                Ok(0) => return Turn::Close,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return if self.stream.is_spent() {
                        Turn::Again
                    } else {
                        Turn::Wait
                    };
                }
                Err(_) => return Turn::Close,
            }
        }
        Turn::Again
    }

    /// Writes what is owed; whether all of it has left.
    fn write(&mut self) -> io::Result<bool> {
        while self.written < self.output.len() || self.stream.has_unsent() {
            if !self.may_write {
                return Ok(false);
            }
            let rest = self.output.get(self.written..).unwrap_or_default();
            let written = if rest.is_empty() {
                self.stream.push().map(|()| 0)
            } else {
                self.stream.write(rest)
            };
            match written {
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.may_write = false;
                }
                Err(error) => return Err(error),
            }
        }
        if self.written > 0 {
            self.written = 0;
            self.output = Vec::new();
        }
        Ok(true)
    }
}
