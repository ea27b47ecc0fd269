//! The body of a lane's thread: one poll, one connection, one turn after the other until told to stop.
//!
//! A turn waits for the socket, the handle or a timer; hears its orders; reads, decodes, keeps the session, writes once, and
//! hands over what happened as one message. `service.rs` runs it on a thread with a script's stack (8 MiB).

mod connect;
mod converse;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, SendTimeoutError};
use mio::{Events, Poll, Token, Waker};

use super::dialogue::Dialogue;
use super::handle::{Shared, Wanted};
use super::link::Link;
use super::status::count;
use super::{DownPhase, LaneCommand, LaneEvent, LaneHandle, LaneId, Outgoing};
use crate::domain::{Chance, Framing};
use crate::provider::secrets::Unsendable;
use crate::provider::{Credentials, LaneWires, Secrets, Tapped};
use crate::script::contract::Session;
use crate::telemetry::Metric;
use crate::transport::ConnectionError;

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
/// How long a lane rests that panics over its own panic.
const PANIC_PAUSE: Duration = Duration::from_secs(1);

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
    pub credentials: Credentials,
    pub framing: Framing,
    /// After the provider's overrides.
    pub session: Session,
    /// Seed of the jitter.
    pub seed: u64,
    pub wires: LaneWires,
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
    /// The provider's, and those of the session.
    secrets: Secrets,
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
            secrets: options.credentials.secrets().clone(),
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
    ///
    /// A panic costs the lane its connection and nothing else: what was in flight on it is unknown, and it backs off.
    pub fn run(mut self) {
        while contained(|| self.work()).is_err() {
            self.options.wires.metrics.count(Metric::LanePanics);
            tracing::error!(lane = %self.options.id, "a lane panicked; its connection is given up");
            if self.shared.wanted() == Wanted::Ended {
                break;
            }
            if contained(|| self.recover()).is_err() {
                std::thread::sleep(PANIC_PAUSE);
            }
        }
        self.shared.end();
    }

    fn work(&mut self) {
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
        self.down(DownPhase::Asked, "stopped");
        self.hand_over();
        self.shared.status.set_state("stopped");
    }

    fn now(&self) -> Duration {
        self.options.wires.clock.monotonic()
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
                LaneCommand::Reset { reason, .. } => self.down(DownPhase::Established, reason),
                // These go through the door.
                LaneCommand::Connect | LaneCommand::Disconnect { .. } | LaneCommand::Stop => {}
            }
        }
    }

    fn send(&mut self, frames: Vec<Outgoing>) {
        let mut refused: BTreeMap<(String, bool), Vec<u64>> = BTreeMap::new();
        for Outgoing { attempt, body } in frames {
            let Some(link) = &mut self.link else {
                refused
                    .entry(("not connected".to_owned(), true))
                    .or_default()
                    .push(attempt);
                continue;
            };
            let queued = queue(link, &self.secrets, &self.options, &body);
            match queued {
                Ok(offset) => {
                    link.awaited = Some(link.connection.queued_bytes());
                    link.untouched.push_back((attempt, offset));
                    count(&self.shared.status.frames_out, 1);
                }
                Err(error) => {
                    let may_go_later = error.may_pass();
                    let reason = (error.to_string(), may_go_later);
                    refused.entry(reason).or_default().push(attempt);
                }
            }
        }
        for ((reason, may_go_later), attempts) in refused {
            tracing::warn!(lane = %self.options.id, commands = attempts.len(), %reason, "not sent");
            self.batch.push(LaneEvent::NotSent {
                attempts,
                reason,
                may_go_later,
            });
        }
    }

    /// An answer to a push that cannot be framed costs the push its answer, not the others their connection.
    fn acknowledge(&mut self, body: &[u8]) {
        let Some(link) = &mut self.link else {
            return;
        };
        // It may repeat what the CAS said, so nothing in it names a secret.
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
        match queue(link, &self.secrets, &self.options, body) {
            Ok(_) => count(&self.shared.status.frames_out, 1),
            Err(error) => self.down(phase, error.to_string()),
        }
    }

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

    fn turn_timers(&mut self) {
        let now = self.now();
        match self.stage {
            Stage::Backoff { until } if now >= until => self.connect(),
            Stage::Connecting { until } if now >= until => {
                self.down(DownPhase::Connect, "no connection in time");
            }
            Stage::Hello { until } if now >= until => {
                self.down(DownPhase::Hello, "no answer to the hello in time");
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
            return self.down(DownPhase::Keepalive, "no answer to a keepalive in time");
        }
        if link.next_keepalive_at.is_some_and(|at| now >= at) {
            link.next_keepalive_at = None;
            self.keepalive();
        }
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
                .wires
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

/// Puts the secrets in and queues a frame; answers the offset of its first byte. Whoever listens hears it as it is recorded.
fn queue(
    link: &mut Link,
    secrets: &Secrets,
    options: &LaneOptions,
    frame: &[u8],
) -> Result<u64, Unsendable> {
    let queued = secrets
        .complete(&options.framing, frame)
        .and_then(|revealed| Ok((link.connection.queue(&revealed.payload)?, revealed)));
    let tapped = match &queued {
        Ok((_, revealed)) => Tapped::Sent {
            frame,
            payload_bytes: revealed.payload.len(),
            secrets: revealed.secrets,
        },
        Err(_) => Tapped::NotSent { frame },
    };
    tap(&options.wires, &tapped);
    queued.map(|(offset, _)| offset)
}

/// Lets whoever listens hear a frame.
fn tap(wires: &LaneWires, tapped: &Tapped<'_>) {
    if let Some(tap) = &wires.tap {
        tap(tapped);
    }
}

/// Runs the work; an error is a panic that is over. What the work holds must be mended or given up then.
fn contained(work: impl FnOnce()) -> Result<(), ()> {
    catch_unwind(AssertUnwindSafe(work)).map_err(drop)
}
