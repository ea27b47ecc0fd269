//! The configuration read again while everything runs: all of it or nothing.
//!
//! First everything is read and held against what runs; then the writer records what changed, which is the one moment that
//! decides; then the parts are exchanged, and sending begins anew if anything of it changed. Accepting never stops.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::ServerConfig;

use super::differences::{Changes, changes, restarts_needed};
use super::reading::{ReadProvider, of_config, of_provider, of_tls, read_providers};
use super::{Service, ServiceError, setup, systemd};
use crate::actions::reload::{AskedReload, ReloadEnd};
use crate::commit::Command;
use crate::config::{Config, ConfigErrors, Loaded, ProviderConfig};
use crate::domain::{ProviderNumber, Refusal, View};
use crate::http::tls;
use crate::provider::{Provider, Providers};
use crate::script::Mapping;
use crate::script::check::Finding;
use crate::telemetry::{self, Metric};

/// How often it is read once more because requests for a provider that leaves came in meanwhile.
const TRIES_MAX: u32 = 3;

/// A configuration that may be put in force, with what it brings.
struct Candidate {
    config: Config,
    mappings: Vec<Arc<Mapping>>,
    providers: Vec<Next>,
    tls: Option<Arc<ServerConfig>>,
    changes: Changes,
}

/// A provider of the next generation.
enum Next {
    /// The same as now.
    Kept(Arc<Provider>),
    /// Changed or new; its number is the writer's to say.
    Made(Box<Provider>),
}

impl Service {
    /// Puts what was read in force, or says everything that is wrong and changes nothing. An error means that the box cannot
    /// go on: sending could not begin again.
    pub fn reload(
        &mut self,
        asked: &AskedReload,
        read: impl Fn() -> Result<Loaded, ConfigErrors>,
    ) -> Result<ReloadEnd, ServiceError> {
        // Before the first probe systemd waits for the start, not for this.
        let is_up = self.watch.has_started();
        if is_up {
            systemd::reloading();
        }
        let mut tries = TRIES_MAX;
        let end = loop {
            tries -= 1;
            let candidate = self.candidate(&read);
            match candidate.and_then(|candidate| self.record(&asked.by, candidate)) {
                Ok(Some(candidate)) => break self.put_in_force(asked, candidate)?,
                Ok(None) if tries > 0 => {}
                Ok(None) => break self.refuse(asked, vec![refused(&Refusal::Changed)]),
                Err(findings) => break self.refuse(asked, findings),
            }
        };
        if is_up {
            systemd::ready();
        }
        Ok(end)
    }

    /// Reads everything and holds it against what runs.
    fn candidate(
        &self,
        read: impl Fn() -> Result<Loaded, ConfigErrors>,
    ) -> Result<Candidate, Vec<Finding>> {
        let loaded = read().map_err(|errors| {
            let findings = errors.findings.into_iter();
            findings.map(of_config).collect::<Vec<_>>()
        })?;
        let mut findings = restarts_needed(&self.config, &loaded);
        findings.extend(self.unfinished_without_provider(&loaded));
        let read = read_providers(&loaded.config);
        let files = loaded.config.http.tls.as_ref();
        let tls = files.map(tls::load).transpose();
        let (read, tls) = match (read, tls) {
            (Ok(read), Ok(tls)) if findings.is_empty() => (read, tls),
            (read, tls) => {
                findings.extend(read.err().unwrap_or_default());
                findings.extend(tls.err().as_ref().map(of_tls));
                return Err(findings);
            }
        };
        let config = loaded.config;
        let now = self.actions.providers();
        let mappings = read.iter().map(|read| read.mapping.clone()).collect();
        let mut providers = Vec::new();
        for (configured, read) in config.providers.iter().zip(read) {
            let before = self.config.provider(&configured.name);
            let kept = now.by_name(&configured.name).filter(|provider| {
                before == Some(configured)
                    && provider.mapping.is_same_as(&read.mapping)
                    && provider.credentials.is_same_as(&read.credentials)
            });
            providers.push(match kept {
                Some(provider) => Next::Kept(provider.clone()),
                None => self.made(configured, read)?,
            });
        }
        let made: Vec<&str> = providers
            .iter()
            .filter_map(|next| match next {
                Next::Kept(_) => None,
                Next::Made(provider) => Some(provider.name.as_str()),
            })
            .collect();
        let mut changes = changes(&self.config, &config, &made);
        if tls.is_some() {
            changes.words.push("[http.tls] files read again".to_owned());
        }
        Ok(Candidate {
            config,
            mappings,
            providers,
            tls,
            changes,
        })
    }

    fn made(&self, configured: &ProviderConfig, read: ReadProvider) -> Result<Next, Vec<Finding>> {
        let ReadProvider {
            mapping,
            credentials,
        } = read;
        let options = setup::options(configured, mapping, credentials, &self.actions.state);
        let options = options.map_err(|error| vec![of_service(&error)])?;
        let provider = Provider::new(options);
        let provider = provider.map_err(|error| vec![of_provider(configured, &error)])?;
        Ok(Next::Made(Box::new(provider)))
    }

    /// A provider that has unfinished requests must not leave: nothing would ever send them.
    fn unfinished_without_provider(&self, loaded: &Loaded) -> Vec<Finding> {
        let rows = self.actions.state.view().providers();
        rows.into_iter()
            .filter(|(_, row)| row.is_configured && row.unfinished > 0)
            .filter(|(_, row)| loaded.config.provider(&row.name).is_none())
            .map(|(_, row)| Finding {
                file: loaded.path.display().to_string(),
                line: None,
                column: None,
                message: format!(
                    "provider `{}` has {} unfinished requests and is no longer configured",
                    row.name, row.unfinished
                ),
                hint: Some(
                    "put its section back; with state = \"NOT_EFFECTIVE\" nothing is sent to it"
                        .to_owned(),
                ),
            })
            .collect()
    }

    /// Has the writer record what changed of the providers. None: a provider that leaves got requests meanwhile.
    fn record(&self, by: &str, candidate: Candidate) -> Result<Option<Candidate>, Vec<Finding>> {
        let providers = setup::provider_settings(&candidate.config, &candidate.mappings);
        // As bulk, so that a queue full of calls does not refuse it.
        let door = &self.actions.door;
        match door.call_bulk(by, Command::Reconfigure { providers }) {
            Ok(_) => Ok(Some(candidate)),
            Err(Refusal::Changed) => Ok(None),
            Err(refusal) => Err(vec![self::refused(&refusal)]),
        }
    }

    fn put_in_force(
        &mut self,
        asked: &AskedReload,
        candidate: Candidate,
    ) -> Result<ReloadEnd, ServiceError> {
        let Candidate {
            config,
            providers,
            tls,
            changes,
            ..
        } = candidate;
        let gone = self.actions.providers();
        let providers = providers
            .into_iter()
            .map(|next| next.numbered(&self.actions.state.view()))
            .collect();
        let actions = &self.actions;
        actions.providers.set(Providers::new(providers));
        actions.policy.set(setup::policy(&config));
        actions.waiting.set_limit(config.api.immediate_waiting_max);
        self.access.set_token_life(config.api.token_life);
        if let Some(doors) = &self.doors {
            doors.set(&config, tls);
        }
        self.in_force.set(setup::in_force(&config));
        let reserve = config.store.reserve_bytes;
        self.reserve_bytes.store(reserve, Ordering::Relaxed);
        telemetry::set_level(config.log.level);
        for provider in gone.iter() {
            if config.provider(&provider.name).is_none() {
                actions.health.remove(ProviderNumber(provider.number));
            }
        }
        let mode = setup::mode(config.processing.mode);
        self.config = config;
        if changes.is_about_sending {
            self.restart_sending(mode)?;
        }
        let reloads = &self.actions.reloads;
        let end = reloads.applied(asked, self.clock.now(), changes.words);
        if let ReloadEnd::Applied {
            generation,
            changes,
        } = &end
        {
            self.metrics.set(Metric::Generation, *generation);
            let changes = changes.join(", ");
            tracing::info!(generation, by = asked.by, changes, "a reload is in force");
        }
        Ok(end)
    }

    fn refuse(&self, asked: &AskedReload, findings: Vec<Finding>) -> ReloadEnd {
        self.metrics.count(Metric::ReloadsRefused);
        for finding in &findings {
            let Finding {
                file,
                line,
                column,
                message,
                ..
            } = finding;
            tracing::error!(file, line, column, message, "a reload is refused");
        }
        let reloads = &self.actions.reloads;
        reloads.refused(asked, self.clock.now(), findings)
    }
}

impl Next {
    fn numbered(self, view: &dyn View) -> Arc<Provider> {
        match self {
            Self::Kept(provider) => provider,
            Self::Made(mut provider) => {
                let number = view.provider_by_name(&provider.name);
                provider.number = number.map_or(0, |number| number.0);
                Arc::from(provider)
            }
        }
    }
}

/// What the writer refuses, as a finding of no place.
fn refused(refusal: &Refusal) -> Finding {
    Finding {
        file: "ledger".to_owned(),
        line: None,
        column: None,
        message: refusal.to_string(),
        hint: Some("`pairbox reload` tries again".to_owned()),
    }
}

fn of_service(error: &ServiceError) -> Finding {
    Finding {
        file: "system".to_owned(),
        line: None,
        column: None,
        message: error.to_string(),
        hint: None,
    }
}
