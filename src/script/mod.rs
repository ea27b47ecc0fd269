//! The Rhai engine, its budget and host functions, and the mapping contract (`cas.md` section 7).
//!
//! The only room that names rhai. A script is a pure function here: it gets values, gives values, and does no I/O.

pub mod contract;
