//! The thread around the step function: hears the writer, the lanes and the askers, hands on what a step wants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select};

use super::dispatcher::Dispatcher;
use super::runs::RunReport;
use super::step::{Input, Now, Output};
use crate::clock::Clock;
use crate::commit::{Door, Mailbox};
use crate::provider::{Health, LaneBatch, LaneCommand, LaneHandle, LaneId, ProviderHealth};
use crate::store::State;
use crate::telemetry::Pulse;

/// What others ask of the dispatcher's thread.
pub enum Ask {
    /// A processing run; its number comes when it is recorded.
    Run(Sender<u64>),
    /// Stop beginning, let what is in flight settle until `cut_at` on the monotonic clock, then take the connections down
    /// for this reason, so that the rest is recorded as unknown; then end.
    Stop { cut_at: Duration, reason: String },
}

/// Everything that the thread owns.
pub struct Runner {
    pub dispatcher: Dispatcher,
    pub state: Arc<State>,
    pub door: Door,
    pub clock: Arc<dyn Clock>,
    pub mailbox: Arc<Mailbox>,
    pub lanes: HashMap<LaneId, LaneHandle>,
    pub events: Receiver<LaneBatch>,
    pub asks: Receiver<Ask>,
    /// What people look at: the latest run, and how each provider is doing.
    pub board: Arc<Mutex<RunReport>>,
    pub health: Arc<ProviderHealth>,
    /// Beats at least once a nap.
    pub pulse: Arc<Pulse>,
}

/// The longest nap, so that a lost wake-up costs no more than this.
const NAP_MAX: Duration = Duration::from_secs(1);
/// How long after the cut the lanes may take to tell what had not left.
pub const CUT_WAIT: Duration = Duration::from_secs(2);
/// How often the figures for people are renewed.
const SHOW_EVERY: Duration = Duration::from_millis(200);

/// A stop that was asked for.
struct Stop {
    cut_at: Duration,
    /// None: it is cut.
    reason: Option<String>,
}

impl Stop {
    fn next_at(&self, now: Duration) -> Duration {
        if now < self.cut_at {
            self.cut_at
        } else {
            self.cut_at + CUT_WAIT
        }
    }
}

impl Runner {
    /// Works until it is asked to stop.
    pub fn run(mut self) {
        self.pulse.come_up();
        let unfinished = self.state.view().unfinished();
        let mut waiting: Vec<Sender<u64>> = Vec::new();
        let mut shown_at = None;
        self.step(Input::Start(unfinished), &mut waiting);
        let mut stop: Option<Stop> = None;
        loop {
            let now = self.clock.monotonic();
            self.pulse.beat(now);
            if shown_at.is_none_or(|at| now.saturating_sub(at) >= SHOW_EVERY) {
                self.show();
                shown_at = Some(now);
            }
            if let Some(stop) = &mut stop {
                let is_quiet = self.dispatcher.is_quiet() && self.dispatcher.is_run_recorded();
                if is_quiet || now >= stop.cut_at + CUT_WAIT {
                    break;
                }
                if now >= stop.cut_at
                    && let Some(reason) = stop.reason.take()
                {
                    self.cut(&reason);
                }
            }
            let deadlines = [
                self.dispatcher.next_deadline(),
                stop.as_ref().map(|stop| stop.next_at(now)),
            ];
            let nap = deadlines
                .into_iter()
                .flatten()
                .map(|at| at.saturating_sub(now))
                .fold(NAP_MAX, Duration::min);
            select! {
                recv(self.mailbox.bell()) -> _ => {
                    let notices = self.mailbox.take();
                    self.step(Input::Committed(notices), &mut waiting);
                }
                recv(self.events) -> batch => {
                    if let Ok((lane, events)) = batch {
                        for event in events {
                            self.step(Input::Lane(lane, event), &mut waiting);
                        }
                    }
                }
                recv(self.asks) -> ask => match ask {
                    Ok(Ask::Run(report)) => {
                        waiting.push(report);
                        self.step(Input::Run, &mut waiting);
                    }
                    Ok(Ask::Stop { cut_at, reason }) => {
                        self.dispatcher.stop_beginning();
                        let reason = Some(reason);
                        stop = Some(Stop { cut_at, reason });
                    }
                    Err(_) => break,
                },
                default(nap) => self.step(Input::Tick, &mut waiting),
            }
        }
        self.pulse.rest();
        for handle in self.lanes.values() {
            let _ = handle.command(LaneCommand::Stop);
        }
    }

    /// Takes all connections down. The lanes tell what of it had not left; the rest is unknown.
    fn cut(&self, reason: &str) {
        for handle in self.lanes.values() {
            let reason = reason.to_owned();
            let _ = handle.command(LaneCommand::Disconnect { reason });
        }
    }

    fn step(&mut self, input: Input, waiting: &mut Vec<Sender<u64>>) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let now = Now {
                wall: self.clock.now(),
                monotonic: self.clock.monotonic(),
            };
            // No lock is held over a step: it runs scripts, and the writer judges everything again.
            let outputs = self.dispatcher.step(&*self.state, now, input);
            for output in outputs {
                match output {
                    Output::Commit(command) => self.door.dispatched(command),
                    Output::Lane(lane, command) => inputs.extend(self.hand_over(lane, command)),
                }
            }
        }
        let report = self.dispatcher.run_report();
        *self.board.lock().unwrap_or_else(PoisonError::into_inner) = report;
        if !waiting.is_empty() && self.dispatcher.is_run_recorded() {
            for asker in waiting.drain(..) {
                let _ = asker.send(report.run);
            }
        }
    }

    /// Renews the figures of the providers.
    fn show(&self) {
        for (number, line) in self.dispatcher.load() {
            let lanes = line
                .lanes
                .iter()
                .filter_map(|lane| self.lanes.get(&lane.id));
            let circuit_open = (!line.circuit.is_closed())
                .then(|| format!("{} failures in a row", line.circuit.failures_in_a_row()));
            let health = Health {
                circuit_open,
                lanes: lanes.map(|lane| lane.status().report()).collect(),
                unmatched: line.unmatched.clone(),
                in_flight: line.attempts.in_flight(),
                window: line.lanes.len()
                    * usize::try_from(line.provider.session.window).unwrap_or(1),
            };
            self.health.set(number, health);
        }
    }

    /// Hands a command to a lane; what it does not take was not sent.
    fn hand_over(&self, lane: LaneId, command: LaneCommand) -> Option<Input> {
        let handle = self.lanes.get(&lane)?;
        let refused = handle.command(command).err()?;
        match refused.command {
            LaneCommand::Send { frames, .. } => Some(Input::NotTaken(
                lane,
                frames.into_iter().map(|frame| frame.attempt).collect(),
            )),
            _ => None,
        }
    }
}
