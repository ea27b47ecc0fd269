//! The Rhai engine, its budget and host functions, and the mapping contract (`cas.md` section 7).
//!
//! The only room that names rhai. A script is a pure function here: it gets values, gives values, and does no I/O.
//! A thread that calls scripts needs a stack of `STACK_BYTES_MIN`.

mod answer;
mod budget;
mod codec;
mod definitions;
mod describe;
mod engine;
mod error;
mod fit;
mod free;
mod given;
mod job;
mod load;
mod lookup;
mod mapping;
mod program;
mod reference;
mod scan;
mod session;
mod settings;
mod simulator;
pub mod skeleton;
mod value;
pub mod versions;
mod wire;

pub mod cases;
pub mod check;
pub mod contract;
pub mod secrets_named;
pub mod shipped;

pub use definitions::text as definitions;
pub use engine::STACK_BYTES_MIN;
pub use error::{Bound, Place, ScriptError, likest};
pub use free::{FreeHost, InputTable, verbs as free_verbs};
pub use job::{
    ActOptions, Finder, JobArg, JobFacts, JobOptions, JobScript, Lookup, Named, NamedBy, PairAct,
    RowAct, RowActs,
};
pub use load::{Origin, job_text};
pub use mapping::Mapping;
pub use reference::text as reference;
pub use session::MappingSession;
pub use settings::Settings;
pub use simulator::SimulatorScript;
