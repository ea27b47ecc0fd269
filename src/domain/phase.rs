//! The phases of a request and the only legal moves between them.
//!
//! Stored phases change by events only; `apply` asserts every move against this table.

use serde::{Deserialize, Serialize};

/// Where a request stands. To the CRM all but the last two are PENDING.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Accepted; scheduled or due, as the reader's clock says.
    Pending,
    /// For a retry or a busy CAS.
    Waiting,
    /// An attempt is in flight.
    Sending,
    /// An attempt went out and its end is unknown.
    InDoubt,
    /// Left to an operator, a late answer or a query.
    Held,
    Completed,
    Rejected,
}

impl Phase {
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Rejected)
    }

    /// Whether dispatch may begin an attempt from here.
    pub fn may_begin(self) -> bool {
        matches!(self, Self::Pending | Self::Waiting | Self::InDoubt)
    }

    /// Whether a request in this phase may come into phase `next`.
    pub fn may_become(self, next: Self) -> bool {
        use Phase::{Completed, Held, InDoubt, Pending, Rejected, Sending, Waiting};
        match self {
            Pending => matches!(next, Sending | Held | Completed | Rejected),
            Waiting => matches!(next, Sending | Held | Completed | Rejected | Waiting),
            Sending => matches!(
                next,
                Waiting | InDoubt | Held | Completed | Rejected | Sending
            ),
            InDoubt => matches!(
                next,
                Sending | Held | Completed | Rejected | InDoubt | Waiting
            ),
            Held => matches!(next, Waiting | Completed | Rejected),
            Completed | Rejected => false,
        }
    }

    /// The life-cycle state that the CRM reads.
    pub fn life_cycle_state(self) -> LifeCycleState {
        match self {
            Self::Completed => LifeCycleState::Completed,
            Self::Rejected => LifeCycleState::Rejected,
            _ => LifeCycleState::Pending,
        }
    }

    /// The phase in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::InDoubt => "in_doubt",
            Self::Held => "held",
            Self::Completed => "completed",
            Self::Rejected => "rejected",
        }
    }
}

/// The CRM's three words for a request's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LifeCycleState {
    Pending,
    Completed,
    Rejected,
}

impl LifeCycleState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Completed => "COMPLETED",
            Self::Rejected => "REJECTED",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Completed, Self::Rejected]
            .into_iter()
            .find(|state| state.word() == text)
    }
}
