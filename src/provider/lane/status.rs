//! What one lane shows to `pairbox status` and `provider list`.
//!
//! Written by the lane's thread, read by anyone; holds no secret and no card number.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;

/// The live figures of a lane.
#[derive(Debug, Default)]
pub struct LaneStatus {
    pub(super) frames_in: AtomicU64,
    pub(super) frames_out: AtomicU64,
    pub(super) frames_unreadable: AtomicU64,
    pub(super) connects: AtomicU64,
    text: Mutex<Text>,
}

#[derive(Clone, Debug, Default)]
struct Text {
    state: String,
    connected_since: Option<Timestamp>,
    last_error: Option<String>,
}

/// A copy of the figures at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneReport {
    pub state: String,
    pub connected_since: Option<Timestamp>,
    pub last_error: Option<String>,
    pub frames_in: u64,
    pub frames_out: u64,
    pub frames_unreadable: u64,
    pub connects: u64,
}

impl LaneStatus {
    pub fn report(&self) -> LaneReport {
        let text = self.text().clone();
        LaneReport {
            state: text.state,
            connected_since: text.connected_since,
            last_error: text.last_error,
            frames_in: self.frames_in.load(Ordering::Relaxed),
            frames_out: self.frames_out.load(Ordering::Relaxed),
            frames_unreadable: self.frames_unreadable.load(Ordering::Relaxed),
            connects: self.connects.load(Ordering::Relaxed),
        }
    }

    pub(super) fn set_state(&self, state: impl Into<String>) {
        self.text().state = state.into();
    }

    pub(super) fn set_connected(&self, since: Option<Timestamp>) {
        self.text().connected_since = since;
    }

    pub(super) fn set_error(&self, error: String) {
        self.text().last_error = Some(error);
    }

    fn text(&self) -> MutexGuard<'_, Text> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds to a counter.
pub(super) fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}
