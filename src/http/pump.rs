//! The pump: takes requests from tiny_http as they come, and sees to it that nobody who sends slowly holds up the others.
//!
//! It waits for nobody: a request whose body has come whole goes to the desk at once, any other to the body readers; if all of
//! them are busy it is answered 503 here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError};
use tiny_http::{Request, Server};

use super::crm::CallError;
use super::desk::{Coming, Desk};
use super::guard;
use super::reply::Reply;
use super::server::ServeError;
use crate::domain::Refusal;
use crate::telemetry::Metric;

/// How often the stop flag is looked at.
const STOP_LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long it goes on refusing at a stop, whatever keeps coming.
const REFUSING_MAX: Duration = Duration::from_secs(1);

/// The one reader of tiny_http's queue.
pub struct Pump {
    pub(super) server: Server,
    pub(super) desk: Arc<Desk>,
    pub(super) bodies: Sender<Coming>,
}

impl Pump {
    /// Works until `stop` is set, then refuses what is still coming in and lets the workers end.
    ///
    /// An error means that tiny_http's accept thread is gone: nothing will ever come again.
    pub fn run(self, stop: &AtomicBool) -> Result<(), ServeError> {
        let api = self.desk.api.clone();
        while !stop.load(Ordering::Relaxed) {
            match self.server.recv_timeout(STOP_LOOK_EVERY) {
                Ok(Some(request)) => api.guarded(|| self.take(request)),
                Ok(None) => {}
                Err(source) => return Err(ServeError::Accept { source }),
            }
        }
        let begun = Instant::now();
        while let Ok(Some(request)) = self.server.recv_timeout(STOP_LOOK_EVERY) {
            let is_whole = guard::is_read_ahead(&request);
            let reply = Reply::new(request, api.clone());
            self.turn_away(reply, is_whole, Refusal::Stopping);
            if begun.elapsed() > REFUSING_MAX {
                break;
            }
        }
        Ok(())
    }

    fn take(&self, request: Request) {
        let is_whole = guard::is_read_ahead(&request);
        let coming = self.desk.receive(request);
        if !coming.reply.is_wanted() {
            return coming.reply.skip(is_whole);
        }
        if is_whole {
            return self.desk.take(coming);
        }
        if let Err(TrySendError::Full(coming) | TrySendError::Disconnected(coming)) =
            self.bodies.try_send(coming)
        {
            self.desk.api.metrics.count(Metric::QueueFull);
            self.turn_away(coming.reply, false, Refusal::Overloaded);
        }
    }

    /// Answers without looking at what was asked, and without reading what has not come yet.
    fn turn_away(&self, reply: Reply, is_whole: bool, refusal: Refusal) {
        if !reply.is_wanted() {
            return reply.skip(is_whole);
        }
        self.desk.api.metrics.count(Metric::HttpRefused);
        let error = CallError::Refused(refusal);
        if is_whole {
            reply.error(&error);
        } else {
            reply.abandon(&error);
        }
    }
}
