//! What `/metrics` says: numbers that are counted, and those that the state, the providers and the sessions know.
//!
//! The latter are looked up when somebody asks, each at the cost of a few loads: this runs on the pump, before other calls.

use super::answer::{Answer, ContentType};
use super::api::Api;
use crate::domain::{JobPhase, ProviderNumber, View};
use crate::telemetry::Metric;

/// The page of all numbers.
pub(super) fn figures(api: &Api) -> Answer {
    look_up(api);
    let mut answer = Answer::new(200, api.metrics.render().into_bytes());
    answer.content_type = ContentType::Metrics;
    answer
}

fn look_up(api: &Api) {
    let actions = &api.actions;
    let now = actions.clock.now();
    let view = actions.state.view();
    let meta = view.meta();
    let held = view.held();
    let rows = view.providers();
    let jobs = view.jobs();
    drop(view);
    let in_phase = |phase| jobs.iter().filter(|(_, job)| job.phase == phase).count() as u64;
    let job_rows = jobs.iter().map(|(_, job)| job.row).sum();
    let paused = rows.iter().filter(|(_, row)| row.is_paused(now)).count();
    let providers = actions.providers();
    let is_open = |number| {
        let health = actions.health.get(ProviderNumber(number));
        health.is_some_and(|health| health.circuit_open.is_some())
    };
    let open = providers.iter().filter(|one| is_open(one.number)).count();
    for (metric, value) in [
        (Metric::RequestsAccepted, meta.requests),
        (Metric::RequestsCompleted, meta.completed),
        (Metric::RequestsRejected, meta.rejected),
        (Metric::RequestsHeld, held as u64),
        (Metric::RequestsUnfinished, meta.unfinished()),
        (Metric::PairingConflicts, meta.conflicts),
        (Metric::ProvidersPaused, paused as u64),
        (Metric::CircuitsOpen, open as u64),
        (Metric::JobsRunning, in_phase(JobPhase::Running)),
        (Metric::JobsPaused, in_phase(JobPhase::Paused)),
        (Metric::JobRows, job_rows),
        (Metric::StateLag, actions.state.overlay_rows() as u64),
        (Metric::StateBytes, actions.state.disk_bytes()),
        (Metric::WriterQueueFull, actions.door.refused()),
        (Metric::Sessions, api.access.session_count() as u64),
    ] {
        api.metrics.set(metric, value);
    }
}
