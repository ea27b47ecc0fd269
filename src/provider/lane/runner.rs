//! The body of a lane's thread: one poll, one connection, one turn after the other until told to stop.
//!
//! A turn waits for the socket, the handle or a timer; hears its orders; reads, decodes, keeps the session, writes once, and
//! hands over what happened as one message. `service.rs` runs it on a thread with a script's stack (8 MiB).

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, SendTimeoutError, Sender};
use mio::{Events, Poll, Token, Waker};

use super::dialogue::Dialogue;
use super::handle::{Shared, Wanted};
use super::link::Link;
use super::status::count;
use super::{DownPhase, LaneBatch, LaneCommand, LaneEvent, LaneHandle, LaneId, Outgoing};
use crate::clock::Clock;
use crate::domain::{Chance, Framing};
use crate::provider::Transactions;
use crate::script::contract::{Decoded, EncodeContext, Session, SessionStep};
use crate::transport::{Connection, ConnectionError};

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);
/// A turn at least this often, so that a stopped dispatcher or a moved clock is seen.
const TURN_AT_MOST: Duration = Duration::from_secs(1);
/// How long a hello or keepalive waits before it asks again for a transaction number.
const NUMBERS_AGAIN: Duration = Duration::from_millis(100);
/// How long one attempt to hand over events lasts before the lane looks whether it shall stop.
const HAND_OVER_PATIENCE: Duration = Duration::from_millis(100);
/// How many such attempts a lane that was stopped makes.
const LAST_TRIES: u32 = 20;

/// Why a lane cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    #[error("lane {lane}: the operating system gives no poll or waker: {source}")]
    Poll {
        lane: LaneId,
        source: std::io::Error,
    },
}

/// What a lane is made of.
pub struct LaneOptions {
    pub id: LaneId,
    /// Host and port; a host with several addresses is tried in turn.
    pub address: String,
    pub framing: Framing,
    /// After the provider's overrides.
    pub session: Session,
    pub transactions: Arc<Transactions>,
    pub clock: Arc<dyn Clock>,
    /// Seed of the jitter.
    pub seed: u64,
    /// Bounded; a full channel makes the lane stop reading its socket.
    pub events: Sender<LaneBatch>,
}

/// Runs one lane.
pub struct LaneRunner {
    options: LaneOptions,
    dialogue: Dialogue,
    poll: Poll,
    shared: Arc<Shared>,
    commands: Receiver<LaneCommand>,
    chance: Chance,
    batch: Vec<LaneEvent>,
    frames: Vec<Vec<u8>>,
    stage: Stage,
    link: Option<Link>,
    /// Connects so far, which is the number of the newest.
    connection: u64,
    backoff: Duration,
    is_ended: bool,
}

/// Where the lane stands. Instants are monotonic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Backoff { until: Duration },
    Connecting { until: Duration },
    Hello { until: Duration },
    Warming { acknowledged: u8 },
    Ready,
}

impl LaneRunner {
    pub(in crate::provider) fn new(
        options: LaneOptions,
        dialogue: Dialogue,
    ) -> Result<(Self, LaneHandle), LaneError> {
        let lane = options.id;
        let failed = |source| LaneError::Poll { lane, source };
        let poll = Poll::new().map_err(failed)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(failed)?;
        let (handle, shared, commands) = LaneHandle::new(waker);
        let chance = Chance::branch(
            options.seed,
            u64::from(lane.provider) << 8 | u64::from(lane.lane),
        );
        let runner = Self {
            backoff: options.session.reconnect_min,
            options,
            dialogue,
            poll,
            shared,
            commands,
            chance,
            batch: Vec::new(),
            frames: Vec::new(),
            stage: Stage::Idle,
            link: None,
            connection: 0,
            is_ended: false,
        };
        runner.shared.status.set_state("stopped");
        Ok((runner, handle))
    }

    /// Blocks until `Stop`, or until nobody takes the events any more.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(8);
        while !self.is_ended {
            // An interrupted wait is a short turn.
            let _ = self.poll.poll(&mut events, Some(self.wait()));
            if let Some(link) = &mut self.link {
                link.may_read |= events.iter().any(|event| event.token() == SOCKET);
            }
            self.obey();
            self.turn_socket();
            self.turn_timers();
            self.flush();
            self.hand_over();
        }
        self.shared.end();
        self.down(DownPhase::Asked, "stopped".to_owned());
        self.hand_over();
        self.shared.status.set_state("stopped");
    }

    fn now(&self) -> Duration {
        self.options.clock.monotonic()
    }

    /// How long the poll may wait: until the next timer, not at all while the socket has more.
    fn wait(&self) -> Duration {
        let stage = match self.stage {
            Stage::Backoff { until } | Stage::Connecting { until } | Stage::Hello { until } => {
                Some(until)
            }
            Stage::Idle | Stage::Warming { .. } | Stage::Ready => None,
        };
        let link = self.link.as_ref();
        if link.is_some_and(|link| link.may_read && link.is_up) {
            return Duration::ZERO;
        }
        let timers = [
            stage,
            link.and_then(|link| link.keepalive.as_ref().map(|sent| sent.until)),
            link.and_then(|link| link.next_keepalive_at),
        ];
        let now = self.now();
        timers
            .into_iter()
            .flatten()
            .map(|at| at.saturating_sub(now))
            .fold(TURN_AT_MOST, Duration::min)
    }

    // ---- orders ----

    fn obey(&mut self) {
        match self.shared.wanted() {
            Wanted::Ended => {
                self.is_ended = true;
                return;
            }
            Wanted::Down { reason } if self.stage != Stage::Idle => {
                self.shared.status.set_state(format!("down: {reason}"));
                self.down(DownPhase::Asked, reason);
                self.stage = Stage::Idle;
            }
            Wanted::Up if self.stage == Stage::Idle => {
                self.backoff = self.options.session.reconnect_min;
                self.connect();
            }
            Wanted::Down { .. } | Wanted::Up => {}
        }
        while let Ok(command) = self.commands.try_recv() {
            match command {
                LaneCommand::Send { frames, .. } => self.send(frames),
                LaneCommand::AckPush { body, .. } => self.acknowledge(&body),
                // These go through the door.
                LaneCommand::Connect | LaneCommand::Disconnect { .. } | LaneCommand::Stop => {}
            }
        }
    }

    fn send(&mut self, frames: Vec<Outgoing>) {
        let mut refused = Vec::new();
        let mut reason = "not connected".to_owned();
        for Outgoing { attempt, body } in frames {
            let Some(link) = &mut self.link else {
                refused.push(attempt);
                continue;
            };
            match link.connection.queue(&body) {
                Ok(offset) => {
                    link.untouched.push_back((attempt, offset));
                    count(&self.shared.status.frames_out, 1);
                }
                Err(error) => {
                    reason = error.to_string();
                    refused.push(attempt);
                }
            }
        }
        if !refused.is_empty() {
            self.batch.push(LaneEvent::NotSent {
                attempts: refused,
                reason,
            });
        }
    }

    /// An answer to a push that cannot be framed costs the push its answer, not the others their connection.
    fn acknowledge(&mut self, body: &[u8]) {
        let Some(link) = &mut self.link else {
            return;
        };
        match link.connection.queue(body) {
            Ok(_) => count(&self.shared.status.frames_out, 1),
            Err(error) => {
                tracing::warn!(lane = %self.options.id, %error, "push not acknowledged");
                self.shared.status.set_error(error.to_string());
            }
        }
    }

    /// Queues a frame of the session itself.
    fn send_own(&mut self, body: &[u8], phase: DownPhase) {
        let Some(link) = &mut self.link else {
            return;
        };
        match link.connection.queue(body) {
            Ok(_) => count(&self.shared.status.frames_out, 1),
            Err(error) => self.down(phase, error.to_string()),
        }
    }

    // ---- the connection's life ----

    fn connect(&mut self) {
        if self.options.transactions.remaining() == 0 {
            self.shared
                .status
                .set_state("waits for transaction numbers");
            self.batch.push(LaneEvent::NumbersNeeded);
            self.stage = Stage::Backoff {
                until: self.now() + NUMBERS_AGAIN,
            };
            return;
        }
        self.connection += 1;
        count(&self.shared.status.connects, 1);
        self.shared.status.set_state("connecting");
        let attempt = self.resolve().and_then(|address| {
            let framing = self.options.framing.clone();
            Connection::connect(address, framing, self.poll.registry(), SOCKET)
                .map_err(|error| error.to_string())
        });
        match attempt {
            Ok(connection) => {
                self.link = Some(Link::new(connection));
                self.stage = Stage::Connecting {
                    until: self.now() + self.options.session.connect_timeout,
                };
            }
            Err(reason) => self.down_and_back_off(DownPhase::Connect, reason),
        }
    }

    /// One address of the host, another one each time. Blocks for the resolver, which has its own time-out.
    fn resolve(&self) -> Result<SocketAddr, String> {
        let address = &self.options.address;
        let found: Vec<SocketAddr> = address
            .to_socket_addrs()
            .map_err(|error| format!("resolving `{address}`: {error}"))?
            .collect();
        let turn = self.connection.saturating_sub(1);
        let index = turn.checked_rem(found.len() as u64).unwrap_or(0);
        usize::try_from(index)
            .ok()
            .and_then(|index| found.get(index).copied())
            .ok_or_else(|| format!("`{address}` has no address"))
    }

    /// The socket is connected: begin the session as soon as there is a transaction number for it.
    fn open(&mut self) {
        if let Some(link) = &mut self.link {
            link.is_up = true;
            // The edge that told of the connect may have told of bytes too.
            link.may_read = true;
        }
        self.stage = Stage::Hello {
            until: self.now() + self.options.session.reply_timeout,
        };
        self.shared.status.set_state("hello");
        let Some(ctx) = self.context() else {
            return self.down(
                DownPhase::Asked,
                "no transaction number is granted".to_owned(),
            );
        };
        let steps = self.dialogue.open(&ctx);
        self.heard_in_hello(steps);
    }

    fn heard_in_hello(&mut self, steps: Result<Vec<SessionStep>, String>) {
        let steps = match steps {
            Ok(steps) => steps,
            Err(reason) => return self.down(DownPhase::Hello, reason),
        };
        for step in steps {
            match step {
                SessionStep::Send(bodies) => {
                    for body in bodies {
                        self.send_own(&body, DownPhase::Hello);
                    }
                }
                SessionStep::Ready => {
                    self.shared.status.set_state("warming");
                    self.warm(0);
                }
                SessionStep::Fail(reason) => return self.down(DownPhase::Hello, reason),
            }
        }
    }

    /// After `acknowledged` keepalives: the next one, or ready.
    fn warm(&mut self, acknowledged: u8) {
        let session = &self.options.session;
        if acknowledged < session.ready_after && !session.keepalive_every.is_zero() {
            self.stage = Stage::Warming { acknowledged };
            return self.keepalive();
        }
        self.stage = Stage::Ready;
        let next =
            (!session.keepalive_every.is_zero()).then(|| self.now() + session.keepalive_every);
        if let Some(link) = &mut self.link {
            link.next_keepalive_at = next;
        }
        self.shared.status.set_state("ready");
        self.shared
            .status
            .set_connected(Some(self.options.clock.now()));
        self.shared.open_for(Some(self.connection));
        tracing::info!(lane = %self.options.id, connection = self.connection, "lane ready");
        self.batch.push(LaneEvent::Ready {
            connection: self.connection,
        });
    }

    fn keepalive(&mut self) {
        let Some(ctx) = self.context() else {
            let again = self.now() + NUMBERS_AGAIN;
            if let Some(link) = &mut self.link {
                link.next_keepalive_at = Some(again);
            }
            return;
        };
        match self.dialogue.keepalive(&ctx) {
            Ok(encoded) => {
                let until = self.now() + self.options.session.reply_timeout;
                if let Some(link) = &mut self.link {
                    link.sent_keepalive(encoded.key, until);
                }
                self.send_own(&encoded.body, DownPhase::Keepalive);
            }
            Err(reason) => self.down(DownPhase::Keepalive, reason),
        }
    }

    fn keepalive_answered(&mut self) {
        let next = self.now() + self.options.session.keepalive_every;
        let Some(link) = &mut self.link else {
            return;
        };
        if link.keepalive.take().is_none() {
            return;
        }
        if let Stage::Warming { acknowledged } = self.stage {
            self.warm(acknowledged.saturating_add(1));
        } else {
            link.next_keepalive_at = Some(next);
            self.proven();
        }
    }

    /// The connection is of use: the next one may come soon. A CAS that greets and closes never gets here.
    fn proven(&mut self) {
        self.backoff = self.options.session.reconnect_min;
    }

    /// What the next frame of the session may use; none until dispatch grants numbers.
    fn context(&mut self) -> Option<EncodeContext> {
        let Some(transaction) = self.options.transactions.take() else {
            self.batch.push(LaneEvent::NumbersNeeded);
            return None;
        };
        Some(EncodeContext {
            transaction,
            now: self.options.clock.now(),
            lane: self.options.id.lane,
        })
    }

    // ---- the socket ----

    fn turn_socket(&mut self) {
        let Some(link) = self.link.as_mut().filter(|link| link.may_read) else {
            return;
        };
        if !link.is_up {
            link.may_read = false;
            match link.connection.finish_connect() {
                Ok(true) => self.open(),
                Ok(false) => {}
                Err(error) => self.down(DownPhase::Connect, error.to_string()),
            }
            return;
        }
        let read = link.connection.read(&mut self.frames);
        link.may_read = matches!(read, Ok(false));
        let phase = self.phase();
        self.hear();
        if let Err(error) = read {
            self.down(phase, error.to_string());
        }
    }

    /// Goes through the frames that were read, as long as their connection stands.
    fn hear(&mut self) {
        let mut frames = std::mem::take(&mut self.frames);
        count(&self.shared.status.frames_in, frames.len());
        for frame in frames.drain(..) {
            if self.link.is_none() {
                break;
            }
            if matches!(self.stage, Stage::Hello { .. }) {
                let steps = self.dialogue.hear(&frame);
                self.heard_in_hello(steps);
            } else {
                self.decode(frame);
            }
        }
        self.frames = frames;
    }

    fn decode(&mut self, frame: Vec<u8>) {
        let connection = self.connection;
        let event = match self.dialogue.decode(&frame) {
            Ok(Decoded::Reply(reply)) => {
                let keepalive = self.link.as_ref().and_then(|link| link.keepalive.as_ref());
                if keepalive.is_some_and(|sent| sent.key == reply.key) {
                    if reply.outcome.is_confirmed() {
                        return self.keepalive_answered();
                    }
                    let code = reply.code.as_deref().unwrap_or("none");
                    return self.down(
                        DownPhase::Keepalive,
                        format!("the CAS refused a keepalive, code `{code}`"),
                    );
                }
                self.proven();
                LaneEvent::Reply {
                    connection,
                    reply,
                    frame,
                }
            }
            Ok(Decoded::Push { data, reply }) => LaneEvent::Push {
                connection,
                data,
                reply,
                frame,
            },
            Ok(Decoded::Keepalive) => return self.keepalive_answered(),
            Ok(Decoded::Ignore) => return,
            Err(error) => {
                count(&self.shared.status.frames_unreadable, 1);
                LaneEvent::Unreadable {
                    connection,
                    frame,
                    error,
                }
            }
        };
        self.batch.push(event);
    }

    fn flush(&mut self) {
        let Some(link) = &mut self.link else {
            return;
        };
        if let Err(error) = link.flush() {
            let reason = error.to_string();
            // Answers that came before the end still count.
            let _: Result<bool, ConnectionError> = link.connection.read(&mut self.frames);
            let phase = self.phase();
            self.hear();
            self.down(phase, reason);
        }
    }

    // ---- timers ----

    fn turn_timers(&mut self) {
        let now = self.now();
        match self.stage {
            Stage::Backoff { until } if now >= until => self.connect(),
            Stage::Connecting { until } if now >= until => {
                self.down(DownPhase::Connect, "no connection in time".to_owned());
            }
            Stage::Hello { until } if now >= until => {
                self.down(
                    DownPhase::Hello,
                    "no answer to the hello in time".to_owned(),
                );
            }
            _ => {}
        }
        let Some(link) = &mut self.link else {
            return;
        };
        // While the socket has more to read, the answer may be in it.
        if !link.may_read
            && link
                .keepalive
                .as_ref()
                .is_some_and(|sent| now >= sent.until)
        {
            return self.down(
                DownPhase::Keepalive,
                "no answer to a keepalive in time".to_owned(),
            );
        }
        if link.next_keepalive_at.is_some_and(|at| now >= at) {
            link.next_keepalive_at = None;
            self.keepalive();
        }
    }

    // ---- the end of a connection ----

    fn phase(&self) -> DownPhase {
        match self.stage {
            Stage::Connecting { .. } => DownPhase::Connect,
            Stage::Hello { .. } => DownPhase::Hello,
            Stage::Warming { .. } => DownPhase::Keepalive,
            Stage::Idle | Stage::Backoff { .. } | Stage::Ready => DownPhase::Established,
        }
    }

    /// Ends the connection, if there is one, and backs off.
    fn down(&mut self, phase: DownPhase, reason: String) {
        if self.link.is_some() {
            self.down_and_back_off(phase, reason);
        }
    }

    fn down_and_back_off(&mut self, phase: DownPhase, reason: String) {
        self.shared.open_for(None);
        let mut unsent = Vec::new();
        if let Some(mut link) = self.link.take() {
            link.forget_touched();
            unsent.extend(link.untouched.iter().map(|(attempt, _)| *attempt));
            link.connection.close(self.poll.registry());
        }
        while let Ok(command) = self.commands.try_recv() {
            if let LaneCommand::Send { frames, .. } = command {
                unsent.extend(frames.iter().map(|outgoing| outgoing.attempt));
            }
        }
        self.shared.status.set_connected(None);
        let retry_in = (self.shared.wanted() == Wanted::Up).then(|| {
            let retry_in = self.chance.jitter(self.backoff);
            self.backoff = (self.backoff * 2).min(self.options.session.reconnect_max);
            retry_in
        });
        self.stage = match retry_in {
            Some(retry_in) => Stage::Backoff {
                until: self.now() + retry_in,
            },
            None => Stage::Idle,
        };
        if phase == DownPhase::Asked {
            tracing::info!(lane = %self.options.id, reason, "lane down");
        } else {
            self.shared.status.set_state("reconnecting");
            self.shared.status.set_error(reason.clone());
            tracing::warn!(lane = %self.options.id, ?phase, reason, "lane down");
        }
        self.batch.push(LaneEvent::Down {
            connection: self.connection,
            phase,
            reason,
            unsent,
            retry_in,
        });
    }

    /// Hands the turn's events over. Waits while the dispatcher is behind: meanwhile nothing is read, so the CAS waits too.
    fn hand_over(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let mut message = (self.options.id, std::mem::take(&mut self.batch));
        let mut last_tries = LAST_TRIES;
        while last_tries > 0 {
            match self
                .options
                .events
                .send_timeout(message, HAND_OVER_PATIENCE)
            {
                Ok(()) => return,
                Err(SendTimeoutError::Timeout(back)) => {
                    last_tries -= u32::from(self.is_ended);
                    message = back;
                }
                Err(SendTimeoutError::Disconnected(_)) => {
                    self.is_ended = true;
                    return;
                }
            }
        }
    }
}
