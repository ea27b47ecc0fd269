//! A few STBs in order, each once: those that a card has or leaves.
//!
//! As JSON nothing is `null` and one is its number, as it was when a card had one STB at most; several are a list.

use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::ItemNumber;

/// An ordered set of STBs. One takes no memory of its own.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Stbs(SmallVec<[ItemNumber; 1]>);

impl Stbs {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = ItemNumber> + '_ {
        self.0.iter().copied()
    }

    pub fn first(&self) -> Option<ItemNumber> {
        self.0.first().copied()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, stb: ItemNumber) -> bool {
        self.0.contains(&stb)
    }

    /// These and `stb`, which comes last if it is new.
    #[must_use]
    pub fn with(mut self, stb: ItemNumber) -> Self {
        if !self.contains(stb) {
            self.0.push(stb);
        }
        self
    }

    #[must_use]
    pub fn without(mut self, stb: ItemNumber) -> Self {
        self.0.retain(|other| *other != stb);
        self
    }
}

impl FromIterator<ItemNumber> for Stbs {
    fn from_iter<I: IntoIterator<Item = ItemNumber>>(stbs: I) -> Self {
        stbs.into_iter().fold(Self::new(), Self::with)
    }
}

impl IntoIterator for Stbs {
    type Item = ItemNumber;
    type IntoIter = smallvec::IntoIter<[ItemNumber; 1]>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Option<ItemNumber>> for Stbs {
    fn from(stb: Option<ItemNumber>) -> Self {
        stb.into_iter().collect()
    }
}

impl fmt::Debug for Stbs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Stbs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (serializer.is_human_readable(), self.0.as_slice()) {
            (true, []) => serializer.serialize_none(),
            (true, [one]) => one.serialize(serializer),
            (_, all) => {
                let mut list = serializer.serialize_seq(Some(all.len()))?;
                for stb in all {
                    list.serialize_element(stb)?;
                }
                list.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Stbs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(StbsVisitor)
        } else {
            deserializer.deserialize_seq(StbsVisitor)
        }
    }
}

struct StbsVisitor;

impl<'de> Visitor<'de> for StbsVisitor {
    type Value = Stbs;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("null, the number of an STB or a list of such")
    }

    fn visit_unit<E>(self) -> Result<Stbs, E> {
        Ok(Stbs::new())
    }

    fn visit_none<E>(self) -> Result<Stbs, E> {
        Ok(Stbs::new())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Stbs, E> {
        Ok(Some(ItemNumber(number)).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Stbs, A::Error> {
        let mut stbs = Stbs::new();
        while let Some(stb) = list.next_element()? {
            stbs = stbs.with(stb);
        }
        Ok(stbs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[u64]) -> Stbs {
        numbers.iter().copied().map(ItemNumber).collect()
    }

    #[test]
    fn none_and_one_are_written_as_ever_and_several_as_a_list() {
        for (stbs, text) in [
            (of(&[]), "null"),
            (of(&[7]), "7"),
            (of(&[9, 3, 9]), "[9,3]"),
        ] {
            assert_eq!(serde_json::to_string(&stbs).unwrap(), text);
            assert_eq!(serde_json::from_str::<Stbs>(text).unwrap(), stbs);
            let row = postcard::to_allocvec(&stbs).unwrap();
            assert_eq!(postcard::from_bytes::<Stbs>(&row).unwrap(), stbs);
        }
    }

    #[test]
    fn what_comes_again_keeps_its_place() {
        assert_eq!(of(&[1, 2]).with(ItemNumber(1)), of(&[1, 2]));
        assert_eq!(of(&[1, 2]).without(ItemNumber(1)), of(&[2]));
    }
}
