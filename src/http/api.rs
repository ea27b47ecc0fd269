//! What every handler shares: actions, access, the dialect's choices, the counters, and whether the box is ready.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::gate::{Account, Finisher};
use super::turns::Turns;
use crate::access::Access;
use crate::actions::Actions;
use crate::clock::Clock;
use crate::config::ApiConfig;
use crate::domain::{ProviderNumber, View};
use crate::telemetry::{Metric, Metrics};

/// Why the box is not ready; nothing if it is.
pub type Unready = Box<dyn Fn() -> Vec<&'static str> + Send + Sync>;
/// A question that `service.rs` answers.
pub type Asks<T> = Box<dyn Fn(T) -> bool + Send + Sync>;
/// The operator's verbs: a call in, status and body out. The room beside this one has them; `service.rs` brings both together.
pub type Verbs = Box<dyn Fn(ControlCall) -> (u16, Vec<u8>) + Send + Sync>;

/// A call that came by the control socket.
pub struct ControlCall {
    pub is_post: bool,
    pub path: String,
    pub body: Vec<u8>,
    /// Whose process it is, as the kernel says.
    pub account: Account,
}

/// What `service.rs` gives.
pub struct ApiParts {
    pub actions: Arc<Actions>,
    pub access: Arc<Access>,
    pub metrics: Arc<Metrics>,
    pub config: ApiConfig,
    pub finisher: Finisher,
    pub verbs: Verbs,
    /// Answers `/readyz`.
    pub unready: Unready,
    /// Whether the provider's circuit is closed, so that waiting for an answer of the CAS makes sense.
    pub is_reachable: Asks<ProviderNumber>,
}

/// Shared by the pump and all workers.
pub struct Api {
    pub(super) actions: Arc<Actions>,
    pub(super) access: Arc<Access>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) turns: Arc<Turns>,
    pub(super) finisher: Finisher,
    pub(super) verbs: Verbs,
    config: RwLock<Arc<ApiConfig>>,
    unready: Unready,
    is_reachable: Asks<ProviderNumber>,
    is_stopping: AtomicBool,
}

impl Api {
    pub fn new(parts: ApiParts) -> Arc<Self> {
        let ApiParts {
            actions,
            access,
            metrics,
            config,
            finisher,
            verbs,
            unready,
            is_reachable,
        } = parts;
        let gate = finisher.clone();
        let turns = Turns::new(Box::new(move |line| gate.give_up(line)));
        Arc::new(Self {
            actions,
            access,
            metrics,
            turns: Arc::new(turns),
            finisher,
            verbs,
            config: RwLock::new(Arc::new(config)),
            unready,
            is_reachable,
            is_stopping: AtomicBool::new(false),
        })
    }

    /// Another choice of the dialect, from the next call on.
    pub fn set_config(&self, config: ApiConfig) {
        let mut current = self.config.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(config);
    }

    /// Refuses every call from now on.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Where answers of a batch gather, so that they leave together.
    pub fn turns(&self) -> &Arc<Turns> {
        &self.turns
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

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    pub(super) fn unready(&self) -> Vec<&'static str> {
        (self.unready)()
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
