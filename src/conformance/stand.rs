//! Dispatch on a test stand: the product's own `Dispatcher`, with writer, lane and clock played here.
//!
//! What an answer belongs to is dispatch's to say; the stand only hands over what it is given and tells what came of it.

use std::sync::Arc;
use std::time::Duration;

use super::shelf::Shelf;
use crate::commit::{DispatchCommand, Notices};
use crate::dispatch::{Dispatcher, DispatcherOptions, Input, LineOptions, Mode, Now, Output};
use crate::domain::settle::RetryPolicy;
use crate::domain::{Outcome, ProviderNumber, RequestNumber};
use crate::provider::{DownPhase, LaneCommand, LaneEvent, LaneId, Provider, Transactions};
use crate::script::cases::GoldenCommand;
use crate::script::contract::{Decoded, Matching};
use crate::telemetry::Metrics;

/// The one attempt of every request.
const ATTEMPT: u32 = 1;
/// Longer than any check takes.
const PATIENCE: Duration = Duration::from_hours(24);
/// Rounds of dispatch's wishes; it has no more to say long before.
const ROUNDS_MAX: u32 = 100;

/// A command that is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) request: RequestNumber,
    pub(super) transaction: u64,
    pub(super) key: String,
    pub(super) body: Vec<u8>,
    /// The connection that it left on.
    pub(super) connection: u64,
}

/// What dispatch had recorded or done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    /// The attempt that was in flight ended so.
    Ended(RequestNumber, Outcome),
    /// An answer to an attempt that was over.
    Late(RequestNumber),
    /// The connection was given up.
    GivenUp,
}

pub(super) struct Stand {
    provider: Arc<Provider>,
    transactions: Arc<Transactions>,
    dispatcher: Dispatcher,
    shelf: Shelf,
    now: Now,
    connection: u64,
    begun: Vec<(u64, Sent)>,
    sent: Vec<Sent>,
    happened: Vec<Happened>,
    /// The block of numbers that dispatch asked for last.
    block: Option<(u64, u64)>,
}

impl Stand {
    /// Connected, and without a number.
    pub(super) fn new(provider: &Arc<Provider>, command: &GoldenCommand) -> Self {
        let transactions = provider.transactions(None);
        let now = Now {
            wall: command.context.now,
            monotonic: Duration::ZERO,
        };
        let options = DispatcherOptions {
            lines: vec![LineOptions {
                provider: Arc::clone(provider),
                transactions: Arc::clone(&transactions),
                retry: RetryPolicy {
                    delays: vec![PATIENCE],
                    jitter_percent: 0,
                    give_up_after: PATIENCE,
                    ambiguous: provider.session.ambiguous,
                },
            }],
            mode: Mode::Continuous,
            goes_on: None,
            seed: 1,
            recall: Box::new(|_| None),
            metrics: Arc::new(Metrics::new()),
        };
        let mut stand = Self {
            dispatcher: Dispatcher::new(options, now),
            shelf: Shelf::new(provider.mapping.name()),
            provider: Arc::clone(provider),
            transactions,
            now,
            connection: 0,
            begun: Vec::new(),
            sent: Vec::new(),
            happened: Vec::new(),
            block: None,
        };
        stand.step(Input::Start(Vec::new()));
        stand
    }

    pub(super) fn transactions(&self) -> &Transactions {
        &self.transactions
    }

    /// The block of numbers that dispatch waits for.
    pub(super) fn block_asked_for(&self) -> Option<(u64, u64)> {
        self.block
    }

    /// The ledger has reserved these numbers.
    pub(super) fn grant(&mut self, first: u64, last: u64) {
        self.block = None;
        let reserved = vec![(self.number(), first, last)];
        self.step(Input::Committed(Notices {
            reserved,
            ..Notices::default()
        }));
    }

    /// Has a command sent with the number that is next.
    pub(super) fn send(&mut self, command: &GoldenCommand) -> Result<Sent, String> {
        let request = self.shelf.add(&command.request, self.number());
        self.step(Input::Committed(Notices {
            touched: vec![request],
            ..Notices::default()
        }));
        let at = self.sent.iter().position(|sent| sent.request == request);
        at.map(|at| self.sent.swap_remove(at))
            .ok_or_else(|| format!("case `{}`: its command did not go out", command.case))
    }

    /// A frame of the CAS, on the connection that its command left on.
    pub(super) fn hear(&mut self, frame: &[u8], connection: u64) -> Result<Vec<Happened>, String> {
        let decoded = self
            .provider
            .mapping
            .decode(frame, &self.provider.settings)
            .map_err(|error| error.report())?;
        let frame = frame.to_vec();
        let event = match decoded {
            Decoded::Reply(reply) => LaneEvent::Reply {
                connection,
                reply,
                frame,
            },
            Decoded::Push { data, reply } => LaneEvent::Push {
                connection,
                data,
                reply,
                frame,
            },
            Decoded::Keepalive => return Ok(Vec::new()),
            Decoded::Ignore if self.provider.session.matching == Matching::Key => {
                return Ok(Vec::new());
            }
            // What a lane calls a stray: the next frame could speak for another command.
            Decoded::Ignore => {
                self.happened.push(Happened::GivenUp);
                self.step(Input::Lane(self.lane(), down(connection)));
                let ready = self.connect();
                self.step(ready);
                return Ok(std::mem::take(&mut self.happened));
            }
        };
        self.step(Input::Lane(self.lane(), event));
        Ok(std::mem::take(&mut self.happened))
    }

    /// So much time goes by.
    pub(super) fn wait(&mut self, time: Duration) -> Vec<Happened> {
        self.now.monotonic += time;
        self.now.wall = self.now.wall.plus(time);
        self.step(Input::Tick);
        std::mem::take(&mut self.happened)
    }

    fn number(&self) -> ProviderNumber {
        ProviderNumber(self.provider.number)
    }

    fn lane(&self) -> LaneId {
        LaneId {
            provider: self.provider.number,
            lane: 0,
        }
    }

    /// One step of dispatch, and what its wishes lead to.
    fn step(&mut self, input: Input) {
        let mut inputs = vec![input];
        for _ in 0..ROUNDS_MAX {
            let mut outputs = Vec::new();
            for input in inputs.drain(..) {
                outputs.extend(self.dispatcher.step(&self.shelf, self.now, input));
            }
            if outputs.is_empty() {
                return;
            }
            let mut notices = Notices::default();
            for output in outputs {
                match output {
                    Output::Commit(command) => self.record(command, &mut notices),
                    Output::Lane(_, command) => inputs.extend(self.obey(command)),
                }
            }
            if !notices.is_empty() {
                inputs.insert(0, Input::Committed(notices));
            }
        }
    }

    /// What the writer does, without a ledger.
    fn record(&mut self, command: DispatchCommand, notices: &mut Notices) {
        match command {
            DispatchCommand::StartRun { .. } => notices.runs.push(1),
            DispatchCommand::ReserveTransactions { first, last, .. } => {
                self.block = Some((first, last));
            }
            DispatchCommand::Begin(begin) => {
                self.shelf.begin(begin.request, ATTEMPT);
                notices.begun.push((begin.handle, Some(ATTEMPT)));
                let sent = Sent {
                    request: begin.request,
                    transaction: begin.transaction,
                    key: begin.key,
                    body: Vec::new(),
                    connection: self.connection,
                };
                self.begun.push((begin.handle, sent));
            }
            DispatchCommand::Settle(settled) => {
                self.shelf.end(settled.request);
                notices.touched.push(settled.request);
                let ended = Happened::Ended(settled.request, settled.outcome);
                self.happened.push(ended);
            }
            DispatchCommand::Answered(answered) => {
                self.happened.push(Happened::Late(answered.request));
            }
            DispatchCommand::PushReceived { push, .. } => notices.pushes.push((push, true)),
            // What did not go out is missed by who had it sent.
            DispatchCommand::EndUnsent(_)
            | DispatchCommand::Hold { .. }
            | DispatchCommand::Pause { .. }
            | DispatchCommand::AnswersUnknown { .. } => {}
        }
    }

    /// What the lane does, without a socket.
    fn obey(&mut self, command: LaneCommand) -> Vec<Input> {
        let lane = self.lane();
        match command {
            LaneCommand::Connect => vec![self.connect()],
            LaneCommand::Send { frames, .. } => {
                for frame in frames {
                    let begun = &mut self.begun;
                    let at = begun
                        .iter()
                        .position(|(handle, _)| *handle == frame.attempt);
                    let Some((_, sent)) = at.map(|at| begun.swap_remove(at)) else {
                        continue;
                    };
                    self.sent.push(Sent {
                        body: frame.body,
                        ..sent
                    });
                }
                Vec::new()
            }
            // A lane refuses what is meant for a connection that is gone.
            LaneCommand::Reset { connection, .. } if connection == self.connection => {
                self.happened.push(Happened::GivenUp);
                let down = Input::Lane(lane, down(connection));
                vec![down, self.connect()]
            }
            LaneCommand::Reset { .. }
            | LaneCommand::AckPush { .. }
            | LaneCommand::Disconnect { .. }
            | LaneCommand::Stop => Vec::new(),
        }
    }

    fn connect(&mut self) -> Input {
        self.connection += 1;
        let connection = self.connection;
        Input::Lane(self.lane(), LaneEvent::Ready { connection })
    }
}

/// What a lane tells of a connection that it gives up.
fn down(connection: u64) -> LaneEvent {
    LaneEvent::Down {
        connection,
        phase: DownPhase::Established,
        reason: "the order of the answers is lost".to_owned(),
        unsent: Vec::new(),
        retry_in: None,
    }
}
