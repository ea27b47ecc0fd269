//! The desk behind the pump: takes a request's body, refuses what is framed wrong, and hands the call to its lane.
//!
//! It answers what costs nothing (`/healthz`, unknown paths, refused framing) by itself; a full lane is answered 503. The pump
//! runs it for bodies that are there, a body reader for those that are still on their way: they may never come, so a
//! reader is never waited for.

use std::sync::{Arc, Weak};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use tiny_http::Request;

use super::answer::Answer;
use super::api::Api;
use super::crm::CallError;
use super::crm::route::{self, Lane};
use super::guard::{self, DRAIN_BYTES_MAX, Framing};
use super::reply::Reply;
use super::worker::Job;
use crate::domain::Refusal;
use crate::telemetry::Metric;

/// Where jobs go.
pub(super) struct Lanes {
    pub write: Sender<Job>,
    pub password: Sender<Job>,
    pub read: Sender<Job>,
}

/// A request whose head was read.
pub(super) struct Coming {
    framing: Framing,
    path_and_query: (String, String),
    verb: String,
    pub reply: Reply,
}

pub(super) struct Desk {
    pub api: Arc<Api>,
    pub lanes: Lanes,
    pub body_bytes_max: usize,
}

/// Reads bodies that tiny_http has not read; its thread may hang on a client for ever.
pub struct BodyReader {
    pub(super) comings: Receiver<Coming>,
    pub(super) api: Arc<Api>,
    /// Not held, so that the workers end with the pump.
    pub(super) desk: Weak<Desk>,
}

impl BodyReader {
    /// Works until the pump is gone.
    pub fn run(self) {
        for coming in &self.comings {
            self.api.guarded(|| self.take(coming));
        }
    }

    fn take(&self, coming: Coming) {
        let (path_and_query, verb) = (coming.path_and_query, coming.verb);
        let Some((reply, body)) = read(&self.api, coming.framing, coming.reply) else {
            return;
        };
        match self.desk.upgrade() {
            Some(desk) => desk.hand_on(path_and_query, &verb, body, reply),
            None => reply.error(&CallError::Refused(Refusal::Stopping)),
        }
    }
}

impl Desk {
    /// Judges the head and takes the request's place among those of its connection.
    pub fn receive(&self, request: Request) -> Coming {
        Coming {
            framing: guard::judge(&request, self.body_bytes_max),
            path_and_query: split(&request),
            verb: request.method().as_str().to_owned(),
            reply: Reply::new(request, self.api.clone()),
        }
    }

    pub fn take(&self, coming: Coming) {
        if let Some((reply, body)) = read(&self.api, coming.framing, coming.reply) {
            self.hand_on(coming.path_and_query, &coming.verb, body, reply);
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

/// Takes the body; `None` if the request was answered instead.
fn read(api: &Api, framing: Framing, mut reply: Reply) -> Option<(Reply, Vec<u8>)> {
    match framing {
        Framing::Sized(bytes) => match reply.read_body(bytes) {
            Some(body) => return Some((reply, body)),
            None => reply.error(&CallError::BodyCut),
        },
        Framing::Refuse(error) => {
            api.metrics.count(Metric::HttpRefused);
            if reply.drain(DRAIN_BYTES_MAX + 1) {
                reply.error(&error);
            } else {
                reply.abandon(&error);
            }
        }
        Framing::Abandon(error) => {
            api.metrics.count(Metric::HttpRefused);
            reply.abandon(&error);
        }
    }
    None
}

fn split(request: &Request) -> (String, String) {
    let url = request.url();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    (path.to_owned(), query.to_owned())
}
