//! The one answer that a request gets, to be moved to whichever thread knows it.
//!
//! It stands in its line's order until it is parked: then the line is free, and the answer goes to the gate by itself.
//! Dropped unanswered (a panic, a queue that was thrown away) it answers 500 in the envelope.

use std::sync::Arc;

use super::answer::Answer;
use super::api::Api;
use super::crm::{CallError, envelope};
use super::gate::{GateRequestId as RequestId, ONE_ANSWER_BYTES_MAX, write_answer, write_ticket};

/// Owes one answer.
pub struct Reply {
    id: RequestId,
    owed: Owed,
    api: Arc<Api>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    /// In the order of this line.
    Turn {
        line: u64,
    },
    /// Whenever it is known.
    Ticket,
    Nothing,
}

impl Reply {
    /// For a request that has its place in `api.turns`.
    pub fn new(line: u64, id: RequestId, api: Arc<Api>) -> Self {
        Self {
            id,
            owed: Owed::Turn { line },
            api,
        }
    }

    /// Gives the line free: whoever has to wait must not hold up the requests behind.
    pub fn park(mut self) -> Self {
        if let Owed::Turn { line } = self.owed {
            self.owed = Owed::Ticket;
            self.api.turns.deliver(line, self.id, write_ticket(self.id));
        }
        self
    }

    /// For an answer that is known without the writer: it must not stand behind those that wait for a sync.
    pub fn at_once(self) -> Self {
        match self.owed {
            Owed::Turn { line } if !self.api.turns.is_next(line, self.id) => self.park(),
            _ => self,
        }
    }

    pub fn send(mut self, answer: Answer) {
        self.give(answer);
    }

    pub fn error(self, error: &CallError) {
        let answer = envelope::error(error, self.api.config().error_status);
        self.send(answer);
    }

    fn give(&mut self, mut answer: Answer) {
        if answer.body.len() > ONE_ANSWER_BYTES_MAX {
            let error = CallError::AnswerTooLarge {
                max: ONE_ANSWER_BYTES_MAX,
            };
            answer = envelope::error(&error, self.api.config().error_status);
        }
        match std::mem::replace(&mut self.owed, Owed::Nothing) {
            Owed::Nothing => {}
            Owed::Ticket => self.api.finisher.finish(self.id, answer),
            Owed::Turn { line } => {
                let bytes = write_answer(self.id, &answer);
                self.api.turns.deliver(line, self.id, bytes);
            }
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.owed != Owed::Nothing {
            let error = CallError::Internal;
            self.give(envelope::error(&error, self.api.config().error_status));
        }
    }
}
