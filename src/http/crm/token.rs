//! Who calls: the token (in the body of a POST, in the query of a GET), and what its role may do.

use std::net::IpAddr;

use super::super::api::Api;
use super::route::{Need, Route};
use super::{CallError, Parameters};
use crate::access::{Denied, Identity, IdentityKind, Role};

/// What unknown tokens are recorded under.
const UNKNOWN_TOKEN: &str = "(token)";

/// The roles that satisfy a need: the only place that says so. A route names its need.
pub fn allowed(need: Need) -> &'static [Role] {
    match need {
        Need::Nobody => &[],
        Need::Reader => &[Role::Crm, Role::Operator, Role::Viewer],
        Need::Writer => &[Role::Crm, Role::Operator],
    }
}

/// Checks the token and the role; none where the method asks for no token.
pub fn identify(
    api: &Api,
    parameters: &Parameters,
    address: IpAddr,
    route: &Route,
) -> Result<Option<Identity>, CallError> {
    if route.need == Need::Nobody {
        return Ok(None);
    }
    let token = parameters.text("token")?.filter(|token| !token.is_empty());
    let token = token.ok_or(CallError::TokenMissing)?;
    let identity = api.access.check(token).map_err(|denied| match denied {
        Denied::Expired => CallError::TokenExpired,
        Denied::Unknown => {
            api.access.note_denial(UNKNOWN_TOKEN, address);
            CallError::TokenUnknown
        }
    })?;
    if !allowed(route.need).contains(&identity.role) {
        api.access.note_denial(&by(&identity), address);
        return Err(CallError::RoleDenied {
            role: identity.role.as_str(),
            allowed: match route.need {
                Need::Writer => "`crm`, `operator`",
                Need::Reader | Need::Nobody => "`crm`, `operator`, `viewer`",
            },
        });
    }
    Ok(Some(identity))
}

/// The caller as the ledger records it. A key's name is marked: a user may have the same one, and no name has a colon.
pub fn by(identity: &Identity) -> String {
    match identity.kind {
        IdentityKind::User => identity.name.clone(),
        IdentityKind::Key => format!("key:{}", identity.name),
    }
}
