//! A segment read line by line through one large buffer, up to the first zero byte.
//!
//! It only finds where lines begin and end; whether they are right is judged in `walk.rs`.

use std::sync::Arc;

use super::{LedgerError, segment::SegmentBytes};

const BUFFER_BYTES: usize = 1 << 20;

/// The lines of one segment.
pub(super) struct Lines {
    source: Arc<SegmentBytes>,
    buffer: Vec<u8>,
    /// The part of the buffer that is read and not yet given out.
    start: usize,
    filled: usize,
    /// The offset in the segment of `buffer[start]`.
    offset: u64,
    /// How many lines were given out.
    number: u64,
}

/// What lies next in a segment.
pub(super) enum Step<'b> {
    /// A line without its line feed; the first of a segment has number 1.
    Line {
        offset: u64,
        number: u64,
        bytes: &'b [u8],
    },
    /// The unused rest, or the end of the file.
    End { offset: u64, number: u64 },
    /// Bytes that end in a zero or with the file, not with a line feed.
    Torn { offset: u64, number: u64 },
}

impl Lines {
    pub fn new(source: Arc<SegmentBytes>) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            start: 0,
            filled: 0,
            offset: 0,
            number: 0,
        }
    }

    pub fn source(&self) -> &Arc<SegmentBytes> {
        &self.source
    }

    /// Forgets what was read ahead, because the writer has written since.
    pub fn look_again(&mut self) {
        self.filled = self.start;
    }

    /// The next line. At `End` and `Torn` it stands, and says the same again.
    pub fn next(&mut self) -> Result<Step<'_>, LedgerError> {
        let mut seen = 0;
        let stop = loop {
            let open = self.buffer.get(self.start..self.filled).unwrap_or_default();
            let fresh = open.get(seen..).unwrap_or_default();
            let stop = fresh.iter().position(|byte| *byte == b'\n' || *byte == 0);
            if let Some(stop) = stop {
                break Some(seen + stop);
            }
            seen = open.len();
            if !self.fill()? {
                break None;
            }
        };
        let (offset, number) = (self.offset, self.number + 1);
        let open = self.buffer.get(self.start..self.filled).unwrap_or_default();
        let length = stop.unwrap_or(open.len());
        if stop.and_then(|stop| open.get(stop)) == Some(&b'\n') {
            self.start += length + 1;
            self.offset += length as u64 + 1;
            self.number = number;
            let bytes = open.get(..length).unwrap_or_default();
            return Ok(Step::Line {
                offset,
                number,
                bytes,
            });
        }
        Ok(if length == 0 {
            Step::End { offset, number }
        } else {
            Step::Torn { offset, number }
        })
    }

    /// Reads on; false at the end of the segment.
    fn fill(&mut self) -> Result<bool, LedgerError> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.filled -= self.start;
            self.start = 0;
        }
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() + BUFFER_BYTES, 0);
        }
        let open = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let read = self
            .source
            .read_at(open, self.offset + self.filled as u64)?;
        self.filled += read;
        Ok(read > 0)
    }
}
