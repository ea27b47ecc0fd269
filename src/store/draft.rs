//! The writes of one group, visible to the judges of that group and to nobody else until the ledger is synced.

use std::sync::Arc;

use hashbrown::HashMap;

use super::memory::{Memory, Text};
use super::state::StateView;
use super::undo::{Replaced, Savepoint};
use crate::domain::view::Remembered;
use crate::domain::{
    Edit, Item, ItemNumber, Job, JobNumber, Meta, Pairing, Place, Product, ProductNumber,
    ProviderNumber, ProviderRow, PublicId, Request, RequestNumber, Subscription,
    SubscriptionNumber, View,
};

/// Everything a group wrote, newest value of each key.
#[derive(Default)]
pub struct Changes {
    pub(super) meta: Option<Meta>,
    pub(super) items: HashMap<ItemNumber, Arc<Item>>,
    pub(super) texts: [HashMap<Box<str>, Vec<ItemNumber>>; 3],
    pub(super) products: HashMap<ProductNumber, Arc<Product>>,
    pub(super) subscriptions: HashMap<SubscriptionNumber, Arc<Subscription>>,
    pub(super) subscription_numbers: HashMap<Box<str>, SubscriptionNumber>,
    pub(super) providers: HashMap<ProviderNumber, Arc<ProviderRow>>,
    pub(super) requests: HashMap<RequestNumber, Arc<Request>>,
    pub(super) pairings: HashMap<ItemNumber, Pairing>,
    pub(super) claims: HashMap<ItemNumber, Vec<ItemNumber>>,
    pub(super) queues: HashMap<ItemNumber, Vec<Place>>,
    pub(super) remembered: HashMap<Box<str>, Remembered>,
    pub(super) jobs: HashMap<JobNumber, Arc<Job>>,
    /// What brought which id; whoever looks asks the row, so that nothing here need be taken back.
    imported_items: HashMap<PublicId, ItemNumber>,
    imported_subscriptions: HashMap<PublicId, SubscriptionNumber>,
    /// Requests that changed, and the new first of each queue that changed.
    touched: Vec<RequestNumber>,
    touched_providers: Vec<ProviderNumber>,
    /// What the writes since the oldest savepoint replaced; none while there is no savepoint.
    replaced: Option<Vec<Replaced>>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.meta.is_none()
    }

    /// The requests that dispatch should look at again; each once.
    pub fn touched(&mut self) -> Vec<RequestNumber> {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// The providers whose row changed in more than a count.
    pub fn touched_providers(&mut self) -> Vec<ProviderNumber> {
        let mut touched = std::mem::take(&mut self.touched_providers);
        touched.sort_unstable();
        touched.dedup();
        touched
    }
}

/// The state as a group sees it: what readers see, with the group's own writes on top.
pub struct Draft<'a> {
    base: &'a StateView<'a>,
    pub changes: Changes,
}

impl<'a> Draft<'a> {
    pub fn new(base: &'a StateView<'a>) -> Self {
        Self {
            base,
            changes: Changes::default(),
        }
    }

    /// Goes on with changes that were begun before.
    pub fn resume(base: &'a StateView<'a>, changes: Changes) -> Self {
        Self { base, changes }
    }

    /// Remembers from here on what each write replaces.
    pub fn savepoint(&mut self) -> Savepoint {
        let replaced = self.changes.replaced.get_or_insert_default();
        Savepoint {
            replaced: replaced.len(),
            touched: self.changes.touched.len(),
            touched_providers: self.changes.touched_providers.len(),
        }
    }

    /// Takes back every write since the savepoint, and forgets it.
    pub fn roll_back(&mut self, to: Savepoint) {
        let changes = &mut self.changes;
        let mut replaced = changes.replaced.take().unwrap_or_default();
        while replaced.len() > to.replaced {
            if let Some(one) = replaced.pop() {
                one.put_back(changes);
            }
        }
        changes.touched.truncate(to.touched);
        changes.touched_providers.truncate(to.touched_providers);
    }

    /// The writes since the savepoints stand.
    pub fn release(&mut self) {
        self.changes.replaced = None;
    }

    fn replaces(&mut self, replaced: impl FnOnce(&mut Changes) -> Replaced) {
        if let Some(mut log) = self.changes.replaced.take() {
            log.push(replaced(&mut self.changes));
            self.changes.replaced = Some(log);
        }
    }

    fn memory(&self) -> &Memory {
        self.base.memory()
    }

    fn items_by(&self, text: Text, value: &str) -> Vec<ItemNumber> {
        let mut found = self.base.items_by(text, value);
        found.retain(|number| !self.changes.items.contains_key(number));
        if let Some(own) = self
            .changes
            .texts
            .get(text as usize)
            .and_then(|index| index.get(value))
        {
            let still = |number: &&ItemNumber| {
                self.changes
                    .items
                    .get(*number)
                    .is_some_and(|item| text.of(item) == value)
                    && !found.contains(number)
            };
            let own: Vec<_> = own.iter().filter(still).copied().collect();
            found.extend(own);
            found.sort_unstable();
            found.dedup();
        }
        found
    }

    fn set_claims(&mut self, stb: ItemNumber, card: ItemNumber, is_held: bool) {
        let mut claims = self.claims(stb);
        match (claims.binary_search(&card), is_held) {
            (Err(at), true) => claims.insert(at, card),
            (Ok(at), false) => {
                claims.remove(at);
            }
            _ => return,
        }
        self.replaces(|changes| Replaced::Claims(stb, changes.claims.get(&stb).cloned()));
        self.changes.claims.insert(stb, claims);
    }
}

impl View for Draft<'_> {
    fn meta(&self) -> Meta {
        self.changes
            .meta
            .clone()
            .unwrap_or_else(|| self.memory().meta.clone())
    }

    fn item(&self, number: ItemNumber) -> Option<Arc<Item>> {
        self.changes
            .items
            .get(&number)
            .cloned()
            .or_else(|| self.base.item(number))
    }

    fn items_by_serial_number(&self, serial_number: &str) -> Vec<ItemNumber> {
        self.items_by(Text::SerialNumber, serial_number)
    }

    fn items_by_alternative_code(&self, alternative_code: &str) -> Vec<ItemNumber> {
        self.items_by(Text::AlternativeCode, alternative_code)
    }

    fn items_by_ca_id(&self, ca_id: &str) -> Vec<ItemNumber> {
        self.items_by(Text::CaId, ca_id)
    }

    fn item_by_imported_id(&self, id: PublicId) -> Option<ItemNumber> {
        let own = self.changes.imported_items.get(&id).copied();
        let has_it = |number: &ItemNumber| {
            let item = self.changes.items.get(number);
            item.is_some_and(|item| item.imported_id == Some(id))
        };
        own.filter(has_it)
            .or_else(|| self.base.item_by_imported_id(id))
    }

    fn product(&self, number: ProductNumber) -> Option<Arc<Product>> {
        self.changes
            .products
            .get(&number)
            .cloned()
            .or_else(|| self.base.product(number))
    }

    fn product_by_code(&self, code: &str) -> Option<ProductNumber> {
        let own = self
            .changes
            .products
            .iter()
            .find(|(_, product)| *product.code == *code);
        own.map(|(number, _)| *number)
            .or_else(|| self.base.product_by_code(code))
    }

    fn subscription(&self, number: SubscriptionNumber) -> Option<Arc<Subscription>> {
        self.changes
            .subscriptions
            .get(&number)
            .cloned()
            .or_else(|| self.base.subscription(number))
    }

    fn subscription_by_number(&self, number: &str) -> Option<SubscriptionNumber> {
        let own = self.changes.subscription_numbers.get(number).copied();
        own.or_else(|| self.base.subscription_by_number(number))
    }

    fn subscription_by_imported_id(&self, id: PublicId) -> Option<SubscriptionNumber> {
        let own = self.changes.imported_subscriptions.get(&id).copied();
        let has_it = |number: &SubscriptionNumber| {
            let row = self.changes.subscriptions.get(number);
            row.is_some_and(|row| row.imported_id == Some(id))
        };
        own.filter(has_it)
            .or_else(|| self.base.subscription_by_imported_id(id))
    }

    fn provider(&self, number: ProviderNumber) -> Option<Arc<ProviderRow>> {
        self.changes
            .providers
            .get(&number)
            .cloned()
            .or_else(|| self.base.provider(number))
    }

    fn provider_by_name(&self, name: &str) -> Option<ProviderNumber> {
        let own = self
            .changes
            .providers
            .iter()
            .find(|(_, provider)| *provider.name == *name);
        own.map(|(number, _)| *number)
            .or_else(|| self.base.provider_by_name(name))
    }

    fn request(&self, number: RequestNumber) -> Option<Arc<Request>> {
        self.changes
            .requests
            .get(&number)
            .cloned()
            .or_else(|| self.base.request(number))
    }

    fn pairing(&self, card: ItemNumber) -> Option<Pairing> {
        self.changes
            .pairings
            .get(&card)
            .cloned()
            .or_else(|| self.base.pairing(card))
    }

    fn claims(&self, stb: ItemNumber) -> Vec<ItemNumber> {
        self.changes
            .claims
            .get(&stb)
            .cloned()
            .unwrap_or_else(|| self.base.claims(stb))
    }

    fn queue(&self, item: ItemNumber) -> Vec<Place> {
        self.changes
            .queues
            .get(&item)
            .cloned()
            .unwrap_or_else(|| self.base.queue(item))
    }

    fn remembered(&self, idempotency_key: &str) -> Option<Remembered> {
        self.changes
            .remembered
            .get(idempotency_key)
            .cloned()
            .or_else(|| self.base.remembered(idempotency_key))
    }

    fn job(&self, number: JobNumber) -> Option<Arc<Job>> {
        let own = self.changes.jobs.get(&number).cloned();
        own.or_else(|| self.base.job(number))
    }
}

impl Edit for Draft<'_> {
    fn put_meta(&mut self, meta: Meta) {
        self.replaces(|changes| Replaced::Meta(changes.meta.take()));
        self.changes.meta = Some(meta);
    }

    fn put_item(&mut self, number: ItemNumber, item: Item) {
        for text in [Text::SerialNumber, Text::AlternativeCode, Text::CaId] {
            self.replaces(|_| Replaced::ItemText(text as usize, text.of(&item).into()));
            if let Some(index) = self.changes.texts.get_mut(text as usize) {
                index.entry(text.of(&item).into()).or_default().push(number);
            }
        }
        if let Some(id) = item.imported_id {
            self.changes.imported_items.insert(id, number);
        }
        self.replaces(|changes| Replaced::Item(number, changes.items.get(&number).cloned()));
        self.changes.items.insert(number, Arc::new(item));
    }

    fn put_product(&mut self, number: ProductNumber, product: Product) {
        self.replaces(|changes| Replaced::Product(number, changes.products.get(&number).cloned()));
        self.changes.products.insert(number, Arc::new(product));
    }

    fn put_subscription(&mut self, number: SubscriptionNumber, subscription: Subscription) {
        if let Some(id) = subscription.imported_id {
            self.changes.imported_subscriptions.insert(id, number);
        }
        let text = &subscription.number;
        self.replaces(|changes| {
            let before = changes.subscription_numbers.get(text).copied();
            Replaced::SubscriptionText(text.clone(), before)
        });
        self.replaces(|changes| {
            Replaced::Subscription(number, changes.subscriptions.get(&number).cloned())
        });
        self.changes
            .subscription_numbers
            .insert(subscription.number.clone(), number);
        self.changes
            .subscriptions
            .insert(number, Arc::new(subscription));
    }

    fn put_provider(&mut self, number: ProviderNumber, provider: ProviderRow) {
        let is_more_than_count = self.provider(number).is_none_or(|before| {
            ProviderRow {
                unfinished: provider.unfinished,
                ..(*before).clone()
            } != provider
        });
        if is_more_than_count {
            self.changes.touched_providers.push(number);
        }
        self.replaces(|changes| {
            Replaced::Provider(number, changes.providers.get(&number).cloned())
        });
        self.changes.providers.insert(number, Arc::new(provider));
    }

    fn put_request(&mut self, request: Request) {
        let number = request.number;
        self.replaces(|changes| Replaced::Request(number, changes.requests.get(&number).cloned()));
        self.changes.touched.push(request.number);
        self.changes
            .requests
            .insert(request.number, Arc::new(request));
    }

    fn put_pairing(&mut self, card: ItemNumber, pairing: Pairing) {
        if let Some(before) = self.pairing(card) {
            for stb in before.held().iter() {
                self.set_claims(stb, card, false);
            }
        }
        for stb in pairing.held().iter() {
            self.set_claims(stb, card, true);
        }
        self.replaces(|changes| Replaced::Pairing(card, changes.pairings.get(&card).cloned()));
        self.changes.pairings.insert(card, pairing);
    }

    fn put_queue(&mut self, item: ItemNumber, queue: Vec<Place>) {
        self.changes
            .touched
            .extend(queue.first().map(|place| place.number));
        self.replaces(|changes| Replaced::Queue(item, changes.queues.get(&item).cloned()));
        self.changes.queues.insert(item, queue);
    }

    fn put_job(&mut self, number: JobNumber, job: Job) {
        self.replaces(|changes| Replaced::Job(number, changes.jobs.get(&number).cloned()));
        self.changes.jobs.insert(number, Arc::new(job));
    }

    fn put_remembered(&mut self, idempotency_key: &str, remembered: Remembered) {
        self.replaces(|changes| {
            let before = changes.remembered.get(idempotency_key).cloned();
            Replaced::Remembered(idempotency_key.into(), before)
        });
        self.changes
            .remembered
            .insert(idempotency_key.into(), remembered);
    }
}
