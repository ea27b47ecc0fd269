//! What the gate does by time, ten times a second: lines, deadlines, room for bytes, the stop.

use std::sync::PoisonError;
use std::time::Duration;

use super::Gate;
use super::options::{ANSWER_BYTES_MAX, REQUEST_BYTES_MAX};
use crate::domain::Refusal;
use crate::http::crm::CallError;
use crate::telemetry::Metric;

impl Gate {
    /// What is done by time: lines, deadlines, room, the stop.
    ///
    /// `has_stalled`: what clients have sent meanwhile was not looked at, so nobody is ended by time.
    pub(super) fn sweep(&mut self, now: Duration, has_stalled: bool) {
        self.swept = now;
        let ordered = self.orders.options.lock();
        if let Some(options) = ordered.unwrap_or_else(PoisonError::into_inner).take() {
            self.options = options;
        }
        self.mend_lines(now);
        self.open_doors();
        if !has_stalled {
            for slot in self.roll.overdue(&self.options, now) {
                self.end_overdue(slot, now);
            }
        }
        while self.roll.request_bytes > REQUEST_BYTES_MAX
            && let Some(slot) = self.roll.slowest_body()
        {
            self.metrics.count(Metric::HttpEvicted);
            self.refuse(slot, &CallError::Refused(Refusal::Overloaded), now);
        }
        if self.are_doors_closed() {
            self.shut_doors();
        }
        self.metrics
            .set(Metric::HttpConnections, self.roll.len() as u64);
        self.turn_touched(now);
        self.flush_lines(now);
    }

    pub(super) fn end_overdue(&mut self, slot: usize, now: Duration) {
        let options = self.options;
        match self.roll.with(slot, |client| client.overdue(&options)) {
            Some(Some(error)) => {
                self.metrics.count(Metric::HttpTimedOut);
                self.refuse(slot, &error, now);
            }
            _ => self.close(slot),
        }
    }

    /// Beyond the bound for answers that have not left, whoever holds most goes.
    pub(super) fn spare_answers(&mut self) {
        while self.roll.answer_bytes > ANSWER_BYTES_MAX
            && let Some(slot) = self.roll.largest_reader()
        {
            self.metrics.count(Metric::HttpEvicted);
            self.close(slot);
        }
    }
}
