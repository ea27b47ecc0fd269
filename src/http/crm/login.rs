//! Login by password, login by key, release of a token (494531, 491003, 517363).

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::super::api::Api;
use super::error::shown;
use super::value::Value;
use super::{Call, CallError};
use crate::access::{Denied, LoginError, Token};
use crate::telemetry::Metric;

pub const TOKEN_FIELDS: &[&str] = &["username", "password", "organisation", "unit"];
pub const KEY_FIELDS: &[&str] = &["unit"];
pub const RELEASE_FIELDS: &[&str] = &[];

/// `POST authentication/token`. Slow on purpose: it runs on a lane of its own.
pub fn token(api: &Api, call: &Call) -> Result<Value, CallError> {
    let parameters = &call.parameters;
    let username = parameters.need_text("username")?;
    let password = parameters.need_text("password")?;
    let organisation = parameters.need_text("organisation")?;
    let unit = parameters.text("unit")?.unwrap_or_default();
    if api
        .config()
        .organisation
        .as_ref()
        .is_some_and(|only| only != organisation)
    {
        return Err(CallError::OrganisationUnknown);
    }
    let token = api
        .access
        .login(username, password, address(call))
        .map_err(|error| refused(api, &error))?;
    tracing::info!(
        user = username,
        organisation = shown(organisation),
        unit = shown(unit),
        "a user logged in"
    );
    Ok(data(&token))
}

/// `POST authentication/web_api_key/token`: the key is the user name of Basic authentication, the password is empty.
pub fn web_api_key(api: &Api, call: &Call) -> Result<Value, CallError> {
    call.parameters.text("unit")?;
    let key = call
        .authorization
        .as_deref()
        .and_then(basic_user)
        .ok_or(CallError::LoginRefused)?;
    let token = api
        .access
        .login_key(&key, address(call))
        .map_err(|error| refused(api, &error))?;
    Ok(data(&token))
}

/// `POST authentication/token/release`.
pub fn release(api: &Api, call: &Call) -> Result<Value, CallError> {
    let token = call.parameters.text("token")?;
    let token = token
        .filter(|token| !token.is_empty())
        .ok_or(CallError::TokenMissing)?;
    match api.access.release(token) {
        Ok(()) => Ok(Value::object([])),
        Err(Denied::Expired) => Err(CallError::TokenExpired),
        Err(Denied::Unknown) => Err(CallError::TokenUnknown),
    }
}

fn data(token: &Token) -> Value {
    Value::object([("token", token.as_str().into())])
}

fn address(call: &Call) -> IpAddr {
    call.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn refused(api: &Api, error: &LoginError) -> CallError {
    match error {
        LoginError::Refused => {
            api.metrics.count(Metric::LoginsFailed);
            CallError::LoginRefused
        }
        LoginError::Throttled { retry_after } => {
            api.metrics.count(Metric::LoginsThrottled);
            CallError::LoginThrottled {
                seconds: retry_after.as_secs().max(1),
            }
        }
        LoginError::Random(source) => {
            tracing::error!(%source, "a login failed for want of random numbers");
            CallError::Internal
        }
    }
}

/// The user name of `Basic base64(user:password)`; live clients write `basic`, and some leave the padding out.
fn basic_user(authorization: &str) -> Option<String> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let (scheme, encoded) = authorization.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(LENIENT.decode(encoded.trim()).ok()?).ok()?;
    let user = text.split_once(':').map_or(text.as_str(), |(user, _)| user);
    Some(user.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_read_leniently() {
        assert_eq!(basic_user("Basic YWJjOg==").as_deref(), Some("abc"));
        assert_eq!(basic_user("basic YWJjOg").as_deref(), Some("abc"));
        assert_eq!(basic_user("BASIC  YWJj").as_deref(), Some("abc"));
        assert_eq!(basic_user("Bearer YWJj"), None);
        assert_eq!(basic_user("Basic %%"), None);
    }
}
