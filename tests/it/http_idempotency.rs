//! `Idempotency-Key`: a client that did not hear the answer asks again, and nothing happens twice.

use std::time::Duration;

use super::http_scene::{CARD, CARD_2, STB, STB_2, Scene};

fn members(card: &str, stb: &str) -> String {
    format!(
        r#""smartcard_identifier":{{"serial_number":"{card}"}},"stb_identifier":{{"serial_number":"{stb}"}}"#
    )
}

#[test]
fn a_repeat_answers_the_same_request_as_it_is_now() {
    let scene = Scene::new();
    let first = scene.pair_with_key("order-1", &members(CARD, STB));
    let again = scene.pair_with_key("order-1", &members(CARD, STB));
    assert_eq!(again.body, first.body);
    scene.settles(1, None);
    let later = scene.pair_with_key("order-1", &members(CARD, STB)).data();
    assert_eq!(later["life_cycle_state"], "COMPLETED");
    assert_eq!(scene.requests(), 1);
}

#[test]
fn a_repeat_in_other_spelling_is_a_repeat() {
    let scene = Scene::new();
    scene.pair_with_key("order-1", &members(CARD, STB)).data();
    let spelt = format!(
        r#""process_immediately":"false","subscription_identifier":null,"priority":"REGULAR",{}"#,
        members(CARD, STB)
    );
    assert_eq!(scene.pair_with_key("order-1", &spelt).data()["number"], "1");
    assert_eq!(scene.requests(), 1);
}

#[test]
fn a_repeat_is_recognised_before_any_other_check() {
    let scene = Scene::new();
    scene.pair_with_key("order-1", &members(CARD, STB)).data();
    scene.record(pairbox::commit::Command::Blacklist {
        item: scene.item(CARD),
        is_blacklisted: true,
        reason: "stolen".into(),
    });
    assert_eq!(
        scene.pair_with_key("order-1", &members(CARD, STB)).data()["number"],
        "1"
    );
}

#[test]
fn the_same_key_with_other_parameters_is_an_error() {
    let scene = Scene::new();
    scene.pair_with_key("order-1", &members(CARD, STB)).data();
    let answer = scene.pair_with_key("order-1", &members(CARD, STB_2));
    answer.is_golden("idempotency_key_reused");
    assert_eq!(scene.requests(), 1);
}

#[test]
fn another_user_may_use_the_same_key() {
    let scene = Scene::new();
    scene.pair_with_key("order-1", &members(CARD, STB)).data();
    let other = scene.post_as(
        pairbox::access::Role::Operator,
        "nagravision/provisioning_requests/pair_smartcard_decoder",
        &format!(r#"{{"token":"{{token}}",{}}}"#, members(CARD_2, STB_2)),
        "Idempotency-Key: order-1\r\n",
    );
    assert_eq!(other.data()["number"], "2");
}

#[test]
fn refusals_are_not_remembered() {
    let scene = Scene::new();
    let unknown = scene.pair_with_key("order-1", &members("019000809999", STB));
    assert_eq!(unknown.error(), "SMARTCARDNOTFOUND");
    assert_eq!(
        scene.pair_with_key("order-1", &members(CARD, STB)).data()["number"],
        "1"
    );
}

#[test]
fn keys_are_visible_ascii_of_bounded_length() {
    let scene = Scene::new();
    let longest = "k".repeat(255);
    scene.pair_with_key(&longest, &members(CARD, STB)).data();
    for bad in ["two words", &"k".repeat(256)] {
        let answer = scene.pair_with_key(bad, &members(CARD_2, STB_2));
        assert_eq!(answer.error(), "INVALIDPARAMETER");
        assert!(answer.message().contains("Idempotency-Key"));
    }
    assert_eq!(scene.requests(), 1);
}

#[test]
fn a_key_is_kept_for_a_day() {
    let scene = Scene::new();
    scene.pair_with_key("order-1", &members(CARD, STB)).data();
    scene.clock.advance(Duration::from_secs(24 * 3_600 - 1));
    let other = scene.pair_with_key("order-1", &members(CARD_2, STB_2));
    assert_eq!(other.error(), "IDEMPOTENCYKEYREUSED");
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(
        scene
            .pair_with_key("order-1", &members(CARD_2, STB_2))
            .data()["number"],
        "2"
    );
}

#[test]
fn keys_survive_a_restart_and_a_rebuild() {
    let mut scene = Scene::new();
    scene.pair_with_key("order-1", &members(CARD, STB)).data();
    scene.restart();
    let again = scene.pair_with_key("order-1", &members(CARD, STB));
    assert_eq!(again.data()["number"], "1");
    scene.rebuild();
    let rebuilt = scene.pair_with_key("order-1", &members(CARD, STB));
    assert_eq!(rebuilt.body, again.body);
    assert_eq!(
        scene
            .pair_with_key("order-1", &members(CARD, STB_2))
            .error(),
        "IDEMPOTENCYKEYREUSED"
    );
    assert_eq!(scene.requests(), 1);
}
