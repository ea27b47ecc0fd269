//! What is due, in which order, what an attempt ended in: the sending half of pairbox.
//!
//! `Dispatcher::step` is one function of (view, now, input) to commands and bytes, without threads, sockets or sleep;
//! `Runner` is the thin thread around it. Nothing goes out here that `commit/` has not recorded first.

mod attempts;
mod begin;
mod deadlines;
mod dispatcher;
mod lanes;
mod line;
mod prepare;
mod ready;
mod replies;
mod runner;
mod runs;
mod step;
mod timers;

pub use dispatcher::{Dispatcher, DispatcherOptions};
pub use line::LineOptions;
pub use runner::{Ask, CUT_WAIT, Runner};
pub use runs::{Mode, RunReport};
pub use step::{Input, Now, Output, Recall};
