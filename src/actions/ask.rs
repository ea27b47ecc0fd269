//! From a call to an ask: items looked up, CA IDs normalized and validated by the mapping, on the caller's thread.
//!
//! Looking up needs the state and no script; asking the mapping needs no state: no lock is held over a script.

use std::sync::Arc;

use super::pair::PairCall;
use super::{Actions, PairingPolicy, find};
use crate::domain::admission::{Ask, Replaced};
use crate::domain::foresight::{GIVES_UP_MAX, GivesUp, Wanted, foresee};
use crate::domain::{
    ItemKind, ItemNumber, Method, Move, ProviderNumber, Refusal, SubscriptionNumber, View,
};
use crate::provider::{Looked, Provider, Providers};
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
    from: Option<ItemNumber>,
    must_hold: Option<ItemNumber>,
    /// Around the request at its place.
    looked: Looked,
    /// What must make room for it.
    gives_up: Vec<LookedUpUnpair>,
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
        let mut from = call
            .from
            .as_ref()
            .map(|named| find::item(view, &providers, named, ItemKind::Stb))
            .transpose()?
            .map(|stb| stb.number);
        let cardinality = provider.cardinality;
        let is_beside = cardinality.adds() && !call.moves;
        let moves = Move::of(call.action(), is_beside, from);
        let mut wanted = Wanted {
            card: card.number,
            stb: stb.as_ref().map(|stb| stb.number),
            moves,
            cardinality,
            scheduled: call.scheduled,
            gives_way: policy.gives_way,
        };
        let now = self.clock.now();
        let mut foreseen = foresee(view, &wanted, now);
        let caps = &provider.mapping.description().caps;
        let mut must_hold = None;
        if from.is_some() && !caps.lets_cards_have_several() {
            // There an unpair frees the card, whatever it names; the writer sees to it that it names what the card has.
            (from, must_hold, wanted.moves) = (None, from, Move::OutOfAll);
            foreseen = foresee(view, &wanted, now);
        }
        let looked = Looked::up(view, provider, card.number, wanted.stb, &foreseen.leaves);
        let mut gives_up = foreseen.in_the_way(view, &wanted);
        let may_go = |gives_up: &GivesUp| policy.gives_way.covers(*gives_up, card.number);
        // One that stays in the way makes the others pointless: the writer refuses the pair.
        if gives_up.len() > GIVES_UP_MAX || !gives_up.iter().all(may_go) {
            gives_up.clear();
        }
        let gives_up = gives_up
            .into_iter()
            .filter_map(|gives_up| LookedUpUnpair::of(view, &providers, gives_up).transpose())
            .collect::<Result<_, _>>()?;
        Ok(LookedUp {
            policy: *policy,
            card,
            stb,
            subscription,
            from,
            must_hold,
            looked,
            gives_up,
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
            from,
            must_hold,
            looked,
            gives_up,
        } = self;
        let provider = providers.for_card(call.family.as_deref(), &card.product)?;
        let card_ca = normalize(provider, ItemKind::Smartcard, card.item.identifiers.ca_id())?;
        let stb_ca = stb
            .as_ref()
            .map(|stb| normalize(provider, ItemKind::Stb, stb.item.identifiers.ca_id()));
        let stb_ca = stb_ca.transpose()?;
        let neighbours = looked
            .normalized(provider)
            .map_err(|error| script_failed(provider, &error))?;
        let replaces = gives_up
            .into_iter()
            .map(|unpair| unpair.asked(&providers))
            .collect::<Result<Vec<_>, _>>()?;
        let action = call.action();
        check_capability(provider, action)?;
        let request = MappingRequest {
            action,
            number: 0,
            card: card_ca.clone(),
            stb: stb_ca.clone(),
            previous_stb: neighbours.previous_stb(),
            neighbours,
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
            from,
            must_hold,
            moves: call.moves,
            cardinality: provider.cardinality,
            card_change: call.card_change.clone(),
            subscription,
            scheduled: call.scheduled,
            priority: call.priority,
            is_immediate: call.is_immediate,
            process_name: call.process_name,
            sends_unknown: policy.sends_unknown_unpairs && !caps.needs_previous_stb,
            replaces,
            gives_way: policy.gives_way,
            idempotency: call.idempotency.clone(),
            retries: call.retries,
            job: None,
        })
    }
}

/// A card that must leave an STB first, at the card's own provider and by that provider's mapping.
struct LookedUpUnpair {
    gives_up: GivesUp,
    card: find::Found,
    looked: Looked,
}

impl LookedUpUnpair {
    fn of(
        view: &dyn View,
        providers: &Providers,
        gives_up: GivesUp,
    ) -> Result<Option<Self>, Refusal> {
        let Some(card) = find::by_number(view, gives_up.card) else {
            return Ok(None);
        };
        let provider = providers.for_card(None, &card.product)?;
        let left = Some(gives_up.stb).into();
        let looked = Looked::up(view, provider, gives_up.card, None, &left);
        Ok(Some(Self {
            gives_up,
            card,
            looked,
        }))
    }

    fn asked(self, providers: &Providers) -> Result<Replaced, Refusal> {
        let provider = providers.for_card(None, &self.card.product)?;
        check_capability(provider, Action::Unpair)?;
        let ca_id = self.card.item.identifiers.ca_id();
        let card_ca = normalize(provider, ItemKind::Smartcard, ca_id)?;
        let neighbours = self
            .looked
            .normalized(provider)
            .map_err(|error| script_failed(provider, &error))?;
        let request = MappingRequest {
            action: Action::Unpair,
            number: 0,
            card: card_ca.clone(),
            stb: None,
            previous_stb: neighbours.previous_stb(),
            products: Vec::new(),
            neighbours,
        };
        validate(provider, &request)?;
        Ok(Replaced {
            provider: ProviderNumber(provider.number),
            gives_up: self.gives_up,
            card_ca,
            cardinality: provider.cardinality,
            has_others: provider
                .mapping
                .description()
                .caps
                .lets_cards_have_several(),
        })
    }
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
