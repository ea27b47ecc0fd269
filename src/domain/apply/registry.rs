//! Events about what is known rather than what is asked: providers, products, items, subscriptions.

use super::Recorded;
use crate::domain::event::{Event, ItemFields, SubscriptionFields};
use crate::domain::item::{Identifiers, notes_digest};
use crate::domain::view::{EPOCH_JUMP, Jump};
use crate::domain::{
    Edit, Item, Pause, Position, Product, ProviderNumber, ProviderRow, Subscription,
};

pub fn apply(state: &mut impl Edit, recorded: Recorded<'_>, event: &Event) {
    let mut meta = state.meta();
    match event {
        Event::LedgerBegun { salt, .. } => {
            meta.salt = *salt;
            state.put_meta(meta);
        }
        Event::EpochBegun { reason } => {
            meta.jumps.push(Jump {
                item: meta.last_item,
                subscription: meta.last_subscription,
                request: meta.last_request,
            });
            meta.last_item += EPOCH_JUMP;
            meta.last_subscription += EPOCH_JUMP;
            meta.last_request += EPOCH_JUMP;
            meta.last_sequence_number += EPOCH_JUMP;
            let last_provider = meta.last_provider;
            state.put_meta(meta);
            for number in (1..=last_provider).map(ProviderNumber) {
                change_provider(state, number, |row| {
                    let (reason, by) = (reason.as_str().into(), recorded.by.into());
                    row.pause = Some(Pause {
                        reason,
                        by,
                        since: recorded.at,
                        until: None,
                    });
                });
            }
        }
        Event::ProviderSet { number, provider } => {
            let before = state.provider(*number);
            let row = ProviderRow {
                name: provider.name.as_str().into(),
                family: provider.family.as_str().into(),
                is_effective: provider.is_effective,
                mapping: provider.mapping.as_str().into(),
                mapping_sha256: provider.mapping_sha256.as_str().into(),
                cardinality: provider.cardinality,
                is_configured: true,
                pause: before.as_ref().and_then(|before| before.pause.clone()),
                transactions_reserved: before
                    .as_ref()
                    .map_or(0, |before| before.transactions_reserved),
                unfinished: before.as_ref().map_or(0, |before| before.unfinished),
            };
            meta.last_provider = meta.last_provider.max(number.0);
            state.put_meta(meta);
            state.put_provider(*number, row);
        }
        Event::ProviderMissing { number } => {
            change_provider(state, *number, |row| row.is_configured = false);
        }
        Event::ProviderPaused {
            number,
            reason,
            until,
        } => change_provider(state, *number, |row| {
            let (since, until) = (recorded.at, *until);
            row.pause = Some(Pause {
                reason: reason.as_str().into(),
                by: recorded.by.into(),
                since,
                until,
            });
        }),
        Event::ProviderResumed { number } => {
            change_provider(state, *number, |row| row.pause = None);
        }
        Event::TransactionsReserved { provider, last, .. } => {
            change_provider(state, *provider, |row| row.transactions_reserved = *last);
        }
        Event::RunStarted { run, .. } => {
            meta.last_run = *run;
            state.put_meta(meta);
        }
        Event::ProductAdded { number, code } => {
            meta.last_product = meta.last_product.max(number.0);
            state.put_meta(meta);
            state.put_product(
                *number,
                Product {
                    code: code.as_str().into(),
                },
            );
        }
        Event::ItemAdded { number, item } => {
            meta.last_item = meta.last_item.max(number.0);
            meta.items += 1;
            state.put_meta(meta);
            state.put_item(*number, item_row(item, None, recorded.position));
        }
        Event::ItemChanged { number, item } => {
            if let Some(before) = state.item(*number) {
                let row = item_row(item, Some(&before), recorded.position);
                state.put_item(*number, row);
            }
        }
        Event::ItemBlacklisted { number, .. } | Event::ItemReleased { number, .. } => {
            if let Some(before) = state.item(*number) {
                let is_blacklisted = matches!(event, Event::ItemBlacklisted { .. });
                state.put_item(
                    *number,
                    Item {
                        is_blacklisted,
                        updated: recorded.position,
                        ..(*before).clone()
                    },
                );
            }
        }
        Event::SubscriptionAdded {
            number,
            subscription,
        } => {
            meta.last_subscription = meta.last_subscription.max(number.0);
            meta.subscriptions += 1;
            state.put_meta(meta);
            let row = subscription_row(subscription, recorded.position, recorded.position);
            state.put_subscription(*number, row);
        }
        Event::SubscriptionChanged {
            number,
            subscription,
        } => {
            if let Some(before) = state.subscription(*number) {
                let row = subscription_row(subscription, before.created, recorded.position);
                state.put_subscription(*number, row);
            }
        }
        _ => {}
    }
}

/// The row after the event at `position`; `before` as it was, none for a new one.
fn item_row(fields: &ItemFields, before: Option<&Item>, position: Position) -> Item {
    let (noted, digest) = match before {
        Some(before) if fields.notes.is_empty() => (before.noted, before.notes_digest),
        _ => (position, notes_digest(&fields.notes)),
    };
    Item {
        product: fields.product,
        is_effective: fields.is_effective,
        is_blacklisted: before.is_some_and(|before| before.is_blacklisted),
        identifiers: Identifiers::new(
            &fields.serial_number,
            &fields.alternative_code,
            fields.ca_id.as_deref(),
        ),
        imported_id: fields.id,
        created: before.map_or(position, |before| before.created),
        updated: position,
        noted,
        notes_digest: digest,
    }
}

fn subscription_row(
    fields: &SubscriptionFields,
    created: Position,
    updated: Position,
) -> Subscription {
    Subscription {
        number: fields.number.as_str().into(),
        life_cycle_state: fields.life_cycle_state.as_str().into(),
        imported_id: fields.id,
        created,
        updated,
    }
}

fn change_provider(
    state: &mut impl Edit,
    number: ProviderNumber,
    edit: impl FnOnce(&mut ProviderRow),
) {
    if let Some(row) = state.provider(number) {
        let mut row = (*row).clone();
        edit(&mut row);
        state.put_provider(number, row);
    }
}
