//! Lists of requests, newest or by cursor, at a cost that does not grow with what lies before; items and subscriptions.

use std::ops::Range;
use std::sync::Arc;

use super::Actions;
use super::details::RequestDetails;
use super::find::{self, Found};
use crate::domain::event::{Event, ItemFields};
use crate::domain::{
    ItemNumber, LifeCycleState, Request, RequestNumber, SubscriptionNumber, Timestamp, View,
};

/// Which requests to list.
#[derive(Clone, Debug, Default)]
pub struct RequestFilter {
    pub state: Option<LifeCycleState>,
    /// Only requests that one provider family made; none for all.
    pub family: Option<String>,
    /// List from above this number (exclusive), ascending.
    pub after: Option<RequestNumber>,
    /// Skip this many from the first; none and no `after`: the newest.
    pub offset: Option<u64>,
    pub limit: usize,
}

/// An item with its texts.
#[derive(Clone, Debug)]
pub struct ItemTexts {
    pub found: Found,
    pub notes: String,
    pub created_at: Timestamp,
    pub created_by: String,
    pub updated_at: Timestamp,
    pub updated_by: String,
}

/// Requests whose ledger lines one list may read to find a reference number.
pub const LOOKED_THROUGH_MAX: usize = 100_000;

/// More than [`LOOKED_THROUGH_MAX`] requests would have to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {LOOKED_THROUGH_MAX} requests would have to be looked through")]
pub struct TooWide;

/// Rows that one look at the state may pass over, so that readers never hold up the writer for long.
const ROWS_A_LOOK: usize = 256;

/// The numbers above `after` up to `last`, in parts of one look each.
pub(super) fn looks(after: u64, last: u64) -> impl Iterator<Item = Range<u64>> {
    let mut next = after.saturating_add(1);
    std::iter::from_fn(move || {
        let begin = next;
        next = next.saturating_add(ROWS_A_LOOK as u64).min(last + 1);
        (begin <= last).then_some(begin..next)
    })
}

/// What a list does with a row that matches: keeps it as something, or passes it over.
type Keep<'a, T> = &'a mut dyn FnMut(Arc<Request>) -> Result<Option<T>, TooWide>;

impl Actions {
    /// The requests that match, by number ascending.
    pub fn list_requests(&self, filter: &RequestFilter) -> Vec<Arc<Request>> {
        self.walk(filter, &mut |request| Ok(Some(request)))
            .unwrap_or_default()
    }

    /// The requests that match, with their texts; of those only the ones with this reference number, if one is given.
    ///
    /// One whose ledger lines cannot be read is left out; the log tells.
    pub fn list_request_details(
        &self,
        filter: &RequestFilter,
        reference: Option<&str>,
    ) -> Result<Vec<RequestDetails>, TooWide> {
        let mut looked_through = 0;
        self.walk(filter, &mut |request| {
            let Some(reference) = reference else {
                return Ok(self.details(&request));
            };
            if !request.answered.is_some() {
                return Ok(None);
            }
            looked_through += 1;
            if looked_through > LOOKED_THROUGH_MAX {
                return Err(TooWide);
            }
            Ok(self
                .details(&request)
                .filter(|details| details.reference.as_deref() == Some(reference)))
        })
    }

    /// Items after one of them that `takes` lets through, by number ascending.
    pub fn page_items(
        &self,
        after: ItemNumber,
        offset: u64,
        limit: usize,
        takes: impl Fn(&Found) -> bool,
    ) -> Vec<Found> {
        let last = self.state.view().meta().last_item;
        self.walk_numbers(
            after.0.saturating_add(1)..=last,
            offset,
            limit,
            |view, number| find::by_number(view, ItemNumber(number)).filter(&takes),
        )
    }

    /// Subscriptions after one of them, by number ascending.
    pub fn page_subscriptions(
        &self,
        after: SubscriptionNumber,
        offset: u64,
        limit: usize,
    ) -> Vec<SubscriptionNumber> {
        let last = self.state.view().meta().last_subscription;
        self.walk_numbers(
            after.0.saturating_add(1)..=last,
            offset,
            limit,
            |view, number| {
                let number = SubscriptionNumber(number);
                view.subscription(number).map(|_| number)
            },
        )
    }

    /// An item's texts from the ledger; none if its lines cannot be read.
    pub fn item_texts(&self, found: Found) -> Option<ItemTexts> {
        let (_, created_at, created_by) = self.event(found.item.created)?;
        let (noted, ..) = self.event(found.item.noted)?;
        let mut details = ItemTexts {
            notes: notes(noted).unwrap_or_default(),
            updated_at: created_at,
            updated_by: created_by.clone(),
            created_at,
            created_by,
            found,
        };
        if details.found.item.updated != details.found.item.created {
            let (_, at, by) = self.event(details.found.item.updated)?;
            (details.updated_at, details.updated_by) = (at, by);
        }
        Some(details)
    }

    fn walk_numbers<T>(
        &self,
        numbers: impl Iterator<Item = u64>,
        offset: u64,
        limit: usize,
        row: impl Fn(&dyn View, u64) -> Option<T>,
    ) -> Vec<T> {
        let mut found = Vec::new();
        let mut skip = offset;
        let mut numbers = numbers.peekable();
        while numbers.peek().is_some() && found.len() < limit {
            let view = self.state.view();
            for number in numbers.by_ref().take(ROWS_A_LOOK) {
                let Some(row) = row(&view, number) else {
                    continue;
                };
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                found.push(row);
                if found.len() == limit {
                    break;
                }
            }
        }
        found
    }

    fn walk<T>(&self, filter: &RequestFilter, keep: Keep<'_, T>) -> Result<Vec<T>, TooWide> {
        if filter.state == Some(LifeCycleState::Pending) {
            return self.walk_unfinished(filter, keep);
        }
        let last = self.state.view().meta().last_request;
        match (filter.after, filter.offset) {
            (None, None) => {
                let mut found = self.collect(filter, (1..=last).rev(), 0, keep)?;
                found.reverse();
                Ok(found)
            }
            (after, offset) => {
                let first = after.map_or(1, |after| after.0.saturating_add(1));
                self.collect(filter, first..=last, offset.unwrap_or(0), keep)
            }
        }
    }

    fn walk_unfinished<T>(
        &self,
        filter: &RequestFilter,
        keep: Keep<'_, T>,
    ) -> Result<Vec<T>, TooWide> {
        let numbers = self
            .state
            .view()
            .unfinished()
            .into_iter()
            .map(|number| number.0);
        match (filter.after, filter.offset) {
            (None, None) => {
                let mut found = self.collect(filter, numbers.rev(), 0, keep)?;
                found.reverse();
                Ok(found)
            }
            (after, offset) => {
                let first = after.map_or(1, |after| after.0.saturating_add(1));
                let numbers = numbers.filter(|number| *number >= first);
                self.collect(filter, numbers, offset.unwrap_or(0), keep)
            }
        }
    }

    /// Looks at the state in short spells; what `keep` reads of the ledger is read between them.
    fn collect<T>(
        &self,
        filter: &RequestFilter,
        numbers: impl Iterator<Item = u64>,
        mut skip: u64,
        keep: Keep<'_, T>,
    ) -> Result<Vec<T>, TooWide> {
        let mut found = Vec::new();
        let mut numbers = numbers.peekable();
        while numbers.peek().is_some() && found.len() < filter.limit {
            let view = self.state.view();
            let rows: Vec<Arc<Request>> = numbers
                .by_ref()
                .take(ROWS_A_LOOK)
                .filter_map(|number| view.request(RequestNumber(number)))
                .filter(|request| matches(&view, filter, request))
                .collect();
            drop(view);
            for request in rows {
                let Some(kept) = keep(request)? else {
                    continue;
                };
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                found.push(kept);
                if found.len() == filter.limit {
                    break;
                }
            }
        }
        Ok(found)
    }
}

/// The notes that an item's event carries.
fn notes(event: Event) -> Option<String> {
    match event {
        Event::ItemAdded {
            item: ItemFields { notes, .. },
            ..
        }
        | Event::ItemChanged {
            item: ItemFields { notes, .. },
            ..
        } => Some(notes),
        _ => None,
    }
}

fn matches(view: &dyn View, filter: &RequestFilter, request: &Request) -> bool {
    filter
        .state
        .is_none_or(|state| request.phase.life_cycle_state() == state)
        && filter.family.as_ref().is_none_or(|family| {
            view.provider(request.provider)
                .is_some_and(|provider| *provider.family == **family)
        })
}
