//! A reload while everybody calls and the writer's queue is as short as can be: it waits for its turn and is never refused.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pairbox::actions::Actions;
use pairbox::actions::reload::{AskedReload, ReloadEnd};
use pairbox::config::{Config, Environment, Overrides};
use pairbox::control::DataLock;
use pairbox::dispatch::Mode;
use pairbox::domain::Refusal;
use pairbox::service::Service;

use crate::scene::{Cas, config_text, wait_until};

const CALLERS: usize = 4;
const RELOADS: u64 = 10;

/// Pauses the provider through the writer's queue, again and again, and counts how often that was full.
fn call(actions: &Actions, stop: &AtomicBool, refused: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        if let Err(refusal) = actions.pause("test", "north", "a test", None) {
            assert_eq!(refusal, Refusal::Overloaded);
            refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_queue_that_is_full_of_calls_holds_up_no_reload() {
    let cas = Cas::start("", 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pairbox.toml");
    let short = config_text(cas.address, "").replace("[http]", "[http]\nqueue_max = 1");
    let write = |window: u64| {
        let window = format!("window = {window}");
        fs::write(&path, short.replace("window = 64", &window)).unwrap();
    };
    write(64);
    let read = || {
        let environment = Environment::from_pairs(Vec::<(String, String)>::new());
        Config::load_with(Some(&path), &Overrides::default(), &environment)
    };
    let config = read().unwrap().config;
    fs::create_dir_all(&config.data_dir).unwrap();
    let lock = DataLock::take(&config.data_dir).unwrap();
    let mut service = Service::open(&config, lock, &mut |_| ControlFlow::Continue(())).unwrap();
    service.start_sending(Mode::Continuous).unwrap();
    let actions: Arc<Actions> = service.actions().clone();
    let (stop, refused) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| call(&actions, &stop, &refused));
        }
        let full = || refused.load(Ordering::Relaxed);
        wait_until(|| full() > 0, || "the queue is never full".into());
        for attempt in 1..=RELOADS {
            write(attempt);
            let by = "test".to_owned();
            let end = service.reload(&AskedReload { attempt, by }, read);
            // Whatever it is, the callers must end.
            stop.store(attempt == RELOADS || end.is_err(), Ordering::Relaxed);
            let generation = attempt + 1;
            let changes = vec!["provider north changed".to_owned()];
            let expected = ReloadEnd::Applied {
                generation,
                changes,
            };
            assert_eq!(end.unwrap(), expected);
        }
    });
    drop(actions);
    service.stop();
}
