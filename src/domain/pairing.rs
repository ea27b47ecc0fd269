//! The relation of cards and STBs as the CAS acknowledged it, and how many of each may belong together.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{ItemNumber, Position, Stbs, Timestamp};

/// Links that one card keeps. Beyond, the oldest that was never confirmed is forgotten.
const LINKS_MAX: usize = 32;

/// A card's row: its STBs, each with what is known of it, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    links: SmallVec<[Link; 1]>,
    /// The instant of the event that set this row.
    pub since: Timestamp,
    /// The event that set this row; that event names the one before.
    pub recorded: Position,
}

/// A card and one STB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub stb: ItemNumber,
    pub standing: Standing,
    /// Since when it stands so.
    pub since: Timestamp,
}

/// How sure it is that the CAS holds a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The last answer about it confirmed it.
    Confirmed,
    /// It was confirmed, and a command that would end it may have been carried out.
    MayBeGone,
    /// It was never confirmed, and a command that would make it may have been carried out.
    MayBeHeld,
}

/// What an unanswered command may have left in the CAS, as an event says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Doubt {
    /// The card may be with this STB.
    MayHold(ItemNumber),
    /// The card may be without the STBs that it was with.
    MayBeFree,
    /// The card may be without this one of its STBs.
    MayHaveLeft(ItemNumber),
}

impl Pairing {
    /// A card without any STB, from the event at `recorded` on.
    pub fn free(since: Timestamp, recorded: Position) -> Self {
        Self {
            links: SmallVec::new(),
            since,
            recorded,
        }
    }

    pub fn links(&self) -> &[Link] {
        &self.links
    }

    pub fn link(&self, stb: ItemNumber) -> Option<Link> {
        self.links.iter().find(|link| link.stb == stb).copied()
    }

    /// The STBs that count as held by the card when others ask for them: those of every link, confirmed ones first.
    pub fn held(&self) -> Stbs {
        let never = |link: &&Link| link.standing == Standing::MayBeHeld;
        let doubtful = self.links.iter().filter(never).map(|link| link.stb);
        self.acknowledged().chain(doubtful).collect()
    }

    /// Whether a command may have made this link, and nothing ever confirmed it.
    pub fn was_never_confirmed(&self, stb: ItemNumber) -> bool {
        self.link(stb)
            .is_some_and(|link| link.standing == Standing::MayBeHeld)
    }

    /// The STBs that the CAS confirmed last, whatever is open about them.
    pub fn acknowledged(&self) -> impl Iterator<Item = ItemNumber> + '_ {
        let known = |link: &&Link| link.standing != Standing::MayBeHeld;
        self.links.iter().filter(known).map(|link| link.stb)
    }

    /// Whether an unpair has anything to undo.
    pub fn is_held(&self) -> bool {
        !self.links.is_empty()
    }

    pub fn is_in_doubt(&self) -> bool {
        self.links
            .iter()
            .any(|link| link.standing != Standing::Confirmed)
    }

    /// The event at `recorded` sets the row.
    #[must_use]
    pub fn at(mut self, since: Timestamp, recorded: Position) -> Self {
        (self.since, self.recorded) = (since, recorded);
        self
    }

    /// Confirms a link; it is the newest if it was not confirmed before.
    pub fn confirm(&mut self, stb: ItemNumber) {
        let confirmed = Link {
            stb,
            standing: Standing::Confirmed,
            since: self.since,
        };
        match self.links.iter_mut().find(|link| link.stb == stb) {
            Some(link) if link.standing == Standing::Confirmed => {}
            Some(link) if link.standing == Standing::MayBeGone => *link = confirmed,
            _ => {
                self.end(|link| link == stb);
                self.links.push(confirmed);
            }
        }
    }

    /// Ends the links to these STBs.
    pub fn end(&mut self, is_it: impl Fn(ItemNumber) -> bool) {
        self.links.retain(|link| !is_it(link.stb));
    }

    /// A command that would make this link may have been carried out. Of one that was confirmed it is open whether it still holds.
    pub fn may_hold(&mut self, stb: ItemNumber) {
        if self.link(stb).is_some() {
            return self.may_be_gone(|link| link == stb);
        }
        let standing = Standing::MayBeHeld;
        if self.links.len() >= LINKS_MAX
            && let Some(oldest) = self.links.iter().position(|link| link.standing == standing)
        {
            self.links.remove(oldest);
        }
        self.links.push(Link {
            stb,
            standing,
            since: self.since,
        });
    }

    /// A command that would end these links may have been carried out. That does not end the doubt about one that was never
    /// confirmed: its STB stays taken.
    pub fn may_be_gone(&mut self, is_it: impl Fn(ItemNumber) -> bool) {
        for link in &mut self.links {
            if link.standing == Standing::Confirmed && is_it(link.stb) {
                (link.standing, link.since) = (Standing::MayBeGone, self.since);
            }
        }
    }
}

/// How many STBs a card may have at once, and how many cards an STB: a provider's `stbs_per_card` and `cards_per_stb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cardinality {
    pub stbs_per_card: u8,
    pub cards_per_stb: u8,
}

impl Cardinality {
    pub const ONE_TO_ONE: Self = Self {
        stbs_per_card: 1,
        cards_per_stb: 1,
    };
    /// Most STBs of one card: an unpair of it stands in the queue of each.
    pub const STBS_MAX: u8 = 16;
    /// Most cards of one STB.
    pub const CARDS_MAX: u8 = 64;

    /// Whether a pair adds to what the card has; where it has one STB at most, it moves.
    pub fn adds(self) -> bool {
        self.stbs_per_card > 1
    }

    pub fn is_one_to_one(&self) -> bool {
        *self == Self::ONE_TO_ONE
    }
}

impl Default for Cardinality {
    fn default() -> Self {
        Self::ONE_TO_ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paired(stbs: &[u64]) -> Pairing {
        let mut pairing = Pairing::free(Timestamp::ZERO, Position::NONE);
        for stb in stbs {
            pairing.confirm(ItemNumber(*stb));
        }
        pairing
    }

    #[test]
    fn an_stb_of_doubt_is_held_behind_those_that_were_confirmed() {
        let mut pairing = paired(&[]);
        pairing.may_hold(ItemNumber(9));
        pairing.confirm(ItemNumber(1));
        assert_eq!(
            pairing.held(),
            [1, 9].into_iter().map(ItemNumber).collect::<Stbs>()
        );
        assert_eq!(pairing.acknowledged().collect::<Vec<_>>(), [ItemNumber(1)]);
        assert!(pairing.is_in_doubt());
        pairing.confirm(ItemNumber(9));
        assert!(!pairing.is_in_doubt());
    }

    #[test]
    fn what_may_be_gone_is_held_until_it_is_known() {
        let mut pairing = paired(&[1, 2]);
        pairing.may_be_gone(|stb| stb == ItemNumber(1));
        assert_eq!(pairing.held().len(), 2);
        let standings: Vec<_> = pairing.links().iter().map(|link| link.standing).collect();
        assert_eq!(standings, [Standing::MayBeGone, Standing::Confirmed]);
        pairing.end(|stb| stb == ItemNumber(1));
        assert!(!pairing.is_in_doubt());
    }

    #[test]
    fn doubts_without_end_do_not_push_out_what_was_confirmed() {
        let mut pairing = paired(&[1]);
        for stb in 2..200 {
            pairing.may_hold(ItemNumber(stb));
        }
        assert_eq!(pairing.links().len(), LINKS_MAX);
        assert!(pairing.link(ItemNumber(1)).is_some());
        assert!(pairing.link(ItemNumber(199)).is_some());
    }
}
