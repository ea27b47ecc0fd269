//! The envelope that every answer wears: `{"status":{"code","description","message"},"data":...}`.

use super::super::answer::Answer;
use super::CallError;
use super::codes;
use super::value::Value;
use crate::config::ErrorStatus;

/// As long as most answers are.
const BODY_BYTES: usize = 1536;

/// Success is exactly `"OK"`.
pub fn ok(data: &Value) -> Answer {
    Answer::new(200, wrap("OK", "", "", data))
}

/// An error; which status depends on `[api] error_status`, except where HTTP itself says it.
pub fn error(error: &CallError, style: ErrorStatus) -> Answer {
    let row = codes::row(codes::name(error));
    let status = if codes::is_of_transport(error) || style == ErrorStatus::Rest {
        row.rest_status
    } else {
        200
    };
    let message = error.to_string();
    let mut answer = Answer::new(
        status,
        wrap(&row.text(), row.description, &message, &Value::Null),
    );
    answer.retry_after_s = codes::retry_after_s(error);
    if let CallError::VerbWrong { expected, .. } = error {
        answer.allow = Some(*expected);
    }
    answer
}

fn wrap(code: &str, description: &str, message: &str, data: &Value) -> Vec<u8> {
    let status = Value::object([
        ("code", code.into()),
        ("description", description.into()),
        ("message", message.into()),
    ]);
    let mut body = Vec::with_capacity(BODY_BYTES);
    body.extend_from_slice(br#"{"status":"#);
    // Writing values of ours to memory cannot fail.
    let _ = serde_json::to_writer(&mut body, &status);
    body.extend_from_slice(br#","data":"#);
    let _ = serde_json::to_writer(&mut body, data);
    body.push(b'}');
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_business_error_is_200_unless_rest_is_chosen() {
        let fault = CallError::TokenUnknown;
        let plain = error(&fault, ErrorStatus::Ok);
        assert_eq!(plain.status, 200);
        assert_eq!(
            String::from_utf8(plain.body).unwrap(),
            r#"{"status":{"code":"COM.CRM.EXCEPTION.AUTHENTICATION.INVALIDTOKENEXCEPTION","description":"The token is missing, unknown or expired","message":"the token is unknown; log in again"},"data":null}"#
        );
        assert_eq!(error(&fault, ErrorStatus::Rest).status, 401);
    }

    #[test]
    fn success_is_exactly_ok() {
        let answer = ok(&Value::object([("token", "T".into())]));
        assert_eq!(
            String::from_utf8(answer.body).unwrap(),
            r#"{"status":{"code":"OK","description":"","message":""},"data":{"token":"T"}}"#
        );
    }
}
