//! What each event changes in the state. Reads the event and the state only: a rebuild gives the identical state.
//!
//! Called by the writer for new events and by replay for recorded ones; nothing else changes the state.

mod attempt;
mod job;
mod queues;
mod registry;

use super::event::{Accepted, Ending, Event, Resolution};
use super::{Edit, Phase, Position, Request, Timestamp};
use crate::domain::view::Remembered;

/// Where and when the event was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    pub position: Position,
    pub at: Timestamp,
    pub by: &'a str,
}

/// Applies one event.
pub fn apply(state: &mut impl Edit, recorded: Recorded<'_>, event: &Event) {
    match event {
        Event::RequestAccepted(accepted)
        | Event::CardChangeAccepted(accepted)
        | Event::UnpairFromAccepted(accepted) => accept(state, recorded, accepted, false),
        Event::PairBesideAccepted(accepted) => accept(state, recorded, accepted, true),
        Event::AttemptBegun(begun) => attempt::begin(state, recorded, begun),
        Event::AttemptSettled(settled) => attempt::settle(state, recorded, settled),
        Event::LateAnswer(answer) => attempt::late(state, recorded, answer),
        Event::RequestEnded {
            request, ending, ..
        } => {
            change(state, recorded, *request, |row| {
                row.ended = recorded.position;
                move_to(
                    row,
                    if *ending == Ending::Already {
                        Phase::Completed
                    } else {
                        Phase::Rejected
                    },
                );
            });
        }
        Event::RequestHeld { request, .. } => change(state, recorded, *request, |row| {
            row.ended = recorded.position;
            move_to(row, Phase::Held);
        }),
        Event::RequestHastened { request, .. } => {
            change(state, recorded, *request, |row| row.again_at = recorded.at);
        }
        Event::RequestResolved {
            request,
            resolution,
            confirmed,
            ..
        } => {
            if let Some(confirmed) = confirmed {
                attempt::confirm(state, recorded, *request, confirmed);
            }
            change(state, recorded, *request, |row| {
                row.ended = recorded.position;
                if *resolution != Resolution::SendAgain {
                    row.unknown_attempts = 0;
                }
                row.again_at = recorded.at;
                row.patience_spent_ms = 0;
                move_to(
                    row,
                    match resolution {
                        Resolution::Done => Phase::Completed,
                        Resolution::NotDone => Phase::Rejected,
                        Resolution::SendAgain => Phase::Waiting,
                    },
                );
            });
        }
        Event::JobCreated { .. }
        | Event::JobAdvanced(_)
        | Event::JobPaused { .. }
        | Event::JobResumed { .. }
        | Event::JobCancelled { .. } => job::apply(state, recorded, event),
        other => registry::apply(state, recorded, other),
    }
    let mut meta = state.meta();
    meta.applied_seq = recorded.position.seq;
    // Never back, so that what is forgotten by age is the same in a rebuild, whatever the wall clock did.
    meta.latest_at = meta.latest_at.max(recorded.at);
    state.put_meta(meta);
}

fn accept(state: &mut impl Edit, recorded: Recorded<'_>, accepted: &Accepted, is_beside: bool) {
    let request = Request {
        number: accepted.request,
        provider: accepted.provider,
        card: accepted.card,
        stb: accepted.stb,
        from: accepted.from,
        is_beside,
        leaves: accepted.from.into(),
        card_ca: accepted.card_ca.as_str().into(),
        stb_ca: accepted.stb_ca.as_deref().map(Into::into),
        card_change: accepted.card_change.clone().map(Box::new),
        subscription: accepted.subscription,
        due: accepted.due,
        scheduled: accepted.scheduled,
        is_scheduled: accepted.is_scheduled,
        priority: accepted.priority,
        is_immediate: accepted.is_immediate,
        sends_unknown: accepted.sends_unknown,
        process_name: accepted.process_name,
        phase: Phase::Pending,
        attempts: 0,
        latest_attempt: 0,
        unknown_attempts: 0,
        late_answers: 0,
        steps_acknowledged: 0,
        steps: 0,
        transaction: 0,
        again_at: Timestamp::ZERO,
        patience_spent_ms: 0,
        was_sent: false,
        sequence_number: 0,
        run: 0,
        linked: accepted.linked,
        job: accepted.job,
        executed: None,
        accepted: recorded.position,
        begun: Position::NONE,
        answered: Position::NONE,
        ended: Position::NONE,
        latest: recorded.position,
    };
    let mut meta = state.meta();
    meta.last_request = meta.last_request.max(accepted.request.0);
    meta.requests += 1;
    state.put_meta(meta);
    if let Some(provider) = state.provider(accepted.provider) {
        let mut provider = (*provider).clone();
        provider.unfinished += 1;
        state.put_provider(accepted.provider, provider);
    }
    if let Some(number) = accepted.job {
        job::count(state, number, |counts| counts.requests += 1);
    }
    if let Some(idempotency) = &accepted.idempotency {
        let digest = idempotency.digest.as_str().into();
        let remembered = Remembered {
            request: accepted.request,
            digest,
            at: recorded.at,
        };
        state.put_remembered(&idempotency.key, remembered);
    }
    queues::stand(state, &request);
    state.put_request(request);
    queues::rederive(state, accepted.card);
}

/// Changes a request's row, and takes it out of its queues if that ended it.
fn change(
    state: &mut impl Edit,
    recorded: Recorded<'_>,
    number: crate::domain::RequestNumber,
    edit: impl FnOnce(&mut Request),
) {
    let before = state.request(number);
    assert!(
        before.is_some(),
        "an event names request {number}, which no earlier event accepted"
    );
    let Some(before) = before else { return };
    let mut row = (*before).clone();
    edit(&mut row);
    row.latest = recorded.position;
    let has_ended = row.phase.is_finished() && !before.phase.is_finished();
    if has_ended {
        row.executed = Some(recorded.at);
        let mut meta = state.meta();
        if row.phase == Phase::Completed {
            meta.completed += 1;
        } else {
            meta.rejected += 1;
        }
        state.put_meta(meta);
        if let Some(number) = row.job {
            job::count(state, number, |counts| match row.phase {
                Phase::Completed => counts.completed += 1,
                _ => counts.rejected += 1,
            });
        }
        if let Some(provider) = state.provider(row.provider) {
            let mut provider = (*provider).clone();
            provider.unfinished -= 1;
            state.put_provider(row.provider, provider);
        }
        queues::leave(state, &row);
    }
    let card = row.card;
    state.put_request(row);
    if has_ended {
        queues::rederive(state, card);
    }
}

fn move_to(row: &mut Request, next: Phase) {
    assert!(
        row.phase.may_become(next),
        "request {} cannot go from {} to {}",
        row.number,
        row.phase.word(),
        next.word()
    );
    row.phase = next;
}
