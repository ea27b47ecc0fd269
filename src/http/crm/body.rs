//! The body of a POST: one JSON object, strictly read. Faults are told with line and column.

use super::CallError;
use super::value::{Members, Value};

/// The members of the body's object.
pub fn parse(body: &[u8]) -> Result<Members, CallError> {
    if body.is_empty() {
        return Err(CallError::NoObject {
            found: "an empty body",
        });
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(other) => Err(CallError::NoObject {
            found: other.type_name(),
        }),
        Err(error) => Err(CallError::Malformed {
            fault: fault(&error),
            line: error.line(),
            column: error.column(),
        }),
    }
}

/// serde_json's words without the position, which we tell ourselves.
fn fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text.get(..end).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(body: &str) -> String {
        parse(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let cases = [
            ("", "the body: expected a JSON object, found an empty body"),
            ("[]", "the body: expected a JSON object, found a list"),
            (
                "{}x",
                "the body is no JSON: trailing characters (line 1, column 3)",
            ),
            (
                "{\"a\":1",
                "the body is no JSON: EOF while parsing an object (line 1, column 6)",
            ),
            (
                "{\"a\":{\"b\":1,\n\"b\":2}}",
                "the body is no JSON: duplicate key `b` (line 2, column 3)",
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(fault_of(body), expected);
        }
    }

    #[test]
    fn members_keep_their_order() {
        let members = parse(br#"{"z":1,"a":[true,null,"x"]}"#).unwrap();
        let text = serde_json::to_string(&Value::Object(members)).unwrap();
        assert_eq!(text, r#"{"z":1,"a":[true,null,"x"]}"#);
    }
}
