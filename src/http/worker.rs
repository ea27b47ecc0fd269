//! A worker of one lane: authorises a call, reads its parameters, runs its handler.
//!
//! A handler that must wait for a sync or for the CAS takes the reply along and frees the worker.

use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::api::Api;
use super::crm::route::{Handler, Routed, Verb};
use super::crm::{Call, CallError, Parameters, body, envelope, query, token};
use super::reply::{Reply, address};
use crate::telemetry::Metric;

/// One call on its way to a worker.
pub(super) struct Job {
    pub routed: Routed,
    pub query: String,
    pub body: Vec<u8>,
    pub reply: Reply,
}

/// Runs the calls of one lane. Its thread needs the stack of scripts.
pub struct Worker {
    pub(super) name: String,
    pub(super) jobs: Receiver<Job>,
    pub(super) api: Arc<Api>,
}

impl Worker {
    /// The name of its thread.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Works until the pump is gone and its queue is empty.
    pub fn run(self) {
        for job in &self.jobs {
            self.api.guarded(|| self.work(job));
        }
    }

    fn work(&self, job: Job) {
        let Job {
            routed,
            query,
            body,
            reply,
        } = job;
        let handler = &routed.route.handler;
        let call = match self.call(&routed, &query, &body, &reply) {
            Ok(call) => call,
            Err(error) => return reply.error(&error),
        };
        match handler {
            Handler::Now(answer) => match answer(&self.api, &call) {
                Ok(data) => reply.send(&envelope::ok(&data)),
                Err(error) => reply.error(&error),
            },
            Handler::Later(begin) => begin(&self.api, &call, reply),
        }
    }

    fn call(
        &self,
        routed: &Routed,
        query: &str,
        body: &[u8],
        reply: &Reply,
    ) -> Result<Call, CallError> {
        let route = routed.route;
        let parameters = match route.verb {
            Verb::Get => Parameters::new(query::parse(query)?),
            Verb::Post if body.is_empty() && route.takes_empty_body => Parameters::default(),
            Verb::Post => Parameters::new(body::parse(body)?),
        };
        let address = reply.request().map(address);
        let identity = token::identify(&self.api, &parameters, address, route)?;
        let unknown = parameters
            .names()
            .filter(|name| *name != "token" && !route.fields.contains(name))
            .count();
        self.api.metrics.add(Metric::UnknownFields, unknown as u64);
        let header = |name: &'static str| {
            let headers = reply.request().map(tiny_http::Request::headers);
            headers
                .into_iter()
                .flatten()
                .filter(move |header| header.field.as_str().as_str().eq_ignore_ascii_case(name))
                .map(|header| header.value.as_str().to_owned())
        };
        Ok(Call {
            family: routed.family.clone(),
            by: identity.as_ref().map(token::by).unwrap_or_default(),
            parameters,
            address,
            authorization: header("Authorization").next(),
            idempotency_keys: header("Idempotency-Key").collect(),
        })
    }
}
