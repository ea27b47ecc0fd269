//! What the hooks of a mapping are given: request, step and context as values of the script.
//!
//! Made or copied for every call, so that no script can change them for the next. What comes from outside is looked at here too:
//! nothing in it may name a secret. `mapping.rs` and `session.rs` call it.

use rhai::{Dynamic, Map};

use super::codec::yyyymmdd;
use super::contract::{Action, Confirms, EncodeContext, MappingRequest, Step};
use super::settings::Settings;
use super::value::from_json;

/// `request` of `validate`, `plan` and `query`.
pub(super) fn request_value(request: &MappingRequest) -> Dynamic {
    let mut map = Map::new();
    map.insert("action".into(), request.action.word().into());
    map.insert("number".into(), whole(request.number));
    map.insert("card".into(), request.card.as_str().into());
    map.insert("stb".into(), optional(request.stb.as_ref()));
    map.insert(
        "previous_stb".into(),
        optional(request.previous_stb.as_ref()),
    );
    let products = request.products.iter();
    let products: rhai::Array = products.map(|product| product.as_str().into()).collect();
    map.insert("products".into(), products.into());
    let around = &request.neighbours;
    map.insert("card_stbs".into(), texts(&around.card_stbs));
    map.insert("stb_cards".into(), texts(&around.stb_cards));
    map.insert("leaves".into(), leaves(request));
    Dynamic::from_map(map)
}

/// The STBs that the card leaves; a request that names only `previous_stb`, as a case may, leaves that one.
fn leaves(request: &MappingRequest) -> Dynamic {
    let left = |stb: &str, cards: &[String]| {
        let mut map = Map::new();
        map.insert("stb".into(), stb.into());
        map.insert("cards".into(), texts(cards));
        Dynamic::from_map(map)
    };
    let leaves = &request.neighbours.leaves;
    let all: rhai::Array = match (leaves.as_slice(), &request.previous_stb) {
        ([], Some(stb)) => vec![left(stb, &[])],
        (all, _) => all.iter().map(|at| left(&at.stb, &at.cards)).collect(),
    };
    all.into()
}

fn texts(texts: &[String]) -> Dynamic {
    let list: rhai::Array = texts.iter().map(|text| text.as_str().into()).collect();
    list.into()
}

/// `step` of `encode`.
pub(super) fn step_value(step: &Step) -> Dynamic {
    let confirms = match step.confirms {
        Confirms::Pair | Confirms::PairBeside => "pair",
        Confirms::Unpair => "unpair",
        Confirms::None => "none",
    };
    let mut map = Map::new();
    map.insert("confirms".into(), confirms.into());
    map.insert("card".into(), step.card.as_str().into());
    map.insert("stb".into(), optional(step.stb.as_ref()));
    map.insert("data".into(), from_json(&step.data));
    Dynamic::from_map(map)
}

/// `ctx` before a call: all its keys, and the settings. `now` is in Unix seconds, `date` eight digits in UTC.
pub(super) fn context_template(cfg: &Map) -> Map {
    let mut map = Map::new();
    for key in ["transaction", "now", "date", "lane"] {
        map.insert(key.into(), Dynamic::UNIT);
    }
    map.insert("cfg".into(), Dynamic::from_map(cfg.clone()));
    map
}

/// `ctx` of one call. To fill a copy of the template costs two thirds of what building the map does.
pub(super) fn context_value(context: &EncodeContext, cfg: &Settings) -> Dynamic {
    let now = context.now.to_utc();
    let mut map = cfg.context().clone();
    let mut set = |key, value| {
        if let Some(slot) = map.get_mut(key) {
            *slot = value;
        }
    };
    set("transaction", whole(context.transaction));
    set("now", now.timestamp().into());
    set("date", yyyymmdd(now).into());
    set("lane", i64::from(context.lane).into());
    Dynamic::from_map(map)
}

/// What comes from outside and goes into frames.
pub(super) fn request_values(request: &MappingRequest) -> impl Iterator<Item = &str> {
    let stbs = [request.stb.as_deref(), request.previous_stb.as_deref()];
    let products = request.products.iter().map(String::as_str);
    let around = &request.neighbours;
    let cards = around.leaves.iter().flat_map(|left| &left.cards);
    let stbs_left = around.leaves.iter().map(|left| &left.stb);
    let around = around.card_stbs.iter().chain(&around.stb_cards);
    std::iter::once(request.card.as_str())
        .chain(stbs.into_iter().flatten())
        .chain(products)
        .chain(around.chain(cards).chain(stbs_left).map(String::as_str))
}

/// A card, an STB or a product that would be taken for the name of a secret: frames name them so.
pub(super) fn names_a_secret<'a>(mut values: impl Iterator<Item = &'a str>) -> Option<String> {
    let found = values.find(|value| value.contains("{{"))?;
    Some(format!(
        "`{found}` holds `{{{{`, by which frames name secrets"
    ))
}

/// The plan of a mapping that has none.
pub(super) fn only_step(request: &MappingRequest) -> Step {
    let stb = match request.action {
        Action::Unpair => &request.previous_stb,
        _ => &request.stb,
    };
    Step {
        confirms: Confirms::of(request.action),
        card: request.card.clone(),
        stb: stb.clone(),
        leaves: None,
        data: serde_json::Value::Null,
    }
}

fn optional(text: Option<&String>) -> Dynamic {
    text.map_or(Dynamic::UNIT, |text| text.as_str().into())
}

fn whole(number: u64) -> Dynamic {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}
