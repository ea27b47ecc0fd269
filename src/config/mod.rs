//! `pairbox.toml`: what the operator decides, read once at start and at reload, with every mistake reported at once.
//!
//! A flag wins over `PAIRBOX_*`, that over the file, that over the default. Nothing here opens a data folder, a socket or
//! a script: whether the mapping of a provider exists is asked by `provider/`. Callers: `service.rs` and `cli/`.

mod credentials;
mod doors;
mod environment;
mod finding;
mod live;
mod load;
mod provider;
mod reader;
mod retry;
mod section;
mod template;
mod units;

use std::path::PathBuf;

pub use credentials::{ProviderCredentials, ProviderLogin, ProviderTls};
pub use doors::{ControlConfig, HttpConfig, OpsConfig, TlsFiles};
pub use environment::Environment;
pub use finding::{ConfigErrors, Finding, Origin};
pub use live::Live;
pub use load::{Loaded, Overrides, SYSTEM_FILE, WORKING_FILE};
pub use provider::{AmbiguousPolicy, ProviderConfig, ProviderState};
pub use retry::{RetryConfig, RetryOverrides};
pub use section::{
    ApiConfig, ErrorStatus, Full, LedgerConfig, LogConfig, LogFormat, PairingConfig,
    ProcessingConfig, ProcessingMode, StoreConfig, TokenLife, UnpairUnknown,
};
pub use template::TEMPLATE;
pub use units::{ByteText, SpanText, UnitError, parse_bytes, parse_duration};

/// Where the data lies, beside the file that names it.
pub const DEFAULT_DATA_DIR: &str = "data";
/// Where mappings and jobs lie, beside the file that names it.
pub const DEFAULT_SCRIPTS_DIR: &str = "scripts";
/// How many providers one box serves.
pub const PROVIDERS_MAX: usize = 64;

/// The whole configuration, parsed and within its bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub data_dir: PathBuf,
    pub scripts_dir: PathBuf,
    pub http: HttpConfig,
    pub ops: OpsConfig,
    pub control: ControlConfig,
    pub api: ApiConfig,
    pub processing: ProcessingConfig,
    pub store: StoreConfig,
    pub ledger: LedgerConfig,
    pub pairing: PairingConfig,
    pub retry: RetryConfig,
    pub log: LogConfig,
    pub providers: Vec<ProviderConfig>,
}

impl Config {
    /// The provider of that exact name.
    pub fn provider(&self, name: &str) -> Option<&ProviderConfig> {
        self.providers.iter().find(|provider| provider.name == name)
    }
}
