//! One live exchange with a CAS, for the mapping workbench: a lane of its own, one request, its answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};

use crate::clock::{Clock, SystemClock};
use crate::domain::{Outcome, Step};
use crate::provider::{
    EVENT_BATCHES_MAX, LaneBatch, LaneCommand, LaneEvent, LaneHandle, LaneWires, Outgoing,
    Provider, Tapped, Transactions,
};
use crate::script::cases::words;
use crate::script::contract::{
    Decoded, EncodeContext, Encoded, MappingRequest, Reply, TransactionRange,
};
use crate::script::{STACK_BYTES_MIN, ScriptError};
use crate::telemetry::Metrics;

/// Beside the session's own time-outs, for the answers of the engine.
const PATIENCE: Duration = Duration::from_secs(5);

/// What went over the wire, in its order.
pub type Wire = Arc<Mutex<Vec<WireFrame>>>;

/// A payload as it is recorded.
#[derive(Clone, Debug)]
pub struct WireFrame {
    pub is_sent: bool,
    pub frame: Vec<u8>,
    /// Whether bytes of it left, of one that was to be sent.
    pub has_left: bool,
    /// What the frame itself does not show.
    pub note: Option<String>,
}

/// What the answer to the command that is out must carry.
type AwaitedKey = Arc<Mutex<Option<String>>>;

impl WireFrame {
    fn of(tapped: &Tapped<'_>, awaited: Option<&str>) -> Self {
        let (is_sent, frame, note) = match tapped {
            Tapped::Sent {
                frame,
                payload_bytes,
                secrets,
            } => {
                let plural = if *secrets == 1 { "" } else { "s" };
                let note = format!("{payload_bytes} sent, with {secrets} secret{plural} put in");
                (true, frame, Some(note).filter(|_| *secrets > 0))
            }
            Tapped::NotSent { frame } => (true, frame, Some("not sent".to_owned())),
            Tapped::Heard { frame, said, key } => {
                let strange = key.and_then(|key| strange(key, awaited));
                let strange = strange.map_or_else(String::new, |text| format!("; {text}"));
                (false, frame, Some(format!("{said}{strange}")))
            }
        };
        Self {
            is_sent,
            has_left: !matches!(tapped, Tapped::NotSent { .. }),
            frame: frame.to_vec(),
            note,
        }
    }
}

/// Why an answer with this key is none to the command that is out.
fn strange(key: &str, awaited: Option<&str>) -> Option<String> {
    match awaited {
        _ if key.is_empty() => None,
        None => Some("no command waits for an answer".to_owned()),
        Some(awaited) if awaited == key => None,
        Some(awaited) => Some(format!(
            "no command waits for key `{}`; the command's key is `{}`",
            key.escape_debug(),
            awaited.escape_debug()
        )),
    }
}

/// What is sent by hand.
#[derive(Clone, Copy)]
pub enum Asked<'a> {
    /// All steps of the request.
    Request(&'a MappingRequest),
    /// Whether the CAS holds what the request would bring about.
    Query(&'a MappingRequest),
}

/// One frame of it.
enum Sent<'a> {
    Step(Step),
    Query(&'a MappingRequest),
}

impl Sent<'_> {
    fn encode(&self, provider: &Provider, context: &EncodeContext) -> Result<Encoded, ScriptError> {
        let Provider {
            mapping, settings, ..
        } = provider;
        match self {
            Self::Step(step) => mapping.encode(step, context, settings),
            Self::Query(request) => mapping.query(request, context, settings),
        }
    }

    /// What its answer comes to; a query's answer says what the CAS holds.
    fn told(&self, reply: Reply) -> String {
        let meaning = match (self, reply.outcome) {
            (Self::Step(_), _) => "",
            (Self::Query(_), Outcome::Ok | Outcome::Already) => ": the CAS holds it",
            (Self::Query(_), Outcome::Refused) => ": the CAS does not hold it",
            (Self::Query(_), _) => ": what the CAS holds is not known",
        };
        format!("{}{meaning}", words(&Decoded::Reply(reply)))
    }
}

/// Connects, sends the frames one after the other, and hears their answers. The error is how far it got.
pub fn exchange(
    provider: &Provider,
    asked: Asked<'_>,
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
    let awaited: AwaitedKey = Arc::default();
    let awaits = Arc::clone(&awaited);
    let wires = LaneWires {
        clock: Arc::clone(&clock),
        transactions: Arc::clone(&transactions),
        events,
        metrics: Arc::new(Metrics::new()),
        tap: Some(Arc::new(move |frame: &Tapped<'_>| {
            let mut wire = tapped.lock().unwrap_or_else(PoisonError::into_inner);
            let awaited = awaits.lock().unwrap_or_else(PoisonError::into_inner);
            wire.push(WireFrame::of(frame, awaited.as_deref()));
        })),
    };
    let frames: Vec<Sent<'_>> = match asked {
        Asked::Query(request) => vec![Sent::Query(request)],
        Asked::Request(request) => {
            let steps = provider.mapping.plan(request, &provider.settings);
            let steps = steps.map_err(|error| error.report())?;
            steps.into_iter().map(Sent::Step).collect()
        }
    };
    let (runner, handle) = provider.lane(0, wires).map_err(|e| failed(&e))?;
    let thread = std::thread::Builder::new()
        .name("try".to_owned())
        .stack_size(STACK_BYTES_MIN)
        .spawn(move || runner.run())
        .map_err(|e| failed(&e))?;
    let mut ear = Ear {
        heard,
        events: Vec::new(),
        awaited,
    };
    let ended = talk(provider, &frames, &transactions, &*clock, &handle, &mut ear);
    let _ = handle.command(LaneCommand::Stop);
    let _ = thread.join();
    ended
}

/// The lane's events, one by one.
struct Ear {
    heard: Receiver<LaneBatch>,
    events: Vec<LaneEvent>,
    awaited: AwaitedKey,
}

impl Ear {
    /// What came before the command is no answer to it.
    fn listen_for(&mut self, key: &str) {
        self.events.clear();
        while self.heard.try_recv().is_ok() {}
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        *awaited = Some(key.to_owned());
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
    frames: &[Sent<'_>],
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
    for (at, sent) in frames.iter().enumerate() {
        let place = match sent {
            Sent::Step(_) => format!("step {} of {}", at + 1, frames.len()),
            Sent::Query(_) => "query".to_owned(),
        };
        let transaction = transactions.take().ok_or("no transaction number is left")?;
        let context = EncodeContext {
            transaction,
            now: clock.now(),
            lane: 0,
        };
        let encoded = sent
            .encode(provider, &context)
            .map_err(|error| format!("{place}: {}", error.report()))?;
        ear.listen_for(&encoded.key);
        let outgoing = vec![Outgoing {
            attempt: at as u64,
            body: encoded.body,
        }];
        handle
            .command(LaneCommand::Send {
                connection,
                frames: outgoing,
            })
            .map_err(|error| format!("{place}: {error}"))?;
        let until = Instant::now() + session.reply_timeout;
        let mut unmatched = String::new();
        loop {
            match ear.next(until) {
                Some(LaneEvent::Reply { reply, .. }) => {
                    let is_it = reply.key.is_empty() || reply.key == encoded.key;
                    let is_confirmed = reply.outcome.is_confirmed();
                    if !is_it {
                        let told = strange(&reply.key, Some(&encoded.key));
                        unmatched = told.map_or_else(String::new, |told| format!("; {told}"));
                        continue;
                    }
                    let told = sent.told(reply);
                    if !is_confirmed {
                        return Ok((false, format!("{place}: {told}")));
                    }
                    if at + 1 == frames.len() {
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
                        "{place}: unknown, no answer within the reply time-out{unmatched}"
                    ));
                }
            }
        }
    }
    Err("the plan has no step".to_owned())
}
