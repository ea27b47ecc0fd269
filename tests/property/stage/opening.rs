//! How the stage's process comes up: ledger, state, writer and dispatch as `service.rs` puts them together.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use crossbeam_channel::unbounded;
use pairbox::actions::Actions;
use pairbox::actions::waiting::Waiting;
use pairbox::clock::Clock;
use pairbox::commit::{Command, Door, Mailbox, Writer, WriterOptions, WriterParts};
use pairbox::dispatch::{Dispatcher, DispatcherOptions, Input, LineOptions};
use pairbox::domain::event::{Event, ProviderSettings};
use pairbox::domain::{Salt, View};
use pairbox::ledger::{Ledger, LedgerError, Options, Reader};
use pairbox::provider::{Credentials, Provider, ProviderOptions, Providers};
use pairbox::script::Mapping;
use pairbox::store::{Opened, State, StoreError};

use super::{Configured, Live, Stage, seconds};

/// Starts in a row that a disk may spoil: more than there are faults at once.
const STARTS_MAX: u32 = 50;

impl Stage {
    /// Starts the process, again and again where the disk does not let it come up.
    pub(super) fn open(&mut self) {
        for _ in 0..STARTS_MAX {
            let Err(error) = self.try_open() else { return };
            assert!(self.disk.is_faulty(), "{error}");
            self.log.push(format!("a start fails: {error}"));
            self.starts_failed += 1;
        }
        panic!("it does not start any more");
    }

    fn try_open(&mut self) -> Result<(), LedgerError> {
        let data = self.data();
        std::fs::create_dir_all(&data).unwrap();
        let options = Options {
            segment_bytes: self.setting.segment_bytes,
            group_bytes_max: 1 << 20,
            group_commands_max: 4_096,
            command_bytes_max: 64 << 10,
        };
        let (ledger, opening) = Ledger::open(&data.join("ledger"), self.disk.files(), options)?;
        let reader = ledger.reader();
        let preparer = ledger.preparer();
        let (state, opened) = open_state(&data, &reader);
        assert!(!opened.lost_events, "no acknowledged event is gone");
        let state = Arc::new(state);
        let clock: Arc<dyn Clock> = self.clock.clone();
        let (door, queues) = Door::new(4_096);
        let mailbox = Arc::new(Mailbox::default());
        let (told, responses) = unbounded();
        let mut writer = Writer::new(WriterParts {
            ledger,
            state: state.clone(),
            clock: clock.clone(),
            queues,
            mailboxes: vec![mailbox.clone()],
            responses: told,
            metrics: self.metrics.clone(),
            options: WriterOptions {
                reserve_bytes: 0,
                group_commands_max: 4_096,
            },
        });
        let mut events = Vec::new();
        if opening.last_seq == 0 {
            events.push(Event::LedgerBegun {
                format: 1,
                salt: Salt([7; 16]),
            });
        }
        let (version, boot_id) = ("test".into(), "test".into());
        events.push(Event::ServiceStarted { version, boot_id });
        door.submit("service", Command::Record(events), Box::new(|_| {}));
        let configured: Vec<(Configured, Arc<Mapping>)> = self
            .setting
            .providers
            .iter()
            .map(|provider| (provider.clone(), mapping(&provider.mapping)))
            .collect();
        let settings = configured
            .iter()
            .map(|(provider, mapping)| ProviderSettings {
                name: provider.name.into(),
                family: "nagravision".into(),
                is_effective: provider.is_effective,
                mapping: "smsgw".into(),
                mapping_sha256: mapping.sha256().to_owned(),
                cardinality: provider.cardinality,
            });
        let providers = settings.collect();
        door.submit(
            "service",
            Command::Configure { providers },
            Box::new(|_| {}),
        );
        writer.turn()?;
        let providers: Vec<Arc<Provider>> = configured
            .iter()
            .map(|(configured, mapping)| Arc::new(provider(configured, mapping.clone(), &state)))
            .collect();
        let lines = providers
            .iter()
            .zip(&configured)
            .map(|(provider, (configured, _))| LineOptions {
                provider: provider.clone(),
                transactions: provider.transactions(reserved_to(provider, &state)),
                retry: configured.retry.clone(),
            });
        let recalled = reader.clone();
        let recall = Box::new(move |position| {
            let entry = recalled.line(position).ok()?;
            serde_json::from_str(entry.event.get()).ok()
        });
        let options = DispatcherOptions {
            lines: lines.collect(),
            mode: self.setting.mode,
            goes_on: None,
            seed: self.setting.seed,
            recall,
            metrics: self.metrics.clone(),
        };
        let dispatcher = Dispatcher::new(options, self.now());
        let actions = Actions::new(
            state.clone(),
            door.clone(),
            reader,
            clock,
            Arc::new(Waiting::new(16)),
            self.setting.policy,
            Providers::new(providers),
        );
        let unfinished = state.view().unfinished();
        mailbox.take();
        while responses.try_recv().is_ok() {}
        self.live = Some(Live {
            state,
            writer,
            door,
            mailbox,
            responses,
            dispatcher,
            actions: Arc::new(actions),
            preparer,
        });
        self.catch_up();
        self.step(Input::Start(unfinished));
        Ok(())
    }
}

/// sled's threads let go of the folder a little after the tree is dropped.
pub fn open_state(data: &Path, reader: &Reader) -> (State, Opened) {
    let deadline = std::time::Instant::now() + seconds(20);
    loop {
        match pairbox::commit::recover(data, 1 << 20, reader, &mut |_| {
            std::ops::ControlFlow::Continue(())
        }) {
            Err(StoreError::Busy { .. }) if std::time::Instant::now() < deadline => {
                std::thread::yield_now();
            }
            opened => return opened.unwrap_or_else(|error| panic!("{error}")),
        }
    }
}

fn provider(configured: &Configured, mapping: Arc<Mapping>, state: &State) -> Provider {
    let view = state.view();
    let number = view.provider_by_name(configured.name).unwrap();
    let mut overrides = configured.overrides.clone();
    overrides.ambiguous = Some(configured.retry.ambiguous);
    Provider::new(ProviderOptions {
        number: number.0,
        name: configured.name.into(),
        family: "nagravision".into(),
        mapping,
        settings: serde_json::json!({"source_id": 1234, "dest_id": 5, "mop_ppid": 67892, "pin_command": "0099"}),
        credentials: Credentials::default(),
        address: "127.0.0.1:1".into(),
        overrides,
        cardinality: configured.cardinality,
        smartcard_products: vec![configured.smartcards.into()],
        stb_products: vec!["STB-*".into()],
        seed: 1,
    })
    .unwrap()
}

/// Each text is compiled once.
fn mapping(text: &str) -> Arc<Mapping> {
    static COMPILED: OnceLock<Mutex<HashMap<String, Arc<Mapping>>>> = OnceLock::new();
    let mut compiled = COMPILED.get_or_init(Mutex::default).lock().unwrap();
    let compile = || Arc::new(Mapping::from_text("smsgw", text).unwrap());
    compiled
        .entry(text.to_owned())
        .or_insert_with(compile)
        .clone()
}

fn reserved_to(provider: &Provider, state: &State) -> Option<u64> {
    let row = state
        .view()
        .provider(pairbox::domain::ProviderNumber(provider.number));
    Some(row.unwrap().transactions_reserved).filter(|last| *last > 0)
}
