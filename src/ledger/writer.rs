//! The ledger itself: the one writer's side. `commit/` begins a group, pushes its lines, and syncs once.
//!
//! Nothing reaches the disk before `sync`, and nobody may be told of a line before `sync` returned. After a failed file
//! call it refuses everything: nobody knows which part of the group is on the disk until the next opening looks.

use std::{path::Path, sync::Arc};

use serde::Serialize;

use super::{
    Files, LedgerError, Opening, Options, Preparer, Reader,
    close::Marker,
    extent::Extent,
    folder::Folder,
    folder::NamedFile,
    group::{Group, Mark},
    opening,
    options::LINE_FRAME_BYTES,
    prepare::Preparation,
};
use crate::domain::{Position, Timestamp};

/// The append-only record, open for writing.
pub struct Ledger {
    folder: Folder,
    options: Options,
    extent: Arc<Extent>,
    preparation: Arc<Preparation>,
    segment: OpenSegment,
    group: Group,
    /// How long the group was when the command in the making began.
    command_start: u64,
    is_begun: bool,
    is_stopped: bool,
}

struct OpenSegment {
    file: NamedFile,
    /// How long the segment is.
    capacity: u64,
    /// Where the next group goes.
    end: u64,
}

/// What one sync made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupWritten {
    pub first_seq: u64,
    pub lines: u32,
    pub bytes: u64,
}

impl Ledger {
    /// Opens the ledger in `folder`, or begins one there. The caller holds the lock of the data folder.
    pub fn open(
        folder: &Path,
        files: Arc<dyn Files>,
        options: Options,
    ) -> Result<(Self, Opening), LedgerError> {
        options.assert_sound();
        let folder = Folder::new(folder, files);
        let opened = opening::open(&folder, &options)?;
        let opening = opened.opening;
        let ledger = Self {
            folder,
            options,
            extent: Arc::new(opened.extent),
            preparation: Arc::new(opened.preparation),
            segment: OpenSegment::new(opened.file, opened.end)?,
            group: Group::new(opening.last_seq + 1, opening.last_hash),
            command_start: 0,
            is_begun: false,
            is_stopped: false,
        };
        Ok((ledger, opening))
    }

    /// Begins a group; it lies in one segment, so a new segment begins here if a command might not fit.
    pub fn begin_group(&mut self) -> Result<(), LedgerError> {
        self.begin_group_for(1)
    }

    /// Begins a group with room for so many commands of the largest size.
    pub fn begin_group_for(&mut self, commands: u64) -> Result<(), LedgerError> {
        self.check_running()?;
        assert!(
            self.group.lines() == 0,
            "a group begins after the one before it was synced"
        );
        if self.segment.room() < commands * self.options.command_bytes_max + LINE_FRAME_BYTES {
            let rolled = self.roll();
            self.stop_on_error(rolled)?;
        }
        self.is_begun = true;
        Ok(())
    }

    /// Adds a line to the group. A line that is refused leaves the group as it was.
    pub fn push(
        &mut self,
        at: Timestamp,
        by: &str,
        event: &impl Serialize,
    ) -> Result<Position, LedgerError> {
        if !self.is_begun {
            self.begin_group()?;
        }
        self.check_running()?;
        let seq = self.group.next_seq();
        let start = self.group.push(at, by, event, self.segment.room())?;
        let offset = u32::try_from(self.segment.end + start as u64);
        assert!(offset.is_ok(), "a segment is under 4 GiB");
        Ok(Position {
            seq,
            offset: offset.unwrap_or_default(),
        })
    }

    /// A command begins: the lines of the next `push_all` calls together take at most `command_bytes_max`.
    pub fn begin_command(&mut self) {
        self.command_start = self.group.length();
    }

    /// Adds the lines of what was judged as one, all of them or none. What a command may hold does not depend on where in
    /// the segment it comes, so a refused one is refused again.
    pub fn push_all(
        &mut self,
        at: Timestamp,
        by: &str,
        events: &[impl Serialize],
    ) -> Result<Vec<Position>, LedgerError> {
        let mark = self.group.mark();
        let limit = self.options.command_bytes_max;
        let mut positions = Vec::with_capacity(events.len());
        for event in events {
            let seq = self.group.next_seq();
            let pushed = self.push(at, by, event).and_then(|position| {
                let bytes = self.group.length().saturating_sub(self.command_start);
                if bytes <= limit {
                    Ok(position)
                } else {
                    Err(LedgerError::CommandTooLong { seq, bytes, limit })
                }
            });
            match pushed {
                Ok(position) => positions.push(position),
                Err(error) => {
                    self.group.rewind(mark);
                    return Err(error);
                }
            }
        }
        Ok(positions)
    }

    /// True if another command of the largest size might not fit the group or its segment.
    pub fn group_is_full(&self) -> bool {
        !self.has_room_for(1)
    }

    /// Whether so many commands of the largest size surely fit the group and its segment.
    pub fn has_room_for(&self, commands: u64) -> bool {
        let room = self.segment.room().min(self.options.group_bytes_max);
        self.group.length() + commands * self.options.command_bytes_max <= room
    }

    /// Where the group stands, between two commands.
    pub fn mark(&self) -> Mark {
        self.group.mark()
    }

    /// Takes the lines since the mark back, as if they had never been pushed.
    pub fn rewind(&mut self, mark: Mark) {
        self.group.rewind(mark);
    }

    /// Writes the group by one write and one sync; an empty group costs nothing.
    pub fn sync(&mut self) -> Result<GroupWritten, LedgerError> {
        self.check_running()?;
        self.is_begun = false;
        let written = GroupWritten {
            first_seq: self.group.first_seq(),
            lines: self.group.lines(),
            bytes: 0,
        };
        if written.lines == 0 {
            return Ok(written);
        }
        self.group.finish();
        let bytes = self.group.bytes().len() as u64;
        let outcome = self
            .segment
            .file
            .write_all_at(self.group.bytes(), self.segment.end)
            .and_then(|()| self.segment.file.sync());
        self.stop_on_error(outcome)?;
        self.segment.end += bytes;
        self.group.restart();
        self.extent.set_last_synced_seq(self.next_seq() - 1);
        Ok(GroupWritten { bytes, ..written })
    }

    /// The seq that the next line gets.
    pub fn next_seq(&self) -> u64 {
        self.group.next_seq()
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// A reader that sees every group as soon as it is synced.
    pub fn reader(&self) -> Reader {
        Reader::new(self.folder.clone(), Arc::clone(&self.extent))
    }

    /// What makes the next segment ready; for a thread of its own.
    pub fn preparer(&self) -> Preparer {
        Preparer::new(Arc::clone(&self.preparation))
    }

    /// The free space of the disk under the ledger, in bytes.
    pub fn free_bytes(&self) -> Result<u64, LedgerError> {
        self.folder.free_bytes()
    }

    /// Syncs and marks the stop as a clean one. A ledger that is only dropped was stopped uncleanly.
    pub fn close(mut self) -> Result<(), LedgerError> {
        self.sync()?;
        Marker::new(self.next_seq() - 1, self.group.last_hash()).write(&self.folder)
    }

    fn roll(&mut self) -> Result<(), LedgerError> {
        let first_seq = self.next_seq();
        let file = self.preparation.take(first_seq)?;
        self.segment = OpenSegment::new(file, 0)?;
        self.extent.add_segment(first_seq);
        Ok(())
    }

    fn check_running(&self) -> Result<(), LedgerError> {
        if self.is_stopped {
            return Err(LedgerError::Stopped {
                group: self.group.first_seq(),
            });
        }
        Ok(())
    }

    fn stop_on_error(&mut self, outcome: Result<(), LedgerError>) -> Result<(), LedgerError> {
        self.is_stopped = outcome.is_err();
        outcome
    }
}

impl OpenSegment {
    fn new(file: NamedFile, end: u64) -> Result<Self, LedgerError> {
        let capacity = file.length()?.min(u64::from(u32::MAX));
        Ok(Self {
            file,
            capacity,
            end,
        })
    }

    fn room(&self) -> u64 {
        self.capacity.saturating_sub(self.end)
    }
}
