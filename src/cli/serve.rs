//! `pairbox serve`: takes the lock, sets up the log, and hands everything else to `service.rs`.

use clap::Args;

use super::data_dir;
use super::error::CliError;
use super::exit::Exit;
use super::global::{Global, log_style};
use crate::config::Config;
use crate::control::DataLock;

#[derive(Args)]
pub struct ServeArgs {
    /// Another address for the API than the configuration's; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl ServeArgs {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load(self.listen)?;
        // Logging that is set up already stays as it is.
        let _ = crate::telemetry::init(config.log.level, log_style(config.log.format));
        let lock = data_dir::lock(&config.data_dir)?;
        serve(config, lock)
    }
}

/// The seam to `service.rs`: opens the service, starts sending and doors, says `listening on http://ADDRESS` on stdout (the
/// demo reads that line), and stops in order on SIGINT or SIGTERM.
fn serve(_config: Config, _lock: DataLock) -> Result<Exit, CliError> {
    Err(CliError::NotWired { what: "serve" })
}
