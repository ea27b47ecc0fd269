//! The integration tests, one binary: each file is named after the promise that it keeps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod access;
mod config;
mod lane;
mod ledger_faults;
mod ledger_scene;
mod ledger_segments;
mod ledger_tears;
mod mapping_smsgw;
mod scene;
mod script_limits;
mod sending;
mod sending_rules;
#[path = "../property/stage.rs"]
mod stage;
mod state_rebuild;
mod tidy;
