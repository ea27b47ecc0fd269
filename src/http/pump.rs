//! The pump: takes requests from tiny_http as they come, reads their bodies, and hands them to the lane that they belong to.
//!
//! It waits for nobody: a full lane is answered 503 here. It answers what costs nothing (`/healthz`, unknown paths, refused
//! framing) by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};
use tiny_http::{Request, Server};

use super::answer::Answer;
use super::api::Api;
use super::crm::CallError;
use super::crm::route::{self, Lane};
use super::guard::{self, DRAIN_BYTES_MAX, Framing};
use super::reply::Reply;
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
            let reply = Reply::new(request, self.api.clone());
            self.refuse(reply, &CallError::Refused(Refusal::Stopping));
        }
        Ok(())
    }

    fn take(&self, request: Request) {
        let framing = guard::judge(&request, self.body_bytes_max);
        let path_and_query = split(&request);
        let verb = request.method().as_str().to_owned();
        let mut reply = Reply::new(request, self.api.clone());
        let body_bytes = match framing {
            Framing::Sized(bytes) => bytes,
            Framing::Refuse(error) => return self.refuse(reply, &error),
            Framing::Abandon(error) => {
                self.api.metrics.count(Metric::HttpRefused);
                return reply.abandon(&error);
            }
        };
        match reply.read_body(body_bytes) {
            Some(body) => self.hand_on(path_and_query, &verb, body, reply),
            None => reply.error(&CallError::BodyCut),
        }
    }

    fn hand_on(&self, (path, query): (String, String), verb: &str, body: Vec<u8>, reply: Reply) {
        if let Some(answer) = self.probe(&path) {
            return reply.send(&answer);
        }
        let has_family = |family: &str| self.api.has_family(family);
        match route::find(&path, verb, has_family) {
            Ok(routed) => self.queue(Job {
                routed,
                query,
                body,
                reply,
            }),
            Err(mut error) => {
                if let CallError::FamilyUnknown { known, .. } = &mut error {
                    *known = self.api.families();
                }
                reply.error(&error);
            }
        }
    }

    fn queue(&self, job: Job) {
        let lane = match job.routed.route.lane {
            Lane::Write => &self.lanes.write,
            Lane::Password => &self.lanes.password,
            Lane::Read => &self.lanes.read,
        };
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = lane.try_send(job) {
            self.api.metrics.count(Metric::QueueFull);
            job.reply.error(&CallError::Refused(Refusal::Overloaded));
        }
    }

    fn refuse(&self, mut reply: Reply, error: &CallError) {
        self.api.metrics.count(Metric::HttpRefused);
        if reply.drain(DRAIN_BYTES_MAX + 1) {
            reply.error(error);
        } else {
            reply.abandon(error);
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

fn split(request: &Request) -> (String, String) {
    let url = request.url();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    (path.to_owned(), query.to_owned())
}
