//! The desk behind the pump: answers what costs nothing, does what takes microseconds, and hands every other call to the
//! workers of its lane.
//!
//! A full lane is answered 503. A call that may take longer than a commit is parked first, so that its line stays free.

use std::net::IpAddr;
use std::sync::Arc;

use crossbeam_channel::{Sender, TrySendError};

use super::answer::Answer;
use super::api::{Api, ControlCall};
use super::crm::CallError;
use super::crm::route::{self, Handler, Lane};
use super::figures::figures;
use super::gate::{DoorKind, Origin, Peer};
use super::pace::Pace;
use super::reply::Reply;
use super::worker::{Caller, Job, Work};
use crate::domain::Refusal;
use crate::telemetry::Metric;

/// Where jobs go.
pub(super) struct Lanes {
    pub write: Sender<Job>,
    pub password: Sender<Job>,
    pub read: Sender<Job>,
    pub control: Sender<Job>,
}

/// A request that has come whole.
pub(super) struct Coming {
    pub origin: Origin,
    pub verb: String,
    pub url: String,
    pub body: Vec<u8>,
    pub authorization: Option<String>,
    pub idempotency_keys: Vec<String>,
    pub reply: Reply,
}

pub(super) struct Desk {
    pub api: Arc<Api>,
    pub lanes: Lanes,
    /// Of the write lane.
    pub pace: Arc<Pace>,
}

impl Desk {
    pub fn take(&self, coming: Coming) {
        let (path, query) = coming
            .url
            .split_once('?')
            .unwrap_or((coming.url.as_str(), ""));
        if let Some(answer) = self.probe(path) {
            return coming.reply.at_once().send(answer);
        }
        if self.api.is_stopping() {
            let error = CallError::Refused(Refusal::Stopping);
            return coming.reply.at_once().error(&error);
        }
        let (path, query) = (path.to_owned(), query.to_owned());
        match (coming.origin.door, coming.origin.peer) {
            (DoorKind::Control, Peer::Account(account)) => {
                let call = ControlCall {
                    is_post: coming.verb == "POST",
                    path,
                    body: coming.body,
                    account,
                };
                let reply = coming.reply.park();
                self.queue(&self.lanes.control, Work::Control(call), reply);
            }
            (DoorKind::Ops, _) => self.show_ops(&path, coming.reply.at_once()),
            (DoorKind::Api | DoorKind::Control, peer) => {
                self.route(&path, query, peer.address(), coming);
            }
        }
    }

    /// Finds the method and hands the call on.
    fn route(&self, path: &str, query: String, address: IpAddr, coming: Coming) {
        let has_family = |family: &str| self.api.has_family(family);
        let routed = match route::find(path, &coming.verb, has_family) {
            Ok(routed) => routed,
            Err(mut error) => {
                if let CallError::FamilyUnknown { known, .. } = &mut error {
                    *known = self.api.families();
                }
                return coming.reply.at_once().error(&error);
            }
        };
        let hands_in =
            routed.route.lane == Lane::Write && matches!(routed.route.handler, Handler::Later(_));
        let (lane, reply) = match routed.route.lane {
            Lane::Write => (&self.lanes.write, coming.reply),
            Lane::Password => (&self.lanes.password, coming.reply.park()),
            Lane::Read => (&self.lanes.read, coming.reply.park()),
        };
        let work = Work::Method {
            routed,
            query,
            body: coming.body,
            caller: Caller {
                address,
                authorization: coming.authorization,
                idempotency_keys: coming.idempotency_keys,
            },
        };
        if hands_in && lane.is_empty() && self.pace.is_quick() {
            return Job { work, reply }.work(&self.api, Some(&self.pace));
        }
        self.queue(lane, work, reply);
    }

    fn queue(&self, lane: &Sender<Job>, work: Work, reply: Reply) {
        let job = Job { work, reply };
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = lane.try_send(job) {
            self.api.metrics.count(Metric::QueueFull);
            job.reply
                .at_once()
                .error(&CallError::Refused(Refusal::Overloaded));
        }
    }

    /// The two paths that need no token, on every door.
    fn probe(&self, path: &str) -> Option<Answer> {
        match path {
            "/healthz" => Some(Answer::new(200, br#"{"healthy":true}"#.to_vec())),
            "/readyz" => {
                let because = self.api.unready();
                if because.is_empty() {
                    return Some(Answer::new(200, br#"{"ready":true}"#.to_vec()));
                }
                let body = serde_json::json!({"ready": false, "because": because});
                Some(Answer::new(503, body.to_string().into_bytes()))
            }
            _ => None,
        }
    }

    /// The listener for this machine's own eyes.
    fn show_ops(&self, path: &str, reply: Reply) {
        if path != "/metrics" {
            return reply.error(&CallError::PathUnknown);
        }
        reply.send(figures(&self.api));
    }
}
