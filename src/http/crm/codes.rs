//! Every error code on the wire: one table. The form is a fact (`COM.CRM.EXCEPTION.<MODULE>.<NAME>EXCEPTION`); the codes are
//! invented by us, all of them, because the vendor published too few.

use super::CallError;
use crate::domain::Refusal;

/// A code that we invented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invented {
    pub module: &'static str,
    pub name: &'static str,
    /// The status under `[api] error_status = "rest"`.
    pub rest_status: u16,
    /// What `status.description` says.
    pub description: &'static str,
}

impl Invented {
    /// The code as the wire carries it.
    pub fn text(&self) -> String {
        format!("COM.CRM.EXCEPTION.{}.{}EXCEPTION", self.module, self.name)
    }
}

const fn invented(
    module: &'static str,
    name: &'static str,
    rest_status: u16,
    description: &'static str,
) -> Invented {
    Invented {
        module,
        name,
        rest_status,
        description,
    }
}

const PROVISIONING: &str = "PROVISIONING";
const ITEMS: &str = "INSTALLEDITEMS";
const SUBSCRIPTIONS: &str = "SUBSCRIPTIONS";
const AUTHENTICATION: &str = "AUTHENTICATION";
const WEB_API: &str = "WEBAPI";

/// All of them. The first rows are the refusals of `domain::Refusal::code`.
pub const TABLE: &[Invented] = &[
    invented(
        PROVISIONING,
        "SMARTCARDNOTFOUND",
        404,
        "The smartcard does not exist",
    ),
    invented(PROVISIONING, "STBNOTFOUND", 404, "The STB does not exist"),
    invented(
        PROVISIONING,
        "INVALIDITEMCLASSIFICATION",
        422,
        "The item is not classified as needed",
    ),
    invented(ITEMS, "AMBIGUOUSITEM", 409, "More than one item matches"),
    invented(
        PROVISIONING,
        "ITEMNOTEFFECTIVE",
        409,
        "The item is not effective",
    ),
    invented(
        PROVISIONING,
        "ITEMBLACKLISTED",
        409,
        "The item is blacklisted",
    ),
    invented(
        SUBSCRIPTIONS,
        "SUBSCRIPTIONNOTFOUND",
        404,
        "The subscription does not exist",
    ),
    invented(
        PROVISIONING,
        "PROVIDERNOTFOUND",
        404,
        "No provisioning provider matches",
    ),
    invented(
        PROVISIONING,
        "AMBIGUOUSPROVIDER",
        409,
        "More than one provisioning provider matches",
    ),
    invented(
        PROVISIONING,
        "CAPABILITYMISSING",
        422,
        "The provisioning provider cannot do this",
    ),
    invented(
        PROVISIONING,
        "SMARTCARDNOTPAIRED",
        409,
        "The smartcard is not paired",
    ),
    invented(
        PROVISIONING,
        "STBTAKEN",
        409,
        "The STB is paired with another smartcard",
    ),
    invented(
        PROVISIONING,
        "SMARTCARDFULL",
        409,
        "The smartcard is paired with as many STBs as it may have",
    ),
    invented(
        PROVISIONING,
        "TOOMANYPENDINGREQUESTS",
        409,
        "Too many unfinished requests",
    ),
    invented(WEB_API, "INVALIDPARAMETER", 422, "A parameter is not valid"),
    invented(
        PROVISIONING,
        "MAPPINGREFUSED",
        422,
        "The provisioning provider's rules refuse this",
    ),
    invented(
        PROVISIONING,
        "SCRIPTERROR",
        500,
        "The provisioning provider's rules failed",
    ),
    invented(
        WEB_API,
        "IDEMPOTENCYKEYREUSED",
        422,
        "The Idempotency-Key belongs to another call",
    ),
    invented(
        PROVISIONING,
        "PROVISIONINGREQUESTNOTFOUND",
        404,
        "The provisioning request does not exist",
    ),
    invented(
        PROVISIONING,
        "INVALIDLIFECYCLESTATE",
        409,
        "The life cycle state does not allow this",
    ),
    invented(PROVISIONING, "JOBNOTFOUND", 404, "The job was not found"),
    invented(
        PROVISIONING,
        "INVALIDJOBSTATE",
        409,
        "The job's state does not allow this",
    ),
    invented(
        PROVISIONING,
        "PROVIDERNOTPAUSED",
        409,
        "The provisioning provider is not paused",
    ),
    invented(ITEMS, "ITEMALREADYEXISTS", 409, "The item exists already"),
    invented(ITEMS, "CAIDBOUND", 409, "The CA ID is in use"),
    invented(WEB_API, "IDALREADYEXISTS", 409, "The id exists already"),
    invented(
        SUBSCRIPTIONS,
        "SUBSCRIPTIONALREADYEXISTS",
        409,
        "The subscription exists already",
    ),
    invented(
        WEB_API,
        "CONCURRENTCHANGE",
        503,
        "Something changed in between; try again",
    ),
    invented(
        WEB_API,
        "INSUFFICIENTSTORAGE",
        503,
        "Nothing new is accepted now; try again later",
    ),
    invented(
        WEB_API,
        "OVERLOADED",
        503,
        "Too many calls at once; try again",
    ),
    invented(
        WEB_API,
        "STOPPING",
        503,
        "The service is stopping; try again",
    ),
    // What the dialect itself refuses.
    invented(
        WEB_API,
        "MALFORMEDJSON",
        400,
        "The body is not a JSON object",
    ),
    invented(
        WEB_API,
        "INVALIDIDENTIFIER",
        422,
        "An identifier needs exactly one field",
    ),
    invented(
        ITEMS,
        "INSTALLEDITEMNOTFOUND",
        404,
        "The installed item does not exist",
    ),
    invented(ITEMS, "PRODUCTNOTFOUND", 404, "The product does not exist"),
    invented(
        AUTHENTICATION,
        "INVALIDTOKEN",
        401,
        "The token is missing, unknown or expired",
    ),
    invented(
        AUTHENTICATION,
        "ACCESSDENIED",
        403,
        "The user may not call this method",
    ),
    invented(
        AUTHENTICATION,
        "INVALIDCREDENTIALS",
        401,
        "The login failed",
    ),
    invented(
        AUTHENTICATION,
        "TOOMANYLOGINS",
        429,
        "Too many failed logins",
    ),
    invented(WEB_API, "METHODNOTFOUND", 404, "The method does not exist"),
    invented(
        WEB_API,
        "PROVIDERFAMILYNOTFOUND",
        404,
        "No such family of provisioning providers",
    ),
    invented(
        WEB_API,
        "METHODNOTALLOWED",
        405,
        "The method is called in another way",
    ),
    invented(WEB_API, "REQUESTTOOLARGE", 413, "The body is too large"),
    invented(
        WEB_API,
        "LENGTHREQUIRED",
        411,
        "The length of the body is needed",
    ),
    invented(
        WEB_API,
        "INVALIDLENGTH",
        400,
        "The length of the body is ambiguous",
    ),
    invented(WEB_API, "URLTOOLONG", 414, "The URL is too long"),
    invented(
        WEB_API,
        "TOOMANYHEADERS",
        431,
        "The request has too many headers",
    ),
    invented(
        WEB_API,
        "MALFORMEDREQUEST",
        400,
        "The head of the request is not valid",
    ),
    invented(
        WEB_API,
        "HEADTOOLARGE",
        431,
        "The head of the request is too large",
    ),
    invented(
        WEB_API,
        "REQUESTTIMEOUT",
        408,
        "The request came too slowly",
    ),
    invented(ITEMS, "IDBOUND", 409, "The id of an entry cannot change"),
    invented(WEB_API, "CALLTOOLARGE", 413, "The call is too large"),
    invented(WEB_API, "INTERNALERROR", 500, "An internal error"),
];

/// The row of a name; the generic one for a name that the table lacks, which a test rules out.
pub fn row(name: &str) -> Invented {
    const INTERNAL: Invented = invented(WEB_API, "INTERNALERROR", 500, "An internal error");
    TABLE
        .iter()
        .find(|row| row.name == name)
        .copied()
        .unwrap_or(INTERNAL)
}

/// The code's last word for an error.
pub fn name(error: &CallError) -> &'static str {
    use CallError as E;
    match error {
        E::Refused(refusal) => refusal.code(),
        E::Malformed { .. } | E::NoObject { .. } => "MALFORMEDJSON",
        E::GivenTwice { .. }
        | E::TooManyParameters { .. }
        | E::Missing { .. }
        | E::WrongType { .. }
        | E::WrongValue { .. }
        | E::MisspeltStb { .. }
        | E::ListTooWide { .. }
        | E::AnswerTooLarge { .. } => "INVALIDPARAMETER",
        E::IdentifierEmpty { .. } | E::IdentifierSeveral { .. } => "INVALIDIDENTIFIER",
        E::ItemUnknown { .. } => "INSTALLEDITEMNOTFOUND",
        E::ItemAmbiguous { .. } => "AMBIGUOUSITEM",
        E::ProductUnknown { .. } => "PRODUCTNOTFOUND",
        E::TokenMissing | E::TokenUnknown | E::TokenExpired => "INVALIDTOKEN",
        E::RoleDenied { .. } => "ACCESSDENIED",
        E::LoginRefused | E::OrganisationUnknown => "INVALIDCREDENTIALS",
        E::LoginThrottled { .. } => "TOOMANYLOGINS",
        E::PathUnknown => "METHODNOTFOUND",
        E::FamilyUnknown { .. } => "PROVIDERFAMILYNOTFOUND",
        E::VerbWrong { .. } => "METHODNOTALLOWED",
        E::BodyTooLarge { .. } => "REQUESTTOOLARGE",
        E::Chunked => "LENGTHREQUIRED",
        E::AmbiguousLength => "INVALIDLENGTH",
        E::HeadMalformed { .. } => "MALFORMEDREQUEST",
        E::HeadTooLarge { .. } => "HEADTOOLARGE",
        E::TooSlow { .. } => "REQUESTTIMEOUT",
        E::UrlTooLong { .. } => "URLTOOLONG",
        E::TooManyHeaders { .. } => "TOOMANYHEADERS",
        E::Internal => "INTERNALERROR",
    }
}

/// Whether HTTP itself says it, whatever `[api] error_status` is; anything else is a business error, 200 by default.
pub fn is_of_transport(error: &CallError) -> bool {
    use CallError as E;
    match error {
        E::Refused(refusal) => refusal.is_passing(),
        E::Malformed { .. }
        | E::NoObject { .. }
        | E::PathUnknown
        | E::FamilyUnknown { .. }
        | E::VerbWrong { .. }
        | E::BodyTooLarge { .. }
        | E::Chunked
        | E::AmbiguousLength
        | E::HeadMalformed { .. }
        | E::HeadTooLarge { .. }
        | E::TooSlow { .. }
        | E::UrlTooLong { .. }
        | E::TooManyHeaders { .. }
        | E::Internal => true,
        _ => false,
    }
}

/// After how many seconds the same call may succeed.
pub fn retry_after_s(error: &CallError) -> Option<u64> {
    match error {
        CallError::Refused(Refusal::ReserveLow) => Some(60),
        CallError::Refused(refusal) if refusal.is_passing() => Some(1),
        CallError::LoginThrottled { seconds } => Some(*seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_row_and_every_row_is_named_once() {
        let source = include_str!("../../domain/refusal.rs");
        let codes: Vec<&str> = source
            .split('"')
            .filter(|text| text.len() > 5 && text.bytes().all(|byte| byte.is_ascii_uppercase()))
            .collect();
        assert!(
            codes.len() > 20,
            "the refusals name their codes in capitals"
        );
        for code in codes {
            assert_eq!(row(code).name, code, "add `{code}` to the table");
        }
        for (at, row) in TABLE.iter().enumerate() {
            let twin = TABLE
                .iter()
                .skip(at + 1)
                .find(|other| other.name == row.name);
            assert_eq!(twin, None);
        }
    }

    #[test]
    fn the_form_of_a_code_is_the_vendors() {
        assert_eq!(
            row("STBTAKEN").text(),
            "COM.CRM.EXCEPTION.PROVISIONING.STBTAKENEXCEPTION"
        );
    }
}
