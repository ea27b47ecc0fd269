//! One table: which method of the CRM makes which type of request, and what the provider's mapping must be able to do for it.
//!
//! `http/crm/` takes names and types from here, `actions/ask.rs` and dispatch the capability. What a method's parameters are
//! is told in `http/crm/`.

use super::Action;

/// The way to one action.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// The last part of the path.
    pub name: &'static str,
    /// What show and list call a request of it. Of the pair it is public (489741), of the others ours by its pattern.
    pub request_type: &'static str,
    /// In "the provider cannot ...".
    pub words: &'static str,
    pub needs: Capability,
}

/// What a mapping declares in `caps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    Pair,
    Unpair,
    Products,
    Pin,
}

impl Method {
    /// The table.
    pub fn of(action: Action) -> Self {
        match action {
            Action::Pair => Self {
                name: "pair_smartcard_decoder",
                request_type: "PAIR_SMARTCARD_DECODER",
                words: "pair",
                needs: Capability::Pair,
            },
            Action::Unpair => Self {
                name: "pair_smartcard_decoder",
                request_type: "PAIR_SMARTCARD_DECODER",
                words: "unpair",
                needs: Capability::Unpair,
            },
            Action::AddProducts => Self {
                name: "add_enhanced_list_of_products",
                request_type: "ADD_ENHANCED_LIST_OF_PRODUCTS",
                words: "add products",
                needs: Capability::Products,
            },
            Action::CancelProducts => Self {
                name: "cancel_enhanced_list_of_products",
                request_type: "CANCEL_ENHANCED_LIST_OF_PRODUCTS",
                words: "cancel products",
                needs: Capability::Products,
            },
            Action::ResetPin => Self {
                name: "set_pin_code_to_default_value",
                request_type: "SET_PIN_CODE_TO_DEFAULT_VALUE",
                words: "set a PIN to its default",
                needs: Capability::Pin,
            },
        }
    }

    /// What requests of this type ask for; nothing if there is no such type.
    pub fn actions_of(request_type: &str) -> Vec<Action> {
        let is_of_type = |action: &Action| Self::of(*action).request_type == request_type;
        Action::ALL.into_iter().filter(is_of_type).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_of_a_pairing_are_one_type() {
        assert_eq!(
            Method::actions_of("PAIR_SMARTCARD_DECODER"),
            [Action::Pair, Action::Unpair]
        );
        assert_eq!(
            Method::actions_of("SET_PIN_CODE_TO_DEFAULT_VALUE"),
            [Action::ResetPin]
        );
        assert_eq!(Method::actions_of("CREATE_PAIRING"), []);
    }
}
