//! The check of the record: seq by seq, hash by hash, group by group.
//!
//! It finds the end of the last complete group and the first place that is wrong; what that place means -- a torn group
//! or damage -- is decided in `tear.rs`.

use std::sync::Arc;

use super::{
    Finding, LedgerError, LineHash,
    line::Line,
    lines::{Lines, Step},
    segment::SegmentBytes,
};

/// What the next line must be.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub next_seq: u64,
    /// None before the oldest segment that is kept: the lines before it are gone, and its first line is believed.
    pub prev: Option<LineHash>,
    /// False for readers that trust the hashes.
    pub is_hashed: bool,
    group: Option<OpenGroup>,
    last: Option<Place>,
}

#[derive(Clone, Copy, Debug)]
struct OpenGroup {
    first_seq: u64,
    lines: u32,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    number: u64,
    offset: u64,
    group: u64,
}

/// The first place that is wrong.
#[derive(Debug)]
pub(super) struct Bad {
    pub number: u64,
    pub offset: u64,
    pub found: Finding,
    /// The group in which the place lies; 0 if that is not known.
    pub group: u64,
}

impl Bad {
    pub fn into_error(self, source: &SegmentBytes) -> LedgerError {
        LedgerError::Damaged {
            file: source.path().to_owned(),
            line: self.number,
            offset: self.offset,
            found: self.found,
        }
    }
}

impl Chain {
    pub fn new(next_seq: u64, prev: Option<LineHash>) -> Self {
        Self {
            next_seq,
            prev,
            is_hashed: true,
            group: None,
            last: None,
        }
    }

    /// The chain at the start of the oldest segment.
    pub fn at_first_segment(first_seq: u64) -> Self {
        Self::new(first_seq, (first_seq == 1).then_some(LineHash::NONE))
    }

    /// Goes on in the next segment.
    pub fn enter_segment(&mut self) {
        self.last = None;
    }

    pub fn is_between_groups(&self) -> bool {
        self.group.is_none()
    }

    /// Checks the line and steps behind it.
    pub fn check<'b>(
        &mut self,
        bytes: &'b [u8],
        offset: u64,
        number: u64,
    ) -> Result<Line<'b>, Bad> {
        let due = self.group.map_or(self.next_seq, |group| group.first_seq);
        let bad = |found| Bad {
            number,
            offset,
            found,
            group: due,
        };
        let line = Line::parse(bytes).map_err(|error| {
            bad(Finding::NotALine {
                reason: error.to_string(),
            })
        })?;
        if line.seq != self.next_seq {
            return Err(bad(Finding::Sequence {
                expected: self.next_seq,
                found: line.seq,
            }));
        }
        if line.group != due {
            return Err(bad(Finding::Group {
                expected: due,
                found: line.group,
            }));
        }
        if self
            .prev
            .is_some_and(|prev| self.is_hashed && prev.as_str() != line.prev)
        {
            return Err(self.broken_link(offset, number));
        }
        let lines = self.group.map_or(0, |group| group.lines) + 1;
        if let Some(found) = line.lines.filter(|found| *found != lines) {
            return Err(bad(Finding::Lines {
                expected: lines,
                found,
            }));
        }
        self.group = line.lines.is_none().then_some(OpenGroup {
            first_seq: due,
            lines,
        });
        self.next_seq += 1;
        self.prev = self.is_hashed.then(|| LineHash::of(bytes));
        self.last = Some(Place {
            number,
            offset,
            group: due,
        });
        Ok(line)
    }

    /// The end of the written part: right between groups only, and with nothing but zeros behind it.
    pub fn check_end(&self, offset: u64, number: u64, has_more: bool) -> Result<(), Bad> {
        let (found, group) = match self.group {
            Some(OpenGroup { first_seq, .. }) => {
                (Finding::UnfinishedGroup { group: first_seq }, first_seq)
            }
            None if has_more => (Finding::AfterTheEnd, self.next_seq),
            None => return Ok(()),
        };
        Err(Bad {
            number,
            offset,
            found,
            group,
        })
    }

    pub fn torn(&self, offset: u64, number: u64) -> Bad {
        Bad {
            number,
            offset,
            found: Finding::TornLine,
            group: self.group.map_or(self.next_seq, |group| group.first_seq),
        }
    }

    /// A `prev` that does not fit blames the line before: that is the one which the hash covers.
    fn broken_link(&self, offset: u64, number: u64) -> Bad {
        match self.last {
            Some(last) => Bad {
                number: last.number,
                offset: last.offset,
                found: Finding::Changed,
                group: last.group,
            },
            None => Bad {
                number,
                offset,
                found: Finding::NotContinuing,
                group: 0,
            },
        }
    }
}

/// What a walk through one segment found.
pub(super) struct Walked {
    /// The offset behind the last complete group.
    pub end: u64,
    /// The chain behind the last complete group.
    pub chain: Chain,
    pub lines: u64,
    pub groups: u64,
    pub bad: Option<Bad>,
}

/// Walks through a segment to its end, to the first wrong place, or to the line `until` if that comes first.
pub(super) fn walk(
    source: &Arc<SegmentBytes>,
    mut chain: Chain,
    until: Option<u64>,
    on_group: &mut dyn FnMut(u64),
) -> Result<Walked, LedgerError> {
    chain.enter_segment();
    let mut lines = Lines::new(Arc::clone(source));
    let mut walked = Walked {
        end: 0,
        chain: chain.clone(),
        lines: 0,
        groups: 0,
        bad: None,
    };
    loop {
        if until.is_some_and(|until| chain.next_seq > until) {
            return Ok(walked);
        }
        let bad = match lines.next()? {
            Step::Line {
                offset,
                number,
                bytes,
            } => match chain.check(bytes, offset, number) {
                Ok(_) if chain.is_between_groups() => {
                    walked.end = offset + bytes.len() as u64 + 1;
                    walked.chain = chain.clone();
                    walked.lines = number;
                    walked.groups += 1;
                    on_group(walked.end);
                    continue;
                }
                Ok(_) => continue,
                Err(bad) => bad,
            },
            Step::Torn { offset, number } => chain.torn(offset, number),
            Step::End { offset, number } => {
                let has_more = source.used()? > offset;
                match chain.check_end(offset, number, has_more) {
                    Ok(()) => return Ok(walked),
                    Err(bad) => bad,
                }
            }
        };
        walked.bad = Some(bad);
        return Ok(walked);
    }
}
