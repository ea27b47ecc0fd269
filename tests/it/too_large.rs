//! What is too large for the ledger is refused, and the service lives on: wherever in a segment it comes.

use pairbox::commit::{Begin, Command, Committed, DispatchCommand};
use pairbox::control::DataLock;
use pairbox::domain::event::{Event, Frame};
use pairbox::domain::items::NewItem;
use pairbox::domain::{Phase, ProviderNumber, Purpose, Refusal, View};
use pairbox::service::Service;

use crate::scene::{Cas, Scene, config, wait_until};

/// Rows as an import may bring them: each with the longest notes.
fn rows(from: usize, count: usize) -> Vec<NewItem> {
    (from..from + count)
        .map(|at| NewItem {
            product: "SC-1".into(),
            serial_number: format!("S{at}"),
            alternative_code: format!("A{at}"),
            ca_id: None,
            is_effective: true,
            id: None,
            notes: "n".repeat(4096),
        })
        .collect()
}

/// A scene that answers but does not send.
fn still() -> (Cas, Scene) {
    let cas = Cas::start("", 1);
    let scene = Scene::start(cas.address, "");
    (cas, scene)
}

fn stop(mut scene: Scene) {
    scene.service.take().map(Service::stop).unwrap();
}

#[test]
fn a_chunk_of_the_longest_rows_is_refused_at_the_edge() {
    let (_cas, scene) = still();
    let refused = scene
        .service()
        .actions()
        .register_items("test", rows(0, 500), false);
    assert_eq!(refused, Err(Refusal::TooLarge));
    assert_eq!(scene.service().actions().state.view().meta().items, 0);
    stop(scene);
}

#[test]
fn rows_beyond_the_room_of_a_command_are_refused_in_every_part_of_a_segment() {
    let (_cas, scene) = still();
    let door = &scene.service().actions().door;
    let mut kept = Vec::new();
    // 1 MiB each: past the end of the scene's segment of 16 MiB.
    for turn in 0..20 {
        let command = Command::RegisterItems {
            items: rows(turn * 500, 500),
            may_update: false,
        };
        let Ok(Committed::Items(rows)) = door.call_bulk("test", command) else {
            panic!("the command is taken");
        };
        let good = rows.iter().take_while(|row| row.is_ok()).count();
        let rest = &rows[good..];
        assert!(rest.iter().all(|row| *row == Err(Refusal::TooLarge)));
        kept.push(good as u64);
    }
    assert!(
        kept.iter().all(|good| (200..300).contains(good)),
        "{kept:?}"
    );
    let items = scene.service().actions().state.view().meta().items;
    assert_eq!(items, kept.iter().sum::<u64>());
    stop(scene);
}

#[test]
fn a_long_reason_is_refused() {
    let (_cas, scene) = still();
    scene.items(1);
    let number = scene.pair(0, Some(0)).unwrap().number;
    for bytes in [1_001, 3 << 20] {
        let command = Command::Cancel {
            request: number,
            reason: "r".repeat(bytes),
        };
        let refused = scene.service().actions().door.call("anna", command);
        assert!(
            matches!(
                refused,
                Err(Refusal::Field {
                    field: "reason",
                    ..
                })
            ),
            "{refused:?}"
        );
    }
    stop(scene);
}

#[test]
fn an_attempt_too_large_to_record_ends_its_request() {
    let (_cas, scene) = still();
    scene.items(1);
    let number = scene.pair(0, Some(0)).unwrap().number;
    let begin = Begin {
        request: number,
        handle: 1,
        purpose: Purpose::Command,
        transaction: 1,
        key: "1".into(),
        step: 0,
        plan: Some(Vec::new()),
        leaves: pairbox::domain::Stbs::new(),
        run: 1,
        frame: Frame {
            bytes: "f".repeat(2 << 20),
            is_hex: false,
            sha256: None,
        },
        mapping_sha256: String::new(),
    };
    let door = &scene.service().actions().door;
    door.dispatched(DispatchCommand::Begin(Box::new(begin)));
    scene.wait_for(number, Phase::Rejected);
    stop(scene);
}

/// Hands in pushes and gives what the ledger holds of them.
fn pushed(service: &Service, count: u64, data: &str) -> Vec<String> {
    let actions = service.actions();
    for push in 0..count {
        actions.door.dispatched(DispatchCommand::PushReceived {
            provider: ProviderNumber(1),
            data: data.to_owned(),
            push,
        });
    }
    let runs = actions.state.view().meta().last_run;
    actions.door.dispatched(DispatchCommand::StartRun {
        mode: "test".into(),
    });
    wait_until(
        || actions.state.view().meta().last_run > runs,
        || "the run".into(),
    );
    let data = |entry: &str| match serde_json::from_str(entry).unwrap() {
        Event::PushReceived { data, .. } => Some(data),
        _ => None,
    };
    actions
        .ledger
        .entries(1)
        .filter_map(|entry| data(entry.unwrap().1.event.get()))
        .collect()
}

#[test]
fn a_cas_that_pushes_without_end_is_recorded_in_part() {
    let (_cas, scene) = still();
    let kept = pushed(scene.service(), 3_000, &"p".repeat(100_000));
    // A minute of the clock may end in between.
    assert!((600..=1_200).contains(&kept.len()), "{}", kept.len());
    assert!(kept.iter().all(|data| data.len() == 4_096));
    stop(scene);
}

#[test]
fn no_push_is_recorded_when_the_disk_is_nearly_full() {
    let cas = Cas::start("", 1);
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), cas.address, "");
    config.store.reserve_bytes = u64::MAX;
    std::fs::create_dir_all(&config.data_dir).unwrap();
    let lock = DataLock::take(&config.data_dir).unwrap();
    let service = Service::open(&config, lock, &mut |_| std::ops::ControlFlow::Continue(()))
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(pushed(&service, 10, "x"), Vec::<String>::new());
    service.stop();
}
