//! Lists of requests, newest or by cursor, at a cost that does not grow with what lies before; items and subscriptions.

use std::sync::Arc;

use super::Actions;
use super::details::RequestDetails;
use super::find::{self, Found};
use crate::domain::event::{Event, ItemFields};
use crate::domain::view::Jump;
use crate::domain::{
    Action, ItemNumber, JobNumber, LifeCycleState, Request, RequestNumber, SubscriptionNumber,
    Timestamp, View,
};

/// Which requests to list.
#[derive(Clone, Debug, Default)]
pub struct RequestFilter {
    pub state: Option<LifeCycleState>,
    /// Only requests that one provider family made; none for all.
    pub family: Option<String>,
    /// Only requests that ask for one of these.
    pub actions: Option<Vec<Action>>,
    /// Only requests of this job.
    pub job: Option<JobNumber>,
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

/// Requests that one list may look through.
pub const LOOKED_THROUGH_MAX: usize = 100_000;

/// More than [`LOOKED_THROUGH_MAX`] requests would have to be looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {LOOKED_THROUGH_MAX} requests would have to be looked through")]
pub struct TooWide {
    /// What matched up to here; a list of so many is whole.
    pub found: usize,
    /// The list that goes on from above this number loses nothing but what matched up to here. Of the newest: the list from
    /// above this number has all that was looked through.
    pub cursor: RequestNumber,
}

/// Rows that one look at the state may pass over, so that readers never hold up the writer for long.
const ROWS_A_LOOK: usize = 256;

/// What a list does with a row that matches: keeps it as something, or passes it over.
type Keep<'a, T> = &'a mut dyn FnMut(Arc<Request>) -> Option<T>;

/// What a list found, and where it stopped because it had looked through enough.
type Walked<T> = (Vec<T>, Option<RequestNumber>);

impl Actions {
    /// The requests that match, by number ascending; and the cursor to go on from, where too many did not match.
    pub fn list_requests(
        &self,
        filter: &RequestFilter,
    ) -> (Vec<Arc<Request>>, Option<RequestNumber>) {
        self.walk(filter, LOOKED_THROUGH_MAX, &mut Some)
    }

    /// The requests that match, with their texts; of those only the ones with this reference number, if one is given.
    ///
    /// One whose ledger lines cannot be read is left out; the log tells.
    pub fn list_request_details(
        &self,
        filter: &RequestFilter,
        reference: Option<&str>,
    ) -> Result<Vec<RequestDetails>, TooWide> {
        let (found, stopped) = self.walk(filter, LOOKED_THROUGH_MAX, &mut |request| {
            let Some(reference) = reference else {
                return self.details(&request);
            };
            if !request.answered.is_some() {
                return None;
            }
            self.details(&request)
                .filter(|details| details.reference.as_deref() == Some(reference))
        });
        match stopped {
            None => Ok(found),
            Some(cursor) => Err(TooWide {
                found: found.len(),
                cursor,
            }),
        }
    }

    /// Items after one of them that `takes` lets through, by number ascending.
    pub fn page_items(
        &self,
        after: ItemNumber,
        offset: u64,
        limit: usize,
        takes: impl Fn(&Found) -> bool,
    ) -> Vec<Found> {
        let meta = self.state.view().meta();
        let jumps = meta.jumps.iter().map(|jump| jump.item);
        self.walk_numbers(
            Jump::given_out(jumps, after.0.saturating_add(1), meta.last_item),
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
        let meta = self.state.view().meta();
        let jumps = meta.jumps.iter().map(|jump| jump.subscription);
        self.walk_numbers(
            Jump::given_out(jumps, after.0.saturating_add(1), meta.last_subscription),
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

    pub(super) fn walk_numbers<T>(
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

    fn walk<T>(&self, filter: &RequestFilter, most: usize, keep: Keep<'_, T>) -> Walked<T> {
        let first = filter.after.map_or(1, |after| after.0.saturating_add(1));
        if filter.state == Some(LifeCycleState::Pending) {
            let unfinished = self.state.view().unfinished();
            let numbers = unfinished.into_iter().map(|number| number.0);
            return self.walk_some(
                filter,
                most,
                numbers.filter(|number| *number >= first),
                keep,
            );
        }
        let meta = self.state.view().meta();
        let jumps = meta.jumps.iter().map(|jump| jump.request);
        let numbers = Jump::given_out(jumps, first, meta.last_request);
        self.walk_some(filter, most, numbers, keep)
    }

    fn walk_some<T>(
        &self,
        filter: &RequestFilter,
        most: usize,
        numbers: impl DoubleEndedIterator<Item = u64>,
        keep: Keep<'_, T>,
    ) -> Walked<T> {
        if filter.after.is_some() || filter.offset.is_some() {
            return self.collect(filter, most, numbers, keep);
        }
        let (mut found, stopped) = self.collect(filter, most, numbers.rev(), keep);
        found.reverse();
        let before = stopped.map(|number| RequestNumber(number.0.saturating_sub(1)));
        (found, before)
    }

    /// Looks at the state in short spells; what `keep` reads of the ledger is read between them. Stops after `most` requests
    /// that are not part of the answer.
    fn collect<T>(
        &self,
        filter: &RequestFilter,
        most: usize,
        numbers: impl Iterator<Item = u64>,
        keep: Keep<'_, T>,
    ) -> Walked<T> {
        let mut found = Vec::new();
        let mut skip = filter.offset.unwrap_or(0);
        let (mut looked_through, mut latest) = (0, RequestNumber(0));
        let mut numbers = numbers.peekable();
        while numbers.peek().is_some() && found.len() < filter.limit {
            if looked_through - found.len() >= most {
                return (found, Some(latest));
            }
            let view = self.state.view();
            let mut rows = Vec::new();
            for number in numbers.by_ref().take(ROWS_A_LOOK) {
                latest = RequestNumber(number);
                looked_through += 1;
                let request = view.request(latest);
                rows.extend(request.filter(|request| matches(&view, filter, request)));
            }
            drop(view);
            for request in rows {
                let Some(kept) = keep(request) else {
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
        (found, None)
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
        && filter.job.is_none_or(|job| request.job == Some(job))
        && filter
            .actions
            .as_ref()
            .is_none_or(|actions| actions.contains(&request.action()))
        && filter.family.as_ref().is_none_or(|family| {
            view.provider(request.provider)
                .is_some_and(|provider| *provider.family == **family)
        })
}
