//! A dry run: the same rows, the same judgement, on an overlay; told like a job, stored nowhere.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Jobs;
use super::course::{Course, Step};
use super::error::JobsError;
use super::report::{FullReport, JobReport, Reasons};
use super::world::{Overlay, World, job};
use crate::domain::Refusal;
use crate::domain::event::JobFields;
use crate::domain::job::RowEnding;

/// Most rows of a dry run: what it foresees lives in memory.
pub const ROWS_MAX: u64 = 500_000;
/// Failed rows that are told one by one; whoever waits is told them again each time it asks.
const FAILED_TOLD_MAX: usize = 20;

/// How far a dry run is, and what came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsalReport {
    pub is_over: bool,
    pub rows: u64,
    pub done: u64,
    pub failed: u64,
    /// What a job would say.
    pub report: Option<FullReport>,
    /// The first rows that would fail: the line of the input, and why.
    pub failures: Vec<(u64, String)>,
    /// Why it ended early.
    pub error: Option<String>,
}

impl RehearsalReport {
    pub fn waiting(fields: &JobFields) -> Self {
        Self {
            is_over: false,
            rows: fields.rows,
            done: 0,
            failed: 0,
            report: None,
            failures: Vec::new(),
            error: None,
        }
    }
}

impl Jobs {
    pub(super) fn rehearse_now(&self, folder: &str, by: &str, fields: &JobFields) {
        let mut report = RehearsalReport::waiting(fields);
        let went = catch_unwind(AssertUnwindSafe(|| {
            self.go_through(folder, by, fields, &mut report)
        }));
        report.error = match went {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("its thread panicked; keep script and input, and report this".into()),
        };
        report.is_over = true;
        self.board.tell(folder, report);
    }

    fn go_through(
        &self,
        folder: &str,
        by: &str,
        fields: &JobFields,
        report: &mut RehearsalReport,
    ) -> Result<(), JobsError> {
        // All of it is wanted, however many rows fail.
        let mut fields = fields.clone();
        fields.stop_after = 0;
        let (overlay, number) = Overlay::new(self.actions.clone(), by, &fields);
        let world: Arc<dyn World> = Arc::new(overlay);
        let mut course = Course::open(self, world.clone(), number, &fields, true)?;
        let mut reasons = Reasons::default();
        loop {
            let Some(row) = job(&*world, number) else {
                return Ok(());
            };
            report.done = row.row;
            report.failed = row.counts.failed;
            if self.is_stopping() && !row.phase.is_over() {
                // A part of it would look like all of it.
                return Err(Refusal::Stopping.into());
            }
            if row.phase.is_over() {
                let mut job = JobReport::of(number, &row);
                // What would be asked for was not asked for.
                (job.id, job.pending) = (0, 0);
                let reasons: BTreeMap<String, u64> = reasons.into_map();
                let summary = self.summary(number, &row);
                report.report = Some(FullReport {
                    job,
                    reasons,
                    summary,
                });
                return Ok(());
            }
            if self.board.is_left(folder, self.actions.clock.monotonic()) {
                return Err(JobsError::Left);
            }
            self.board.tell(folder, report.clone());
            if let Step::Done(endings) = course.step(&row)? {
                course.each_done(&endings, |rows, row, ending| {
                    if let RowEnding::Failed(why) | RowEnding::Skipped(why) = ending {
                        reasons.count(why, rows.cells(row));
                    }
                    if let RowEnding::Failed(why) = ending
                        && report.failures.len() < FAILED_TOLD_MAX
                    {
                        report.failures.push((row.line, why.clone()));
                    }
                });
            }
        }
    }
}
