//! What the clock brings: deadlines, jumps of the wall clock, patience, processing runs.

use super::dispatcher::Dispatcher;
use super::line::Line;
use super::runs::{Mode, RunReport};
use super::step::{Now, Output};
use super::timers::{TICK_EVERY, Timer};
use crate::commit::DispatchCommand;
use crate::domain::View;

/// A jump of the wall clock against the monotonic one that is worth a new look.
const JUMP_MICROS: i64 = 500_000;

/// How far the wall clock is ahead of the monotonic one, in microseconds.
pub(super) fn clock_offset(now: Now) -> i64 {
    now.wall.micros() - i64::try_from(now.monotonic.as_micros()).unwrap_or(i64::MAX)
}

impl Dispatcher {
    pub(super) fn fire(&mut self, view: &dyn View, now: Now) {
        while let Some(timer) = self.timers.take_due(now.monotonic) {
            match timer {
                Timer::Look(number) => {
                    // An end that the writer refused is not awaited any more.
                    self.runs.awaited.remove(&number);
                    self.look(view, now, number);
                }
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

    pub(super) fn tick(&mut self, view: &dyn View, now: Now) {
        self.timers.set(now.monotonic + TICK_EVERY, Timer::Tick);
        if self.runs.mode == Mode::Continuous && self.runs.is_new_day(now.wall) {
            self.order_run();
        }
        let offset = clock_offset(now);
        let jump = offset - std::mem::replace(&mut self.clock_offset, offset);
        if jump.abs() > JUMP_MICROS {
            tracing::warn!(
                micros = jump,
                "the wall clock jumped; schedules are looked at again"
            );
            for number in self.scheduled.clone() {
                self.look(view, now, number);
            }
        }
        for line in self.lines.values_mut() {
            for number in line.attempts.take_forgotten() {
                line.transactions.mark_answered(number);
            }
        }
        self.look_at_patience(view, now);
        self.flush_unknown_answers(now);
    }

    /// Gives up on what no lane could take for too long.
    pub(super) fn look_at_patience(&mut self, view: &dyn View, now: Now) {
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

    pub(super) fn order_run(&mut self) {
        if !self.runs.is_ordered {
            self.runs.is_ordered = true;
            self.out.push(Output::Commit(DispatchCommand::StartRun {
                mode: self.runs.mode.word(),
            }));
        }
    }

    /// A run is over when nothing is ready, nothing is in flight and no end waits for its record; a continuous one stays open all the same.
    pub(super) fn end_run(&mut self, view: &dyn View) {
        let awaits = !self.runs.awaited.is_empty();
        if self.runs.open.is_none() || self.runs.is_ordered || self.runs.report.is_over || awaits {
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
