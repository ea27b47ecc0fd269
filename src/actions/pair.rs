//! Pair a smartcard with an STB, or unpair it: from identifiers to one recorded request.
//!
//! Looks the items up, asks the mapping (`normalize`, `validate`) on the caller's thread, hands the ask to the writer, and
//! answers after the sync. `process_immediately` is the same road with a wait at its end.

use std::sync::Arc;

use super::{Actions, find};
use crate::commit::{Command, Committed};
use crate::domain::admission::{Ask, Replaced, Wanted, foresee};
use crate::domain::event::Idempotency;
use crate::domain::view::IDEMPOTENCY_LIFE;
use crate::domain::{
    ItemIdentifier, ItemKind, ItemNumber, Priority, ProcessName, Refusal, RequestNumber,
    SubscriptionIdentifier, Timestamp, View,
};
use crate::provider::{Provider, Providers};
use crate::script::contract::{Action, MappingRequest};
use crate::telemetry::Metric;

/// What the caller asks for.
#[derive(Clone, Debug)]
pub struct PairCall {
    /// The CRM family of the method; none: whichever provider takes the card.
    pub family: Option<String>,
    pub card: ItemIdentifier,
    /// Absent: unpair.
    pub stb: Option<ItemIdentifier>,
    pub subscription: Option<SubscriptionIdentifier>,
    pub scheduled: Option<Timestamp>,
    pub priority: Priority,
    pub is_immediate: bool,
    pub process_name: ProcessName,
    pub idempotency: Option<Idempotency>,
    pub retries: Option<RequestNumber>,
}

/// The request that answers the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairDone {
    pub number: RequestNumber,
    /// The Idempotency-Key was seen before; nothing new was made.
    pub is_repeat: bool,
}

/// What is registered together with the call and has no number yet: the writer puts the numbers in.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    pub card: Option<&'a find::Found>,
    pub stb: Option<&'a find::Found>,
    pub has_subscription: bool,
}

impl Own<'_> {
    pub const NONE: Self = Self {
        card: None,
        stb: None,
        has_subscription: false,
    };
}

/// Times that a call is judged again because the pairings moved under it.
const TRIES_MAX: u32 = 8;

impl Actions {
    /// Hands the call in; `done` hears the answer after the sync, on the responder's thread, or at once on a refusal.
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
        let ask = match self.ask(&call, &Own::NONE) {
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
            Ok(Committed::Request { number, is_repeat }) => {
                done(Ok(PairDone { number, is_repeat }));
            }
            Ok(_) => done(Err(Refusal::Changed)),
            Err(refusal) => done(Err(refusal)),
        };
        self.door
            .submit(by, Command::Ask(Box::new(ask)), Box::new(reply));
    }

    /// Resolves, normalizes and validates; nothing is stored yet.
    pub fn ask(&self, call: &PairCall, own: &Own<'_>) -> Result<Ask, Refusal> {
        let (providers, policy) = (self.providers(), self.policy.get());
        let view = self.state.view();
        if let Some(ask) = repeated(&view, call, self.clock.now())? {
            return Ok(ask);
        }
        if call.is_immediate
            && call
                .scheduled
                .is_some_and(|scheduled| scheduled > self.clock.now())
        {
            let fault = "expected no future date together with process_immediately".into();
            return Err(Refusal::Field {
                field: "scheduled_date",
                fault,
            });
        }
        let subscription = call
            .subscription
            .as_ref()
            .filter(|_| !own.has_subscription)
            .map(|named| find::subscription(&view, named))
            .transpose()?;
        let card = match own.card {
            Some(card) => card.clone(),
            None => find::item(&view, &providers, &call.card, ItemKind::Smartcard)?,
        };
        let provider = providers.for_card(call.family.as_deref(), &card.product)?;
        let stb = call
            .stb
            .as_ref()
            .map(|named| match own.stb {
                Some(stb) => Ok(stb.clone()),
                None => find::item(&view, &providers, named, ItemKind::Stb),
            })
            .transpose()?;
        if let Some(stb) = &stb
            && provider.classify(&stb.product) != Some(ItemKind::Stb)
        {
            let (kind, product) = (ItemKind::Stb, stb.product.clone());
            let value = stb.item.identifiers.serial_number().to_owned();
            return Err(Refusal::ItemOfOtherKind {
                kind,
                field: "serial_number",
                value,
                product,
            });
        }
        let wanted = Wanted {
            card: card.number,
            stb: stb.as_ref().map(|stb| stb.number),
            scheduled: call.scheduled,
            replaces_holder: policy.replaces_holder,
        };
        let foreseen = foresee(&view, &wanted, self.clock.now());
        let previous = foreseen.leaves;
        let holder = foreseen.holder.filter(|_| policy.replaces_holder);
        let ca_ids = |number: Option<ItemNumber>| {
            number
                .and_then(|number| view.item(number))
                .map(|item| item.identifiers.ca_id().to_owned())
        };
        let previous_ca = ca_ids(previous);
        let holder = holder.and_then(|holder| find::by_number(&view, holder));
        drop(view);

        let card_ca = normalize(provider, ItemKind::Smartcard, card.item.identifiers.ca_id())?;
        let stb_ca = stb
            .as_ref()
            .map(|stb| normalize(provider, ItemKind::Stb, stb.item.identifiers.ca_id()));
        let stb_ca = stb_ca.transpose()?;
        let previous_ca = previous_ca
            .map(|ca_id| normalize(provider, ItemKind::Stb, &ca_id))
            .transpose()?;
        let replaces = holder
            .map(|holder| replaced(&providers, &holder))
            .transpose()?;
        check_capability(provider, stb.is_none())?;
        let request = MappingRequest {
            action: if stb.is_some() {
                Action::Pair
            } else {
                Action::Unpair
            },
            number: 0,
            card: card_ca.clone(),
            stb: stb_ca.clone(),
            previous_stb: previous_ca,
        };
        validate(provider, &request)?;
        let caps = &provider.mapping.description().caps;
        Ok(Ask {
            provider: crate::domain::ProviderNumber(provider.number),
            card: card.number,
            card_ca,
            stb: stb.map(|stb| stb.number),
            stb_ca,
            subscription,
            scheduled: call.scheduled,
            priority: call.priority,
            is_immediate: call.is_immediate,
            process_name: call.process_name,
            sends_unknown: policy.sends_unknown_unpairs && !caps.needs_previous_stb,
            replaces,
            idempotency: call.idempotency.clone(),
            retries: call.retries,
            job: None,
        })
    }
}

/// The holder that must give up the STB, at its own provider and by that provider's mapping.
fn replaced(providers: &Providers, holder: &find::Found) -> Result<Replaced, Refusal> {
    let provider = providers.for_card(None, &holder.product)?;
    check_capability(provider, true)?;
    let holder_ca = normalize(
        provider,
        ItemKind::Smartcard,
        holder.item.identifiers.ca_id(),
    )?;
    let request = MappingRequest {
        action: Action::Unpair,
        number: 0,
        card: holder_ca.clone(),
        stb: None,
        previous_stb: None,
    };
    validate(provider, &request)?;
    let provider = crate::domain::ProviderNumber(provider.number);
    Ok(Replaced {
        provider,
        holder: holder.number,
        holder_ca,
    })
}

fn validate(provider: &Provider, request: &MappingRequest) -> Result<(), Refusal> {
    match provider.mapping.validate(request, &provider.settings) {
        Ok(None) => Ok(()),
        Ok(Some(text)) => Err(Refusal::MappingRefuses { text }),
        Err(error) => Err(script_failed(provider, &error)),
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
        subscription: request.subscription,
        scheduled: call.scheduled,
        priority: call.priority,
        is_immediate: call.is_immediate,
        process_name: call.process_name,
        sends_unknown: false,
        replaces: None,
        idempotency: Some(idempotency.clone()),
        retries: None,
        job: None,
    }))
}

fn normalize(provider: &Provider, kind: ItemKind, ca_id: &str) -> Result<String, Refusal> {
    provider
        .mapping
        .normalize(kind, ca_id, &provider.settings)
        .map_err(|error| script_failed(provider, &error))
}

fn check_capability(provider: &Provider, is_unpair: bool) -> Result<(), Refusal> {
    let caps = &provider.mapping.description().caps;
    let (is_able, action) = if is_unpair {
        (caps.unpair, "unpair")
    } else {
        (caps.pair, "pair")
    };
    if is_able {
        return Ok(());
    }
    Err(Refusal::CapabilityMissing {
        provider: provider.name.clone(),
        action,
    })
}

fn script_failed(provider: &Provider, error: &crate::script::ScriptError) -> Refusal {
    tracing::error!(provider = provider.name, %error, "a mapping script failed; the call was refused");
    Refusal::ScriptFailed
}
