//! The step function of dispatch: (view, now, input) to commands and bytes.
//!
//! Reads the way of a request: `look` (is it its turn?), `pull` (is there room?), `prepare`, the writer's word in
//! `begun`, then `replies` until it is settled. Holds nothing that a restart cannot find again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::attempts::Flight;
use super::line::{Line, LineOptions};
use super::prepare::{Slot, prepare};
use super::runs::{Mode, RunReport, Runs};
use super::timers::{Timer, Timers};
use crate::commit::{DispatchCommand, EndUnsent, Notices};
use crate::domain::event::{Ending, Event};
use crate::domain::head::{self, Head, NotYet};
use crate::domain::{
    Chance, ItemNumber, Phase, Position, ProviderNumber, Request, RequestNumber, Timestamp, View,
};
use crate::provider::{LaneCommand, LaneEvent, LaneId, Outgoing};
use crate::script::ScriptError;

/// The two clocks at the moment of a step.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub wall: Timestamp,
    pub monotonic: Duration,
}

/// What dispatch hears.
#[derive(Debug)]
pub enum Input {
    /// The first one: look at everything that is unfinished.
    Start(Vec<RequestNumber>),
    Committed(Notices),
    Lane(LaneId, LaneEvent),
    /// A lane did not take these attempts; no byte of them left.
    NotTaken(LaneId, Vec<u64>),
    /// Somebody asks for a processing run.
    Run,
    Tick,
}

/// What dispatch wants done, in this order.
#[derive(Debug)]
pub enum Output {
    Commit(DispatchCommand),
    Lane(LaneId, LaneCommand),
}

/// Reads the event at a position of the ledger.
pub type Recall = Box<dyn Fn(Position) -> Option<Event> + Send>;

pub struct DispatcherOptions {
    pub lines: Vec<LineOptions>,
    pub mode: Mode,
    pub seed: u64,
    pub recall: Recall,
}

/// How long until a refused `begin` is looked at again.
const REFUSED_AGAIN: Duration = Duration::from_millis(100);
/// Clock jumps and patience are looked at this often.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// A jump of the wall clock against the monotonic one that is worth a new look.
const JUMP_MICROS: i64 = 500_000;

/// The state of dispatch.
pub struct Dispatcher {
    pub(super) lines: BTreeMap<ProviderNumber, Line>,
    pub(super) timers: Timers,
    pub(super) runs: Runs,
    pub(super) chance: Chance,
    pub(super) recall: Recall,
    pub(super) out: Vec<Output>,
    sends: BTreeMap<(LaneId, u64), Vec<Outgoing>>,
    handles: u64,
    clock_offset: Option<i64>,
    scheduled: BTreeSet<RequestNumber>,
    pub(super) pushes: u64,
    pub(super) push_replies: BTreeMap<u64, (LaneId, u64, Vec<u8>)>,
    is_stopping: bool,
}

impl Dispatcher {
    pub fn new(options: DispatcherOptions, now: Now) -> Self {
        let lines = options.lines.into_iter().map(|line| {
            let number = ProviderNumber(line.provider.number);
            (number, Line::new(line, now.monotonic))
        });
        Self {
            lines: lines.collect(),
            timers: Timers::default(),
            runs: Runs::new(options.mode),
            chance: Chance::new(options.seed),
            recall: options.recall,
            out: Vec::new(),
            sends: BTreeMap::new(),
            handles: 0,
            clock_offset: None,
            scheduled: BTreeSet::new(),
            pushes: 0,
            push_replies: BTreeMap::new(),
            is_stopping: false,
        }
    }

    /// One step. The view must be of after everything that `input` tells.
    pub fn step(&mut self, view: &dyn View, now: Now, input: Input) -> Vec<Output> {
        match input {
            Input::Start(unfinished) => self.start(view, now, unfinished),
            Input::Committed(notices) => self.committed(view, now, notices),
            Input::Lane(lane, event) => self.lane_event(view, now, lane, event),
            Input::NotTaken(_, handles) => {
                self.not_sent(view, now, &handles, "the connection was gone");
            }
            Input::Run => self.order_run(),
            Input::Tick => {}
        }
        self.fire(view, now);
        let numbers: Vec<_> = self.lines.keys().copied().collect();
        for number in numbers {
            self.steer(view, now, number);
            self.pull(view, now, number);
        }
        self.end_run(view);
        self.hand_over();
        std::mem::take(&mut self.out)
    }

    /// When the next step is due if nothing is heard.
    pub fn next_deadline(&self) -> Option<Duration> {
        let replies = self
            .lines
            .values()
            .filter_map(|line| line.attempts.next_deadline())
            .min();
        [self.timers.next(), replies].into_iter().flatten().min()
    }

    /// Requests that could go out now, and attempts in flight.
    pub fn load(&self) -> impl Iterator<Item = (ProviderNumber, &Line)> {
        self.lines.iter().map(|(number, line)| (*number, line))
    }

    /// Begins nothing more; what is in flight may still settle.
    pub fn stop_beginning(&mut self) {
        self.is_stopping = true;
    }

    /// Whether nothing is in flight.
    pub fn is_quiet(&self) -> bool {
        self.lines
            .values()
            .all(|line| line.attempts.in_flight() == 0)
    }

    fn start(&mut self, view: &dyn View, now: Now, unfinished: Vec<RequestNumber>) {
        if self.runs.mode == Mode::Continuous {
            self.order_run();
        }
        if let Mode::Every(interval) = self.runs.mode {
            self.timers.set(now.monotonic + interval, Timer::Run);
        }
        self.runs.is_new_day(now.wall);
        self.timers.set(now.monotonic + TICK_EVERY, Timer::Tick);
        for number in unfinished {
            let Some(request) = view.request(number) else {
                continue;
            };
            self.recover(now, &request);
            self.look(view, now, number);
        }
    }

    fn committed(&mut self, view: &dyn View, now: Now, notices: Notices) {
        for run in notices.runs {
            let ready: usize = self.lines.values().map(|line| line.ready.len()).sum();
            self.runs.opened(run, ready as u64);
        }
        for (provider, first, last) in notices.reserved {
            if let Some(line) = self.lines.get_mut(&provider) {
                line.provider.transactions.grant(first, last);
                line.awaits_block = false;
            }
        }
        for push in notices.pushes {
            self.push_recorded(push);
        }
        for (handle, attempt) in notices.begun {
            self.begun(view, now, handle, attempt);
        }
        for number in notices.touched {
            self.look(view, now, number);
        }
    }

    /// The writer's word on a `begin`: hand the bytes to the lane, or look at the request again a little later.
    fn begun(&mut self, view: &dyn View, now: Now, handle: u64, attempt: Option<u32>) {
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
                line.provider.transactions.mark_answered(flight.transaction);
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

    /// Frames that were gathered in this step go to their lanes, many in one command.
    fn hand_over(&mut self) {
        for ((lane, connection), frames) in std::mem::take(&mut self.sends) {
            self.out
                .push(Output::Lane(lane, LaneCommand::Send { connection, frames }));
        }
    }

    /// Looks at one request: ready, to be ended, or to be looked at later.
    pub(super) fn look(&mut self, view: &dyn View, now: Now, number: RequestNumber) {
        let Some(request) = view.request(number) else {
            return;
        };
        let is_busy = self
            .lines
            .values()
            .any(|line| line.attempts.is_busy(&request));
        let Some(line) = self.lines.get_mut(&request.provider) else {
            return;
        };
        line.ready.remove(request.place());
        if request.phase.is_finished() {
            line.forget(number);
            self.scheduled.remove(&number);
            return;
        }
        if line.attempts.has(number) {
            return;
        }
        match head::judge(view, &request, now.wall) {
            Head::End(ending) => self.end_unsent(now, number, ending),
            // An attempt that outlived its request is still out; its end brings this one back.
            Head::Send { .. } if is_busy => {}
            Head::Send { .. } | Head::NotYet(NotYet::ProviderStopped) => {
                self.make_ready(now, &request);
            }
            Head::NotYet(NotYet::Scheduled) => {
                let wait = request.due.since(now.wall);
                self.scheduled.insert(number);
                self.timers.set(now.monotonic + wait, Timer::Look(number));
            }
            Head::NotYet(NotYet::Behind { .. }) => line.ready.lend(view, &request),
            // Its patience begins anew when somebody resolves it.
            Head::NotYet(NotYet::Held) => {
                line.patient_since.remove(&number);
            }
            Head::NotYet(_) => {}
        }
    }

    /// An attempt is over: looks at the first of each of its queues.
    pub(super) fn look_behind(&mut self, view: &dyn View, now: Now, flight: &Flight) {
        for item in &flight.items {
            if let Some(first) = view.queue(*item).first() {
                self.look(view, now, first.number);
            }
        }
    }

    fn make_ready(&mut self, now: Now, request: &Request) {
        self.scheduled.remove(&request.number);
        let Some(line) = self.lines.get_mut(&request.provider) else {
            return;
        };
        let worked = line.worked(now.monotonic);
        line.patient_since.entry(request.number).or_insert(worked);
        let is_again = matches!(request.phase, Phase::Waiting | Phase::InDoubt);
        if is_again && request.again_at > now.wall {
            let at = line.again_at(request, now);
            if at > now.monotonic {
                return self.timers.set(at, Timer::Look(request.number));
            }
        }
        line.ready.insert(request);
    }

    /// Begins what is ready while there is room, rate and a lane.
    fn pull(&mut self, view: &dyn View, now: Now, number: ProviderNumber) {
        loop {
            let is_run_open = self.runs.open.is_some();
            let Some(line) = self.lines.get_mut(&number) else {
                return;
            };
            let may_send = view
                .provider(number)
                .is_some_and(|provider| provider.may_send(now.wall));
            line.set_working(may_send && is_run_open, now.monotonic);
            if self.is_stopping
                || !may_send
                || !line.circuit.is_closed()
                || line.ready.is_empty()
                || line.free_lane(false).is_none()
            {
                return;
            }
            if line.provider.transactions.remaining() == 0 {
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
            let is_alone = request.unknown_attempts >= 2;
            let Some(lane) = line.free_lane(is_alone) else {
                line.ready.insert(&request);
                return line.rate.give_back(1);
            };
            match head::judge(view, &request, now.wall) {
                Head::Send { leaves } => {
                    let patience =
                        line.patience(request.number, request.patience_spent_ms, now.monotonic);
                    if patience >= line.retry.give_up_after {
                        line.rate.give_back(1);
                        self.give_up(now, &request);
                        continue;
                    }
                    self.begin(view, now, &request, leaves, lane, is_alone);
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
    }

    fn begin(
        &mut self,
        view: &dyn View,
        now: Now,
        request: &Request,
        leaves: Option<ItemNumber>,
        lane: super::line::LaneState,
        is_alone: bool,
    ) {
        let Some(line) = self.lines.get_mut(&request.provider) else {
            return;
        };
        let Some(transaction) = line.provider.transactions.take() else {
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
                line.script_errors.clear();
                line.provider.transactions.mark_unanswered(transaction);
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
            Err(error) => self.script_failed(now, request, &error),
        }
        if self
            .lines
            .get(&request.provider)
            .is_some_and(|line| line.provider.transactions.needs_block().is_some())
        {
            self.reserve(request.provider);
        }
    }

    fn script_failed(&mut self, now: Now, request: &Request, error: &ScriptError) {
        let Some(line) = self.lines.get_mut(&request.provider) else {
            return;
        };
        let provider = line.provider.name.clone();
        tracing::error!(provider, request = request.number.0, %error, "the mapping failed on a request");
        let must_pause = line.script_failed(request.card);
        if request.latest_attempt == 0 {
            let ending = Ending::ScriptError {
                text: "the mapping failed; the log has the place".into(),
            };
            self.end_unsent(now, request.number, ending);
        } else {
            let reason = "the mapping failed after something was sent; the log has the place";
            self.hold(now, request.number, reason);
        }
        if must_pause {
            let reason = format!(
                "the mapping failed on {} different cards in a row",
                super::line::SCRIPT_ERRORS_MAX
            );
            self.out.push(Output::Commit(DispatchCommand::Pause {
                provider: request.provider,
                reason,
            }));
        }
    }

    /// The next block of transaction numbers, once it is needed.
    pub(super) fn reserve(&mut self, provider: ProviderNumber) {
        let Some(line) = self.lines.get_mut(&provider) else {
            return;
        };
        if line.awaits_block {
            return;
        }
        if let Some((first, last)) = line.provider.transactions.needs_block() {
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
    fn end_unsent(&mut self, now: Now, request: RequestNumber, ending: Ending) {
        self.timers
            .set(now.monotonic + REFUSED_AGAIN, Timer::Look(request));
        self.out
            .push(Output::Commit(DispatchCommand::EndUnsent(EndUnsent {
                request,
                ending,
            })));
    }

    fn hold(&mut self, now: Now, request: RequestNumber, reason: &str) {
        self.timers
            .set(now.monotonic + REFUSED_AGAIN, Timer::Look(request));
        let reason = reason.to_owned();
        self.out
            .push(Output::Commit(DispatchCommand::Hold { request, reason }));
    }

    fn give_up(&mut self, now: Now, request: &Request) {
        if request.unknown_attempts == 0 {
            self.end_unsent(now, request.number, Ending::ProviderUnreachable);
        } else {
            self.hold(now, request.number, "gave up; an attempt ended unknown");
        }
    }

    fn fire(&mut self, view: &dyn View, now: Now) {
        while let Some(timer) = self.timers.take_due(now.monotonic) {
            match timer {
                Timer::Look(number) => self.look(view, now, number),
                Timer::Line(_) => {}
                Timer::Run => {
                    self.order_run();
                    if let Mode::Every(interval) = self.runs.mode {
                        self.timers.set(now.monotonic + interval, Timer::Run);
                    }
                }
                Timer::Tick => self.tick(view, now),
            }
        }
        let numbers: Vec<_> = self.lines.keys().copied().collect();
        for number in numbers {
            self.overdue(view, now, number);
        }
    }

    fn tick(&mut self, view: &dyn View, now: Now) {
        self.timers.set(now.monotonic + TICK_EVERY, Timer::Tick);
        if self.runs.mode == Mode::Continuous && self.runs.is_new_day(now.wall) {
            self.order_run();
        }
        let offset =
            now.wall.micros() - i64::try_from(now.monotonic.as_micros()).unwrap_or(i64::MAX);
        let before = self.clock_offset.replace(offset);
        if before.is_some_and(|before| (offset - before).abs() > JUMP_MICROS) {
            tracing::warn!(
                micros = offset - before.unwrap_or(0),
                "the wall clock jumped; schedules are looked at again"
            );
            for number in self.scheduled.clone() {
                self.look(view, now, number);
            }
        }
        self.look_at_patience(view, now);
        self.flush_unknown_answers(now);
    }

    /// Gives up on what no lane could take for too long.
    fn look_at_patience(&mut self, view: &dyn View, now: Now) {
        let mut tired = Vec::new();
        for line in self.lines.values() {
            if line.worked(now.monotonic) < line.retry.give_up_after {
                continue;
            }
            tired.extend(
                line.ready
                    .places()
                    .filter_map(|place| view.request(place.number))
                    .filter(|request| {
                        line.patience(request.number, request.patience_spent_ms, now.monotonic)
                            >= line.retry.give_up_after
                    }),
            );
        }
        for request in tired {
            if let Some(line) = self.lines.get_mut(&request.provider) {
                line.ready.remove(request.place());
            }
            self.give_up(now, &request);
        }
    }

    fn order_run(&mut self) {
        if !self.runs.is_ordered {
            self.runs.is_ordered = true;
            self.out.push(Output::Commit(DispatchCommand::StartRun {
                mode: self.runs.mode.word(),
            }));
        }
    }

    /// A run is over when nothing is ready and nothing is in flight; a continuous one stays open all the same.
    fn end_run(&mut self, view: &dyn View) {
        if self.runs.open.is_none() || self.runs.is_ordered || self.runs.report.is_over {
            return;
        }
        let can_go_on = |line: &Line| !line.ready.is_empty() && line.can_send_soon(view);
        if self
            .lines
            .values()
            .any(|line| line.attempts.in_flight() > 0 || can_go_on(line))
        {
            return;
        }
        self.runs.report.is_over = true;
        if self.runs.mode != Mode::Continuous {
            self.runs.open = None;
        }
    }

    /// Whether no run is ordered that the writer has not recorded yet.
    pub fn is_run_recorded(&self) -> bool {
        !self.runs.is_ordered
    }

    /// How far the latest run is.
    pub fn run_report(&self) -> RunReport {
        self.runs.report
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
