//! One table of paths: which method takes which fields, needs which role, runs on which lane, and who answers it.

use std::sync::Arc;

use super::super::answer::Allow;
use super::super::api::Api;
use super::super::reply::Reply;
use super::value::Value;
use super::{Call, CallError, items, login, openapi, pair, pin, products, requests, subscriptions};

/// What every path of the CRM begins with (490268, 491067).
pub const BASE: &str = "/crmapi/rest/v2/";
/// Stands for the CRM's name of a kind of CAS.
const FAMILY: &str = "{family}/";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Get,
    Post,
}

impl Verb {
    pub fn word(self) -> &'static str {
        self.allow().as_str()
    }

    pub fn allow(self) -> Allow {
        match self {
            Self::Get => Allow::Get,
            Self::Post => Allow::Post,
        }
    }
}

/// Whom a method is for; `token.rs` says which roles that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// No token at all.
    Nobody,
    Reader,
    Writer,
}

/// Which workers run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Quick: hands a command to the writer, or looks one thing up.
    Write,
    /// Hashes a password.
    Password,
    /// Reads much.
    Read,
}

/// How a method answers.
#[derive(Clone, Copy)]
pub enum Handler {
    Now(fn(&Api, &Call) -> Result<Value, CallError>),
    /// Takes the reply along, to answer after a sync or after the CAS.
    Later(fn(&Arc<Api>, &Call, Reply)),
}

pub struct Route {
    /// Below [`BASE`]; with a slash first, as it stands.
    pub path: &'static str,
    pub verb: Verb,
    pub need: Need,
    pub lane: Lane,
    /// The known parameters beside `token`; others are ignored and counted.
    pub fields: &'static [&'static str],
    pub takes_empty_body: bool,
    pub handler: Handler,
}

/// A route and what its path named.
#[derive(Clone)]
pub struct Routed {
    pub route: &'static Route,
    pub family: Option<String>,
}

const fn get(
    path: &'static str,
    fields: &'static [&'static str],
    handler: fn(&Api, &Call) -> Result<Value, CallError>,
) -> Route {
    Route {
        path,
        verb: Verb::Get,
        need: Need::Reader,
        lane: Lane::Read,
        fields,
        takes_empty_body: false,
        handler: Handler::Now(handler),
    }
}

const fn post(
    path: &'static str,
    fields: &'static [&'static str],
    handler: fn(&Arc<Api>, &Call, Reply),
) -> Route {
    Route {
        path,
        verb: Verb::Post,
        need: Need::Writer,
        lane: Lane::Write,
        fields,
        takes_empty_body: false,
        handler: Handler::Later(handler),
    }
}

const fn login(
    path: &'static str,
    fields: &'static [&'static str],
    lane: Lane,
    handler: fn(&Api, &Call) -> Result<Value, CallError>,
) -> Route {
    Route {
        path,
        verb: Verb::Post,
        need: Need::Nobody,
        lane,
        fields,
        takes_empty_body: true,
        handler: Handler::Now(handler),
    }
}

/// A reader's GET that answers by itself, without the envelope.
const fn plain(
    path: &'static str,
    fields: &'static [&'static str],
    handler: fn(&Arc<Api>, &Call, Reply),
) -> Route {
    Route {
        path,
        verb: Verb::Get,
        need: Need::Reader,
        lane: Lane::Read,
        fields,
        takes_empty_body: false,
        handler: Handler::Later(handler),
    }
}

/// Every method.
pub static ROUTES: &[Route] = &[
    login(
        "authentication/token",
        login::TOKEN_FIELDS,
        Lane::Password,
        login::token,
    ),
    login(
        "authentication/web_api_key/token",
        login::KEY_FIELDS,
        Lane::Write,
        login::web_api_key,
    ),
    login(
        "authentication/token/release",
        login::RELEASE_FIELDS,
        Lane::Write,
        login::release,
    ),
    post(
        "{family}/provisioning_requests/pair_smartcard_decoder",
        pair::FIELDS,
        pair::pair,
    ),
    post(
        "{family}/provisioning_requests/add_enhanced_list_of_products",
        products::FIELDS,
        products::add,
    ),
    post(
        "{family}/provisioning_requests/cancel_enhanced_list_of_products",
        products::FIELDS,
        products::cancel,
    ),
    post(
        "{family}/provisioning_requests/set_pin_code_to_default_value",
        pin::FIELDS,
        pin::reset,
    ),
    get(
        "provisioning/provisioning_requests/show",
        requests::SHOW_FIELDS,
        requests::show,
    ),
    get(
        "provisioning/provisioning_requests/list",
        requests::LIST_FIELDS,
        requests::list,
    ),
    get(
        "{family}/provisioning_requests/show",
        requests::SHOW_FIELDS,
        requests::show,
    ),
    get(
        "{family}/provisioning_requests/list",
        requests::LIST_FIELDS,
        requests::list,
    ),
    get("installed_items/show", items::SHOW_FIELDS, items::show),
    get("installed_items/list", items::LIST_FIELDS, items::list),
    post(
        "installed_items/create",
        items::CREATE_FIELDS,
        items::create,
    ),
    get(
        "subscriptions/show",
        subscriptions::SHOW_FIELDS,
        subscriptions::show,
    ),
    get(
        "subscriptions/list",
        subscriptions::LIST_FIELDS,
        subscriptions::list,
    ),
    post(
        "subscriptions/create",
        subscriptions::CREATE_FIELDS,
        subscriptions::create,
    ),
    plain("/openapi.json", openapi::FIELDS, openapi::document),
];

/// Finds the method of a path; a slash at its end is tolerated, live clients send one.
pub fn find(
    path: &str,
    verb: &str,
    has_family: impl Fn(&str) -> bool,
) -> Result<Routed, CallError> {
    let path = path.trim_end_matches('/');
    let (route, family) = ROUTES
        .iter()
        .find_map(|route| matched(route, path))
        .ok_or(CallError::PathUnknown)?;
    if let Some(family) = family.filter(|family| !has_family(family)) {
        return Err(CallError::FamilyUnknown {
            family: super::error::shown(family),
            known: Vec::new(),
        });
    }
    if verb != route.verb.word() {
        return Err(CallError::VerbWrong {
            expected: route.verb.allow(),
            found: super::error::shown(verb),
        });
    }
    Ok(Routed {
        route,
        family: family.map(str::to_owned),
    })
}

/// The route if it is meant, and the family that the path names.
fn matched<'a>(route: &'static Route, path: &'a str) -> Option<(&'static Route, Option<&'a str>)> {
    if route.path.starts_with('/') {
        return (route.path == path).then_some((route, None));
    }
    let method = path.strip_prefix(BASE)?;
    let Some(rest) = route.path.strip_prefix(FAMILY) else {
        return (route.path == method).then_some((route, None));
    };
    let (family, found) = method.split_once('/')?;
    (found == rest).then_some((route, Some(family)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Action, Method};

    fn found(path: &str, verb: &str) -> String {
        match find(&format!("{BASE}{path}"), verb, |family| {
            family == "nagravision"
        }) {
            Ok(routed) => format!("{} {:?}", routed.route.path, routed.family),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_method_that_makes_a_request_has_its_path() {
        for action in Action::ALL {
            let path = format!("{FAMILY}provisioning_requests/{}", Method::of(action).name);
            let route = ROUTES.iter().find(|route| route.path == path);
            assert_eq!(route.map(|route| route.verb), Some(Verb::Post), "{path}");
        }
    }

    #[test]
    fn paths_lead_to_their_methods() {
        let cases = [
            (
                "nagravision/provisioning_requests/show/",
                "GET",
                "{family}/provisioning_requests/show Some(\"nagravision\")",
            ),
            (
                "provisioning/provisioning_requests/show",
                "GET",
                "provisioning/provisioning_requests/show None",
            ),
            (
                "conax/provisioning_requests/show",
                "GET",
                "no provider of the family `conax` is configured; expected one of: none",
            ),
            (
                "installed_items/show",
                "POST",
                "this method is called by GET, found POST",
            ),
            ("installed_items/remove", "POST", "no such method"),
            (
                "nagravision/provisioning_requests/x",
                "GET",
                "no such method",
            ),
        ];
        for (path, verb, expected) in cases {
            assert_eq!(found(path, verb), expected, "{path}");
        }
        let whole = |path| find(path, "GET", |_| true).map(|routed| routed.route.path);
        assert_eq!(whole("/openapi.json"), Ok("/openapi.json"));
        for unknown in ["/", "", "openapi.json", "/installed_items/show"] {
            assert_eq!(whole(unknown), Err(CallError::PathUnknown), "{unknown}");
        }
    }
}
