//! The one writer: typed command in, committed result out.
//!
//! Takes what is queued, judges each command with the writes of its own group visible, appends the group to the ledger,
//! syncs once, makes it visible, then answers everyone. Runs no script and does no I/O but the ledger's and a lone answer's. Its callers are
//! `actions/` and `dispatch/`, nobody else. A site that outgrows one box replaces what lies behind this door.

mod chunk;
mod command;
mod door;
mod group;
mod judge;
mod notices;
mod pushes;
mod recover;
mod writer;

pub use chunk::{
    Act, Chunk, ChunkRow, Desk, ItemKey, PairAct, RowAsked, judge as judge_chunk,
    reason as row_reason,
};
pub use command::{
    Answered, Begin, Command, Committed, DispatchCommand, EndUnsent, Fresh, RegisteredItem, Reply,
    RowResult, SettleAttempt,
};
pub use door::{Door, Pending, Queues};
pub use notices::{Mailbox, Notices};
pub use recover::{rebuild, recover};
pub use writer::{Responses, Writer, WriterOptions, WriterParts, give};
