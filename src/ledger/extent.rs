//! What the writer tells its readers: which segments there are, and up to which seq the record is synced.
//!
//! Readers never look behind that seq, so that nobody hears of a line which a power cut could still take.

use std::sync::{
    PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

/// Shared by one writer and all readers.
pub(super) struct Extent {
    last_synced_seq: AtomicU64,
    /// The first seqs of the segments, in order.
    segments: RwLock<Vec<u64>>,
}

impl Extent {
    pub fn new(segments: Vec<u64>, last_synced_seq: u64) -> Self {
        Self {
            last_synced_seq: AtomicU64::new(last_synced_seq),
            segments: RwLock::new(segments),
        }
    }

    pub fn last_synced_seq(&self) -> u64 {
        self.last_synced_seq.load(Ordering::Acquire)
    }

    pub fn set_last_synced_seq(&self, seq: u64) {
        self.last_synced_seq.store(seq, Ordering::Release);
    }

    pub fn add_segment(&self, first_seq: u64) {
        let mut segments = self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        segments.push(first_seq);
    }

    pub fn segments(&self) -> Vec<u64> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.clone()
    }

    /// The oldest seq that is kept.
    pub fn first_seq(&self) -> u64 {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.first().copied().unwrap_or(1)
    }

    /// The first seq of the segment that holds `seq`.
    pub fn segment_of(&self, seq: u64) -> Option<u64> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let after = segments.partition_point(|first| *first <= seq);
        after
            .checked_sub(1)
            .and_then(|at| segments.get(at).copied())
    }
}
