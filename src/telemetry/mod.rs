//! tracing set-up and metrics.

mod fatal;
pub use fatal::fatal;
