//! What a request asks of the CAS: a pairing, its end, or a change of the card that touches no pairing.
//!
//! Every rule that must tell these apart asks `Action`. No STB means an unpair only where the card is not to be changed.

use serde::{Deserialize, Serialize};

use super::ItemNumber;

/// What is asked for, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Pair,
    Unpair,
    AddProducts,
    CancelProducts,
    ResetPin,
}

impl Action {
    pub const ALL: [Self; 5] = [
        Self::Pair,
        Self::Unpair,
        Self::AddProducts,
        Self::CancelProducts,
        Self::ResetPin,
    ];

    /// The action of a request with these parts.
    pub fn of(stb: Option<ItemNumber>, card_change: Option<&CardChange>) -> Self {
        match (card_change, stb) {
            (Some(change), _) => change.action(),
            (None, Some(_)) => Self::Pair,
            (None, None) => Self::Unpair,
        }
    }

    /// Whether its acknowledgement changes the pairing of the card.
    pub fn changes_pairing(self) -> bool {
        matches!(self, Self::Pair | Self::Unpair)
    }

    /// The word that scripts read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Unpair => "unpair",
            Self::AddProducts => "add_products",
            Self::CancelProducts => "cancel_products",
            Self::ResetPin => "reset_pin",
        }
    }

    /// What is asked for, as an operator reads it; items by serial number.
    pub fn sentence(self, card: &str, stb: Option<&str>, products: &[impl AsRef<str>]) -> String {
        let products: Vec<&str> = products.iter().map(AsRef::as_ref).collect();
        let noun = if products.len() == 1 {
            "product"
        } else {
            "products"
        };
        let products = format!("{noun} {}", products.join(", "));
        match self {
            Self::Pair => format!("pair smartcard {card} with STB {}", stb.unwrap_or_default()),
            Self::Unpair => match stb {
                Some(stb) => format!("unpair smartcard {card} from STB {stb}"),
                None => format!("unpair smartcard {card}"),
            },
            Self::AddProducts => format!("add {products} to smartcard {card}"),
            Self::CancelProducts => format!("cancel {products} of smartcard {card}"),
            Self::ResetPin => format!("set the PIN of smartcard {card} to its default"),
        }
    }
}

/// A change of the card beside its pairing, with what it needs. Products are the CAS's own names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardChange {
    AddProducts(Vec<Box<str>>),
    CancelProducts(Vec<Box<str>>),
    ResetPin,
}

/// Most products of one request: each is a step of its plan.
pub const PRODUCTS_MAX: usize = 64;

impl CardChange {
    pub fn action(&self) -> Action {
        match self {
            Self::AddProducts(_) => Action::AddProducts,
            Self::CancelProducts(_) => Action::CancelProducts,
            Self::ResetPin => Action::ResetPin,
        }
    }

    pub fn products(&self) -> &[Box<str>] {
        match self {
            Self::AddProducts(products) | Self::CancelProducts(products) => products,
            Self::ResetPin => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stb_is_an_unpair_only_where_the_card_is_not_changed() {
        let stb = Some(ItemNumber(1));
        assert_eq!(Action::of(stb, None), Action::Pair);
        assert_eq!(Action::of(None, None), Action::Unpair);
        for (change, action) in [
            (
                CardChange::AddProducts(vec!["A".into()]),
                Action::AddProducts,
            ),
            (
                CardChange::CancelProducts(vec!["A".into()]),
                Action::CancelProducts,
            ),
            (CardChange::ResetPin, Action::ResetPin),
        ] {
            assert_eq!(Action::of(None, Some(&change)), action);
            assert!(!action.changes_pairing());
        }
    }

    #[test]
    fn an_action_is_recorded_by_the_word_that_scripts_read() {
        for action in Action::ALL {
            let recorded = serde_json::to_value(action).unwrap();
            assert_eq!(recorded, action.word());
        }
        let change = CardChange::AddProducts(vec!["SPORT".into()]);
        let recorded = serde_json::to_string(&change).unwrap();
        assert_eq!(recorded, r#"{"add_products":["SPORT"]}"#);
    }
}
