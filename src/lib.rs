//! pairbox: keeps and sends the pairings of smartcards and set-top boxes, between a CRM and a conditional access system.
//!
//! Read `ARCHITECTURE.md` first; then `service.rs`, `actions/pair.rs`, `commit/` and `dispatch/`.
//! The rooms depend downwards only; `tests/it/tidy.rs` holds the allowed edges.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation
    )
)]

/// What one thread makes another lets go of, many times a request: the C library's allocator pays for that with locks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod domain;

pub mod clock;
pub mod config;
pub mod telemetry;

pub mod access;
pub mod ledger;
pub mod store;

pub mod script;
pub mod transport;

pub mod commit;
pub mod provider;

pub mod dispatch;

pub mod actions;

pub mod conformance;

pub mod jobs;

pub mod simulate;

pub mod control;
pub mod http;

pub mod service;

pub mod cli;
