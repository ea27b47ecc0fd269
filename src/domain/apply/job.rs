//! What the events of a bulk job change: its row, and the counts that its requests move.

use super::Recorded;
use crate::domain::event::Event;
use crate::domain::job::{JobCounts, RowEnding};
use crate::domain::{Edit, Job, JobNumber, JobPhase, Position};

pub fn apply(state: &mut impl Edit, recorded: Recorded<'_>, event: &Event) {
    match event {
        Event::JobCreated { number, job } => {
            let mut meta = state.meta();
            meta.last_job = meta.last_job.max(number.0);
            state.put_meta(meta);
            let is_empty = job.rows == 0;
            let row = Job {
                by: recorded.by.into(),
                phase: if is_empty {
                    JobPhase::Done
                } else {
                    JobPhase::Running
                },
                reason: "".into(),
                row: 0,
                byte: job.byte,
                counts: JobCounts::default(),
                failures_in_a_run: 0,
                created_at: recorded.at,
                ended_at: is_empty.then_some(recorded.at),
                created: recorded.position,
                latest_chunk: Position::NONE,
                fields: job.clone(),
            };
            state.put_job(*number, row);
        }
        Event::JobAdvanced(chunk) => change(state, chunk.number, |row| {
            for ending in &chunk.endings {
                count_row(row, ending);
            }
            row.row += chunk.endings.len() as u64;
            row.byte = chunk.to_byte;
            row.latest_chunk = recorded.position;
            if row.row >= row.fields.rows {
                row.phase = JobPhase::Done;
                row.ended_at = Some(recorded.at);
            }
        }),
        Event::JobPaused { number, reason } => change(state, *number, |row| {
            row.phase = JobPhase::Paused;
            row.reason = reason.as_str().into();
        }),
        Event::JobResumed { number } => change(state, *number, |row| {
            row.phase = JobPhase::Running;
            row.reason = "".into();
            row.failures_in_a_run = 0;
        }),
        Event::JobCancelled { number, reason } => change(state, *number, |row| {
            row.phase = JobPhase::Cancelled;
            row.reason = reason.as_str().into();
            row.ended_at = Some(recorded.at);
        }),
        _ => {}
    }
}

/// Moves the counts of a job.
pub fn count(state: &mut impl Edit, number: JobNumber, count: impl FnOnce(&mut JobCounts)) {
    change(state, number, |row| count(&mut row.counts));
}

fn count_row(row: &mut Job, ending: &RowEnding) {
    match ending {
        RowEnding::Created(_) => row.counts.created += 1,
        RowEnding::Unchanged => row.counts.unchanged += 1,
        RowEnding::Skipped(_) => row.counts.skipped += 1,
        RowEnding::Failed(_) => {
            row.counts.failed += 1;
            row.failures_in_a_run += 1;
        }
    }
}

fn change(state: &mut impl Edit, number: JobNumber, edit: impl FnOnce(&mut Job)) {
    if let Some(before) = state.job(number) {
        let mut row = (*before).clone();
        edit(&mut row);
        state.put_job(number, row);
    }
}
