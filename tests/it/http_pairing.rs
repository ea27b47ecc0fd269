//! Pairing over HTTP: every rule of `pair_smartcard_decoder`, named after its promise.

use pairbox::access::Role;
use pairbox::actions::PairingPolicy;
use pairbox::commit::{Command, DispatchCommand, EndUnsent};
use pairbox::domain::RequestNumber;
use pairbox::domain::event::Ending;
use pairbox::telemetry::Metric;

use super::http_scene::{CARD, CARD_2, Choices, STB, STB_2, Scene, pause, until};

fn card(serial_number: &str) -> String {
    format!(r#""smartcard_identifier":{{"serial_number":"{serial_number}"}}"#)
}

fn both(card_serial: &str, stb_serial: &str) -> String {
    format!(
        r#"{},"stb_identifier":{{"serial_number":"{stb_serial}"}}"#,
        card(card_serial)
    )
}

#[test]
fn a_pair_is_accepted_pending_and_due_at_once() {
    let scene = Scene::new();
    let answer = scene.pair(&both(CARD, STB));
    answer.is_golden("pair_accepted");
    assert_eq!(scene.requests(), 1);
    assert_eq!(scene.figure(Metric::RequestsAccepted), 1);
    assert_eq!(scene.show(1).body, answer.body);
}

#[test]
fn unpair_without_stb_leaves_the_partner_that_a_pending_pair_gives() {
    let scene = Scene::new();
    scene.pair(&both(CARD, STB)).data();
    let unpair = scene.pair(&card(CARD));
    unpair.is_golden("unpair_accepted");
    let view = scene.actions().state.view();
    let request = pairbox::domain::View::request(&view, RequestNumber(2)).unwrap();
    assert!(request.is_unpair());
    drop(view);
    assert_eq!(request.leaves, Some(scene.item(STB)).into());
}

#[test]
fn a_null_stb_identifier_is_absent() {
    let scene = Scene::new();
    scene.pair(&both(CARD, STB)).data();
    let data = scene
        .pair(&format!(r#"{},"stb_identifier":null"#, card(CARD)))
        .data();
    assert_eq!(data["parameters_set"].as_array().unwrap().len(), 1);
}

#[test]
fn unpair_of_a_card_without_a_pairing_is_an_error() {
    let scene = Scene::new();
    let answer = scene.pair(&card(CARD));
    answer.is_golden("unpair_unknown");
    assert_eq!(scene.requests(), 0);
    assert_eq!(scene.figure(Metric::RequestsRefused), 1);
}

#[test]
fn unpair_unknown_send_sends_it_all_the_same() {
    let scene = Scene::with(Choices {
        policy: PairingPolicy {
            sends_unknown_unpairs: true,
            ..PairingPolicy::default()
        },
        ..Choices::default()
    });
    assert_eq!(
        scene.pair(&card(CARD)).data()["life_cycle_state"],
        "PENDING"
    );
}

#[test]
fn pair_of_a_card_that_is_paired_elsewhere_re_pairs_it() {
    let scene = Scene::new();
    scene.pair(&both(CARD, STB)).data();
    scene.settles(1, None);
    assert_eq!(scene.pair(&both(CARD, STB_2)).data()["number"], "2");
    scene.settles(2, None);
    // The first STB is free for another card now.
    assert_eq!(scene.pair(&both(CARD_2, STB)).data()["number"], "3");
}

#[test]
fn pair_with_the_stb_that_it_already_has_is_accepted_and_sent_again() {
    let scene = Scene::new();
    scene.pair(&both(CARD, STB)).data();
    scene.settles(1, None);
    let data = scene.pair(&both(CARD, STB)).data();
    assert_eq!(data["life_cycle_state"], "PENDING");
    assert_eq!(scene.requests(), 2);
}

#[test]
fn pair_onto_a_taken_stb_names_the_holder() {
    let scene = Scene::new();
    scene.pair(&both(CARD, STB)).data();
    let answer = scene.pair(&both(CARD_2, STB));
    answer.is_golden("stb_taken");
    assert_eq!(scene.requests(), 1);
}

#[test]
fn stb_taken_replace_unpairs_the_holder_first_in_the_same_commit() {
    let scene = Scene::replacing();
    scene.pair(&both(CARD, STB)).data();
    let data = scene.pair(&both(CARD_2, STB)).data();
    assert_eq!(data["number"], "3");
    assert_eq!(scene.requests(), 3);
    let made = scene.show(2).data();
    assert_eq!(made["process_name"], "PROVISIONING_REQUEST_PROCESSING");
    assert_eq!(made["parameters_set"][0]["smartcard_ca_id"], CARD);
    assert_eq!(made["scheduled_date"], data["scheduled_date"]);
}

#[test]
fn only_items_that_the_provider_classifies_are_taken() {
    let scene = Scene::new();
    let cases = [
        (both(STB, STB_2), "INVALIDITEMCLASSIFICATION"),
        (both(CARD, CARD_2), "INVALIDITEMCLASSIFICATION"),
        (both("770000000001", STB), "INVALIDITEMCLASSIFICATION"),
        (both("999999999999", STB), "SMARTCARDNOTFOUND"),
        (both(CARD, "9999999999"), "STBNOTFOUND"),
    ];
    for (members, code) in cases {
        assert_eq!(scene.pair(&members).error(), code, "{members}");
    }
    assert_eq!(
        scene.pair(&both(STB, STB_2)).message(),
        "the item with serial_number `4400000001` is no smartcard: expected a product that a provider classifies as smartcard, found `STB-HD`"
    );
    assert_eq!(scene.requests(), 0);
}

#[test]
fn items_are_named_by_id_and_alternative_code_too() {
    let scene = Scene::new();
    let shown = scene.get(&format!(
        "installed_items/show?token={{token}}&installed_item_identifier=serial_number={STB}"
    ));
    let id = shown.data()["id"].as_str().unwrap().to_owned();
    let data = scene
        .pair(&format!(
            r#""smartcard_identifier":{{"alternative_code":"A{CARD}"}},"stb_identifier":{{"id":"{}"}}"#,
            id.to_lowercase()
        ))
        .data();
    assert_eq!(data["parameters_set"][0]["smartcard_ca_id"], CARD);
    assert_eq!(data["parameters_set"][1]["stb_ca_id"], STB);
}

#[test]
fn a_subscription_must_exist_and_is_echoed() {
    let scene = Scene::new();
    let members = format!(
        r#"{},"subscription_identifier":{{"number":"S1"}}"#,
        both(CARD, STB)
    );
    assert_eq!(scene.pair(&members).error(), "SUBSCRIPTIONNOTFOUND");
    assert_eq!(scene.requests(), 0);
    let created = scene.post(
        "subscriptions/create",
        r#"{"token":"{token}","number":"S1","life_cycle_state":"EFFECTIVE"}"#,
    );
    let subscription = scene.pair(&members).data()["subscription"].clone();
    assert_eq!(subscription["number"], "S1");
    assert_eq!(subscription["id"], created.data()["id"]);
}

#[test]
fn a_scheduled_date_is_of_the_configured_zone() {
    let scene = Scene::new();
    let members = format!(
        r#"{},"scheduled_date":"2026-12-24T18:00:00","priority":"EXPRESS""#,
        both(CARD, STB)
    );
    let data = scene.pair(&members).data();
    assert_eq!(data["scheduled_date"], "2026-12-24T18:00:00");
    assert_eq!(data["priority"], "EXPRESS");
    let view = scene.actions().state.view();
    let request = pairbox::domain::View::request(&view, RequestNumber(1)).unwrap();
    assert_eq!(request.due.to_string(), "2026-12-24T16:00:00.000000Z");
}

#[test]
fn immediate_with_a_future_date_is_an_error() {
    let scene = Scene::new();
    let answer = scene.pair(&format!(
        r#"{},"process_immediately":"true","scheduled_date":"2026-11-23T10:00:01""#,
        both(CARD, STB)
    ));
    assert_eq!(answer.error(), "INVALIDPARAMETER");
    assert!(answer.message().contains("scheduled_date"));
    assert_eq!(scene.requests(), 0);
}

#[test]
fn an_immediate_call_waits_for_the_outcome() {
    let scene = Scene::new();
    let token = scene.token(Role::Crm);
    let body = format!(
        r#"{{"token":"{token}",{},"process_immediately":true}}"#,
        both(CARD, STB)
    );
    let mut client = scene.client();
    let head = "POST /crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder HTTP/1.1\r\nHost: box\r\n";
    client.write(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    until("the caller is parked", || {
        scene.actions().waiting.count() == 1
    });
    scene.settles(1, None);
    let answer = client.receive();
    answer.is_golden("immediate_completed");
}

#[test]
fn an_immediate_call_without_an_answer_stays_pending_and_says_so() {
    let scene = Scene::with(Choices {
        immediate_wait: std::time::Duration::ZERO,
        ..Choices::default()
    });
    let data = scene
        .pair(&format!(
            r#"{},"process_immediately":true"#,
            both(CARD, STB)
        ))
        .data();
    assert_eq!(data["life_cycle_state"], "PENDING");
    assert_eq!(data["process_immediately"], true);
    assert_eq!(scene.requests(), 1);
}

#[test]
fn a_paused_provider_accepts_and_answers_pending_at_once() {
    let scene = Scene::new();
    scene.record(pause());
    let data = scene
        .pair(&format!(
            r#"{},"process_immediately":true"#,
            both(CARD, STB)
        ))
        .data();
    assert_eq!(data["life_cycle_state"], "PENDING");
}

#[test]
fn a_provider_that_is_not_effective_accepts_and_answers_pending_at_once() {
    let scene = Scene::with(Choices {
        is_effective: false,
        ..Choices::default()
    });
    let data = scene
        .pair(&format!(
            r#"{},"process_immediately":true"#,
            both(CARD, STB)
        ))
        .data();
    assert_eq!(data["life_cycle_state"], "PENDING");
}

#[test]
fn a_refusal_of_the_cas_is_rejected_inside_an_ok_envelope() {
    let scene = Scene::new();
    scene.pair(&both(CARD, STB)).data();
    scene.settles(1, Some("9001"));
    scene.show(1).is_golden("rejected_by_the_cas");
}

#[test]
fn an_ending_of_our_own_fills_error_code_only() {
    let scene = Scene::new();
    scene.pair(&both(CARD, STB)).data();
    scene
        .actions()
        .door
        .dispatched(DispatchCommand::EndUnsent(EndUnsent {
            request: RequestNumber(1),
            ending: Ending::ProviderUnreachable,
        }));
    until("the request ended", || {
        scene.show(1).data()["life_cycle_state"] == "REJECTED"
    });
    let data = scene.show(1).data();
    assert_eq!(data["error_code"], "PROVIDER_UNREACHABLE");
    for empty in [
        "error_description",
        "provider_error_code",
        "provider_error_description",
    ] {
        assert!(data[empty].is_null(), "{empty}");
    }
}

#[test]
fn items_that_are_not_effective_or_blacklisted_are_refused() {
    let scene = Scene::new();
    scene.import("019000802999", "SMC-1", false);
    assert_eq!(
        scene.pair(&both("019000802999", STB)).error(),
        "ITEMNOTEFFECTIVE"
    );
    scene.record(Command::Blacklist {
        item: scene.item(STB),
        is_blacklisted: true,
        reason: "stolen".into(),
    });
    assert_eq!(scene.pair(&both(CARD, STB)).error(), "ITEMBLACKLISTED");
    assert_eq!(scene.requests(), 0);
}

#[test]
fn the_mapping_refuses_before_anything_is_stored() {
    let scene = Scene::new();
    scene.import("01900080", "SMC-1", true);
    let answer = scene.pair(&both("01900080", STB));
    assert_eq!(answer.error(), "MAPPINGREFUSED");
    assert_eq!(scene.requests(), 0);
}

#[test]
fn a_viewer_reads_and_never_writes() {
    let scene = Scene::new();
    let answer = scene.post_as(
        Role::Viewer,
        "nagravision/provisioning_requests/pair_smartcard_decoder",
        &format!(r#"{{"token":"{{token}}",{}}}"#, both(CARD, STB)),
        "",
    );
    assert_eq!(answer.error(), "ACCESSDENIED");
    assert_eq!(scene.requests(), 0);
    let operator = scene.post_as(
        Role::Operator,
        "nagravision/provisioning_requests/pair_smartcard_decoder",
        &format!(r#"{{"token":"{{token}}",{}}}"#, both(CARD, STB)),
        "",
    );
    assert_eq!(
        operator.data()["log_information"]["created_by_user"]["username"],
        "key:desk"
    );
}
