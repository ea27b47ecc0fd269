//! What the writer tells after each group: gathered in a mailbox until its reader looks, so that nobody waits for anybody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::domain::{ProviderNumber, RequestNumber};

/// What happened since the reader looked last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// Requests that changed or came to the head of a queue.
    pub touched: Vec<RequestNumber>,
    pub providers: Vec<ProviderNumber>,
    /// `begin` commands by handle: the attempt's number, or none if nothing was recorded.
    pub begun: Vec<(u64, Option<u32>)>,
    /// Blocks of transaction numbers that are reserved now.
    pub reserved: Vec<(ProviderNumber, u64, u64)>,
    /// Pushes, and whether they are recorded and may be acknowledged.
    pub pushes: Vec<(u64, bool)>,
    pub runs: Vec<u64>,
    /// Intents were refused because the disk is too full.
    pub is_space_low: bool,
}

impl Notices {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, other: &Self) {
        self.touched.extend_from_slice(&other.touched);
        self.providers.extend_from_slice(&other.providers);
        self.begun.extend_from_slice(&other.begun);
        self.reserved.extend_from_slice(&other.reserved);
        self.pushes.extend_from_slice(&other.pushes);
        self.runs.extend_from_slice(&other.runs);
        self.is_space_low |= other.is_space_low;
    }
}

/// Notices for one reader. The writer never waits; `bell` rings when there is something.
pub struct Mailbox {
    notices: Mutex<Notices>,
    /// Nobody reads it now: what is put in is dropped, and no thread is woken for it.
    is_shut: AtomicBool,
    ring: Sender<()>,
    bell: Receiver<()>,
}

impl Default for Mailbox {
    fn default() -> Self {
        let (ring, bell) = bounded(1);
        Self {
            notices: Mutex::new(Notices::default()),
            is_shut: AtomicBool::new(false),
            ring,
            bell,
        }
    }
}

impl Mailbox {
    /// Rings once for any number of groups.
    pub fn bell(&self) -> &Receiver<()> {
        &self.bell
    }

    pub fn take(&self) -> Notices {
        std::mem::take(&mut *self.lock())
    }

    /// Whether there is a reader. Whoever opens it must look at everything once: what was put in before is gone.
    pub fn set_open(&self, is_open: bool) {
        self.is_shut.store(!is_open, Ordering::SeqCst);
        if !is_open {
            self.take();
        }
    }

    pub fn put(&self, notices: &Notices) {
        if self.is_shut.load(Ordering::SeqCst) {
            return;
        }
        self.lock().add(notices);
        match self.ring.try_send(()) {
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Notices> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
