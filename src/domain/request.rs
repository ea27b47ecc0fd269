//! The provisioning request as the state keeps it: small, with its texts left in the ledger.

use serde::{Deserialize, Serialize};

use super::{
    Action, CardChange, ItemNumber, JobNumber, Phase, Position, Priority, ProcessName,
    ProviderNumber, RequestNumber, Stbs, SubscriptionNumber, Timestamp,
};

/// A request's row. Texts (frames, CAS words, who, when) are read from the ledger at the positions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about a request"
)]
pub struct Request {
    pub number: RequestNumber,
    pub provider: ProviderNumber,
    pub card: ItemNumber,
    /// The STB to pair with; none for an unpair, and for a change of the card alone.
    pub stb: Option<ItemNumber>,
    /// Of an unpair: the only STB that the card leaves; none leaves all that it has.
    pub from: Option<ItemNumber>,
    /// Of a pair: the card keeps what it has; otherwise it leaves all of that.
    pub is_beside: bool,
    /// The STBs that the card leaves: derived while it waits, bound when the first attempt begins.
    pub leaves: Stbs,
    /// The CA IDs as the mapping normalized them at acceptance.
    pub card_ca: Box<str>,
    pub stb_ca: Option<Box<str>>,
    /// What is asked for beside a pairing; none for a pair or an unpair.
    pub card_change: Option<Box<CardChange>>,
    pub subscription: Option<SubscriptionNumber>,
    /// The due time of its place: for the order only.
    pub due: Timestamp,
    /// The date that was asked for, or the instant of acceptance.
    pub scheduled: Timestamp,
    /// Whether a date was asked for; one that was not is due whatever the clock says.
    pub is_scheduled: bool,
    pub priority: Priority,
    pub is_immediate: bool,
    /// Send an unpair even if no pairing is known.
    pub sends_unknown: bool,
    pub process_name: ProcessName,
    pub phase: Phase,
    /// Attempts that count (busy and not-sent ones do not).
    pub attempts: u32,
    /// The running number of the latest attempt, whatever its end.
    pub latest_attempt: u32,
    /// Attempts whose end is unknown since the last answer.
    pub unknown_attempts: u32,
    pub late_answers: u8,
    pub steps_acknowledged: u8,
    pub steps: u8,
    /// The transaction number on the wire of the latest attempt.
    pub transaction: u64,
    /// When to try again, in the phases `waiting` and `in_doubt`.
    pub again_at: Timestamp,
    /// How long it has been first in its queues while its provider worked, in milliseconds.
    pub patience_spent_ms: u64,
    /// Whether bytes left, or may have left, in an attempt that has ended.
    pub was_sent: bool,
    /// The order of sending; 0 until an attempt began, which may have sent nothing.
    pub sequence_number: u64,
    pub run: u64,
    pub linked: Option<RequestNumber>,
    /// The bulk job that asked for it.
    pub job: Option<JobNumber>,
    pub executed: Option<Timestamp>,
    /// The acceptance, the latest begun attempt, the latest answer or ending, and the latest event of all.
    pub accepted: Position,
    pub begun: Position,
    pub answered: Position,
    pub ended: Position,
    pub latest: Position,
}

impl Request {
    /// Whether the CAS may have been told of it; an attempt in flight counts.
    pub fn may_be_sent(&self) -> bool {
        self.was_sent || self.phase == Phase::Sending
    }

    pub fn action(&self) -> Action {
        Action::of(self.stb, self.card_change.as_deref())
    }

    pub fn is_unpair(&self) -> bool {
        self.action() == Action::Unpair
    }

    /// Whether it is about a pairing; one that is not leaves no STB and confirms nothing.
    pub fn changes_pairing(&self) -> bool {
        self.action().changes_pairing()
    }

    /// The names of products that it adds or cancels.
    pub fn products(&self) -> &[Box<str>] {
        self.card_change
            .as_deref()
            .map_or(&[], CardChange::products)
    }

    /// The change of the pairing that it asks for.
    pub fn move_of(&self) -> Move {
        Move::of(self.action(), self.is_beside, self.from)
    }

    /// The STBs that its card has once it is done, if the card has `held` before.
    pub fn stbs_after(&self, held: &Stbs) -> Stbs {
        let left = self.move_of().leaves(held, self.stb);
        let kept = held.iter().filter(|stb| !left.contains(*stb));
        kept.chain(self.stb).collect()
    }

    pub fn place(&self) -> Place {
        Place {
            due: self.due,
            number: self.number,
        }
    }

    /// The card and STBs in whose queues it stands.
    pub fn queues(&self) -> impl Iterator<Item = ItemNumber> + use<> {
        let (stb, leaves) = (self.stb, self.leaves.clone());
        let left = leaves.into_iter().filter(move |left| Some(*left) != stb);
        [Some(self.card), stb].into_iter().flatten().chain(left)
    }

    /// Whether the clock lets it go out.
    pub fn is_due(&self, now: Timestamp) -> bool {
        !self.is_scheduled || self.scheduled <= now
    }

    /// Whether its plan was bound: from the first attempt on, what it leaves no longer moves.
    pub fn is_bound(&self) -> bool {
        self.steps > 0
    }

    /// Cancel is legal unless an attempt is in flight or unknown, or a step was acknowledged.
    pub fn may_cancel(&self) -> bool {
        matches!(self.phase, Phase::Pending | Phase::Waiting)
            && self.unknown_attempts == 0
            && self.steps_acknowledged == 0
    }
}

/// What a request does to the STBs of its card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// One more.
    Beside,
    /// This one instead of all that it has.
    Instead,
    OutOf(ItemNumber),
    OutOfAll,
    /// It is about no pairing.
    Nowhere,
}

impl Move {
    /// The move of an action: a pair beside what the card has, or instead of it; an unpair from one STB, or from all.
    pub fn of(action: Action, is_beside: bool, from: Option<ItemNumber>) -> Self {
        match action {
            Action::Pair if is_beside => Self::Beside,
            Action::Pair => Self::Instead,
            Action::Unpair => from.map_or(Self::OutOfAll, Self::OutOf),
            Action::AddProducts | Action::CancelProducts | Action::ResetPin => Self::Nowhere,
        }
    }

    /// What a card that has `held` leaves for `stb`. A named STB is left whether it is known or not.
    pub fn leaves(self, held: &Stbs, stb: Option<ItemNumber>) -> Stbs {
        match self {
            Self::Beside | Self::Nowhere => Stbs::new(),
            Self::Instead => held.iter().filter(|left| Some(*left) != stb).collect(),
            Self::OutOf(only) => Some(only).into(),
            Self::OutOfAll => held.clone(),
        }
    }

    /// Whether the link to another STB than the wanted one ends with it, or may have ended if nobody knows.
    pub fn ends(self, stb: ItemNumber) -> bool {
        match self {
            Self::Beside | Self::Nowhere => false,
            Self::Instead | Self::OutOfAll => true,
            Self::OutOf(only) => stb == only,
        }
    }
}

/// The order of sending: due time, then number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    pub due: Timestamp,
    pub number: RequestNumber,
}
