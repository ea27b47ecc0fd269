//! Each command judged against the state with the group's own writes: the events to record, or a refusal.
//!
//! Only this file and the rules of `domain/` that it calls decide what becomes an event.

use super::command::{
    Answered, Begin, Command, Committed, DispatchCommand, EndUnsent, SettleAttempt,
};
use crate::domain::event::{
    Begun, Ending, Event, LateAnswer, LateEffect, ProviderSettings, Settled, Then,
};
use crate::domain::head::{self, Head};
use crate::domain::items;
use crate::domain::job;
use crate::domain::length::cut;
use crate::domain::settle::{Late, confirmed, late_effect};
use crate::domain::view::LATE_ANSWERS_MAX;

use crate::domain::{
    Acknowledges, Confirms, Doubt, Phase, Position, ProviderNumber, ProviderRow, Refusal, Request,
    Timestamp, View, operate,
};

/// A judged row or command: what to answer, what to record.
pub type Judged<T> = Result<(T, Vec<Event>), Refusal>;

/// Bytes that are recorded of what a CAS pushes.
const PUSH_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a text where the whole of it is too large for one command.
const BRIEF_BYTES_MAX: usize = 256;

/// Judges everything but asks, and registrations and chunks, which are judged row by row.
pub fn command(view: &dyn View, command: &Command) -> Judged<Committed> {
    let done = |event: Event| (Committed::Done(true), vec![event]);
    match command {
        Command::CreateJob(fields) => {
            let (number, event) = job::create(view, fields);
            Ok((Committed::Job(number), vec![event]))
        }
        Command::PauseJob { job, reason } => job::pause(view, *job, reason).map(done),
        Command::ResumeJob { job } => job::resume(view, *job).map(done),
        Command::CancelJob { job, reason } => job::cancel(view, *job, reason).map(done),
        Command::RegisterItems { .. }
        | Command::RegisterSubscriptions { .. }
        | Command::Ask(_)
        | Command::RunChunk(_) => Ok((Committed::Done(false), Vec::new())),
        Command::Blacklist {
            item,
            is_blacklisted,
            reason,
        } => {
            let event = items::blacklist(view, *item, *is_blacklisted, reason)?;
            Ok(event.map_or((Committed::Done(false), Vec::new()), done))
        }
        Command::Cancel { request, reason } => operate::cancel(view, *request, reason).map(done),
        Command::Hasten { request } => operate::hasten(view, *request).map(done),
        Command::Resolve {
            request,
            resolution,
            reason,
        } => operate::resolve(view, *request, *resolution, reason).map(done),
        Command::Pause {
            provider,
            reason,
            until,
        } => operate::pause(view, *provider, reason, *until).map(done),
        Command::Resume { provider } => operate::resume(view, *provider).map(done),
        Command::Configure { providers } => Ok((Committed::Done(true), configure(view, providers))),
        Command::Reconfigure { providers } => {
            let has_requests = |number| view.provider(number).is_some_and(|row| row.unfinished > 0);
            if gone(view, providers).into_iter().any(has_requests) {
                return Err(Refusal::Changed);
            }
            Ok((Committed::Done(true), configure(view, providers)))
        }
        Command::StartRun { mode } => {
            let run = view.meta().last_run + 1;
            Ok((
                Committed::Run(run),
                vec![Event::RunStarted {
                    run,
                    mode: mode.clone(),
                }],
            ))
        }
        Command::Record(events) => Ok((Committed::Done(true), events.clone())),
    }
}

fn configure(view: &dyn View, providers: &[ProviderSettings]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut last = view.meta().last_provider;
    for provider in providers {
        let known = view.provider_by_name(&provider.name);
        let is_same = known
            .and_then(|number| view.provider(number))
            .is_some_and(|row| is_configured_so(&row, provider));
        if is_same {
            continue;
        }
        let number = known.unwrap_or_else(|| {
            last += 1;
            ProviderNumber(last)
        });
        events.push(Event::ProviderSet {
            number,
            provider: provider.clone(),
        });
    }
    let gone = gone(view, providers).into_iter();
    events.extend(gone.map(|number| Event::ProviderMissing { number }));
    events
}

/// The providers that were configured and are no more.
fn gone(view: &dyn View, providers: &[ProviderSettings]) -> Vec<ProviderNumber> {
    let is_gone = |number: &ProviderNumber| {
        view.provider(*number).is_some_and(|row| {
            row.is_configured && !providers.iter().any(|provider| *provider.name == *row.name)
        })
    };
    let all = (1..=view.meta().last_provider).map(ProviderNumber);
    all.filter(is_gone).collect()
}

fn is_configured_so(row: &ProviderRow, provider: &ProviderSettings) -> bool {
    row.is_configured
        && *row.family == *provider.family
        && row.is_effective == provider.is_effective
        && *row.mapping == *provider.mapping
        && *row.mapping_sha256 == *provider.mapping_sha256
        && row.cardinality == provider.cardinality
}

/// What dispatch handed in: the events, none if it no longer holds.
pub fn dispatched(view: &dyn View, command: &DispatchCommand, now: Timestamp) -> Vec<Event> {
    match command {
        DispatchCommand::Begin(begin) => self::begin(view, begin, now).into_iter().collect(),
        DispatchCommand::Settle(settle) => vec![self::settle(view, settle)]
            .into_iter()
            .flatten()
            .collect(),
        DispatchCommand::Answered(answer) => answered(view, answer).into_iter().collect(),
        DispatchCommand::EndUnsent(end) => {
            let Some(request) = view.request(end.request) else {
                return Vec::new();
            };
            if !request.phase.may_begin() || !still_ends(view, &request, &end.ending, now) {
                return Vec::new();
            }
            vec![Event::RequestEnded {
                request: end.request,
                before: request.latest,
                ending: end.ending.clone(),
            }]
        }
        DispatchCommand::Hold { request, reason } => match view.request(*request) {
            Some(row) if row.phase.may_begin() => {
                vec![Event::RequestHeld {
                    request: *request,
                    before: row.latest,
                    reason: reason.clone(),
                }]
            }
            _ => Vec::new(),
        },
        DispatchCommand::ReserveTransactions {
            provider,
            first,
            last,
        } => {
            vec![Event::TransactionsReserved {
                provider: *provider,
                first: *first,
                last: *last,
            }]
        }
        DispatchCommand::Pause { provider, reason } => {
            operate::pause(view, *provider, reason, None)
                .into_iter()
                .collect()
        }
        DispatchCommand::AnswersUnknown {
            provider,
            minute,
            count,
            sample,
        } => {
            let (provider, minute, count) = (*provider, *minute, *count);
            vec![Event::AnswersUnknown {
                provider,
                minute,
                count,
                sample: sample.clone(),
            }]
        }
        DispatchCommand::PushReceived { provider, data, .. } => {
            vec![Event::PushReceived {
                provider: *provider,
                data: cut(data, PUSH_BYTES_MAX),
            }]
        }
        DispatchCommand::StartRun { mode } => {
            vec![Event::RunStarted {
                run: view.meta().last_run + 1,
                mode: mode.clone(),
            }]
        }
    }
}

/// What is recorded in the place of a dispatch command whose events are too large: the end of a request that cannot begin,
/// an outcome without its bytes and with short texts.
pub fn dispatched_in_brief(
    view: &dyn View,
    command: &DispatchCommand,
    now: Timestamp,
) -> Vec<Event> {
    let brief = match command {
        DispatchCommand::Begin(begin) => return too_large_to_begin(view, begin, now),
        DispatchCommand::Settle(settle) => {
            let mut settle = settle.clone();
            settle.frame = None;
            for text in [&mut settle.code, &mut settle.text, &mut settle.reference] {
                *text = text.as_deref().map(|text| cut(text, BRIEF_BYTES_MAX));
            }
            if let Then::Held { reason } = &mut settle.then {
                *reason = cut(reason, BRIEF_BYTES_MAX);
            }
            DispatchCommand::Settle(settle)
        }
        DispatchCommand::Answered(answer) => {
            let mut answer = answer.clone();
            answer.frame.bytes.clear();
            for text in [&mut answer.code, &mut answer.text, &mut answer.reference] {
                *text = text.as_deref().map(|text| cut(text, BRIEF_BYTES_MAX));
            }
            DispatchCommand::Answered(answer)
        }
        DispatchCommand::Hold { request, reason } => DispatchCommand::Hold {
            request: *request,
            reason: cut(reason, BRIEF_BYTES_MAX),
        },
        _ => return Vec::new(),
    };
    dispatched(view, &brief, now)
}

/// A plan or a frame that the ledger cannot take is the script's fault.
fn too_large_to_begin(view: &dyn View, begin: &Begin, now: Timestamp) -> Vec<Event> {
    let Some(request) = view.request(begin.request) else {
        return Vec::new();
    };
    let text = "what the mapping gave is too large to be recorded";
    let command = if request.latest_attempt == 0 {
        DispatchCommand::EndUnsent(EndUnsent {
            request: begin.request,
            ending: Ending::ScriptError { text: text.into() },
        })
    } else {
        DispatchCommand::Hold {
            request: begin.request,
            reason: format!("{text}, after something was sent"),
        }
    };
    dispatched(view, &command, now)
}

/// The endings that a judgement at the head gave must still be its answer; the others stand by themselves.
fn still_ends(view: &dyn View, request: &Request, ending: &Ending, now: Timestamp) -> bool {
    match ending {
        Ending::Already | Ending::StbTaken { .. } | Ending::CardFull { .. } => {
            head::judge(view, request, now) == Head::End(ending.clone())
        }
        _ => true,
    }
}

fn begin(view: &dyn View, begin: &Begin, now: Timestamp) -> Option<Event> {
    let request = view.request(begin.request)?;
    if head::judge(view, &request, now)
        != (Head::Send {
            leaves: begin.leaves.clone(),
        })
    {
        return None;
    }
    if begin.plan.is_some() == request.is_bound() || begin.step != request.steps_acknowledged {
        return None;
    }
    let sequence_number = match request.sequence_number {
        0 => view.meta().last_sequence_number + 1,
        given => given,
    };
    Some(Event::AttemptBegun(Begun {
        request: begin.request,
        before: request.latest,
        attempt: request.latest_attempt + 1,
        purpose: begin.purpose,
        transaction: begin.transaction,
        key: begin.key.clone(),
        step: begin.step,
        plan: begin.plan.clone(),
        leaves: begin.leaves.clone(),
        sequence_number,
        run: begin.run,
        frame: begin.frame.clone(),
        mapping_sha256: begin.mapping_sha256.clone(),
    }))
}

fn settle(view: &dyn View, settle: &SettleAttempt) -> Option<Event> {
    let request = view.request(settle.request)?;
    if request.phase != Phase::Sending || request.latest_attempt != settle.attempt {
        return None;
    }
    let is_confirmed = matches!(settle.then, Then::Completed | Then::NextStep);
    let confirmed = if is_confirmed {
        confirmed(view, &request, settle.acknowledges)
    } else {
        None
    };
    Some(Event::AttemptSettled(Settled {
        request: settle.request,
        before: request.latest,
        attempt: settle.attempt,
        outcome: settle.outcome,
        code: settle.code.clone(),
        text: settle.text.clone(),
        reference: settle.reference.clone(),
        frame: settle.frame.clone(),
        patience_spent_ms: settle.patience_spent_ms,
        then: settle.then.clone(),
        confirmed,
        doubted_before: (settle.then == Then::Rejected { in_doubt: true })
            .then(|| pairing_recorded(view, &request)),
        doubt: (settle.then == Then::Rejected { in_doubt: true })
            .then(|| other_doubt(&request, settle.acknowledges))
            .flatten(),
    }))
}

fn answered(view: &dyn View, answer: &Answered) -> Option<Event> {
    let request = view.request(answer.request)?;
    let effect = late_effect(
        &request,
        Late {
            outcome: answer.outcome,
            purpose: answer.purpose,
            step: answer.step,
            is_latest: answer.attempt == request.latest_attempt,
        },
    );
    // What moves the request is recorded always: it cannot repeat.
    let moves = matches!(
        effect,
        LateEffect::Completes | LateEffect::NextStep | LateEffect::Rejects
    );
    if request.late_answers >= LATE_ANSWERS_MAX && !moves {
        return None;
    }
    let confirmed = match effect {
        LateEffect::Completes | LateEffect::NextStep => {
            confirmed(view, &request, answer.acknowledges)
        }
        _ => None,
    };
    Some(Event::LateAnswer(LateAnswer {
        request: answer.request,
        before: request.latest,
        transaction: answer.transaction,
        outcome: answer.outcome,
        code: answer.code.clone(),
        text: answer.text.clone(),
        reference: answer.reference.clone(),
        frame: answer.frame.clone(),
        effect,
        confirmed,
        doubted_before: puts_in_doubt(&request, effect).then(|| pairing_recorded(view, &request)),
        doubt: puts_in_doubt(&request, effect)
            .then(|| other_doubt(&request, answer.acknowledges))
            .flatten(),
    }))
}

/// What a step leaves in doubt, if that is not what the request asks for.
fn other_doubt(request: &Request, step: Acknowledges) -> Option<Doubt> {
    let is_of_all = request.is_unpair() && step.leaves.is_none();
    let doubt = step.leaves.map_or(Doubt::MayBeFree, Doubt::MayHaveLeft);
    (step.confirms == Confirms::Unpair && !is_of_all).then_some(doubt)
}

/// An `ok` after REJECTED, or a refusal while an earlier attempt is unknown too, leaves it open what the CAS holds.
fn puts_in_doubt(request: &Request, effect: LateEffect) -> bool {
    if !request.changes_pairing() {
        return false;
    }
    match effect {
        LateEffect::MarksDoubt => true,
        LateEffect::Rejects => request.unknown_attempts > 1,
        _ => false,
    }
}

/// The latest event of the pairing of the request's card.
fn pairing_recorded(view: &dyn View, request: &Request) -> Position {
    view.pairing(request.card)
        .map_or(Position::NONE, |pairing| pairing.recorded)
}
