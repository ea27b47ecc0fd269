//! The verbs of the command line as functions: their names, what stands in a call, what they do.

use rhai::Dynamic;
use serde_json::{Value, json};

use super::ask::{Parameter as P, Part, merge, options};

/// A function of a free script that is a verb.
pub(super) struct VerbFunction {
    pub name: &'static str,
    pub verb: &'static str,
    /// What stands in the call, in order; the last may be a map of options.
    pub parameters: &'static [P],
    pub doc: &'static str,
}

pub(super) const PAGE: &str = r#"{"after": 0, "limit": 500}"#;
const PAIR_OPTIONS: &str =
    r#"{"subscription": null, "scheduled": null, "priority": "REGULAR", "is_immediate": false}"#;

pub(super) const VERBS: &[VerbFunction] = &[
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
            r#"{"after": 0, "limit": 500, "product": null, "is_blacklisted": null, "with_normalized": false}"#,
        )],
        "A page of items: `#{ rows, next }`; ask again with `after: next` while next is not (). with_normalized: each has `normalized_ca_id` too.",
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
            r#"{"after": null, "limit": 500, "state": null, "job": null}"#,
        )],
        "A page of requests: `#{ rows, next }`; without `after` the newest. state: PENDING, COMPLETED or REJECTED; job: the number of a bulk job.",
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
    parameters: &'static [P],
    doc: &'static str,
) -> VerbFunction {
    VerbFunction {
        name,
        verb,
        parameters,
        doc,
    }
}

impl VerbFunction {
    /// An options map may be left out.
    pub fn arities(&self) -> impl Iterator<Item = usize> + use<> {
        let most = self.parameters.len();
        let has_options = matches!(self.parameters.last(), Some(P::Options(_)));
        let least = most - usize::from(has_options);
        least..=most
    }

    pub fn ask(&self, arguments: &[Dynamic]) -> Result<Value, String> {
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
