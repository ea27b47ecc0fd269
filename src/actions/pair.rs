//! Pair a smartcard with an STB, unpair it, or change the card alone: from identifiers to one recorded request.
//!
//! Looks the items up, asks the mapping (`normalize`, `validate`) on the caller's thread, hands the ask to the writer, and
//! answers after the sync. `process_immediately` is the same road with a wait at its end.

use std::sync::Arc;

use super::Actions;
use super::ask::Own;
use crate::commit::{Command, Committed, Fresh};
use crate::domain::admission::Ask;
use crate::domain::event::Idempotency;
use crate::domain::foresight::GivesWay;
use crate::domain::view::IDEMPOTENCY_LIFE;
use crate::domain::{
    Action, CardChange, Cardinality, ItemIdentifier, Priority, ProcessName, Refusal, RequestNumber,
    SubscriptionIdentifier, Timestamp, View,
};
use crate::telemetry::Metric;

/// What the caller asks for.
#[derive(Clone, Debug)]
pub struct PairCall {
    /// The CRM family of the method; none: whichever provider takes the card.
    pub family: Option<String>,
    pub card: ItemIdentifier,
    /// Absent: unpair, unless the card alone is to be changed.
    pub stb: Option<ItemIdentifier>,
    /// Of an unpair: the only STB that is left.
    pub from: Option<ItemIdentifier>,
    /// Of a pair: the card moves, also where it may have several STBs.
    pub moves: bool,
    /// What is asked for beside a pairing.
    pub card_change: Option<CardChange>,
    pub subscription: Option<SubscriptionIdentifier>,
    pub scheduled: Option<Timestamp>,
    pub priority: Priority,
    pub is_immediate: bool,
    pub process_name: ProcessName,
    pub idempotency: Option<Idempotency>,
    pub retries: Option<RequestNumber>,
}

impl PairCall {
    pub fn action(&self) -> Action {
        match &self.card_change {
            Some(change) => change.action(),
            None if self.stb.is_some() => Action::Pair,
            None => Action::Unpair,
        }
    }
}

/// The request that answers the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairDone {
    pub number: RequestNumber,
    /// Its acceptance; none: the Idempotency-Key was seen before, nothing new was made.
    pub fresh: Option<Box<Fresh>>,
}

/// Times that a call is judged again because the pairings moved under it.
const TRIES_MAX: u32 = 8;

impl Actions {
    /// Hands the call in; `done` hears the answer after the sync, on the responder's or the writer's thread, or at once on a refusal.
    pub fn pair(
        self: &Arc<Self>,
        by: &str,
        call: PairCall,
        done: impl FnOnce(Result<PairDone, Refusal>) + Send + 'static,
    ) {
        let actions = self.clone();
        let told = move |result: Result<PairDone, Refusal>| {
            if result.is_err() {
                actions.metrics.count(Metric::RequestsRefused);
            }
            done(result);
        };
        self.try_pair(by, call, TRIES_MAX, Box::new(told));
    }

    /// Hands the call in and waits for the sync.
    pub fn pair_and_wait(self: &Arc<Self>, by: &str, call: PairCall) -> Result<PairDone, Refusal> {
        let (answer, answered) = crossbeam_channel::bounded(1);
        self.pair(by, call, move |result| {
            let _ = answer.send(result);
        });
        answered.recv().unwrap_or(Err(Refusal::Stopping))
    }

    fn try_pair(
        self: &Arc<Self>,
        by: &str,
        call: PairCall,
        tries: u32,
        done: Box<dyn FnOnce(Result<PairDone, Refusal>) + Send>,
    ) {
        let ask = match self.ask(&call) {
            Ok(ask) => ask,
            Err(refusal) => {
                if refusal == Refusal::ScriptFailed {
                    self.metrics.count(Metric::ScriptErrors);
                }
                return done(Err(refusal));
            }
        };
        let actions = self.clone();
        let again = by.to_owned();
        let reply = move |result: Result<Committed, Refusal>| match result {
            Err(Refusal::Changed) if tries > 1 => actions.try_pair(&again, call, tries - 1, done),
            Ok(Committed::Request { number, fresh }) => done(Ok(PairDone { number, fresh })),
            Ok(_) => done(Err(Refusal::Changed)),
            Err(refusal) => done(Err(refusal)),
        };
        self.door
            .submit(by, Command::Ask(Box::new(ask)), Box::new(reply));
    }

    /// From the call to what the writer judges; nothing is stored yet.
    fn ask(&self, call: &PairCall) -> Result<Ask, Refusal> {
        let looked_up = {
            let view = self.state.view();
            if let Some(ask) = repeated(&view, call, self.clock.now())? {
                return Ok(ask);
            }
            self.look_up(&view, call, &Own::NONE)?
        };
        looked_up.ask(call)
    }
}

/// A repeat is recognised before any other check: an ask that carries nothing but the key, for the writer to find again.
fn repeated(view: &dyn View, call: &PairCall, now: Timestamp) -> Result<Option<Ask>, Refusal> {
    let Some(idempotency) = &call.idempotency else {
        return Ok(None);
    };
    let Some(remembered) = view.remembered(&idempotency.key) else {
        return Ok(None);
    };
    if now.since(remembered.at) >= IDEMPOTENCY_LIFE {
        return Ok(None);
    }
    if *remembered.digest != *idempotency.digest {
        return Err(Refusal::KeyReused);
    }
    let Some(request) = view.request(remembered.request) else {
        return Ok(None);
    };
    Ok(Some(Ask {
        provider: request.provider,
        card: request.card,
        card_ca: request.card_ca.to_string(),
        stb: request.stb,
        stb_ca: request.stb_ca.as_deref().map(str::to_owned),
        from: request.from,
        must_hold: None,
        moves: false,
        cardinality: Cardinality::ONE_TO_ONE,
        card_change: request.card_change.as_deref().cloned(),
        subscription: request.subscription,
        scheduled: call.scheduled,
        priority: call.priority,
        is_immediate: call.is_immediate,
        process_name: call.process_name,
        sends_unknown: false,
        replaces: Vec::new(),
        gives_way: GivesWay::default(),
        idempotency: Some(idempotency.clone()),
        retries: None,
        job: None,
    }))
}
