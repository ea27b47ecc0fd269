//! Taking back the latest writes of a draft: what each of them replaced, newest last.
//!
//! A row of a bulk job is a savepoint: if one of its acts is refused, the acts before it leave no trace.

use std::sync::Arc;

use super::draft::Changes;
use crate::domain::view::Remembered;
use crate::domain::{
    Item, ItemNumber, Job, JobNumber, Meta, Pairing, Place, Product, ProductNumber, ProviderNumber,
    ProviderRow, Request, RequestNumber, Subscription, SubscriptionNumber,
};

/// What one write replaced in the changes; none: the key was not there.
pub(super) enum Replaced {
    Meta(Option<Meta>),
    Item(ItemNumber, Option<Arc<Item>>),
    /// An entry was added to an index of texts.
    ItemText(usize, Box<str>),
    Product(ProductNumber, Option<Arc<Product>>),
    Subscription(SubscriptionNumber, Option<Arc<Subscription>>),
    SubscriptionText(Box<str>, Option<SubscriptionNumber>),
    Provider(ProviderNumber, Option<Arc<ProviderRow>>),
    Request(RequestNumber, Option<Arc<Request>>),
    Pairing(ItemNumber, Option<Pairing>),
    Claims(ItemNumber, Option<Vec<ItemNumber>>),
    Queue(ItemNumber, Option<Vec<Place>>),
    Remembered(Box<str>, Option<Remembered>),
    Job(JobNumber, Option<Arc<Job>>),
}

/// Where a draft stood.
#[derive(Clone, Copy)]
pub struct Savepoint {
    pub(super) replaced: usize,
    pub(super) touched: usize,
    pub(super) touched_providers: usize,
}

impl Replaced {
    /// Puts back what was there.
    pub(super) fn put_back(self, changes: &mut Changes) {
        match self {
            Self::Meta(before) => changes.meta = before,
            Self::Item(key, before) => put_back(&mut changes.items, key, before),
            Self::ItemText(index, text) => {
                if let Some(found) = changes
                    .texts
                    .get_mut(index)
                    .and_then(|index| index.get_mut(&text))
                {
                    found.pop();
                }
            }
            Self::Product(key, before) => put_back(&mut changes.products, key, before),
            Self::Subscription(key, before) => put_back(&mut changes.subscriptions, key, before),
            Self::SubscriptionText(key, before) => {
                put_back(&mut changes.subscription_numbers, key, before);
            }
            Self::Provider(key, before) => put_back(&mut changes.providers, key, before),
            Self::Request(key, before) => put_back(&mut changes.requests, key, before),
            Self::Pairing(key, before) => put_back(&mut changes.pairings, key, before),
            Self::Claims(key, before) => put_back(&mut changes.claims, key, before),
            Self::Queue(key, before) => put_back(&mut changes.queues, key, before),
            Self::Remembered(key, before) => put_back(&mut changes.remembered, key, before),
            Self::Job(key, before) => put_back(&mut changes.jobs, key, before),
        }
    }
}

fn put_back<K: Eq + std::hash::Hash, V>(
    map: &mut hashbrown::HashMap<K, V>,
    key: K,
    before: Option<V>,
) {
    match before {
        Some(before) => {
            map.insert(key, before);
        }
        None => {
            map.remove(&key);
        }
    }
}
