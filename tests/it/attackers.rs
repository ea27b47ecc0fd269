//! What an attacker tries at the doors, each with what it gets: nothing, in words that say so.
//!
//! `tokens`: tokens and roles. `names`: texts that shall become heads, paths or files. `exports`: texts that shall become
//! formulas. `strangers`: accounts at the control socket. Bytes that are no HTTP are in `hostile.rs`.

mod exports;
mod names;
mod strangers;
mod tokens;

use serde_json::Value;

const DOCUMENT: &str = include_str!("../../src/http/openapi.json");

/// One method of the API; the family is the scene's.
struct Method {
    verb: &'static str,
    path: String,
    needs_token: bool,
}

/// All of them, by the document that the code is held to.
fn methods() -> Vec<Method> {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let mut methods = Vec::new();
    for (path, verbs) in document["paths"].as_object().unwrap() {
        for verb in verbs.as_object().unwrap().keys() {
            methods.push(Method {
                verb: if verb == "get" { "GET" } else { "POST" },
                path: path.replace("{family}", "nagravision"),
                needs_token: !path.contains("/authentication/"),
            });
        }
    }
    assert!(methods.len() > 10, "{} methods", methods.len());
    methods
}

impl Method {
    /// A request with this token where the method wants it, these header lines, and these JSON members besides.
    fn request(&self, token: &str, headers: &str, members: &str) -> String {
        let token = serde_json::to_string(token).unwrap();
        match self.verb {
            "GET" => self.get(&format!("token={}", escaped(&token)), headers, ""),
            _ => self.post("", headers, &format!(r#"{{"token":{token}{members}}}"#)),
        }
    }

    fn get(&self, query: &str, headers: &str, body: &str) -> String {
        let (path, length) = (&self.path, body.len());
        format!("GET {path}?{query} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
    }

    fn post(&self, query: &str, headers: &str, body: &str) -> String {
        let (path, length) = (&self.path, body.len());
        format!("POST {path}?{query} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
    }

    /// As a failing test names it.
    fn name(&self) -> String {
        format!("{} {}", self.verb, self.path)
    }
}

/// A JSON string as the value of a query's parameter.
fn escaped(json: &str) -> String {
    let text: String = serde_json::from_str(json).unwrap();
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
