//! Sending: dispatch and its lanes, begun and ended as one, as often as a reload asks for it.
//!
//! What outlives a round (who asks for runs, the board, the callers that wait) is made once. A round begins from the state
//! alone, as after a start of the process; at most one is on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{LEAVE_AFTER, Service, ServiceError, guarded, setup};
use crate::commit::Command;
use crate::dispatch::{
    Ask, CUT_WAIT, Dispatcher, DispatcherOptions, LineOptions, Mode, Now, RunReport, Runner,
};
use crate::provider::{EVENT_BATCHES_MAX, LaneHandle, LaneId, LaneWires, Provider};
use crate::script::STACK_BYTES_MIN;

/// How long attempts in flight are awaited.
const DRAIN: Duration = Duration::from_secs(10);
/// What others may ask of dispatch before it looks.
const ASKS_MAX: usize = 16;

const DISPATCH: &str = "dispatch";
const WAITING_CALLERS: &str = "waiting callers";

/// What outlives a round of sending.
pub struct Sending {
    mode: Mode,
    asks: Sender<Ask>,
    asked: Receiver<Ask>,
    board: Arc<Mutex<RunReport>>,
    waiting_stop: Sender<()>,
    /// The threads of this round's lanes.
    lanes: Vec<String>,
}

impl Service {
    /// Starts dispatch and the lanes.
    pub fn start_sending(&mut self, mode: Mode) -> Result<(), ServiceError> {
        let (asks, asked) = bounded(ASKS_MAX);
        let board = Arc::new(Mutex::new(RunReport::default()));
        let processing = setup::processing(asks.clone(), board.clone());
        let _ = self.actions.processing.set(processing);
        let (waiting_stop, stopped) = bounded(1);
        let actions = self.actions.clone();
        let (mail, clock) = (self.waiting_mail.clone(), self.clock.clone());
        self.threads
            .start(WAITING_CALLERS, STACK_BYTES_MIN, move || {
                let waiting = &actions.waiting;
                waiting.run(&mail, &actions.state, clock.as_ref(), &stopped);
            })?;
        let mut sending = Sending {
            mode,
            asks,
            asked,
            board,
            waiting_stop,
            lanes: Vec::new(),
        };
        self.begin_round(&mut sending, None)?;
        self.sending = Some(sending);
        Ok(())
    }

    /// Ends the round that is on and begins another, with the providers and the mode of now.
    ///
    /// What is in flight settles as at a stop, and is recorded before the next round reads the state.
    pub(super) fn restart_sending(&mut self, mode: Mode) -> Result<(), ServiceError> {
        let Some(mut sending) = self.sending.take() else {
            return Ok(());
        };
        let ended = self.end_round(&mut sending, "sending begins anew after a reload");
        if !ended {
            // Two of them would send everything twice.
            return Err(ServiceError::DispatchHangs);
        }
        let goes_on = (sending.mode == mode).then(|| sending.report());
        sending.mode = mode;
        // All that dispatch handed in is recorded when this is: it stood in the queue before. As bulk, so that a queue full of
        // calls does not refuse it.
        let nothing = Command::Record(Vec::new());
        self.actions.door.call_bulk("service", nothing)?;
        // Its handles mean nothing to the next one.
        self.sent_mail.take();
        self.begin_round(&mut sending, goes_on)?;
        self.sending = Some(sending);
        Ok(())
    }

    /// Ends sending for good; first the callers that wait for it are told.
    pub(super) fn stop_sending(&mut self) {
        let Some(mut sending) = self.sending.take() else {
            return;
        };
        let _ = sending.waiting_stop.send(());
        self.threads
            .join(WAITING_CALLERS, Instant::now() + LEAVE_AFTER);
        self.end_round(&mut sending, "the service stopped");
    }

    fn begin_round(
        &mut self,
        sending: &mut Sending,
        goes_on: Option<RunReport>,
    ) -> Result<(), ServiceError> {
        let (batches, events) = bounded(EVENT_BATCHES_MAX);
        let mut lanes = HashMap::new();
        let mut lines = Vec::new();
        for provider in self.actions.providers().iter() {
            let reserved_to = setup::reserved_to(&self.actions.state, provider);
            let wires = LaneWires {
                clock: self.clock.clone(),
                transactions: provider.transactions(reserved_to),
                events: batches.clone(),
                tap: None,
                metrics: self.metrics.clone(),
            };
            self.start_lanes(provider, &wires, &mut lanes, &mut sending.lanes)?;
            lines.push(LineOptions {
                provider: provider.clone(),
                transactions: wires.transactions,
                retry: setup::retry_policy(&self.config, provider),
            });
        }
        let actions = self.actions.clone();
        let recall = Box::new(move |position| actions.event(position).map(|(event, ..)| event));
        let now = Now {
            wall: self.clock.now(),
            monotonic: self.clock.monotonic(),
        };
        let options = DispatcherOptions {
            lines,
            mode: sending.mode,
            goes_on,
            seed: u64::from_be_bytes(setup::random()?),
            recall,
            metrics: self.metrics.clone(),
        };
        let runner = Runner {
            dispatcher: Dispatcher::new(options, now),
            state: self.actions.state.clone(),
            door: self.actions.door.clone(),
            clock: self.clock.clone(),
            mailbox: self.sent_mail.clone(),
            lanes,
            events,
            asks: sending.asked.clone(),
            board: sending.board.clone(),
            health: self.actions.health.clone(),
            pulse: self.dispatch_pulse.clone(),
        };
        self.threads.start(DISPATCH, STACK_BYTES_MIN, move || {
            guarded(DISPATCH, || runner.run());
        })
    }

    fn start_lanes(
        &mut self,
        provider: &Provider,
        wires: &LaneWires,
        lanes: &mut HashMap<LaneId, LaneHandle>,
        names: &mut Vec<String>,
    ) -> Result<(), ServiceError> {
        for lane in 0..provider.session.lanes {
            let (runner, handle) = provider.lane(lane, wires.clone())?;
            let id = LaneId {
                provider: provider.number,
                lane,
            };
            lanes.insert(id, handle);
            let name = format!("lane {}/{lane}", provider.name);
            self.threads
                .start(&name, STACK_BYTES_MIN, move || runner.run())?;
            names.push(name);
        }
        Ok(())
    }

    /// Lets attempts in flight settle, cuts those that do not, and waits for the threads; whether dispatch ended.
    fn end_round(&mut self, sending: &mut Sending, reason: &str) -> bool {
        let cut_at = self.clock.monotonic() + DRAIN;
        let reason = reason.to_owned();
        let _ = sending.asks.send(Ask::Stop { cut_at, reason });
        let until = Instant::now() + DRAIN + CUT_WAIT + LEAVE_AFTER;
        let has_ended = self.threads.join(DISPATCH, until);
        let until = Instant::now() + LEAVE_AFTER;
        for lane in sending.lanes.drain(..) {
            // One that still asks the resolver ends by itself; it takes nothing any more.
            self.threads.join(&lane, until);
        }
        has_ended
    }
}

impl Sending {
    fn report(&self) -> RunReport {
        *self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
