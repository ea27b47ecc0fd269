//! The requests of one provider that may go out now, by priority and place.
//!
//! EXPRESS before REGULAR, but after four EXPRESS one REGULAR. An EXPRESS or immediate request lends its priority to those
//! it waits behind. Requests that share a card or an STB never stand here together, so order per card cannot change.

use std::collections::{BTreeSet, HashMap};

use crate::domain::{Place, Priority, Request, RequestNumber, View};

/// EXPRESS requests in a row before one REGULAR is taken.
const EXPRESS_IN_A_ROW: u32 = 4;

/// How urgent a request is, its own or by what waits behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    Regular,
    Express,
    /// Somebody waits for the answer: goes out between processing runs too.
    Immediate,
}

/// The ready requests of one provider.
#[derive(Default)]
pub struct Ready {
    immediate: BTreeSet<Place>,
    express: BTreeSet<Place>,
    regular: BTreeSet<Place>,
    lent: HashMap<RequestNumber, Urgency>,
    express_in_a_row: u32,
}

impl Ready {
    pub fn insert(&mut self, request: &Request) {
        let urgency = self.urgency(request);
        self.of(urgency).insert(request.place());
    }

    pub fn remove(&mut self, place: Place) {
        self.immediate.remove(&place);
        self.express.remove(&place);
        self.regular.remove(&place);
    }

    /// Forgets what was lent to a request that has ended.
    pub fn forget(&mut self, number: RequestNumber) {
        self.lent.remove(&number);
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn len(&self) -> usize {
        self.immediate.len() + self.express.len() + self.regular.len()
    }

    /// All places, in no promised order.
    pub fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.immediate
            .iter()
            .chain(&self.express)
            .chain(&self.regular)
            .copied()
    }

    /// The next one, taken out. Outside of a run only immediate ones go.
    pub fn take(&mut self, is_run_open: bool) -> Option<Place> {
        if !is_run_open {
            return self.immediate.pop_first();
        }
        let is_regulars_turn =
            self.express_in_a_row >= EXPRESS_IN_A_ROW && !self.regular.is_empty();
        if !is_regulars_turn && let Some(place) = self.take_urgent() {
            self.express_in_a_row += 1;
            return Some(place);
        }
        self.express_in_a_row = 0;
        self.regular.pop_first()
    }

    /// Immediate and EXPRESS ones by place.
    fn take_urgent(&mut self) -> Option<Place> {
        match (self.immediate.first(), self.express.first()) {
            (Some(immediate), Some(express)) if express < immediate => self.express.pop_first(),
            (Some(_), _) => self.immediate.pop_first(),
            (None, _) => self.express.pop_first(),
        }
    }

    /// Lends the urgency of `request` to everything that it waits behind, directly or through others.
    pub fn lend(&mut self, view: &dyn View, request: &Request) {
        let urgency = self.urgency(request);
        if urgency == Urgency::Regular {
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
                    if self
                        .lent
                        .get(&ahead.number)
                        .is_some_and(|lent| *lent >= urgency)
                    {
                        continue;
                    }
                    self.lent.insert(ahead.number, urgency);
                    let was_ready = self.express.remove(&ahead) || self.regular.remove(&ahead);
                    if was_ready {
                        self.of(urgency).insert(ahead);
                    }
                    waits.push(ahead.number);
                }
            }
        }
    }

    fn urgency(&self, request: &Request) -> Urgency {
        let own = if request.is_immediate {
            Urgency::Immediate
        } else if request.priority == Priority::Express {
            Urgency::Express
        } else {
            Urgency::Regular
        };
        self.lent
            .get(&request.number)
            .map_or(own, |lent| own.max(*lent))
    }

    fn of(&mut self, urgency: Urgency) -> &mut BTreeSet<Place> {
        match urgency {
            Urgency::Immediate => &mut self.immediate,
            Urgency::Express => &mut self.express,
            Urgency::Regular => &mut self.regular,
        }
    }
}
