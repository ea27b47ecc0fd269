//! How a ledger is opened: find its end, cut a torn group, refuse damage, and make sure that what is read is on the disk.
//!
//! Only the open segment is verified here, and that it continues the segment before; the rest is for `verify`.

use std::{path::PathBuf, sync::Arc};

use super::{
    Finding, LedgerError, LineHash, Options, close, close::Marker, copy, extent::Extent,
    folder::Folder, folder::NamedFile, line::Line, prepare, prepare::Preparation, segment,
    segment::SegmentBytes, tear, walk, walk::Chain, walk::Walked,
};

/// What was found when the ledger was opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// 0 if there is no line yet.
    pub last_seq: u64,
    pub last_hash: LineHash,
    /// The torn group that was cut.
    pub cut: Option<Cut>,
    pub segments: usize,
    /// Whether the ledger was closed before.
    pub was_clean: bool,
}

/// A group that was never acknowledged, torn by a power cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where the bytes are kept.
    pub file: PathBuf,
    pub segment: PathBuf,
    /// The first seq of the group; it is used again.
    pub first_seq: u64,
    /// Where in the segment the group began.
    pub offset: u64,
    pub bytes: u64,
    /// The number of the first line that is wrong, and what is wrong with it.
    pub line: u64,
    pub found: Finding,
}

/// What the writer starts from.
pub(super) struct Opened {
    pub opening: Opening,
    pub extent: Extent,
    pub preparation: Preparation,
    pub file: NamedFile,
    /// Where in the file the next group goes.
    pub end: u64,
}

pub(super) fn open(folder: &Folder, options: &Options) -> Result<Opened, LedgerError> {
    folder.make()?;
    for name in [prepare::PREPARING, copy::COPYING, close::CLEAN_WRITING] {
        folder.remove(name)?;
    }
    let segments = segment::list(folder)?;
    let preparation = Preparation::new(folder.clone(), options.segment_bytes);
    let marker = Marker::read(folder)?;
    let Some(end) = find_end(folder, &segments)? else {
        return open_empty(folder, preparation, marker.as_ref());
    };
    let last_seq = end.walked.chain.next_seq - 1;
    let opening = Opening {
        last_seq,
        last_hash: end.last_hash()?,
        cut: None,
        segments: segments.len(),
        was_clean: marker.is_some(),
    };
    let cut = if let Some(marker) = marker {
        let is_as_closed = marker == Marker::new(last_seq, opening.last_hash);
        if end.walked.bad.is_some() || !is_as_closed {
            return Err(not_as_closed(folder, &marker, last_seq));
        }
        Marker::remove(folder)?;
        None
    } else {
        end.renew(folder, options.segment_bytes)?
    };
    Ok(Opened {
        opening: Opening { cut, ..opening },
        extent: Extent::new(segments, last_seq),
        preparation,
        file: folder.open_to_write(&segment::name(end.source.first_seq()))?,
        end: end.walked.end,
    })
}

fn open_empty(
    folder: &Folder,
    preparation: Preparation,
    marker: Option<&Marker>,
) -> Result<Opened, LedgerError> {
    if let Some(marker) = marker {
        return Err(not_as_closed(folder, marker, 0));
    }
    let file = preparation.take(1)?;
    Ok(Opened {
        opening: Opening {
            last_seq: 0,
            last_hash: LineHash::NONE,
            cut: None,
            segments: 1,
            was_clean: true,
        },
        extent: Extent::new(vec![1], 0),
        preparation,
        file,
        end: 0,
    })
}

fn not_as_closed(folder: &Folder, marker: &Marker, found: u64) -> LedgerError {
    LedgerError::NotAsClosed {
        folder: folder.path().to_owned(),
        closed_after: marker.last_seq,
        found,
    }
}

/// The open segment and where its last complete group ends; anything wrong behind that is a torn group.
pub(super) struct End {
    pub source: Arc<SegmentBytes>,
    pub walked: Walked,
}

/// Finds the end of the record; none if there is no segment. Damage is an error.
pub(super) fn find_end(folder: &Folder, segments: &[u64]) -> Result<Option<End>, LedgerError> {
    let Some((last, earlier)) = segments.split_last() else {
        return Ok(None);
    };
    let chain = match earlier.last() {
        Some(previous) => chain_behind(folder, *previous, *last)?,
        None => Chain::at_first_segment(*last),
    };
    let source = Arc::new(SegmentBytes::open(folder, *last)?);
    let mut walked = walk::walk(&source, chain, None, &mut |_| {})?;
    if let Some(bad) = walked.bad.take() {
        if tear::is_damage(&source, &bad)? {
            return Err(bad.into_error(&source));
        }
        walked.bad = Some(bad);
    }
    Ok(Some(End { source, walked }))
}

/// The chain behind the last line of a closed segment, which must lead to the segment that begins with `next`.
fn chain_behind(folder: &Folder, first_seq: u64, next: u64) -> Result<Chain, LedgerError> {
    let source = SegmentBytes::open(folder, first_seq)?;
    let damaged = |offset, found| LedgerError::Damaged {
        file: source.path().to_owned(),
        line: source.line_number(offset),
        offset,
        found,
    };
    let Some((offset, bytes)) = source.last_line()? else {
        let used = source.used()?;
        let found = if used == 0 {
            Finding::Empty
        } else {
            Finding::TornLine
        };
        return Err(damaged(used, found));
    };
    let line = Line::parse(&bytes).map_err(|error| {
        let reason = error.to_string();
        damaged(offset, Finding::NotALine { reason })
    })?;
    if line.lines.is_none() {
        return Err(damaged(
            offset,
            Finding::UnfinishedGroup { group: line.group },
        ));
    }
    if line.seq + 1 != next {
        let expected = line.seq + 1;
        return Err(damaged(offset, Finding::NoSegment { expected }));
    }
    Ok(Chain::new(next, Some(LineHash::of(&bytes))))
}

impl End {
    fn last_hash(&self) -> Result<LineHash, LedgerError> {
        // Unknown only if the oldest segment that is kept has no line.
        self.walked.chain.prev.ok_or_else(|| LedgerError::Damaged {
            file: self.source.path().to_owned(),
            line: 1,
            offset: 0,
            found: Finding::Empty,
        })
    }

    /// Cuts what is torn, keeping it aside, and puts a fresh copy into the segment's place.
    fn renew(&self, folder: &Folder, segment_bytes: u64) -> Result<Option<Cut>, LedgerError> {
        let end = self.walked.end;
        let cut = match &self.walked.bad {
            None => None,
            Some(bad) => {
                let bytes = self.source.rest(end)?;
                let first_seq = self.walked.chain.next_seq;
                let file = copy::keep_aside(folder, first_seq, &bytes)?;
                Some(Cut {
                    file: file.path().to_owned(),
                    segment: self.source.path().to_owned(),
                    first_seq,
                    offset: end,
                    bytes: bytes.len() as u64,
                    line: bad.number,
                    found: bad.found.clone(),
                })
            }
        };
        let length = self.source.length()?.max(segment_bytes);
        copy::renew(folder, &self.source, end, length)?;
        Ok(cut)
    }
}
