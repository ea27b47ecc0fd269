//! The format of `cases/*.json`: one case, a list of cases, or `{cfg, ctx, cases}` whose cases inherit both.

use serde::Deserialize;
use serde_json::Value;

use crate::domain::{Outcome, Timestamp};
use crate::script::contract::{Decoded, EncodeContext, ItemKind, MappingRequest, Reply, Step};

/// One case; which keys are there says what is tried.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub name: String,
    #[serde(default)]
    pub cfg: Value,
    #[serde(default)]
    pub ctx: Context,
    pub request: Option<MappingRequest>,
    pub steps: Option<Vec<Step>>,
    pub frames: Option<Vec<Golden>>,
    /// What `validate` says.
    pub refused: Option<String>,
    pub keepalive: Option<Golden>,
    pub query: Option<Golden>,
    pub normalize: Option<Normalize>,
    pub gives: Option<String>,
    pub frame: Option<Bytes>,
    pub outcome: Option<ExpectedOutcome>,
    pub session: Option<Vec<SessionLine>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Context {
    transaction: u64,
    now: Timestamp,
    lane: u8,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            transaction: 1,
            now: Timestamp::ZERO,
            lane: 0,
        }
    }
}

impl Context {
    /// The context of the frame number `index` of a plan.
    pub(super) fn at(self, index: usize) -> EncodeContext {
        EncodeContext {
            transaction: self
                .transaction
                .saturating_add(u64::try_from(index).unwrap_or(u64::MAX)),
            now: self.now,
            lane: self.lane,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Normalize {
    pub kind: ItemKind,
    pub ca_id: String,
}

/// A payload, as ASCII text or hexadecimal with or without blanks.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bytes {
    Text(String),
    Hex(String),
}

impl Bytes {
    pub(super) fn get(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.as_bytes().to_vec()),
            Self::Hex(text) => unhex(text),
        }
    }
}

pub(super) fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let compact: String = text.chars().filter(|character| *character != ' ').collect();
    hex::decode(&compact).map_err(|error| format!("`{text}` is not hexadecimal: {error}"))
}

/// A frame that must come out: the payload, its key if given, and the bytes on the wire if given.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Golden {
    text: Option<String>,
    hex: Option<String>,
    pub key: Option<String>,
    /// Hexadecimal, with the length prefix.
    pub wire: Option<String>,
}

impl Golden {
    pub(super) fn body(&self) -> Result<Vec<u8>, String> {
        match (&self.text, &self.hex) {
            (Some(text), None) => Ok(text.as_bytes().to_vec()),
            (None, Some(text)) => unhex(text),
            _ => Err("a frame needs either `text` or `hex`".to_owned()),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ExpectedOutcome {
    Reply {
        #[serde(default)]
        key: String,
        outcome: String,
        #[serde(default)]
        busy_s: Option<u32>,
        #[serde(default)]
        code: Option<String>,
        #[serde(default)]
        text: Option<String>,
        #[serde(default)]
        reference: Option<String>,
        #[serde(default)]
        ends_session: bool,
    },
    Push {
        data: String,
        #[serde(default)]
        reply: Option<Bytes>,
    },
    Keepalive {},
    Ignore {},
}

impl ExpectedOutcome {
    /// Whether this is the named outcome or kind.
    pub(super) fn is(&self, wanted: &str) -> bool {
        match self {
            Self::Reply { outcome, .. } => outcome == wanted,
            Self::Ignore {} => wanted == "ignore",
            Self::Push { .. } | Self::Keepalive {} => false,
        }
    }

    pub(super) fn decoded(&self) -> Result<Decoded, String> {
        Ok(match self {
            Self::Ignore {} => Decoded::Ignore,
            Self::Keepalive {} => Decoded::Keepalive,
            Self::Push { data, reply } => Decoded::Push {
                data: data.clone(),
                reply: reply.as_ref().map(Bytes::get).transpose()?,
            },
            Self::Reply {
                key,
                outcome,
                busy_s,
                code,
                text,
                reference,
                ends_session,
            } => Decoded::Reply(Reply {
                key: key.clone(),
                outcome: match (outcome.as_str(), busy_s) {
                    ("ok", _) => Outcome::Ok,
                    ("already", _) => Outcome::Already,
                    ("refused", _) => Outcome::Refused,
                    ("retry", _) => Outcome::Retry,
                    ("fatal", _) => Outcome::Fatal,
                    ("busy", Some(seconds)) => Outcome::Busy { seconds: *seconds },
                    _ => return Err(format!("`{outcome}` is no outcome (busy needs `busy_s`)")),
                },
                code: code.clone(),
                text: text.clone(),
                reference: reference.clone(),
                ends_session: *ends_session,
            }),
        })
    }
}

/// One event of a session and what it must ask for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionLine {
    #[serde(default)]
    pub connect: bool,
    pub frame: Option<Bytes>,
    #[serde(default)]
    pub send: Vec<Bytes>,
    #[serde(default)]
    pub keep: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    pub ready: bool,
    pub fail: Option<String>,
}

/// Reads one file.
pub(super) fn read(text: &str) -> Result<Vec<Case>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let (cases, defaults) = match value {
        Value::Array(cases) => (cases, serde_json::Map::new()),
        Value::Object(mut group) if group.contains_key("cases") => match group.remove("cases") {
            Some(Value::Array(cases)) => (cases, group),
            _ => return Err("`cases` must be a list".to_owned()),
        },
        single => (vec![single], serde_json::Map::new()),
    };
    if let Some(unknown) = defaults.keys().find(|key| *key != "cfg" && *key != "ctx") {
        return Err(format!(
            "`{unknown}` beside `cases`: only cfg and ctx may stand there"
        ));
    }
    cases.into_iter().map(|case| one(case, &defaults)).collect()
}

fn one(mut case: Value, defaults: &serde_json::Map<String, Value>) -> Result<Case, String> {
    if let Value::Object(keys) = &mut case {
        for (key, value) in defaults {
            keys.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    let name = case
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or("a case without a name")
        .to_owned();
    serde_json::from_value(case).map_err(|error| format!("{name}: {error}"))
}
