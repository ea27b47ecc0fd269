//! What must hold, told by a second and simpler reading of the ledger: the model of the property tests.
//!
//! Fed with each synced event in order. It keeps no queue: order is judged over all unfinished requests every time.

use std::collections::{BTreeMap, BTreeSet};

use pairbox::domain::event::{
    Begun, Confirmed, Ending, Event, LateAnswer, LateEffect, Resolution, Settled, Then,
};
use pairbox::domain::{
    Cardinality, Confirms, Doubt, ItemNumber, Outcome, Place, Purpose, RequestNumber, View,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    Open,
    Sending,
    Held,
    Completed,
    Rejected,
}

#[derive(Clone, Debug)]
pub struct Known {
    pub place: Place,
    pub provider: u16,
    pub card: ItemNumber,
    pub stb: Option<ItemNumber>,
    /// Of an unpair: the only STB that is left.
    pub from: Option<ItemNumber>,
    pub is_beside: bool,
    pub changes_pairing: bool,
    pub is_bound: bool,
    /// As the first attempt bound it.
    pub leaves: BTreeSet<ItemNumber>,
    pub stands: Stands,
    pub unknown: u32,
    pub steps: usize,
    pub acknowledged: usize,
    /// Transaction, purpose and step of each attempt.
    pub attempts: Vec<(u64, Purpose, u8)>,
    pub late_answers: u32,
}

/// What is known of a card and an STB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Sure,
    MayBeGone,
    NeverConfirmed,
}

pub type Links = BTreeMap<ItemNumber, Link>;

/// The transactions that the CAS said yes and no to.
#[derive(Default)]
pub struct Said {
    pub confirmed: BTreeSet<u64>,
    pub refused: BTreeSet<u64>,
}

#[derive(Default)]
pub struct Model {
    pub seq: u64,
    pub requests: BTreeMap<RequestNumber, Known>,
    pub pairings: BTreeMap<ItemNumber, Links>,
    /// By provider.
    pub cardinality: BTreeMap<u16, Cardinality>,
    /// The most that any of them ever had: what a lowered limit leaves over stays.
    pub widest: Cardinality,
    pub conflicts: u64,
    /// By provider and number on the wire.
    pub transactions: BTreeMap<(u16, u64), RequestNumber>,
    pub events: Vec<Event>,
}

impl Known {
    /// Whether it takes its card from this STB.
    fn ends(&self, stb: ItemNumber) -> bool {
        match (self.stb, self.from) {
            _ if !self.changes_pairing || self.is_beside => false,
            (Some(joined), _) => stb != joined,
            (None, Some(only)) => stb == only,
            (None, None) => true,
        }
    }

    pub fn is_finished(&self) -> bool {
        matches!(self.stands, Stands::Completed | Stands::Rejected)
    }
}

impl Model {
    /// Takes the next event in; panics where a promise is broken. `said` is what the CAS answered.
    pub fn take(&mut self, seq: u64, event: &Event, said: &Said) {
        assert_eq!(seq, self.seq + 1, "no event is missing");
        self.seq = seq;
        self.events.push(event.clone());
        match event {
            Event::ProviderSet { number, provider } => {
                let limits = provider.cardinality;
                let (stbs, cards) = (limits.stbs_per_card, limits.cards_per_stb);
                self.widest.stbs_per_card = self.widest.stbs_per_card.max(stbs);
                self.widest.cards_per_stb = self.widest.cards_per_stb.max(cards);
                self.cardinality.insert(number.0, limits);
            }
            Event::RequestAccepted(accepted)
            | Event::CardChangeAccepted(accepted)
            | Event::PairBesideAccepted(accepted)
            | Event::UnpairFromAccepted(accepted) => {
                let number = accepted.request;
                let is_change = matches!(event, Event::CardChangeAccepted(_));
                assert_eq!(is_change, accepted.card_change.is_some(), "{accepted:?}");
                let is_from = matches!(event, Event::UnpairFromAccepted(_));
                assert_eq!(is_from, accepted.from.is_some(), "{accepted:?}");
                let known = Known {
                    place: Place {
                        due: accepted.due,
                        number,
                    },
                    provider: accepted.provider.0,
                    card: accepted.card,
                    stb: accepted.stb,
                    from: accepted.from,
                    is_beside: matches!(event, Event::PairBesideAccepted(_)),
                    changes_pairing: accepted.card_change.is_none(),
                    is_bound: false,
                    leaves: BTreeSet::new(),
                    stands: Stands::Open,
                    unknown: 0,
                    steps: 0,
                    acknowledged: 0,
                    attempts: Vec::new(),
                    late_answers: 0,
                };
                let earlier = self.requests.insert(number, known);
                assert!(earlier.is_none(), "request {number} was accepted twice");
            }
            Event::AttemptBegun(begun) => self.begun(begun),
            Event::AttemptSettled(settled) => self.settled(settled, said),
            Event::LateAnswer(answer) => self.late(answer, said),
            Event::RequestEnded {
                request, ending, ..
            } => {
                let known = self.open(*request);
                assert!(known.stands == Stands::Open, "{request} ended: {known:?}");
                let completed = *ending == Ending::Already;
                match ending {
                    Ending::Already | Ending::ScriptError { .. } => {
                        assert!(known.attempts.is_empty(), "{request} {ending:?}: {known:?}");
                    }
                    Ending::Cancelled { .. } => assert!(
                        known.unknown == 0 && known.acknowledged == 0,
                        "{request} was cancelled: {known:?}"
                    ),
                    Ending::StbTaken { .. }
                    | Ending::CardFull { .. }
                    | Ending::ProviderUnreachable => {
                        assert_eq!(known.unknown, 0, "{request} {ending:?}: {known:?}");
                    }
                }
                known.stands = if completed {
                    Stands::Completed
                } else {
                    Stands::Rejected
                };
            }
            Event::RequestHeld { request, .. } => {
                let known = self.open(*request);
                assert!(known.stands == Stands::Open, "{request} held: {known:?}");
                known.stands = Stands::Held;
            }
            Event::RequestResolved {
                request,
                resolution,
                confirmed,
                ..
            } => {
                let known = self.open(*request);
                assert!(known.stands != Stands::Sending, "{request}: {known:?}");
                if *resolution != Resolution::SendAgain {
                    known.unknown = 0;
                }
                known.stands = match resolution {
                    Resolution::Done => Stands::Completed,
                    Resolution::NotDone => Stands::Rejected,
                    Resolution::SendAgain => Stands::Open,
                };
                if let Some(confirmed) = confirmed {
                    self.confirm_of(*request, confirmed);
                }
            }
            _ => {}
        }
    }

    fn open(&mut self, request: RequestNumber) -> &mut Known {
        let known = self.requests.get_mut(&request);
        let known = known.unwrap_or_else(|| panic!("{request} was never accepted"));
        assert!(
            !known.is_finished(),
            "{request} left a final state: {known:?}"
        );
        known
    }

    fn begun(&mut self, begun: &Begun) {
        let number = begun.request;
        let mine = self.items(number);
        for (other, theirs) in &self.requests {
            if *other == number || theirs.is_finished() {
                continue;
            }
            let shared: Vec<_> = self.items(*other).intersection(&mine).copied().collect();
            if shared.is_empty() {
                continue;
            }
            assert!(
                theirs.stands != Stands::Sending,
                "{number} and {other} are in flight together for {shared:?}"
            );
            assert!(
                theirs.place > self.requests[&number].place,
                "{number} overtook {other} at {shared:?}"
            );
        }
        let known = self.open(number);
        assert!(known.stands == Stands::Open, "{number} begins: {known:?}");
        assert_eq!(
            begun.attempt as usize,
            known.attempts.len() + 1,
            "attempts of {number} are counted"
        );
        assert_eq!(usize::from(begun.step), known.acknowledged, "{number}");
        known.stands = Stands::Sending;
        if let Some(plan) = &begun.plan {
            assert!(!known.is_bound, "{number} is planned once");
            known.is_bound = true;
            known.leaves = begun.leaves.iter().collect();
            known.steps = plan.len();
        }
        assert!(known.is_bound, "{number} is planned");
        let leaves: BTreeSet<ItemNumber> = begun.leaves.iter().collect();
        assert_eq!(known.leaves, leaves, "{number} is bound");
        known
            .attempts
            .push((begun.transaction, begun.purpose, begun.step));
        let wire = (known.provider, begun.transaction);
        let before = self.transactions.insert(wire, number);
        assert!(before.is_none(), "a transaction number was used twice");
    }

    fn settled(&mut self, settled: &Settled, said: &Said) {
        let number = settled.request;
        let known = self.open(number);
        assert!(known.stands == Stands::Sending, "{number}: {known:?}");
        assert_eq!(settled.attempt as usize, known.attempts.len());
        let (transaction, purpose, _) = *known.attempts.last().unwrap();
        assert!(
            settled.outcome != Outcome::Refused || said.refused.contains(&transaction),
            "{number} is called refused, the CAS said nothing"
        );
        match settled.outcome {
            Outcome::Unknown => known.unknown += 1,
            Outcome::Ok | Outcome::Already => known.unknown = 0,
            Outcome::Refused if purpose == Purpose::Query => known.unknown = 0,
            _ => {}
        }
        match &settled.then {
            Then::Completed | Then::NextStep => {
                assert!(
                    said.confirmed.contains(&transaction),
                    "{number} is called done, the CAS said nothing"
                );
                known.acknowledged += 1;
                let is_last = known.acknowledged >= known.steps || purpose == Purpose::Query;
                assert_eq!(settled.then == Then::Completed, is_last, "{known:?}");
                known.stands = if is_last {
                    Stands::Completed
                } else {
                    Stands::Open
                };
            }
            Then::Rejected { in_doubt } => {
                assert_eq!(
                    settled.outcome,
                    Outcome::Refused,
                    "{number} is called rejected without a refusal"
                );
                let is_left_open = known.unknown > 0 && known.changes_pairing;
                assert_eq!(*in_doubt, is_left_open, "{known:?}");
                known.stands = Stands::Rejected;
                if *in_doubt {
                    self.doubt(number, settled.doubt);
                }
            }
            Then::Waiting { .. } => {
                assert_eq!(known.unknown, 0, "{known:?}");
                known.stands = Stands::Open;
            }
            Then::InDoubt { .. } => {
                assert!(known.unknown > 0, "{known:?}");
                known.stands = Stands::Open;
            }
            Then::Held { .. } => known.stands = Stands::Held,
        }
        if let Some(confirmed) = &settled.confirmed {
            self.confirm_of(number, confirmed);
        }
    }

    fn late(&mut self, answer: &LateAnswer, said: &Said) {
        let number = answer.request;
        let known = self.requests.get_mut(&number).unwrap();
        known.late_answers += 1;
        match answer.effect {
            LateEffect::Nothing => {}
            LateEffect::MarksDoubt => {
                assert_eq!(known.stands, Stands::Rejected);
                assert!(known.changes_pairing, "{number}: {known:?}");
                self.doubt(number, answer.doubt);
            }
            LateEffect::Completes | LateEffect::NextStep => {
                assert!(!known.is_finished(), "{number} left a final state");
                assert!(
                    said.confirmed.contains(&answer.transaction),
                    "{number} is called done, the CAS said nothing"
                );
                let attempts = known.attempts.iter();
                let asked = attempts
                    .rev()
                    .find(|(transaction, ..)| *transaction == answer.transaction);
                let (_, purpose, step) = asked.unwrap();
                if *purpose == Purpose::Command {
                    assert_eq!(
                        usize::from(*step),
                        known.acknowledged,
                        "{number}: {known:?}"
                    );
                }
                known.unknown = 0;
                known.acknowledged += 1;
                known.stands = if answer.effect == LateEffect::Completes {
                    Stands::Completed
                } else {
                    Stands::Open
                };
            }
            LateEffect::Rejects => {
                assert!(!known.is_finished(), "{number} left a final state");
                let latest = *known.attempts.last().unwrap();
                assert_eq!(answer.outcome, Outcome::Refused);
                assert_eq!((latest.0, latest.1), (answer.transaction, Purpose::Command));
                known.stands = Stands::Rejected;
                if known.unknown > 1 && known.changes_pairing {
                    self.doubt(number, answer.doubt);
                }
            }
        }
        if let Some(confirmed) = &answer.confirmed {
            self.confirm_of(number, confirmed);
        }
    }

    fn confirm_of(&mut self, number: RequestNumber, confirmed: &Confirmed) {
        let known = &self.requests[&number];
        assert!(
            known.changes_pairing,
            "{number} confirms {confirmed:?}: {known:?}"
        );
        let known = known.clone();
        let mut links = self.pairings.remove(&confirmed.card).unwrap_or_default();
        match confirmed.confirms {
            Confirms::None => {}
            Confirms::Unpair => match confirmed.stb {
                Some(left) => drop(links.remove(&left)),
                // Whatever the card has, also what it is to have: where a step names no STB, it frees the card.
                None => links.retain(|stb, _| known.from.is_some_and(|only| only != *stb)),
            },
            Confirms::Pair | Confirms::PairBeside => {
                let stb = confirmed.stb.unwrap();
                let holds = |links: &&Links| links.contains_key(&stb);
                let others = self.pairings.values().filter(holds).count();
                let limit = self.cardinality[&known.provider].cards_per_stb;
                if others >= usize::from(limit) && links.get(&stb) != Some(&Link::Sure) {
                    self.conflicts += 1;
                    if limit == 1 {
                        let never = Some(&Link::NeverConfirmed);
                        let others = self.pairings.values_mut();
                        for other in others.filter(|links| links.get(&stb) == never) {
                            other.remove(&stb);
                        }
                    }
                }
                if confirmed.confirms == Confirms::Pair {
                    links.retain(|other, _| !known.ends(*other));
                }
                links.insert(stb, Link::Sure);
            }
        }
        self.pairings.insert(confirmed.card, links);
    }

    /// `other`: of a step that did not do what the request asks for.
    fn doubt(&mut self, number: RequestNumber, other: Option<Doubt>) {
        let known = &self.requests[&number];
        let wanted = known.stb.filter(|_| other.is_none());
        let is_left = |stb: &ItemNumber| match other {
            Some(Doubt::MayHaveLeft(left)) => *stb == left,
            _ => known.ends(*stb) || wanted == Some(*stb),
        };
        let links = self.pairings.entry(known.card).or_default();
        for (stb, link) in links.iter_mut() {
            if *link == Link::Sure && is_left(stb) {
                *link = Link::MayBeGone;
            }
        }
        if let Some(stb) = wanted {
            links.entry(stb).or_insert(Link::NeverConfirmed);
        }
    }

    /// The STBs that a request leaves: bound, or derived by walking its card's unfinished requests.
    fn leaves(&self, number: RequestNumber) -> BTreeSet<ItemNumber> {
        let known = &self.requests[&number];
        if known.is_bound {
            return known.leaves.clone();
        }
        if !known.changes_pairing {
            return BTreeSet::new();
        }
        if let Some(from) = known.from {
            return [from].into();
        }
        let links = self.pairings.get(&known.card).cloned().unwrap_or_default();
        let mut ahead: Vec<&Known> = self
            .requests
            .values()
            .filter(|other| {
                !other.is_finished()
                    && other.changes_pairing
                    && other.card == known.card
                    && other.place < known.place
            })
            .collect();
        ahead.sort_by_key(|other| other.place);
        let mut held: BTreeSet<ItemNumber> = links.into_keys().collect();
        for other in ahead {
            held.retain(|stb| !other.ends(*stb));
            held.extend(other.stb);
        }
        held.retain(|stb| known.ends(*stb));
        held
    }

    /// The card and STBs that a request stands in line for.
    pub fn items(&self, number: RequestNumber) -> BTreeSet<ItemNumber> {
        let known = &self.requests[&number];
        let own = [Some(known.card), known.stb].into_iter().flatten();
        own.chain(self.leaves(number)).collect()
    }

    pub fn unfinished(&self) -> Vec<RequestNumber> {
        self.requests
            .iter()
            .filter(|(_, known)| !known.is_finished())
            .map(|(number, _)| *number)
            .collect()
    }

    /// Whether the request is held, or behind one that is.
    pub fn is_behind_held(&self, number: RequestNumber) -> bool {
        let known = &self.requests[&number];
        if known.stands == Stands::Held {
            return true;
        }
        let mine = self.items(number);
        self.unfinished().into_iter().any(|other| {
            self.requests[&other].place < known.place
                && !self.items(other).is_disjoint(&mine)
                && self.is_behind_held(other)
        })
    }

    /// The queue of an item.
    pub fn queue(&self, item: ItemNumber) -> Vec<Place> {
        let mut places: Vec<Place> = self
            .unfinished()
            .into_iter()
            .filter(|number| self.items(*number).contains(&item))
            .map(|number| self.requests[&number].place)
            .collect();
        places.sort_unstable();
        places
    }

    /// Compares with what the state says: requests, pairings, queues, counts.
    pub fn compare(&self, view: &dyn View) {
        let meta = view.meta();
        assert_eq!(meta.applied_seq, self.seq);
        assert_eq!(meta.requests, self.requests.len() as u64);
        for (number, known) in &self.requests {
            let request = view.request(*number);
            let request = request.unwrap_or_else(|| panic!("request {number} is gone"));
            assert_eq!(request.place(), known.place);
            assert_eq!(
                request.phase.is_finished(),
                known.is_finished(),
                "{known:?}"
            );
            assert_eq!(request.unknown_attempts > 0, known.unknown > 0, "{known:?}");
        }
        for item in (1..=meta.last_item).map(ItemNumber) {
            assert_eq!(
                view.queue(item),
                self.queue(item),
                "the queue of item {item}"
            );
            let row = view.pairing(item);
            let ours: BTreeSet<ItemNumber> = row
                .iter()
                .flat_map(pairbox::domain::Pairing::acknowledged)
                .collect();
            assert_eq!(ours, self.acknowledged(item), "card {item}");
        }
        if self.conflicts == 0 {
            assert_eq!(meta.conflicts, 0);
            self.check_limits();
        }
    }

    /// The STBs that the CAS confirmed last.
    pub fn acknowledged(&self, card: ItemNumber) -> BTreeSet<ItemNumber> {
        let links = self.pairings.get(&card).into_iter().flatten();
        let known = links.filter(|(_, link)| **link != Link::NeverConfirmed);
        known.map(|(stb, _)| *stb).collect()
    }

    /// Nobody has more of the other than was ever allowed; the stage has one provider that matters.
    fn check_limits(&self) {
        let mut cards_of: BTreeMap<ItemNumber, usize> = BTreeMap::new();
        for card in self.pairings.keys() {
            let stbs = self.acknowledged(*card);
            let limit = usize::from(self.widest.stbs_per_card);
            assert!(stbs.len() <= limit, "card {card}: {stbs:?}");
            for stb in stbs {
                *cards_of.entry(stb).or_default() += 1;
            }
        }
        let limit = usize::from(self.widest.cards_per_stb);
        let fits = |(_, cards): (_, &usize)| *cards <= limit;
        assert!(cards_of.iter().all(fits), "too many cards: {cards_of:?}");
    }
}
