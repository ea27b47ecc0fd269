//! The pairings that a card had, newest first: from its row to the event that set it, and from each event to the one before.

use serde::{Deserialize, Serialize};

use super::Actions;
use super::items::serial_number;
use crate::domain::event::{Confirmed, Event};
use crate::domain::{Confirms, ItemNumber, Move, Position, RequestNumber, Stbs, Timestamp, View};

/// Most steps of one history that are told at once.
pub const STEPS_MAX: usize = 1_000;

/// What became of a card's pairing at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingStep {
    pub at: Timestamp,
    pub by: String,
    pub request: Option<u64>,
    pub change: PairingChange,
    /// The STBs that the card had then; none where the steps that are told do not say it.
    pub stbs: Option<Vec<String>>,
    /// Whether it left nothing open of what was before.
    pub settles_all: bool,
    /// The ledger line that says so.
    pub seq: u64,
}

/// The change itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairingChange {
    Paired {
        stb: String,
    },
    /// From this STB only, or from all.
    Unpaired {
        stb: Option<String>,
    },
    /// An ending left it open what the CAS holds; with the STB that its request names.
    InDoubt {
        stb: Option<String>,
    },
}

/// A card's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingHistory {
    pub card: String,
    pub steps: Vec<PairingStep>,
    /// Why the walk ended before the first pairing; none if it is whole.
    pub cut: Option<String>,
}

impl Actions {
    pub fn pairing_history(&self, card: ItemNumber) -> PairingHistory {
        let mut position = {
            let view = self.state.view();
            view.pairing(card)
                .map_or(Position::NONE, |pairing| pairing.recorded)
        };
        let mut history = PairingHistory {
            card: serial_number(&self.state.view(), card),
            steps: Vec::new(),
            cut: None,
        };
        let mut confirmations = Vec::new();
        while position.is_some() {
            if history.steps.len() == STEPS_MAX {
                history.cut = Some(format!(
                    "only the newest {STEPS_MAX} steps are shown; the ledger has all"
                ));
                break;
            }
            let Some((event, at, by)) = self.event(position) else {
                history.cut = Some(format!("ledger line {} cannot be read", position.seq));
                break;
            };
            let (request, confirmed, before) = change_of(&event);
            confirmations.push(request.zip(confirmed));
            history.steps.push(PairingStep {
                at,
                by,
                request: request.map(|number| number.0),
                change: self.change(request, confirmed),
                stbs: None,
                settles_all: false,
                seq: position.seq,
            });
            let Some(before) = before else {
                history.cut = Some(format!(
                    "ledger line {} does not name the pairing before it",
                    position.seq
                ));
                break;
            };
            position = before;
        }
        let is_whole = history.cut.is_none();
        self.tell_stbs(&mut history.steps, &confirmations, is_whole);
        history
    }

    /// Follows the steps from the oldest to the newest. What was before the oldest is nothing only if none is missing.
    fn tell_stbs(
        &self,
        steps: &mut [PairingStep],
        confirmations: &[Option<(RequestNumber, Confirmed)>],
        is_whole: bool,
    ) {
        let view = self.state.view();
        let mut stbs = is_whole.then(Stbs::new);
        for (step, confirmation) in steps.iter_mut().zip(confirmations).rev() {
            if let Some((number, confirmed)) = confirmation {
                let request = view.request(*number);
                let moves = request.map_or(Move::OutOfAll, |request| request.move_of());
                step.settles_all = confirmed.settles_all(moves);
                let held = stbs.or_else(|| step.settles_all.then(Stbs::new));
                stbs = held.map(|held| confirmed.stbs_after(&held, moves));
            }
            let names = |stbs: &Stbs| stbs.iter().map(|stb| serial_number(&view, stb)).collect();
            step.stbs = stbs.as_ref().map(names);
        }
    }

    fn change(
        &self,
        request: Option<RequestNumber>,
        confirmed: Option<Confirmed>,
    ) -> PairingChange {
        match confirmed {
            None => {
                let view = self.state.view();
                let request = request.and_then(|number| view.request(number));
                let stb = request.and_then(|request| request.stb.or(request.from));
                PairingChange::InDoubt {
                    stb: stb.map(|stb| serial_number(&view, stb)),
                }
            }
            Some(Confirmed {
                confirms: Confirms::Pair | Confirms::PairBeside,
                stb: Some(stb),
                ..
            }) => PairingChange::Paired {
                stb: serial_number(&self.state.view(), stb),
            },
            Some(confirmed) => PairingChange::Unpaired {
                stb: confirmed
                    .stb
                    .map(|stb| serial_number(&self.state.view(), stb)),
            },
        }
    }
}

/// The request of an event that set a pairing, what it confirmed (nothing: it put the pairing in doubt), and the event of
/// the pairing before.
fn change_of(event: &Event) -> (Option<RequestNumber>, Option<Confirmed>, Option<Position>) {
    let (request, confirmed, doubted) = match event {
        Event::AttemptSettled(settled) => {
            (settled.request, settled.confirmed, settled.doubted_before)
        }
        Event::LateAnswer(answer) => (answer.request, answer.confirmed, answer.doubted_before),
        Event::RequestResolved {
            request, confirmed, ..
        } => (*request, *confirmed, None),
        _ => return (None, None, None),
    };
    (
        Some(request),
        confirmed,
        confirmed.map(|confirmed| confirmed.before).or(doubted),
    )
}
