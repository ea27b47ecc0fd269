//! Who is where around a request, as a mapping is told: the STBs of its card, and the other cards of the STBs that it joins or leaves.
//!
//! Looked up with the state and no script, normalized with the script and no state: no lock is held over a script.

use super::Provider;
use crate::domain::{ItemKind, ItemNumber, Standing, Stbs, View};
use crate::script::ScriptError;
use crate::script::contract::{Left, Neighbours};

/// The neighbours of a request by the CA IDs that their items were registered with.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    card_stbs: Vec<String>,
    stb_cards: Vec<String>,
    leaves: Vec<Left>,
}

impl Looked {
    /// Looks up what the CAS acknowledged last. Of the other cards those that are beyond doubt: a command for this card puts none
    /// of the others back. Those of other providers are another CAS's.
    pub fn up(
        view: &dyn View,
        provider: &Provider,
        card: ItemNumber,
        stb: Option<ItemNumber>,
        leaves: &Stbs,
    ) -> Self {
        let ca_id = |number| Some(view.item(number)?.identifiers.ca_id().to_owned());
        let is_ours = |number: ItemNumber| {
            let product = view
                .item(number)
                .and_then(|item| view.product(item.product));
            product.is_some_and(|product| {
                provider.classify(&product.code) == Some(ItemKind::Smartcard)
            })
        };
        let others = |stb: ItemNumber| -> Vec<String> {
            let is_confirmed = |other: &ItemNumber| {
                let link = view.pairing(*other).and_then(|pairing| pairing.link(stb));
                link.is_some_and(|link| link.standing == Standing::Confirmed)
            };
            let others = view.holders(stb).into_iter();
            let others = others.filter(|other| *other != card && is_confirmed(other));
            others
                .filter(|other| is_ours(*other))
                .filter_map(ca_id)
                .collect()
        };
        let acknowledged = |pairing: crate::domain::Pairing| {
            let stbs = pairing.acknowledged();
            stbs.filter_map(ca_id).collect()
        };
        Self {
            card_stbs: view.pairing(card).map_or_else(Vec::new, acknowledged),
            stb_cards: stb.map_or_else(Vec::new, others),
            leaves: leaves
                .iter()
                .filter_map(|left| {
                    Some(Left {
                        stb: ca_id(left)?,
                        cards: others(left),
                    })
                })
                .collect(),
        }
    }

    /// As the mapping normalizes them.
    pub fn normalized(self, provider: &Provider) -> Result<Neighbours, ScriptError> {
        let all = |kind: ItemKind, ca_ids: Vec<String>| -> Result<Vec<String>, ScriptError> {
            let normalize = |ca_id: String| {
                let settings = &provider.settings;
                provider.mapping.normalize(kind, &ca_id, settings)
            };
            ca_ids.into_iter().map(normalize).collect()
        };
        let mut leaves = Vec::with_capacity(self.leaves.len());
        for Left { stb, cards } in self.leaves {
            let settings = &provider.settings;
            leaves.push(Left {
                stb: provider.mapping.normalize(ItemKind::Stb, &stb, settings)?,
                cards: all(ItemKind::Smartcard, cards)?,
            });
        }
        Ok(Neighbours {
            card_stbs: all(ItemKind::Stb, self.card_stbs)?,
            stb_cards: all(ItemKind::Smartcard, self.stb_cards)?,
            leaves,
        })
    }
}
