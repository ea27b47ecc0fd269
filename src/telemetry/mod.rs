//! What the box says about itself: log lines and counted numbers.
//!
//! Card numbers are masked before they reach a log line; secrets never do. Callers: every room above.

mod fatal;
mod log;
mod mask;
mod metrics;
mod pulse;

pub use fatal::{EXIT_IO_ERROR, fatal};
pub use log::{LogInitError, LogStyle, init, set_level};
pub use mask::mask_card;
pub use metrics::{Metric, MetricKind, Metrics};
pub use pulse::Pulse;
