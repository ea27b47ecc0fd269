//! The writer's loop: one group after the other, each synced before anybody hears of it.
//!
//! The first I/O error ends the process before any waiter of that group is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Select, Sender};

use super::chunk::{self, Desk};
use super::command::{Command, Committed, DispatchCommand, Reply};
use super::door::{Order, Queues};
use super::judge;
use super::notices::{Mailbox, Notices};
use super::pushes::Pushes;
use crate::clock::Clock;
use crate::domain::apply::{Recorded, apply};
use crate::domain::event::Event;
use crate::domain::{Outcome, Refusal, Timestamp, View, items};
use crate::ledger::{GroupMark, Ledger, LedgerError};
use crate::store::{Changes, Draft, Savepoint, State};
use crate::telemetry::{Metric, Metrics, Pulse, fatal};

/// Answers of one group, to be given on the responder's thread.
pub type Responses = Vec<(Reply, Result<Committed, Refusal>)>;

/// What the writer is told at its birth.
pub struct WriterOptions {
    /// Under this much free space nothing new is accepted; under half of it no attempt begins.
    pub reserve_bytes: u64,
    /// Orders in one group.
    pub group_commands_max: u32,
}

/// A row of a job and the cursor behind it.
const CHUNK_COMMANDS: u64 = 2;
/// How often free space is asked for.
const SPACE_CHECK_EVERY: Duration = Duration::from_secs(1);

/// What the writer works with.
pub struct WriterParts {
    pub ledger: Ledger,
    pub state: Arc<State>,
    pub clock: Arc<dyn Clock>,
    pub queues: Queues,
    pub mailboxes: Vec<Arc<Mailbox>>,
    pub responses: Sender<Responses>,
    pub metrics: Arc<Metrics>,
    pub options: WriterOptions,
}

/// The only writer of ledger and state.
pub struct Writer {
    ledger: Ledger,
    state: Arc<State>,
    clock: Arc<dyn Clock>,
    queues: Queues,
    mailboxes: Vec<Arc<Mailbox>>,
    responses: Sender<Responses>,
    metrics: Arc<Metrics>,
    group_commands_max: u32,
    space: Space,
    pushes: Pushes,
    pulse: Arc<Pulse>,
    reserve_bytes: Arc<AtomicU64>,
}

impl Writer {
    pub fn new(parts: WriterParts) -> Self {
        let WriterParts {
            ledger,
            state,
            clock,
            queues,
            mailboxes,
            responses,
            metrics,
            options,
        } = parts;
        Self {
            ledger,
            state,
            clock,
            queues,
            mailboxes,
            responses,
            metrics,
            group_commands_max: options.group_commands_max,
            space: Space::default(),
            pushes: Pushes::default(),
            pulse: Arc::default(),
            reserve_bytes: Arc::new(AtomicU64::new(options.reserve_bytes)),
        }
    }

    /// Beats once a group. A group that lasts is a command that waits: it is in the group or behind it.
    pub fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }

    /// The reserve that counts, for a reload to change.
    pub fn reserve_bytes(&self) -> Arc<AtomicU64> {
        self.reserve_bytes.clone()
    }

    /// Works until `stop` says so, then refuses what is still queued and closes ledger and state.
    pub fn run(mut self, stop: &Receiver<()>) {
        while self.wait(stop) {
            self.pulse.beat(self.clock.monotonic());
            self.state.wait_for_room();
            if let Err(error) = self.turn() {
                fatal(&format!("the ledger cannot be written: {error}"));
            }
            self.pulse.rest();
        }
        self.refuse_queued();
        if let Err(error) = self.ledger.close() {
            fatal(&format!("the ledger cannot be closed: {error}"));
        }
        if let Err(error) = self.state.close() {
            fatal(&format!("the state cannot be closed: {error}"));
        }
    }

    /// Waits for anything to do; `false` means stop.
    fn wait(&self, stop: &Receiver<()>) -> bool {
        let Queues {
            dispatch,
            interactive,
            jobs,
        } = &self.queues;
        let mut select = Select::new();
        let stopped = select.recv(stop);
        select.recv(dispatch);
        select.recv(interactive);
        select.recv(jobs);
        let ready = select.ready();
        // Dispatch's own commands are still taken when it is time to stop: they record what the CAS did.
        ready != stopped || !dispatch.is_empty()
    }

    /// One group: takes what is queued, judges, records, syncs, makes visible, answers. After an error nothing may be
    /// answered any more.
    pub fn turn(&mut self) -> Result<(), LedgerError> {
        let space = self.look_at_space()?;
        let commands = if self.queues.jobs.is_empty() {
            1
        } else {
            CHUNK_COMMANDS
        };
        self.ledger.begin_group_for(commands)?;
        let state = self.state.clone();
        let view = state.view();
        let mut group = Group {
            draft: Draft::new(&view),
            ledger: &mut self.ledger,
            now: self.clock.now(),
            space: &space,
            pushes: &mut self.pushes,
            metrics: &self.metrics,
            notices: Notices::default(),
            counted: Vec::new(),
        };
        let mut responses = Responses::new();
        let mut room = self.group_commands_max;
        while room > 0 && !group.is_full() {
            let Ok(command) = self.queues.dispatch.try_recv() else {
                break;
            };
            group.dispatched(&command)?;
            room -= 1;
        }
        while room > 0 && !group.is_full() {
            let Ok(order) = self.queues.interactive.try_recv() else {
                break;
            };
            responses.push(group.order(order)?);
            room -= 1;
        }
        if room > 0
            && group.ledger.has_room_for(CHUNK_COMMANDS)
            && let Ok(order) = self.queues.jobs.try_recv()
        {
            responses.push(group.order(order)?);
        }
        let (changes, notices, counted) = group.end();
        drop(view);
        let written = self.ledger.sync()?;
        if written.lines > 0 {
            self.metrics.count(Metric::LedgerGroups);
            self.metrics.add(Metric::LedgerBytes, written.bytes);
        }
        for (metric, amount) in counted {
            self.metrics.add(metric, amount);
        }
        if !changes.is_empty() {
            self.state.merge(changes);
        }
        if !notices.is_empty() {
            for mailbox in &self.mailboxes {
                mailbox.put(&notices);
            }
        }
        if !responses.is_empty() {
            // The responder outlives the writer; if it is gone the process is ending.
            let _ = self.responses.send(responses);
        }
        Ok(())
    }

    fn look_at_space(&mut self) -> Result<Space, LedgerError> {
        let now = self.clock.monotonic();
        let is_fresh = self
            .space
            .checked_at
            .is_some_and(|at| now.saturating_sub(at) < SPACE_CHECK_EVERY);
        if !is_fresh {
            let free = self.ledger.free_bytes()?;
            let reserve = self.reserve_bytes.load(Ordering::Relaxed);
            self.space = Space {
                checked_at: Some(now),
                is_low: free < reserve,
                is_very_low: free < reserve / 2,
            };
        }
        Ok(self.space)
    }

    fn refuse_queued(&self) {
        let left: Vec<Order> = self
            .queues
            .interactive
            .try_iter()
            .chain(self.queues.jobs.try_iter())
            .collect();
        let refused = left
            .into_iter()
            .map(|order| (order.reply, Err(Refusal::Stopping)))
            .collect();
        let _ = self.responses.send(refused);
    }
}

#[derive(Clone, Copy, Default)]
struct Space {
    checked_at: Option<Duration>,
    is_low: bool,
    is_very_low: bool,
}

/// One group while it is being made.
struct Group<'a> {
    draft: Draft<'a>,
    ledger: &'a mut Ledger,
    now: Timestamp,
    space: &'a Space,
    pushes: &'a mut Pushes,
    metrics: &'a Metrics,
    notices: Notices,
    /// What its events count; told when they are synced.
    counted: Vec<(Metric, u64)>,
}

/// What an event counts.
fn counts(event: &Event) -> Option<(Metric, u64)> {
    match event {
        Event::AttemptBegun(_) => Some((Metric::AttemptsBegun, 1)),
        Event::AttemptSettled(settled) if settled.outcome == Outcome::Unknown => {
            Some((Metric::AttemptsUnknown, 1))
        }
        Event::LateAnswer(_) => Some((Metric::AnswersLate, 1)),
        Event::AnswersUnknown { count, .. } => Some((Metric::AnswersUnmatched, *count)),
        _ => None,
    }
}

impl Group<'_> {
    fn is_full(&self) -> bool {
        self.ledger.group_is_full()
    }

    fn order(&mut self, order: Order) -> Result<(Reply, Result<Committed, Refusal>), LedgerError> {
        self.ledger.begin_command();
        let result = self.judge(&order.command, &order.by)?;
        Ok((order.reply, result))
    }

    fn judge(
        &mut self,
        command: &Command,
        by: &str,
    ) -> Result<Result<Committed, Refusal>, LedgerError> {
        let grows = matches!(
            command,
            Command::Ask(_)
                | Command::RegisterItems { .. }
                | Command::RegisterSubscriptions { .. }
                | Command::CreateJob(_)
                | Command::RunChunk(_)
        );
        if grows && self.space.is_low {
            return Ok(Err(Refusal::ReserveLow));
        }
        match command {
            Command::RegisterItems { items, may_update } => {
                let mut rows = Vec::with_capacity(items.len());
                for item in items {
                    rows.push(self.row(by, |view| items::register(view, item, *may_update))?);
                }
                Ok(Ok(Committed::Items(rows)))
            }
            Command::RegisterSubscriptions {
                subscriptions,
                may_update,
            } => {
                let mut rows = Vec::with_capacity(subscriptions.len());
                for new in subscriptions {
                    rows.push(self.row(by, |view| {
                        items::register_subscription(view, new, *may_update)
                    })?);
                }
                Ok(Ok(Committed::Subscriptions(rows)))
            }
            Command::RunChunk(chunk) => {
                let now = self.now;
                chunk::judge(&mut RowDesk { group: self, by }, chunk, now)
            }
            command => {
                let now = self.now;
                self.row(by, |view| judge::command(view, command, now))
            }
        }
    }

    /// Judges one row and records its events, so that the next one sees them.
    fn row<T>(
        &mut self,
        by: &str,
        judge: impl FnOnce(&dyn View) -> Result<(T, Vec<Event>), Refusal>,
    ) -> Result<Result<T, Refusal>, LedgerError> {
        match judge(&self.draft) {
            Ok((done, events)) => Ok(self.record(by, &events)?.map(|()| done)),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    fn dispatched(&mut self, command: &DispatchCommand) -> Result<(), LedgerError> {
        let may_record = match command {
            DispatchCommand::Begin(_) => {
                self.notices.is_space_low |= self.space.is_very_low;
                !self.space.is_very_low
            }
            DispatchCommand::PushReceived { provider, .. } => {
                !self.space.is_low && self.pushes.take(*provider, self.now)
            }
            _ => true,
        };
        let mut events = Vec::new();
        if may_record {
            self.ledger.begin_command();
            events = judge::dispatched(&self.draft, command, self.now);
            if self.record("dispatch", &events)?.is_err() {
                // What dispatch says is about the CAS and is recorded, if need be without its bytes.
                events = judge::dispatched_in_brief(&self.draft, command, self.now);
                if self.record("dispatch", &events)?.is_err() {
                    events.clear();
                }
            }
        }
        match command {
            DispatchCommand::Begin(begin) => {
                let attempt = events.iter().find_map(|event| match event {
                    Event::AttemptBegun(begun) => Some(begun.attempt),
                    _ => None,
                });
                self.notices.begun.push((begin.handle, attempt));
            }
            DispatchCommand::ReserveTransactions {
                provider,
                first,
                last,
            } => {
                self.notices.reserved.push((*provider, *first, *last));
            }
            DispatchCommand::PushReceived { push, .. } => {
                if events.is_empty() {
                    self.metrics.add(Metric::PushesPassedOver, 1);
                }
                self.notices.pushes.push((*push, !events.is_empty()));
            }
            DispatchCommand::StartRun { .. } => self.notices.runs.push(self.draft.meta().last_run),
            _ => {}
        }
        Ok(())
    }

    /// Records what was judged as one, all of it or nothing. Events that a command has no room for are a refusal of that
    /// command; only the files' errors are the ledger's.
    fn record(&mut self, by: &str, events: &[Event]) -> Result<Result<(), Refusal>, LedgerError> {
        let positions = match self.ledger.push_all(self.now, by, events) {
            Ok(positions) => positions,
            Err(error) if error.is_about_event() => {
                tracing::error!(by, %error, "a command is not recorded");
                self.metrics.add(Metric::CommandsTooLarge, 1);
                return Ok(Err(Refusal::TooLarge));
            }
            Err(error) => return Err(error),
        };
        self.counted.extend(events.iter().filter_map(counts));
        for (event, position) in events.iter().zip(positions) {
            apply(
                &mut self.draft,
                Recorded {
                    position,
                    at: self.now,
                    by,
                },
                event,
            );
        }
        Ok(Ok(()))
    }

    fn end(self) -> (Changes, Notices, Vec<(Metric, u64)>) {
        let mut changes = self.draft.changes;
        let mut notices = self.notices;
        notices.touched = changes.touched();
        notices.providers = changes.touched_providers();
        (changes, notices, self.counted)
    }
}

/// The group as the rows of a chunk see it.
struct RowDesk<'a, 'b> {
    group: &'a mut Group<'b>,
    by: &'a str,
}

impl Desk for RowDesk<'_, '_> {
    type Mark = (GroupMark, Savepoint, usize);

    fn view(&self) -> &dyn View {
        &self.group.draft
    }

    fn has_room(&self) -> bool {
        self.group.ledger.has_room_for(CHUNK_COMMANDS)
    }

    fn begin_row(&mut self) {
        self.group.ledger.begin_command();
    }

    fn mark(&mut self) -> Self::Mark {
        let counted = self.group.counted.len();
        (
            self.group.ledger.mark(),
            self.group.draft.savepoint(),
            counted,
        )
    }

    fn roll_back(&mut self, (ledger, draft, counted): Self::Mark) {
        self.group.ledger.rewind(ledger);
        self.group.draft.roll_back(draft);
        self.group.counted.truncate(counted);
    }

    fn release(&mut self) {
        self.group.draft.release();
    }

    fn record(&mut self, events: &[Event]) -> Result<Result<(), Refusal>, LedgerError> {
        self.group.record(self.by, events)
    }
}
