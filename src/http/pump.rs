//! The pump: takes requests from tiny_http as they come, reads each body to its end, and puts them on the desk.
//!
//! It waits for nobody: the gate sends whole requests only, and an unread body would stop what is pipelined behind it. Calls
//! that take microseconds are done on its thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tiny_http::{Request, Server};

use super::desk::{Coming, Desk};
use super::front::FrontError;
use super::gate::{Origin, PRIVATE_HEADER};
use super::reply::Reply;

/// How often the stop flag is looked at.
const STOP_LOOK_EVERY: Duration = Duration::from_millis(100);
/// Requests of one round, whose answers at hand leave together.
const ROUND_MAX: usize = 64;
/// How long a round takes in more.
const ROUND_SPAN: Duration = Duration::from_millis(1);

/// The one reader of tiny_http's queue.
pub struct Pump {
    pub(super) server: Server,
    pub(super) desk: Arc<Desk>,
}

impl Pump {
    /// Works until `stop` is set; then the workers end with it. An error means that tiny_http accepts no more.
    pub fn run(self, stop: &AtomicBool) -> Result<(), FrontError> {
        let api = self.desk.api.clone();
        while !stop.load(Ordering::Relaxed) {
            let first = match self.server.recv_timeout(STOP_LOOK_EVERY) {
                Ok(Some(request)) => request,
                Ok(None) => {
                    api.turns.carry();
                    continue;
                }
                Err(source) => return Err(FrontError::Accept { source }),
            };
            let begun = Instant::now();
            let _batch = api.turns.batch();
            api.guarded(|| self.take(first));
            for _ in 1..ROUND_MAX {
                if begun.elapsed() > ROUND_SPAN {
                    break;
                }
                match self.server.try_recv() {
                    Ok(Some(request)) => api.guarded(|| self.take(request)),
                    Ok(None) => break,
                    Err(source) => return Err(FrontError::Accept { source }),
                }
            }
        }
        Ok(())
    }

    fn take(&self, mut request: Request) {
        let header = |name: &'static str| {
            let named = move |field: &&tiny_http::Header| field.field.equiv(name);
            request.headers().iter().filter(named)
        };
        let origin = header(PRIVATE_HEADER).next();
        let Some(origin) = origin.and_then(|field| Origin::parse(field.value.as_str())) else {
            // Not from the gate, so nobody who matters. Answering it in its turn might block, and so might letting it fall.
            std::mem::forget(request);
            return tracing::error!("a request came without saying where it comes from");
        };
        let text = |field: &tiny_http::Header| field.value.as_str().to_owned();
        let authorization = header("Authorization").next().map(text);
        let idempotency_keys = header("Idempotency-Key").map(text).collect();
        let verb = request.method().as_str().to_owned();
        let url = request.url().to_owned();
        let length = request.body_length().unwrap_or(0);
        let mut body = Vec::with_capacity(length);
        let read = match length {
            0 => Ok(0),
            _ => request.as_reader().read_to_end(&mut body),
        };
        let (line, id) = (origin.line, origin.id);
        let api = &self.desk.api;
        api.turns
            .take(line, id, Box::new(move || request.into_writer()));
        if read.is_err() || body.len() != length {
            // The line broke in the middle of it.
            return api.turns.deliver(line, id, Vec::new());
        }
        self.desk.take(Coming {
            origin,
            verb,
            url,
            body,
            authorization,
            idempotency_keys,
            reply: Reply::new(line, id, api.clone()),
        });
    }
}
