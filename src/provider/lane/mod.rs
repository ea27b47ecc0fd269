//! One connection to a CAS, kept alive: what dispatch tells it, what it tells dispatch.
//!
//! `LaneRunner` is the thread's body, `LaneHandle` the dispatcher's end. The lane matches no answer to a request and retries
//! nothing: it moves frames, keeps the session and says exactly what had not left when a connection ended.

mod dialogue;
mod handle;
mod link;
mod runner;
mod status;

use std::fmt;
use std::time::Duration;

use crate::script::contract::Reply;

pub(super) use dialogue::Dialogue;
pub use handle::{Cause, LaneHandle, NotTaken};
pub use runner::{LaneError, LaneOptions, LaneRunner};
pub use status::{LaneReport, LaneStatus};

/// Which lane of which provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId {
    pub provider: u16,
    pub lane: u8,
}

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.lane)
    }
}

/// What dispatch tells a lane. `connection` is the number of the `Ready` that the sender believes in: what is meant for
/// another connection is refused at the handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneCommand {
    /// Connect, and connect again whenever the connection ends.
    Connect,
    /// Close and stay down until the next `Connect`. A lane that is between two connects tells no further `Down`.
    Disconnect { reason: String },
    /// Send these, in this order.
    Send {
        connection: u64,
        frames: Vec<Outgoing>,
    },
    /// A push is recorded: send the mapping's answer to it.
    AckPush { connection: u64, body: Vec<u8> },
    /// Close this connection and make another one: what comes on it can be trusted no more.
    Reset { connection: u64, reason: String },
    /// Close and end the thread.
    Stop,
}

/// A command's payload without framing, and the caller's own handle of the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub attempt: u64,
    pub body: Vec<u8>,
}

/// What a lane tells dispatch. `connection` counts the lane's connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneEvent {
    /// Hello and keepalives are done; commands flow from now on.
    Ready { connection: u64 },
    /// The connection ended, or never began. Of the commands taken by it, no byte of those in `unsent` has left; all others
    /// that are unanswered are unknown. `retry_in`: when the lane connects again by itself.
    Down {
        connection: u64,
        phase: DownPhase,
        reason: String,
        unsent: Vec<u64>,
        retry_in: Option<Duration>,
    },
    /// These commands cannot be framed or buffered; no byte of them has left. The connection stays. `may_go_later`: not for what
    /// they are, so another try may succeed.
    NotSent {
        attempts: Vec<u64>,
        reason: String,
        may_go_later: bool,
    },
    /// The answer to a command, with its frame.
    Reply {
        connection: u64,
        reply: Reply,
        frame: Vec<u8>,
    },
    /// The CAS spoke first. After `data` is recorded, dispatch sends `reply` back as `AckPush`.
    Push {
        connection: u64,
        data: String,
        reply: Option<Vec<u8>>,
        frame: Vec<u8>,
    },
    /// The mapping could not read this frame. The connection stays.
    Unreadable {
        connection: u64,
        frame: Vec<u8>,
        error: String,
    },
    /// A hello or keepalive waits for a transaction number: dispatch grants the next block.
    NumbersNeeded,
}

/// Where a connection was when it ended. The first three count for the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownPhase {
    Connect,
    Hello,
    Keepalive,
    Established,
    /// By `Disconnect` or `Stop`.
    Asked,
}

impl DownPhase {
    /// Whether the circuit counts it as a failure.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Connect | Self::Hello | Self::Keepalive)
    }
}

/// The events of one turn of a lane, in their order: one message of the channel.
pub type LaneBatch = (LaneId, Vec<LaneEvent>);
