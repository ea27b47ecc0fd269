//! From the configuration to parts: providers with their mappings, retry policies, the events that record a start.

use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Sender, bounded};

use super::ServiceError;
use crate::access::LoginFailures;
use crate::actions::PairingPolicy;
use crate::actions::process::{PassProgress, Processing};
use crate::actions::status::InForce;
use crate::commit::{Command, Door};
use crate::config::{
    AmbiguousPolicy, Config, Full, ProcessingMode, ProviderConfig, ProviderState, UnpairUnknown,
};
use crate::dispatch::{Ask, Mode, RunReport};
use crate::domain::event::{Event, ProviderSettings};
use crate::domain::foresight::GivesWay;
use crate::domain::settle::RetryPolicy;
use crate::domain::{Ambiguous, Cardinality, ProviderNumber, Refusal, Salt, View};
use crate::provider::{
    Credentials, CredentialsError, Provider, ProviderOptions, Providers, SessionOverrides,
};
use crate::script::{Mapping, versions};
use crate::store::{State, boot_id};

/// The version of the ledger's lines and events.
const LEDGER_FORMAT: u32 = 1;

/// What a new epoch is called in the ledger and in the providers' pause.
const EPOCH_REASON: &str = "restored: the ledger lost acknowledged events";

/// Records that this ledger begins, that a new epoch begins, and that the service started.
pub fn record_start(door: &Door, last_seq: u64, lost_events: bool) -> Result<(), ServiceError> {
    let mut events = Vec::new();
    if last_seq == 0 {
        events.push(Event::LedgerBegun {
            format: LEDGER_FORMAT,
            salt: Salt(random()?),
        });
    }
    if lost_events {
        events.push(Event::EpochBegun {
            reason: EPOCH_REASON.into(),
        });
    }
    let version = env!("CARGO_PKG_VERSION").to_owned();
    events.push(Event::ServiceStarted {
        version,
        boot_id: boot_id(),
    });
    door.call("service", Command::Record(events))?;
    Ok(())
}

/// Loads the mapping of every configured provider, in the configuration's order.
pub fn load_mappings(config: &Config) -> Result<Vec<Arc<Mapping>>, ServiceError> {
    let load = |provider: &ProviderConfig| {
        versions::in_force(&config.scripts_dir, &provider.mapping)
            .and_then(Mapping::from_origin)
            .map(Arc::new)
            .map_err(|source| ServiceError::Mapping {
                provider: provider.name.clone(),
                source: Box::new(source),
            })
    };
    config.providers.iter().map(load).collect()
}

/// Records what changed in the configuration.
pub fn record_providers(
    config: &Config,
    door: &Door,
    mappings: &[Arc<Mapping>],
) -> Result<(), ServiceError> {
    let providers = provider_settings(config, mappings);
    door.call("service", Command::Configure { providers })?;
    Ok(())
}

/// The providers as the ledger knows them.
pub fn provider_settings(config: &Config, mappings: &[Arc<Mapping>]) -> Vec<ProviderSettings> {
    let settings = |(provider, mapping): (&ProviderConfig, &Arc<Mapping>)| ProviderSettings {
        name: provider.name.clone(),
        family: provider.family.clone(),
        is_effective: provider.state == ProviderState::Effective,
        mapping: provider.mapping.clone(),
        mapping_sha256: mapping.sha256().to_owned(),
        cardinality: cardinality(provider),
    };
    let configured = config.providers.iter().zip(mappings);
    configured.map(settings).collect()
}

/// How many cards and STBs belong together at a provider.
fn cardinality(provider: &ProviderConfig) -> Cardinality {
    Cardinality {
        stbs_per_card: provider.stbs_per_card,
        cards_per_stb: provider.cards_per_stb,
    }
}

/// `[pairing]` as the actions take it.
pub fn policy(config: &Config) -> PairingPolicy {
    PairingPolicy {
        sends_unknown_unpairs: config.pairing.unpair_unknown == UnpairUnknown::Send,
        gives_way: GivesWay {
            holder: config.pairing.stb_taken == Full::Replace,
            oldest: config.pairing.card_full == Full::Replace,
        },
    }
}

/// What people are told.
pub fn in_force(config: &Config) -> InForce {
    InForce {
        zone: config.api.time_zone,
        processing: config.processing.mode,
        reserve_bytes: config.store.reserve_bytes,
    }
}

/// The processing mode as dispatch takes it.
pub fn mode(configured: ProcessingMode) -> Mode {
    match configured {
        ProcessingMode::Continuous => Mode::Continuous,
        ProcessingMode::Every(interval) => Mode::Every(interval),
        ProcessingMode::Manual => Mode::Manual,
    }
}

/// Ends the beginning of a new epoch: pauses the providers that the ledger had lost too, then takes the mark away.
pub fn settle_epoch(door: &Door, state: &State) -> Result<(), ServiceError> {
    let providers = state.view().providers();
    let pauses: Vec<Event> = providers
        .into_iter()
        .filter(|(_, row)| row.pause.is_none())
        .map(|(number, _)| Event::ProviderPaused {
            number,
            reason: EPOCH_REASON.into(),
            until: None,
        })
        .collect();
    if !pauses.is_empty() {
        door.call("service", Command::Record(pauses))?;
    }
    Ok(state.epoch_has_begun()?)
}

/// Makes the providers.
pub fn providers(
    config: &Config,
    mappings: Vec<Arc<Mapping>>,
    state: &State,
) -> Result<Providers, ServiceError> {
    let mut providers = Vec::new();
    for (configured, mapping) in config.providers.iter().zip(mappings) {
        let credentials = credentials(configured).map_err(|source| ServiceError::Credentials {
            provider: configured.name.clone(),
            source: Box::new(source),
        })?;
        let options = options(configured, mapping, credentials, state)?;
        let provider = Provider::new(options).map_err(|source| ServiceError::Mapping {
            provider: configured.name.clone(),
            source: Box::new(source),
        })?;
        providers.push(Arc::new(provider));
    }
    Ok(Providers::new(providers))
}

/// The last transaction number of a provider that the ledger has reserved.
pub fn reserved_to(state: &State, provider: &Provider) -> Option<u64> {
    let row = state.view().provider(ProviderNumber(provider.number))?;
    Some(row.transactions_reserved).filter(|last| *last > 0)
}

/// What the provider's connections need, read from its files.
pub fn credentials(configured: &ProviderConfig) -> Result<Credentials, CredentialsError> {
    let address = configured.address.as_str();
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    Credentials::load(&configured.credentials, host.trim_matches(['[', ']']))
}

/// What the section says of the session in the mapping's place.
pub fn overrides(configured: &ProviderConfig) -> SessionOverrides {
    SessionOverrides {
        window: configured.window,
        connect_timeout: configured.connect_timeout,
        reply_timeout: configured.reply_timeout,
        keepalive_every: configured.keepalive_every,
        rate_per_s: configured.rate_per_s,
        min_gap: configured.min_gap,
        lanes: configured.lanes.and_then(|lanes| u8::try_from(lanes).ok()),
        reconnect_min: None,
        reconnect_max: None,
        ambiguous: configured.ambiguous.map(|policy| match policy {
            AmbiguousPolicy::Resend => Ambiguous::Resend,
            AmbiguousPolicy::Query => Ambiguous::Query,
            AmbiguousPolicy::Hold => Ambiguous::Hold,
        }),
    }
}

/// What a provider is made of; a new one has no number yet.
pub fn options(
    configured: &ProviderConfig,
    mapping: Arc<Mapping>,
    credentials: Credentials,
    state: &State,
) -> Result<ProviderOptions, ServiceError> {
    let number = state.view().provider_by_name(&configured.name);
    Ok(ProviderOptions {
        number: number.map_or(0, |number| number.0),
        name: configured.name.clone(),
        family: configured.family.clone(),
        mapping,
        settings: configured.settings.clone(),
        address: configured.address.clone(),
        credentials,
        overrides: overrides(configured),
        cardinality: cardinality(configured),
        smartcard_products: configured.smartcard_products.clone(),
        stb_products: configured.stb_products.clone(),
        seed: u64::from_be_bytes(random()?),
    })
}

/// The provider's own retries over the general ones.
pub fn retry_policy(config: &Config, provider: &Provider) -> RetryPolicy {
    let general = &config.retry;
    let own = config
        .provider(&provider.name)
        .map_or_else(|| general.clone(), |own| own.retry.over(general));
    RetryPolicy {
        delays: own.delays,
        jitter_percent: own.jitter_percent,
        give_up_after: own.give_up_after,
        ambiguous: provider.session.ambiguous,
    }
}

/// Random bytes of the operating system.
pub fn random<const N: usize>() -> Result<[u8; N], ServiceError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| ServiceError::Thread(std::io::Error::other(error)))?;
    Ok(bytes)
}

/// The operator's hook for processing runs.
pub fn processing(asks: Sender<Ask>, board: Arc<Mutex<RunReport>>) -> Processing {
    let begin = move || {
        let (number, numbered) = bounded(1);
        asks.send(Ask::Run(number)).map_err(|_| Refusal::Stopping)?;
        numbered.recv().map_err(|_| Refusal::Stopping)
    };
    let progress = move |run| {
        let mut report = *board.lock().unwrap_or_else(PoisonError::into_inner);
        if report.run != run {
            // One that another has followed, or whose mode was changed, gets no further.
            let is_over = true;
            report = RunReport {
                run,
                is_over,
                ..RunReport::default()
            };
        }
        PassProgress {
            run,
            is_over: report.is_over,
            due: report.due,
            completed: report.completed,
            rejected: report.rejected,
            put_off: report.put_off,
        }
    };
    Processing {
        begin: Box::new(begin),
        progress: Box::new(progress),
    }
}

/// A count of failed logins as the ledger records it.
pub fn failure_event(failures: LoginFailures) -> Event {
    match failures {
        LoginFailures::Counted {
            user,
            address,
            minute,
            count,
        } => Event::LoginsFailed {
            user,
            address: address.to_string(),
            minute,
            count,
        },
        LoginFailures::Suppressed { hour, count } => Event::LoginsFailed {
            user: "(suppressed)".into(),
            address: String::new(),
            minute: hour,
            count,
        },
    }
}
