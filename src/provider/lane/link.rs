//! A lane's connection with what belongs to it alone: the commands that have not left, and the keepalive that is out.
//!
//! Dies with the connection; nothing in it survives a reconnect.

use std::collections::VecDeque;
use std::time::Duration;

use crate::transport::{Connection, ConnectionError};

pub(super) struct Link {
    pub(super) connection: Connection,
    /// Connected; until then the socket only tells how the connect ended.
    pub(super) is_up: bool,
    /// The socket may have something to tell.
    pub(super) may_read: bool,
    /// Commands of which no byte has left, with the offset of their first byte in the output.
    pub(super) untouched: VecDeque<(u64, u64)>,
    /// Where answers come in order: the command that is out, by the offset behind its last byte.
    pub(super) awaited: Option<u64>,
    /// A command was answered on it.
    pub(super) has_answered: bool,
    pub(super) keepalive: Option<SentKeepalive>,
    pub(super) next_keepalive_at: Option<Duration>,
}

/// The one keepalive that waits for its answer.
pub(super) struct SentKeepalive {
    pub(super) key: String,
    pub(super) until: Duration,
}

impl Link {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            is_up: false,
            may_read: false,
            untouched: VecDeque::new(),
            awaited: None,
            has_answered: false,
            keepalive: None,
            next_keepalive_at: None,
        }
    }

    /// Whether an answer can be that of the command that is out: its last byte has left.
    pub(super) fn take_awaited(&mut self) -> bool {
        let written = self.connection.written_bytes();
        self.awaited.take_if(|end| *end <= written).is_some()
    }

    pub(super) fn sent_keepalive(&mut self, key: String, until: Duration) {
        self.keepalive = Some(SentKeepalive { key, until });
        self.next_keepalive_at = None;
    }

    /// Writes what the kernel takes, and forgets the commands of which a byte has left.
    pub(super) fn flush(&mut self) -> Result<(), ConnectionError> {
        let flushed = if self.connection.has_output() {
            self.connection.flush()
        } else {
            Ok(())
        };
        self.forget_touched();
        flushed
    }

    pub(super) fn forget_touched(&mut self) {
        let written = self.connection.written_bytes();
        while self
            .untouched
            .front()
            .is_some_and(|(_, offset)| *offset < written)
        {
            self.untouched.pop_front();
        }
    }
}
