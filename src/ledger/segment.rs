//! A segment as its readers see it: named by its first seq, and a source of the bytes that were written into it.
//!
//! This is the one place that knows in which form a segment lies on the disk. Today it is the plain file; a closed
//! segment compressed in frames with an index will be a second form, with the same offsets.

use std::path::Path;

use super::{
    LedgerError,
    folder::{Folder, NamedFile},
};

const PLAIN_SUFFIX: &str = ".jsonl";
const SEQ_DIGITS: usize = 20;
/// The end of a segment is looked for in steps of this size.
const STEP_BYTES: usize = 1 << 16;

/// The name of the plain segment that begins with `first_seq`.
pub(super) fn name(first_seq: u64) -> String {
    format!("{first_seq:020}{PLAIN_SUFFIX}")
}

/// The first seqs of all segments in the folder, in order.
pub(super) fn list(folder: &Folder) -> Result<Vec<u64>, LedgerError> {
    let mut found: Vec<u64> = folder
        .names()?
        .iter()
        .filter_map(|name| first_seq(name))
        .collect();
    found.sort_unstable();
    Ok(found)
}

fn first_seq(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(PLAIN_SUFFIX)?;
    let is_seq = digits.len() == SEQ_DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| is_seq)
}

/// Where the bytes of a segment come from.
pub(super) struct SegmentBytes {
    first_seq: u64,
    form: Form,
}

enum Form {
    Plain(NamedFile),
}

impl SegmentBytes {
    pub fn open(folder: &Folder, first_seq: u64) -> Result<Self, LedgerError> {
        Ok(Self {
            first_seq,
            form: Form::Plain(folder.open_to_read(&name(first_seq))?),
        })
    }

    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    pub fn path(&self) -> &Path {
        match &self.form {
            Form::Plain(file) => file.path(),
        }
    }

    /// The uncompressed length, the unused rest included.
    pub fn length(&self) -> Result<u64, LedgerError> {
        match &self.form {
            Form::Plain(file) => file.length(),
        }
    }

    /// Reads at an offset of the uncompressed segment; 0 at its end.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, LedgerError> {
        match &self.form {
            Form::Plain(file) => file.read_at(bytes, offset),
        }
    }

    /// What lies from `offset` to the last byte that is not zero. At most one segment.
    pub fn rest(&self, offset: u64) -> Result<Vec<u8>, LedgerError> {
        let end = self.used()?;
        let mut rest = vec![0; usize::try_from(end.saturating_sub(offset)).unwrap_or(0)];
        let mut filled = 0;
        while let Some(open) = rest.get_mut(filled..).filter(|open| !open.is_empty()) {
            let read = self.read_at(open, offset + filled as u64)?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        rest.truncate(filled);
        Ok(rest)
    }

    /// The offset behind the last byte that is not zero.
    pub fn used(&self) -> Result<u64, LedgerError> {
        let mut end = self.length()?;
        let mut buffer = vec![0; STEP_BYTES];
        while end > 0 {
            let start = end.saturating_sub(STEP_BYTES as u64);
            let step = usize::try_from(end - start).unwrap_or(STEP_BYTES);
            let read = self.read_at(buffer.get_mut(..step).unwrap_or_default(), start)?;
            let read = buffer.get(..read).unwrap_or_default();
            if let Some(last) = read.iter().rposition(|byte| *byte != 0) {
                return Ok(start + last as u64 + 1);
            }
            end = start;
        }
        Ok(0)
    }

    /// The number of the line that begins at `offset`, for messages.
    pub fn line_number(&self, offset: u64) -> u64 {
        let before = usize::try_from(offset).unwrap_or(usize::MAX);
        self.rest(0).map_or(0, |bytes| {
            let feeds = bytes.iter().take(before).filter(|byte| **byte == b'\n');
            feeds.count() as u64 + 1
        })
    }

    /// The last line without its line feed, and its offset; none if the segment is empty or does not end with a line.
    pub fn last_line(&self) -> Result<Option<(u64, Vec<u8>)>, LedgerError> {
        let used = self.used()?;
        let mut start = used;
        let mut text = Vec::new();
        while start > 0 {
            start = start.saturating_sub(STEP_BYTES as u64);
            text = self.rest(start)?;
            if text.pop() != Some(b'\n') {
                return Ok(None);
            }
            if let Some(feed) = text.iter().rposition(|byte| *byte == b'\n') {
                let line = text.split_off(feed + 1);
                return Ok(Some((start + feed as u64 + 1, line)));
            }
        }
        Ok((used > 0).then_some((0, text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_found_by_its_name_only() {
        assert_eq!(name(1), "00000000000000000001.jsonl");
        assert_eq!(first_seq(&name(u64::MAX)), Some(u64::MAX));
        for other in ["1.jsonl", "next.prepared", "+0000000000000000001.jsonl", ""] {
            assert_eq!(first_seq(other), None, "{other}");
        }
    }
}
