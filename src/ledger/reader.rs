//! The readers' side: one line by its position, or all lines from a seq on.
//!
//! A reader never gives out a line whose group is not complete and synced. It is cheap to clone; clones share the open
//! files.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Entry, Files, Finding, LedgerError,
    extent::Extent,
    folder::Folder,
    line::Line,
    lines::{Lines, Step},
    opening, segment,
    segment::SegmentBytes,
    walk::Chain,
};
use crate::domain::Position;

/// As many segments are kept open for single lines.
const OPEN_SEGMENTS_MAX: usize = 16;
/// Most lines are shorter than this and read by one call.
const LINE_BYTES_USUAL: usize = 4096;

/// Reads the record.
#[derive(Clone)]
pub struct Reader {
    folder: Folder,
    extent: Arc<Extent>,
    /// The most recently used last.
    open: Arc<Mutex<Vec<Arc<SegmentBytes>>>>,
}

impl Reader {
    pub(super) fn new(folder: Folder, extent: Arc<Extent>) -> Self {
        Self {
            folder,
            extent,
            open: Arc::default(),
        }
    }

    /// A reader of a ledger that nobody writes; a torn group at its end is not seen.
    pub fn open(folder: &Path, files: Arc<dyn Files>) -> Result<Self, LedgerError> {
        let folder = Folder::new(folder, files);
        let segments = segment::list(&folder)?;
        let end = opening::find_end(&folder, &segments)?;
        let last_seq = end.map_or(0, |end| end.walked.chain.next_seq - 1);
        Ok(Self::new(folder, Arc::new(Extent::new(segments, last_seq))))
    }

    /// The last line that may be read; 0 if there is none.
    pub fn last_seq(&self) -> u64 {
        self.extent.last_synced_seq()
    }

    /// The oldest line that is kept.
    pub fn first_seq(&self) -> u64 {
        self.extent.first_seq()
    }

    /// The line at a position. Its hash is not checked.
    pub fn line(&self, position: Position) -> Result<Entry, LedgerError> {
        let seq = position.seq;
        let segment = self.extent.segment_of(seq);
        let Some(first_seq) = segment.filter(|_| seq <= self.last_seq()) else {
            return Err(self.no_such_line(seq));
        };
        let source = self.source(first_seq)?;
        let bytes = read_line(&source, u64::from(position.offset))?;
        let line = Line::parse(&bytes).map_err(|error| LedgerError::Damaged {
            file: source.path().to_owned(),
            line: source.line_number(position.offset.into()),
            offset: position.offset.into(),
            found: Finding::NotALine {
                reason: error.to_string(),
            },
        })?;
        if line.seq != seq {
            return Err(LedgerError::OtherLine {
                file: source.path().to_owned(),
                offset: position.offset,
                seq,
                found: line.seq,
            });
        }
        Ok(line.to_entry())
    }

    /// All lines from a seq, or from the oldest that is kept, checking the chain from the start of that segment.
    pub fn entries(&self, from_seq: u64) -> Entries {
        Entries::new(self.clone(), from_seq, true)
    }

    /// As `entries`, but trusting the hashes; order and groups are checked all the same.
    pub fn entries_trusted(&self, from_seq: u64) -> Entries {
        Entries::new(self.clone(), from_seq, false)
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    pub(super) fn extent(&self) -> &Extent {
        &self.extent
    }

    fn source(&self, first_seq: u64) -> Result<Arc<SegmentBytes>, LedgerError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let found = open.iter().position(|one| one.first_seq() == first_seq);
        let source = match found {
            Some(at) => open.remove(at),
            None => Arc::new(SegmentBytes::open(&self.folder, first_seq)?),
        };
        if open.len() >= OPEN_SEGMENTS_MAX {
            open.remove(0);
        }
        open.push(Arc::clone(&source));
        Ok(source)
    }

    fn no_such_line(&self, seq: u64) -> LedgerError {
        LedgerError::NoSuchLine {
            seq,
            first: self.first_seq(),
            last: self.last_seq(),
        }
    }
}

/// The bytes from `offset` to the next line feed, zero or end of the segment.
fn read_line(source: &SegmentBytes, offset: u64) -> Result<Vec<u8>, LedgerError> {
    let mut bytes = vec![0; LINE_BYTES_USUAL];
    let mut filled = 0;
    loop {
        let open = bytes.get_mut(filled..).unwrap_or_default();
        let read = source.read_at(open, offset + filled as u64)?;
        let fresh = open.get(..read).unwrap_or_default();
        let stop = fresh.iter().position(|byte| *byte == b'\n' || *byte == 0);
        if stop.is_some() || read == 0 {
            bytes.truncate(filled + stop.unwrap_or(0));
            return Ok(bytes);
        }
        filled += read;
        if filled == bytes.len() {
            bytes.resize(filled * 2, 0);
        }
    }
}

/// The lines of the record in order. At its end it gives none; asked again later, it goes on with what was synced since.
pub struct Entries {
    reader: Reader,
    from_seq: u64,
    chain: Chain,
    lines: Option<Lines>,
    /// No line beyond this is looked at.
    last_seq: u64,
    has_failed: bool,
}

impl Entries {
    fn new(reader: Reader, from_seq: u64, is_hashed: bool) -> Self {
        let oldest = reader.first_seq();
        let from_seq = from_seq.max(oldest);
        let segment = reader.extent.segment_of(from_seq).unwrap_or(oldest);
        let mut chain = Chain::at_first_segment(segment);
        chain.is_hashed = is_hashed;
        Self {
            reader,
            from_seq,
            chain,
            lines: None,
            last_seq: 0,
            has_failed: false,
        }
    }

    fn advance(&mut self) -> Result<Option<(Position, Entry)>, LedgerError> {
        loop {
            if self.chain.next_seq > self.last_seq {
                self.last_seq = self.reader.last_seq();
                if self.chain.next_seq > self.last_seq {
                    return Ok(None);
                }
                if let Some(lines) = &mut self.lines {
                    lines.look_again();
                }
            }
            let Some(lines) = &mut self.lines else {
                self.lines = Some(self.enter_segment()?);
                continue;
            };
            let source = Arc::clone(lines.source());
            match lines.next()? {
                Step::Line {
                    offset,
                    number,
                    bytes,
                } => {
                    let line = self.chain.check(bytes, offset, number);
                    let line = line.map_err(|bad| bad.into_error(&source))?;
                    if line.seq >= self.from_seq {
                        let position = Position {
                            seq: line.seq,
                            offset: u32::try_from(offset).unwrap_or(u32::MAX),
                        };
                        return Ok(Some((position, line.to_entry())));
                    }
                }
                Step::End { offset, number } => {
                    let end = self.chain.check_end(offset, number, false);
                    end.map_err(|bad| bad.into_error(&source))?;
                    self.check_next_segment(&source, offset, number)?;
                    self.lines = None;
                }
                Step::Torn { offset, number } => {
                    return Err(self.chain.torn(offset, number).into_error(&source));
                }
            }
        }
    }

    fn enter_segment(&mut self) -> Result<Lines, LedgerError> {
        self.chain.enter_segment();
        let source = SegmentBytes::open(&self.reader.folder, self.chain.next_seq)?;
        Ok(Lines::new(Arc::new(source)))
    }

    /// There are more lines, so there must be a segment that begins with the next.
    fn check_next_segment(
        &self,
        source: &SegmentBytes,
        offset: u64,
        line: u64,
    ) -> Result<(), LedgerError> {
        let expected = self.chain.next_seq;
        let is_there = self.reader.extent.segment_of(expected) == Some(expected);
        if is_there && expected != source.first_seq() {
            return Ok(());
        }
        Err(LedgerError::Damaged {
            file: source.path().to_owned(),
            line,
            offset,
            found: Finding::NoSegment { expected },
        })
    }
}

impl Iterator for Entries {
    type Item = Result<(Position, Entry), LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let next = self.advance();
        self.has_failed = next.is_err();
        next.transpose()
    }
}
