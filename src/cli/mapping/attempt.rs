//! `pairbox mapping try`: one live exchange with a CAS, shown byte by byte. It is recorded, and nothing else changes.

use std::sync::{Arc, PoisonError};

use clap::Args;

use super::super::backend::{Backend, Sending};
use super::super::error::CliError;
use super::super::exit::Exit;
use super::super::global::Global;
use super::super::output::say;
use super::asked::AskedArgs;
use super::dump::dump;
use super::provider_of;
use crate::control::MappingTried;
use crate::domain::Cardinality;
use crate::domain::event::{Frame, Tried, TriedFrame};
use crate::provider::{Provider, ProviderOptions, SessionOverrides};
use crate::script::{Mapping, Origin};
use crate::service::{Asked, ServiceError, Wire, credentials, exchange};

const LANE_NUMBER: u16 = 0;

#[derive(Args)]
pub struct TryArgs {
    /// The mapping, as its files lie now
    name: String,
    /// Host and port of the CAS
    #[arg(long, value_name = "ADDRESS")]
    address: String,
    /// Whose settings and secrets [default: the first provider with this mapping]
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    #[command(flatten)]
    asked: AskedArgs,
}

impl TryArgs {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let configured = provider_of(&config, &self.name, self.provider.as_deref())?;
        let origin = Origin::find(&config.scripts_dir, &self.name)?;
        let mapping = Arc::new(Mapping::from_origin(origin)?);
        let credentials = credentials(configured).map_err(|source| ServiceError::Credentials {
            provider: configured.name.clone(),
            source: Box::new(source),
        })?;
        let provider = Provider::new(ProviderOptions {
            number: LANE_NUMBER,
            name: configured.name.clone(),
            family: configured.family.clone(),
            mapping: Arc::clone(&mapping),
            settings: configured.settings.clone(),
            address: self.address.clone(),
            credentials,
            overrides: SessionOverrides {
                reply_timeout: configured.reply_timeout,
                connect_timeout: configured.connect_timeout,
                lanes: Some(1),
                ..SessionOverrides::default()
            },
            cardinality: Cardinality::ONE_TO_ONE,
            smartcard_products: Vec::new(),
            stb_products: Vec::new(),
            seed: 0,
        })?;
        let request = self.asked.request(&mapping, &provider.settings)?;
        if let Some(text) = mapping.validate(&request, &provider.settings)? {
            say(&format!("the mapping refuses this: {text}"))?;
            return Ok(Exit::No);
        }
        // Nothing goes out unrecorded.
        let backend = Backend::open(&config, Sending::Off)?;
        let wire: Wire = Arc::default();
        let mut tried = Tried {
            mapping: self.name.clone(),
            mapping_sha256: mapping.sha256().to_owned(),
            address: self.address.clone(),
            what: self.asked.words(),
            frames: Vec::new(),
            end: None,
        };
        backend.call::<MappingTried>(&tried)?;
        let asked = if self.asked.is_query() {
            Asked::Query(&request)
        } else {
            Asked::Request(&request)
        };
        let end = exchange(&provider, asked, &wire);
        let seen = wire.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for seen in &seen {
            let arrow = if seen.is_sent { "->" } else { "<-" };
            let bytes = seen.frame.len();
            let note = seen.note.as_ref();
            let note = note.map_or_else(String::new, |note| format!(" ({note})"));
            let told = dump(&mapping, &seen.frame);
            say(&format!("{arrow} {bytes} bytes{note}\n{}", told.trim_end()))?;
        }
        tried.frames = seen
            .iter()
            .filter(|seen| seen.has_left)
            .map(|seen| TriedFrame {
                is_sent: seen.is_sent,
                frame: Frame::of(&seen.frame, false),
            })
            .collect();
        let (is_good, told) = match end {
            Ok((is_good, told)) => (is_good, told),
            Err(reason) => (false, reason),
        };
        tried.end = Some(told.clone());
        backend.call::<MappingTried>(&tried)?;
        say(&told)?;
        Ok(if is_good { Exit::Done } else { Exit::No })
    }
}
