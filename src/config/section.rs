//! The sections outside the providers and the doors: each a plain struct, its defaults as constants, and its reading with bounds.
//!
//! A new key is added here, in `template.rs` and in the operator's reference; its variable comes by itself.

use std::time::Duration;

use chrono_tz::Tz;
use toml::de::DeTable;

use super::reader::{Reading, Section, size};
use super::units::{UnitError, parse_duration};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What an error's HTTP status is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorStatus {
    /// 200 with the envelope, as CRM.COM does.
    Ok,
    /// 4xx with the envelope, for new clients.
    Rest,
}

/// When a token ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenLife {
    /// So long after its last use.
    Idle(Duration),
    /// So long after its issue.
    Absolute(Duration),
}

/// `[api]`: the dialect's choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    pub time_zone: Tz,
    pub organisation: Option<String>,
    pub error_status: ErrorStatus,
    pub token_life: TokenLife,
    pub immediate_wait: Duration,
    pub immediate_waiting_max: usize,
}

impl ApiConfig {
    pub const TOKEN_LIFE: TokenLife = TokenLife::Idle(HOUR);
    pub const IMMEDIATE_WAIT: Duration = Duration::from_secs(10);
    pub const IMMEDIATE_WAITING_MAX: usize = 256;

    pub(super) fn read<'a>(reading: &mut Reading<'a>, table: Option<&'a DeTable<'a>>) -> Self {
        let mut section = Section::top(reading, "api", table);
        let api = Self {
            time_zone: section
                .parsed(
                    "time_zone",
                    "write a name of the time zone database, such as \"Europe/Athens\" or \"UTC\"",
                    |text| text.parse::<Tz>().map_err(|_| "no such time zone"),
                )
                .unwrap_or_else(host_time_zone),
            organisation: section.text("organisation").map(|(text, _)| text),
            error_status: section
                .choice(
                    "error_status",
                    &[("ok", ErrorStatus::Ok), ("rest", ErrorStatus::Rest)],
                )
                .unwrap_or(ErrorStatus::Ok),
            token_life: section
                .parsed(
                    "token_life",
                    "write \"idle:1h\" or \"absolute:2h\"",
                    parse_token_life,
                )
                .unwrap_or(Self::TOKEN_LIFE),
            immediate_wait: section
                .span("immediate_wait", Duration::ZERO..=60 * SECOND)
                .unwrap_or(Self::IMMEDIATE_WAIT),
            immediate_waiting_max: size(
                section.whole("immediate_waiting_max", 0..=10_000_u32),
                Self::IMMEDIATE_WAITING_MAX,
            ),
        };
        section.finish();
        api
    }
}

/// The host's time zone; UTC where the host names none that is known.
fn host_time_zone() -> Tz {
    iana_time_zone::get_timezone()
        .ok()
        .and_then(|name| name.parse().ok())
        .unwrap_or(Tz::UTC)
}

#[derive(Debug, thiserror::Error)]
enum TokenLifeError {
    #[error("expected `idle:` or `absolute:` and a span")]
    Kind,
    #[error(transparent)]
    Unit(#[from] UnitError),
    #[error("expected one minute to 30 days")]
    Outside,
}

fn parse_token_life(text: &str) -> Result<TokenLife, TokenLifeError> {
    let (kind, span) = text.split_once(':').ok_or(TokenLifeError::Kind)?;
    let span = parse_duration(span)?;
    if !(60 * SECOND..=30 * DAY).contains(&span) {
        return Err(TokenLifeError::Outside);
    }
    match kind {
        "idle" => Ok(TokenLife::Idle(span)),
        "absolute" => Ok(TokenLife::Absolute(span)),
        _ => Err(TokenLifeError::Kind),
    }
}

/// When requests that are due go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessingMode {
    Continuous,
    Every(Duration),
    Manual,
}

/// `[processing]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessingConfig {
    pub mode: ProcessingMode,
}

impl ProcessingConfig {
    pub(super) fn read<'a>(reading: &mut Reading<'a>, table: Option<&'a DeTable<'a>>) -> Self {
        let mut section = Section::top(reading, "processing", table);
        let mode = section
            .parsed(
                "mode",
                "write \"continuous\", \"every 5m\" (1s to 1d) or \"manual\"",
                parse_mode,
            )
            .unwrap_or(ProcessingMode::Continuous);
        section.finish();
        Self { mode }
    }
}

#[derive(Debug, thiserror::Error)]
enum ModeError {
    #[error("not a processing mode")]
    Unknown,
    #[error(transparent)]
    Unit(#[from] UnitError),
    #[error("expected a span of 1s to 1d")]
    Outside,
}

fn parse_mode(text: &str) -> Result<ProcessingMode, ModeError> {
    match text {
        "continuous" => return Ok(ProcessingMode::Continuous),
        "manual" => return Ok(ProcessingMode::Manual),
        _ => {}
    }
    let span = text.strip_prefix("every ").ok_or(ModeError::Unknown)?;
    let span = parse_duration(span)?;
    if (SECOND..=DAY).contains(&span) {
        Ok(ProcessingMode::Every(span))
    } else {
        Err(ModeError::Outside)
    }
}

/// `[store]`: the state beside the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    pub reserve_bytes: u64,
    pub cache_bytes: u64,
}

impl StoreConfig {
    pub const RESERVE_BYTES: u64 = 512 * MIB;
    pub const CACHE_BYTES: u64 = 64 * MIB;

    pub(super) fn read<'a>(reading: &mut Reading<'a>, table: Option<&'a DeTable<'a>>) -> Self {
        let mut section = Section::top(reading, "store", table);
        let store = Self {
            reserve_bytes: section
                .bytes("reserve", MIB..=1_024 * GIB)
                .unwrap_or(Self::RESERVE_BYTES),
            cache_bytes: section
                .bytes("cache", MIB..=64 * GIB)
                .unwrap_or(Self::CACHE_BYTES),
        };
        section.finish();
        store
    }
}

/// `[ledger]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerConfig {
    pub segment_bytes: u64,
}

impl LedgerConfig {
    pub const SEGMENT_BYTES: u64 = 64 * MIB;
    /// A group of 8 MiB must fit into one segment, with room for others.
    const SEGMENT_BYTES_MIN: u64 = 16 * MIB;

    pub(super) fn read<'a>(reading: &mut Reading<'a>, table: Option<&'a DeTable<'a>>) -> Self {
        let mut section = Section::top(reading, "ledger", table);
        let segment_bytes = section
            .bytes("segment", Self::SEGMENT_BYTES_MIN..=GIB)
            .unwrap_or(Self::SEGMENT_BYTES);
        section.finish();
        Self { segment_bytes }
    }
}

/// What an unpair of a card does that has no known pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnpairUnknown {
    Refuse,
    Send,
}

/// What a pair does where an STB, or a card, has as many of the other as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    Refuse,
    Replace,
}

impl Full {
    const WORDS: [(&str, Self); 2] = [("refuse", Self::Refuse), ("replace", Self::Replace)];
}

/// `[pairing]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingConfig {
    pub unpair_unknown: UnpairUnknown,
    pub stb_taken: Full,
    /// Of a card that may have several STBs; one that may have one moves.
    pub card_full: Full,
}

impl PairingConfig {
    pub(super) fn read<'a>(reading: &mut Reading<'a>, table: Option<&'a DeTable<'a>>) -> Self {
        let mut section = Section::top(reading, "pairing", table);
        let pairing = Self {
            unpair_unknown: section
                .choice(
                    "unpair_unknown",
                    &[
                        ("refuse", UnpairUnknown::Refuse),
                        ("send", UnpairUnknown::Send),
                    ],
                )
                .unwrap_or(UnpairUnknown::Refuse),
            stb_taken: section
                .choice("stb_taken", &Full::WORDS)
                .unwrap_or(Full::Refuse),
            card_full: section
                .choice("card_full", &Full::WORDS)
                .unwrap_or(Full::Refuse),
        };
        section.finish();
        pairing
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    Text,
    Json,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    pub level: tracing::Level,
    pub format: LogFormat,
}

impl LogConfig {
    pub const LEVEL: tracing::Level = tracing::Level::INFO;

    pub(super) fn read<'a>(reading: &mut Reading<'a>, table: Option<&'a DeTable<'a>>) -> Self {
        let mut section = Section::top(reading, "log", table);
        let log = Self {
            level: section
                .parsed("level", LEVEL_HINT, parse_level)
                .unwrap_or(Self::LEVEL),
            format: section
                .choice(
                    "format",
                    &[
                        ("auto", LogFormat::Auto),
                        ("text", LogFormat::Text),
                        ("json", LogFormat::Json),
                    ],
                )
                .unwrap_or(LogFormat::Auto),
        };
        section.finish();
        log
    }
}

pub(super) const LEVEL_HINT: &str = "write one of `error`, `warn`, `info`, `debug`, `trace`";

pub(super) fn parse_level(text: &str) -> Result<tracing::Level, &'static str> {
    match text {
        "error" => Ok(tracing::Level::ERROR),
        "warn" => Ok(tracing::Level::WARN),
        "info" => Ok(tracing::Level::INFO),
        "debug" => Ok(tracing::Level::DEBUG),
        "trace" => Ok(tracing::Level::TRACE),
        _ => Err("not a log level"),
    }
}
