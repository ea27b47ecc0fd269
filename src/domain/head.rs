//! The second judgement: what to do with a request that has come to the head of its queues.
//!
//! Dispatch asks before it plans, the writer asks again before it records the intent; both see the same answer or the intent
//! is not recorded.

use super::admission::is_unpairable;
use super::event::Ending;
use super::view::is_first;
use super::{ItemNumber, Phase, Request, Timestamp, View};

/// What holds at the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// Send it; the card leaves this STB.
    Send { leaves: Option<ItemNumber> },
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
            leaves: request.leaves,
        };
    }
    if !request.changes_pairing() {
        return Head::Send { leaves: None };
    }
    let pairing = view.pairing(request.card);
    let held = pairing.and_then(|pairing| pairing.held().next());
    let Some(stb) = request.stb else {
        if !is_unpairable(pairing) && !request.sends_unknown {
            return Head::End(Ending::Already);
        }
        return Head::Send { leaves: held };
    };
    match view.holder(stb) {
        Some(holder) if holder != request.card => Head::End(Ending::StbTaken { holder }),
        _ => Head::Send {
            leaves: held.filter(|left| *left != stb),
        },
    }
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
