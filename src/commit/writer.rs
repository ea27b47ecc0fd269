//! The writer's loop: one group after the other, each synced before anybody hears of it.
//!
//! The first I/O error ends the process before any waiter of that group is answered.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Select, Sender};

use super::command::{Committed, Reply};
use super::door::{Order, Queues};
use super::group::{CHUNK_COMMANDS, Group, Space};
use super::notices::{Mailbox, Notices};
use super::pushes::Pushes;
use crate::clock::Clock;
use crate::domain::Refusal;
use crate::ledger::{Ledger, LedgerError};
use crate::store::{Draft, State};
use crate::telemetry::{Metric, Metrics, Pulse, fatal};

/// Answers of one group, to be given on the responder's thread.
pub type Responses = Vec<(Reply, Result<Committed, Refusal>)>;

/// Gives one answer; a panic costs nothing but this one.
pub fn give(reply: Reply, result: Result<Committed, Refusal>, metrics: &Metrics) {
    if catch_unwind(AssertUnwindSafe(|| reply(result))).is_err() {
        metrics.count(Metric::HandlerPanics);
        tracing::error!("answering a client panicked");
    }
}

/// What the writer is told at its birth.
pub struct WriterOptions {
    /// Under this much free space nothing new is accepted; under half of it no attempt begins.
    pub reserve_bytes: u64,
    /// Orders in one group.
    pub group_commands_max: u32,
}

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

    /// One group: takes what is queued, judges, records, syncs, makes visible, tells dispatch, answers. After an error nothing
    /// may be answered any more.
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
        // Before the notices, whose reader would take the core from it. All others after them: who waits for an answer relies
        // on what was noticed before it.
        self.answer_lone(&mut responses);
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

    /// Answers leave by the responder's thread, so that the next group does not wait for them. A lone fresh acceptance is told
    /// here: nobody waits behind it, another thread would have to wake for it, and nothing is read for it, since nobody but the
    /// writer can have gone on with it. A refusal may call for scripts and a repeat for the ledger's files: not here.
    fn answer_lone(&self, responses: &mut Responses) {
        let is_lone = responses.len() == 1 && self.responses.is_empty() && self.queues.are_empty();
        let is_fresh = |result: &Result<Committed, Refusal>| {
            matches!(result, Ok(Committed::Request { fresh: Some(_), .. }))
        };
        if is_lone && let Some((reply, result)) = responses.pop_if(|(_, result)| is_fresh(result)) {
            give(reply, result, &self.metrics);
        }
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
