//! The functions that a job's `row` may call: acts that are recorded, endings, look-ups.
//!
//! They are registered once on the shared engine and find the row that they belong to in a thread-local, which lives as long
//! as the call.

use std::cell::RefCell;
use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult, Map, Position};
use serde_json::Value;

use super::acts::{self, ActOptions, Named, NamedBy, PairAct, RowAct, RowActs};
use crate::domain::job::ROW_ACTS_MAX;
use crate::script::definitions::Function;
use crate::script::value::{Read, Wrong, from_json};

/// What a look-up looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    Item,
    Pairing,
    Holder,
    Subscription,
    Request,
}

/// Finds what is committed.
pub trait Finder: Send + Sync {
    /// None: there is none. An error's text becomes the script's.
    fn find(&self, what: Lookup, named: &Named) -> Result<Option<Value>, String>;
}

struct Row {
    acts: Vec<RowAct>,
    ended: Option<RowActs>,
    finder: Arc<dyn Finder>,
}

thread_local! {
    static ROW: RefCell<Option<Row>> = const { RefCell::new(None) };
}

/// A row's call under way on this thread.
pub(super) struct RowContext(());

impl RowContext {
    pub(super) fn begin(finder: Arc<dyn Finder>) -> Self {
        let row = Row {
            acts: Vec::new(),
            ended: None,
            finder,
        };
        ROW.set(Some(row));
        Self(())
    }

    /// What the row wants.
    pub(super) fn end() -> RowActs {
        match ROW.take() {
            Some(row) => row.ended.unwrap_or(RowActs::Acts(row.acts)),
            None => RowActs::Acts(Vec::new()),
        }
    }
}

impl Drop for RowContext {
    fn drop(&mut self) {
        ROW.set(None);
    }
}

type Called = Result<(), Box<EvalAltResult>>;
type Found = Result<Dynamic, Box<EvalAltResult>>;

/// Every function of a job script, for the editors' file.
pub(crate) const FUNCTIONS: &[Function] = &[
    Function::new(
        "pair",
        "card, stb",
        "Asks for the card to be paired with the STB. A text is a serial number, `named(by, value)` anything else. Unchanged if it is so already. At most 16 acts a row.",
    ),
    Function::new(
        "pair",
        "card, stb, options",
        "The same with `#{ subscription, scheduled_date, priority, resend, expects }`: the subscription's number, a local date and time, REGULAR or EXPRESS, whether to send it even if it is so already, and the serial number of the STB that the card must have when its turn comes (\"\": none), or the row fails.",
    ),
    Function::new(
        "unpair",
        "card",
        "Asks for the card to be unpaired from every STB that it has then. Unchanged if it has none.",
    ),
    Function::new(
        "unpair",
        "card, options",
        "The same with the options of `pair`, and with `from`: the only STB that the card leaves, where it may have several.",
    ),
    Function::new(
        "swap",
        "card, stb",
        "Asks for the card to leave every STB that it has for this one, and fails the row if it has none to leave. Where a card may have one STB only, `pair` moves it too.",
    ),
    Function::new(
        "swap",
        "card, stb, options",
        "The same with the options of `pair`.",
    ),
    Function::new(
        "register_item",
        "item",
        "Registers a smartcard or STB: `#{ product, serial_number, alternative_code, ca_id, state, id, notes, update }`; the first three are needed, `update` allows to change one that is there.",
    ),
    Function::new(
        "register_subscription",
        "subscription",
        "Registers a subscription: `#{ number, life_cycle_state, id, update }`; only the number is needed.",
    ),
    Function::new(
        "skip",
        "reason",
        "Ends the row as skipped, for a reason of at most 300 bytes; nothing of it is done.",
    ),
    Function::new(
        "fail",
        "reason",
        "Ends the row as failed, for a reason of at most 300 bytes; nothing of it is done.",
    ),
    Function::new(
        "named",
        "by, value",
        "Names a card or STB by `serial_number`, `alternative_code` or `id`.",
    ),
    Function::new(
        "find_item",
        "item",
        "The card or STB as it is committed: `#{ serial_number, alternative_code, ca_id, product, kind, is_effective, is_blacklisted, paired_with, pending }`; () if there is none.",
    ),
    Function::new(
        "find_pairing",
        "card",
        "The card's pairing: `#{ card, stb, stbs, in_doubt, pending }`; () if it never had one. `stb` is the first of `stbs`, () after an unpair.",
    ),
    Function::new(
        "holder_of",
        "stb",
        "The card that holds the STB, as `find_item` tells it; () if none does. Of several the one that was confirmed last.",
    ),
    Function::new(
        "find_subscription",
        "number",
        "The subscription: `#{ number, life_cycle_state }`; () if there is none.",
    ),
    Function::new(
        "find_request",
        "number",
        "The request: `#{ number, state, action, card, stb, job }`; () if there is none. action: pair, unpair, add_products, cancel_products or reset_pin.",
    ),
];

/// Puts the functions on an engine.
pub(crate) fn register(engine: &mut Engine) {
    engine.register_fn("pair", |card: Dynamic, stb: Dynamic| -> Called {
        record(|| pair(&card, Some(&stb), ActOptions::default(), false))
    });
    engine.register_fn(
        "pair",
        |card: Dynamic, stb: Dynamic, options: Map| -> Called {
            record(|| pair(&card, Some(&stb), act_options("pair()", options)?, false))
        },
    );
    engine.register_fn("unpair", |card: Dynamic| -> Called {
        record(|| pair(&card, None, ActOptions::default(), false))
    });
    engine.register_fn("unpair", |card: Dynamic, options: Map| -> Called {
        record(|| pair(&card, None, act_options("unpair()", options)?, false))
    });
    engine.register_fn("swap", |card: Dynamic, stb: Dynamic| -> Called {
        record(|| pair(&card, Some(&stb), ActOptions::default(), true))
    });
    engine.register_fn(
        "swap",
        |card: Dynamic, stb: Dynamic, options: Map| -> Called {
            record(|| pair(&card, Some(&stb), act_options("swap()", options)?, true))
        },
    );
    engine.register_fn("register_item", |item: Map| -> Called {
        record(|| acts::item(Dynamic::from_map(item)))
    });
    engine.register_fn("register_subscription", |subscription: Map| -> Called {
        record(|| acts::subscription(Dynamic::from_map(subscription)))
    });
    engine.register_fn("skip", |reason: &str| -> Called {
        end(RowActs::Skipped(reason.to_owned()))
    });
    engine.register_fn("fail", |reason: &str| -> Called {
        end(RowActs::Failed(reason.to_owned()))
    });
    engine.register_fn("named", |by: &str, value: &str| -> Found {
        if NamedBy::parse(by).is_none() {
            let message =
                format!("named(): expected serial_number, alternative_code or id, found `{by}`");
            return Err(thrown(message));
        }
        let mut map = Map::new();
        map.insert("by".into(), by.into());
        map.insert("value".into(), value.into());
        Ok(Dynamic::from_map(map))
    });
    for (name, what) in [
        ("find_item", Lookup::Item),
        ("find_pairing", Lookup::Pairing),
        ("holder_of", Lookup::Holder),
        ("find_subscription", Lookup::Subscription),
        ("find_request", Lookup::Request),
    ] {
        engine.register_fn(name, move |value: Dynamic| -> Found {
            find(what, name, &value)
        });
    }
}

fn act_options(what: &'static str, options: Map) -> Read<ActOptions> {
    acts::act_options(what, Dynamic::from_map(options))
}

fn pair(card: &Dynamic, stb: Option<&Dynamic>, options: ActOptions, swaps: bool) -> Read<RowAct> {
    Ok(RowAct::Pair(PairAct {
        card: acts::named("the card", card)?,
        stb: stb.map(|stb| acts::named("the STB", stb)).transpose()?,
        options,
        swaps,
    }))
}

fn record(act: impl FnOnce() -> Read<RowAct>) -> Called {
    let act = act().map_err(wrong)?;
    ROW.with_borrow_mut(|row| {
        let Some(row) = row else {
            return Err(thrown("only `row` can ask for something".to_owned()));
        };
        if row.acts.len() == ROW_ACTS_MAX {
            return Err(thrown(format!(
                "a row asks for at most {ROW_ACTS_MAX} things"
            )));
        }
        row.acts.push(act);
        Ok(())
    })
}

/// Ends the call for good: a termination is nothing that a script can catch.
fn end(ending: RowActs) -> Called {
    ROW.with_borrow_mut(|row| match row {
        Some(row) => {
            row.ended.get_or_insert(ending);
            Err(EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE).into())
        }
        None => Err(thrown("only `row` can end a row".to_owned())),
    })
}

fn find(what: Lookup, name: &'static str, value: &Dynamic) -> Found {
    let named = acts::named(name, value).map_err(wrong)?;
    let finder = ROW.with_borrow(|row| row.as_ref().map(|row| row.finder.clone()));
    let Some(finder) = finder else {
        return Err(thrown(format!("only `row` can call {name}()")));
    };
    let found = finder.find(what, &named).map_err(thrown)?;
    Ok(found.as_ref().map_or(Dynamic::UNIT, from_json))
}

#[expect(
    clippy::unnecessary_box_returns,
    reason = "as rhai's own results have it"
)]
fn wrong(wrong: Wrong) -> Box<EvalAltResult> {
    thrown(match wrong.hint {
        Some(hint) => format!("{}; {hint}", wrong.message),
        None => wrong.message,
    })
}

#[expect(
    clippy::unnecessary_box_returns,
    reason = "as rhai's own results have it"
)]
pub(crate) fn thrown(message: String) -> Box<EvalAltResult> {
    EvalAltResult::ErrorRuntime(message.into(), Position::NONE).into()
}

/// As a text names one: by its serial number.
impl From<&str> for Named {
    fn from(value: &str) -> Self {
        Self {
            by: NamedBy::SerialNumber,
            value: value.to_owned(),
        }
    }
}
