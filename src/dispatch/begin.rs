//! From ready to in flight: room, rate, a lane, a transaction number, the `begin` command, and the writer's word on it.
//!
//! What cannot go out ends here: nothing left to do, an STB that is taken, a script that fails, patience that ran out.

use std::time::Duration;

use super::dispatcher::Dispatcher;
use super::line::{LaneState, Line, SCRIPT_ERRORS_MAX, Streak};
use super::prepare::{Slot, prepare};
use super::step::{Now, Output};
use super::timers::Timer;
use crate::commit::{DispatchCommand, EndUnsent};
use crate::domain::event::Ending;
use crate::domain::head::{self, Head};
use crate::domain::{ProviderNumber, Request, RequestNumber, Stbs, View};
use crate::provider::{LaneId, Outgoing};
use crate::script::ScriptError;
use crate::telemetry::Metric;

/// Attempts that one step may begin for one provider.
const BEGINS_A_STEP: u32 = 64;
/// How long until a refused `begin` is looked at again.
const REFUSED_AGAIN: Duration = Duration::from_millis(100);

impl Dispatcher {
    /// Begins what is ready while there is room, rate and a lane.
    ///
    /// At most [`BEGINS_A_STEP`] at once: each runs a script, and the other providers' turn comes in between.
    pub(super) fn pull(&mut self, view: &dyn View, now: Now, number: ProviderNumber) {
        for _ in 0..BEGINS_A_STEP {
            let is_run_open = self.runs.open.is_some();
            let Some(line) = self.lines.get_mut(&number) else {
                return;
            };
            let may_send = view
                .provider(number)
                .is_some_and(|provider| provider.may_send(now.wall));
            line.set_working(may_send && is_run_open, now.monotonic);
            if self.is_stopping
                || now.monotonic < self.no_begin_until
                || line.awaits_pause
                || !may_send
                || !line.circuit.is_closed()
                || line.ready.is_empty()
                || line.free_lane(false).is_none()
            {
                return;
            }
            if line.transactions.remaining() == 0 {
                return self.reserve(number);
            }
            if line.rate.take(1, now.monotonic) == 0 {
                let at = line.rate.next_at(now.monotonic);
                return self.timers.set(at, Timer::Line(number));
            }
            let Some(place) = line.ready.take(is_run_open) else {
                return line.rate.give_back(1);
            };
            let Some(request) = view.request(place.number) else {
                continue;
            };
            let is_busy = self
                .lines
                .values()
                .any(|line| line.attempts.is_busy(&request));
            let Some(line) = self.lines.get_mut(&number) else {
                return;
            };
            let is_alone = request.unknown_attempts >= 2;
            let Some(lane) = line.free_lane(is_alone) else {
                line.ready.insert(&request);
                return line.rate.give_back(1);
            };
            match head::judge(view, &request, now.wall) {
                // An attempt that outlived its request is still out; its end brings this one back.
                Head::Send { .. } if is_busy => line.rate.give_back(1),
                Head::Send { leaves } => {
                    let patience =
                        line.patience(request.number, request.patience_spent_ms, now.monotonic);
                    if patience >= line.retry.give_up_after {
                        line.rate.give_back(1);
                        self.give_up(now, &request);
                        continue;
                    }
                    self.begin(view, now, &request, &leaves, lane, is_alone);
                }
                Head::End(ending) => {
                    line.rate.give_back(1);
                    self.end_unsent(now, request.number, ending);
                }
                Head::NotYet(_) => {
                    // The wall clock was set back to before its date, or it is no longer first: look when that changes.
                    line.rate.give_back(1);
                    self.look(view, now, request.number);
                }
            }
        }
        self.timers.set(now.monotonic, Timer::Line(number));
    }

    pub(super) fn begin(
        &mut self,
        view: &dyn View,
        now: Now,
        request: &Request,
        leaves: &Stbs,
        lane: LaneState,
        is_alone: bool,
    ) {
        let Some(line) = self.lines.get_mut(&request.provider) else {
            return;
        };
        let Some(transaction) = line.transactions.take() else {
            line.ready.insert(request);
            line.rate.give_back(1);
            return self.reserve(request.provider);
        };
        self.handles += 1;
        let run = self.runs.number();
        let slot = Slot {
            handle: self.handles,
            lane,
            transaction,
            run,
            now: now.wall,
            is_alone,
        };
        match prepare(line, view, &self.recall, request, leaves, &slot) {
            Ok(prepared) => {
                line.script_errors.ends();
                line.transactions.mark_unanswered(transaction);
                if let Some(lane) = line.lane_mut(slot.lane.id) {
                    lane.in_flight += 1;
                    lane.has_alone |= is_alone;
                }
                line.attempts.add(slot.handle, prepared.flight);
                self.out
                    .push(Output::Commit(DispatchCommand::Begin(Box::new(
                        prepared.begin,
                    ))));
            }
            Err(error) => {
                line.transactions.give_back(transaction);
                self.script_failed(now, request, &error);
            }
        }
        if self
            .lines
            .get(&request.provider)
            .is_some_and(|line| line.transactions.needs_block().is_some())
        {
            self.reserve(request.provider);
        }
    }

    pub(super) fn script_failed(&mut self, now: Now, request: &Request, error: &ScriptError) {
        let Some(line) = self.lines.get_mut(&request.provider) else {
            return;
        };
        let provider = line.provider.name.clone();
        self.metrics.count(Metric::ScriptErrors);
        tracing::error!(provider, request = request.number.0, %error, "the mapping failed on a request");
        if request.latest_attempt == 0 {
            let ending = Ending::ScriptError {
                text: "the mapping failed; the log has the place".into(),
            };
            self.end_unsent(now, request.number, ending);
        } else {
            let reason = "the mapping failed after something was sent; the log has the place";
            self.hold(now, request.number, reason);
        }
        self.count_failure(request, |line| &mut line.script_errors);
    }

    /// Counts a failure of the mapping on this card; too many in a row pause the provider.
    pub(super) fn count_failure(&mut self, request: &Request, of: fn(&mut Line) -> &mut Streak) {
        let Some(line) = self.lines.get_mut(&request.provider) else {
            return;
        };
        if !of(line).fails(request.card) {
            return;
        }
        line.awaits_pause = true;
        self.out.push(Output::Commit(DispatchCommand::Pause {
            provider: request.provider,
            reason: format!("the mapping failed on {SCRIPT_ERRORS_MAX} different cards in a row"),
        }));
    }

    /// The next block of transaction numbers, once it is needed.
    pub(super) fn reserve(&mut self, provider: ProviderNumber) {
        let Some(line) = self.lines.get_mut(&provider) else {
            return;
        };
        if line.awaits_block {
            return;
        }
        if let Some((first, last)) = line.transactions.needs_block() {
            line.awaits_block = true;
            self.out
                .push(Output::Commit(DispatchCommand::ReserveTransactions {
                    provider,
                    first,
                    last,
                }));
        }
    }

    /// Ends a request without an answer. If the writer finds that it no longer holds, it is looked at again.
    pub(super) fn end_unsent(&mut self, now: Now, request: RequestNumber, ending: Ending) {
        self.runs.awaited.insert(request);
        self.timers
            .set(now.monotonic + REFUSED_AGAIN, Timer::Look(request));
        self.out
            .push(Output::Commit(DispatchCommand::EndUnsent(EndUnsent {
                request,
                ending,
            })));
    }

    pub(super) fn hold(&mut self, now: Now, request: RequestNumber, reason: &str) {
        self.runs.awaited.insert(request);
        self.timers
            .set(now.monotonic + REFUSED_AGAIN, Timer::Look(request));
        let reason = reason.to_owned();
        self.out
            .push(Output::Commit(DispatchCommand::Hold { request, reason }));
    }

    pub(super) fn give_up(&mut self, now: Now, request: &Request) {
        if request.unknown_attempts == 0 {
            self.end_unsent(now, request.number, Ending::ProviderUnreachable);
        } else {
            self.hold(now, request.number, "gave up; an attempt ended unknown");
        }
    }

    /// The writer's word on a `begin`: hand the bytes to the lane, or look at the request again a little later.
    pub(super) fn begun(&mut self, view: &dyn View, now: Now, handle: u64, attempt: Option<u32>) {
        let Some(line) = self
            .lines
            .values_mut()
            .find(|line| line.attempts.get(handle).is_some())
        else {
            return;
        };
        let Some(attempt) = attempt else {
            if let Some(flight) = line.attempts.end(handle) {
                line.rate.give_back(1);
                line.transactions.mark_answered(flight.transaction);
                line.transactions.give_back(flight.transaction);
                release_lane(line, flight.lane, flight.is_alone);
                for item in &flight.items {
                    let first = view.queue(*item).first().map(|place| place.number);
                    let waits = first.unwrap_or(flight.request);
                    self.timers
                        .set(now.monotonic + REFUSED_AGAIN, Timer::Look(waits));
                }
                self.timers
                    .set(now.monotonic + REFUSED_AGAIN, Timer::Look(flight.request));
            }
            return;
        };
        self.runs.report.begun += 1;
        let deadline = now.monotonic + line.provider.session.reply_timeout;
        if let Some(flight) = line.attempts.begun(handle, attempt, deadline) {
            let body = std::mem::take(&mut flight.body);
            let to = (flight.lane, flight.connection);
            self.sends.entry(to).or_default().push(Outgoing {
                attempt: handle,
                body,
            });
        }
    }
}

/// Gives a lane's place back.
pub(super) fn release_lane(line: &mut Line, lane: LaneId, was_alone: bool) {
    if let Some(lane) = line.lane_mut(lane) {
        lane.in_flight = lane.in_flight.saturating_sub(1);
        if was_alone {
            lane.has_alone = false;
        }
    }
}
