//! From a call to an ask: items looked up, CA IDs normalized and validated by the mapping, on the caller's thread.
//!
//! Looking up needs the state and no script; asking the mapping needs no state: no lock is held over a script.

use std::sync::Arc;

use super::pair::PairCall;
use super::{Actions, PairingPolicy, find};
use crate::domain::admission::{Ask, Replaced, Wanted, foresee};
use crate::domain::{
    ItemKind, ItemNumber, Method, ProviderNumber, Refusal, SubscriptionNumber, View,
};
use crate::provider::{Provider, Providers};
use crate::script::contract::{Action, MappingRequest, texts};

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

/// What a call names, found.
pub struct LookedUp {
    providers: Arc<Providers>,
    policy: PairingPolicy,
    card: find::Found,
    stb: Option<find::Found>,
    subscription: Option<SubscriptionNumber>,
    /// The CA ID of the STB that the card will leave.
    previous_ca: Option<String>,
    /// The card that must give up the STB.
    holder: Option<find::Found>,
}

impl Actions {
    /// Finds what the call names.
    pub fn look_up(
        &self,
        view: &dyn View,
        call: &PairCall,
        own: &Own<'_>,
    ) -> Result<LookedUp, Refusal> {
        let (providers, policy) = (self.providers(), self.policy.get());
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
            .map(|named| find::subscription(view, named))
            .transpose()?;
        let card = match own.card {
            Some(card) => card.clone(),
            None => find::item(view, &providers, &call.card, ItemKind::Smartcard)?,
        };
        let provider = providers.for_card(call.family.as_deref(), &card.product)?;
        let stb = call
            .stb
            .as_ref()
            .map(|named| match own.stb {
                Some(stb) => Ok(stb.clone()),
                None => find::item(view, &providers, named, ItemKind::Stb),
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
            changes_pairing: call.action().changes_pairing(),
            scheduled: call.scheduled,
            replaces_holder: policy.replaces_holder,
        };
        let foreseen = foresee(view, &wanted, self.clock.now());
        let previous = foreseen.leaves;
        let holder = foreseen.holder.filter(|_| policy.replaces_holder);
        let ca_ids = |number: Option<ItemNumber>| {
            number
                .and_then(|number| view.item(number))
                .map(|item| item.identifiers.ca_id().to_owned())
        };
        let previous_ca = ca_ids(previous);
        let holder = holder.and_then(|holder| find::by_number(view, holder));
        Ok(LookedUp {
            policy: *policy,
            card,
            stb,
            subscription,
            previous_ca,
            holder,
            providers,
        })
    }
}

impl LookedUp {
    /// Asks the mapping, and gives what the writer judges.
    pub fn ask(self, call: &PairCall) -> Result<Ask, Refusal> {
        let Self {
            providers,
            policy,
            card,
            stb,
            subscription,
            previous_ca,
            holder,
        } = self;
        let provider = providers.for_card(call.family.as_deref(), &card.product)?;
        let card_ca = normalize(provider, ItemKind::Smartcard, card.item.identifiers.ca_id())?;
        let stb_ca = stb
            .as_ref()
            .map(|stb| normalize(provider, ItemKind::Stb, stb.item.identifiers.ca_id()));
        let stb_ca = stb_ca.transpose()?;
        let previous_ca = previous_ca
            .map(|ca_id| normalize(provider, ItemKind::Stb, &ca_id))
            .transpose()?;
        let replaces = holder
            .zip(stb.as_ref())
            .map(|(holder, stb)| replaced(&providers, &holder, stb))
            .transpose()?;
        let action = call.action();
        check_capability(provider, action)?;
        let request = MappingRequest {
            action,
            number: 0,
            card: card_ca.clone(),
            stb: stb_ca.clone(),
            previous_stb: previous_ca,
            products: call
                .card_change
                .as_ref()
                .map_or_else(Vec::new, |change| texts(change.products())),
        };
        validate(provider, &request)?;
        let caps = &provider.mapping.description().caps;
        Ok(Ask {
            provider: ProviderNumber(provider.number),
            card: card.number,
            card_ca,
            stb: stb.map(|stb| stb.number),
            stb_ca,
            card_change: call.card_change.clone(),
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
fn replaced(
    providers: &Providers,
    holder: &find::Found,
    stb: &find::Found,
) -> Result<Replaced, Refusal> {
    let provider = providers.for_card(None, &holder.product)?;
    check_capability(provider, Action::Unpair)?;
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
        previous_stb: Some(normalize(
            provider,
            ItemKind::Stb,
            stb.item.identifiers.ca_id(),
        )?),
        products: Vec::new(),
    };
    validate(provider, &request)?;
    let provider = ProviderNumber(provider.number);
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

fn normalize(provider: &Provider, kind: ItemKind, ca_id: &str) -> Result<String, Refusal> {
    provider
        .mapping
        .normalize(kind, ca_id, &provider.settings)
        .map_err(|error| script_failed(provider, &error))
}

fn check_capability(provider: &Provider, action: Action) -> Result<(), Refusal> {
    let method = Method::of(action);
    let caps = &provider.mapping.description().caps;
    if caps.has(method.needs, &provider.settings) {
        return Ok(());
    }
    Err(Refusal::CapabilityMissing {
        provider: provider.name.clone(),
        action: method.words,
    })
}

fn script_failed(provider: &Provider, error: &crate::script::ScriptError) -> Refusal {
    tracing::error!(provider = provider.name, %error, "a mapping script failed; the call was refused");
    Refusal::ScriptFailed
}
