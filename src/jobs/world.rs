//! Where a job works: on the box, through the writer, or on an overlay of its own that is thrown away (a dry run).

use std::sync::{Arc, Mutex, PoisonError};

use crate::actions::Actions;
use crate::commit::{Chunk, Command, Committed, Desk, Pending, judge_chunk};
use crate::domain::apply::{Recorded, apply};
use crate::domain::event::{Event, JobFields};
use crate::domain::job::{self, RowEnding};
use crate::domain::{Edit, Job, JobNumber, Position, Refusal, Timestamp, View};
use crate::ledger::LedgerError;
use crate::store::{Changes, Draft, Savepoint};

/// What a job sees and changes.
pub trait World: Send + Sync {
    /// Lets `look` see the state; it must not take long.
    fn look(&self, look: &mut dyn FnMut(&dyn View));
    /// Hands a chunk in.
    fn submit(&self, by: &str, chunk: Chunk) -> Submitted;
}

/// A chunk that was handed in.
pub enum Submitted {
    Judged(Result<Committed, Refusal>),
    Pending(Pending),
}

impl Submitted {
    /// Whether the writer still has it.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Judged(_) => false,
            Self::Pending(pending) => pending.is_open(),
        }
    }

    /// Waits for its end; answers the endings of the rows that were done.
    pub fn wait(self) -> Result<Vec<RowEnding>, Refusal> {
        let committed = match self {
            Self::Judged(committed) => committed,
            Self::Pending(pending) => pending.wait(),
        };
        match committed? {
            Committed::Chunk(endings) => Ok(endings),
            _ => Err(Refusal::Changed),
        }
    }
}

/// The job's row as it is now.
pub fn job(world: &dyn World, number: JobNumber) -> Option<Arc<Job>> {
    let mut found = None;
    world.look(&mut |view| found = view.job(number));
    found
}

/// The box itself.
pub struct Live(pub Arc<Actions>);

impl World for Live {
    fn look(&self, look: &mut dyn FnMut(&dyn View)) {
        look(&self.0.state.view());
    }

    fn submit(&self, by: &str, chunk: Chunk) -> Submitted {
        Submitted::Pending(self.0.door.submit_bulk(by, Command::RunChunk(chunk)))
    }
}

/// How far the numbers of a dry run are from those that the box gives out meanwhile.
const NUMBERS_APART: u64 = 1 << 40;

/// The state as it is, with changes that nobody else sees.
pub struct Overlay {
    actions: Arc<Actions>,
    changes: Mutex<Changes>,
    by: String,
}

impl Overlay {
    /// An overlay with the job in it.
    pub fn new(actions: Arc<Actions>, by: &str, fields: &JobFields) -> (Self, JobNumber) {
        let overlay = Self {
            actions,
            changes: Mutex::default(),
            by: by.to_owned(),
        };
        let now = overlay.actions.clock.now();
        let number = overlay.draft(|draft| {
            let mut meta = draft.meta();
            meta.last_item += NUMBERS_APART;
            meta.last_subscription += NUMBERS_APART;
            meta.last_request += NUMBERS_APART;
            draft.put_meta(meta);
            let (number, event) = job::create(draft, fields);
            apply(draft, recorded(now, by), &event);
            number
        });
        (overlay, number)
    }

    fn draft<T>(&self, work: impl FnOnce(&mut Draft<'_>) -> T) -> T {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.actions.state.view();
        let mut draft = Draft::resume(&view, std::mem::take(&mut *changes));
        let done = work(&mut draft);
        *changes = draft.changes;
        done
    }
}

impl World for Overlay {
    fn look(&self, look: &mut dyn FnMut(&dyn View)) {
        self.draft(|draft| look(draft));
    }

    fn submit(&self, _by: &str, chunk: Chunk) -> Submitted {
        let now = self.actions.clock.now();
        let judged = self.draft(|draft| {
            let mut desk = OverlayDesk {
                draft,
                now,
                by: &self.by,
            };
            judge_chunk(&mut desk, &chunk, now)
        });
        Submitted::Judged(judged.unwrap_or(Err(Refusal::Changed)))
    }
}

struct OverlayDesk<'a, 'b> {
    draft: &'a mut Draft<'b>,
    now: Timestamp,
    by: &'a str,
}

impl Desk for OverlayDesk<'_, '_> {
    type Mark = Savepoint;

    fn view(&self) -> &dyn View {
        self.draft
    }

    fn has_room(&self) -> bool {
        true
    }

    fn begin_row(&mut self) {}

    fn mark(&mut self) -> Savepoint {
        self.draft.savepoint()
    }

    fn roll_back(&mut self, mark: Savepoint) {
        self.draft.roll_back(mark);
    }

    fn release(&mut self) {
        self.draft.release();
    }

    fn record(&mut self, events: &[Event]) -> Result<Result<(), Refusal>, LedgerError> {
        for event in events {
            apply(self.draft, recorded(self.now, self.by), event);
        }
        Ok(Ok(()))
    }
}

fn recorded(at: Timestamp, by: &str) -> Recorded<'_> {
    let position = Position::NONE;
    Recorded { position, at, by }
}
