//! The configuration in force held against the next one: what cannot change while the process runs, and what does.
//!
//! Each key is either taken over by a reload or refused by it; `fixed` does not compile when a new one is forgotten.

use super::reading::of_config;
use crate::config::{self, Config, HttpConfig, LedgerConfig, Loaded, LogConfig, StoreConfig};
use crate::script::check::Finding;

const RESTART: &str = "restart the service to change it, or put it back";

/// What differs.
pub struct Changes {
    /// For the operator.
    pub words: Vec<String>,
    /// Sending has to begin anew for it.
    pub is_about_sending: bool,
}

/// What cannot change while the process runs, one finding for each that did.
pub fn restarts_needed(now: &Config, loaded: &Loaded) -> Vec<Finding> {
    let fixed = fixed(now, &loaded.config).into_iter();
    fixed
        .filter(|(.., is_same)| !is_same)
        .map(|(section, key, _)| {
            let name = if section.is_empty() {
                key.to_owned()
            } else {
                format!("{section}.{key}")
            };
            of_config(config::Finding::new(
                loaded.place(section, key),
                format!("`{name}` cannot change while the service runs"),
                Some(RESTART.to_owned()),
            ))
        })
        .collect()
}

/// The keys that cannot change, and whether each is the same.
fn fixed(now: &Config, next: &Config) -> [(&'static str, &'static str, bool); 10] {
    let Config {
        data_dir,
        scripts_dir: _,
        http,
        api: _,
        ops,
        control,
        processing: _,
        store,
        ledger,
        pairing: _,
        retry: _,
        log,
        providers: _,
    } = now;
    let HttpConfig {
        listen,
        body_bytes_max,
        workers,
        queue_max,
        connections_max: _,
        connections_per_address_max: _,
        head_timeout: _,
        body_timeout: _,
        idle_timeout: _,
        allow_plaintext: _,
        tls: _,
    } = http;
    let StoreConfig {
        reserve_bytes: _,
        cache_bytes,
    } = store;
    let LedgerConfig { segment_bytes } = ledger;
    let LogConfig { level: _, format } = log;
    let body_bytes = next.http.body_bytes_max;
    [
        ("", "data_dir", *data_dir == next.data_dir),
        ("http", "listen", *listen == next.http.listen),
        ("http", "body_bytes_max", *body_bytes_max == body_bytes),
        ("http", "workers", *workers == next.http.workers),
        ("http", "queue_max", *queue_max == next.http.queue_max),
        ("ops", "listen", *ops == next.ops),
        ("control", "group", *control == next.control),
        ("store", "cache", *cache_bytes == next.store.cache_bytes),
        (
            "ledger",
            "segment",
            *segment_bytes == next.ledger.segment_bytes,
        ),
        ("log", "format", *format == next.log.format),
    ]
}

/// What differs, if the providers of these names are made anew.
pub fn changes(now: &Config, next: &Config, made: &[&str]) -> Changes {
    let made = made.iter().map(|name| {
        let act = match now.provider(name) {
            Some(_) => "changed",
            None => "added",
        };
        format!("provider {name} {act}")
    });
    let gone = now.providers.iter();
    let gone = gone.filter(|provider| next.provider(&provider.name).is_none());
    let gone = gone.map(|provider| format!("provider {} removed", provider.name));
    let mut words: Vec<String> = made.chain(gone).collect();
    words.extend(differing([
        ("[retry]", now.retry == next.retry),
        ("[processing]", now.processing == next.processing),
    ]));
    let is_about_sending = !words.is_empty();
    let reserve_bytes = next.store.reserve_bytes;
    words.extend(differing([
        ("[http]", now.http == next.http),
        ("[api]", now.api == next.api),
        ("[pairing]", now.pairing == next.pairing),
        ("[store] reserve", now.store.reserve_bytes == reserve_bytes),
        ("[log] level", now.log.level == next.log.level),
    ]));
    Changes {
        words,
        is_about_sending,
    }
}

fn differing<const N: usize>(compared: [(&str, bool); N]) -> impl Iterator<Item = String> {
    let differing = compared.into_iter().filter(|(_, is_same)| !is_same);
    differing.map(|(name, _)| format!("{name} changed"))
}
