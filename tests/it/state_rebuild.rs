//! Whatever happens to the sled folder, the state comes back identical from the ledger.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use pairbox::actions::list::RequestFilter;
use pairbox::domain::{CardChange, Phase, RequestIdentifier, RequestNumber};
use pairbox::ledger::{Reader, RealFiles};
use pairbox::service::Service;
use pairbox::store::{self, Opened};

use crate::scene::{Cas, Scene};

/// A data folder with a history: pairs, products, unpairs, refusals, two pending requests.
fn history() -> Scene {
    let cas = Cas::start("refuse=20%", 7);
    let mut scene = Scene::sending(cas.address, "");
    scene.items(40);
    let mut numbers = Vec::new();
    for at in 0..40 {
        numbers.push(scene.pair(at, Some(at)).unwrap().number);
    }
    for number in &numbers {
        let finished = |scene: &Scene| scene.phase(*number).is_finished();
        crate::scene::wait_until(|| finished(&scene), || format!("{number}"));
    }
    let products = || vec!["SPORT".into(), "NEWS".into()];
    for at in (0..40).step_by(5) {
        let change = CardChange::AddProducts(products());
        let added = scene.pair_with(at, None, |call| call.card_change = Some(change));
        added.unwrap();
    }
    for at in (0..40).step_by(3) {
        let _ = scene.pair(at, None);
    }
    let waiting = scene.pair_with(1, None, |call| {
        call.card_change = Some(CardChange::CancelProducts(products()));
        call.scheduled = Some(pairbox::domain::Timestamp::from_micros(
            3_900_000_000_000_000,
        ));
    });
    assert_eq!(scene.phase(waiting.unwrap().number), Phase::Pending);
    let future = scene.pair_with(1, Some(1), |call| {
        call.scheduled = Some(pairbox::domain::Timestamp::from_micros(
            4_000_000_000_000_000,
        ));
    });
    assert_eq!(scene.phase(future.unwrap().number), Phase::Pending);
    scene.service.take().map(Service::stop).unwrap();
    scene
}

fn cancel(scene: &Scene, number: RequestNumber) {
    let named = RequestIdentifier::Number(number.to_string());
    let cancelled = scene.service().actions().cancel("test", &named, "no need");
    assert!(cancelled.is_ok());
}

/// Opens the state as a start would, dumps it, and closes it again.
fn dump(folder: &Path) -> (String, Opened) {
    let data = folder.join("data");
    let reader = Reader::open(&data.join("ledger"), Arc::new(RealFiles)).unwrap();
    let (state, opened) = pairbox::commit::recover(&data, 64 << 20, &reader, &mut |_| {
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    let mut out = Vec::new();
    store::dump(&state, &mut out).unwrap().unwrap();
    state.close().unwrap();
    (String::from_utf8(out).unwrap(), opened)
}

#[test]
fn a_state_that_is_whole_is_taken_as_it_is() {
    let scene = history();
    let (_, opened) = dump(&scene.folder);
    assert_eq!(opened.rebuilt_because, None);
    assert_eq!(opened.replayed_events, 0);
}

#[test]
fn a_deleted_state_comes_back_identical() {
    let scene = history();
    let (before, _) = dump(&scene.folder);
    fs::remove_dir_all(scene.folder.join("data/state")).unwrap();
    let (after, opened) = dump(&scene.folder);
    assert!(opened.rebuilt_because.is_some());
    assert!(opened.replayed_events > 0);
    assert_eq!(before, after);
}

/// Unfinished requests lie apart from finished ones: one goes over when it ends, whether it had reached the disk or not.
#[test]
fn a_request_that_ends_has_one_row_whenever_its_rows_went_to_disk() {
    let cas = Cas::start("", 8);
    let mut scene = Scene::start(cas.address, "");
    scene.items(6);
    let state = scene.service().actions().state.clone();
    let moved = |scene: &Scene, at| {
        let number = scene.pair(at, Some(at)).unwrap().number;
        state.move_overlay().unwrap();
        number
    };
    let numbers = [moved(&scene, 0), moved(&scene, 1), moved(&scene, 2)];
    for number in &numbers[..2] {
        cancel(&scene, *number);
    }
    state.move_overlay().unwrap();
    for at in 3..6 {
        let number = scene.pair(at, Some(at)).unwrap().number;
        cancel(&scene, number);
    }
    drop(state);
    scene.service.take().map(Service::stop).unwrap();
    let (before, _) = dump(&scene.folder);
    let rows = before
        .lines()
        .filter(|line| line.contains("{\"table\":\"request\""));
    assert_eq!(rows.count(), 6, "{before}");
    fs::remove_dir_all(scene.folder.join("data/state")).unwrap();
    assert_eq!(before, dump(&scene.folder).0);
}

#[test]
fn a_state_that_is_truncated_or_corrupted_comes_back_identical() {
    let scene = history();
    let (before, _) = dump(&scene.folder);
    let file = scene.folder.join("data/state/db");
    let whole = fs::read(&file).unwrap();
    let mut rebuilt = 0;
    for (name, bytes) in [
        ("empty", Vec::new()),
        ("a third", whole[..whole.len() / 3].to_vec()),
        ("all but a byte", whole[..whole.len() - 1].to_vec()),
        ("noise in the middle", noisy(&whole, whole.len() / 8, 4_096)),
        ("noise at the head", noisy(&whole, 0, 64)),
        ("all noise", noisy(&whole, 0, whole.len())),
    ] {
        fs::write(&file, &bytes).unwrap();
        let (after, opened) = dump(&scene.folder);
        assert_eq!(before, after, "{name}");
        rebuilt += u32::from(opened.rebuilt_because.is_some() || opened.replayed_events > 0);
    }
    assert!(
        rebuilt >= 3,
        "some of these faults must have been noticed, {rebuilt} were"
    );
}

#[test]
fn a_state_that_the_ledger_does_not_follow_from_is_rebuilt() {
    let scene = history();
    let older = tempfile::tempdir().unwrap();
    let state = scene.folder.join("data/state");
    copy(&state, &older.path().join("state"));
    let cas = Cas::start("", 1);
    let mut again = reopen(&scene.folder, &cas);
    // The one that waits for its day.
    let waiting = again.service().actions().state.view().unfinished()[0];
    cancel(&again, waiting);
    again.service.take().map(Service::stop).unwrap();
    let (before, _) = dump(&scene.folder);

    fs::remove_dir_all(&state).unwrap();
    copy(&older.path().join("state"), &state);
    let tree = sled::open(&state).unwrap();
    // Eight unfinished requests lie under one key.
    let page_of_it = [&[6][..], &(waiting.0 / 8).to_be_bytes()].concat();
    assert!(
        tree.remove(page_of_it).unwrap().is_some(),
        "the row is gone"
    );
    tree.flush().unwrap();
    drop(tree);

    let (after, opened) = dump(&scene.folder);
    let why = opened.rebuilt_because.unwrap();
    assert!(why.contains("the ledger does not follow"), "{why}");
    assert_eq!(before, after);
}

#[test]
fn a_state_of_another_boot_that_was_not_closed_is_rebuilt() {
    let scene = history();
    let (before, _) = dump(&scene.folder);
    fs::write(scene.folder.join("data/state.open"), "another boot").unwrap();
    let (after, opened) = dump(&scene.folder);
    assert!(
        opened
            .rebuilt_because
            .unwrap()
            .contains("before the machine went down")
    );
    assert_eq!(before, after);
}

/// A folder whose ledger came back from an older copy, below a state that knows one pair more.
fn restored() -> (Scene, Cas) {
    let scene = history();
    let older = tempfile::tempdir().unwrap();
    copy(
        &scene.folder.join("data/ledger"),
        &older.path().join("ledger"),
    );
    let cas = Cas::start("", 1);
    let mut again = reopen(&scene.folder, &cas);
    again.pair(5, Some(5)).unwrap();
    again.service.take().map(Service::stop).unwrap();
    fs::remove_dir_all(scene.folder.join("data/ledger")).unwrap();
    copy(
        &older.path().join("ledger"),
        &scene.folder.join("data/ledger"),
    );
    (scene, cas)
}

/// Starts, and expects the epoch: providers paused, numbers beyond any that was given out. The start after it begins no other.
fn begins_an_epoch(scene: &Scene, cas: &Cas) {
    let mut first = reopen(&scene.folder, cas);
    assert!(first.service().arrival.state.lost_events);
    let number = first.pair(6, Some(6)).unwrap().number;
    assert!((1_000_000..2_000_000).contains(&number.0), "{number}");
    // The numbers that the epoch jumped over are nobody's: a list does not look at them.
    let all = RequestFilter {
        after: Some(RequestNumber(0)),
        limit: 10_000,
        ..RequestFilter::default()
    };
    let (rows, stopped) = first.service().actions().list_requests(&all);
    assert_eq!(stopped, None);
    assert_eq!(rows.last().unwrap().number, number);
    all_are_paused(&first);
    first.service.take().map(Service::stop).unwrap();
    let mut second = reopen(&scene.folder, cas);
    assert!(!second.service().arrival.state.lost_events);
    let next = second.pair(7, Some(7)).unwrap().number;
    assert_eq!(next.0, number.0 + 1);
    all_are_paused(&second);
    second.service.take().map(Service::stop).unwrap();
}

fn all_are_paused(scene: &Scene) {
    let view = scene.service().actions().state.view();
    let providers = view.providers();
    assert!(!providers.is_empty());
    for (_, provider) in providers {
        let pause = provider.pause.as_ref();
        assert!(
            pause.is_some_and(|pause| pause.reason.contains("restored")),
            "{provider:?}"
        );
    }
}

#[test]
fn a_state_that_knows_more_than_the_ledger_begins_a_new_epoch() {
    let (scene, cas) = restored();
    begins_an_epoch(&scene, &cas);
}

#[test]
fn a_dump_of_the_state_does_not_forget_that_events_are_gone() {
    let (scene, cas) = restored();
    assert!(dump(&scene.folder).1.lost_events);
    assert!(dump(&scene.folder).1.lost_events, "the dump after it");
    begins_an_epoch(&scene, &cas);
}

#[test]
fn a_rebuild_of_the_state_does_not_forget_that_events_are_gone() {
    let (scene, cas) = restored();
    let data = scene.folder.join("data");
    let reader = Reader::open(&data.join("ledger"), Arc::new(RealFiles)).unwrap();
    let (state, opened) = pairbox::commit::rebuild(&data, 64 << 20, &reader, &mut |_| {
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert!(opened.lost_events);
    state.close().unwrap();
    drop(state);
    begins_an_epoch(&scene, &cas);
}

#[test]
fn a_power_cut_does_not_hide_that_events_are_gone() {
    let (scene, cas) = restored();
    fs::write(scene.folder.join("data/state.open"), "another boot").unwrap();
    begins_an_epoch(&scene, &cas);
}

#[test]
fn a_ledger_that_is_gone_altogether_pauses_the_providers_that_it_no_longer_knows() {
    let (scene, cas) = restored();
    fs::remove_dir_all(scene.folder.join("data/ledger")).unwrap();
    let mut again = reopen(&scene.folder, &cas);
    assert!(again.service().arrival.state.lost_events);
    all_are_paused(&again);
    again.service.take().map(Service::stop).unwrap();
}

fn reopen(folder: &Path, cas: &Cas) -> Scene {
    Scene::reopen(folder, cas.address, "")
}

fn noisy(whole: &[u8], from: usize, count: usize) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let mut chance = pairbox::domain::Chance::new(11);
    for byte in bytes.iter_mut().skip(from).take(count) {
        *byte = chance.draw() as u8;
    }
    bytes
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
