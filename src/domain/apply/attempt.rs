//! Attempts: begun, settled, answered late; and the pairing that an acknowledgement changes.

use super::{Recorded, change, move_to, queues};
use crate::domain::event::{Begun, Confirmed, LateAnswer, LateEffect, Settled, Then};
use crate::domain::{
    Confirms, Doubt, Edit, ItemNumber, Outcome, Pairing, Phase, Purpose, Request, RequestNumber,
    Standing,
};

pub fn begin(state: &mut impl Edit, recorded: Recorded<'_>, begun: &Begun) {
    if let Some(request) = state.request(begun.request) {
        queues::bind(state, &request, &begun.leaves);
    }
    let mut meta = state.meta();
    meta.last_sequence_number = meta.last_sequence_number.max(begun.sequence_number);
    state.put_meta(meta);
    change(state, recorded, begun.request, |row| {
        row.leaves = begun.leaves.clone();
        row.begun = recorded.position;
        row.latest_attempt = begun.attempt;
        row.transaction = begun.transaction;
        row.sequence_number = begun.sequence_number;
        row.run = begun.run;
        if let Some(plan) = &begun.plan {
            row.steps = u8::try_from(plan.len()).unwrap_or(u8::MAX);
        }
        if begun.purpose == Purpose::Command {
            row.attempts += 1;
        }
        move_to(row, Phase::Sending);
    });
}

pub fn settle(state: &mut impl Edit, recorded: Recorded<'_>, settled: &Settled) {
    if let Some(confirmed) = &settled.confirmed {
        confirm(state, recorded, settled.request, confirmed);
    }
    change(state, recorded, settled.request, |row| {
        row.answered = recorded.position;
        row.patience_spent_ms = settled.patience_spent_ms;
        row.was_sent |= settled.outcome != Outcome::NotSent;
        match settled.outcome {
            Outcome::Unknown => row.unknown_attempts += 1,
            Outcome::Ok | Outcome::Already => row.unknown_attempts = 0,
            // Only a refused query leaves a request waiting: the CAS does not hold it, so nothing is unknown any more.
            Outcome::Refused if matches!(settled.then, Then::Waiting { .. }) => {
                row.unknown_attempts = 0;
            }
            _ => {}
        }
        match &settled.then {
            Then::Completed => {
                row.steps_acknowledged += 1;
                row.ended = recorded.position;
                move_to(row, Phase::Completed);
            }
            Then::NextStep => {
                row.steps_acknowledged += 1;
                row.attempts = 0;
                row.again_at = recorded.at;
                move_to(row, Phase::Waiting);
            }
            Then::Rejected { .. } => {
                row.ended = recorded.position;
                move_to(row, Phase::Rejected);
            }
            Then::Waiting { until, counts } => {
                if !counts {
                    row.attempts = row.attempts.saturating_sub(1);
                }
                row.again_at = *until;
                move_to(row, Phase::Waiting);
            }
            Then::InDoubt { until } => {
                row.again_at = *until;
                move_to(row, Phase::InDoubt);
            }
            Then::Held { .. } => {
                row.ended = recorded.position;
                move_to(row, Phase::Held);
            }
        }
    });
    if settled.doubted_before.is_some() {
        doubt(state, recorded, settled.request, settled.doubt);
    }
}

pub fn late(state: &mut impl Edit, recorded: Recorded<'_>, answer: &LateAnswer) {
    if let Some(confirmed) = &answer.confirmed {
        confirm(state, recorded, answer.request, confirmed);
    }
    change(state, recorded, answer.request, |row| {
        row.was_sent = true;
        row.late_answers = row.late_answers.saturating_add(1);
        match answer.effect {
            LateEffect::Nothing | LateEffect::MarksDoubt => {}
            LateEffect::Completes => {
                row.steps_acknowledged += 1;
                row.unknown_attempts = 0;
                row.answered = recorded.position;
                row.ended = recorded.position;
                move_to(row, Phase::Completed);
            }
            LateEffect::NextStep => {
                row.steps_acknowledged += 1;
                row.unknown_attempts = 0;
                row.attempts = 0;
                row.answered = recorded.position;
                row.again_at = recorded.at;
                move_to(row, Phase::Waiting);
            }
            LateEffect::Rejects => {
                row.answered = recorded.position;
                row.ended = recorded.position;
                move_to(row, Phase::Rejected);
            }
        }
    });
    if answer.doubted_before.is_some() {
        doubt(state, recorded, answer.request, answer.doubt);
    }
}

/// Records what the CAS confirmed, as it is; a conflict is counted and the other card's pairing is in doubt.
pub fn confirm(
    state: &mut impl Edit,
    recorded: Recorded<'_>,
    request: RequestNumber,
    confirmed: &Confirmed,
) {
    let Some(request) = state.request(request) else {
        return;
    };
    if confirmed.confirms == Confirms::None {
        return;
    }
    let mut pairing = pairing_of(state, recorded, confirmed.card);
    if let Some(stb) = confirmed.joins() {
        let link = pairing.link(stb);
        if link.is_none_or(|link| link.standing != Standing::Confirmed) {
            contest(state, &request, stb);
        }
    }
    pairing.end(|stb| confirmed.ends(stb, request.move_of()));
    if let Some(stb) = confirmed.joins() {
        pairing.confirm(stb);
    }
    set_pairing(state, confirmed.card, pairing);
}

/// Marks the pairing of a request's card: the CAS may hold what the request asked for, or what one of its steps did.
fn doubt(
    state: &mut impl Edit,
    recorded: Recorded<'_>,
    request: RequestNumber,
    other: Option<Doubt>,
) {
    let Some(request) = state.request(request) else {
        return;
    };
    let mut pairing = pairing_of(state, recorded, request.card);
    let asked = request.stb.map_or(Doubt::MayBeFree, Doubt::MayHold);
    match other.unwrap_or(asked) {
        Doubt::MayHold(stb) => {
            pairing.may_be_gone(|other| other != stb && request.move_of().ends(other));
            pairing.may_hold(stb);
        }
        Doubt::MayBeFree => pairing.may_be_gone(|stb| request.move_of().ends(stb)),
        Doubt::MayHaveLeft(left) => pairing.may_be_gone(|stb| stb == left),
    }
    set_pairing(state, request.card, pairing);
}

/// The card's pairing as the event at `recorded` finds it, set by that event.
fn pairing_of(state: &impl Edit, recorded: Recorded<'_>, card: ItemNumber) -> Pairing {
    match state.pairing(card) {
        Some(pairing) => pairing.at(recorded.at, recorded.position),
        None => Pairing::free(recorded.at, recorded.position),
    }
}

/// Counts a conflict if the STB has as many other cards as it may; the surest of them is in doubt then.
fn contest(state: &mut impl Edit, request: &Request, stb: ItemNumber) {
    let mut others = state.holders(stb);
    others.retain(|card| *card != request.card);
    let limit = state.cardinality(request.provider).cards_per_stb;
    let Some(other) = others
        .last()
        .copied()
        .filter(|_| others.len() >= usize::from(limit))
    else {
        return;
    };
    let mut meta = state.meta();
    meta.conflicts += 1;
    state.put_meta(meta);
    for card in others {
        let Some(mut theirs) = state.pairing(card) else {
            continue;
        };
        if theirs.was_never_confirmed(stb) && limit == 1 {
            // The CAS has confirmed another, so what was open is known.
            theirs.end(|theirs| theirs == stb);
        } else if card == other {
            theirs.may_be_gone(|theirs| theirs == stb);
        } else {
            continue;
        }
        state.put_pairing(card, theirs);
        queues::rederive(state, card);
    }
}

fn set_pairing(state: &mut impl Edit, card: ItemNumber, pairing: Pairing) {
    let count = |pairing: &Pairing| pairing.acknowledged().count() as u64;
    let before = state.pairing(card).map_or(0, |before| count(&before));
    let mut meta = state.meta();
    meta.pairings = meta.pairings - before + count(&pairing);
    state.put_meta(meta);
    state.put_pairing(card, pairing);
    queues::rederive(state, card);
}
