//! Everything of a kind, one by one, page after page: `for item in items()`.

use std::collections::VecDeque;

use rhai::{Dynamic, Engine, EvalAltResult, Map};
use serde_json::{Value, json};

use super::ask::{merge, options};
use super::hosted;
use super::verbs::PAGE;
use crate::script::definitions::Function;
use crate::script::job::thrown;
use crate::script::value::from_json;

/// A function that gives all of a kind.
struct Listing {
    name: &'static str,
    verb: &'static str,
    defaults: &'static str,
    doc: &'static str,
}

const LISTINGS: [Listing; 4] = [
    Listing {
        name: "items",
        verb: "item.list",
        defaults: r#"{"after": 0, "limit": 500, "product": null, "is_blacklisted": null, "with_normalized": false}"#,
        doc: "Every item, for a `for` loop; options as of `item_list`, and they may be left out, here and in the others.",
    },
    Listing {
        name: "subscriptions",
        verb: "subscription.list",
        defaults: PAGE,
        doc: "Every subscription, for a `for` loop.",
    },
    Listing {
        name: "requests",
        verb: "request.list",
        defaults: r#"{"after": 0, "limit": 500, "state": null, "job": null}"#,
        doc: "Every request, oldest first, for a `for` loop; options as of `request_list`.",
    },
    Listing {
        name: "pairings",
        verb: "pairing.list",
        defaults: r#"{"after": 0, "limit": 500, "with_freed": false}"#,
        doc: "Every pairing, for a `for` loop; options as of `pairing_list`.",
    },
];

pub(super) fn functions() -> impl Iterator<Item = Function> {
    LISTINGS.iter().flat_map(|listing| {
        ["", "options"].map(|given| Function::new(listing.name, given, listing.doc))
    })
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    LISTINGS.iter().map(|listing| listing.name)
}

type Row = Result<Dynamic, Box<EvalAltResult>>;

/// What the script loops over: the ask of the next page.
#[derive(Clone)]
struct Pages {
    verb: &'static str,
    ask: Value,
}

impl Pages {
    fn begin(listing: &Listing, given: Option<Map>) -> Result<Self, Box<EvalAltResult>> {
        let given = given.map(Dynamic::from_map);
        let ask = options(listing.defaults, given.as_ref()).map_err(thrown)?;
        let verb = listing.verb;
        Ok(Self { verb, ask })
    }
}

impl IntoIterator for Pages {
    type Item = Row;
    type IntoIter = PagedRows;

    fn into_iter(self) -> PagedRows {
        PagedRows {
            pages: self,
            page: VecDeque::new(),
            is_last: false,
        }
    }
}

/// One page is held.
struct PagedRows {
    pages: Pages,
    page: VecDeque<Value>,
    is_last: bool,
}

impl PagedRows {
    fn turn(&mut self) -> Result<(), Box<EvalAltResult>> {
        let Pages { verb, ask } = &mut self.pages;
        let mut answer = hosted()?.call(verb, ask.clone()).map_err(thrown)?;
        if let Some(Value::Array(rows)) = answer.get_mut("rows").map(Value::take) {
            self.page = rows.into();
        }
        match answer.get("next") {
            Some(next) if !next.is_null() => merge(ask, json!({ "after": next })),
            _ => self.is_last = true,
        }
        Ok(())
    }
}

impl Iterator for PagedRows {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        loop {
            if let Some(row) = self.page.pop_front() {
                return Some(Ok(from_json(&row)));
            }
            if self.is_last {
                return None;
            }
            if let Err(error) = self.turn() {
                self.is_last = true;
                return Some(Err(error));
            }
        }
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Pages>("Pages");
    engine.register_iterator_result::<Pages, Dynamic>();
    for listing in &LISTINGS {
        engine.register_fn(listing.name, move || Pages::begin(listing, None));
        engine.register_fn(listing.name, move |given: Map| {
            Pages::begin(listing, Some(given))
        });
    }
}
