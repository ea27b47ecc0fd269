//! What lives in memory: items with their indexes, pairings, queues, unfinished requests, and the overlay of rows that are
//! not on disk yet.
//!
//! Indexes hold numbers only and compare by looking the item up, so that a million items stay small.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::dense::Dense;
use super::draft::Changes;
use super::page::{Page, page_of};
use super::row::{Key, Row};
use crate::domain::view::{IDEMPOTENCY_LIFE, Remembered};
use crate::domain::{
    Item, ItemNumber, Job, JobNumber, Meta, Pairing, Phase, Place, Product, ProductNumber,
    ProviderNumber, ProviderRow, PublicId, Request, RequestNumber, Subscription,
    SubscriptionNumber, Timestamp,
};

/// Items for which room is made at once, whatever a damaged row says of their number.
const RESERVED_MAX: usize = 16 << 20;

/// Rows on their way to disk.
pub type Overlay = HashMap<Key, Option<Row>>;

#[derive(Default)]
pub struct Memory {
    pub meta: Meta,
    pub items: Dense<Arc<Item>>,
    serial_numbers: HashTable<ItemNumber>,
    alternative_codes: HashTable<ItemNumber>,
    /// Only those whose CA ID is not their serial number.
    ca_ids: HashTable<ItemNumber>,
    pub imported_items: HashMap<PublicId, ItemNumber>,
    pub products: HashMap<ProductNumber, Arc<Product>>,
    pub product_codes: HashMap<Box<str>, ProductNumber>,
    pub subscriptions: HashMap<SubscriptionNumber, Arc<Subscription>>,
    pub subscription_numbers: HashMap<Box<str>, SubscriptionNumber>,
    pub imported_subscriptions: HashMap<PublicId, SubscriptionNumber>,
    pub providers: HashMap<ProviderNumber, Arc<ProviderRow>>,
    /// Unfinished ones only.
    pub requests: HashMap<RequestNumber, Arc<Request>>,
    /// How many of them are held.
    pub held: usize,
    pub pairings: HashMap<ItemNumber, Pairing>,
    pub claims: HashMap<ItemNumber, Vec<ItemNumber>>,
    pub queues: HashMap<ItemNumber, Box<[Place]>>,
    pub remembered: HashMap<Box<str>, Remembered>,
    pub jobs: HashMap<JobNumber, Arc<Job>>,
    remembered_order: VecDeque<(Timestamp, Box<str>)>,
    pub overlay: Overlay,
    pub moving: Option<Arc<Overlay>>,
    hasher: DefaultHashBuilder,
}

/// Which text of an item an index is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Text {
    SerialNumber,
    AlternativeCode,
    CaId,
}

impl Text {
    pub fn of(self, item: &Item) -> &str {
        match self {
            Self::SerialNumber => item.identifiers.serial_number(),
            Self::AlternativeCode => item.identifiers.alternative_code(),
            Self::CaId => item.identifiers.ca_id(),
        }
    }
}

impl Memory {
    /// The items with this text; ascending.
    pub fn items_by(&self, text: Text, value: &str) -> Vec<ItemNumber> {
        let mut found = self.search(text, value);
        if text == Text::CaId {
            found.extend(
                self.search(Text::SerialNumber, value)
                    .into_iter()
                    .filter(|number| {
                        self.items
                            .get(number.0)
                            .is_some_and(|item| item.identifiers.ca_id() == value)
                    }),
            );
        }
        found.sort_unstable();
        found
    }

    fn search(&self, text: Text, value: &str) -> Vec<ItemNumber> {
        let table = match text {
            Text::SerialNumber => &self.serial_numbers,
            Text::AlternativeCode => &self.alternative_codes,
            Text::CaId => &self.ca_ids,
        };
        let has_it = |number: &&ItemNumber| {
            self.items
                .get(number.0)
                .is_some_and(|item| text.of(item) == value)
        };
        table
            .iter_hash(self.hasher.hash_one(value))
            .filter(has_it)
            .copied()
            .collect()
    }

    /// Takes in a row that was read from disk.
    pub fn load(&mut self, key: Key, row: Row) {
        match (key, row) {
            (Key::Meta, Row::Meta(meta)) => {
                self.meta = *meta;
                self.reserve_items();
            }
            (Key::Product(number), Row::Product(row)) => {
                self.put_product(ProductNumber(number), row);
            }
            (Key::Provider(number), Row::Provider(row)) => {
                self.providers.insert(ProviderNumber(number), row);
            }
            (Key::Items(page), Row::Items(rows)) => {
                for (number, row) in rows.rows(page) {
                    self.put_item(ItemNumber(number), row);
                }
            }
            (Key::Subscription(number), Row::Subscription(row)) => {
                self.put_subscription(SubscriptionNumber(number), row);
            }
            (Key::Requests(page), Row::Requests(rows)) => {
                for (_, row) in rows.rows(page) {
                    self.load_request(row);
                }
            }
            (Key::Pairings(page), Row::Pairings(rows)) => {
                for (number, pairing) in rows.rows(page) {
                    let card = ItemNumber(number);
                    for stb in pairing.held() {
                        self.claims.entry(stb).or_default().push(card);
                    }
                    self.pairings.insert(card, pairing.clone());
                }
            }
            (Key::Remembered(key), Row::Remembered(row)) => {
                self.remembered_order.push_back((row.at, key.clone()));
                self.remembered.insert(key, row);
            }
            (Key::Job(number), Row::Job(row)) => {
                self.jobs.insert(JobNumber(number), row);
            }
            _ => {}
        }
    }

    /// Makes room for all items at once: an index that grows looks every item up again.
    fn reserve_items(&mut self) {
        let count = usize::try_from(self.meta.items).unwrap_or(0);
        let count = count.min(RESERVED_MAX);
        self.items.reserve(count);
        let Self {
            items,
            hasher,
            serial_numbers,
            alternative_codes,
            ..
        } = self;
        for (text, table) in [
            (Text::SerialNumber, serial_numbers),
            (Text::AlternativeCode, alternative_codes),
        ] {
            table.reserve(count, |number| hash_of(items, *hasher, text, *number));
        }
    }

    /// To be called once everything is loaded.
    pub fn loaded(&mut self) {
        self.remembered_order.make_contiguous().sort();
    }

    /// Makes the writes of a synced group visible, and hands their rows to the overlay.
    pub fn merge(&mut self, changes: Changes) {
        let Changes {
            meta,
            items,
            products,
            subscriptions,
            providers,
            requests,
            pairings,
            claims,
            queues,
            remembered,
            jobs,
            ..
        } = changes;
        for (number, row) in products {
            self.overlay
                .insert(Key::Product(number.0), Some(Row::Product(row.clone())));
            self.put_product(number, row);
        }
        for (number, row) in items {
            self.put_item(number, &row);
            self.keep_item(number, row);
        }
        for (number, row) in subscriptions {
            self.overlay.insert(
                Key::Subscription(number.0),
                Some(Row::Subscription(row.clone())),
            );
            self.put_subscription(number, row);
        }
        for (number, row) in providers {
            self.overlay
                .insert(Key::Provider(number.0), Some(Row::Provider(row.clone())));
            self.providers.insert(number, row);
        }
        for (number, row) in requests {
            self.put_request(number, row.clone());
            self.keep_request(number, row);
        }
        for (card, row) in pairings {
            self.pairings.insert(card, row.clone());
            self.keep_pairing(card, row);
        }
        for (stb, cards) in claims {
            if cards.is_empty() {
                self.claims.remove(&stb);
            } else {
                self.claims.insert(stb, cards);
            }
        }
        for (item, queue) in queues {
            if queue.is_empty() {
                self.queues.remove(&item);
            } else {
                self.queues.insert(item, queue.into());
            }
        }
        for (key, row) in remembered {
            self.overlay.insert(
                Key::Remembered(key.clone()),
                Some(Row::Remembered(row.clone())),
            );
            self.remembered_order.push_back((row.at, key.clone()));
            self.remembered.insert(key, row);
        }
        for (number, row) in jobs {
            self.overlay
                .insert(Key::Job(number.0), Some(Row::Job(row.clone())));
            self.jobs.insert(number, row);
        }
        if let Some(meta) = meta {
            self.overlay
                .insert(Key::Meta, Some(Row::Meta(Box::new(meta.clone()))));
            self.meta = meta;
        }
        self.forget_keys();
    }

    /// Drops idempotency keys that are past their life.
    fn forget_keys(&mut self) {
        let now = self.meta.latest_at;
        while let Some((at, key)) = self.remembered_order.front() {
            if now.since(*at) < IDEMPOTENCY_LIFE {
                return;
            }
            if self.remembered.get(key).is_some_and(|row| row.at == *at) {
                self.remembered.remove(key);
                self.overlay.insert(Key::Remembered(key.clone()), None);
            }
            self.remembered_order.pop_front();
        }
    }

    fn load_request(&mut self, row: &Arc<Request>) {
        for item in row.queues() {
            let queue = self.queues.remove(&item).unwrap_or_default();
            let mut queue = queue.into_vec();
            if let Err(at) = queue.binary_search(&row.place()) {
                queue.insert(at, row.place());
            }
            self.queues.insert(item, queue.into());
        }
        self.put_request(row.number, row.clone());
    }

    /// Hands an item to the overlay, on its page.
    fn keep_item(&mut self, ItemNumber(number): ItemNumber, row: Arc<Item>) {
        let (page, items) = (page_of(number), &self.items);
        let kept = self.overlay.entry(Key::Items(page)).or_default();
        if let Some(Row::Items(rows)) = kept {
            rows.put(number, Some(row));
        } else {
            let rows = Page::filled(page, |at| items.get(at).cloned());
            *kept = Some(Row::Items(Box::new(rows)));
        }
    }

    /// Hands a request to the overlay. One that is finished leaves its page for the other table.
    fn keep_request(&mut self, RequestNumber(number): RequestNumber, row: Arc<Request>) {
        let (page, requests) = (page_of(number), &self.requests);
        let unfinished = (!row.phase.is_finished()).then(|| row.clone());
        let kept = self.overlay.entry(Key::Requests(page)).or_default();
        if let Some(Row::Requests(rows)) = kept {
            rows.put(number, unfinished);
        } else {
            let rows = Page::filled(page, |at| requests.get(&RequestNumber(at)).cloned());
            *kept = Some(Row::Requests(Box::new(rows)));
        }
        if row.phase.is_finished() {
            self.overlay
                .insert(Key::Finished(number), Some(Row::Finished(row)));
        }
    }

    /// Hands a card's pairing to the overlay, on its page.
    fn keep_pairing(&mut self, ItemNumber(number): ItemNumber, row: Pairing) {
        let (page, pairings) = (page_of(number), &self.pairings);
        let kept = self.overlay.entry(Key::Pairings(page)).or_default();
        if let Some(Row::Pairings(rows)) = kept {
            rows.put(number, Some(row));
        } else {
            let rows = Page::filled(page, |at| pairings.get(&ItemNumber(at)).cloned());
            *kept = Some(Row::Pairings(Box::new(rows)));
        }
    }

    fn put_request(&mut self, number: RequestNumber, row: Arc<Request>) {
        let is_held = |row: &Request| row.phase == Phase::Held;
        self.held += usize::from(is_held(&row));
        let before = if row.phase.is_finished() {
            self.requests.remove(&number)
        } else {
            self.requests.insert(number, row)
        };
        self.held -= usize::from(before.is_some_and(|before| is_held(&before)));
    }

    fn put_product(&mut self, number: ProductNumber, row: Arc<Product>) {
        self.product_codes.insert(row.code.clone(), number);
        self.products.insert(number, row);
    }

    fn put_subscription(&mut self, number: SubscriptionNumber, row: Arc<Subscription>) {
        self.subscription_numbers.insert(row.number.clone(), number);
        if let Some(id) = row.imported_id {
            self.imported_subscriptions.insert(id, number);
        }
        self.subscriptions.insert(number, row);
    }

    fn put_item(&mut self, number: ItemNumber, row: &Arc<Item>) {
        if let Some(id) = row.imported_id {
            self.imported_items.insert(id, number);
        }
        let before = self.items.insert(number.0, row.clone());
        for text in [Text::SerialNumber, Text::AlternativeCode, Text::CaId] {
            let old = before
                .as_deref()
                .filter(|item| is_indexed(text, item))
                .map(|item| text.of(item));
            let new = Some(&**row)
                .filter(|item| is_indexed(text, item))
                .map(|item| text.of(item));
            if old == new {
                continue;
            }
            if let Some(old) = old {
                let hash = self.hasher.hash_one(old);
                if let Ok(entry) = self.table(text).find_entry(hash, |other| *other == number) {
                    entry.remove();
                }
            }
            if let Some(new) = new {
                self.index(text, number, new);
            }
        }
    }

    fn index(&mut self, text: Text, number: ItemNumber, value: &str) {
        let hash = self.hasher.hash_one(value);
        let Self {
            items,
            hasher,
            serial_numbers,
            alternative_codes,
            ca_ids,
            ..
        } = self;
        let table = match text {
            Text::SerialNumber => serial_numbers,
            Text::AlternativeCode => alternative_codes,
            Text::CaId => ca_ids,
        };
        table.insert_unique(hash, number, |other| hash_of(items, *hasher, text, *other));
    }

    fn table(&mut self, text: Text) -> &mut HashTable<ItemNumber> {
        match text {
            Text::SerialNumber => &mut self.serial_numbers,
            Text::AlternativeCode => &mut self.alternative_codes,
            Text::CaId => &mut self.ca_ids,
        }
    }

    /// A finished request's row in the overlays; `None` if neither holds it.
    pub fn finished_in_overlay(&self, number: RequestNumber) -> Option<Arc<Request>> {
        let key = Key::Finished(number.0);
        let row = self
            .overlay
            .get(&key)
            .or_else(|| self.moving.as_ref()?.get(&key))?;
        match row {
            Some(Row::Finished(request)) => Some(request.clone()),
            _ => None,
        }
    }
}

/// The hash of an item's text in its index.
fn hash_of(
    items: &Dense<Arc<Item>>,
    hasher: DefaultHashBuilder,
    text: Text,
    number: ItemNumber,
) -> u64 {
    let value = items.get(number.0).map(|item| text.of(item));
    hasher.hash_one(value.unwrap_or_default())
}

fn is_indexed(text: Text, item: &Item) -> bool {
    text != Text::CaId || item.identifiers.ca_id() != item.identifiers.serial_number()
}
