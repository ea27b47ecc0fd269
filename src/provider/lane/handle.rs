//! The dispatcher's end of a lane: a bounded channel behind a door that is open for one connection only.
//!
//! The door makes `unsent` exact: what was taken before it closed is drained into the `Down` of that connection, what comes
//! after is refused here at once. So no command is ever between two connections.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use mio::Waker;

use super::{LaneCommand, LaneStatus};

/// Messages (not frames) that wait for a lane.
pub const COMMANDS_MAX: usize = 1_024;

/// Cheap to clone; never blocks.
#[derive(Clone)]
pub struct LaneHandle {
    shared: Arc<Shared>,
    commands: Sender<LaneCommand>,
}

/// A command that the lane did not take; nothing of it was or will be sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("lane took no command: {cause}")]
pub struct NotTaken {
    pub command: LaneCommand,
    pub cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("its connection is another one or none")]
    ConnectionGone,
    #[error("{COMMANDS_MAX} messages wait already")]
    Full,
    #[error("its thread has ended")]
    Ended,
}

/// What both ends share.
pub(super) struct Shared {
    door: Mutex<Door>,
    pub(super) waker: Waker,
    pub(super) status: Arc<LaneStatus>,
}

struct Door {
    open_for: Option<u64>,
    wanted: Wanted,
}

/// What the lane shall be; the latest word counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Up,
    Down { reason: String },
    Ended,
}

impl LaneHandle {
    pub(super) fn new(waker: Waker) -> (Self, Arc<Shared>, Receiver<LaneCommand>) {
        let (commands, receiver) = bounded(COMMANDS_MAX);
        let shared = Arc::new(Shared {
            door: Mutex::new(Door {
                open_for: None,
                wanted: Wanted::Down {
                    reason: "not started".to_owned(),
                },
            }),
            waker,
            status: Arc::new(LaneStatus::default()),
        });
        let handle = Self {
            shared: Arc::clone(&shared),
            commands,
        };
        (handle, shared, receiver)
    }

    /// Hands a command over, or gives it back.
    pub fn command(&self, command: LaneCommand) -> Result<(), NotTaken> {
        {
            let mut door = self.shared.door();
            match command {
                _ if door.wanted == Wanted::Ended => {
                    let cause = Cause::Ended;
                    return Err(NotTaken { command, cause });
                }
                LaneCommand::Connect => door.wanted = Wanted::Up,
                LaneCommand::Disconnect { reason } => door.wanted = Wanted::Down { reason },
                LaneCommand::Stop => door.wanted = Wanted::Ended,
                LaneCommand::Send { connection, .. }
                | LaneCommand::AckPush { connection, .. }
                | LaneCommand::Reset { connection, .. } => {
                    if door.open_for != Some(connection) {
                        let cause = Cause::ConnectionGone;
                        return Err(NotTaken { command, cause });
                    }
                    self.commands
                        .try_send(command)
                        .map_err(|error| match error {
                            TrySendError::Full(command) => NotTaken {
                                command,
                                cause: Cause::Full,
                            },
                            TrySendError::Disconnected(command) => NotTaken {
                                command,
                                cause: Cause::Ended,
                            },
                        })?;
                }
            }
        }
        // A waker that fails leaves the lane to its next timer; an eventfd write fails only when it is full, that is woken.
        let _ = self.shared.waker.wake();
        Ok(())
    }

    pub fn status(&self) -> Arc<LaneStatus> {
        Arc::clone(&self.shared.status)
    }
}

impl Shared {
    /// Opens the door for a connection that is ready, or closes it.
    pub(super) fn open_for(&self, connection: Option<u64>) {
        self.door().open_for = connection;
    }

    pub(super) fn wanted(&self) -> Wanted {
        self.door().wanted.clone()
    }

    /// The thread ends: nothing is taken from now on.
    pub(super) fn end(&self) {
        let mut door = self.door();
        door.open_for = None;
        door.wanted = Wanted::Ended;
    }

    fn door(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
