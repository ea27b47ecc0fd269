//! The state that everyone reads: memory behind a lock, the tree below it.
//!
//! The writer alone merges; one thread alone moves the overlay to disk; readers take a `StateView` for as long as one
//! judgement or one row takes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::disk::{Disk, StoreError};
use super::draft::Changes;
use super::marks::{clear_epoch_due, mark_suspect};
use super::memory::{Memory, Text};
use super::row::{Key, Row};
use crate::domain::view::Remembered;
use crate::domain::{
    Item, ItemNumber, Job, JobNumber, Meta, Pairing, Place, Product, ProductNumber, ProviderNumber,
    ProviderRow, PublicId, Request, RequestNumber, Subscription, SubscriptionNumber, View,
};
use crate::telemetry::fatal;

/// Keys that may wait for the disk, pages of eight rows among them; beyond it the writer waits.
pub const OVERLAY_ROWS_MAX: usize = 65_536;

/// The shared state.
pub struct State {
    memory: RwLock<Memory>,
    disk: Disk,
    data: PathBuf,
    /// Held while rows go to disk.
    mover: Mutex<()>,
    room: Condvar,
}

impl State {
    pub(super) fn new(memory: Memory, disk: Disk, data: PathBuf) -> Self {
        Self {
            memory: RwLock::new(memory),
            disk,
            data,
            mover: Mutex::new(()),
            room: Condvar::new(),
        }
    }

    /// A consistent look; keep it short, the writer waits for it.
    pub fn view(&self) -> StateView<'_> {
        StateView {
            memory: self.memory.read().unwrap_or_else(PoisonError::into_inner),
            disk: &self.disk,
            data: &self.data,
        }
    }

    /// Makes a synced group visible.
    pub fn merge(&self, changes: Changes) {
        self.write().merge(changes);
    }

    /// How many rows wait for the disk.
    pub fn overlay_rows(&self) -> usize {
        self.view().memory.overlay.len()
    }

    /// Waits until the overlay has room for another group. While there is room it does not wait for rows on their way to disk.
    pub fn wait_for_room(&self) {
        if self.overlay_rows() <= OVERLAY_ROWS_MAX {
            return;
        }
        let mut mover = self.mover.lock().unwrap_or_else(PoisonError::into_inner);
        while self.overlay_rows() > OVERLAY_ROWS_MAX {
            mover = self
                .room
                .wait(mover)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Moves what waits to disk in one batch; answers how many rows went.
    pub fn move_overlay(&self) -> Result<usize, StoreError> {
        let mover = self.mover.lock().unwrap_or_else(PoisonError::into_inner);
        let moving = {
            let mut memory = self.write();
            let moving = Arc::new(std::mem::take(&mut memory.overlay));
            memory.moving = Some(moving.clone());
            moving
        };
        if !moving.is_empty() {
            self.disk
                .write(moving.iter().map(|(key, row)| (key.clone(), row.clone())))?;
        }
        self.write().moving = None;
        drop(mover);
        self.room.notify_all();
        Ok(moving.len())
    }

    /// Writes everything out and marks the state as closed.
    pub fn close(&self) -> Result<(), StoreError> {
        self.move_overlay()?;
        self.disk.close(&self.data)
    }

    /// Call it when the new epoch is recorded and synced.
    pub fn epoch_has_begun(&self) -> Result<(), StoreError> {
        clear_epoch_due(&self.data)
    }

    pub fn disk_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    fn write(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state at one instant.
pub struct StateView<'a> {
    memory: RwLockReadGuard<'a, Memory>,
    disk: &'a Disk,
    data: &'a Path,
}

impl StateView<'_> {
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(super) fn items_by(&self, text: Text, value: &str) -> Vec<ItemNumber> {
        self.memory.items_by(text, value)
    }

    /// Unfinished requests, ascending.
    pub fn unfinished(&self) -> Vec<RequestNumber> {
        let mut numbers: Vec<_> = self.memory.requests.keys().copied().collect();
        numbers.sort_unstable();
        numbers
    }

    /// How many requests wait for an operator.
    pub fn held(&self) -> usize {
        self.memory.held
    }

    /// Cards that have a pairing row, ascending.
    pub fn cards(&self) -> Vec<ItemNumber> {
        let mut cards: Vec<_> = self.memory.pairings.keys().copied().collect();
        cards.sort_unstable();
        cards
    }

    /// Bulk jobs, ascending.
    pub fn jobs(&self) -> Vec<(JobNumber, Arc<Job>)> {
        let jobs = self.memory.jobs.iter();
        let mut rows: Vec<_> = jobs.map(|(number, row)| (*number, row.clone())).collect();
        rows.sort_unstable_by_key(|(number, _)| *number);
        rows
    }

    /// Providers, ascending.
    pub fn providers(&self) -> Vec<(ProviderNumber, Arc<ProviderRow>)> {
        let mut rows: Vec<_> = self
            .memory
            .providers
            .iter()
            .map(|(number, row)| (*number, row.clone()))
            .collect();
        rows.sort_unstable_by_key(|(number, _)| *number);
        rows
    }
}

impl View for StateView<'_> {
    fn meta(&self) -> Meta {
        self.memory.meta.clone()
    }

    fn item(&self, number: ItemNumber) -> Option<Arc<Item>> {
        self.memory.items.get(number.0).cloned()
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
        self.memory.imported_items.get(&id).copied()
    }

    fn product(&self, number: ProductNumber) -> Option<Arc<Product>> {
        self.memory.products.get(&number).cloned()
    }

    fn product_by_code(&self, code: &str) -> Option<ProductNumber> {
        self.memory.product_codes.get(code).copied()
    }

    fn subscription(&self, number: SubscriptionNumber) -> Option<Arc<Subscription>> {
        self.memory.subscriptions.get(&number).cloned()
    }

    fn subscription_by_number(&self, number: &str) -> Option<SubscriptionNumber> {
        self.memory.subscription_numbers.get(number).copied()
    }

    fn subscription_by_imported_id(&self, id: PublicId) -> Option<SubscriptionNumber> {
        self.memory.imported_subscriptions.get(&id).copied()
    }

    fn provider(&self, number: ProviderNumber) -> Option<Arc<ProviderRow>> {
        self.memory.providers.get(&number).cloned()
    }

    fn provider_by_name(&self, name: &str) -> Option<ProviderNumber> {
        self.memory
            .providers
            .iter()
            .find(|(_, row)| *row.name == *name)
            .map(|(number, _)| *number)
    }

    /// If the disk cannot be read the process ends, and the next start rebuilds the state from the ledger.
    fn request(&self, number: RequestNumber) -> Option<Arc<Request>> {
        if let Some(request) = self.memory.requests.get(&number) {
            return Some(request.clone());
        }
        if number.0 == 0 || number.0 > self.memory.meta.last_request {
            return None;
        }
        if let Some(request) = self.memory.finished_in_overlay(number) {
            return Some(request);
        }
        match self.disk.get(&Key::Finished(number.0)) {
            Ok(Some(Row::Finished(request))) => Some(request),
            Ok(_) => None,
            Err(error) => {
                mark_suspect(self.data, &error.to_string());
                fatal(&format!(
                    "the state cannot be read, the next start rebuilds it: {error}"
                ))
            }
        }
    }

    fn pairing(&self, card: ItemNumber) -> Option<Pairing> {
        self.memory.pairings.get(&card).cloned()
    }

    fn claims(&self, stb: ItemNumber) -> Vec<ItemNumber> {
        self.memory.claims.get(&stb).cloned().unwrap_or_default()
    }

    fn queue(&self, item: ItemNumber) -> Vec<Place> {
        self.memory
            .queues
            .get(&item)
            .map(|queue| queue.to_vec())
            .unwrap_or_default()
    }

    fn remembered(&self, idempotency_key: &str) -> Option<Remembered> {
        self.memory.remembered.get(idempotency_key).cloned()
    }

    fn job(&self, number: JobNumber) -> Option<Arc<Job>> {
        self.memory.jobs.get(&number).cloned()
    }
}

/// Each answer by a look of its own: for readers that run scripts or read the ledger in between, and judge again later.
impl View for State {
    fn meta(&self) -> Meta {
        self.view().meta()
    }

    fn item(&self, number: ItemNumber) -> Option<Arc<Item>> {
        self.view().item(number)
    }

    fn items_by_serial_number(&self, serial_number: &str) -> Vec<ItemNumber> {
        self.view().items_by_serial_number(serial_number)
    }

    fn items_by_alternative_code(&self, alternative_code: &str) -> Vec<ItemNumber> {
        self.view().items_by_alternative_code(alternative_code)
    }

    fn items_by_ca_id(&self, ca_id: &str) -> Vec<ItemNumber> {
        self.view().items_by_ca_id(ca_id)
    }

    fn item_by_imported_id(&self, id: PublicId) -> Option<ItemNumber> {
        self.view().item_by_imported_id(id)
    }

    fn product(&self, number: ProductNumber) -> Option<Arc<Product>> {
        self.view().product(number)
    }

    fn product_by_code(&self, code: &str) -> Option<ProductNumber> {
        self.view().product_by_code(code)
    }

    fn subscription(&self, number: SubscriptionNumber) -> Option<Arc<Subscription>> {
        self.view().subscription(number)
    }

    fn subscription_by_number(&self, number: &str) -> Option<SubscriptionNumber> {
        self.view().subscription_by_number(number)
    }

    fn subscription_by_imported_id(&self, id: PublicId) -> Option<SubscriptionNumber> {
        self.view().subscription_by_imported_id(id)
    }

    fn provider(&self, number: ProviderNumber) -> Option<Arc<ProviderRow>> {
        self.view().provider(number)
    }

    fn provider_by_name(&self, name: &str) -> Option<ProviderNumber> {
        self.view().provider_by_name(name)
    }

    fn request(&self, number: RequestNumber) -> Option<Arc<Request>> {
        self.view().request(number)
    }

    fn pairing(&self, card: ItemNumber) -> Option<Pairing> {
        self.view().pairing(card)
    }

    fn claims(&self, stb: ItemNumber) -> Vec<ItemNumber> {
        self.view().claims(stb)
    }

    fn queue(&self, item: ItemNumber) -> Vec<Place> {
        self.view().queue(item)
    }

    fn remembered(&self, idempotency_key: &str) -> Option<Remembered> {
        self.view().remembered(idempotency_key)
    }

    fn job(&self, number: JobNumber) -> Option<Arc<Job>> {
        self.view().job(number)
    }
}
