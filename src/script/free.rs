//! Free scripts, `main(args)`: an administrator's own, with every verb of the command line as a function.
//!
//! They run in the process that was called, as its client: one call of a verb is one commit. Nothing bounds their time but
//! Ctrl-C; their memory is bounded, and they have no files and no network.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, INT, Map, NativeCallContext};
use serde_json::{Value, json};

use super::definitions::Function;
use super::error::ScriptError;
use super::job::thrown;
use super::job::{JobScript, MAIN};
use super::table::{self, InputTable, Shared};
use super::value::{from_json, text_of, to_json};

/// What a free script works with.
pub trait FreeHost {
    /// Carries out a verb of `control/`. An error's text becomes the script's, which may catch it.
    fn call(&self, verb: &str, ask: Value) -> Result<Value, String>;
    /// One line of the answer.
    fn print(&self, text: &str) -> Result<(), String>;
    fn table(&self, headings: Vec<String>, rows: Vec<Vec<String>>) -> Result<(), String>;
    fn csv(&self, headings: Vec<String>, rows: Vec<Vec<String>>) -> Result<(), String>;
    /// The rows of `--input`, by the cells of one column.
    fn input(&self, key: &str) -> Result<Arc<InputTable>, String>;
    /// Adds a row to the plan file.
    fn plan(&self, cells: BTreeMap<String, String>) -> Result<(), String>;
}

thread_local! {
    static HOST: RefCell<Option<std::rc::Rc<dyn FreeHost>>> = const { RefCell::new(None) };
}

/// The host while `main` runs.
struct Hosted(());

impl Drop for Hosted {
    fn drop(&mut self) {
        HOST.set(None);
    }
}

impl JobScript {
    /// Runs `main(args)` until it ends, or `stop` is set. What it returns is for nobody.
    pub fn run_main(
        &self,
        args: &[(String, String)],
        host: std::rc::Rc<dyn FreeHost>,
        stop: Arc<AtomicBool>,
    ) -> Result<(), ScriptError> {
        let map: Map = args
            .iter()
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
            .collect();
        HOST.set(Some(host));
        let hosted = Hosted(());
        let called = self
            .program
            .call_until(MAIN, vec![Dynamic::from_map(map)], stop);
        drop(hosted);
        called.map(|_| ())
    }
}

/// Prints for the script that runs on this thread; `false` if none of these does.
pub(crate) fn print(text: &str) -> bool {
    let Some(host) = host() else {
        return false;
    };
    // Where the answer cannot be written, the next call of the script says so.
    let _ = host.print(text);
    true
}

fn host() -> Option<std::rc::Rc<dyn FreeHost>> {
    HOST.with_borrow(Option::clone)
}

/// A function of a free script that is a verb.
struct VerbFunction {
    name: &'static str,
    verb: &'static str,
    /// What stands in the call, in order; the last may be a map of options.
    parameters: &'static [Parameter],
    doc: &'static str,
}

/// How an argument becomes a part of the ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parameter {
    /// The ask is the item itself.
    Item,
    /// The ask is the subscription itself.
    Subscription,
    /// The ask is the request itself.
    Request,
    /// The ask is the number itself.
    Number,
    /// A field of the ask that names an item.
    ItemField(&'static str),
    RequestField(&'static str),
    TextField(&'static str),
    NumberField(&'static str),
    FlagField(&'static str),
    /// A field whose value is the argument as it is.
    MapsField(&'static str),
    /// A map over these defaults.
    Options(&'static str),
}

use Parameter as P;

const PAGE: &str = r#"{"after": 0, "limit": 500}"#;
const PAIR_OPTIONS: &str =
    r#"{"subscription": null, "scheduled": null, "priority": "REGULAR", "is_immediate": false}"#;

const VERBS: &[VerbFunction] = &[
    verb(
        "status",
        "status",
        &[],
        "The box at a glance, as `pairbox status --output json` has it.",
    ),
    verb(
        "pair",
        "pair",
        &[
            P::ItemField("card"),
            P::ItemField("stb"),
            P::Options(PAIR_OPTIONS),
        ],
        "Asks for a pairing; gives `#{ number }` of the request. Options: priority, is_immediate, subscription, scheduled (an instant in UTC).",
    ),
    verb(
        "unpair",
        "unpair",
        &[P::ItemField("card"), P::Options(PAIR_OPTIONS)],
        "Asks for the end of a pairing; gives `#{ number }`. Options as of `pair`.",
    ),
    verb(
        "item_list",
        "item.list",
        &[P::Options(
            r#"{"after": 0, "limit": 500, "product": null, "is_blacklisted": null}"#,
        )],
        "A page of items: `#{ rows, next }`; ask again with `after: next` while next is not ().",
    ),
    verb(
        "item_show",
        "item.show",
        &[P::Item],
        "One item with all that is known of it.",
    ),
    verb(
        "item_register",
        "item.register",
        &[
            P::MapsField("items"),
            P::FlagField("may_update"),
            P::FlagField("is_dry_run"),
        ],
        "Registers an array of at most 500 items; gives how each ended.",
    ),
    verb(
        "item_blacklist",
        "item.blacklist",
        &[
            P::ItemField("item"),
            P::FlagField("is_blacklisted"),
            P::TextField("reason"),
        ],
        "Puts an item on the blacklist or takes it off; gives whether anything changed.",
    ),
    verb(
        "subscription_list",
        "subscription.list",
        &[P::Options(PAGE)],
        "A page of subscriptions: `#{ rows, next }`.",
    ),
    verb(
        "subscription_show",
        "subscription.show",
        &[P::Subscription],
        "One subscription, by its number.",
    ),
    verb(
        "subscription_register",
        "subscription.register",
        &[
            P::MapsField("subscriptions"),
            P::FlagField("may_update"),
            P::FlagField("is_dry_run"),
        ],
        "Registers an array of at most 500 subscriptions; gives how each ended.",
    ),
    verb(
        "request_list",
        "request.list",
        &[P::Options(
            r#"{"after": null, "limit": 500, "state": null}"#,
        )],
        "A page of requests: `#{ rows, next }`; without `after` the newest. state: PENDING, COMPLETED or REJECTED.",
    ),
    verb(
        "request_show",
        "request.show",
        &[P::Request],
        "One request with its words, by number or id.",
    ),
    verb(
        "request_explain",
        "request.explain",
        &[P::Request],
        "Why a request stands where it stands.",
    ),
    verb(
        "request_cancel",
        "request.cancel",
        &[P::RequestField("request"), P::TextField("reason")],
        "Cancels a request that has not gone out.",
    ),
    verb(
        "request_retry",
        "request.retry",
        &[P::Request],
        "Makes a waiting request due now; of a rejected one, asks again.",
    ),
    verb(
        "request_resolve",
        "request.resolve",
        &[
            P::RequestField("request"),
            P::TextField("resolution"),
            P::TextField("reason"),
        ],
        "Says how a held request ended: done, not-done or send-again.",
    ),
    verb(
        "pairing_list",
        "pairing.list",
        &[P::Options(
            r#"{"after": 0, "limit": 500, "with_freed": false}"#,
        )],
        "A page of pairings: `#{ rows, next }`.",
    ),
    verb(
        "pairing_show",
        "pairing.show",
        &[P::Item],
        "The pairings that a card or STB has part in.",
    ),
    verb(
        "pairing_history",
        "pairing.history",
        &[P::Item],
        "The pairings that a card had, newest first.",
    ),
    verb(
        "provider_list",
        "provider.list",
        &[],
        "All providers and how they are doing.",
    ),
    verb(
        "provider_pause",
        "provider.pause",
        &[
            P::TextField("name"),
            P::TextField("reason"),
            P::Options(r#"{"for_span": null}"#),
        ],
        "Sends nothing to a provider any more; requests are accepted and wait.",
    ),
    verb(
        "provider_resume",
        "provider.resume",
        &[P::TextField("name")],
        "Sends again.",
    ),
    verb(
        "process_begin",
        "process.begin",
        &[],
        "Begins one pass over what is due; gives its number.",
    ),
    verb(
        "process_progress",
        "process.progress",
        &[P::Number],
        "How far a pass is.",
    ),
    verb(
        "reload",
        "reload.begin",
        &[],
        "Has the server read its configuration again; gives the attempt.",
    ),
    verb(
        "reload_progress",
        "reload.progress",
        &[P::Number],
        "How a reload ended; () while it goes on.",
    ),
    verb(
        "job_list",
        "job.list",
        &[P::Options(PAGE)],
        "A page of bulk jobs: `#{ rows, next }`.",
    ),
    verb("job_show", "job.show", &[P::Number], "One job at a glance."),
    verb(
        "job_report",
        "job.report",
        &[P::Number],
        "One job with its reasons.",
    ),
    verb(
        "job_pause",
        "job.pause",
        &[P::NumberField("job"), P::TextField("reason")],
        "Stops a job where it is.",
    ),
    verb(
        "job_resume",
        "job.resume",
        &[P::Number],
        "Lets a paused job go on.",
    ),
    verb(
        "job_cancel",
        "job.cancel",
        &[P::NumberField("job"), P::TextField("reason")],
        "Ends a job before its last row.",
    ),
    verb("user_list", "user.list", &[], "The users of the API."),
    verb(
        "user_add",
        "user.add",
        &[
            P::TextField("name"),
            P::TextField("role"),
            P::TextField("password"),
        ],
        "Adds a user; role: crm, operator or viewer.",
    ),
    verb(
        "user_remove",
        "user.remove",
        &[P::TextField("name")],
        "Removes a user.",
    ),
    verb(
        "user_password",
        "user.password",
        &[P::TextField("name"), P::TextField("password")],
        "Changes a user's password.",
    ),
    verb("key_list", "key.list", &[], "The API keys."),
    verb(
        "key_create",
        "key.create",
        &[P::TextField("name"), P::TextField("role")],
        "Makes an API key; gives its secret, this once.",
    ),
    verb(
        "key_revoke",
        "key.revoke",
        &[P::TextField("name")],
        "Revokes an API key.",
    ),
];

const fn verb(
    name: &'static str,
    verb: &'static str,
    parameters: &'static [Parameter],
    doc: &'static str,
) -> VerbFunction {
    VerbFunction {
        name,
        verb,
        parameters,
        doc,
    }
}

/// The functions beside the verbs.
const OTHERS: &[Function] = &[
    Function::new(
        "table",
        "headings, rows",
        "Writes a table: an array of headings, an array of arrays of cells.",
    ),
    Function::new(
        "csv",
        "headings, rows",
        "Writes CSV, guarded against formulas.",
    ),
    Function::new(
        "input_by",
        "column",
        "The rows of `--input`, found by the cells of a column: `rows.get(cell)` gives the row or (), `rows.has(cell)`, `rows.len()`, `rows.each(|row| ...)`. All of them are in memory.",
    ),
    Function::new(
        "plan",
        "row",
        "Adds a row, a map of texts, to the plan file beside the input; `--apply FILE` carries a plan out.",
    ),
    Function::new(
        "each_item",
        "options, work",
        "Calls `work(item)` for every item that `item_list` gives with these options.",
    ),
    Function::new(
        "each_subscription",
        "options, work",
        "Calls `work(subscription)` for every subscription; the options may be left out, here and in the others.",
    ),
    Function::new(
        "each_request",
        "options, work",
        "Calls `work(request)` for every request, oldest first; options as of `request_list`.",
    ),
    Function::new(
        "each_pairing",
        "options, work",
        "Calls `work(pairing)` for every pairing; options as of `pairing_list`.",
    ),
];

const PAGERS: [(&str, &str, &str); 4] = [
    (
        "each_item",
        "item.list",
        r#"{"after": 0, "limit": 500, "product": null, "is_blacklisted": null}"#,
    ),
    ("each_subscription", "subscription.list", PAGE),
    (
        "each_request",
        "request.list",
        r#"{"after": 0, "limit": 500, "state": null}"#,
    ),
    (
        "each_pairing",
        "pairing.list",
        r#"{"after": 0, "limit": 500, "with_freed": false}"#,
    ),
];

type Called = Result<Dynamic, Box<EvalAltResult>>;

/// Every function of a free script, for the editors' file.
pub(crate) fn functions() -> Vec<Function> {
    let mut all: Vec<Function> = VERBS
        .iter()
        .flat_map(|function| {
            function.arities().map(|arity| {
                let names: Vec<String> = function
                    .parameters
                    .iter()
                    .take(arity)
                    .map(|parameter| parameter.name().to_owned())
                    .collect();
                Function::owned(function.name, names.join(", "), function.doc)
            })
        })
        .collect();
    all.extend(OTHERS.iter().cloned());
    all
}

/// The verbs that free scripts can call, for a test that none is forgotten.
pub fn verbs() -> Vec<&'static str> {
    VERBS.iter().map(|function| function.verb).collect()
}

impl VerbFunction {
    /// An options map may be left out.
    fn arities(&self) -> impl Iterator<Item = usize> + use<> {
        let most = self.parameters.len();
        let has_options = matches!(self.parameters.last(), Some(P::Options(_)));
        let least = most - usize::from(has_options);
        least..=most
    }

    fn ask(&self, arguments: &[Dynamic]) -> Result<Value, String> {
        let mut ask = json!({});
        for (at, parameter) in self.parameters.iter().enumerate() {
            let Some(argument) = arguments.get(at) else {
                if let P::Options(defaults) = parameter {
                    merge(&mut ask, options(defaults, None)?);
                }
                continue;
            };
            let part = parameter.part(argument);
            match part.map_err(|what| format!("{}(): {what}", self.name))? {
                Part::Whole(value) => return Ok(value),
                Part::Field(name, value) => merge(&mut ask, json!({ name: value })),
                Part::Fields(fields) => merge(&mut ask, fields),
            }
        }
        let is_nothing = self.parameters.is_empty();
        Ok(if is_nothing { Value::Null } else { ask })
    }
}

enum Part {
    Whole(Value),
    Field(&'static str, Value),
    Fields(Value),
}

impl Parameter {
    fn name(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::Subscription => "subscription",
            Self::Request => "request",
            Self::Number => "number",
            Self::Options(_) => "options",
            Self::ItemField(name)
            | Self::RequestField(name)
            | Self::TextField(name)
            | Self::NumberField(name)
            | Self::FlagField(name)
            | Self::MapsField(name) => name,
        }
    }

    fn part(self, argument: &Dynamic) -> Result<Part, String> {
        let text = |what: &str| {
            text_of(argument).ok_or_else(|| {
                let found = super::value::show(argument);
                format!("expected {what}, found {found}")
            })
        };
        Ok(match self {
            Self::Item => Part::Whole(item(argument)?),
            Self::Subscription => Part::Whole(json!({"number": text("a subscription's number")?})),
            Self::Request => Part::Whole(request(&text("a request's number")?)),
            Self::Number => Part::Whole(number(argument)?),
            Self::ItemField(name) => Part::Field(name, item(argument)?),
            Self::RequestField(name) => Part::Field(name, request(&text("a request's number")?)),
            Self::TextField(name) => Part::Field(name, text("a text")?.into()),
            Self::NumberField(name) => Part::Field(name, number(argument)?),
            Self::FlagField(name) => {
                let flag = argument.as_bool();
                let flag =
                    flag.map_err(|found| format!("expected true or false, found {found}"))?;
                Part::Field(name, flag.into())
            }
            Self::MapsField(name) => {
                let value = to_json(argument).map_err(|wrong| wrong.message)?;
                Part::Field(name, value)
            }
            Self::Options(defaults) => Part::Fields(options(defaults, Some(argument))?),
        })
    }
}

/// A text is a serial number; `named(by, value)` anything else.
fn item(argument: &Dynamic) -> Result<Value, String> {
    let named = super::job::named("the item", argument).map_err(|wrong| wrong.message)?;
    let by = super::job::NamedBy::ALL
        .into_iter()
        .find(|(_, by)| *by == named.by);
    Ok(json!({ by.map_or("serial_number", |(word, _)| word): named.value }))
}

fn request(text: &str) -> Value {
    match text.parse::<u64>() {
        Ok(number) => json!({ "number": number }),
        Err(_) => json!({ "id": text }),
    }
}

fn number(argument: &Dynamic) -> Result<Value, String> {
    let number = argument.as_int().ok().filter(|number| *number >= 0);
    let found = || super::value::show(argument);
    let number = number.ok_or_else(|| format!("expected a number, found {}", found()))?;
    Ok(number.into())
}

/// The given keys over the defaults; only known keys.
fn options(defaults: &str, given: Option<&Dynamic>) -> Result<Value, String> {
    let mut all: Value = serde_json::from_str(defaults).unwrap_or(Value::Null);
    let Some(given) = given else {
        return Ok(all);
    };
    let Value::Object(given) = to_json(given).map_err(|wrong| wrong.message)? else {
        return Err("expected a map of options".to_owned());
    };
    for (key, value) in given {
        let Some(slot) = all.get_mut(&key) else {
            let known: Vec<&str> = all
                .as_object()
                .into_iter()
                .flat_map(|known| known.keys().map(String::as_str))
                .collect();
            return Err(format!("no option `{key}`: known are {}", known.join(", ")));
        };
        *slot = value;
    }
    if let Some(subscription) = all.get_mut("subscription")
        && let Some(text) = subscription.as_str().map(str::to_owned)
    {
        *subscription = json!({ "number": text });
    }
    Ok(all)
}

fn merge(ask: &mut Value, more: Value) {
    if let (Value::Object(ask), Value::Object(more)) = (ask, more) {
        ask.extend(more);
    }
}

/// Puts the functions on an engine.
pub(crate) fn register(engine: &mut Engine) {
    for function in VERBS {
        for arity in function.arities() {
            register_verb(engine, function, arity);
        }
    }
    engine.register_fn("table", |headings: Array, rows: Array| -> Called {
        let (headings, rows) = cells(&headings, &rows)?;
        hosted()?.table(headings, rows).map_err(thrown)?;
        Ok(Dynamic::UNIT)
    });
    engine.register_fn("csv", |headings: Array, rows: Array| -> Called {
        let (headings, rows) = cells(&headings, &rows)?;
        hosted()?.csv(headings, rows).map_err(thrown)?;
        Ok(Dynamic::UNIT)
    });
    engine.register_fn("input_by", |column: &str| -> Called {
        let table = hosted()?.input(column).map_err(thrown)?;
        Ok(Dynamic::from(Shared(table)))
    });
    engine.register_fn("plan", |row: Map| -> Called {
        let cells = row
            .into_iter()
            .map(|(column, cell)| (column.to_string(), cell.to_string()));
        hosted()?.plan(cells.collect()).map_err(thrown)?;
        Ok(Dynamic::UNIT)
    });
    table::register(engine);
    for (name, verb, defaults) in PAGERS {
        let paged = move |context: NativeCallContext<'_>, options: Map, work: FnPtr| -> Called {
            each(&context, verb, defaults, Some(options), &work)
        };
        engine.register_fn(name, paged);
        let plain = move |context: NativeCallContext<'_>, work: FnPtr| -> Called {
            each(&context, verb, defaults, None, &work)
        };
        engine.register_fn(name, plain);
    }
}

fn register_verb(engine: &mut Engine, function: &'static VerbFunction, arity: usize) {
    let name = function.name;
    let call = move |arguments: &[Dynamic]| -> Called {
        let ask = function.ask(arguments).map_err(thrown)?;
        let answer = hosted()?.call(function.verb, ask).map_err(thrown)?;
        Ok(from_json(&answer))
    };
    match arity {
        0 => engine.register_fn(name, move || call(&[])),
        1 => engine.register_fn(name, move |a: Dynamic| call(&[a])),
        2 => engine.register_fn(name, move |a: Dynamic, b: Dynamic| call(&[a, b])),
        _ => engine.register_fn(name, move |a: Dynamic, b: Dynamic, c: Dynamic| {
            call(&[a, b, c])
        }),
    };
}

/// Pages through a list and calls the script for each row; gives how many there were.
fn each(
    context: &NativeCallContext<'_>,
    verb: &str,
    defaults: &str,
    given: Option<Map>,
    work: &FnPtr,
) -> Called {
    let given = given.map(Dynamic::from_map);
    let mut ask = options(defaults, given.as_ref()).map_err(thrown)?;
    let mut count: INT = 0;
    loop {
        let page = hosted()?.call(verb, ask.clone()).map_err(thrown)?;
        let rows = page.get("rows").and_then(Value::as_array);
        for row in rows.into_iter().flatten() {
            let _ = work.call_within_context::<Dynamic>(context, (from_json(row),))?;
            count += 1;
        }
        match page.get("next") {
            Some(next) if !next.is_null() => merge(&mut ask, json!({ "after": next })),
            _ => return Ok(count.into()),
        }
    }
}

fn hosted() -> Result<std::rc::Rc<dyn FreeHost>, Box<EvalAltResult>> {
    host().ok_or_else(|| thrown("only `main` can call this".to_owned()))
}

type Cells = (Vec<String>, Vec<Vec<String>>);

fn cells(headings: &Array, rows: &Array) -> Result<Cells, Box<EvalAltResult>> {
    let line = |cells: &Array| cells.iter().map(Dynamic::to_string).collect::<Vec<_>>();
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(cells) = row.read_lock::<Array>() else {
            return Err(thrown("expected rows that are arrays of cells".to_owned()));
        };
        lines.push(line(&cells));
    }
    Ok((line(headings), lines))
}
