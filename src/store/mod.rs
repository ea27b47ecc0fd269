//! The state: one sled tree on disk, the overlay of what is not there yet, and the indexes that live in memory.
//!
//! The only room that names sled. The ledger is the record; this can be deleted at any time and is rebuilt from it. `Draft`
//! holds the writes of one group until they are synced; `State::merge` makes them visible to readers.

mod dense;
mod disk;
mod draft;
mod dump;
mod marks;
mod memory;
mod open;
mod page;
mod row;
mod state;
mod undo;

pub use disk::StoreError;
pub use draft::{Changes, Draft};
pub use dump::dump;
pub use marks::boot_id;
pub use open::{Opened, Progress, Replay, Replayed, open, rebuild};
pub use state::{State, StateView};
pub use undo::Savepoint;
