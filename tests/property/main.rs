//! The property tests, one binary: random histories against a model.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod histories;
mod history;
mod stage;
