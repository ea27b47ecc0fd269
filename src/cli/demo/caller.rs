//! A CRM as the demo plays it: logs in, posts pair requests, reads the envelope, over plain HTTP.

use serde_json::{Value, json};

use crate::cli::error::CliError;

const BASE: &str = "crmapi/rest/v2";
const PAIR: &str = "nagravision/provisioning_requests/pair_smartcard_decoder";

pub struct Caller {
    api: String,
    token: String,
}

impl Caller {
    pub fn login(api: &str, user: &str, password: &str) -> Result<Self, CliError> {
        let body = json!({"username": user, "password": password, "organisation": "DEMO"});
        let data = post(api, "authentication/token", &body)?;
        let token = data.get("token").and_then(Value::as_str);
        Ok(Self {
            api: api.to_owned(),
            token: token.unwrap_or_default().to_owned(),
        })
    }

    /// Posts one pair request; answers a line about the request that it became.
    pub fn pair(&self, card: &str, stb: &str) -> Result<String, CliError> {
        let data = post(&self.api, PAIR, &body(&self.token, card, stb))?;
        let text = |name: &str| {
            data.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Ok(format!(
            "-> OK: request {}, {}, {}",
            text("number"),
            text("type"),
            text("life_cycle_state")
        ))
    }

    /// The same as a line to type.
    pub fn curl(&self, card: &str, stb: &str) -> String {
        let body = body(&self.token, card, stb);
        format!("$ curl -X POST {}/{BASE}/{PAIR} -d '{body}'", self.api)
    }
}

fn body(token: &str, card: &str, stb: &str) -> Value {
    json!({
        "token": token,
        "smartcard_identifier": {"serial_number": card},
        "stb_identifier": {"serial_number": stb},
    })
}

/// Posts and opens the envelope.
fn post(api: &str, method: &str, body: &Value) -> Result<Value, CliError> {
    let failed = |what: String| CliError::DemoCall {
        call: method.to_owned(),
        what,
    };
    let mut response = ureq::post(format!("{api}/{BASE}/{method}"))
        .content_type("application/json")
        .send(body.to_string())
        .map_err(|error| failed(error.to_string()))?;
    let text = response.body_mut().read_to_string();
    let text = text.map_err(|error| failed(error.to_string()))?;
    let envelope: Value = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    let status = envelope.pointer("/status/code").and_then(Value::as_str);
    if status == Some("OK") {
        return Ok(envelope.get("data").cloned().unwrap_or_default());
    }
    let message = envelope.pointer("/status/message").and_then(Value::as_str);
    Err(failed(message.unwrap_or(&text).to_owned()))
}
