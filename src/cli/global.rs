//! What every command takes: where the configuration is, and what it overrides.

use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use crate::config::{Config, LogFormat, Overrides};
use crate::telemetry::LogStyle;

#[derive(Args, Debug, Default)]
pub struct Global {
    /// The configuration [default: ./pairbox.toml, then /etc/pairbox/pairbox.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Another data directory than the configuration's
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

impl Global {
    /// What the flags decide.
    pub fn overrides(&self, listen: Option<String>) -> Overrides {
        Overrides {
            data_dir: self.data_dir.clone(),
            listen,
            log_level: self.log_level.clone(),
        }
    }

    /// The configuration of a short command: only what goes wrong is logged, unless a level was asked for.
    pub fn load_quietly(&self) -> Result<Config, CliError> {
        let loaded = Config::load(self.config.as_deref(), &self.overrides(None))?;
        let config = loaded.config;
        let level = match self.log_level {
            Some(_) => config.log.level,
            None => tracing::Level::WARN,
        };
        // Logging that is set up already stays as it is.
        let _ = crate::telemetry::init(level, LogStyle::Text);
        Ok(config)
    }
}

/// The style of the log lines as the configuration names it.
pub fn log_style(format: LogFormat) -> LogStyle {
    match format {
        LogFormat::Auto => LogStyle::Auto,
        LogFormat::Text => LogStyle::Text,
        LogFormat::Json => LogStyle::Json,
    }
}
