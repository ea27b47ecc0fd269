//! What the benches start from: a simulator, a service in a fresh folder, items, requests.
#![allow(dead_code, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pairbox::actions::pair::PairCall;
use pairbox::config::{Config, Environment, Overrides};
use pairbox::control::DataLock;
use pairbox::domain::items::NewItem;
use pairbox::domain::{ItemIdentifier, Priority, ProcessName};
use pairbox::script::{Mapping, STACK_BYTES_MIN};
use pairbox::service::Service;
use pairbox::simulate::{Persona, SimulateOptions, Simulator};

pub struct Cas {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Cas {
    pub fn start() -> Self {
        Self::of("smsgw")
    }

    /// The simulator of a mapping.
    pub fn of(mapping: &str) -> Self {
        let settings = serde_json::from_str(settings(mapping)).unwrap();
        let mapping = Arc::new(Mapping::load(Path::new("/nonexistent"), mapping).unwrap());
        let persona = Persona::new(mapping, settings).unwrap();
        let (simulator, address) =
            Simulator::bind(SimulateOptions::new(persona, "127.0.0.1:0")).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let halt = stop.clone();
        let thread = std::thread::Builder::new()
            .name("simulator".into())
            .stack_size(STACK_BYTES_MIN);
        thread.spawn(move || simulator.run(&halt).unwrap()).unwrap();
        Self { address, stop }
    }
}

impl Drop for Cas {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// As JSON.
fn settings(mapping: &str) -> &'static str {
    match mapping {
        "smsgw" => r#"{"source_id": 1234, "dest_id": 5, "mop_ppid": 67892, "hello_name": "SMSGW"}"#,
        "httpjson" => r#"{"operator": "north"}"#,
        _ => "{}",
    }
}

pub struct Bed {
    pub service: Service,
    folder: tempfile::TempDir,
}

impl Bed {
    pub fn open(address: SocketAddr, window: u32) -> Self {
        Self::open_for("smsgw", address, &format!("window = {window}"))
    }

    /// With another mapping; `more` are lines of the provider.
    pub fn open_for(mapping: &str, address: SocketAddr, more: &str) -> Self {
        let folder = match std::env::var_os("PAIRBOX_BENCH_DIR") {
            Some(folder) => tempfile::tempdir_in(folder).unwrap(),
            None => tempfile::tempdir_in("target").unwrap(),
        };
        let config = config(folder.path(), mapping, address, more);
        std::fs::create_dir_all(&config.data_dir).unwrap();
        let lock = DataLock::take(&config.data_dir).unwrap();
        let service = Service::open(&config, lock, &mut |_| std::ops::ControlFlow::Continue(()))
            .unwrap_or_else(|error| panic!("{error}"));
        Self { service, folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn import(&self, count: u32) {
        for product in ["SC-1", "STB-1"] {
            for first in (0..count).step_by(500) {
                let items = (first..count.min(first + 500))
                    .map(|at| item(product, at))
                    .collect();
                let rows = self
                    .service
                    .actions()
                    .register_items("bench", items, false)
                    .unwrap();
                assert!(rows.iter().all(Result::is_ok));
            }
        }
    }

    /// Accepts one pair request for each card, 512 in the air at once.
    pub fn accept(&self, count: u32) {
        let actions = self.service.actions();
        let answered = Arc::new(AtomicU64::new(0));
        for at in 0..count {
            while u64::from(at) - answered.load(Ordering::Acquire) >= 512 {
                std::thread::yield_now();
            }
            let answered = answered.clone();
            actions.pair("bench", pair(at), move |result| {
                result.unwrap();
                answered.fetch_add(1, Ordering::Release);
            });
        }
        wait_until(|| answered.load(Ordering::Acquire) == u64::from(count));
    }

    pub fn is_connected(&self) -> bool {
        let health = self
            .service
            .actions()
            .health
            .get(pairbox::domain::ProviderNumber(1));
        health.is_some_and(|health| {
            health
                .lanes
                .iter()
                .any(|lane| lane.connected_since.is_some())
        })
    }
}

pub fn pair(at: u32) -> PairCall {
    PairCall {
        family: Some("nagravision".into()),
        card: ItemIdentifier::SerialNumber(card_serial(at)),
        stb: Some(ItemIdentifier::SerialNumber(stb_serial(at))),
        from: None,
        moves: false,
        card_change: None,
        subscription: None,
        scheduled: None,
        priority: Priority::Regular,
        is_immediate: false,
        process_name: ProcessName::WebApi,
        idempotency: None,
        retries: None,
    }
}

pub fn card_serial(at: u32) -> String {
    // Ten digits of it fit a u32, as bin6 wants them.
    format!("{:012}", 1_000_000_000_u64 + u64::from(at) * 1000 + 1)
}

pub fn stb_serial(at: u32) -> String {
    // Eight digits: bin6 wants eight hexadecimal ones.
    format!("{}", 10_000_000 + at)
}

fn item(product: &str, at: u32) -> NewItem {
    let serial_number = if product == "SC-1" {
        card_serial(at)
    } else {
        stb_serial(at)
    };
    NewItem {
        product: product.into(),
        alternative_code: format!("A{serial_number}"),
        serial_number,
        ca_id: None,
        is_effective: true,
        id: None,
        notes: String::new(),
    }
}

pub fn config(folder: &Path, mapping: &str, address: SocketAddr, more: &str) -> Config {
    let settings: serde_json::Value = serde_json::from_str(settings(mapping)).unwrap();
    let settings = settings.as_object().unwrap().iter();
    let lines: Vec<String> = settings
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    let mut settings = lines.join("\n");
    if mapping == "httpjson" {
        // Its frames name it, whatever the CAS makes of it.
        let password = folder.join("cas.password");
        std::fs::write(&password, "secret").unwrap();
        std::fs::set_permissions(password, std::fs::Permissions::from_mode(0o600)).unwrap();
        settings.push_str("\n[provider.secrets]\npassword = \"cas.password\"");
    }
    let text = format!(
        r#"
data_dir = "data"
[http]
listen = "127.0.0.1:0"
[[provider]]
name = "north"
family = "nagravision"
mapping = "{mapping}"
address = "{address}"
smartcard_products = ["SC-*"]
stb_products = ["STB-*"]
{more}
[provider.settings]
{settings}
"#
    );
    let environment = Environment::from_pairs(Vec::<(String, String)>::new());
    Config::parse(
        &folder.join("pairbox.toml"),
        &text,
        &Overrides::default(),
        &environment,
    )
    .unwrap_or_else(|errors| panic!("{errors}"))
}

pub fn wait_until(mut done: impl FnMut() -> bool) {
    while !done() {
        std::thread::sleep(Duration::from_micros(500));
    }
}

pub fn count_argument(default: u32) -> u32 {
    std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(default)
}
