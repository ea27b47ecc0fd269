//! The whole record checked: every seq, hash and group of every segment, and nothing but zeros behind each end.
//!
//! Called by `pairbox ledger verify` on a ledger that nobody writes, and by the scrub on a live one up to what is synced.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Files, Finding, LedgerError, LineHash, Reader,
    folder::Folder,
    segment::{self, SegmentBytes},
    tear,
    walk::{self, Chain},
};

/// How often progress is told, in bytes.
const PROGRESS_BYTES: u64 = 4 << 20;

/// How far the check has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The segment under check; the first is 1.
    pub segment: usize,
    pub segments: usize,
    /// Checked so far, of all segments.
    pub bytes: u64,
}

/// A ledger found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub lines: u64,
    pub groups: u64,
    pub segments: usize,
    /// Without the unused rests.
    pub bytes: u64,
    /// 0 if there is no line.
    pub first_seq: u64,
    pub last_seq: u64,
    pub last_hash: LineHash,
    /// A torn group behind the last complete one, which the next start cuts.
    pub unfinished: Option<Unfinished>,
}

/// What a power cut left behind the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    pub file: PathBuf,
    pub line: u64,
    pub offset: u64,
    pub found: Finding,
}

/// Verifies a ledger that nobody writes. The first damage is the error.
pub fn verify(
    folder: &Path,
    files: Arc<dyn Files>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Verified, LedgerError> {
    let folder = Folder::new(folder, files);
    let segments = segment::list(&folder)?;
    verify_segments(&folder, &segments, None, progress)
}

impl Reader {
    /// Verifies what is synced now; the ledger may be written meanwhile.
    pub fn verify(&self, progress: &mut dyn FnMut(Progress)) -> Result<Verified, LedgerError> {
        let last_seq = self.last_seq();
        let mut segments = self.extent().segments();
        segments.retain(|first_seq| *first_seq <= last_seq);
        verify_segments(self.folder(), &segments, Some(last_seq), progress)
    }
}

fn verify_segments(
    folder: &Folder,
    segments: &[u64],
    until: Option<u64>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Verified, LedgerError> {
    let oldest = segments.first().copied().unwrap_or(1);
    let mut chain = Chain::at_first_segment(oldest);
    let mut verified = Verified {
        lines: 0,
        groups: 0,
        segments: segments.len(),
        bytes: 0,
        first_seq: 0,
        last_seq: 0,
        last_hash: LineHash::NONE,
        unfinished: None,
    };
    for (index, first_seq) in segments.iter().enumerate() {
        let is_last = index + 1 == segments.len();
        let source = Arc::new(SegmentBytes::open(folder, *first_seq)?);
        if chain.next_seq != *first_seq {
            let expected = chain.next_seq;
            return Err(damaged(&source, 1, 0, Finding::NoSegment { expected }));
        }
        let mut told = 0;
        let before = verified.bytes;
        let mut tell = |end: u64| {
            if end >= told + PROGRESS_BYTES {
                told = end;
                progress(Progress {
                    segment: index + 1,
                    segments: segments.len(),
                    bytes: before + end,
                });
            }
        };
        let walked = walk::walk(&source, chain, until, &mut tell)?;
        verified.lines += walked.lines;
        verified.groups += walked.groups;
        verified.bytes += walked.end;
        if let Some(bad) = walked.bad {
            if !is_last || until.is_some() || tear::is_damage(&source, &bad)? {
                return Err(bad.into_error(&source));
            }
            verified.unfinished = Some(Unfinished {
                file: source.path().to_owned(),
                line: bad.number,
                offset: bad.offset,
                found: bad.found,
            });
        }
        chain = walked.chain;
        progress(Progress {
            segment: index + 1,
            segments: segments.len(),
            bytes: verified.bytes,
        });
        if is_last && until.is_some_and(|until| chain.next_seq <= until) {
            let expected = chain.next_seq;
            let found = Finding::NoSegment { expected };
            return Err(damaged(&source, walked.lines + 1, walked.end, found));
        }
    }
    if verified.lines > 0 {
        verified.first_seq = oldest;
        verified.last_seq = chain.next_seq - 1;
        verified.last_hash = chain.prev.unwrap_or(LineHash::NONE);
    }
    Ok(verified)
}

fn damaged(source: &SegmentBytes, line: u64, offset: u64, found: Finding) -> LedgerError {
    LedgerError::Damaged {
        file: source.path().to_owned(),
        line,
        offset,
        found,
    }
}
