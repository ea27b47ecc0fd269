//! The integration tests, one binary: each file is named after the promise that it keeps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod access;
mod answers;
mod attackers;
mod card_changes;
mod cardinality;
mod cas_over_http;
mod cas_over_tls;
mod cli_alone;
mod cli_commands;
mod cli_explain;
mod cli_scene;
mod config;
mod conformance;
mod descriptors;
mod doorway;
mod exchange;
mod figures;
mod gate;
mod gate_lines;
mod gate_tls;
mod headend;
mod hostile;
mod http_answers;
mod http_idempotency;
mod http_input;
mod http_login;
mod http_pairing;
mod http_products;
mod http_reading;
mod http_scene;
mod http_slow;
mod http_transport;
mod http_wire;
mod immediate;
mod import_again;
mod job_input;
mod job_input_large;
mod job_input_workbook;
mod job_mistakes;
mod job_scene;
mod job_scripts;
mod job_sets;
mod jobs;
mod jobs_ahead;
mod jobs_bulk;
mod jobs_review;
mod lane;
mod ledger_faults;
mod ledger_scene;
mod ledger_segments;
mod ledger_tears;
mod long_lists;
mod long_start;
mod loris;
mod mapping_cases;
mod mapping_rehearse;
mod mapping_secrets;
mod mapping_smsgw;
mod mapping_try;
mod mapping_versions;
mod mappings;
mod openapi;
mod reconcile;
mod reload;
mod reload_busy;
mod scene;
mod script_limits;
mod self_watch;
mod sending;
mod sending_rules;
mod siege;
#[path = "../property/stage.rs"]
mod stage;
mod state_rebuild;
mod stop_in_order;
mod tidy;
mod tls;
mod tls_wire;
mod too_large;
mod unmatched_answers;
mod unsendable;
mod walkthrough;
mod workbench;
