//! Lists of requests, newest or by cursor, at a cost that does not grow with what lies before.

use std::sync::Arc;

use super::Actions;
use crate::domain::{LifeCycleState, Request, RequestNumber, View};

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

/// Rows that one look at the state may pass over, so that readers never hold up the writer for long.
const ROWS_A_LOOK: u64 = 256;

impl Actions {
    /// The requests that match, by number ascending.
    pub fn list_requests(&self, filter: &RequestFilter) -> Vec<Arc<Request>> {
        if filter.state == Some(LifeCycleState::Pending) {
            return self.list_unfinished(filter);
        }
        let last = self.state.view().meta().last_request;
        match (filter.after, filter.offset) {
            (None, None) => {
                let mut found = self.collect(filter, (1..=last).rev(), 0);
                found.reverse();
                found
            }
            (after, offset) => {
                let first = after.map_or(1, |after| after.0 + 1);
                self.collect(filter, first..=last, offset.unwrap_or(0))
            }
        }
    }

    fn list_unfinished(&self, filter: &RequestFilter) -> Vec<Arc<Request>> {
        let numbers = self
            .state
            .view()
            .unfinished()
            .into_iter()
            .map(|number| number.0);
        match (filter.after, filter.offset) {
            (None, None) => {
                let mut found = self.collect(filter, numbers.rev(), 0);
                found.reverse();
                found
            }
            (after, offset) => {
                let first = after.map_or(1, |after| after.0 + 1);
                self.collect(
                    filter,
                    numbers.filter(|number| *number >= first),
                    offset.unwrap_or(0),
                )
            }
        }
    }

    fn collect(
        &self,
        filter: &RequestFilter,
        numbers: impl Iterator<Item = u64>,
        skip: u64,
    ) -> Vec<Arc<Request>> {
        let mut found = Vec::new();
        let mut skip = skip;
        let mut numbers = numbers.peekable();
        while numbers.peek().is_some() && found.len() < filter.limit {
            let view = self.state.view();
            for number in numbers
                .by_ref()
                .take(usize::try_from(ROWS_A_LOOK).unwrap_or(1))
            {
                let Some(request) = view.request(RequestNumber(number)) else {
                    continue;
                };
                if !matches(&view, filter, &request) {
                    continue;
                }
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                found.push(request);
                if found.len() == filter.limit {
                    break;
                }
            }
        }
        found
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
