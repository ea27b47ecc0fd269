//! One connection of the simulator, with the replies that its faults hold back.
//!
//! Replies go out in the order in which they are given here; what `reorder` and `merge` hold goes out with the next reply,
//! or after a moment if none comes.

use std::time::Duration;

use crate::transport::{Connection, ConnectionError};

/// How long a reply that was held for the next one waits at most.
pub(super) const HELD_AT_MOST: Duration = Duration::from_millis(10);

/// How a reply is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Plain,
    /// After the next reply.
    Reorder,
    /// In one write with the next replies.
    Merge,
    /// One write for each byte.
    Split,
}

/// A client of the simulator.
pub(super) struct Peer {
    pub(super) connection: Connection,
    pub(super) may_read: bool,
    held: Vec<Vec<u8>>,
    held_until: Option<Duration>,
    /// Not to be flushed before this instant, so that one write carries several replies.
    merge_until: Option<Duration>,
}

impl Peer {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            may_read: true,
            held: Vec::new(),
            held_until: None,
            merge_until: None,
        }
    }

    /// Takes one reply frame without framing.
    pub(super) fn reply(
        &mut self,
        body: Vec<u8>,
        manner: Manner,
        now: Duration,
    ) -> Result<(), ConnectionError> {
        match manner {
            Manner::Reorder => {
                self.held.push(body);
                self.held_until.get_or_insert(now + HELD_AT_MOST);
                return Ok(());
            }
            Manner::Plain => {
                self.connection.queue(&body)?;
            }
            Manner::Merge => {
                self.connection.queue(&body)?;
                self.merge_until.get_or_insert(now + HELD_AT_MOST);
            }
            Manner::Split => {
                self.connection.flush()?;
                self.connection.queue(&body)?;
                self.connection.flush_by_bytes()?;
            }
        }
        self.release()
    }

    /// What is due by the time goes out; then everything is offered to the kernel.
    pub(super) fn turn(&mut self, now: Duration) -> Result<(), ConnectionError> {
        if self.held_until.is_some_and(|until| now >= until) {
            self.release()?;
        }
        if self.merge_until.is_some_and(|until| now < until) {
            return Ok(());
        }
        self.merge_until = None;
        if self.connection.has_output() {
            self.connection.flush()?;
        }
        Ok(())
    }

    /// When `turn` has something to do by itself.
    pub(super) fn next_at(&self) -> Option<Duration> {
        self.held_until.into_iter().chain(self.merge_until).min()
    }

    fn release(&mut self) -> Result<(), ConnectionError> {
        self.held_until = None;
        for body in self.held.drain(..) {
            self.connection.queue(&body)?;
        }
        Ok(())
    }
}
