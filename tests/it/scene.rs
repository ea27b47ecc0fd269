//! The builder that every test of the whole starts from: a simulator, a service, items, and words to wait for.
#![allow(dead_code)] // two binaries use different halves of it

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pairbox::actions::pair::{PairCall, PairDone};
use pairbox::config::{Config, Environment, Overrides};
use pairbox::control::DataLock;
use pairbox::dispatch::Mode;
use pairbox::domain::items::NewItem;
use pairbox::domain::{ItemIdentifier, Phase, Priority, ProcessName, Refusal, RequestNumber, View};
use pairbox::script::Mapping;
use pairbox::service::Service;
use pairbox::simulate::{Faults, Persona, SimulateOptions, Simulator, SimulatorView};

/// A simulator on a thread of its own.
pub struct Cas {
    pub address: SocketAddr,
    pub view: SimulatorView,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Cas {
    pub fn start(faults: &str, seed: u64) -> Self {
        Self::start_on("127.0.0.1:0", faults, seed)
    }

    pub fn start_on(listen: &str, faults: &str, seed: u64) -> Self {
        let mut options = SimulateOptions::new(persona("smsgw", settings()), listen);
        options.faults = faults.parse::<Faults>().unwrap();
        options.seed = seed;
        Self::run(options)
    }

    pub fn run(options: SimulateOptions) -> Self {
        let (simulator, address) = Simulator::bind(options).unwrap();
        let view = simulator.view();
        let stop = Arc::new(AtomicBool::new(false));
        let halt = stop.clone();
        let thread = std::thread::Builder::new().stack_size(pairbox::script::STACK_BYTES_MIN);
        let thread = thread.spawn(move || simulator.run(&halt).unwrap()).unwrap();
        Self {
            address,
            view,
            stop,
            thread: Some(thread),
        }
    }

    /// The pairings it holds, card to STB as on the wire.
    pub fn pairings(&self) -> serde_json::Value {
        self.view.snapshot()
    }

    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Cas {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The CAS of a shipped mapping.
pub fn persona(mapping: &str, settings: serde_json::Value) -> Persona {
    let mapping = Mapping::load(Path::new("/nonexistent"), mapping).unwrap();
    Persona::new(Arc::new(mapping), settings).unwrap()
}

pub fn settings() -> serde_json::Value {
    serde_json::json!({"source_id": 1234, "dest_id": 5, "mop_ppid": 67892, "hello_name": "SMSGW"})
}

/// A configuration with one provider, `north`.
pub fn config(folder: &Path, address: SocketAddr, more: &str) -> Config {
    let loaded = Config::parse(
        &folder.join("pairbox.toml"),
        &config_text(address, more),
        &Overrides::default(),
        &Environment::from_pairs(Vec::<(String, String)>::new()),
    );
    loaded.unwrap_or_else(|errors| panic!("{errors}"))
}

pub fn config_text(address: SocketAddr, more: &str) -> String {
    format!(
        r#"
data_dir = "data"
scripts_dir = "scripts"
[http]
listen = "127.0.0.1:0"
[ledger]
segment = "16MiB"
[store]
reserve = "1MiB"
[retry]
delays = ["50ms"]
{more}
[[provider]]
name = "north"
family = "nagravision"
mapping = "smsgw"
address = "{address}"
smartcard_products = ["SC-*"]
stb_products = ["STB-*"]
window = 64
reply_timeout = "400ms"
[provider.settings]
source_id = 1234
dest_id = 5
mop_ppid = 67892
hello_name = "SMSGW"
pin_command = "0099"
"#
    )
}

/// A service in a folder of its own.
pub struct Scene {
    pub service: Option<Service>,
    pub folder: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Scene {
    pub fn start(address: SocketAddr, more: &str) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().to_owned();
        let service = open(&folder, address, more);
        Self {
            service: Some(service),
            folder,
            _temporary: Some(temporary),
        }
    }

    /// Opens a folder that another scene made.
    pub fn reopen(folder: &Path, address: SocketAddr, more: &str) -> Self {
        let service = open(folder, address, more);
        Self {
            service: Some(service),
            folder: folder.to_owned(),
            _temporary: None,
        }
    }

    pub fn sending(address: SocketAddr, more: &str) -> Self {
        let mut scene = Self::start(address, more);
        scene
            .service
            .as_mut()
            .unwrap()
            .start_sending(Mode::Continuous)
            .unwrap();
        scene
    }

    pub fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    /// Registers `count` cards and STBs: serial numbers `0190000000NN` and `10NN`.
    pub fn items(&self, count: u32) -> &Self {
        for (product, base) in [("SC-1", 19_000_000_000_u64), ("STB-1", 1_000)] {
            let items: Vec<NewItem> = (0..count)
                .map(|at| item(product, base + u64::from(at)))
                .collect();
            for chunk in items.chunks(500) {
                let rows = self
                    .service()
                    .actions()
                    .register_items("test", chunk.to_vec(), false)
                    .unwrap();
                assert!(rows.iter().all(Result::is_ok), "{rows:?}");
            }
        }
        self
    }

    pub fn pair(&self, card: u32, stb: Option<u32>) -> Result<PairDone, Refusal> {
        self.pair_with(card, stb, |_| {})
    }

    pub fn pair_with(
        &self,
        card: u32,
        stb: Option<u32>,
        change: impl FnOnce(&mut PairCall),
    ) -> Result<PairDone, Refusal> {
        let mut call = Self::call(card, stb);
        change(&mut call);
        self.service().actions().pair_and_wait("test", call)
    }

    /// What `pair` calls for.
    pub fn call(card: u32, stb: Option<u32>) -> PairCall {
        PairCall {
            family: Some("nagravision".into()),
            card: ItemIdentifier::SerialNumber(card_serial(card)),
            stb: stb.map(|stb| ItemIdentifier::SerialNumber(stb_serial(stb))),
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

    pub fn phase(&self, number: RequestNumber) -> Phase {
        self.service()
            .actions()
            .state
            .view()
            .request(number)
            .unwrap()
            .phase
    }

    /// Waits until the request is in the phase; panics with what it is in after ten seconds.
    pub fn wait_for(&self, number: RequestNumber, phase: Phase) {
        wait_until(
            || self.phase(number) == phase,
            || {
                let view = self.service().actions().state.view();
                format!("{:#?}", view.request(number))
            },
        );
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Also of a failed test: a writer whose folder vanishes ends the whole process.
        if let Some(service) = self.service.take() {
            service.stop();
        }
    }
}

pub fn card_serial(card: u32) -> String {
    format!("{:012}", 19_000_000_000_u64 + u64::from(card) * 100)
}

pub fn stb_serial(stb: u32) -> String {
    format!("{}", 1_000 + stb)
}

fn item(product: &str, number: u64) -> NewItem {
    let serial_number = if product == "SC-1" {
        card_serial(u32::try_from(number - 19_000_000_000).unwrap())
    } else {
        number.to_string()
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

/// Looks again and again until `done`, ten seconds at most.
pub fn wait_until(mut done: impl FnMut() -> bool, told: impl FnOnce() -> String) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain: {}", told());
        std::thread::yield_now();
    }
}

fn open(folder: &Path, address: SocketAddr, more: &str) -> Service {
    let config = config(folder, address, more);
    std::fs::create_dir_all(&config.data_dir).unwrap();
    // A child of another test has the lock too, between its fork and its exec.
    let mut lock = None;
    wait_until(
        || {
            lock = DataLock::take(&config.data_dir).ok();
            lock.is_some()
        },
        || format!("{:?}", DataLock::take(&config.data_dir).err()),
    );
    let lock = lock.unwrap();
    Service::open(&config, lock, &mut |_| std::ops::ControlFlow::Continue(()))
        .unwrap_or_else(|error| panic!("{error}"))
}
