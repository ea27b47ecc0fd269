//! The group in the making: lines are serialized one behind the other into one buffer that is used again and again.
//!
//! The end of the last line is left open, because only the last line of a group says how many lines there are; it is
//! closed by the next line or by the end of the group. A line that cannot be taken leaves no trace.

use std::io::Write;

use serde::Serialize;

use super::{LedgerError, LineHash, options::LINE_FRAME_BYTES};
use crate::domain::Timestamp;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// The lines that the next sync writes.
pub(super) struct Group {
    bytes: Vec<u8>,
    first_seq: u64,
    lines: u32,
    /// Where the last line begins.
    last_start: usize,
    /// The hash of the line before the last.
    prev: LineHash,
    second: SecondText,
}

/// Where a group stood; taken between two lines.
#[derive(Clone, Copy)]
pub struct Mark {
    length: usize,
    lines: u32,
    last_start: usize,
    prev: LineHash,
}

impl Group {
    /// An empty group that will begin with `first_seq`, behind a line with the hash `prev`.
    pub fn new(first_seq: u64, prev: LineHash) -> Self {
        Self {
            bytes: Vec::new(),
            first_seq,
            lines: 0,
            last_start: 0,
            prev,
            second: SecondText::default(),
        }
    }

    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    pub fn next_seq(&self) -> u64 {
        self.first_seq + u64::from(self.lines)
    }

    pub fn lines(&self) -> u32 {
        self.lines
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes that the group will have at most, once its last line is closed.
    pub fn length(&self) -> u64 {
        self.bytes.len() as u64 + LINE_FRAME_BYTES
    }

    /// The hash of the last line; after `finish`.
    pub fn last_hash(&self) -> LineHash {
        self.prev
    }

    /// Adds a line if the whole group then fits into `room` bytes; gives its offset in the group.
    pub fn push(
        &mut self,
        at: Timestamp,
        by: &str,
        event: &impl Serialize,
        room: u64,
    ) -> Result<usize, LedgerError> {
        let (length, last_start, prev) = (self.bytes.len(), self.last_start, self.prev);
        let seq = self.next_seq();
        if self.lines > 0 {
            self.close_line(None);
        }
        let start = self.bytes.len();
        let written = self
            .open_line(seq, at, by, event)
            .map_err(|source| LedgerError::Event { seq, source })
            .and_then(|()| self.fits(seq, start, room));
        if let Err(error) = written {
            self.bytes.truncate(length);
            (self.last_start, self.prev) = (last_start, prev);
            return Err(error);
        }
        self.last_start = start;
        self.lines += 1;
        Ok(start)
    }

    pub fn mark(&self) -> Mark {
        Mark {
            length: self.bytes.len(),
            lines: self.lines,
            last_start: self.last_start,
            prev: self.prev,
        }
    }

    /// Takes the lines since the mark back, as if they had never been pushed.
    pub fn rewind(&mut self, mark: Mark) {
        self.bytes.truncate(mark.length);
        self.lines = mark.lines;
        self.last_start = mark.last_start;
        self.prev = mark.prev;
    }

    /// Closes the last line; from now on `bytes` is the whole group.
    pub fn finish(&mut self) {
        if self.lines > 0 {
            self.close_line(Some(self.lines));
        }
    }

    /// Begins the next group in the same buffer.
    pub fn restart(&mut self) {
        self.first_seq = self.next_seq();
        self.lines = 0;
        self.bytes.clear();
        self.last_start = 0;
    }

    fn open_line(
        &mut self,
        seq: u64,
        at: Timestamp,
        by: &str,
        event: &impl Serialize,
    ) -> Result<(), serde_json::Error> {
        let bytes = &mut self.bytes;
        bytes.extend_from_slice(b"{\"seq\":");
        serde_json::to_writer(&mut *bytes, &seq)?;
        bytes.extend_from_slice(b",\"group\":");
        serde_json::to_writer(&mut *bytes, &self.first_seq)?;
        bytes.extend_from_slice(b",\"at\":\"");
        self.second.write(at, bytes)?;
        bytes.extend_from_slice(b"\",\"by\":");
        serde_json::to_writer(&mut *bytes, by)?;
        bytes.extend_from_slice(b",\"event\":");
        let start = bytes.len();
        serde_json::to_writer(&mut *bytes, event)?;
        // A raw value may hold white space between its tokens; inside a string JSON has no bare line feed.
        let event = bytes.get_mut(start..).unwrap_or_default();
        if event.contains(&b'\n') {
            for byte in event.iter_mut().filter(|byte| **byte == b'\n') {
                *byte = b' ';
            }
        }
        Ok(())
    }

    fn close_line(&mut self, lines: Option<u32>) {
        let bytes = &mut self.bytes;
        if let Some(lines) = lines {
            bytes.extend_from_slice(b",\"lines\":");
            bytes.extend_from_slice(lines.to_string().as_bytes());
        }
        bytes.extend_from_slice(b",\"prev\":\"");
        bytes.extend_from_slice(self.prev.as_bytes());
        bytes.extend_from_slice(b"\"}");
        self.prev = LineHash::of(bytes.get(self.last_start..).unwrap_or_default());
        bytes.push(b'\n');
    }

    fn fits(&self, seq: u64, start: usize, room: u64) -> Result<(), LedgerError> {
        if self.length() <= room {
            return Ok(());
        }
        Err(LedgerError::LineTooLong {
            seq,
            bytes: self.length().saturating_sub(start as u64),
            room: room.saturating_sub(start as u64),
        })
    }
}

/// The text of the last second seen: the calendar is worked out once a second, not once a line.
#[derive(Default)]
struct SecondText {
    second: Option<i64>,
    /// As `2026-11-23T17:08:19.`
    text: String,
}

impl SecondText {
    fn write(&mut self, at: Timestamp, bytes: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let second = at.micros().div_euclid(MICROS_PER_SECOND);
        if self.second != Some(second) {
            let start = Timestamp::from_micros(second.saturating_mul(MICROS_PER_SECOND));
            self.text = start.to_string();
            self.text.truncate(self.text.len() - "000000Z".len());
            self.second = Some(second);
        }
        bytes.extend_from_slice(self.text.as_bytes());
        let micros = at.micros().rem_euclid(MICROS_PER_SECOND);
        write!(bytes, "{micros:06}Z").map_err(serde_json::Error::io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::line::Line;

    #[test]
    fn a_line_has_its_keys_in_the_agreed_order() {
        let mut group = Group::new(7, LineHash::NONE);
        let at = Timestamp::from_micros(1_795_456_789_000_042);
        let room = 1 << 20;
        group
            .push(at, "anna", &serde_json::json!({"kind": "x"}), room)
            .unwrap();
        group.push(at, "b\"ob", &1, room).unwrap();
        group.finish();
        let text = String::from_utf8(group.bytes().to_vec()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let zeros = "0".repeat(64);
        assert_eq!(
            lines[0],
            format!(
                r#"{{"seq":7,"group":7,"at":"{at}","by":"anna","event":{{"kind":"x"}},"prev":"{zeros}"}}"#
            )
        );
        let hash = LineHash::of(lines[0].as_bytes());
        assert_eq!(
            lines[1],
            format!(
                r#"{{"seq":8,"group":7,"at":"{at}","by":"b\"ob","event":1,"lines":2,"prev":"{hash}"}}"#
            )
        );
        assert_eq!(group.last_hash(), LineHash::of(lines[1].as_bytes()));
    }

    #[test]
    fn an_instant_is_written_as_timestamp_writes_it() {
        let mut second = SecondText::default();
        for micros in [0, 1, -1, 1_795_456_789_999_999, 1_795_456_789_000_000] {
            let at = Timestamp::from_micros(micros);
            let mut bytes = Vec::new();
            second.write(at, &mut bytes).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), at.to_string());
        }
    }

    #[test]
    fn a_refused_line_leaves_no_trace() {
        let mut plain = Group::new(1, LineHash::NONE);
        let mut tried = Group::new(1, LineHash::NONE);
        let room = 2_000;
        for seq in 0..3 {
            plain.push(Timestamp::ZERO, "x", &seq, room).unwrap();
            tried.push(Timestamp::ZERO, "x", &seq, room).unwrap();
            let long = "y".repeat(2_000);
            let error = tried.push(Timestamp::ZERO, "x", &long, room);
            assert!(matches!(error, Err(LedgerError::LineTooLong { .. })));
            let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
            let error = tried.push(Timestamp::ZERO, "x", &unwritable, room);
            assert!(matches!(error, Err(LedgerError::Event { .. })));
        }
        plain.finish();
        tried.finish();
        assert_eq!(plain.bytes(), tried.bytes());
        assert_eq!(plain.last_hash(), tried.last_hash());
    }

    #[test]
    fn a_line_feed_inside_a_raw_event_does_not_break_the_line() {
        let event = serde_json::value::RawValue::from_string("{\n \"a\":\n 1}".to_owned()).unwrap();
        let mut group = Group::new(1, LineHash::NONE);
        group.push(Timestamp::ZERO, "x", &event, 2_000).unwrap();
        group.finish();
        let (last, line) = group.bytes().split_last().unwrap();
        assert_eq!(*last, b'\n');
        assert_eq!(Line::parse(line).unwrap().event.get(), "{  \"a\":  1}");
    }
}
