//! Bulk work: a vendor's file and a script become requests, row by row.
//!
//! What a row does is the script's business and what becomes of it the writer's; this room brings the rows and keeps the
//! tally. It calls `actions/`, as every door does.

pub mod input;
