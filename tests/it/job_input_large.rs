//! A vendor's file of any length is read in the same memory: rows leave while others come.

use std::cell::Cell;
use std::io::{self, Read, Write};

use pairbox::jobs::input::{InputOptions, Source, read};

/// Makes rows as they are asked for, a few bytes at a time as a pipe may, and counts them.
struct Generated<'a> {
    row: u64,
    rows: u64,
    ahead: Vec<u8>,
    bytes: &'a Cell<u64>,
}

impl Read for Generated<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() && self.row <= self.rows {
            self.ahead = match self.row {
                0 => b"smartcard;stb\r\n".to_vec(),
                row => format!("{:012};{:010}\r\n", 19_000_000_000 + row, row).into_bytes(),
            };
            self.row += 1;
        }
        let count = self.ahead.len().min(into.len());
        into[..count].copy_from_slice(&self.ahead[..count]);
        self.ahead.drain(..count);
        self.bytes.set(self.bytes.get() + count as u64);
        Ok(count)
    }
}

/// Holds nothing; remembers how far the reader ever was ahead.
struct Followed<'a> {
    read: &'a Cell<u64>,
    written: u64,
    ahead_max: u64,
}

impl Write for Followed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let ahead = self.read.get().saturating_sub(self.written);
        self.ahead_max = self.ahead_max.max(ahead);
        self.written += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_large_file_is_written_while_it_is_read() {
    const ROWS: u64 = 200_000;
    let bytes = Cell::new(0);
    let source = Generated {
        row: 0,
        rows: ROWS,
        ahead: Vec::new(),
        bytes: &bytes,
    };
    let mut into = Followed {
        read: &bytes,
        written: 0,
        ahead_max: 0,
    };
    let mut told = Vec::new();
    let plain = read(
        Source::Standard(Box::new(source)),
        &InputOptions::default(),
        &mut into,
        &mut |bytes, rows| told.push((bytes, rows)),
    )
    .unwrap();
    assert_eq!((plain.rows, plain.faults), (ROWS, 0));
    // A row of the plain CSV is longer than the vendor's, so what is not written yet is all that can be held.
    assert!(into.written > bytes.get());
    assert!(into.ahead_max < 256 * 1024, "{}", into.ahead_max);
    assert!(told.is_sorted() && told.len() > 100, "{}", told.len());
    assert_eq!(told.last(), Some(&(bytes.get(), ROWS)));
}

#[test]
fn a_quote_that_never_ends_is_not_read_to_the_end() {
    let bytes = Cell::new(0);
    let header = &b"smartcard,stb\n1,\"2\n"[..];
    let source = Generated {
        row: 1,
        rows: 1_000_000,
        ahead: Vec::new(),
        bytes: &bytes,
    };
    let mut into = Vec::new();
    let error = read(
        Source::Standard(Box::new(header.chain(source))),
        &InputOptions::default(),
        &mut into,
        &mut |_, _| {},
    )
    .unwrap_err();
    assert_eq!(error.line, Some(2));
    assert!(bytes.get() < 512 * 1024, "{}", bytes.get());
}
