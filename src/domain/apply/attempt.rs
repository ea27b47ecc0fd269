//! Attempts: begun, settled, answered late; and the pairing that an acknowledgement changes.

use super::{Recorded, change, move_to, queues};
use crate::domain::event::{Begun, Confirmed, LateAnswer, LateEffect, Settled, Then};
use crate::domain::{
    Confirms, Doubt, Edit, ItemNumber, Outcome, Pairing, Phase, Purpose, RequestNumber,
};

pub fn begin(state: &mut impl Edit, recorded: Recorded<'_>, begun: &Begun) {
    if let Some(request) = state.request(begun.request) {
        queues::bind(state, &request, begun.leaves);
    }
    let mut meta = state.meta();
    meta.last_sequence_number = meta.last_sequence_number.max(begun.sequence_number);
    state.put_meta(meta);
    change(state, recorded, begun.request, |row| {
        row.leaves = begun.leaves;
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
        confirm(state, recorded, confirmed);
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
        confirm(state, recorded, confirmed);
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
pub fn confirm(state: &mut impl Edit, recorded: Recorded<'_>, confirmed: &Confirmed) {
    let stb = match confirmed.confirms {
        Confirms::None => return,
        Confirms::Unpair => None,
        Confirms::Pair => confirmed.stb,
    };
    set_pairing(
        state,
        confirmed.card,
        Pairing {
            stb,
            doubt: None,
            since: recorded.at,
            recorded: recorded.position,
        },
    );
}

/// Marks the pairing of a request's card: the CAS may hold what the request asked for, or what one of its steps did. That a card
/// may be free does not end an earlier doubt about an STB: that STB stays taken.
fn doubt(
    state: &mut impl Edit,
    recorded: Recorded<'_>,
    request: RequestNumber,
    other: Option<Doubt>,
) {
    let Some(request) = state.request(request) else {
        return;
    };
    let before = state.pairing(request.card);
    let stb = before.and_then(|pairing| pairing.stb);
    let asked = request.stb.map_or(Doubt::MayBeFree, Doubt::MayHold);
    let doubt = match (
        other.unwrap_or(asked),
        before.and_then(|before| before.doubt),
    ) {
        (Doubt::MayBeFree, Some(Doubt::MayHold(held))) if Some(held) != stb => Doubt::MayHold(held),
        (doubt, _) => doubt,
    };
    set_pairing(
        state,
        request.card,
        Pairing {
            stb,
            doubt: Some(doubt),
            since: recorded.at,
            recorded: recorded.position,
        },
    );
}

fn set_pairing(state: &mut impl Edit, card: ItemNumber, pairing: Pairing) {
    let before = state.pairing(card);
    let mut meta = state.meta();
    if before.is_some_and(|before| before.stb.is_some()) {
        meta.pairings -= 1;
    }
    if let Some(stb) = pairing.stb {
        meta.pairings += 1;
        let other = state.holder(stb).filter(|other| *other != card);
        if let Some((other, theirs)) = other.and_then(|other| Some((other, state.pairing(other)?)))
        {
            meta.conflicts += 1;
            state.put_pairing(
                other,
                Pairing {
                    doubt: Some(Doubt::MayBeFree),
                    ..theirs
                },
            );
            queues::rederive(state, other);
        }
    }
    state.put_meta(meta);
    state.put_pairing(card, pairing);
    queues::rederive(state, card);
}
