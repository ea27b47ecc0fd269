//! Pure types and rules: identifiers, items, requests, phases, judgements. No I/O, no clock, no sled, no rhai.
//!
//! Everything here is a function of its arguments; the state with its overlay and the tests' model both implement `View`.

pub mod chance;
pub mod framing;
pub mod outcome;
pub mod position;
pub mod timestamp;

pub use chance::Chance;
pub use framing::{Endian, Framing};
pub use outcome::Outcome;
pub use position::Position;
pub use timestamp::Timestamp;
