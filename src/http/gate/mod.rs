//! The gate: every listener of the process, one event loop on one thread, and the only client of tiny_http.
//!
//! It caps and times connections, refuses every ambiguous framing, hands whole requests on over two private lines, and takes
//! whole answers back, so that no client can hold up another. It knows no route and no user. What stands behind it answers
//! in order on each line, or gives a ticket and answers later through the `Finisher`.

mod client;
mod door;
mod entrance;
mod finisher;
mod head;
mod options;
mod private;
mod roll;
mod stream;
mod upstream;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Token};

use super::answer::{Answer, date};
use super::crm::CallError;
use crate::clock::Clock;
use crate::domain::{Refusal, Timestamp};
use crate::telemetry::{Metric, Metrics};
use client::{Client, Phase, Turn};
use entrance::Descriptors;
pub(super) use options::ONE_ANSWER_BYTES_MAX;
use options::{
    ANSWER_BYTES_MAX, HANDSHAKES_MAX, LINE_BYTES_MAX, REQUEST_BYTES_MAX, STALL, SWEEP_EVERY,
};
use private::RequestId;
use roll::Roll;
use upstream::{Broken, Returned, Upstream};

pub use super::answer::Answer as GateAnswer;
pub use door::{Certificate, Door, DoorError, give_to_group};
pub use finisher::Finisher;
pub use head::{HEAD_BYTES_MAX, HEADERS_MAX, Head, Parsed, URL_BYTES_MAX, parse};
pub use options::GateOptions;
pub use private::{
    Account, DoorKind, Origin, PRIVATE_HEADER, Peer, RequestId as GateRequestId, write_answer,
    write_ticket,
};

/// Connections to tiny_http. Two, so that one that breaks is not all.
const LINES: usize = 2;
const FIRST_DOOR: usize = 0;
const DOORS_MAX: usize = 8;
const WAKER: Token = Token(DOORS_MAX);
const FIRST_LINE: usize = DOORS_MAX + 1;
const FIRST_CLIENT: usize = FIRST_LINE + LINES;
const EVENTS: usize = 1_024;
/// A request's number is a running number and, below it, the slot of its client.
const SLOT_BITS: u32 = 20;
const NO_SLOT: usize = (1 << SLOT_BITS) - 1;

/// What `service.rs` gives.
pub struct GateParts {
    pub doors: Vec<Door>,
    /// tiny_http's socket.
    pub upstream: PathBuf,
    pub options: GateOptions,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
}

/// The loop; its thread runs no script and waits for nothing but the sockets.
pub struct Gate {
    poll: Poll,
    doors: Vec<Door>,
    are_doors_open: bool,
    roll: Roll,
    lines: [Upstream; LINES],
    upstream: PathBuf,
    finisher: Finisher,
    options: GateOptions,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    orders: Arc<Orders>,
    requests: u64,
    line_count: u64,
    date: (i64, String),
    swept: Duration,
    /// Clients to be looked at in this round, and those in the next, whatever happens.
    touched: Vec<usize>,
    again: Vec<usize>,
    /// What one read of a client fills.
    block: Vec<u8>,
    descriptors: Descriptors,
    returned: Vec<Returned>,
}

/// What others may tell the gate.
#[derive(Clone)]
pub struct GateHandle {
    finisher: Finisher,
    orders: Arc<Orders>,
}

/// What the gate is told: other bounds, and how far the end has come (microseconds on the monotonic clock, `NEVER` before).
struct Orders {
    options: Mutex<Option<GateOptions>>,
    doors_closed: AtomicU64,
    over_at: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl GateHandle {
    pub fn finisher(&self) -> Finisher {
        self.finisher.clone()
    }

    /// Other bounds, from the next look at them on.
    pub fn set_options(&self, options: GateOptions) {
        let mut ordered = self
            .orders
            .options
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *ordered = Some(options);
        drop(ordered);
        self.finisher.wake();
    }

    /// Lets nobody in any more. Who is in and asks is still answered, and its connection ends with that.
    pub fn close_doors(&self) {
        self.orders.doors_closed.store(0, Ordering::Release);
        self.finisher.wake();
    }

    /// Ends the loop as soon as every answer that is owed has left, at `until` on the monotonic clock at the latest.
    pub fn end(&self, until: Duration) {
        let until = u64::try_from(until.as_micros()).unwrap_or(NEVER - 1);
        self.orders.over_at.store(until, Ordering::Release);
        self.finisher.wake();
    }
}

impl Gate {
    pub fn new(parts: GateParts) -> io::Result<(Self, GateHandle)> {
        assert!(parts.doors.len() <= DOORS_MAX, "each door has its token");
        let poll = Poll::new()?;
        let finisher = Finisher::new(poll.registry(), WAKER)?;
        let orders = Arc::new(Orders {
            options: Mutex::new(None),
            doors_closed: AtomicU64::new(NEVER),
            over_at: AtomicU64::new(NEVER),
        });
        let handle = GateHandle {
            finisher: finisher.clone(),
            orders: orders.clone(),
        };
        let gate = Self {
            poll,
            doors: parts.doors,
            are_doors_open: false,
            roll: Roll::default(),
            lines: std::array::from_fn(|_| Upstream::new()),
            upstream: parts.upstream,
            finisher,
            options: parts.options,
            clock: parts.clock,
            metrics: parts.metrics,
            orders,
            requests: 0,
            line_count: 0,
            date: (0, date(Timestamp::ZERO)),
            swept: Duration::ZERO,
            touched: Vec::new(),
            again: Vec::new(),
            block: vec![0; client::READ_BYTES],
            descriptors: Descriptors::of_process(),
            returned: Vec::new(),
        };
        Ok((gate, handle))
    }

    /// Works until the end. An error means that the operating system gives no events any more.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        self.sweep(self.clock.monotonic(), false);
        while !self.is_over() {
            let patience = self.patience();
            match self.poll.poll(&mut events, Some(patience)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            let begun = self.clock.monotonic();
            self.touched.append(&mut self.again);
            for event in &events {
                self.hear(event);
            }
            // First who is in: what a client has sent counts before it may have to make room.
            self.turn_touched(begun);
            self.accept_waiting(self.clock.monotonic());
            self.take_finished(begun);
            self.take_returned(begun);
            self.flush_lines(begun);
            let now = self.clock.monotonic();
            let is_quiet = events.is_empty() && !patience.is_zero();
            if is_quiet || now.saturating_sub(self.swept) >= SWEEP_EVERY {
                self.sweep(now, now.saturating_sub(begun) > STALL);
            }
        }
        Ok(())
    }

    /// How long to wait for events: not at all while somebody is owed a turn that can be given.
    fn patience(&self) -> Duration {
        let now = self.clock.monotonic();
        let has_more = !self.again.is_empty() && self.takes_more();
        if has_more || self.doors.iter().any(|door| door.is_due(now)) {
            Duration::ZERO
        } else {
            SWEEP_EVERY
        }
    }

    /// Whether the lines can be given more: beyond that, requests stay in their sockets.
    fn takes_more(&self) -> bool {
        let pending = self.lines.iter().map(Upstream::pending_bytes);
        pending.sum::<usize>() <= LINE_BYTES_MAX
    }

    fn hear(&mut self, event: &Event) {
        let Token(token) = event.token();
        if event.token() == WAKER {
            return;
        }
        let door = token.checked_sub(FIRST_DOOR);
        if let Some(door) = door.and_then(|door| self.doors.get_mut(door)) {
            door.may_accept = true;
            return;
        }
        if token < FIRST_CLIENT {
            let line = token.checked_sub(FIRST_LINE);
            if let Some(line) = line.and_then(|line| self.lines.get_mut(line)) {
                line.may_read |= event.is_readable() || event.is_read_closed();
                line.may_write |= event.is_writable();
            }
            return;
        }
        let slot = token - FIRST_CLIENT;
        if let Some(client) = self.roll.get_mut(slot) {
            client.may_read |= event.is_readable() || event.is_read_closed() || event.is_error();
            client.may_write |= event.is_writable() || event.is_write_closed();
            self.touched.push(slot);
        }
    }

    fn turn_touched(&mut self, now: Duration) {
        let mut touched = std::mem::take(&mut self.touched);
        let mut handshakes = 0;
        for slot in touched.drain(..) {
            let Some(client) = self.roll.get_mut(slot) else {
                continue;
            };
            handshakes += usize::from(client.may_read && client.stream.is_shaking_hands());
            let takes_in = matches!(client.phase, Phase::Head | Phase::Body(_));
            if takes_in && (handshakes > HANDSHAKES_MAX || !self.takes_more()) {
                self.again.push(slot);
            } else {
                self.turn(slot, now);
            }
        }
        self.touched = touched;
    }

    fn turn(&mut self, slot: usize, now: Duration) {
        let (options, block) = (self.options, &mut self.block);
        let turned = self
            .roll
            .with(slot, |client| client.turn(&options, block, now));
        match turned {
            None | Some(Turn::Wait) => {}
            Some(Turn::Again) => self.again.push(slot),
            Some(Turn::Close) => self.close(slot),
            Some(Turn::Request(head, body)) => self.hand_on(slot, &head, &body, now),
            Some(Turn::Refuse(error)) => self.refuse(slot, &error, now),
        }
    }

    /// Puts a whole request on the line that owes least.
    fn hand_on(&mut self, slot: usize, head: &Head, body: &[u8], now: Duration) {
        if self.roll.request_bytes + body.len() > REQUEST_BYTES_MAX {
            return self.refuse(slot, &CallError::Refused(Refusal::Overloaded), now);
        }
        let open = self.lines.iter_mut().filter(|line| line.is_open());
        let Some(line) = open.min_by_key(|line| line.owed()) else {
            return self.refuse(slot, &CallError::Refused(Refusal::Overloaded), now);
        };
        self.requests += 1;
        let id = request_id(self.requests, slot);
        let comes_from = self.roll.with(slot, |client| {
            client.is_inside(id, head.shape, body.len());
            (client.door, client.peer)
        });
        let Some((door, peer)) = comes_from else {
            return;
        };
        let origin = Origin {
            line: line.line,
            id,
            door,
            peer,
        };
        line.send(id, &private_head(&head.text, &origin, body.len()), body);
    }

    fn refuse(&mut self, slot: usize, error: &CallError, now: Duration) {
        self.metrics.count(Metric::HttpRefused);
        let date = self.date();
        self.roll
            .with(slot, |client| client.refuse(error, &date, now));
        self.turn(slot, now);
    }

    fn take_finished(&mut self, now: Duration) {
        for (id, answer) in self.finisher.take() {
            self.answer(id, &answer, now);
        }
    }

    fn take_returned(&mut self, now: Duration) {
        for at in 0..LINES {
            let mut returned = std::mem::take(&mut self.returned);
            let received = match self.lines.get_mut(at) {
                Some(line) if line.is_open() || line.is_proving() => line.receive(&mut returned),
                _ => Ok(()),
            };
            for one in returned.drain(..) {
                if let Returned::Answer(id, answer) = one {
                    self.answer(id, &answer, now);
                }
            }
            self.returned = returned;
            if let Err(broken) = received {
                self.break_line(at, &broken, now);
            }
        }
    }

    fn flush_lines(&mut self, now: Duration) {
        for at in 0..LINES {
            if let Some(Err(broken)) = self.lines.get_mut(at).map(Upstream::flush) {
                self.break_line(at, &broken, now);
            }
        }
    }

    /// Gives an answer to whom it belongs; one whose client has left belongs to nobody.
    fn answer(&mut self, id: RequestId, answer: &Answer, now: Duration) {
        let slot = slot_of(id);
        let is_waiting = |client: &Client| matches!(client.phase, Phase::Inside(own) if own == id);
        if !self
            .roll
            .get_mut(slot)
            .is_some_and(|client| is_waiting(client))
        {
            return;
        }
        self.metrics.count(Metric::HttpRequests);
        let ends = self.are_doors_closed();
        let date = self.date();
        self.roll
            .with(slot, |client| client.answer(answer, ends, &date, now));
        self.turn(slot, now);
        self.spare_answers();
    }

    /// A line is of no more use. What became of its requests is unknown to their clients: their connections end.
    fn break_line(&mut self, at: usize, broken: &Broken, now: Duration) {
        let registry = self.poll.registry();
        let Some(line) = self.lines.get_mut(at) else {
            return;
        };
        let owed = line.close(registry, now);
        self.metrics.count(Metric::HttpLinesBroken);
        tracing::warn!(line = at, %broken, requests = owed.len(), "a private line is opened anew");
        for id in owed {
            let slot = slot_of(id);
            let is_inside =
                |client: &Client| matches!(client.phase, Phase::Inside(own) if own == id);
            if self
                .roll
                .get_mut(slot)
                .is_some_and(|client| is_inside(client))
            {
                self.close(slot);
            }
        }
    }

    fn close(&mut self, slot: usize) {
        if let Some(mut client) = self.roll.remove(slot) {
            if client.is_idle() {
                // By TLS, an end without a farewell looks like an answer that was cut.
                client.stream.end();
            }
            client.stream.deregister(self.poll.registry());
        }
    }

    /// What is done by time: lines, deadlines, room, the stop.
    ///
    /// `has_stalled`: what clients have sent meanwhile was not looked at, so nobody is ended by time.
    fn sweep(&mut self, now: Duration, has_stalled: bool) {
        self.swept = now;
        let ordered = self.orders.options.lock();
        if let Some(options) = ordered.unwrap_or_else(PoisonError::into_inner).take() {
            self.options = options;
        }
        self.mend_lines(now);
        self.open_doors();
        if !has_stalled {
            for slot in self.roll.overdue(&self.options, now) {
                self.end_overdue(slot, now);
            }
        }
        while self.roll.request_bytes > REQUEST_BYTES_MAX
            && let Some(slot) = self.roll.slowest_body()
        {
            self.metrics.count(Metric::HttpEvicted);
            self.refuse(slot, &CallError::Refused(Refusal::Overloaded), now);
        }
        if self.are_doors_closed() {
            self.shut_doors();
        }
        self.metrics
            .set(Metric::HttpConnections, self.roll.len() as u64);
        self.turn_touched(now);
        self.flush_lines(now);
    }

    fn end_overdue(&mut self, slot: usize, now: Duration) {
        let options = self.options;
        match self.roll.with(slot, |client| client.overdue(&options)) {
            Some(Some(error)) => {
                self.metrics.count(Metric::HttpTimedOut);
                self.refuse(slot, &error, now);
            }
            _ => self.close(slot),
        }
    }

    /// Beyond the bound for answers that have not left, whoever holds most goes.
    fn spare_answers(&mut self) {
        while self.roll.answer_bytes > ANSWER_BYTES_MAX
            && let Some(slot) = self.roll.largest_reader()
        {
            self.metrics.count(Metric::HttpEvicted);
            self.close(slot);
        }
    }

    /// One line at a time, each proven by an answer before the next.
    fn mend_lines(&mut self, now: Duration) {
        for at in 0..LINES {
            if self.lines.get(at).is_some_and(|line| line.is_overdue(now)) {
                self.break_line(at, &Broken::Unproven, now);
            }
        }
        if self.lines.iter().any(Upstream::is_proving) {
            return;
        }
        let registry = self.poll.registry();
        let due = self.lines.iter_mut().enumerate();
        let Some((at, line)) = due.into_iter().find(|(_, line)| line.is_due(now)) else {
            return;
        };
        if let Err(error) = line.connect(&self.upstream, registry, Token(FIRST_LINE + at), now) {
            return self.break_line(at, &Broken::Io(error), now);
        }
        self.line_count += 1;
        self.requests += 1;
        line.line = self.line_count;
        let origin = Origin {
            line: line.line,
            id: request_id(self.requests, NO_SLOT),
            door: DoorKind::Ops,
            peer: Peer::Address(std::net::Ipv4Addr::LOCALHOST.into()),
        };
        let head = private_head(b"GET /healthz HTTP/1.1\r\n", &origin, 0);
        line.send(origin.id, &head, &[]);
    }

    fn are_doors_closed(&self) -> bool {
        self.orders.doors_closed.load(Ordering::Acquire) != NEVER
    }

    fn is_over(&self) -> bool {
        let until = self.orders.over_at.load(Ordering::Acquire);
        if until == NEVER {
            return false;
        }
        let is_late = self.clock.monotonic() >= Duration::from_micros(until);
        let owes = |client: &Client| matches!(client.phase, Phase::Inside(_) | Phase::Answering);
        is_late || !self.roll.any(owes)
    }

    /// The text of the `Date` header, made once a second.
    fn date(&mut self) -> String {
        const SECOND_MICROS: i64 = 1_000_000;
        let now = self.clock.now();
        let second = now.micros().div_euclid(SECOND_MICROS);
        if self.date.0 != second {
            self.date = (second, date(now));
        }
        self.date.1.clone()
    }
}

fn request_id(count: u64, slot: usize) -> RequestId {
    RequestId((count << SLOT_BITS) | slot as u64)
}

fn slot_of(id: RequestId) -> usize {
    usize::try_from(id.0 & ((1 << SLOT_BITS) - 1)).unwrap_or(NO_SLOT)
}

/// The head as it goes on: the client's part, where it comes from, the length, the empty line.
fn private_head(text: &[u8], origin: &Origin, body_bytes: usize) -> Vec<u8> {
    let mut end = format!("{PRIVATE_HEADER}: ");
    origin.write(&mut end);
    if body_bytes > 0 {
        end.push_str("\r\nContent-Length: ");
        end.push_str(&body_bytes.to_string());
    }
    end.push_str("\r\n\r\n");
    let mut head = Vec::with_capacity(text.len() + end.len());
    head.extend_from_slice(text);
    head.extend_from_slice(end.as_bytes());
    head
}
