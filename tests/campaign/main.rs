//! The fault campaign, one binary: each file is a fault or a small group of them, and every round of each ends in the one
//! verdict of `verdict.rs`.
//!
//! Plain it takes half a minute; `PAIRBOX_TEST_LONG=1` makes many more rounds. `PAIRBOX_TEST_SEED=n` repeats a run from the
//! round that failed, `PAIRBOX_TEST_TABLE=FILE` keeps the table that is printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod bed;
mod callers;
mod calls;
mod cas;
mod clock;
mod decoders;
mod disk_full;
#[path = "../it/exchange.rs"]
mod exchange;
mod file_errors;
mod file_errors_traced;
#[path = "../it/headend.rs"]
mod headend;
#[path = "../property/history.rs"]
mod history;
mod kills;
mod kills_starting;
mod listeners;
mod mutate;
mod power;
mod record;
mod reloads;
mod rogue;
mod rounds;
#[path = "../it/scene.rs"]
mod scene;
#[path = "../property/stage.rs"]
mod stage;
mod staged;
mod table;
mod tap;
mod verdict;
mod wire;
