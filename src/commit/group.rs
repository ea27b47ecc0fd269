//! One group while it is being made: each command judged with the writes of those before it, recorded, applied to the draft.

use std::time::Duration;

use super::chunk::{self, Desk};
use super::command::{Command, Committed, DispatchCommand, Fresh, Reply};
use super::door::Order;
use super::judge;
use super::notices::Notices;
use super::pushes::Pushes;
use crate::domain::admission::{Admission, Ask, admit};
use crate::domain::apply::{Recorded, apply};
use crate::domain::event::Event;
use crate::domain::{Outcome, Refusal, Timestamp, View, items};
use crate::ledger::{GroupMark, Ledger, LedgerError};
use crate::store::{Changes, Draft, Savepoint};
use crate::telemetry::{Metric, Metrics};

/// A row of a job and the cursor behind it.
pub(super) const CHUNK_COMMANDS: u64 = 2;

/// How much room the disk had when it was last asked.
#[derive(Clone, Copy, Default)]
pub(super) struct Space {
    pub checked_at: Option<Duration>,
    pub is_low: bool,
    pub is_very_low: bool,
}

/// One group while it is being made.
pub(super) struct Group<'a> {
    pub draft: Draft<'a>,
    pub ledger: &'a mut Ledger,
    pub now: Timestamp,
    pub space: &'a Space,
    pub pushes: &'a mut Pushes,
    pub metrics: &'a Metrics,
    pub notices: Notices,
    /// What its events count; told when they are synced.
    pub counted: Vec<(Metric, u64)>,
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
    pub fn is_full(&self) -> bool {
        self.ledger.group_is_full()
    }

    pub fn order(
        &mut self,
        order: Order,
    ) -> Result<(Reply, Result<Committed, Refusal>), LedgerError> {
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
            Command::Ask(ask) => self.ask(by, ask),
            command => self.row(by, |view| judge::command(view, command)),
        }
    }

    fn ask(&mut self, by: &str, ask: &Ask) -> Result<Result<Committed, Refusal>, LedgerError> {
        let (number, mut events) = match admit(&self.draft, ask, self.now) {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(Admission::Repeat(number)) => {
                let fresh = None;
                return Ok(Ok(Committed::Request { number, fresh }));
            }
            Ok(Admission::New { request, events }) => (request, events),
        };
        if let Err(refusal) = self.record(by, &events)? {
            return Ok(Err(refusal));
        }
        // What must make room for it stands before it.
        let accepted = events.pop().and_then(Event::into_accepted);
        let fresh = accepted.map(|accepted| {
            Box::new(Fresh {
                accepted,
                at: self.now,
                by: by.to_owned(),
            })
        });
        Ok(Ok(Committed::Request { number, fresh }))
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

    pub fn dispatched(&mut self, command: &DispatchCommand) -> Result<(), LedgerError> {
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

    pub fn end(self) -> (Changes, Notices, Vec<(Metric, u64)>) {
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
