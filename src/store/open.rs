//! Opening the state at start: take what is on disk if it can be trusted, replay what it lacks, rebuild it otherwise.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use super::disk::{Disk, Distrust, StoreError};
use super::draft::{Changes, Draft};
use super::marks::{is_epoch_due, mark_epoch_due};
use super::memory::Memory;
use super::row::{Key, Row, SCHEMA};
use super::state::{OVERLAY_ROWS_MAX, State};
use crate::domain::apply::{Recorded, apply};
use crate::domain::{Event, Position, Timestamp, View};

/// How the state came up.
#[derive(Debug)]
pub struct Opened {
    /// Why the state was rebuilt; none if it was taken as it is.
    pub rebuilt_because: Option<String>,
    /// Acknowledged events are gone from the ledger, and no new epoch is recorded yet: go on in one.
    pub lost_events: bool,
    pub replayed_events: u64,
    pub took: Duration,
}

/// Events that are applied between two looks at the overlay.
const REPLAY_CHUNK: u64 = 4_096;
/// Rows that are read between two looks at whether to go on.
const LOAD_CHUNK: usize = 65_536;

/// A recorded event, as replay takes it.
pub struct Replayed {
    pub position: Position,
    pub at: Timestamp,
    pub by: String,
    pub event: Event,
}

/// The recorded events from a seq on.
pub type Replay<'a> =
    &'a dyn Fn(u64) -> Box<dyn Iterator<Item = Result<Replayed, StoreError>> + 'a>;

/// Hears how many events are replayed (none yet while the rows on disk are read), and says whether to go on.
pub type Progress<'a> = &'a mut dyn FnMut(u64) -> ControlFlow<()>;

/// Opens the state in `data`. `last_seq` is the ledger's last event.
pub fn open(
    data: &Path,
    cache_bytes: u64,
    ledger: Replay<'_>,
    last_seq: u64,
    progress: Progress<'_>,
) -> Result<(State, Opened), StoreError> {
    let started = Instant::now();
    let (distrust, known) = match Disk::open(data, cache_bytes)? {
        Ok(disk) => match load_guarded(data, &disk, progress)? {
            Ok(memory) if memory.meta.applied_seq <= last_seq => {
                let applied_seq = memory.meta.applied_seq;
                let state = State::new(memory, disk, data.to_owned());
                match replay_guarded(&state, ledger, applied_seq + 1, progress)? {
                    Ok(replayed_events) => {
                        let opened = Opened {
                            rebuilt_because: None,
                            lost_events: is_epoch_due(data)?,
                            replayed_events,
                            took: started.elapsed(),
                        };
                        return Ok((state, opened));
                    }
                    Err(distrust) => (distrust, Some(applied_seq)),
                }
            }
            Ok(memory) => {
                let state = memory.meta.applied_seq;
                let ledger = last_seq;
                (Distrust::AheadOfLedger { state, ledger }, Some(state))
            }
            Err(distrust) => (distrust, disk.applied_seq()),
        },
        // These were not opened yet, and may be ahead of the ledger as well.
        Err(distrust @ (Distrust::PowerCut | Distrust::Suspect(_))) => {
            (distrust, Disk::glimpse_applied_seq(data, cache_bytes)?)
        }
        Err(distrust) => (distrust, None),
    };
    let is_first_start = distrust == Distrust::Missing && last_seq == 0;
    let because = (!is_first_start).then(|| distrust.words());
    note_loss(data, known, last_seq)?;
    start_over(data, cache_bytes, ledger, because, progress)
}

/// Rebuilds the state from the ledger, whatever is there.
pub fn rebuild(
    data: &Path,
    cache_bytes: u64,
    ledger: Replay<'_>,
    last_seq: u64,
    progress: Progress<'_>,
) -> Result<(State, Opened), StoreError> {
    let known = Disk::glimpse_applied_seq(data, cache_bytes)?;
    note_loss(data, known, last_seq)?;
    let because = Some("it was asked for".into());
    start_over(data, cache_bytes, ledger, because, progress)
}

/// The state that is about to be given up may be all that proves a loss: what it proves is kept first.
fn note_loss(data: &Path, known: Option<u64>, last_seq: u64) -> Result<(), StoreError> {
    let Some(state) = known.filter(|known| *known > last_seq) else {
        return Ok(());
    };
    let ledger = last_seq;
    let ahead = Distrust::AheadOfLedger { state, ledger };
    mark_epoch_due(data, &ahead.words())
}

/// Sets aside what is there and replays everything.
fn start_over(
    data: &Path,
    cache_bytes: u64,
    ledger: Replay<'_>,
    because: Option<String>,
    progress: Progress<'_>,
) -> Result<(State, Opened), StoreError> {
    let started = Instant::now();
    let disk = create(data, cache_bytes)?;
    let state = State::new(Memory::default(), disk, data.to_owned());
    let replayed_events = replay(&state, ledger, 1, progress)?;
    let opened = Opened {
        rebuilt_because: because,
        lost_events: is_epoch_due(data)?,
        replayed_events,
        took: started.elapsed(),
    };
    Ok((state, opened))
}

fn create(data: &Path, cache_bytes: u64) -> Result<Disk, StoreError> {
    let disk = Disk::create(data, cache_bytes)?;
    disk.write(std::iter::once((Key::Schema, Some(Row::Schema(SCHEMA)))))?;
    Ok(disk)
}

/// Reads all rows; sled panics on some torn files, and an unreadable row is as good as none.
fn load_guarded(
    data: &Path,
    disk: &Disk,
    progress: Progress<'_>,
) -> Result<Result<Memory, Distrust>, StoreError> {
    match catch_unwind(AssertUnwindSafe(|| load(disk, progress))) {
        Ok(Ok(memory)) => Ok(Ok(memory)),
        Ok(Err(StoreError::Stopped)) => {
            disk.close(data)?;
            Err(StoreError::Stopped)
        }
        Ok(Err(error)) => Ok(Err(Distrust::Unreadable(error.to_string()))),
        Err(_) => Ok(Err(Distrust::Unreadable(
            "sled panicked on reading it".into(),
        ))),
    }
}

fn load(disk: &Disk, progress: Progress<'_>) -> Result<Memory, StoreError> {
    let mut memory = Memory::default();
    for (at, row) in disk.rows_of_memory().enumerate() {
        if (at + 1).is_multiple_of(LOAD_CHUNK) && progress(0).is_break() {
            return Err(StoreError::Stopped);
        }
        let (key, value) = row?;
        let row = Row::parse(&key, &value).ok_or_else(|| StoreError::Row { key: key.clone() })?;
        memory.load(key, row);
    }
    memory.loaded();
    Ok(memory)
}

/// Rows that lack what later events build on are as bad as unreadable ones; of a state that was empty it would be a defect
/// of this program, and `replay` alone says so.
fn replay_guarded(
    state: &State,
    ledger: Replay<'_>,
    from: u64,
    progress: Progress<'_>,
) -> Result<Result<u64, Distrust>, StoreError> {
    match catch_unwind(AssertUnwindSafe(|| replay(state, ledger, from, progress))) {
        Ok(Ok(count)) => Ok(Ok(count)),
        Ok(Err(error)) => Err(error),
        Err(panic) => {
            let why = panic
                .downcast_ref::<String>()
                .map_or("no reason given", String::as_str);
            Ok(Err(Distrust::Contradicted(why.to_owned())))
        }
    }
}

fn replay(
    state: &State,
    ledger: Replay<'_>,
    from: u64,
    progress: Progress<'_>,
) -> Result<u64, StoreError> {
    let mut count = 0;
    let mut changes = Changes::default();
    for replayed in ledger(from) {
        let Replayed {
            position,
            at,
            by,
            event,
        } = replayed?;
        let view = state.view();
        let mut draft = Draft::resume(&view, changes);
        apply(
            &mut draft,
            Recorded {
                position,
                at,
                by: &by,
            },
            &event,
        );
        changes = draft.changes;
        drop(view);
        count += 1;
        if count % REPLAY_CHUNK == 0 {
            state.merge(std::mem::take(&mut changes));
            if state.overlay_rows() > OVERLAY_ROWS_MAX / 2 {
                state.move_overlay()?;
            }
            if progress(count).is_break() {
                state.close()?;
                return Err(StoreError::Stopped);
            }
        }
    }
    if !changes.is_empty() {
        state.merge(changes);
    }
    state.move_overlay()?;
    debug_assert!(state.view().meta().applied_seq + 1 >= from);
    Ok(count)
}
