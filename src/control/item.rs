//! Verbs about items: register a chunk, list, show, blacklist.

use serde::{Deserialize, Serialize};

use super::error::refusal_hint;
use super::{ControlContext, ControlError, PAGE_ROWS_MAX, Page, Verb};
use crate::actions::items::{ItemDetails, ItemFilter, ItemRow};
use crate::actions::register::CHUNK_ROWS;
use crate::domain::items::{NewItem, Registered};
use crate::domain::{ItemIdentifier, PublicId, Refusal};

/// Names an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemNamed {
    Id(PublicId),
    SerialNumber(String),
    AlternativeCode(String),
}

impl From<ItemNamed> for ItemIdentifier {
    fn from(named: ItemNamed) -> Self {
        match named {
            ItemNamed::Id(id) => Self::Id(id),
            ItemNamed::SerialNumber(text) => Self::SerialNumber(text),
            ItemNamed::AlternativeCode(text) => Self::AlternativeCode(text),
        }
    }
}

/// At most [`CHUNK_ROWS`] items.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemsAsk {
    pub items: Vec<NewItem>,
    pub may_update: bool,
    pub is_dry_run: bool,
}

/// How one row of a registration ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowEnd {
    Added,
    Changed,
    Unchanged,
    Refused {
        /// The field at fault; empty where it is the row as a whole.
        field: String,
        reason: String,
        /// The next command, where one helps.
        hint: Option<String>,
    },
}

impl RowEnd {
    pub(super) fn of<N>(row: Result<Registered<N>, Refusal>) -> Self {
        match row {
            Ok(Registered::Added(_)) => Self::Added,
            Ok(Registered::Changed(_)) => Self::Changed,
            Ok(Registered::Unchanged(_)) => Self::Unchanged,
            Err(refusal) => Self::Refused {
                field: field_of(&refusal).to_owned(),
                reason: refusal.to_string(),
                hint: refusal_hint(&refusal),
            },
        }
    }
}

fn field_of(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Field { field, .. }
        | Refusal::ItemExists { field, .. }
        | Refusal::ItemDiffers { field, .. } => field,
        Refusal::CaIdBound { .. } => "ca_id",
        Refusal::IdTaken { .. } | Refusal::IdBound { .. } => "id",
        Refusal::SubscriptionDiffers { .. } => "life_cycle_state",
        _ => "",
    }
}

pub struct ItemRegister;

impl Verb for ItemRegister {
    const NAME: &'static str = "item.register";
    type Ask = ItemsAsk;
    type Answer = Vec<RowEnd>;

    fn run(context: &ControlContext, by: &str, ask: ItemsAsk) -> Result<Vec<RowEnd>, ControlError> {
        let found = ask.items.len();
        if found > CHUNK_ROWS {
            let limit = CHUNK_ROWS;
            return Err(ControlError::TooManyRows { limit, found });
        }
        let actions = &context.actions;
        let rows = if ask.is_dry_run {
            actions.try_items(&ask.items, ask.may_update)
        } else {
            actions.register_items(by, ask.items, ask.may_update)?
        };
        Ok(rows.into_iter().map(RowEnd::of).collect())
    }
}

/// Which items to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ItemListAsk {
    pub product: Option<String>,
    pub is_blacklisted: Option<bool>,
    pub after: u64,
    pub limit: usize,
    /// The CA IDs too as the mappings normalize them.
    #[serde(default)]
    pub with_normalized: bool,
}

pub struct ItemList;

impl Verb for ItemList {
    const NAME: &'static str = "item.list";
    type Ask = ItemListAsk;
    type Answer = Page<ItemRow>;

    fn run(
        context: &ControlContext,
        _by: &str,
        ask: ItemListAsk,
    ) -> Result<Page<ItemRow>, ControlError> {
        let limit = ask.limit.clamp(1, PAGE_ROWS_MAX);
        let mut rows = context.actions.list_items(&ItemFilter {
            product: ask.product,
            is_blacklisted: ask.is_blacklisted,
            after: ask.after,
            limit,
        });
        if ask.with_normalized {
            context.actions.normalize_ca_ids(&mut rows);
        }
        Ok(Page::of(rows, limit, |row| row.number))
    }
}

pub struct ItemShow;

impl Verb for ItemShow {
    const NAME: &'static str = "item.show";
    type Ask = ItemNamed;
    type Answer = ItemDetails;

    fn run(
        context: &ControlContext,
        _by: &str,
        ask: ItemNamed,
    ) -> Result<ItemDetails, ControlError> {
        let found = context.actions.one_item(&ask.into())?;
        Ok(context.actions.item_details(&found))
    }
}

/// Puts an item on the blacklist or takes it off.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BlacklistAsk {
    pub item: ItemNamed,
    pub is_blacklisted: bool,
    pub reason: String,
}

pub struct ItemBlacklist;

impl Verb for ItemBlacklist {
    const NAME: &'static str = "item.blacklist";
    type Ask = BlacklistAsk;
    /// Whether anything changed.
    type Answer = bool;

    fn run(context: &ControlContext, by: &str, ask: BlacklistAsk) -> Result<bool, ControlError> {
        let found = context.actions.one_item(&ask.item.into())?;
        let changed =
            context
                .actions
                .blacklist(by, found.number, ask.is_blacklisted, &ask.reason)?;
        Ok(changed)
    }
}
