//! What `pairbox mapping try` asks of a CAS: from the words of the command line to the request that the mapping sees.
//!
//! One word for each request of the contract (`domain/action.rs`), so that none can be tried in production only.

use clap::{Args, ValueEnum};

use super::super::error::CliError;
use crate::domain::action::PRODUCTS_MAX;
use crate::domain::{Action, ItemKind};
use crate::script::contract::{MappingRequest, Neighbours};
use crate::script::{Mapping, ScriptError, Settings};

#[derive(Args)]
pub struct AskedArgs {
    #[arg(value_enum)]
    action: ActionWord,
    /// The card as the CAS knows it
    card: String,
    /// For a pair or a query the STB; for an unpair the one that the card leaves, if the CAS must hear it; else the products, by the
    /// CAS's names
    #[arg(value_name = "STB_OR_PRODUCT")]
    others: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ActionWord {
    Pair,
    Unpair,
    AddProducts,
    CancelProducts,
    ResetPin,
    /// Whether the CAS holds the card with this STB, or without any
    Query,
}

impl ActionWord {
    /// Of a query: what would bring about what is asked for; with an STB behind the card it is a pair.
    fn action(self, has_stb: bool) -> Action {
        match self {
            Self::Pair => Action::Pair,
            Self::Query if has_stb => Action::Pair,
            Self::Unpair | Self::Query => Action::Unpair,
            Self::AddProducts => Action::AddProducts,
            Self::CancelProducts => Action::CancelProducts,
            Self::ResetPin => Action::ResetPin,
        }
    }

    /// How many words may stand behind the card, and what they are.
    fn others(self) -> (std::ops::RangeInclusive<usize>, &'static str) {
        match self {
            Self::Pair => (1..=1, "a card and an STB, as `pair CARD STB`"),
            Self::Unpair => (
                0..=1,
                "a card and at most the STB that it leaves, as `unpair CARD STB`",
            ),
            Self::AddProducts => (
                1..=PRODUCTS_MAX,
                "a card and 1 to 64 products, as `add-products CARD PRODUCT`",
            ),
            Self::CancelProducts => (
                1..=PRODUCTS_MAX,
                "a card and 1 to 64 products, as `cancel-products CARD PRODUCT`",
            ),
            Self::Query => (
                0..=1,
                "a card and at most the STB that it may be with, as `query CARD STB`",
            ),
            Self::ResetPin => (0..=0, "a card alone, as `reset-pin CARD`"),
        }
    }
}

impl AskedArgs {
    /// The request, its items as the mapping normalizes them; refused by name if the mapping does not declare it.
    pub fn request(
        &self,
        mapping: &Mapping,
        settings: &Settings,
    ) -> Result<MappingRequest, CliError> {
        let (count, expected) = self.action.others();
        if !count.contains(&self.others.len()) {
            return Err(CliError::Argument {
                what: "mapping try",
                expected,
                found: self.words(),
            });
        }
        let action = self.action.action(!self.others.is_empty());
        if !self.is_query() {
            mapping.check_offers(action, settings)?;
        } else if !mapping.description().caps.query {
            let mapping = mapping.name().to_owned();
            let action = "ask what the CAS holds";
            return Err(ScriptError::NotOffered { mapping, action }.into());
        }
        let mut request = MappingRequest {
            action,
            number: 0,
            card: mapping.normalize(ItemKind::Smartcard, &self.card, settings)?,
            stb: None,
            previous_stb: None,
            products: Vec::new(),
            neighbours: Neighbours::default(),
        };
        if action.changes_pairing() {
            let named = self.others.first();
            let stb = named.map(|stb| mapping.normalize(ItemKind::Stb, stb, settings));
            let stb = stb.transpose()?;
            match action {
                Action::Pair => request.stb = stb,
                _ => request.previous_stb = stb,
            }
        } else {
            request.products.clone_from(&self.others);
        }
        Ok(request)
    }

    /// Nothing is to be changed.
    pub fn is_query(&self) -> bool {
        self.action == ActionWord::Query
    }

    /// As it was typed, for the record.
    pub fn words(&self) -> String {
        let word = self.action.to_possible_value();
        let word = word.map_or_else(String::new, |word| word.get_name().to_owned());
        let mut words = vec![word, self.card.clone()];
        words.extend(self.others.iter().cloned());
        words.join(" ")
    }
}
