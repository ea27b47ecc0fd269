//! From what a row's script wants to what the writer judges: identifiers looked up, the mapping asked.
//!
//! What the row, or a row before it in the chunk, registers has no number yet; the writer puts it in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::finder;
use super::world::World;
use crate::actions::Actions;
use crate::actions::ask::Own;
use crate::actions::find::Found;
use crate::actions::local_time::parse_local;
use crate::actions::pair::PairCall;
use crate::actions::spreadsheet::{damage, lost_zeros};
use crate::commit::{Act, ItemKey, PairAct, RowAsked, row_reason};
use crate::domain::item::Identifiers;
use crate::domain::items::{self, NewItem};
use crate::domain::{
    Item, ItemIdentifier, ItemKind, ItemNumber, JobNumber, Position, ProcessName, ProductNumber,
    PublicId, Refusal, RequestIdentifier, SubscriptionIdentifier, View,
};
use crate::script::{Finder, Lookup, Named, NamedBy, RowAct, RowActs};

/// Looks up for one job.
pub struct Asking {
    actions: Arc<Actions>,
    world: Arc<dyn World>,
    job: JobNumber,
    finder: Arc<dyn Finder>,
    zone: chrono_tz::Tz,
    /// What the chunk registers.
    items: Vec<Found>,
    subscriptions: Vec<String>,
    has_looked: Arc<AtomicBool>,
}

impl Asking {
    pub fn new(
        actions: Arc<Actions>,
        world: Arc<dyn World>,
        job: JobNumber,
        zone: chrono_tz::Tz,
    ) -> Self {
        let has_looked = Arc::<AtomicBool>::default();
        let finder: Arc<dyn Finder> = Arc::new(Looks {
            actions: actions.clone(),
            world: world.clone(),
            has_looked: has_looked.clone(),
        });
        Self {
            actions,
            world,
            job,
            finder,
            zone,
            items: Vec::new(),
            subscriptions: Vec::new(),
            has_looked,
        }
    }

    /// Whether the script has ever looked something up.
    pub fn has_looked(&self) -> bool {
        self.has_looked.load(Ordering::Relaxed)
    }

    /// What the script's look-ups go through.
    pub fn finder(&self) -> &Arc<dyn Finder> {
        &self.finder
    }

    /// What was registered before is committed now.
    pub fn begin_chunk(&mut self) {
        self.items.clear();
        self.subscriptions.clear();
    }

    /// One row. A refusal of one act is the row's failure.
    pub fn asked(&mut self, acts: RowActs) -> RowAsked {
        let acts = match acts {
            RowActs::Skipped(why) => return RowAsked::Skipped(row_reason(&why)),
            RowActs::Failed(why) => return RowAsked::Failed(row_reason(&why)),
            RowActs::Acts(acts) => acts,
        };
        let (items, subscriptions) = (self.items.len(), self.subscriptions.len());
        let asked: Result<Vec<Act>, String> = acts.into_iter().map(|act| self.act(act)).collect();
        match asked {
            Ok(acts) => RowAsked::Acts(acts),
            Err(why) => {
                self.items.truncate(items);
                self.subscriptions.truncate(subscriptions);
                RowAsked::Failed(row_reason(&why))
            }
        }
    }

    fn act(&mut self, act: RowAct) -> Result<Act, String> {
        match act {
            RowAct::Pair(act) => self.pair(&act),
            RowAct::RegisterItem { item, may_update } => {
                for text in [&item.serial_number, &item.alternative_code] {
                    refuse_damage(text)?;
                }
                if let Some(ca_id) = &item.ca_id {
                    refuse_damage(ca_id)?;
                }
                // A chunk is held whole: what is too long is let go of here.
                items::check_texts(&item).map_err(|refusal| refusal.to_string())?;
                self.items.push(found(&item));
                Ok(Act::RegisterItem { item, may_update })
            }
            RowAct::RegisterSubscription {
                subscription,
                may_update,
            } => {
                items::check_subscription_texts(&subscription)
                    .map_err(|refusal| refusal.to_string())?;
                self.subscriptions.push(subscription.number.clone());
                Ok(Act::RegisterSubscription {
                    subscription,
                    may_update,
                })
            }
        }
    }

    fn pair(&self, act: &crate::script::PairAct) -> Result<Act, String> {
        let card = identifier(&act.card)?;
        let stb = act.stb.as_ref().map(identifier).transpose()?;
        let scheduled = act.options.scheduled_date.as_deref();
        let scheduled = scheduled
            .map(|text| {
                parse_local(text, self.zone).map_err(|expected| {
                    format!("scheduled_date: expected {expected}, found `{text}`")
                })
            })
            .transpose()?;
        let subscription = act.options.subscription.clone();
        let call = PairCall {
            family: None,
            card: card.clone(),
            stb: stb.clone(),
            from: act.options.from.as_ref().map(identifier).transpose()?,
            moves: act.swaps,
            card_change: None,
            subscription: subscription.clone().map(SubscriptionIdentifier::Number),
            scheduled,
            priority: act.options.priority.unwrap_or_default(),
            is_immediate: false,
            process_name: ProcessName::PairingUtility,
            idempotency: None,
            retries: None,
        };
        let own_card = self.own(&card, ItemKind::Smartcard);
        let own_stb = stb.as_ref().and_then(|stb| self.own(stb, ItemKind::Stb));
        let own_subscription = subscription.filter(|number| self.subscriptions.contains(number));
        let own = Own {
            card: own_card,
            stb: own_stb,
            has_subscription: own_subscription.is_some(),
        };
        let mut looked_up = Err(Refusal::Stopping);
        self.world
            .look(&mut |view| looked_up = self.actions.look_up(view, &call, &own));
        let asked = looked_up.and_then(|looked_up| looked_up.ask(&call));
        let mut ask = asked.map_err(|refusal| self.words(&refusal))?;
        ask.job = Some(self.job);
        // Whoever has it sent anyway means it for cards that are not paired here too.
        ask.sends_unknown |= act.options.resend;
        Ok(Act::Pair(Box::new(PairAct {
            ask,
            own_card: own_card.map(key),
            own_stb: own_stb.map(key),
            own_subscription,
            resends: act.options.resend,
            swaps: act.swaps,
            expects: act.options.expects.clone(),
        })))
    }

    /// An item that the chunk itself registers, if the state has none of that name.
    fn own(&self, named: &ItemIdentifier, kind: ItemKind) -> Option<&Found> {
        if self.items.is_empty() {
            return None;
        }
        let providers = self.actions.providers();
        let is_it =
            |found: &&Found| is_named(found, named) && providers.takes(&found.product, kind);
        let own = self.items.iter().find(is_it)?;
        let mut is_known = false;
        self.world.look(&mut |view| {
            is_known = crate::actions::find::item(view, &providers, named, kind).is_ok();
        });
        (!is_known).then_some(own)
    }

    /// A refusal for the operator: an unknown number may be what a spreadsheet made of a known one.
    fn words(&self, refusal: &Refusal) -> String {
        let Refusal::ItemUnknown { kind, field, value } = refusal else {
            return refusal.to_string();
        };
        let serial_number = ItemIdentifier::SerialNumber(value.clone());
        if let Some(own) = self.items.iter().find(|own| is_named(own, &serial_number)) {
            let other = Refusal::ItemOfOtherKind {
                kind: *kind,
                field,
                value: value.clone(),
                product: own.product.clone(),
            };
            return other.to_string();
        }
        if let Some(damage) = damage(value) {
            return damage.to_string();
        }
        let mut zeros = None;
        self.world.look(&mut |view| {
            let is_known = |text: &str| !view.items_by_serial_number(text).is_empty();
            zeros = lost_zeros(value, is_known);
        });
        zeros.map_or_else(|| refusal.to_string(), |damage| damage.to_string())
    }
}

fn is_named(found: &Found, named: &ItemIdentifier) -> bool {
    let identifiers = &found.item.identifiers;
    match named {
        ItemIdentifier::SerialNumber(value) => identifiers.serial_number() == value,
        ItemIdentifier::AlternativeCode(value) => identifiers.alternative_code() == value,
        ItemIdentifier::Id(id) => found.item.imported_id == Some(*id),
    }
}

fn refuse_damage(text: &str) -> Result<(), String> {
    damage(text).map_or(Ok(()), |damage| Err(damage.to_string()))
}

fn identifier(named: &Named) -> Result<ItemIdentifier, String> {
    let value = named.value.clone();
    Ok(match named.by {
        NamedBy::SerialNumber => ItemIdentifier::SerialNumber(value),
        NamedBy::AlternativeCode => ItemIdentifier::AlternativeCode(value),
        NamedBy::Id => ItemIdentifier::Id(
            PublicId::parse(&value)
                .ok_or_else(|| format!("id: expected 32 hex digits, found `{value}`"))?,
        ),
    })
}

/// As it will be found once it is registered; without a number.
fn found(new: &NewItem) -> Found {
    Found {
        number: ItemNumber(0),
        item: Arc::new(Item {
            product: ProductNumber(0),
            is_effective: new.is_effective,
            is_blacklisted: false,
            identifiers: Identifiers::new(
                &new.serial_number,
                &new.alternative_code,
                new.ca_id.as_deref(),
            ),
            imported_id: new.id,
            created: Position::NONE,
            updated: Position::NONE,
            noted: Position::NONE,
            notes_digest: 0,
        }),
        product: new.product.clone(),
    }
}

fn key(found: &Found) -> ItemKey {
    ItemKey {
        product: found.product.clone(),
        serial_number: found.item.identifiers.serial_number().to_owned(),
    }
}

/// The look-ups of a script.
struct Looks {
    actions: Arc<Actions>,
    world: Arc<dyn World>,
    has_looked: Arc<AtomicBool>,
}

impl Finder for Looks {
    fn find(&self, what: Lookup, named: &Named) -> Result<Option<Value>, String> {
        self.has_looked.store(true, Ordering::Relaxed);
        let providers = self.actions.providers();
        let item = || identifier(named);
        let mut found = Ok(None);
        match what {
            Lookup::Item | Lookup::Pairing | Lookup::Holder => {
                let item = item()?;
                self.world.look(&mut |view: &dyn View| {
                    found = match what {
                        Lookup::Pairing => finder::pairing(view, &providers, &item),
                        Lookup::Holder => finder::holder(view, &providers, &item),
                        _ => finder::item(view, &providers, &item),
                    };
                });
            }
            Lookup::Subscription => {
                let number = SubscriptionIdentifier::Number(named.value.clone());
                self.world
                    .look(&mut |view| found = Ok(finder::subscription(view, &number)));
            }
            Lookup::Request => {
                let number = RequestIdentifier::Number(named.value.clone());
                self.world
                    .look(&mut |view| found = Ok(finder::request(view, &number)));
            }
        }
        found
    }
}
