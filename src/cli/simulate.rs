//! `pairbox simulate NAME`: the CAS side of a mapping as a real server, with seeded faults.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::mapping::scripts_dir;
use super::output::say;
use crate::config::TlsFiles;
use crate::http::tls;
use crate::script::{Mapping, Origin};
use crate::service::{ServiceError, credentials};
use crate::simulate::{Faults, Persona, SimulateOptions, Simulator};

#[derive(Args)]
pub struct SimulateArgs {
    /// The mapping whose CAS this is
    name: String,
    /// Port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:7000", value_name = "ADDRESS")]
    listen: String,
    /// Such as drop=1%,refuse=2%,late=5%,close=0.5%,duplicate=1%
    #[arg(long, value_name = "LIST")]
    fault: Option<String>,
    /// The same seed gives the same faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where what changes is kept over a restart, as JSON: pairings, sessions, counters. Settings are not: those of now count
    #[arg(long, value_name = "FILE")]
    state_file: Option<PathBuf>,
    /// A setting of the simulator's own, such as session_uses=20; its README names them
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, serde_json::Value)>,
    /// TLS with this certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Whose settings the CAS expects [default: the first provider with this mapping]
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
}

impl SimulateArgs {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let origin = Origin::find(&scripts_dir(global)?, &self.name)?;
        let faults: Faults = match &self.fault {
            Some(list) => list.parse()?,
            None => Faults::none(),
        };
        let mut settings = self.settings(global)?;
        if let Some(all) = settings.as_object_mut() {
            all.extend(self.set.iter().cloned());
        }
        let persona = Persona::new(Arc::new(Mapping::from_origin(origin)?), settings)?;
        let mut options = SimulateOptions::new(persona, self.listen.clone());
        options.faults = faults;
        options.seed = self.seed;
        options.state_file.clone_from(&self.state_file);
        if let (Some(certificate), Some(key)) = (self.tls_certificate.clone(), self.tls_key.clone())
        {
            options.tls =
                Some(tls::load(&TlsFiles { certificate, key }).map_err(ServiceError::from)?);
        }

        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|source| {
                let act = "watch for signals at";
                let path = PathBuf::from("simulate");
                CliError::File { act, path, source }
            })?;
        }
        let (simulator, address) = Simulator::bind(options)?;
        let view = simulator.view();
        say(&format!(
            "simulating {} on {address}, seed {}",
            self.name, self.seed
        ))?;
        simulator.run(&stop)?;
        let figures = view.figures();
        say(&format!(
            "connections {}, commands {}, faults {}",
            figures.connections, figures.commands, figures.faults
        ))?;
        Ok(Exit::Done)
    }

    /// A simulator alone in an empty folder has no configuration, and needs none.
    fn settings(&self, global: &Global) -> Result<serde_json::Value, CliError> {
        let config = match global.load_quietly() {
            Ok(config) => config,
            Err(error) if global.config.is_some() || self.provider.is_some() => return Err(error),
            Err(_) => return Ok(serde_json::json!({})),
        };
        let found = match &self.provider {
            Some(name) => config
                .provider(name)
                .ok_or_else(|| CliError::NoProvider { name: name.clone() })?,
            None => match config.providers.iter().find(|one| one.mapping == self.name) {
                Some(found) => found,
                None => return Ok(serde_json::json!({})),
            },
        };
        let mut settings = found.settings.clone();
        // What the provider sends is what the CAS expects.
        let credentials = credentials(found).map_err(|source| ServiceError::Credentials {
            provider: found.name.clone(),
            source: Box::new(source),
        })?;
        let secrets: serde_json::Map<_, _> = credentials
            .secrets()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        if let Some(all) = settings.as_object_mut().filter(|_| !secrets.is_empty()) {
            all.insert("secrets".to_owned(), secrets.into());
        }
        Ok(settings)
    }
}

/// A number, true or false is that; anything else a text.
fn setting(text: &str) -> Result<(String, serde_json::Value), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("expected NAME=VALUE")?;
    let plain = serde_json::from_str::<serde_json::Value>(value)
        .ok()
        .filter(|value| value.is_i64() || value.is_boolean());
    Ok((name.to_owned(), plain.unwrap_or_else(|| value.into())))
}
