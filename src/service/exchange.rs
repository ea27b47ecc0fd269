//! One live exchange with a CAS, for the mapping workbench: a lane of its own, one request, its answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};

use crate::clock::{Clock, SystemClock};
use crate::domain::Step;
use crate::provider::{
    EVENT_BATCHES_MAX, LaneBatch, LaneCommand, LaneEvent, LaneHandle, LaneWires, Outgoing,
    Provider, Transactions,
};
use crate::script::STACK_BYTES_MIN;
use crate::script::cases::words;
use crate::script::contract::{Decoded, EncodeContext, MappingRequest, TransactionRange};
use crate::telemetry::Metrics;

/// Beside the session's own time-outs, for the answers of the engine.
const PATIENCE: Duration = Duration::from_secs(5);

/// What went over the wire, in its order: whether it was sent, and the payload as it is recorded.
pub type Wire = Arc<Mutex<Vec<(bool, Vec<u8>)>>>;

/// Connects, sends the steps one after the other, and hears their answers. The error is how far it got.
pub fn exchange(
    provider: &Provider,
    request: &MappingRequest,
    wire: &Wire,
) -> Result<(bool, String), String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let (first, last) = provider.numbers_by_hand();
    let range = TransactionRange {
        min: first,
        max: last,
    };
    let transactions = Arc::new(Transactions::new(range, None));
    // Not the same number each time: a CAS may answer a repeated one from memory.
    let place = u64::from(std::process::id()) % (last - first + 1) / 2;
    transactions.grant(first + place, last);
    let (events, heard) = bounded::<LaneBatch>(EVENT_BATCHES_MAX);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let tapped = Arc::clone(wire);
    let wires = LaneWires {
        clock: Arc::clone(&clock),
        transactions: Arc::clone(&transactions),
        events,
        metrics: Arc::new(Metrics::new()),
        tap: Some(Arc::new(move |is_sent, frame: &[u8]| {
            let mut wire = tapped.lock().unwrap_or_else(PoisonError::into_inner);
            wire.push((is_sent, frame.to_vec()));
        })),
    };
    let steps = provider
        .mapping
        .plan(request, &provider.settings)
        .map_err(|error| error.report())?;
    let (runner, handle) = provider.lane(0, wires).map_err(|e| failed(&e))?;
    let thread = std::thread::Builder::new()
        .name("try".to_owned())
        .stack_size(STACK_BYTES_MIN)
        .spawn(move || runner.run())
        .map_err(|e| failed(&e))?;
    let mut ear = Ear {
        heard,
        events: Vec::new(),
    };
    let ended = talk(provider, &steps, &transactions, &*clock, &handle, &mut ear);
    let _ = handle.command(LaneCommand::Stop);
    let _ = thread.join();
    ended
}

/// The lane's events, one by one.
struct Ear {
    heard: Receiver<LaneBatch>,
    events: Vec<LaneEvent>,
}

impl Ear {
    fn forget(&mut self) {
        self.events.clear();
        while self.heard.try_recv().is_ok() {}
    }

    fn next(&mut self, until: Instant) -> Option<LaneEvent> {
        while self.events.is_empty() {
            let (_, mut batch) = self.heard.recv_deadline(until).ok()?;
            batch.reverse();
            self.events = batch;
        }
        self.events.pop()
    }
}

fn talk(
    provider: &Provider,
    steps: &[Step],
    transactions: &Transactions,
    clock: &dyn Clock,
    handle: &LaneHandle,
    ear: &mut Ear,
) -> Result<(bool, String), String> {
    let session = &provider.session;
    handle
        .command(LaneCommand::Connect)
        .map_err(|error| error.to_string())?;
    let until = Instant::now()
        + session.connect_timeout
        + session.reply_timeout * (1 + u32::from(session.ready_after))
        + PATIENCE;
    let connection = loop {
        match ear.next(until) {
            Some(LaneEvent::Ready { connection }) => break connection,
            Some(LaneEvent::Down { reason, phase, .. }) => {
                return Err(format!("no session ({phase:?}): {reason}"));
            }
            Some(_) => {}
            None => return Err("the session did not get ready in time".to_owned()),
        }
    };
    for (at, step) in steps.iter().enumerate() {
        let place = format!("step {} of {}", at + 1, steps.len());
        let transaction = transactions.take().ok_or("no transaction number is left")?;
        let context = EncodeContext {
            transaction,
            now: clock.now(),
            lane: 0,
        };
        let encoded = provider
            .mapping
            .encode(step, &context, &provider.settings)
            .map_err(|error| format!("{place}: {}", error.report()))?;
        // What came before the command is no answer to it.
        ear.forget();
        let frames = vec![Outgoing {
            attempt: at as u64,
            body: encoded.body,
        }];
        handle
            .command(LaneCommand::Send { connection, frames })
            .map_err(|error| format!("{place}: {error}"))?;
        let until = Instant::now() + session.reply_timeout;
        loop {
            match ear.next(until) {
                Some(LaneEvent::Reply { reply, .. }) => {
                    let is_it = reply.key.is_empty() || reply.key == encoded.key;
                    let is_confirmed = reply.outcome.is_confirmed();
                    let told = words(&Decoded::Reply(reply));
                    if !is_it {
                        continue;
                    }
                    if !is_confirmed {
                        return Ok((false, format!("{place}: {told}")));
                    }
                    if at + 1 == steps.len() {
                        return Ok((true, format!("{place}: {told}")));
                    }
                    break;
                }
                Some(LaneEvent::Down { reason, .. }) => {
                    return Err(format!("{place}: unknown, the connection ended: {reason}"));
                }
                Some(LaneEvent::NotSent { reason, .. }) => {
                    return Err(format!("{place}: not sent: {reason}"));
                }
                Some(LaneEvent::Unreadable { error, .. }) => {
                    return Err(format!("{place}: an answer that cannot be read: {error}"));
                }
                Some(_) => {}
                None => {
                    return Err(format!(
                        "{place}: unknown, no answer within the reply time-out"
                    ));
                }
            }
        }
    }
    Err("the plan has no step".to_owned())
}
