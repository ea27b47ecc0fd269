//! What every handler shares: actions, access, the dialect's choices, the counters, and whether the box is ready.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use super::turns::Turns;
use crate::access::Access;
use crate::actions::Actions;
use crate::clock::Clock;
use crate::config::ApiConfig;
use crate::domain::{ProviderNumber, View};
use crate::telemetry::{Metric, Metrics};

/// A question that `service.rs` answers.
pub type Asks<T> = Box<dyn Fn(T) -> bool + Send + Sync>;

/// What `service.rs` gives.
pub struct ApiParts {
    pub actions: Arc<Actions>,
    pub access: Arc<Access>,
    pub metrics: Arc<Metrics>,
    pub config: ApiConfig,
    /// Answers `/readyz`.
    pub is_ready: Asks<()>,
    /// Whether the provider's circuit is closed, so that waiting for an answer of the CAS makes sense.
    pub is_reachable: Asks<ProviderNumber>,
}

/// Shared by the pump and all workers.
pub struct Api {
    pub(super) actions: Arc<Actions>,
    pub(super) access: Arc<Access>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) turns: Arc<Turns>,
    config: RwLock<Arc<ApiConfig>>,
    is_ready: Asks<()>,
    is_reachable: Asks<ProviderNumber>,
}

/// Abandoned connections, each with a thread of tiny_http, at which `/healthz` asks for a restart.
const ABANDONED_MAX: u64 = 500;

impl Api {
    pub fn new(parts: ApiParts) -> Arc<Self> {
        let ApiParts {
            actions,
            access,
            metrics,
            config,
            is_ready,
            is_reachable,
        } = parts;
        Arc::new(Self {
            actions,
            access,
            metrics,
            turns: Arc::new(Turns::new()),
            config: RwLock::new(Arc::new(config)),
            is_ready,
            is_reachable,
        })
    }

    /// Another choice of the dialect, from the next call on.
    pub fn set_config(&self, config: ApiConfig) {
        let mut current = self.config.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(config);
    }

    pub(super) fn config(&self) -> Arc<ApiConfig> {
        self.config
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.actions.clock
    }

    pub(super) fn is_ready(&self) -> bool {
        (self.is_ready)(())
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.metrics.get(Metric::HttpAbandoned) < ABANDONED_MAX
    }

    /// Whether an answer of this provider's CAS can be hoped for now.
    pub(super) fn may_answer_soon(&self, provider: ProviderNumber) -> bool {
        let now = self.clock().now();
        let row = self.actions.state.view().provider(provider);
        row.is_some_and(|row| row.may_send(now)) && (self.is_reachable)(provider)
    }

    /// Whether a provider of the family is configured, or has requests here.
    pub(super) fn has_family(&self, family: &str) -> bool {
        self.actions
            .providers()
            .iter()
            .any(|provider| provider.family == family)
            || self.families().iter().any(|known| known == family)
    }

    /// The families of all providers, sorted.
    pub(super) fn families(&self) -> Vec<String> {
        let rows = self.actions.state.view().providers();
        let mut families: Vec<String> =
            rows.iter().map(|(_, row)| row.family.to_string()).collect();
        families.sort_unstable();
        families.dedup();
        families
    }

    /// Runs a handler; a panic ends its call only (its `Reply` answers 500 as it falls) and is counted.
    pub(super) fn guarded(&self, handler: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(handler)).is_err() {
            self.metrics.count(Metric::HandlerPanics);
            tracing::error!("a handler panicked; its caller was answered 500");
        }
    }
}
