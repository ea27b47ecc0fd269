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
mod lines;
mod options;
mod private;
mod roll;
mod stream;
mod sweep;
mod upstream;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token};

use super::answer::date;
use super::crm::CallError;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::telemetry::{Metric, Metrics};
use client::{Client, Phase, Turn};
use entrance::Descriptors;
pub(super) use options::ONE_ANSWER_BYTES_MAX;
use options::{AWAKE_AFTER, AWAKE_FOR_ANSWER, HANDSHAKES_MAX, STALL, SWEEP_EVERY};
use roll::Roll;
use upstream::{Returned, Upstream};

pub use super::answer::Answer as GateAnswer;
pub use door::{Certificate, Door, DoorError, give_to_group};
pub use finisher::Finisher;
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
    /// When a request last went to a line, or its answer to its client; of the machine, for a clock of tests may stand still.
    moved: Instant,
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

/// What the gate is told: other bounds, that its doors close, and when it is over at the latest (microseconds on the monotonic
/// clock, `NEVER` before).
struct Orders {
    options: Mutex<Option<GateOptions>>,
    are_doors_closed: AtomicBool,
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
        self.orders.are_doors_closed.store(true, Ordering::Release);
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
            are_doors_closed: AtomicBool::new(false),
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
            moved: Instant::now(),
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
            match self.listen(&mut events, patience) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                listened => listened?,
            }
            let begun = self.clock.monotonic();
            self.touched.append(&mut self.again);
            for event in &events {
                self.hear(event);
            }
            // First who is in: what a client has sent counts before it may have to make room.
            self.turn_touched(begun);
            // Whoever works on them begins while answers are given.
            self.flush_lines(begun);
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

    /// Waits for events. While a lone request is on its way, or was a moment ago, the gate stays awake for them: a core that sleeps
    /// takes longer to wake than the gate has to work. Others who want the core get it.
    fn listen(&mut self, events: &mut Events, patience: Duration) -> io::Result<()> {
        while !patience.is_zero() && self.stays_awake() {
            self.poll.poll(events, Some(Duration::ZERO))?;
            if !events.is_empty() {
                return Ok(());
            }
            std::thread::yield_now();
        }
        self.poll.poll(events, Some(patience))
    }

    fn stays_awake(&self) -> bool {
        let awake_for = match self.lines.iter().map(Upstream::owed).sum() {
            0 => AWAKE_AFTER,
            1 => AWAKE_FOR_ANSWER,
            // With more there is always something to do.
            _ => return false,
        };
        self.moved.elapsed() < awake_for
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
                line.has_ended |= event.is_read_closed();
                line.may_read |= event.is_readable() || event.is_read_closed();
                line.may_write |= event.is_writable();
            }
            return;
        }
        let slot = token - FIRST_CLIENT;
        if let Some(client) = self.roll.get_mut(slot) {
            client.has_ended |= event.is_read_closed() || event.is_error();
            client.may_read |= event.is_readable() || client.has_ended;
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

    fn refuse(&mut self, slot: usize, error: &CallError, now: Duration) {
        self.metrics.count(Metric::HttpRefused);
        let date = self.date();
        self.roll
            .with(slot, |client| client.refuse(error, &date, now));
        self.turn(slot, now);
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

    fn are_doors_closed(&self) -> bool {
        self.orders.are_doors_closed.load(Ordering::Acquire)
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
