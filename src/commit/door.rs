//! The door to the writer: three bounded queues, so that neither jobs nor clients starve the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, unbounded};

use super::command::{Command, Committed, DispatchCommand, Reply};
use crate::domain::Refusal;

/// One asked command with who asks and who hears the answer.
pub struct Order {
    pub command: Command,
    pub by: String,
    pub reply: Reply,
}

/// What the writer takes from.
pub struct Queues {
    /// Bounded by the windows of the lanes.
    pub(super) dispatch: Receiver<DispatchCommand>,
    pub(super) interactive: Receiver<Order>,
    pub(super) jobs: Receiver<Order>,
}

impl Queues {
    pub(super) fn are_empty(&self) -> bool {
        self.dispatch.is_empty() && self.interactive.is_empty() && self.jobs.is_empty()
    }
}

/// Lets go of what was asked too late: a bounded channel keeps it as long as there are doors, and a reply may hold one.
impl Drop for Queues {
    fn drop(&mut self) {
        self.interactive.try_iter().for_each(drop);
        self.jobs.try_iter().for_each(drop);
    }
}

/// What callers put into; cheap to clone.
#[derive(Clone)]
pub struct Door {
    dispatch: Sender<DispatchCommand>,
    interactive: Sender<Order>,
    jobs: Sender<Order>,
    refused: Arc<AtomicU64>,
}

/// Chunks of jobs that may wait; each job sends one at a time.
const JOB_CHUNKS_MAX: usize = 8;

impl Door {
    /// A door whose interactive queue holds `interactive_max` orders.
    pub fn new(interactive_max: usize) -> (Self, Queues) {
        let (dispatch, dispatched) = unbounded();
        let (interactive, asked) = bounded(interactive_max);
        let (jobs, chunks) = bounded(JOB_CHUNKS_MAX);
        (
            Self {
                dispatch,
                interactive,
                jobs,
                refused: Arc::default(),
            },
            Queues {
                dispatch: dispatched,
                interactive: asked,
                jobs: chunks,
            },
        )
    }

    /// Hands a command in; a full queue answers `Overloaded` at once.
    pub fn submit(&self, by: &str, command: Command, reply: Reply) {
        match self.interactive.try_send(Order {
            command,
            by: by.to_owned(),
            reply,
        }) {
            Ok(()) => {}
            Err(TrySendError::Full(order)) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                (order.reply)(Err(Refusal::Overloaded));
            }
            Err(TrySendError::Disconnected(order)) => (order.reply)(Err(Refusal::Stopping)),
        }
    }

    /// How many commands found the queue full.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Hands a command in and waits for its end.
    pub fn call(&self, by: &str, command: Command) -> Result<Committed, Refusal> {
        let (reply, pending) = Pending::new();
        self.submit(by, command, reply);
        pending.wait()
    }

    /// Hands bulk work in; waits for room, so that it gives way to the others, and not for its end.
    pub fn submit_bulk(&self, by: &str, command: Command) -> Pending {
        let (reply, pending) = Pending::new();
        if let Err(refused) = self.jobs.send(Order {
            command,
            by: by.to_owned(),
            reply,
        }) {
            (refused.0.reply)(Err(Refusal::Stopping));
        }
        pending
    }

    /// Hands bulk work in and waits for its end.
    pub fn call_bulk(&self, by: &str, command: Command) -> Result<Committed, Refusal> {
        self.submit_bulk(by, command).wait()
    }

    /// Hands in what dispatch did.
    pub fn dispatched(&self, command: DispatchCommand) {
        // A writer that has gone takes the process with it or was stopped after dispatch.
        let _ = self.dispatch.send(command);
    }
}

/// A command that was handed in and is answered later.
pub struct Pending(Receiver<Result<Committed, Refusal>>);

impl Pending {
    fn new() -> (Reply, Self) {
        let (answer, answered) = bounded(1);
        let reply = Box::new(move |result| {
            let _ = answer.send(result);
        });
        (reply, Self(answered))
    }

    /// Whether its answer is not there yet.
    pub fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits for its end.
    pub fn wait(self) -> Result<Committed, Refusal> {
        self.0.recv().unwrap_or(Err(Refusal::Stopping))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_caller_whose_order_nobody_takes_any_more_is_let_go() {
        let (door, queues) = Door::new(8);
        let waits = Arc::new(());
        for is_bulk in [false, true] {
            let held = (door.clone(), waits.clone());
            let order = Order {
                command: Command::Record(Vec::new()),
                by: "anna".into(),
                reply: Box::new(move |_| drop(held)),
            };
            let queue = if is_bulk {
                &door.jobs
            } else {
                &door.interactive
            };
            assert!(queue.send(order).is_ok());
        }
        drop(queues);
        assert_eq!(Arc::strong_count(&waits), 1);
    }
}
