//! The integration tests, one binary: each file is named after the promise that it keeps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod access;
mod cli_alone;
mod cli_commands;
mod cli_explain;
mod cli_scene;
mod config;
mod ledger_faults;
mod ledger_scene;
mod ledger_segments;
mod ledger_tears;
mod tidy;
