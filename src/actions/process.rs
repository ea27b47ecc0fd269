//! One processing pass: everything that is due now goes out once. `service.rs` hands in who can do it.
//!
//! A pass may take long, so it is begun by one call and watched by others; no door waits for it.

use serde::{Deserialize, Serialize};

use super::Actions;
use crate::domain::Refusal;

/// Who runs a pass; set once, when dispatch stands.
pub struct Processing {
    /// Begins a pass over what is due now, and answers the run's number. A pass that is under way is answered, not doubled.
    pub begin: Box<dyn Fn() -> Result<u64, Refusal> + Send + Sync>,
    /// How far the run is.
    pub progress: Box<dyn Fn(u64) -> PassProgress + Send + Sync>,
}

/// How far a pass is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassProgress {
    pub run: u64,
    /// Nothing of the pass is left to begin or in flight.
    pub is_over: bool,
    /// Requests that were due when it began.
    pub due: u64,
    pub completed: u64,
    pub rejected: u64,
    /// Tried, and to be tried again later (waiting, in doubt, held).
    pub put_off: u64,
}

impl Actions {
    /// Begins a pass; refused as `Stopping` where nothing can send.
    pub fn begin_pass(&self) -> Result<u64, Refusal> {
        let processing = self.processing.get().ok_or(Refusal::Stopping)?;
        (processing.begin)()
    }

    pub fn pass_progress(&self, run: u64) -> Result<PassProgress, Refusal> {
        let processing = self.processing.get().ok_or(Refusal::Stopping)?;
        Ok((processing.progress)(run))
    }
}
