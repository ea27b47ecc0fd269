//! The requests of one provider that may go out now, by priority and place.
//!
//! EXPRESS before REGULAR, but after four EXPRESS one REGULAR. An EXPRESS or immediate request lends its priority to those
//! it waits behind. Requests that share a card or an STB never stand here together, so order per card cannot change.

use std::collections::{BTreeSet, HashSet};

use crate::domain::{Place, Priority, Request, RequestNumber, View};

/// EXPRESS requests in a row before one REGULAR is taken.
const EXPRESS_IN_A_ROW: u32 = 4;

/// The ready requests of one provider.
#[derive(Default)]
pub struct Ready {
    express: BTreeSet<Place>,
    regular: BTreeSet<Place>,
    lent: HashSet<RequestNumber>,
    express_in_a_row: u32,
}

impl Ready {
    pub fn insert(&mut self, request: &Request) {
        if self.is_express(request) {
            self.express.insert(request.place());
        } else {
            self.regular.insert(request.place());
        }
    }

    pub fn remove(&mut self, place: Place) {
        self.express.remove(&place);
        self.regular.remove(&place);
    }

    /// Forgets what was lent to a request that has ended.
    pub fn forget(&mut self, number: RequestNumber) {
        self.lent.remove(&number);
    }

    pub fn is_empty(&self) -> bool {
        self.express.is_empty() && self.regular.is_empty()
    }

    pub fn len(&self) -> usize {
        self.express.len() + self.regular.len()
    }

    /// All places, in no promised order.
    pub fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.express.iter().chain(&self.regular).copied()
    }

    /// The next one, taken out. `only_express` leaves the regular ones (outside of processing runs).
    pub fn take(&mut self, only_express: bool) -> Option<Place> {
        let prefers_regular =
            self.express_in_a_row >= EXPRESS_IN_A_ROW && !self.regular.is_empty() && !only_express;
        if !prefers_regular {
            if let Some(place) = self.express.pop_first() {
                self.express_in_a_row += 1;
                return Some(place);
            }
        }
        if only_express {
            return None;
        }
        self.express_in_a_row = 0;
        self.regular.pop_first()
    }

    /// Lends the priority of `request` to everything that it waits behind, directly or through others.
    pub fn lend(&mut self, view: &dyn View, request: &Request) {
        if !self.is_express(request) {
            return;
        }
        let mut waits = vec![request.number];
        while let Some(number) = waits.pop() {
            let Some(behind) = view.request(number) else {
                continue;
            };
            let place = behind.place();
            for item in behind.queues() {
                for ahead in view
                    .queue(item)
                    .into_iter()
                    .take_while(|ahead| *ahead < place)
                {
                    if self.lent.insert(ahead.number) {
                        if self.regular.remove(&ahead) {
                            self.express.insert(ahead);
                        }
                        waits.push(ahead.number);
                    }
                }
            }
        }
    }

    pub fn is_express(&self, request: &Request) -> bool {
        request.priority == Priority::Express
            || request.is_immediate
            || self.lent.contains(&request.number)
    }
}
