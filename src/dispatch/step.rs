//! What one step of dispatch takes and gives: the clocks, what is heard, what is wanted.

use std::time::Duration;

use crate::commit::{DispatchCommand, Notices};
use crate::domain::{Event, Position, RequestNumber, Timestamp};
use crate::provider::{LaneCommand, LaneEvent, LaneId};

/// The two clocks at the moment of a step.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub wall: Timestamp,
    pub monotonic: Duration,
}

/// What dispatch hears.
#[derive(Debug)]
pub enum Input {
    /// The first one: look at everything that is unfinished.
    Start(Vec<RequestNumber>),
    Committed(Notices),
    Lane(LaneId, LaneEvent),
    /// A lane did not take these attempts; no byte of them left.
    NotTaken(LaneId, Vec<u64>),
    /// Somebody asks for a processing run.
    Run,
    Tick,
}

/// What dispatch wants done, in this order.
#[derive(Debug)]
pub enum Output {
    Commit(DispatchCommand),
    Lane(LaneId, LaneCommand),
}

/// Reads the event at a position of the ledger.
pub type Recall = Box<dyn Fn(Position) -> Option<Event> + Send>;
