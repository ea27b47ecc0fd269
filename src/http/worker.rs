//! A call, worked on: authorises it, reads its parameters, runs its handler; and the workers of a lane.
//!
//! A handler that must wait for a sync or for the CAS takes the reply along and frees the thread.

use std::net::IpAddr;
use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::answer::Answer;
use super::api::{Api, ControlCall};
use super::crm::route::{Handler, Routed, Verb};
use super::crm::{Call, CallError, Parameters, body, envelope, query, token};
use super::pace::{Measured, Pace};
use super::reply::Reply;
use crate::telemetry::Metric;

/// One call on its way to whoever works on it.
pub(super) struct Job {
    pub work: Work,
    pub reply: Reply,
}

pub(super) enum Work {
    Method {
        routed: Routed,
        query: String,
        body: Vec<u8>,
        caller: Caller,
    },
    Control(ControlCall),
}

/// What of the request's head a method may need.
pub(super) struct Caller {
    pub address: IpAddr,
    pub authorization: Option<String>,
    pub idempotency_keys: Vec<String>,
}

/// Runs the calls of one lane. Its thread needs the stack of scripts.
pub struct Worker {
    pub(super) name: String,
    pub(super) jobs: Receiver<Job>,
    pub(super) api: Arc<Api>,
    /// Of the lane whose calls the pump does itself while they are quick.
    pub(super) pace: Option<Arc<Pace>>,
}

impl Worker {
    /// The name of its thread.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Works until the pump is gone and its queue is empty.
    pub fn run(self) {
        for job in &self.jobs {
            job.work(&self.api, self.pace.as_deref());
        }
    }
}

impl Job {
    /// Works on it, on a thread with the stack of scripts; a panic ends nothing but this call.
    pub fn work(self, api: &Arc<Api>, pace: Option<&Pace>) {
        let Some(pace) = pace else {
            return api.guarded(|| self.answer(api));
        };
        let measured = Measured::begin();
        api.guarded(|| self.answer(api));
        pace.took(&measured);
    }

    fn answer(self, api: &Arc<Api>) {
        let Self { work, reply } = self;
        match work {
            Work::Control(call) => {
                let (status, body) = (api.verbs)(call);
                reply.send(Answer::new(status, body));
            }
            Work::Method {
                routed,
                query,
                body,
                caller,
            } => match call(api, &routed, &query, &body, caller) {
                Ok(call) => handle(api, routed.route.handler, &call, reply),
                Err(error) => reply.error(&error),
            },
        }
    }
}

fn handle(api: &Arc<Api>, handler: Handler, call: &Call, reply: Reply) {
    match handler {
        Handler::Now(answer) => match answer(api, call) {
            Ok(data) => reply.send(envelope::ok(&data)),
            Err(error) => reply.error(&error),
        },
        Handler::Later(begin) => begin(api, call, reply),
    }
}

fn call(
    api: &Api,
    routed: &Routed,
    query: &str,
    body: &[u8],
    caller: Caller,
) -> Result<Call, CallError> {
    let route = routed.route;
    let parameters = match route.verb {
        Verb::Get => Parameters::new(query::parse(query)?),
        Verb::Post if body.is_empty() && route.takes_empty_body => Parameters::default(),
        Verb::Post => Parameters::new(body::parse(body)?),
    };
    let identity = token::identify(api, &parameters, caller.address, route)?;
    let unknown = parameters
        .names()
        .filter(|name| *name != "token" && !route.fields.contains(name))
        .count();
    if unknown > 0 {
        api.metrics.add(Metric::UnknownFields, unknown as u64);
    }
    Ok(Call {
        family: routed.family.clone(),
        by: identity.as_ref().map(token::by).unwrap_or_default(),
        parameters,
        address: caller.address,
        authorization: caller.authorization,
        idempotency_keys: caller.idempotency_keys,
    })
}
