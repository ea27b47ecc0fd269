//! A fresh copy of the open segment after an unclean stop, and the file that keeps what was cut.
//!
//! After a failed sync the kernel may hold pages that look clean and are not on the device; only a new file, written
//! and synced, is known to be there. What a power cut tore is zeros in the copy.

use super::{
    LedgerError,
    folder::{Folder, NamedFile},
    segment::{self, SegmentBytes},
};

/// Under this name while it is being written.
pub(super) const COPYING: &str = "segment.copying";
const STEP_BYTES: u64 = 1 << 20;

/// Replaces the segment by a copy of its first `end` bytes and zeros up to `length`.
pub(super) fn renew(
    folder: &Folder,
    source: &SegmentBytes,
    end: u64,
    length: u64,
) -> Result<(), LedgerError> {
    let copy = folder.create(COPYING)?;
    let mut buffer = vec![0; usize::try_from(STEP_BYTES.min(end)).unwrap_or(0)];
    let mut at = 0;
    while at < end {
        let step = usize::try_from(end - at).unwrap_or(usize::MAX);
        let step = step.min(buffer.len());
        let read = source.read_at(buffer.get_mut(..step).unwrap_or_default(), at)?;
        assert!(read > 0, "the segment was read up to its end just before");
        copy.write_all_at(buffer.get(..read).unwrap_or_default(), at)?;
        at += read as u64;
    }
    copy.fill_with_zeros(end, length)?;
    folder.rename(COPYING, &segment::name(source.first_seq()))?;
    folder.sync()
}

/// Keeps the bytes of a torn group in a file of their own, durably.
pub(super) fn keep_aside(
    folder: &Folder,
    first_seq: u64,
    bytes: &[u8],
) -> Result<NamedFile, LedgerError> {
    let names = folder.names()?;
    let mut number = 1_u32;
    let name = loop {
        let name = format!("cut-{first_seq:020}-{number}.bytes");
        if !names.contains(&name) {
            break name;
        }
        number += 1;
    };
    let file = folder.create(&name)?;
    file.write_all_at(bytes, 0)?;
    file.sync()?;
    folder.sync()?;
    Ok(file)
}
