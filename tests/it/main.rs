//! The integration tests, one binary: each file is named after the promise that it keeps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod lane;
mod mapping_smsgw;
mod script_limits;
