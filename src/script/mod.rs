//! The Rhai engine, its budget and host functions, and the mapping contract (`cas.md` section 7).
//!
//! The only room that names rhai. A script is a pure function here: it gets values, gives values, and does no I/O.
//! A thread that calls scripts needs a stack of `STACK_BYTES_MIN`.

mod answer;
mod budget;
mod codec;
mod describe;
mod engine;
mod error;
mod load;
mod mapping;
mod program;
mod scan;
mod session;
mod settings;
mod simulator;
mod value;

pub mod cases;
pub mod check;
pub mod contract;
pub mod shipped;

pub use engine::STACK_BYTES_MIN;
pub use error::{Bound, Place, ScriptError};
pub use load::Origin;
pub use mapping::Mapping;
pub use session::MappingSession;
pub use settings::Settings;
pub use simulator::SimulatorScript;
