//! Torn or damaged? What a wrong place in the open segment means.
//!
//! A group is written only after the one before it was synced. So if anything of a later group lies behind the wrong
//! place, its own group was once complete: that is damage, and somebody was told OK. If not, a power cut tore the
//! group before anybody was told, and it is cut whole.

use super::{LedgerError, line::Line, segment::SegmentBytes, walk::Bad};

const LINE_START: &[u8] = b"{\"seq\":";

/// True if a line of another group lies at or behind the wrong place.
pub(super) fn is_damage(source: &SegmentBytes, bad: &Bad) -> Result<bool, LedgerError> {
    let rest = source.rest(bad.offset)?;
    // Lost sectors read as zeros: a whole line may begin behind one.
    Ok(rest
        .split_inclusive(|byte| *byte == b'\n' || *byte == 0)
        .filter_map(|piece| piece.strip_suffix(b"\n"))
        .any(|piece| holds_line_of_another_group(piece, bad.group)))
}

/// Looks at every place where a line may begin: a changed line feed joins the last line of a group with the next group.
fn holds_line_of_another_group(piece: &[u8], group: u64) -> bool {
    let starts = piece
        .windows(LINE_START.len())
        .enumerate()
        .filter_map(|(at, window)| (window == LINE_START).then_some(at));
    starts
        .filter_map(|at| piece.get(at..))
        .filter_map(|line| Line::parse(line).ok())
        .any(|line| line.group != group)
}
