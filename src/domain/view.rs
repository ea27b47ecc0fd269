//! What rules may look at (`View`) and what applying an event may change (`Edit`).
//!
//! The state with its overlay implements both; so does the tests' model.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Cardinality, Item, ItemNumber, Job, JobNumber, Pairing, Place, Product, ProductNumber,
    ProviderNumber, ProviderRow, PublicId, Request, RequestNumber, Salt, Standing, Subscription,
    SubscriptionNumber, Timestamp,
};

/// Most unfinished requests of one card or one STB.
pub const QUEUE_MAX: usize = 64;

/// Late answers that are recorded for one request.
pub const LATE_ANSWERS_MAX: u8 = 8;

/// How long an idempotency key is kept.
pub const IDEMPOTENCY_LIFE: std::time::Duration = std::time::Duration::from_hours(24);

/// Counters and marks of the whole state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    pub salt: Salt,
    /// The latest event that is applied.
    pub applied_seq: u64,
    /// The latest instant of any event.
    pub latest_at: Timestamp,
    pub last_item: u64,
    pub last_product: u32,
    pub last_provider: u16,
    pub last_subscription: u64,
    pub last_request: u64,
    pub last_sequence_number: u64,
    pub last_run: u64,
    pub last_job: u64,
    pub items: u64,
    pub subscriptions: u64,
    pub requests: u64,
    pub completed: u64,
    pub rejected: u64,
    pub pairings: u64,
    /// Pairings that the CAS confirmed against what was held here.
    pub conflicts: u64,
    /// One for each new epoch, in order.
    pub jumps: Vec<Jump>,
}

/// How far numbers jump in a new epoch, so that none that was given out and lost comes again.
pub const EPOCH_JUMP: u64 = 1_000_000;

/// The last numbers before a new epoch; as many as [`EPOCH_JUMP`] above each were never given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jump {
    pub item: u64,
    pub subscription: u64,
    pub request: u64,
}

impl Jump {
    /// The numbers from `first` to `last` without those that the jumps passed over; `before`: the last number before each.
    pub fn given_out(
        before: impl IntoIterator<Item = u64>,
        mut first: u64,
        last: u64,
    ) -> impl DoubleEndedIterator<Item = u64> {
        let mut spans = Vec::new();
        for before in before {
            spans.push(first..=before.min(last));
            first = first.max(before.saturating_add(EPOCH_JUMP + 1));
        }
        spans.push(first..=last);
        spans.into_iter().flatten()
    }
}

impl Meta {
    pub fn unfinished(&self) -> u64 {
        self.requests - self.completed - self.rejected
    }
}

/// A remembered idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    pub request: RequestNumber,
    pub digest: Box<str>,
    pub at: Timestamp,
}

/// Reading. Every answer is of one instant; a rule asks as often as it likes.
pub trait View {
    fn meta(&self) -> Meta;
    fn item(&self, number: ItemNumber) -> Option<Arc<Item>>;
    /// All items with this serial number, of whatever product; ascending.
    fn items_by_serial_number(&self, serial_number: &str) -> Vec<ItemNumber>;
    fn items_by_alternative_code(&self, alternative_code: &str) -> Vec<ItemNumber>;
    fn items_by_ca_id(&self, ca_id: &str) -> Vec<ItemNumber>;
    fn item_by_imported_id(&self, id: PublicId) -> Option<ItemNumber>;
    fn product(&self, number: ProductNumber) -> Option<Arc<Product>>;
    fn product_by_code(&self, code: &str) -> Option<ProductNumber>;
    fn subscription(&self, number: SubscriptionNumber) -> Option<Arc<Subscription>>;
    fn subscription_by_number(&self, number: &str) -> Option<SubscriptionNumber>;
    fn subscription_by_imported_id(&self, id: PublicId) -> Option<SubscriptionNumber>;
    fn provider(&self, number: ProviderNumber) -> Option<Arc<ProviderRow>>;
    fn provider_by_name(&self, name: &str) -> Option<ProviderNumber>;
    fn request(&self, number: RequestNumber) -> Option<Arc<Request>>;
    fn pairing(&self, card: ItemNumber) -> Option<Pairing>;
    /// The cards whose pairing holds the STB, in doubt or not; ascending.
    fn claims(&self, stb: ItemNumber) -> Vec<ItemNumber>;
    /// Unfinished requests of a card or an STB, in order.
    fn queue(&self, item: ItemNumber) -> Vec<Place>;
    fn remembered(&self, idempotency_key: &str) -> Option<Remembered>;
    fn job(&self, number: JobNumber) -> Option<Arc<Job>>;

    /// The cards that hold the STB, the surest last: those without doubt behind those in doubt, each by age.
    fn holders(&self, stb: ItemNumber) -> Vec<ItemNumber> {
        let mut holders = self.claims(stb);
        if holders.len() > 1 {
            holders.sort_by_key(|card| {
                let pairing = self.pairing(*card)?;
                let link = pairing.link(stb)?;
                let is_confirmed = link.standing == Standing::Confirmed;
                Some((is_confirmed, link.since, pairing.recorded.seq))
            });
        }
        holders
    }

    /// The other cards that leave no room for this one at an STB, of `holders` with the surest last; none if it has its place:
    /// its link is confirmed, or surer than the last that fits.
    fn crowd(
        &self,
        holders: &[ItemNumber],
        stb: ItemNumber,
        card: ItemNumber,
        limit: u8,
    ) -> Vec<ItemNumber> {
        let limit = usize::from(limit);
        let others = holders.iter().copied().filter(|one| *one != card);
        let others: Vec<ItemNumber> = others.collect();
        if others.len() < limit {
            return Vec::new();
        }
        let link = self.pairing(card).and_then(|pairing| pairing.link(stb));
        let is_confirmed = link.is_some_and(|link| link.standing == Standing::Confirmed);
        let has_place = holders.contains(&card)
            && (is_confirmed || holders.iter().rev().take(limit).any(|one| *one == card));
        if has_place { Vec::new() } else { others }
    }

    /// The card that holds the STB most surely.
    fn holder(&self, stb: ItemNumber) -> Option<ItemNumber> {
        self.holders(stb).last().copied()
    }

    /// How many belong together at a provider.
    fn cardinality(&self, provider: ProviderNumber) -> Cardinality {
        self.provider(provider)
            .map_or(Cardinality::ONE_TO_ONE, |row| row.cardinality)
    }
}

/// Changing, one row at a time; indexes follow.
pub trait Edit: View {
    fn put_meta(&mut self, meta: Meta);
    fn put_item(&mut self, number: ItemNumber, item: Item);
    fn put_product(&mut self, number: ProductNumber, product: Product);
    fn put_subscription(&mut self, number: SubscriptionNumber, subscription: Subscription);
    fn put_provider(&mut self, number: ProviderNumber, provider: ProviderRow);
    fn put_request(&mut self, request: Request);
    fn put_pairing(&mut self, card: ItemNumber, pairing: Pairing);
    fn put_queue(&mut self, item: ItemNumber, queue: Vec<Place>);
    fn put_remembered(&mut self, idempotency_key: &str, remembered: Remembered);
    fn put_job(&mut self, number: JobNumber, job: Job);
}

/// Whether a request is the first in every queue it stands in.
pub fn is_first(view: &dyn View, request: &Request) -> bool {
    let place = request.place();
    request
        .queues()
        .all(|item| view.queue(item).first() == Some(&place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_a_new_epoch_jumped_over_are_passed_over_in_both_directions() {
        let last = EPOCH_JUMP + 5;
        let numbers: Vec<u64> = Jump::given_out([3], 2, last).collect();
        assert_eq!(numbers, [2, 3, EPOCH_JUMP + 4, EPOCH_JUMP + 5]);
        let newest: Vec<u64> = Jump::given_out([3], 1, last).rev().take(3).collect();
        assert_eq!(newest, [EPOCH_JUMP + 5, EPOCH_JUMP + 4, 3]);
        let above: Vec<u64> = Jump::given_out([3], 10, last).collect();
        assert_eq!(above, [EPOCH_JUMP + 4, EPOCH_JUMP + 5]);
        assert_eq!(Jump::given_out([], 1, 2).count(), 2);
    }
}
