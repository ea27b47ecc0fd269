//! The state that dispatch reads on the stand: one provider, and requests that stand alone in queues of their own.
//!
//! Every request has a card and STBs of its own, whatever their CA IDs are, so that none waits for another.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::item::Identifiers;
use crate::domain::view::Remembered;
use crate::domain::{
    Action, CardChange, Cardinality, Item, ItemNumber, Job, JobNumber, Meta, Pairing, Phase, Place,
    Position, Priority, ProcessName, Product, ProductNumber, ProviderNumber, ProviderRow, PublicId,
    Request, RequestNumber, Subscription, SubscriptionNumber, Timestamp, View,
};
use crate::script::contract::MappingRequest;

/// The items of a request: card, STB, the STB that the card leaves.
const ITEMS_A_REQUEST: u64 = 3;

pub(super) struct Shelf {
    provider: Arc<ProviderRow>,
    requests: BTreeMap<RequestNumber, Arc<Request>>,
    ca_ids: BTreeMap<ItemNumber, String>,
}

impl Shelf {
    pub(super) fn new(mapping: &str) -> Self {
        Self {
            provider: Arc::new(ProviderRow {
                name: mapping.into(),
                family: mapping.into(),
                is_effective: true,
                mapping: mapping.into(),
                mapping_sha256: "".into(),
                cardinality: Cardinality::ONE_TO_ONE,
                is_configured: true,
                pause: None,
                transactions_reserved: 0,
                unfinished: 0,
            }),
            requests: BTreeMap::new(),
            ca_ids: BTreeMap::new(),
        }
    }

    /// Puts a request down as one whose turn has come; what it leaves is bound already.
    pub(super) fn add(
        &mut self,
        asked: &MappingRequest,
        provider: ProviderNumber,
    ) -> RequestNumber {
        let number = RequestNumber(self.requests.len() as u64 + 1);
        let first = number.0 * ITEMS_A_REQUEST;
        let mut item = |at: u64, ca_id: &str| {
            let number = ItemNumber(first + at);
            self.ca_ids.insert(number, ca_id.to_owned());
            number
        };
        let card = item(0, &asked.card);
        let stb = asked.stb.as_deref().map(|stb| item(1, stb));
        let leaves = asked.previous_stb.as_deref().map(|stb| item(2, stb));
        let request = Request {
            number,
            provider,
            card,
            stb,
            from: None,
            is_beside: false,
            leaves: leaves.filter(|_| asked.action.changes_pairing()).into(),
            card_ca: asked.card.as_str().into(),
            stb_ca: asked.stb.as_deref().map(Into::into),
            card_change: card_change(asked).map(Box::new),
            subscription: None,
            due: Timestamp::ZERO,
            scheduled: Timestamp::ZERO,
            is_scheduled: false,
            priority: Priority::Regular,
            is_immediate: false,
            sends_unknown: true,
            process_name: ProcessName::Manual,
            phase: Phase::Pending,
            attempts: 0,
            latest_attempt: 0,
            unknown_attempts: 0,
            late_answers: 0,
            steps_acknowledged: 0,
            steps: 1,
            transaction: 0,
            again_at: Timestamp::ZERO,
            patience_spent_ms: 0,
            was_sent: false,
            sequence_number: 0,
            run: 0,
            linked: None,
            job: None,
            executed: None,
            accepted: Position::NONE,
            begun: Position::NONE,
            answered: Position::NONE,
            ended: Position::NONE,
            latest: Position::NONE,
        };
        self.requests.insert(number, Arc::new(request));
        number
    }

    /// Its first attempt begins.
    pub(super) fn begin(&mut self, number: RequestNumber, attempt: u32) {
        self.change(number, |request| {
            request.phase = Phase::Sending;
            request.latest_attempt = attempt;
        });
    }

    /// Its attempt is over; nothing of it goes out again.
    pub(super) fn end(&mut self, number: RequestNumber) {
        self.change(number, |request| request.phase = Phase::Held);
    }

    fn change(&mut self, number: RequestNumber, edit: impl FnOnce(&mut Request)) {
        if let Some(request) = self.requests.get_mut(&number) {
            edit(Arc::make_mut(request));
        }
    }
}

fn card_change(asked: &MappingRequest) -> Option<CardChange> {
    let products = asked.products.iter().map(|product| product.as_str().into());
    match asked.action {
        Action::Pair | Action::Unpair => None,
        Action::AddProducts => Some(CardChange::AddProducts(products.collect())),
        Action::CancelProducts => Some(CardChange::CancelProducts(products.collect())),
        Action::ResetPin => Some(CardChange::ResetPin),
    }
}

impl View for Shelf {
    fn meta(&self) -> Meta {
        Meta::default()
    }

    fn item(&self, number: ItemNumber) -> Option<Arc<Item>> {
        let ca_id = self.ca_ids.get(&number)?;
        Some(Arc::new(Item {
            product: ProductNumber(1),
            is_effective: true,
            is_blacklisted: false,
            identifiers: Identifiers::new(ca_id, "", None),
            imported_id: None,
            created: Position::NONE,
            updated: Position::NONE,
            noted: Position::NONE,
            notes_digest: 0,
        }))
    }

    fn provider(&self, _number: ProviderNumber) -> Option<Arc<ProviderRow>> {
        Some(Arc::clone(&self.provider))
    }

    fn request(&self, number: RequestNumber) -> Option<Arc<Request>> {
        self.requests.get(&number).cloned()
    }

    fn queue(&self, item: ItemNumber) -> Vec<Place> {
        let request = self.requests.get(&RequestNumber(item.0 / ITEMS_A_REQUEST));
        request.map(|request| request.place()).into_iter().collect()
    }

    fn items_by_serial_number(&self, _serial_number: &str) -> Vec<ItemNumber> {
        Vec::new()
    }

    fn items_by_alternative_code(&self, _alternative_code: &str) -> Vec<ItemNumber> {
        Vec::new()
    }

    fn items_by_ca_id(&self, _ca_id: &str) -> Vec<ItemNumber> {
        Vec::new()
    }

    fn item_by_imported_id(&self, _id: PublicId) -> Option<ItemNumber> {
        None
    }

    fn product(&self, _number: ProductNumber) -> Option<Arc<Product>> {
        None
    }

    fn product_by_code(&self, _code: &str) -> Option<ProductNumber> {
        None
    }

    fn subscription(&self, _number: SubscriptionNumber) -> Option<Arc<Subscription>> {
        None
    }

    fn subscription_by_number(&self, _number: &str) -> Option<SubscriptionNumber> {
        None
    }

    fn subscription_by_imported_id(&self, _id: PublicId) -> Option<SubscriptionNumber> {
        None
    }

    fn provider_by_name(&self, _name: &str) -> Option<ProviderNumber> {
        None
    }

    fn pairing(&self, _card: ItemNumber) -> Option<Pairing> {
        None
    }

    fn claims(&self, _stb: ItemNumber) -> Vec<ItemNumber> {
        Vec::new()
    }

    fn remembered(&self, _idempotency_key: &str) -> Option<Remembered> {
        None
    }

    fn job(&self, _number: JobNumber) -> Option<Arc<Job>> {
        None
    }
}
