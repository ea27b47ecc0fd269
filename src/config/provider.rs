//! `[[provider]]`: one CAS as the operator describes it. What it leaves out, the mapping's own defaults fill in.
//!
//! `settings` is free: its keys belong to the mapping and are judged there.

use std::time::Duration;

use serde_json::Value;
use toml::de::{DeArray, DeTable, DeValue};

use super::PROVIDERS_MAX;
use super::credentials::ProviderCredentials;
use super::finding::Origin;
use super::reader::{Reading, Section, type_name};
use super::retry::{RetryConfig, RetryOverrides};
use crate::domain::Cardinality;

/// Whether requests are sent to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderState {
    Effective,
    NotEffective,
}

impl ProviderState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Effective => "EFFECTIVE",
            Self::NotEffective => "NOT_EFFECTIVE",
        }
    }
}

/// What is done when no one knows whether the CAS executed a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmbiguousPolicy {
    Resend,
    Query,
    Hold,
}

/// One configured CAS.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderConfig {
    pub name: String,
    pub family: String,
    pub state: ProviderState,
    /// The folder under `scripts/mappings/`.
    pub mapping: String,
    /// Host and port.
    pub address: String,
    /// Globs over product names.
    pub smartcard_products: Vec<String>,
    pub stb_products: Vec<String>,
    pub window: Option<u32>,
    pub reply_timeout: Option<Duration>,
    pub connect_timeout: Option<Duration>,
    pub keepalive_every: Option<Duration>,
    pub rate_per_s: Option<u32>,
    pub min_gap: Option<Duration>,
    pub lanes: Option<u32>,
    /// How many STBs one card may have, and how many cards one STB.
    pub stbs_per_card: u8,
    pub cards_per_stb: u8,
    pub ambiguous: Option<AmbiguousPolicy>,
    pub retry: RetryOverrides,
    /// `[provider.settings]`, always an object.
    pub settings: Value,
    pub credentials: ProviderCredentials,
}

impl ProviderConfig {
    pub const FAMILY: &'static str = "nagravision";
    pub const WINDOW_MAX: u32 = 4_096;
    pub const LANES_MAX: u32 = 64;
    const NAME_LENGTH_MAX: usize = 64;

    /// All `[[provider]]` tables; two of one name are a finding.
    pub(super) fn read_all<'a>(reading: &mut Reading<'a>, list: &'a DeArray<'a>) -> Vec<Self> {
        let mut providers: Vec<(Self, Origin)> = Vec::new();
        for item in list {
            let origin = reading.origin(item.span().start);
            let DeValue::Table(table) = item.get_ref() else {
                let message = format!(
                    "`provider`: expected sections, found {}",
                    type_name(item.get_ref())
                );
                reading.find(origin, message, Some("write [[provider]]".to_owned()));
                continue;
            };
            if providers.len() == PROVIDERS_MAX {
                let message = format!("more than {PROVIDERS_MAX} providers");
                reading.find(origin, message, None);
                break;
            }
            let (provider, origin) = Self::read(reading, table, item.span().start);
            let same = providers
                .iter()
                .find(|(other, _)| !provider.name.is_empty() && other.name == provider.name);
            if let Some((_, first)) = same {
                let message = format!(
                    "two providers are named `{}`; the first is at {first}",
                    provider.name
                );
                let hint = "give each provider a name of its own".to_owned();
                reading.find(origin, message, Some(hint));
                continue;
            }
            providers.push((provider, origin));
        }
        providers
            .into_iter()
            .map(|(provider, _)| provider)
            .collect()
    }

    fn read<'a>(
        reading: &mut Reading<'a>,
        table: &'a DeTable<'a>,
        offset: usize,
    ) -> (Self, Origin) {
        let retry = Self::read_retry(reading, table, offset);
        let settings = Self::read_settings(reading, table, offset);
        let credentials = ProviderCredentials::read(reading, table, offset);
        let mut section = Section::inner(reading, "provider", Some(table), offset);
        for inner in ["retry", "settings"]
            .iter()
            .chain(&ProviderCredentials::SECTIONS)
        {
            let _ = section.entry(inner);
        }

        let (name, origin) = word(&mut section, "name").unwrap_or_else(|| {
            let origin = section.reading().origin(offset);
            (String::new(), origin)
        });
        let seconds = Duration::from_secs;
        let provider = Self {
            name,
            family: section
                .choice("family", &[(Self::FAMILY, Self::FAMILY)])
                .unwrap_or(Self::FAMILY)
                .to_owned(),
            state: read_state(&mut section),
            mapping: word(&mut section, "mapping").map_or_else(String::new, |(text, _)| text),
            address: read_address(&mut section),
            smartcard_products: globs(&mut section, "smartcard_products"),
            stb_products: globs(&mut section, "stb_products"),
            window: section.whole("window", 1..=Self::WINDOW_MAX),
            reply_timeout: section.span("reply_timeout", Duration::from_millis(10)..=seconds(600)),
            connect_timeout: section
                .span("connect_timeout", Duration::from_millis(10)..=seconds(600)),
            keepalive_every: section.span("keepalive_every", seconds(1)..=seconds(86_400)),
            rate_per_s: section.whole("rate_per_s", 1..=1_000_000_u32),
            min_gap: section.span("min_gap", Duration::ZERO..=seconds(600)),
            lanes: section.whole("lanes", 1..=Self::LANES_MAX),
            stbs_per_card: section
                .whole("stbs_per_card", 1..=Cardinality::STBS_MAX)
                .unwrap_or(1),
            cards_per_stb: section
                .whole("cards_per_stb", 1..=Cardinality::CARDS_MAX)
                .unwrap_or(1),
            ambiguous: section.choice(
                "ambiguous",
                &[
                    ("resend", AmbiguousPolicy::Resend),
                    ("query", AmbiguousPolicy::Query),
                    ("hold", AmbiguousPolicy::Hold),
                ],
            ),
            retry,
            settings,
            credentials,
        };
        section.finish();
        (provider, origin)
    }

    fn read_retry<'a>(
        reading: &mut Reading<'a>,
        table: &'a DeTable<'a>,
        offset: usize,
    ) -> RetryOverrides {
        let found = Section::inner(reading, "provider", Some(table), offset).table("retry");
        let Some((inner, at)) = found else {
            return RetryOverrides::default();
        };
        let mut section = Section::inner(reading, "provider.retry", Some(inner), at);
        let retry = RetryOverrides {
            delays: RetryConfig::read_delays(&mut section),
            jitter_percent: RetryConfig::read_jitter(&mut section),
            give_up_after: RetryConfig::read_give_up(&mut section),
        };
        section.finish();
        retry
    }

    fn read_settings<'a>(
        reading: &mut Reading<'a>,
        table: &'a DeTable<'a>,
        offset: usize,
    ) -> Value {
        let found = Section::inner(reading, "provider", Some(table), offset).table("settings");
        let empty = || Value::Object(serde_json::Map::new());
        let Some((inner, at)) = found else {
            return empty();
        };
        let object = inner
            .iter()
            .map(|(name, value)| Some((name.get_ref().to_string(), json(value.get_ref())?)))
            .collect::<Option<serde_json::Map<_, _>>>();
        object.map_or_else(
            || {
                let origin = reading.origin(at);
                let message = "`provider.settings` holds a number that JSON cannot carry";
                let hint = "write whole numbers below 2^63 and no nan or inf".to_owned();
                reading.find(origin, message, Some(hint));
                empty()
            },
            Value::Object,
        )
    }
}

/// A required name: letters, digits, `.`, `_`, `-`; it becomes part of file names and log lines.
fn word(section: &mut Section<'_, '_>, key: &'static str) -> Option<(String, Origin)> {
    let is_present = section.entry(key).is_some();
    if !is_present {
        section.missing(key, &format!("add {key} = \"...\""));
        return None;
    }
    let (text, origin) = section.text(key)?;
    let is_plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if is_plain && starts_well && text.len() <= ProviderConfig::NAME_LENGTH_MAX {
        return Some((text, origin));
    }
    let message = format!("{} = \"{text}\" is not a name", section.path_of(key));
    let hint = format!(
        "up to {} letters, digits, `.`, `_` and `-`, a letter or digit first",
        ProviderConfig::NAME_LENGTH_MAX
    );
    section.reading().find(origin, message, Some(hint));
    None
}

fn read_state(section: &mut Section<'_, '_>) -> ProviderState {
    let states = [ProviderState::Effective, ProviderState::NotEffective];
    let choices = states.map(|state| (state.as_str(), state));
    section
        .choice("state", &choices)
        .unwrap_or(ProviderState::Effective)
}

fn read_address(section: &mut Section<'_, '_>) -> String {
    const HINT: &str = "write host and port, such as \"127.0.0.1:7000\"";
    if section.entry("address").is_none() {
        section.missing("address", HINT);
        return String::new();
    }
    let parse = |text: &str| {
        let (host, port) = text.rsplit_once(':').ok_or("expected a host and a port")?;
        let is_host = !host.is_empty() && !host.contains(char::is_whitespace);
        let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
        if is_host && is_port {
            Ok(text.to_owned())
        } else {
            Err("expected a host and a port from 1 to 65535")
        }
    };
    section.parsed("address", HINT, parse).unwrap_or_default()
}

/// Product globs (`*` and `?`), at least one: a provider that matches nothing would be a slip nobody sees.
fn globs(section: &mut Section<'_, '_>, key: &'static str) -> Vec<String> {
    const HINT: &str = "write [\"*\"] for every product";
    let Some((name, _)) = section.entry(key) else {
        section.missing(key, HINT);
        return Vec::new();
    };
    let at = name.span().start;
    let Some(found) = section.texts(key) else {
        return Vec::new();
    };
    if found.is_empty() {
        let message = format!("{}: an empty list matches nothing", section.path_of(key));
        let origin = section.reading().origin(at);
        section
            .reading()
            .find(origin, message, Some(HINT.to_owned()));
    }
    let mut globs = Vec::new();
    for (glob, origin) in found {
        if glob.trim().is_empty() {
            let message = format!("{}: an empty glob matches nothing", section.path_of(key));
            section
                .reading()
                .find(origin, message, Some(HINT.to_owned()));
        } else {
            globs.push(glob);
        }
    }
    globs
}

/// The same value in JSON; `None` for a number that JSON has no form for. Dates become texts.
fn json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(number) => {
            Value::from(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        DeValue::Float(number) => {
            serde_json::Number::from_f64(number.as_str().parse().ok()?)?.into()
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(items) => items
            .iter()
            .map(|item| json(item.get_ref()))
            .collect::<Option<Vec<_>>>()?
            .into(),
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(name, value)| Some((name.get_ref().to_string(), json(value.get_ref())?)))
                .collect::<Option<serde_json::Map<_, _>>>()?,
        ),
    })
}
