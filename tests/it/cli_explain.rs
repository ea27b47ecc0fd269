//! `request explain` says why a request has not gone out, or what became of it, and what to type next: one golden each.

use pairbox::actions::pair::PairCall;
use pairbox::commit::{Command, DispatchCommand, EndUnsent};
use pairbox::config::ProcessingMode;
use pairbox::domain::event::{Ending, Event, Then};
use pairbox::domain::{
    CardChange, ItemIdentifier, Outcome, Priority, ProcessName, ProviderNumber, RequestNumber,
};
use pairbox::provider::Health;

use crate::cli_scene::{Scene, Transcript};

const CARD: &str = "019000802077";
const OTHER_CARD: &str = "019000802085";
const STB: &str = "004600001122";

/// One request in one situation, explained.
fn explained(name: &str, arrange: impl FnOnce(&Scene) -> u64) {
    let scene = Scene::begin();
    check(&scene, name, arrange);
}

fn check(scene: &Scene, name: &str, arrange: impl FnOnce(&Scene) -> u64) {
    let number = arrange(scene).to_string();
    let mut transcript = Transcript::default();
    scene.tell(&mut transcript, &["request", "explain", &number]);
    transcript.check(name);
}

fn pair(scene: &Scene) -> u64 {
    scene.pair(&["pair", CARD, STB])
}

#[test]
fn products_and_a_pin_are_told_as_what_they_are() {
    let scene = Scene::begin();
    let change = |change: CardChange| {
        let call = PairCall {
            family: Some("nagravision".into()),
            card: ItemIdentifier::SerialNumber(CARD.into()),
            stb: None,
            from: None,
            moves: false,
            card_change: Some(change),
            subscription: None,
            scheduled: None,
            priority: Priority::Regular,
            is_immediate: false,
            process_name: ProcessName::WebApi,
            idempotency: None,
            retries: None,
        };
        scene.actions.pair_and_wait("key:crm", call).unwrap();
    };
    change(CardChange::AddProducts(vec!["SPORT".into(), "NEWS".into()]));
    change(CardChange::CancelProducts(vec!["SPORT".into()]));
    let mut transcript = Transcript::default();
    scene.tell(&mut transcript, &["request", "list"]);
    scene.tell(&mut transcript, &["request", "show", "1"]);
    scene.tell(&mut transcript, &["request", "explain", "1"]);
    scene.tell(&mut transcript, &["request", "explain", "2"]);
    scene.tell(&mut transcript, &["pairing", "list"]);
    transcript.check("explain_products");
}

#[test]
fn explain_names_the_scheduled_time() {
    explained("explain_scheduled", |scene| {
        scene.pair(&["pair", CARD, STB, "--scheduled", "2026-11-24T03:00:00"])
    });
}

#[test]
fn explain_names_the_request_that_is_ahead_for_the_same_card() {
    explained("explain_behind", |scene| {
        pair(scene);
        scene.pair(&["unpair", CARD])
    });
}

#[test]
fn explain_says_who_paused_the_provider_and_why() {
    explained("explain_paused", |scene| {
        let number = pair(scene);
        let pause = [
            "provider",
            "pause",
            "north",
            "--reason",
            "headend works",
            "--for",
            "2h",
        ];
        assert_eq!(scene.run(&pause).code, 0);
        number
    });
}

#[test]
fn explain_says_that_the_provider_left_the_configuration() {
    explained("explain_missing", |scene| {
        let number = pair(scene);
        let providers = Vec::new();
        scene.command(Command::Configure { providers });
        number
    });
}

#[test]
fn explain_says_that_the_circuit_is_open() {
    explained("explain_circuit", |scene| {
        let health = Health {
            circuit_open: Some("5 connects failed; next probe in 20 s".into()),
            ..Health::default()
        };
        scene.actions.health.set(ProviderNumber(1), health);
        pair(scene)
    });
}

#[test]
fn explain_says_that_processing_is_manual() {
    let scene = Scene::begin_in(ProcessingMode::Manual);
    check(&scene, "explain_manual", pair);
}

#[test]
fn explain_of_a_due_request_finds_nothing_in_its_way() {
    explained("explain_due", pair);
}

#[test]
fn explain_names_the_error_after_which_a_request_waits() {
    explained("explain_waiting", |scene| {
        let number = pair(scene);
        scene.send(number);
        let until = scene.after(30);
        let then = Then::Waiting {
            until,
            counts: true,
        };
        scene.settle(
            number,
            Outcome::Retry,
            Some(("9999", "database is down")),
            then,
        );
        number
    });
}

#[test]
fn explain_names_the_attempt_in_flight() {
    explained("explain_sending", |scene| {
        let number = pair(scene);
        scene.send(number);
        number
    });
}

#[test]
fn explain_tells_that_an_attempt_is_in_doubt() {
    explained("explain_in_doubt", |scene| {
        let number = pair(scene);
        scene.send(number);
        let until = scene.after(10);
        scene.settle(number, Outcome::Unknown, None, Then::InDoubt { until });
        number
    });
}

#[test]
fn explain_tells_why_a_request_is_held() {
    explained("explain_held", |scene| {
        let number = pair(scene);
        scene.send(number);
        let reason = "no answer came, and the mapping's policy is to hold".into();
        scene.settle(number, Outcome::Unknown, None, Then::Held { reason });
        number
    });
}

#[test]
fn explain_tells_what_the_cas_accepted() {
    explained("explain_completed", |scene| {
        let number = pair(scene);
        scene.accepted_by_cas(number);
        number
    });
}

#[test]
fn explain_tells_the_words_of_the_cas() {
    explained("explain_rejected", |scene| {
        let number = pair(scene);
        scene.send(number);
        let words = Some(("9001", "the simulator was told to refuse this card"));
        let then = Then::Rejected { in_doubt: false };
        scene.settle(number, Outcome::Refused, words, then);
        number
    });
}

#[test]
fn explain_tells_that_an_operator_cancelled() {
    explained("explain_cancelled", |scene| {
        let number = pair(scene);
        let text = number.to_string();
        let cancel = ["request", "cancel", &text, "--reason", "wrong box"];
        assert_eq!(scene.run(&cancel).code, 0);
        number
    });
}

#[test]
fn explain_names_the_holder_of_a_taken_stb() {
    explained("explain_taken", |scene| {
        let number = pair(scene);
        let holder = scene
            .actions
            .one_item(&pairbox::domain::ItemIdentifier::SerialNumber(
                OTHER_CARD.into(),
            ));
        let holder = holder.unwrap().number;
        // What the writer records when the head is judged.
        let request = scene.actions.state.view();
        let before = pairbox::domain::View::request(&request, RequestNumber(number))
            .unwrap()
            .latest;
        drop(request);
        scene.command(Command::Record(vec![Event::RequestEnded {
            request: RequestNumber(number),
            before,
            ending: Ending::StbTaken { holder },
        }]));
        number
    });
}

#[test]
fn explain_of_an_unpair_with_nothing_left_says_that_nothing_was_sent() {
    explained("explain_already", |scene| {
        let first = pair(scene).to_string();
        let number = scene.pair(&["unpair", CARD]);
        let cancel = ["request", "cancel", &first, "--reason", "wrong box"];
        assert_eq!(scene.run(&cancel).code, 0);
        let ending = Ending::Already;
        let request = RequestNumber(number);
        scene.dispatch(DispatchCommand::EndUnsent(EndUnsent { request, ending }));
        number
    });
}
