//! The ends of attempts: answers, time-outs, what never left, what a restart interrupted, and answers that come too late.

use std::time::Duration;

use super::attempts::Over;
use super::begin::release_lane;
use super::dispatcher::Dispatcher;
use super::step::{Now, Output, Recall};
use crate::commit::{Answered, DispatchCommand, SettleAttempt};
use crate::domain::event::{Begun, Event, Frame, Then};
use crate::domain::settle::{End, settle};
use crate::domain::{
    Acknowledges, Outcome, Phase, ProviderNumber, Purpose, Request, Step, Timestamp, View,
};
use crate::provider::{LaneCommand, LaneId};
use crate::script::contract::{Matching, Reply};

/// What an attempt ended in, before it is known what follows.
struct Ended {
    outcome: Outcome,
    code: Option<String>,
    text: Option<String>,
    reference: Option<String>,
    bytes: Option<Vec<u8>>,
}

impl Ended {
    fn engine(outcome: Outcome, text: &str) -> Self {
        Self {
            outcome,
            code: None,
            text: Some(text.to_owned()),
            reference: None,
            bytes: None,
        }
    }
}

const MICROS_A_MINUTE: i64 = 60_000_000;

impl Dispatcher {
    /// An answer: to an attempt in flight, to one that is over, or to none that is known.
    pub(super) fn reply(
        &mut self,
        view: &dyn View,
        now: Now,
        lane: LaneId,
        connection: u64,
        reply: Reply,
        bytes: &[u8],
    ) {
        let provider = ProviderNumber(lane.provider);
        let Some(line) = self.lines.get_mut(&provider) else {
            return;
        };
        let is_in_order = line.provider.session.matching == Matching::Fifo;
        let handle = if is_in_order {
            line.attempts.next_on(lane, connection, &reply.key)
        } else {
            line.attempts.by_key(&reply.key)
        };
        let handle = handle.filter(|handle| {
            line.attempts
                .get(*handle)
                .is_some_and(|flight| flight.attempt.is_some())
        });
        if let Some(handle) = handle {
            let explained = reply.text.or_else(|| {
                reply
                    .code
                    .as_deref()
                    .and_then(|code| line.provider.mapping.explain(code))
            });
            let bytes = Some(bytes.to_vec());
            let ended = Ended {
                outcome: reply.outcome,
                code: reply.code,
                text: explained,
                reference: reply.reference,
                bytes,
            };
            return self.settle_flight(view, now, handle, ended);
        }
        let over = line.attempts.over(&reply.key);
        if is_in_order || over.is_none() {
            line.heard_unmatched(now, &reply.key);
        }
        if is_in_order {
            // Nothing is out, or another command: whose answer the next one would be, nobody knows.
            self.count_unknown(now, provider, bytes);
            return self.reset(lane, connection, "an answer came that no command waits for");
        }
        let Some(over) = over else {
            return self.count_unknown(now, provider, bytes);
        };
        line.transactions.mark_answered(over.transaction);
        let ended = Ended {
            outcome: reply.outcome,
            code: reply.code,
            text: reply.text,
            reference: reply.reference,
            bytes: Some(bytes.to_vec()),
        };
        self.answered(over, ended);
    }

    /// An answer to an attempt that the ledger holds as over.
    fn answered(&mut self, over: Over, ended: Ended) {
        let Some(bytes) = ended.bytes else { return };
        self.out
            .push(Output::Commit(DispatchCommand::Answered(Box::new(
                Answered {
                    request: over.request,
                    attempt: over.attempt,
                    purpose: over.purpose,
                    step: over.step,
                    transaction: over.transaction,
                    outcome: ended.outcome,
                    code: ended.code,
                    text: ended.text,
                    reference: ended.reference,
                    frame: Frame::of(&bytes, false),
                    acknowledges: over.acknowledges,
                },
            ))));
    }

    /// No byte of these attempts left, and none will: the frames themselves cannot be sent. The requests are held, and the provider
    /// pauses as for a script that fails.
    pub(super) fn never_sent(&mut self, view: &dyn View, now: Now, handles: &[u64], reason: &str) {
        for handle in handles {
            let mut lines = self.lines.values();
            let flight = lines.find_map(|line| line.attempts.get(*handle));
            let request = flight.and_then(|flight| view.request(flight.request));
            self.settle_flight(view, now, *handle, Ended::engine(Outcome::NotSent, reason));
            let Some(request) = request else { continue };
            let held = format!("the frame cannot be sent: {reason}");
            self.hold(now, request.number, &held);
            self.count_failure(&request, |line| &mut line.unsendable);
        }
    }

    /// No byte of these attempts left.
    pub(super) fn not_sent(&mut self, view: &dyn View, now: Now, handles: &[u64], reason: &str) {
        for handle in handles {
            self.settle_flight(view, now, *handle, Ended::engine(Outcome::NotSent, reason));
        }
    }

    /// Bytes left and no answer came.
    pub(super) fn unknown(&mut self, view: &dyn View, now: Now, handle: u64, reason: &str) {
        self.settle_flight(view, now, handle, Ended::engine(Outcome::Unknown, reason));
    }

    pub(super) fn overdue(&mut self, view: &dyn View, now: Now, provider: ProviderNumber) {
        while let Some(handle) = self
            .lines
            .get_mut(&provider)
            .and_then(|line| line.attempts.take_overdue(now.monotonic))
        {
            let flight = self
                .lines
                .get(&provider)
                .filter(|line| line.provider.session.matching == Matching::Fifo)
                .and_then(|line| line.attempts.get(handle))
                .map(|flight| (flight.lane, flight.connection));
            self.unknown(view, now, handle, "no answer within the reply time-out");
            if let Some((lane, connection)) = flight {
                self.reset(lane, connection, "an answer did not come in time");
            }
        }
    }

    /// Where answers are matched by their order, a connection whose order is lost is given up: an answer that is late would
    /// speak for the next command.
    fn reset(&mut self, lane: LaneId, connection: u64, reason: &str) {
        if let Some(state) = self
            .lines
            .get_mut(&ProviderNumber(lane.provider))
            .and_then(|line| line.lane_mut(lane))
            .filter(|state| state.connection == Some(connection))
        {
            state.connection = None;
        }
        let reason = reason.to_owned();
        self.out.push(Output::Lane(
            lane,
            LaneCommand::Reset { connection, reason },
        ));
    }

    fn settle_flight(&mut self, view: &dyn View, now: Now, handle: u64, ended: Ended) {
        let Some(line) = self
            .lines
            .values_mut()
            .find(|line| line.attempts.get(handle).is_some())
        else {
            return;
        };
        let Some(flight) = line.attempts.end(handle) else {
            return;
        };
        release_lane(line, flight.lane, flight.is_alone);
        if ended.outcome != Outcome::NotSent {
            line.unsendable.ends();
        }
        if ended.outcome != Outcome::Unknown {
            line.transactions.mark_answered(flight.transaction);
        }
        let (Some(over), Some(request)) = (flight.over(), view.request(flight.request)) else {
            return;
        };
        let attempt = over.attempt;
        if request.phase != Phase::Sending || request.latest_attempt != attempt {
            // A late answer to an earlier attempt has moved the request on: this one only frees its card and STBs.
            self.answered(over, ended);
            return self.look_behind(view, now, &flight);
        }
        let Some(line) = self.lines.get_mut(&request.provider) else {
            return;
        };
        let spent = line.patience(request.number, request.patience_spent_ms, now.monotonic);
        line.patient_since
            .insert(request.number, line.worked(now.monotonic));
        let end = End {
            outcome: ended.outcome,
            purpose: flight.purpose,
            now: now.wall,
            patience_spent: spent,
            chance: u8::try_from(self.chance.below(100)).unwrap_or(0),
        };
        let then = settle(&request, end, &line.retry);
        self.runs.awaited.insert(request.number);
        match then {
            Then::Completed => self.runs.report.completed += 1,
            Then::Rejected { .. } => self.runs.report.rejected += 1,
            Then::NextStep => {}
            _ => self.runs.report.put_off += 1,
        }
        if ended.outcome == Outcome::Fatal {
            let reason = ended
                .text
                .clone()
                .or_else(|| ended.code.clone())
                .unwrap_or_else(|| "fatal answer".into());
            let provider = request.provider;
            self.out.push(Output::Commit(DispatchCommand::Pause {
                provider,
                reason: format!("the CAS: {reason}"),
            }));
        }
        self.out
            .push(Output::Commit(DispatchCommand::Settle(Box::new(
                SettleAttempt {
                    request: flight.request,
                    attempt,
                    outcome: ended.outcome,
                    code: ended.code,
                    text: ended.text,
                    reference: ended.reference,
                    frame: ended.bytes.map(|bytes| Frame::of(&bytes, false)),
                    patience_spent_ms: u64::try_from(spent.as_millis()).unwrap_or(u64::MAX),
                    then,
                    acknowledges: flight.acknowledges,
                },
            ))));
    }

    /// After a start: an attempt that was in flight is unknown now, and the keys of past attempts are known again.
    pub(super) fn recover(&mut self, now: Now, request: &Request) {
        let attempts = past_attempts(&self.recall, request);
        let Some(line) = self.lines.get_mut(&request.provider) else {
            return;
        };
        let plan = attempts.iter().find_map(|begun| begun.plan.as_deref());
        for begun in attempts.iter().rev() {
            let over = over(begun, plan.unwrap_or_default(), request);
            line.attempts.remember(begun.key.clone(), over);
            line.transactions.mark_unanswered(begun.transaction);
        }
        let Some(begun) = attempts.first() else {
            return;
        };
        let acknowledges = over(begun, plan.unwrap_or_default(), request).acknowledges;
        if request.phase != Phase::Sending {
            return;
        }
        let end = End {
            outcome: Outcome::Unknown,
            purpose: begun.purpose,
            now: now.wall,
            patience_spent: Duration::from_millis(request.patience_spent_ms),
            chance: u8::try_from(self.chance.below(100)).unwrap_or(0),
        };
        let then = settle(request, end, &line.retry);
        self.out
            .push(Output::Commit(DispatchCommand::Settle(Box::new(
                SettleAttempt {
                    request: request.number,
                    attempt: begun.attempt,
                    outcome: Outcome::Unknown,
                    code: None,
                    text: Some("the service ended while the answer was awaited".into()),
                    reference: None,
                    frame: None,
                    patience_spent_ms: request.patience_spent_ms,
                    then,
                    acknowledges,
                },
            ))));
    }

    /// An answer to no known attempt: counted, recorded once a minute.
    pub(super) fn count_unknown(&mut self, now: Now, provider: ProviderNumber, bytes: &[u8]) {
        let Some(line) = self.lines.get_mut(&provider) else {
            return;
        };
        let sample = || Frame::of(bytes.get(..256).unwrap_or(bytes), false).bytes;
        if let Some((_, count, _)) = &mut line.unknown_answers {
            *count += 1;
        } else {
            let minute = now.wall.micros().div_euclid(MICROS_A_MINUTE) * MICROS_A_MINUTE;
            line.unknown_answers = Some((Timestamp::from_micros(minute), 1, sample()));
        }
    }

    pub(super) fn flush_unknown_answers(&mut self, now: Now) {
        let this_minute = now.wall.micros().div_euclid(MICROS_A_MINUTE) * MICROS_A_MINUTE;
        for (provider, line) in &mut self.lines {
            let is_over = line
                .unknown_answers
                .as_ref()
                .is_some_and(|(minute, ..)| minute.micros() != this_minute);
            if !is_over {
                continue;
            }
            if let Some((minute, count, sample)) = line.unknown_answers.take() {
                let provider = *provider;
                let command = DispatchCommand::AnswersUnknown {
                    provider,
                    minute,
                    count,
                    sample,
                };
                self.out.push(Output::Commit(command));
            }
        }
    }
}

/// Attempts of a request that are recalled after a start; of older ones a late answer is unknown.
const RECALLED_MAX: usize = 64;

/// The attempts of a request as they were recorded, the latest first.
fn past_attempts(recall: &Recall, request: &Request) -> Vec<Begun> {
    let mut attempts = Vec::new();
    let mut at = request.begun;
    while at.is_some() && attempts.len() < RECALLED_MAX {
        let Some(event) = recall(at) else { break };
        at = event.before();
        if let Event::AttemptBegun(begun) = event {
            attempts.push(begun);
        }
    }
    attempts
}

/// What is kept of a recorded attempt.
fn over(begun: &Begun, plan: &[Step], request: &Request) -> Over {
    let step = plan.get(usize::from(begun.step));
    let acknowledges = match (step, begun.purpose) {
        (Some(step), Purpose::Command) => step.acknowledges(),
        _ if !plan.is_empty() => Acknowledges::end_of(plan),
        _ => Acknowledges::all_of(request.action()),
    };
    Over {
        request: request.number,
        attempt: begun.attempt,
        purpose: begun.purpose,
        step: begun.step,
        transaction: begun.transaction,
        acknowledges,
    }
}
