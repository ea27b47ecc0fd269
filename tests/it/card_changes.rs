//! Products and PINs of a card: sent in the card's order, and never taken for an unpair.

use pairbox::domain::event::{Event, Resolution, Then};
use pairbox::domain::{
    Ambiguous, CardChange, Outcome, Phase, Refusal, RequestIdentifier, RequestNumber, View,
};
use pairbox::simulate::SimulateOptions;
use serde_json::{Value, json};

use crate::scene::{self, Cas, Scene, wait_until};
use crate::stage::cas::Answer;
use crate::stage::{Setting, Stage, mappings, seconds};

fn add(products: &[&str]) -> CardChange {
    CardChange::AddProducts(products.iter().map(|product| (*product).into()).collect())
}

fn cancel(products: &[&str]) -> CardChange {
    CardChange::CancelProducts(products.iter().map(|product| (*product).into()).collect())
}

fn stage() -> Stage {
    Stage::standard(Setting::new())
}

/// What the CAS heard so far: the STB of a pair, `-` of an unpair, else the command.
fn heard(stage: &Stage) -> Vec<String> {
    let heard = stage.cas.heard.iter();
    let words = heard.map(|heard| {
        let change = heard.card_change.clone();
        change.or(heard.stb.clone()).unwrap_or_else(|| "-".into())
    });
    words.collect()
}

fn pairing(stage: &Stage, card: u64) -> Option<pairbox::domain::Pairing> {
    stage
        .state()
        .view()
        .pairing(pairbox::domain::ItemNumber(card + 1))
}

/// The first add of this clock's day.
const ADDED: &str = "0002SPORT       2026010520270105";

#[test]
fn changes_of_a_card_go_out_in_its_order_with_its_pairings() {
    let mut stage = stage();
    stage.queue(0, Some(0));
    stage.change_card(0, add(&["SPORT"])).unwrap();
    stage.queue(0, Some(1));
    stage.change_card(0, CardChange::ResetPin).unwrap();
    stage.queue(0, None);
    stage.change_card(0, cancel(&["SPORT"])).unwrap();
    stage.settle();
    stage.advance(seconds(5));
    let expected = ["0000001000", ADDED, "0000001001", "0099", "-", "0006SPORT"];
    assert_eq!(heard(&stage), expected);
    stage.check_rebuild();
}

#[test]
fn a_pending_change_of_a_card_does_not_look_like_an_unpair() {
    let mut stage = stage();
    stage.pair(0, 0);
    stage.pause();
    let change = stage.change_card(0, add(&["SPORT"])).unwrap();
    assert!(matches!(
        stage.ask(1, Some(0), |_| {}),
        Err(Refusal::StbTaken { .. })
    ));
    // The card still leaves its STB, and the change leaves none.
    let unpair = stage.queue(0, None);
    assert!(!stage.request(unpair).leaves.is_empty());
    assert!(stage.request(change).leaves.is_empty());
    assert!(!stage.request(change).is_unpair());
    // Behind the unpair it still changes nothing: the other card may have the STB.
    stage.change_card(0, cancel(&["SPORT"])).unwrap();
    stage.queue(1, Some(0));
    stage.resume();
    assert_eq!(heard(&stage).len(), 5);
    stage.check_rebuild();
}

#[test]
fn a_card_without_a_pairing_may_be_changed() {
    let mut stage = stage();
    let number = stage.change_card(0, CardChange::ResetPin).unwrap();
    stage.settle();
    assert_eq!(stage.phase(number), Phase::Completed);
    assert_eq!(heard(&stage), ["0099"]);
    assert_eq!(pairing(&stage, 0), None);
}

#[test]
fn a_refused_product_ends_the_request_and_those_before_it_stand() {
    let mut stage = stage();
    stage.cas.answers([Answer::Ok, Answer::Refuse]);
    let number = stage
        .change_card(0, add(&["SPORT", "NEWS", "KIDS"]))
        .unwrap();
    stage.settle();
    assert_eq!(stage.phase(number), Phase::Rejected);
    assert_eq!(stage.request(number).steps_acknowledged, 1);
    assert_eq!(heard(&stage).len(), 2);
    // Once more, all of them: what is added twice is held once.
    let again = stage
        .ask(0, None, |call| {
            call.card_change = Some(add(&["SPORT", "NEWS", "KIDS"]));
            call.retries = Some(number);
        })
        .unwrap();
    stage.settle();
    assert_eq!(stage.phase(again), Phase::Completed);
    assert_eq!(stage.request(again).steps_acknowledged, 3);
}

#[test]
fn a_refusal_after_a_lost_answer_leaves_the_pairing_without_doubt() {
    let mut stage = stage();
    stage.pair(0, 0);
    let before = pairing(&stage, 0);
    stage.cas.answers([Answer::Lost, Answer::Refuse]);
    let number = stage.change_card(0, add(&["SPORT"])).unwrap();
    stage.settle();
    stage.advance(seconds(30));
    assert_eq!(stage.phase(number), Phase::Rejected);
    let is_rejected = |event: &Event| {
        matches!(event, Event::AttemptSettled(settled)
            if settled.outcome == Outcome::Refused
                && settled.then == Then::Rejected { in_doubt: false })
    };
    assert!(stage.history(number).iter().any(is_rejected));
    assert_eq!(pairing(&stage, 0), before);
}

#[test]
fn a_late_ok_of_a_rejected_change_leaves_the_pairing_without_doubt() {
    let mut stage = stage();
    stage.pair(0, 0);
    let before = pairing(&stage, 0);
    stage
        .cas
        .answers([Answer::OkAfter(seconds(14)), Answer::Refuse]);
    let number = stage.change_card(0, CardChange::ResetPin).unwrap();
    stage.settle();
    stage.advance(seconds(30));
    assert_eq!(stage.phase(number), Phase::Rejected);
    assert_eq!(pairing(&stage, 0), before);
}

#[test]
fn the_query_of_a_pairing_is_not_asked_about_a_change_of_the_card() {
    let mut stage = Stage::standard(Setting::new().north(|north| {
        north.retry.ambiguous = Ambiguous::Query;
        north.mapping = mappings::with_query();
    }));
    stage.cas.answers([Answer::Lost]);
    let number = stage.change_card(0, add(&["SPORT"])).unwrap();
    stage.settle();
    stage.advance(seconds(30));
    assert_eq!(stage.phase(number), Phase::Completed);
    assert_eq!(heard(&stage), [ADDED, ADDED]);
    assert!(stage.cas.heard.iter().all(|heard| !heard.is_query));
}

#[test]
fn a_held_change_that_an_operator_calls_done_changes_no_pairing() {
    let mut stage = Stage::standard(Setting::new().north(|north| {
        north.retry.ambiguous = Ambiguous::Hold;
    }));
    stage.pair(0, 0);
    let before = pairing(&stage, 0);
    stage.cas.answers([Answer::Lost]);
    let number = stage.change_card(0, cancel(&["SPORT"])).unwrap();
    stage.settle();
    stage.advance(seconds(11));
    assert_eq!(stage.phase(number), Phase::Held);
    stage.resolve(number, Resolution::Done).unwrap();
    assert_eq!(stage.phase(number), Phase::Completed);
    assert_eq!(pairing(&stage, 0), before);
    stage.check_rebuild();
}

/// A mapping that reads what is no pair as an unpair must not be handed a change of products.
#[test]
fn a_mapping_that_no_longer_declares_products_is_not_asked_for_them() {
    let mut stage = stage();
    stage.pause();
    let number = stage.change_card(0, add(&["SPORT"])).unwrap();
    let north = &mut stage.setting.providers[0];
    north.mapping = north.mapping.replace("products: true,", "");
    stage.crash(crate::stage::After::AsItIs);
    stage.resume();
    assert_eq!(stage.phase(number), Phase::Rejected);
    assert_eq!(heard(&stage), [""; 0]);
    let asked = stage.change_card(0, add(&["SPORT"])).unwrap_err();
    assert_eq!(
        asked.to_string(),
        "provider `north` cannot add products: its mapping does not declare it"
    );
}

/// The simulator of smsgw, which writes what it holds into a file.
fn cas(folder: &std::path::Path) -> Cas {
    let settings = json!({"pin_command": "0099", "refuse": ["0190000003"]});
    let mut options = SimulateOptions::new(scene::persona("smsgw", settings), "127.0.0.1:0");
    options.state_file = Some(folder.join("cas.json"));
    Cas::run(options)
}

fn held(folder: &std::path::Path, what: &str) -> Value {
    let text = std::fs::read_to_string(folder.join("cas.json")).unwrap_or_default();
    let state: Value = serde_json::from_str(&text).unwrap_or_default();
    state[what].clone()
}

fn change(scene: &Scene, card: u32, change: CardChange) -> RequestNumber {
    let done = scene.pair_with(card, None, |call| call.card_change = Some(change));
    done.unwrap().number
}

#[test]
fn products_and_a_pin_reach_the_cas_and_a_retry_asks_for_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let cas = cas(folder.path());
    let scene = Scene::sending(cas.address, "");
    scene.items(4);
    scene.pair(0, Some(0)).unwrap();
    change(&scene, 0, add(&["SPORT", "NEWS"]));
    let cancelled = change(&scene, 0, cancel(&["SPORT"]));
    scene.wait_for(cancelled, Phase::Completed);
    let refused = change(&scene, 3, add(&["SPORT"]));
    scene.wait_for(refused, Phase::Rejected);
    wait_until(
        || held(folder.path(), "products")["0190000000"]["NEWS"].is_string(),
        || held(folder.path(), "products").to_string(),
    );
    let products = held(folder.path(), "products");
    assert_eq!(products.as_object().unwrap().len(), 1, "{products}");
    assert_eq!(products["0190000000"].as_object().unwrap().len(), 1);
    let paired = json!({"0190000000": "0000001000"});
    wait_until(|| cas.pairings() == paired, || cas.pairings().to_string());

    let retried = scene
        .service()
        .actions()
        .retry("test", &RequestIdentifier::Number(refused.to_string()));
    let renewed = RequestNumber(refused.0 + 1);
    assert!(retried.is_ok(), "{retried:?}");
    scene.wait_for(renewed, Phase::Rejected);
    let view = scene.service().actions().state.view();
    let request = view.request(renewed).unwrap();
    assert_eq!(request.card_change.as_deref(), Some(&add(&["SPORT"])));
    assert_eq!(view.meta().pairings, 1);
    drop(view);

    let reset = change(&scene, 1, CardChange::ResetPin);
    scene.wait_for(reset, Phase::Completed);
    wait_until(
        || held(folder.path(), "pins_reset") == json!({"0190000001": 1}),
        || held(folder.path(), "pins_reset").to_string(),
    );
}
