//! The next segment, written full of zeros and synced before it is needed: a sync into written space is the quick one.
//!
//! A thread that `service.rs` starts keeps one ready; if none is ready when the ledger rolls, the ledger makes it there
//! and then. A segment is never made of an old one.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    LedgerError,
    folder::{Folder, NamedFile},
    segment,
};

const PREPARED: &str = "next.prepared";
/// Under this name while it is being written.
pub(super) const PREPARING: &str = "next.preparing";
/// A lost wake-up costs this much, no more.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the ledger and its preparer share; the lock keeps them from making the same file at once.
pub(super) struct Preparation {
    folder: Folder,
    segment_bytes: u64,
    is_wanted: Mutex<bool>,
    change: Condvar,
}

impl Preparation {
    pub fn new(folder: Folder, segment_bytes: u64) -> Self {
        Self {
            folder,
            segment_bytes,
            is_wanted: Mutex::new(true),
            change: Condvar::new(),
        }
    }

    /// Puts the prepared segment, or a new one, into its place as the segment that begins with `first_seq`.
    pub fn take(&self, first_seq: u64) -> Result<NamedFile, LedgerError> {
        let mut is_wanted = self.lock();
        self.make_if_missing()?;
        let name = segment::name(first_seq);
        self.folder.rename(PREPARED, &name)?;
        self.folder.sync()?;
        *is_wanted = true;
        self.change.notify_all();
        self.folder.open_to_write(&name)
    }

    fn make_if_missing(&self) -> Result<bool, LedgerError> {
        if let Some(file) = self.folder.find(PREPARED)?
            && file.length()? == self.segment_bytes
        {
            return Ok(false);
        }
        let made = self.folder.create(PREPARING).and_then(|file| {
            file.fill_with_zeros(0, self.segment_bytes)?;
            self.folder.rename(PREPARING, PREPARED)?;
            self.folder.sync()
        });
        if let Err(error) = made {
            // On a full disk the unfinished file would take what the reserve is for; the first error is the one to tell.
            let _ = self.folder.remove(PREPARING);
            return Err(error);
        }
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps one segment ready.
#[derive(Clone)]
pub struct Preparer(Arc<Preparation>);

impl Preparer {
    pub(super) fn new(preparation: Arc<Preparation>) -> Self {
        Self(preparation)
    }

    /// Prepares whenever the ledger has rolled, until `stop` is set and `wake` called. The first error ends it.
    pub fn run(&self, stop: &AtomicBool) -> Result<(), LedgerError> {
        while !stop.load(Ordering::Acquire) {
            self.prepare_once()?;
            let mut is_wanted = self.0.lock();
            while !*is_wanted && !stop.load(Ordering::Acquire) {
                let waited = self.0.change.wait_timeout(is_wanted, LOOK_AGAIN);
                is_wanted = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        Ok(())
    }

    /// Makes `run` look at its stop flag now.
    pub fn wake(&self) {
        let _held = self.0.lock();
        self.0.change.notify_all();
    }

    /// Makes the next segment ready; false if it is.
    pub fn prepare_once(&self) -> Result<bool, LedgerError> {
        let mut is_wanted = self.0.lock();
        let made = self.0.make_if_missing()?;
        *is_wanted = false;
        Ok(made)
    }
}
