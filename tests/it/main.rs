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
mod kills;
mod lane;
mod ledger_faults;
mod ledger_scene;
mod ledger_segments;
mod ledger_tears;
mod mapping_smsgw;
mod readme;
mod scene;
mod script_limits;
mod sending;
mod state_rebuild;
mod tidy;
