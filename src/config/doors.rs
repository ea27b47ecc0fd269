//! The doors: `[http]` with its TLS, `[ops]`, `[control]`, and who may knock at each.
//!
//! Whether `[http] listen` is allowed depends on TLS and on what flags say, so it is judged when all layers are merged.

use std::net::{AddrParseError, IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeTable;

use super::finding::Origin;
use super::reader::{Reading, Section, size};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LEAST_TIMEOUT: Duration = Duration::from_millis(100);

/// `[http]`: the API's door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    pub listen: SocketAddr,
    pub tls: Option<TlsFiles>,
    /// Whether tokens and passwords may cross a network readable.
    pub allow_plaintext: bool,
    pub body_bytes_max: usize,
    pub workers: usize,
    pub queue_max: usize,
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    /// From a request's first byte to the end of its head.
    pub head_timeout: Duration,
    /// From the end of the head to the end of the body.
    pub body_timeout: Duration,
    /// How long a connection may stay open between two requests.
    pub idle_timeout: Duration,
}

impl HttpConfig {
    pub const LISTEN: SocketAddr = SocketAddr::new(LOCALHOST, 8087);
    pub const BODY_BYTES_MAX: usize = 64 * 1024;
    pub const WORKERS: usize = 2;
    pub const QUEUE_MAX: usize = 1024;
    pub const CONNECTIONS_MAX: usize = 4096;
    pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 2048;
    pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
    pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
    pub const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

    /// The section, and where its `listen` was written.
    pub(super) fn read<'a>(
        reading: &mut Reading<'a>,
        table: Option<&'a DeTable<'a>>,
    ) -> (Self, Option<Origin>) {
        let mut section = Section::top(reading, "http", table);
        let listen = section.placed("listen", LISTEN_HINT, parse_listen);
        let (listen, origin) = listen.unzip();
        let mut http = Self {
            listen: listen.unwrap_or(Self::LISTEN),
            tls: None,
            allow_plaintext: section.flag("allow_plaintext").unwrap_or(false),
            body_bytes_max: size(
                section.whole("body_bytes_max", 1_024..=16_777_216_u32),
                Self::BODY_BYTES_MAX,
            ),
            workers: size(section.whole("workers", 1..=64_u32), Self::WORKERS),
            queue_max: size(
                section.whole("queue_max", 1..=1_000_000_u32),
                Self::QUEUE_MAX,
            ),
            connections_max: size(
                section.whole("connections_max", 16..=65_536_u32),
                Self::CONNECTIONS_MAX,
            ),
            connections_per_address_max: size(
                section.whole("connections_per_address_max", 1..=65_536_u32),
                Self::CONNECTIONS_PER_ADDRESS_MAX,
            ),
            head_timeout: section
                .span("head_timeout", LEAST_TIMEOUT..=Duration::from_mins(5))
                .unwrap_or(Self::HEAD_TIMEOUT),
            body_timeout: section
                .span("body_timeout", LEAST_TIMEOUT..=Duration::from_mins(10))
                .unwrap_or(Self::BODY_TIMEOUT),
            idle_timeout: section
                .span(
                    "idle_timeout",
                    Duration::from_secs(1)..=Duration::from_hours(1),
                )
                .unwrap_or(Self::IDLE_TIMEOUT),
        };
        let tls = section.table("tls");
        section.finish();
        http.tls = TlsFiles::read(reading, tls);
        (http, origin)
    }

    /// Why this address must not be listened on, whoever named it.
    pub(super) fn refusal(&self) -> Option<String> {
        let is_safe = self.listen.ip().is_loopback() || self.tls.is_some() || self.allow_plaintext;
        (!is_safe).then(|| {
            format!(
                "`http.listen` = \"{}\": expected a loopback address, found one that a network reaches, without TLS: \
                 tokens and passwords would cross the network readable",
                self.listen
            )
        })
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: Self::LISTEN,
            tls: None,
            allow_plaintext: false,
            body_bytes_max: Self::BODY_BYTES_MAX,
            workers: Self::WORKERS,
            queue_max: Self::QUEUE_MAX,
            connections_max: Self::CONNECTIONS_MAX,
            connections_per_address_max: Self::CONNECTIONS_PER_ADDRESS_MAX,
            head_timeout: Self::HEAD_TIMEOUT,
            body_timeout: Self::BODY_TIMEOUT,
            idle_timeout: Self::IDLE_TIMEOUT,
        }
    }
}

pub(super) const LISTEN_HINT: &str = "write an address and a port, such as \"127.0.0.1:8087\"";
/// The ways out of [`HttpConfig::refusal`].
pub(super) const REFUSAL_HINT: &str = "write a loopback address and put a reverse proxy with TLS in front, or name a certificate and a key in \
     [http.tls], or write `allow_plaintext = true` if nobody else can read that network";

pub(super) fn parse_listen(text: &str) -> Result<SocketAddr, ListenError> {
    Ok(text.parse::<SocketAddr>()?)
}

/// Why a text is no address to listen on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListenError {
    #[error("expected an address and a port")]
    NotAnAddress(#[from] AddrParseError),
    #[error("expected a loopback address: whoever reaches this door needs no password")]
    NotLoopback,
}

/// `[http.tls]`: what the door proves itself with. Both or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and, after it, those that signed it; PEM.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

impl TlsFiles {
    fn read<'a>(
        reading: &mut Reading<'a>,
        table: Option<(&'a DeTable<'a>, usize)>,
    ) -> Option<Self> {
        let (table, offset) = table.unzip();
        let findings = reading.findings.len();
        let mut section = Section::top(reading, "http.tls", table);
        let certificate = section.path("certificate", "a file");
        let key = section.path("key", "a file");
        let is_faulty = section.reading().findings.len() > findings;
        section.finish();
        if is_faulty {
            return None;
        }
        let (lacking, origin, hint) = match (certificate, key) {
            (Some((certificate, _)), Some((key, _))) => return Some(Self { certificate, key }),
            (None, None) => ("certificate", reading.origin(offset?), CERTIFICATE_HINT),
            (None, Some((_, origin))) => ("certificate", origin, CERTIFICATE_HINT),
            (Some((_, origin)), None) => ("key", origin, KEY_HINT),
        };
        let message = format!("`http.tls.{lacking}` is missing");
        reading.find(origin, message, Some(hint.to_owned()));
        None
    }
}

const CERTIFICATE_HINT: &str = "name a PEM file with the certificate, and those that signed it";
const KEY_HINT: &str = "name a PEM file with the certificate's private key";

/// `[ops]`: figures and the page of the box, for this machine only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpsConfig {
    /// Absent: nobody listens.
    pub listen: Option<SocketAddr>,
}

impl OpsConfig {
    pub(super) fn read<'a>(reading: &mut Reading<'a>, table: Option<&'a DeTable<'a>>) -> Self {
        let mut section = Section::top(reading, "ops", table);
        let hint = "write a loopback address and a port, such as \"127.0.0.1:8088\"";
        let listen = section.parsed("listen", hint, |text| {
            let address = parse_listen(text)?;
            let is_loopback = address.ip().is_loopback();
            is_loopback
                .then_some(address)
                .ok_or(ListenError::NotLoopback)
        });
        section.finish();
        Self { listen }
    }
}

/// `[control]`: the operators' socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlConfig {
    /// Members of this Unix group may use it, beside root and the owner of the data directory.
    pub group: Option<String>,
}

impl ControlConfig {
    pub(super) fn read<'a>(reading: &mut Reading<'a>, table: Option<&'a DeTable<'a>>) -> Self {
        let mut section = Section::top(reading, "control", table);
        let hint = "write the name of a group of this machine, such as \"pairbox\"";
        let group = section.parsed("group", hint, parse_group);
        section.finish();
        Self { group }
    }
}

/// The longest name that Linux's tools make.
const GROUP_LETTERS_MAX: usize = 32;

fn parse_group(text: &str) -> Result<String, &'static str> {
    let is_name = |c: char| c.is_ascii_graphic() && !":,/".contains(c);
    if text.is_empty() || text.len() > GROUP_LETTERS_MAX || !text.chars().all(is_name) {
        return Err("not a group's name");
    }
    Ok(text.to_owned())
}
