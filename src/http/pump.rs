//! The pump: takes requests from tiny_http as they come, reads their bodies, and hands them to the lane that they belong to.
//!
//! It waits for nobody: a full lane is answered 503 here. It answers what costs nothing (`/healthz`, unknown paths, refused
//! framing) by itself.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};
use tiny_http::{Request, Server};

use super::answer::Answer;
use super::api::Api;
use super::crm::route::{self, Lane, Routed};
use super::crm::{CallError, envelope};
use super::guard::{self, DRAIN_BYTES_MAX, Framing};
use super::reply::{Reply, abandon, drain};
use super::server::ServeError;
use super::worker::Job;
use crate::domain::Refusal;
use crate::telemetry::Metric;

/// How often the stop flag is looked at.
const STOP_LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where jobs go.
pub(super) struct Lanes {
    pub write: Sender<Job>,
    pub password: Sender<Job>,
    pub read: Sender<Job>,
}

/// The one reader of tiny_http's queue.
pub struct Pump {
    pub(super) server: Server,
    pub(super) api: Arc<Api>,
    pub(super) lanes: Lanes,
    pub(super) body_bytes_max: usize,
}

impl Pump {
    /// Works until `stop` is set, then refuses what is still coming in and lets the workers end.
    ///
    /// An error means that tiny_http's accept thread is gone: nothing will ever come again.
    pub fn run(self, stop: &AtomicBool) -> Result<(), ServeError> {
        while !stop.load(Ordering::Relaxed) {
            match self.server.recv_timeout(STOP_LOOK_EVERY) {
                Ok(Some(request)) => self.api.guarded(|| self.take(request)),
                Ok(None) => {}
                Err(source) => return Err(ServeError::Accept { source }),
            }
        }
        while let Ok(Some(request)) = self.server.recv_timeout(STOP_LOOK_EVERY) {
            self.refuse(request, &CallError::Refused(Refusal::Stopping));
        }
        Ok(())
    }

    fn take(&self, mut request: Request) {
        let body_bytes = match guard::judge(&request, self.body_bytes_max) {
            Framing::Sized(bytes) => bytes,
            Framing::Refuse(error) => return self.refuse(request, &error),
            Framing::Abandon(error) => {
                self.api.metrics.count(Metric::HttpRefused);
                let answer = envelope::error(&error, self.api.config.error_status);
                return abandon(request, &self.api, &answer);
            }
        };
        let mut body = Vec::new();
        if body_bytes > 0 {
            let read = request.as_reader().take(body_bytes).read_to_end(&mut body);
            if read.ok().and_then(|read| u64::try_from(read).ok()) != Some(body_bytes) {
                // The client left in the middle of its body; there is nobody to answer.
                return;
            }
        }
        self.hand_on(request, body);
    }

    fn hand_on(&self, request: Request, body: Vec<u8>) {
        let url = request.url();
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        if let Some(answer) = self.probe(path) {
            return Reply::new(request, self.api.clone()).send(&answer);
        }
        let query = query.to_owned();
        let has_family = |family: &str| self.api.has_family(family);
        let routed = match route::find(path, request.method().as_str(), has_family) {
            Ok(routed) => routed,
            Err(mut error) => {
                if let CallError::FamilyUnknown { known, .. } = &mut error {
                    *known = self.api.families();
                }
                return Reply::new(request, self.api.clone()).error(&error);
            }
        };
        self.queue(routed, request, query, body);
    }

    fn queue(&self, routed: Routed, request: Request, query: String, body: Vec<u8>) {
        let lane = match routed.route.lane {
            Lane::Write => &self.lanes.write,
            Lane::Password => &self.lanes.password,
            Lane::Read => &self.lanes.read,
        };
        let job = Job {
            routed,
            query,
            body,
            reply: Reply::new(request, self.api.clone()),
        };
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = lane.try_send(job) {
            self.api.metrics.count(Metric::QueueFull);
            job.reply.error(&CallError::Refused(Refusal::Overloaded));
        }
    }

    fn refuse(&self, mut request: Request, error: &CallError) {
        self.api.metrics.count(Metric::HttpRefused);
        if drain(&mut request, DRAIN_BYTES_MAX + 1) {
            Reply::new(request, self.api.clone()).error(error);
        } else {
            let answer = envelope::error(error, self.api.config.error_status);
            abandon(request, &self.api, &answer);
        }
    }

    /// The two paths that need no token.
    fn probe(&self, path: &str) -> Option<Answer> {
        let (is_well, word) = match path {
            "/healthz" => (self.api.is_healthy(), "healthy"),
            "/readyz" => (self.api.is_ready(), "ready"),
            _ => return None,
        };
        let body = format!(r#"{{"{word}":{is_well}}}"#).into_bytes();
        Some(Answer::new(if is_well { 200 } else { 503 }, body))
    }
}
