//! Verbs about pairings: list, show, history.

use serde::{Deserialize, Serialize};

use super::{ControlContext, ControlError, ItemNamed, PAGE_ROWS_MAX, Page, Verb};
use crate::actions::history::PairingHistory;
use crate::actions::pairings::PairingRow;

/// Which pairings to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PairingListAsk {
    pub after: u64,
    pub limit: usize,
    /// Cards without an STB too.
    pub with_freed: bool,
}

pub struct PairingList;

impl Verb for PairingList {
    const NAME: &'static str = "pairing.list";
    type Ask = PairingListAsk;
    type Answer = Page<PairingRow>;

    fn run(
        context: &ControlContext,
        _by: &str,
        ask: PairingListAsk,
    ) -> Result<Page<PairingRow>, ControlError> {
        let limit = ask.limit.clamp(1, PAGE_ROWS_MAX);
        let rows = context
            .actions
            .list_pairings(ask.after, limit, ask.with_freed);
        Ok(Page::of(rows, limit, |row| row.card_number))
    }
}

pub struct PairingShow;

impl Verb for PairingShow {
    const NAME: &'static str = "pairing.show";
    type Ask = ItemNamed;
    /// More than one only where the CAS confirmed a conflict.
    type Answer = Vec<PairingRow>;

    fn run(
        context: &ControlContext,
        _by: &str,
        ask: ItemNamed,
    ) -> Result<Vec<PairingRow>, ControlError> {
        let found = context.actions.one_item(&ask.into())?;
        Ok(context.actions.pairings_of(found.number))
    }
}

pub struct PairingHistoryOf;

impl Verb for PairingHistoryOf {
    const NAME: &'static str = "pairing.history";
    type Ask = ItemNamed;
    type Answer = PairingHistory;

    fn run(
        context: &ControlContext,
        _by: &str,
        ask: ItemNamed,
    ) -> Result<PairingHistory, ControlError> {
        let found = context.actions.one_item(&ask.into())?;
        Ok(context.actions.pairing_history(found.number))
    }
}
