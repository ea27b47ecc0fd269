//! What is wrong with a call, in the words that its client reads.
//!
//! Says what was expected, what was found, and the field; never a path of ours, a script line or an address. `codes.rs` says
//! which code and status each has.

use super::super::answer::Allow;
use crate::domain::Refusal;

/// Why a call is answered with an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Refused(#[from] Refusal),

    #[error("the body is no JSON: {fault} (line {line}, column {column})")]
    Malformed {
        fault: String,
        line: usize,
        column: usize,
    },
    #[error("the body: expected a JSON object, found {found}")]
    NoObject { found: &'static str },
    #[error("parameter `{field}` is given twice")]
    GivenTwice { field: String },
    #[error("expected at most {max} parameters")]
    TooManyParameters { max: usize },

    #[error("field `{field}` is mandatory: expected {expected}, found none")]
    Missing {
        field: String,
        expected: &'static str,
    },
    #[error("field `{field}`: expected {expected}, found {found}")]
    WrongType {
        field: String,
        expected: &'static str,
        found: &'static str,
    },
    #[error("field `{field}`: expected {expected}, found `{found}`")]
    WrongValue {
        field: String,
        expected: String,
        found: String,
    },
    #[error("field `{field}`: expected exactly one of {allowed}, found none")]
    IdentifierEmpty { field: String, allowed: String },
    #[error("field `{field}`: expected exactly one of {allowed}, found {found}")]
    IdentifierSeveral {
        field: String,
        allowed: String,
        found: String,
    },
    #[error(
        "unknown field `{found}`: did you mean `stb_identifier`? without it the smartcard would be unpaired; nothing was stored"
    )]
    MisspeltStb { found: String },

    #[error("no installed item with {field} `{value}`")]
    ItemUnknown { field: &'static str, value: String },
    #[error(
        "{count} installed items have {field} `{value}`; expected exactly one; name it by `id`"
    )]
    ItemAmbiguous {
        field: &'static str,
        value: String,
        count: usize,
    },
    #[error("no product with {field} `{value}`")]
    ProductUnknown { field: &'static str, value: String },
    #[error(
        "more than {max} requests would have to be looked through; {found} matched so far, which `number_of_results` {found} gives; go on from `cursor` {cursor}"
    )]
    ListTooWide {
        max: usize,
        found: usize,
        cursor: u64,
    },

    #[error("field `token` is mandatory: expected the token of a login, found none")]
    TokenMissing,
    #[error("the token is unknown; log in again")]
    TokenUnknown,
    #[error("the token has expired; log in again")]
    TokenExpired,
    #[error("role `{role}` may not call this method; expected one of {allowed}")]
    RoleDenied {
        role: &'static str,
        allowed: &'static str,
    },
    #[error("wrong user name, password or key")]
    LoginRefused,
    #[error("too many failed logins; try again in {seconds} s")]
    LoginThrottled { seconds: u64 },
    #[error("wrong organisation")]
    OrganisationUnknown,

    #[error("no such method")]
    PathUnknown,
    #[error(
        "no provider of the family `{family}` is configured; expected one of: {}",
        list(known)
    )]
    FamilyUnknown { family: String, known: Vec<String> },
    #[error("this method is called by {}, found {found}", expected.as_str())]
    VerbWrong { expected: Allow, found: String },

    #[error("the body has more than {max} bytes")]
    BodyTooLarge { max: u64 },
    #[error(
        "the answer has more than {max} bytes; ask for fewer by `number_of_results`, or for less by `fields_set`"
    )]
    AnswerTooLarge { max: usize },
    #[error("the head of the request has {what}")]
    HeadMalformed { what: &'static str },
    #[error("the head of the request has more than {max} bytes")]
    HeadTooLarge { max: usize },
    #[error("the {what} of the request did not come within {milliseconds} ms")]
    TooSlow {
        what: &'static str,
        milliseconds: u64,
    },
    #[error("expected a Content-Length, found a Transfer-Encoding")]
    Chunked,
    #[error("expected one Content-Length of digits")]
    AmbiguousLength,
    #[error("the URL has more than {max} bytes")]
    UrlTooLong { max: usize },
    #[error("the request has more than {max} headers")]
    TooManyHeaders { max: usize },
    #[error(
        "an internal error; what became of the call is unknown: look with show, or send it again with its Idempotency-Key"
    )]
    Internal,
}

impl CallError {
    /// The same with the place of the object that the field is of.
    pub(super) fn within(mut self, place: &str) -> Self {
        if let Self::Missing { field, .. }
        | Self::WrongType { field, .. }
        | Self::WrongValue { field, .. }
        | Self::IdentifierEmpty { field, .. }
        | Self::IdentifierSeveral { field, .. } = &mut self
        {
            *field = format!("{place}.{field}");
        }
        self
    }
}

fn list(known: &[String]) -> String {
    if known.is_empty() {
        return "none".into();
    }
    known.join(", ")
}

/// A client's text as a message may repeat it: not without end.
pub fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    if text.chars().nth(SHOWN_CHARS_MAX).is_none() {
        return text.to_owned();
    }
    text.chars()
        .take(SHOWN_CHARS_MAX)
        .chain("...".chars())
        .collect()
}
