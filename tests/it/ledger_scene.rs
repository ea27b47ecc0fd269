//! What the ledger's tests share: a folder, tiny sizes, and groups of numbered lines.
//!
//! An event is `{"number":n,"text":"..."}`; the line with seq n has number n.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use pairbox::{
    domain::{Position, Timestamp},
    ledger::{Files, Ledger, LedgerError, LineHash, Opening, Options, Reader, RealFiles},
};
use serde_json::json;

pub fn tiny() -> Options {
    Options {
        segment_bytes: 4096,
        group_bytes_max: 2048,
        group_commands_max: 4,
        command_bytes_max: 1024,
    }
}

pub fn open(folder: &Path) -> (Ledger, Opening) {
    open_with(folder, Arc::new(RealFiles)).unwrap()
}

pub fn open_with(folder: &Path, files: Arc<dyn Files>) -> Result<(Ledger, Opening), LedgerError> {
    Ledger::open(folder, files, tiny())
}

/// Writes one group of `lines` lines.
pub fn write_group(ledger: &mut Ledger, lines: u32) -> Result<Vec<Position>, LedgerError> {
    ledger.begin_group()?;
    let mut positions = Vec::new();
    for _ in 0..lines {
        let seq = ledger.next_seq();
        let at = Timestamp::from_micros(1_795_456_789_000_000 + i64::try_from(seq).unwrap());
        let text = "x".repeat(usize::try_from(seq * 37 % 120).unwrap());
        positions.push(ledger.push(at, "tester", &json!({"number": seq, "text": text}))?);
    }
    ledger.sync()?;
    Ok(positions)
}

/// Reads everything, checks that it is the lines 1 to n in whole groups, and gives n.
pub fn read_all(reader: &Reader) -> u64 {
    let mut due = 1;
    let mut is_whole = true;
    for entry in reader.entries(1) {
        let (position, entry) = entry.unwrap();
        assert_eq!((position.seq, entry.seq), (due, due));
        let event: serde_json::Value = serde_json::from_str(entry.event.get()).unwrap();
        assert_eq!(event["number"], due);
        assert_eq!(
            reader.line(position).unwrap().event.get(),
            entry.event.get()
        );
        is_whole = entry.lines.is_some();
        due += 1;
    }
    assert!(is_whole, "the last line read ends its group");
    due - 1
}

/// Verifies the folder offline; gives the last seq and hash.
pub fn verify(folder: &Path) -> Result<(u64, LineHash), LedgerError> {
    let verified = pairbox::ledger::verify(folder, Arc::new(RealFiles), &mut |_| {})?;
    assert_eq!(verified.lines, verified.last_seq);
    Ok((verified.last_seq, verified.last_hash))
}

pub fn segment(folder: &Path, first_seq: u64) -> PathBuf {
    folder.join(format!("{first_seq:020}.jsonl"))
}

/// The names in the folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names = RealFiles.list(folder).unwrap();
    names.sort();
    names
}

/// A copy of a ledger's folder.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in names(from) {
        std::fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}
