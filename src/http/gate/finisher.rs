//! The way back for answers that were given a ticket: from whichever thread knows one, to the gate's loop.
//!
//! Bounded by the clients: each has at most one request inside. An answer whose client has left is dropped by the gate.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::{Registry, Token, Waker};

use super::super::answer::Answer;
use super::private::RequestId;

/// Hands finished answers to the gate; shared by all who know one.
#[derive(Clone)]
pub struct Finisher(Arc<Shared>);

struct Shared {
    finished: Mutex<Finished>,
    waker: Waker,
}

/// What the gate has still to hear.
#[derive(Default)]
pub(super) struct Finished {
    pub answers: Vec<(RequestId, Answer)>,
    /// Lines on which answers were lost.
    pub lost: Vec<u64>,
}

impl Finisher {
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        Ok(Self(Arc::new(Shared {
            finished: Mutex::default(),
            waker: Waker::new(registry, token)?,
        })))
    }

    /// Gives the answer of a request that has a ticket, or will have one in a moment.
    pub fn finish(&self, id: RequestId, answer: Answer) {
        let mut finished = self.lock();
        let is_first = finished.answers.is_empty();
        finished.answers.push((id, answer));
        drop(finished);
        if is_first {
            self.wake();
        }
    }

    /// An answer was lost on its way along a line: nothing that comes by it can be trusted to come.
    pub fn give_up(&self, line: u64) {
        self.lock().lost.push(line);
        self.wake();
    }

    /// Has the gate look around.
    pub(super) fn wake(&self) {
        if let Err(error) = self.0.waker.wake() {
            // The gate looks at least ten times a second anyway.
            tracing::warn!(%error, "the gate could not be woken");
        }
    }

    pub(super) fn take(&self) -> Finished {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Finished> {
        self.0
            .finished
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
