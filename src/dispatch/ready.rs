//! The requests of one provider that may go out now, by priority and place.
//!
//! EXPRESS before REGULAR, but after four EXPRESS one REGULAR. An EXPRESS or immediate request lends its priority to those
//! it waits behind; an immediate one lends its leave to go outside of processing runs too. Requests that share a card or an STB never stand here together, so order per card cannot change.

use std::collections::{BTreeSet, HashMap};

use crate::domain::{Place, Priority, Request, RequestNumber, View};

/// EXPRESS requests in a row before one REGULAR is taken.
const EXPRESS_IN_A_ROW: u32 = 4;

/// The ready requests of one provider.
#[derive(Default)]
pub struct Ready {
    express: BTreeSet<Place>,
    regular: BTreeSet<Place>,
    /// Those of the express ones that go outside of processing runs.
    immediate: BTreeSet<Place>,
    /// What was lent; true with the leave to go outside of runs.
    lent: HashMap<RequestNumber, bool>,
    express_in_a_row: u32,
}

impl Ready {
    pub fn insert(&mut self, request: &Request) {
        if !self.is_express(request) {
            self.regular.insert(request.place());
            return;
        }
        self.express.insert(request.place());
        if self.is_immediate(request) {
            self.immediate.insert(request.place());
        }
    }

    pub fn remove(&mut self, place: Place) {
        self.express.remove(&place);
        self.regular.remove(&place);
        self.immediate.remove(&place);
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

    /// The next one, taken out. `only_immediate` leaves all others (outside of processing runs).
    pub fn take(&mut self, only_immediate: bool) -> Option<Place> {
        if only_immediate {
            let place = self.immediate.pop_first()?;
            self.express.remove(&place);
            return Some(place);
        }
        let prefers_regular = self.express_in_a_row >= EXPRESS_IN_A_ROW && !self.regular.is_empty();
        if !prefers_regular && let Some(place) = self.express.pop_first() {
            self.immediate.remove(&place);
            self.express_in_a_row += 1;
            return Some(place);
        }
        self.express_in_a_row = 0;
        self.regular.pop_first()
    }

    /// Lends the priority of `request` to everything that it waits behind, directly or through others.
    pub fn lend(&mut self, view: &dyn View, request: &Request) {
        if !self.is_express(request) {
            return;
        }
        let is_immediate = self.is_immediate(request);
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
                    if self.lend_to(ahead, is_immediate) {
                        waits.push(ahead.number);
                    }
                }
            }
        }
    }

    /// False if it was lent as much before.
    fn lend_to(&mut self, ahead: Place, is_immediate: bool) -> bool {
        let before = self.lent.get(&ahead.number).copied();
        if before.is_some_and(|before| before || !is_immediate) {
            return false;
        }
        self.lent.insert(ahead.number, is_immediate);
        if self.regular.remove(&ahead) {
            self.express.insert(ahead);
        }
        if is_immediate && self.express.contains(&ahead) {
            self.immediate.insert(ahead);
        }
        true
    }

    fn is_express(&self, request: &Request) -> bool {
        request.priority == Priority::Express
            || request.is_immediate
            || self.lent.contains_key(&request.number)
    }

    fn is_immediate(&self, request: &Request) -> bool {
        request.is_immediate || self.lent.get(&request.number) == Some(&true)
    }
}
