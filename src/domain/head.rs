//! The second judgement: what to do with a request that has come to the head of its queues.
//!
//! Dispatch asks before it plans, the writer asks again before it records the intent; both see the same answer or the intent
//! is not recorded.

use super::event::Ending;
use super::view::is_first;
use super::{ItemNumber, Move, Phase, Request, Stbs, Timestamp, View};

/// What holds at the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// Send it; the card leaves these STBs.
    Send { leaves: Stbs },
    /// It no longer holds: end it without sending.
    End(Ending),
    /// Not its turn.
    NotYet(NotYet),
}

/// Why a request has not gone out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotYet {
    Finished,
    InFlight,
    Held,
    Scheduled,
    /// Waits for a retry or for the end of doubt.
    Again,
    /// Behind another request of this card or STB.
    Behind {
        item: ItemNumber,
        first: super::RequestNumber,
    },
    ProviderStopped,
}

/// Judges a request at `now`. Retry times are the caller's: `again_at` is not looked at.
pub fn judge(view: &dyn View, request: &Request, now: Timestamp) -> Head {
    match request.phase {
        Phase::Completed | Phase::Rejected => return Head::NotYet(NotYet::Finished),
        Phase::Sending => return Head::NotYet(NotYet::InFlight),
        Phase::Held => return Head::NotYet(NotYet::Held),
        Phase::Pending | Phase::Waiting | Phase::InDoubt => {}
    }
    if !request.is_due(now) {
        return Head::NotYet(NotYet::Scheduled);
    }
    if !is_first(view, request) {
        return behind(view, request);
    }
    if !view
        .provider(request.provider)
        .is_some_and(|provider| provider.may_send(now))
    {
        return Head::NotYet(NotYet::ProviderStopped);
    }
    if request.is_bound() {
        return Head::Send {
            leaves: request.leaves.clone(),
        };
    }
    let pairing = view.pairing(request.card);
    let held = pairing.map(|pairing| pairing.held()).unwrap_or_default();
    if let Some(ending) = in_the_way(view, request, &held) {
        return Head::End(ending);
    }
    Head::Send {
        leaves: request.move_of().leaves(&held, request.stb),
    }
}

/// Why there is nothing to send for a request whose card has `held`.
fn in_the_way(view: &dyn View, request: &Request, held: &Stbs) -> Option<Ending> {
    let limits = view.cardinality(request.provider);
    let stb = match (request.move_of(), request.stb) {
        (Move::OutOf(stb), _) => {
            let is_left = !held.contains(stb) && !request.sends_unknown;
            return is_left.then_some(Ending::Already);
        }
        (Move::OutOfAll, _) => {
            let is_left = held.is_empty() && !request.sends_unknown;
            return is_left.then_some(Ending::Already);
        }
        (Move::Nowhere, _) | (_, None) => return None,
        (Move::Beside | Move::Instead, Some(stb)) => stb,
    };
    let holders = view.holders(stb);
    let crowd = view.crowd(&holders, stb, request.card, limits.cards_per_stb);
    if let Some(holder) = crowd.last() {
        return Some(Ending::StbTaken { holder: *holder });
    }
    let is_full =
        request.is_beside && !held.contains(stb) && held.len() >= usize::from(limits.stbs_per_card);
    is_full.then(|| Ending::CardFull { stbs: held.clone() })
}

fn behind(view: &dyn View, request: &Request) -> Head {
    let place = request.place();
    let ahead = request.queues().find_map(|item| {
        view.queue(item)
            .first()
            .filter(|first| **first != place)
            .map(|first| (item, first.number))
    });
    match ahead {
        Some((item, first)) => Head::NotYet(NotYet::Behind { item, first }),
        None => Head::NotYet(NotYet::Finished),
    }
}
