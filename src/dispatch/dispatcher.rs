//! The step function of dispatch: (view, now, input) to commands and bytes.
//!
//! Reads the way of a request: `look` (is it its turn?), `pull` (is there room?), `prepare`, the writer's word in
//! `begun`, then `replies` until it is settled. Holds nothing that a restart cannot find again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::attempts::Flight;
use super::deadlines::clock_offset;
use super::line::{Line, LineOptions};
use super::runs::{Mode, RunReport, Runs};
use super::step::{Input, Now, Output, Recall};
use super::timers::{SPACE_AGAIN, TICK_EVERY, Timer, Timers};
use crate::commit::Notices;
use crate::domain::head::{self, Head, NotYet};
use crate::domain::{Chance, Phase, ProviderNumber, Request, RequestNumber, View};
use crate::provider::{LaneCommand, LaneId, Outgoing};
use crate::telemetry::Metrics;

pub struct DispatcherOptions {
    pub lines: Vec<LineOptions>,
    pub mode: Mode,
    /// The latest run of the dispatcher before this one, if it had the same mode.
    pub goes_on: Option<RunReport>,
    pub seed: u64,
    pub recall: Recall,
    pub metrics: Arc<Metrics>,
}

/// The state of dispatch.
pub struct Dispatcher {
    pub(super) lines: BTreeMap<ProviderNumber, Line>,
    pub(super) timers: Timers,
    pub(super) runs: Runs,
    pub(super) chance: Chance,
    pub(super) recall: Recall,
    pub(super) metrics: Arc<Metrics>,
    pub(super) out: Vec<Output>,
    pub(super) sends: BTreeMap<(LaneId, u64), Vec<Outgoing>>,
    pub(super) handles: u64,
    /// As of the last look at the wall clock.
    pub(super) clock_offset: i64,
    pub(super) scheduled: BTreeSet<RequestNumber>,
    pub(super) pushes: u64,
    pub(super) push_replies: BTreeMap<u64, (LaneId, u64, Vec<u8>)>,
    pub(super) is_stopping: bool,
    pub(super) no_begin_until: Duration,
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
            runs: Runs::new(options.mode, options.goes_on),
            chance: Chance::new(options.seed),
            recall: options.recall,
            metrics: options.metrics,
            out: Vec::new(),
            sends: BTreeMap::new(),
            handles: 0,
            clock_offset: clock_offset(now),
            scheduled: BTreeSet::new(),
            pushes: 0,
            push_replies: BTreeMap::new(),
            is_stopping: false,
            no_begin_until: Duration::ZERO,
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
        if self.runs.mode == Mode::Continuous && self.runs.open.is_none() {
            self.order_run();
        }
        if let Mode::Every(interval) = self.runs.mode {
            self.timers.set(now.monotonic + interval, Timer::Run);
        }
        self.runs.is_new_day(now.wall);
        self.timers.set(now.monotonic + TICK_EVERY, Timer::Tick);
        // A clock that is set while the machine boots jumps before the first tick.
        self.clock_offset = clock_offset(now);
        for number in unfinished {
            let Some(request) = view.request(number) else {
                continue;
            };
            self.recover(now, &request);
            self.look(view, now, number);
        }
    }

    fn committed(&mut self, view: &dyn View, now: Now, notices: Notices) {
        if notices.is_space_low {
            self.no_begin_until = now.monotonic + SPACE_AGAIN;
            tracing::error!("the disk is too full for new attempts");
        }
        for number in notices.providers {
            if let Some(line) = self.lines.get_mut(&number) {
                line.awaits_pause = false;
            }
        }
        for run in notices.runs {
            let ready: usize = self.lines.values().map(|line| line.ready.len()).sum();
            self.runs.opened(run, ready as u64);
        }
        for (provider, first, last) in notices.reserved {
            if let Some(line) = self.lines.get_mut(&provider) {
                line.transactions.grant(first, last);
                line.awaits_block = false;
            }
        }
        for (push, is_recorded) in notices.pushes {
            self.push_judged(push, is_recorded);
        }
        for (handle, attempt) in notices.begun {
            self.begun(view, now, handle, attempt);
        }
        for number in notices.touched {
            self.runs.awaited.remove(&number);
            self.look(view, now, number);
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
                let wait = request.scheduled.since(now.wall);
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
}
