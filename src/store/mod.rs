//! The state: one sled tree on disk, the overlay of what is not there yet, and the indexes that live in memory.
//!
//! The only room that names sled. The ledger is the record; this can be deleted at any time and is rebuilt from it. `Draft`
//! holds the writes of one group until they are synced; `State::merge` makes them visible to readers.

mod disk;
mod draft;
mod dump;
mod memory;
mod open;
mod row;
mod state;

pub use disk::{StoreError, boot_id};
pub use draft::{Changes, Draft};
pub use dump::dump;
pub use open::{Opened, Replay, Replayed, open, rebuild};
pub use state::{State, StateView};
