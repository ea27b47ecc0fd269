//! What a row may want done, as the script says it.

use rhai::{Dynamic, Map};

use crate::domain::event::SubscriptionFields;
use crate::domain::items::NewItem;
use crate::domain::{Priority, PublicId};
use crate::script::value::{Fields, Read, Wrong, show, text_of};

/// Longest text that names something, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// How a row ended in the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowActs {
    Acts(Vec<RowAct>),
    Skipped(String),
    Failed(String),
}

impl RowActs {
    /// How long its texts are together.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Acts(acts) => acts.iter().map(RowAct::text_bytes).sum(),
            Self::Skipped(why) | Self::Failed(why) => why.len(),
        }
    }
}

impl RowAct {
    fn text_bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Self::Pair(act) => {
                let named = [Some(&act.card), act.stb.as_ref(), act.options.from.as_ref()];
                let named = named.into_iter().flatten().map(|named| named.value.len());
                let options = &act.options;
                let options = [
                    &options.subscription,
                    &options.scheduled_date,
                    &options.expects,
                ];
                named.chain(options.map(length)).sum()
            }
            Self::RegisterItem { item, .. } => {
                let texts = [
                    &item.product,
                    &item.serial_number,
                    &item.alternative_code,
                    &item.notes,
                ];
                texts.map(String::len).into_iter().sum::<usize>() + length(&item.ca_id)
            }
            Self::RegisterSubscription { subscription, .. } => {
                subscription.number.len() + subscription.life_cycle_state.len()
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowAct {
    Pair(PairAct),
    RegisterItem {
        item: NewItem,
        may_update: bool,
    },
    RegisterSubscription {
        subscription: SubscriptionFields,
        may_update: bool,
    },
}

/// A pair, an unpair (no STB) or a swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairAct {
    pub card: Named,
    pub stb: Option<Named>,
    pub options: ActOptions,
    pub swaps: bool,
}

/// What may stand in the last argument of an act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActOptions {
    pub subscription: Option<String>,
    /// Local or with its zone, as on the command line.
    pub scheduled_date: Option<String>,
    pub priority: Option<Priority>,
    pub resend: bool,
    /// The serial number of the STB that the card must have before; empty: none.
    pub expects: Option<String>,
    /// Of an unpair: the only STB that is left.
    pub from: Option<Named>,
}

/// Names a card or an STB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub by: NamedBy,
    pub value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    SerialNumber,
    AlternativeCode,
    Id,
}

impl NamedBy {
    pub const ALL: [(&'static str, Self); 3] = [
        ("serial_number", Self::SerialNumber),
        ("alternative_code", Self::AlternativeCode),
        ("id", Self::Id),
    ];

    pub fn parse(word: &str) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|(name, _)| *name == word);
        found.map(|(_, by)| by)
    }
}

/// A text is a serial number; a map says what it is.
pub fn named(what: &'static str, value: &Dynamic) -> Read<Named> {
    if let Some(map) = value.read_lock::<Map>() {
        let mut fields = Fields::of(what, Dynamic::from_map(map.clone()))?;
        let word = fields.text("by")?.unwrap_or_default();
        let by = NamedBy::parse(&word)
            .ok_or_else(|| fields.wrong("by", "serial_number, alternative_code or id", &word))?;
        let value = fields
            .text("value")?
            .ok_or_else(|| fields.missing("value"))?;
        fields.finish()?;
        return Ok(Named {
            by,
            value: name_text(what, value)?,
        });
    }
    let text = text_of(value).ok_or_else(|| {
        Wrong::new(format!(
            "{what} must be a serial number or a map of by and value, found {}",
            show(value)
        ))
    })?;
    Ok(Named {
        by: NamedBy::SerialNumber,
        value: name_text(what, text)?,
    })
}

fn name_text(what: &'static str, text: String) -> Read<String> {
    if text.is_empty() {
        return Err(Wrong::new(format!("{what} is empty: expected a value")));
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(Wrong::new(format!(
            "{what} has {} bytes: expected at most {NAME_BYTES_MAX}",
            text.len()
        )));
    }
    Ok(text)
}

pub fn act_options(what: &'static str, value: Dynamic) -> Read<ActOptions> {
    let mut fields = Fields::of(what, value)?;
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let subscription = filled(fields.text("subscription")?);
    let scheduled_date = filled(fields.text("scheduled_date")?);
    let word = filled(fields.text("priority")?);
    let priority = word
        .map(|word| {
            Priority::parse(&word.to_ascii_uppercase())
                .ok_or_else(|| fields.wrong("priority", "REGULAR or EXPRESS", &word))
        })
        .transpose()?;
    let resend = fields.flag("resend")?.unwrap_or(false);
    let expects = fields.text("expects")?;
    let from = fields
        .take("from")
        .map(|stb| named("`from`", &stb))
        .transpose()?;
    if from.is_some() && what != "unpair()" {
        return Err(Wrong::new(format!(
            "{what} has no `from`: expected it in unpair() only"
        )));
    }
    fields.finish()?;
    Ok(ActOptions {
        subscription,
        scheduled_date,
        priority,
        resend,
        expects,
        from,
    })
}

pub fn item(value: Dynamic) -> Read<RowAct> {
    let mut fields = Fields::of("register_item()", value)?;
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let mut need = |key: &'static str| {
        let text = filled(fields.text(key)?);
        text.ok_or_else(|| Wrong::new(format!("register_item() has no `{key}`, or an empty one")))
    };
    let product = need("product")?;
    let serial_number = need("serial_number")?;
    let alternative_code = need("alternative_code")?;
    let ca_id = filled(fields.text("ca_id")?);
    let state = filled(fields.text("state")?);
    let is_effective = match state.as_deref() {
        None | Some("EFFECTIVE") => true,
        Some("NOT_EFFECTIVE") => false,
        Some(other) => {
            return Err(fields.wrong("state", "EFFECTIVE or NOT_EFFECTIVE", other));
        }
    };
    let id = public_id(&mut fields)?;
    let notes = fields.text("notes")?.unwrap_or_default();
    let may_update = fields.flag("update")?.unwrap_or(false);
    fields.finish()?;
    Ok(RowAct::RegisterItem {
        item: NewItem {
            product,
            serial_number,
            alternative_code,
            ca_id,
            is_effective,
            id,
            notes,
        },
        may_update,
    })
}

pub fn subscription(value: Dynamic) -> Read<RowAct> {
    let mut fields = Fields::of("register_subscription()", value)?;
    let number = fields
        .text("number")?
        .filter(|number| !number.is_empty())
        .ok_or_else(|| fields.missing("number"))?;
    let life_cycle_state = fields.text("life_cycle_state")?;
    let id = public_id(&mut fields)?;
    let may_update = fields.flag("update")?.unwrap_or(false);
    fields.finish()?;
    Ok(RowAct::RegisterSubscription {
        subscription: SubscriptionFields {
            number,
            life_cycle_state: life_cycle_state
                .filter(|state| !state.is_empty())
                .unwrap_or_else(|| "EFFECTIVE".to_owned()),
            id,
        },
        may_update,
    })
}

fn public_id(fields: &mut Fields) -> Read<Option<PublicId>> {
    let Some(text) = fields.text("id")?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let id = PublicId::parse(&text);
    id.map(Some)
        .ok_or_else(|| fields.wrong("id", "32 hex digits", &text))
}
