//! Products and PINs over HTTP: the methods of the family nagravision beside the pairing, named after their promises.

use pairbox::access::Role;
use pairbox::domain::{CardChange, RequestNumber, View};
use serde_json::json;

use super::http_scene::{CARD, CARD_2, Choices, STB, Scene};
use super::http_wire::Response;

const ADD: &str = "add_enhanced_list_of_products";
const CANCEL: &str = "cancel_enhanced_list_of_products";
const PIN: &str = "set_pin_code_to_default_value";

fn card() -> String {
    format!(r#""smartcard_identifier":{{"serial_number":"{CARD}"}}"#)
}

/// The card and these services by code.
fn with(codes: &[&str]) -> String {
    let services = codes.iter();
    let services: Vec<String> = services
        .map(|code| format!(r#"{{"service_identifier":{{"code":"{code}"}}}}"#))
        .collect();
    format!(r#"{},"services_set":[{}]"#, card(), services.join(","))
}

fn call(scene: &Scene, method: &str, members: &str) -> Response {
    scene.post(
        &format!("nagravision/provisioning_requests/{method}"),
        &format!(r#"{{"token":"{{token}}",{members}}}"#),
    )
}

fn change(scene: &Scene, number: u64) -> Option<CardChange> {
    let view = scene.actions().state.view();
    let request = view.request(RequestNumber(number)).unwrap();
    request.card_change.as_deref().cloned()
}

fn list(scene: &Scene, query: &str) -> Vec<String> {
    let listed = scene.get(&format!(
        "nagravision/provisioning_requests/list?token={{token}}{query}"
    ));
    let data = listed.data();
    let rows = data.as_array().unwrap().iter();
    rows.map(|row| row["number"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn products_are_accepted_pending_without_an_stb() {
    let scene = Scene::new();
    let answer = call(&scene, ADD, &with(&["SPORT", "NEWS"]));
    answer.is_golden("products_accepted");
    assert_eq!(scene.show(1).body, answer.body);
    let products = vec!["SPORT".into(), "NEWS".into()];
    assert_eq!(change(&scene, 1), Some(CardChange::AddProducts(products)));
}

#[test]
fn every_method_has_its_own_type_in_show_and_list() {
    let scene = Scene::new();
    scene
        .pair(&format!(
            r#"{},"stb_identifier":{{"serial_number":"{STB}"}}"#,
            card()
        ))
        .data();
    call(&scene, ADD, &with(&["SPORT"])).data();
    call(&scene, CANCEL, &with(&["SPORT"])).data();
    call(&scene, PIN, &card()).data();
    scene.pair(&card()).data();
    for (number, kind, listed) in [
        (1, "PAIR_SMARTCARD_DECODER", &["1", "5"][..]),
        (2, "ADD_ENHANCED_LIST_OF_PRODUCTS", &["2"]),
        (3, "CANCEL_ENHANCED_LIST_OF_PRODUCTS", &["3"]),
        (4, "SET_PIN_CODE_TO_DEFAULT_VALUE", &["4"]),
    ] {
        let shown = scene.show(number).data();
        assert_eq!(shown["type"], kind);
        assert_eq!(list(&scene, &format!("&type={kind}")), listed);
        let parameters = shown["parameters_set"].as_array().unwrap();
        assert_eq!(parameters.len(), if number == 1 { 2 } else { 1 });
        assert_eq!(parameters[0]["smartcard_ca_id"], CARD);
    }
    assert_eq!(list(&scene, ""), ["1", "2", "3", "4", "5"]);
    assert_eq!(list(&scene, "&type=CREATE_PAIRING"), [""; 0]);
    assert_eq!(
        list(
            &scene,
            "&type=SET_PIN_CODE_TO_DEFAULT_VALUE&life_cycle_state=COMPLETED"
        ),
        [""; 0]
    );
}

#[test]
fn a_pending_change_of_the_card_keeps_its_pairing_for_whoever_asks() {
    let scene = Scene::new();
    let with_stb = |card: &str| {
        format!(
            r#""smartcard_identifier":{{"serial_number":"{card}"}},"stb_identifier":{{"serial_number":"{STB}"}}"#
        )
    };
    scene.pair(&with_stb(CARD)).data();
    call(&scene, PIN, &card()).data();
    assert_eq!(scene.pair(&with_stb(CARD_2)).error(), "STBTAKEN");
    // And the unpair behind it has an STB to leave.
    assert_eq!(scene.pair(&card()).data()["number"], "3");
}

#[test]
fn what_is_missing_or_wrong_in_services_set_is_named_with_its_place() {
    let scene = Scene::new();
    let code = |members: &str| format!(r#"{},"services_set":{members}"#, card());
    let many: Vec<String> = (0..65).map(|at| format!("P{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (members, message) in [
        (
            card(),
            "field `services_set` is mandatory: expected a list of services, found none",
        ),
        (
            code("null"),
            "field `services_set` is mandatory: expected a list of services, found none",
        ),
        (
            code("[]"),
            "field `services_set`: expected 1 to 64 services, found `0`",
        ),
        (
            with(&many),
            "field `services_set`: expected 1 to 64 services, found `65`",
        ),
        (
            code("\"SPORT\""),
            "field `services_set`: expected a list of objects, found a string",
        ),
        (
            code("[\"SPORT\"]"),
            "field `services_set[0]`: expected an object, found a string",
        ),
        (
            code("[{}]"),
            "field `services_set[0].service_identifier` is mandatory: expected an identifier, found none",
        ),
        (
            code(r#"[{"service_identifier":{"code":"A"}},{"service_identifier":{}}]"#),
            "field `services_set[1].service_identifier`: expected exactly one of `id`, `code`, `alternative_code`, found none",
        ),
        (
            code(r#"[{"service_identifier":{"code":"A","alternative_code":"B"}}]"#),
            "field `services_set[0].service_identifier`: expected exactly one of `id`, `code`, `alternative_code`, found `code`, `alternative_code`",
        ),
        (
            code(r#"[{"service_identifier":{"code":7}}]"#),
            "field `services_set[0].service_identifier.code`: expected a string, found a number",
        ),
        (
            code(r#"[{"service_identifier":{"id":"0123456789ABCDEF0123456789ABCDEF"}}]"#),
            "field `services_set[0].service_identifier.id`: expected `code` or `alternative_code`: services are not kept here by id, found `0123456789ABCDEF0123456789ABCDEF`",
        ),
        (
            with(&["SPORT", "SPORT"]),
            "field `services_set[1].service_identifier`: expected each service once, found `SPORT`",
        ),
        (
            with(&["SPORT-PREMIUM"]),
            "the mapping refuses this: product `SPORT-PREMIUM` has more than 12 characters",
        ),
        (
            r#""services_set":[{"service_identifier":{"code":"A"}}]"#.to_owned(),
            "field `smartcard_identifier` is mandatory: expected an identifier, found none",
        ),
        (
            format!(r#"{},"priority":"URGENT""#, with(&["A"])),
            "field `priority`: expected `REGULAR` or `EXPRESS`, found `URGENT`",
        ),
    ] {
        for method in [ADD, CANCEL] {
            assert_eq!(
                call(&scene, method, &members).message(),
                message,
                "{members}"
            );
        }
    }
    assert_eq!(scene.requests(), 0);
    let alternative = code(r#"[{"service_identifier":{"alternative_code":"A","code":null}}]"#);
    call(&scene, ADD, &alternative).data();
    let products = vec!["A".into()];
    assert_eq!(change(&scene, 1), Some(CardChange::AddProducts(products)));
}

#[test]
fn the_other_fields_are_those_of_a_pair() {
    let scene = Scene::new();
    let members = format!(
        r#"{},"scheduled_date":"2026-12-24T18:00:00","priority":"EXPRESS""#,
        with(&["SPORT"])
    );
    let data = call(&scene, CANCEL, &members).data();
    assert_eq!(data["scheduled_date"], "2026-12-24T18:00:00");
    assert_eq!(data["priority"], "EXPRESS");
    // The PIN's method has no priority (489739); what is unknown is ignored.
    let members = format!(r#"{},"priority":"EXPRESS""#, card());
    assert_eq!(call(&scene, PIN, &members).data()["priority"], "REGULAR");
    for method in [ADD, PIN] {
        let unknown = format!(
            r#"{},"subscription_identifier":{{"number":"S9"}}"#,
            with(&["A"])
        );
        assert_eq!(
            call(&scene, method, &unknown).error(),
            "SUBSCRIPTIONNOTFOUND"
        );
        let ahead = format!(
            r#"{},"process_immediately":true,"scheduled_date":"2027-01-01T00:00:00""#,
            with(&["A"])
        );
        assert_eq!(call(&scene, method, &ahead).error(), "INVALIDPARAMETER");
        let nobody = r#""smartcard_identifier":{"serial_number":"1"},"services_set":[{"service_identifier":{"code":"A"}}]"#;
        assert_eq!(call(&scene, method, nobody).error(), "SMARTCARDNOTFOUND");
    }
    assert_eq!(scene.requests(), 2);
}

#[test]
fn a_repeat_with_its_key_makes_no_second_request_and_each_method_has_its_own_keys() {
    let scene = Scene::new();
    let keyed = |method: &str, members: &str| {
        scene.post_as(
            Role::Crm,
            &format!("nagravision/provisioning_requests/{method}"),
            &format!(r#"{{"token":"{{token}}",{members}}}"#),
            "Idempotency-Key: order-1\r\n",
        )
    };
    let first = keyed(ADD, &with(&["SPORT"]));
    assert_eq!(keyed(ADD, &with(&["SPORT"])).body, first.body);
    assert_eq!(keyed(ADD, &with(&["NEWS"])).error(), "IDEMPOTENCYKEYREUSED");
    assert_eq!(keyed(CANCEL, &with(&["SPORT"])).data()["number"], "2");
    assert_eq!(keyed(PIN, &card()).data()["number"], "3");
    assert_eq!(scene.requests(), 3);
}

#[test]
fn what_the_mapping_does_not_declare_is_refused_by_name() {
    let scene = Scene::with(Choices {
        mapping: "line",
        ..Choices::default()
    });
    for (method, members, words) in [
        (ADD, with(&["SPORT"]), "add products"),
        (CANCEL, with(&["SPORT"]), "cancel products"),
        (PIN, card(), "set a PIN to its default"),
    ] {
        let answer = call(&scene, method, &members);
        assert_eq!(answer.error(), "CAPABILITYMISSING");
        assert_eq!(
            answer.message(),
            format!("provider `north` cannot {words}: its mapping does not declare it")
        );
    }
    assert_eq!(scene.requests(), 0);
}

#[test]
fn without_its_command_in_the_settings_no_pin_is_reset() {
    let scene = Scene::with(Choices {
        pin_command: "",
        ..Choices::default()
    });
    assert_eq!(call(&scene, PIN, &card()).error(), "CAPABILITYMISSING");
    call(&scene, ADD, &with(&["SPORT"])).data();
    assert_eq!(scene.requests(), 1);
}

#[test]
fn an_unknown_family_is_told_which_ones_there_are() {
    let scene = Scene::new();
    for method in [ADD, CANCEL, PIN, "pair_smartcard_decoder"] {
        let answer = scene.post(
            &format!("conax_web_services/provisioning_requests/{method}"),
            &format!(r#"{{"token":"{{token}}",{}}}"#, with(&["SPORT"])),
        );
        assert_eq!(answer.error(), "PROVIDERFAMILYNOTFOUND");
        assert_eq!(
            answer.message(),
            "no provider of the family `conax_web_services` is configured; expected one of: nagravision"
        );
    }
}

#[test]
fn a_viewer_changes_no_card() {
    let scene = Scene::new();
    for method in [ADD, CANCEL, PIN] {
        let path = format!("nagravision/provisioning_requests/{method}");
        let body = format!(r#"{{"token":"{{token}}",{}}}"#, with(&["SPORT"]));
        let answer = scene.post_as(Role::Viewer, &path, &body, "");
        assert_eq!(answer.error(), "ACCESSDENIED");
        let get = scene.get(&format!("{path}?token={{token}}"));
        assert_eq!(get.error(), "METHODNOTALLOWED");
    }
    assert_eq!(scene.requests(), 0);
}

#[test]
fn a_change_of_the_card_is_the_same_after_a_rebuild() {
    let mut scene = Scene::new();
    call(&scene, ADD, &with(&["SPORT", "NEWS"])).data();
    call(&scene, PIN, &card()).data();
    scene.settles(1, None);
    let before = [scene.show(1).body, scene.show(2).body];
    let completed: serde_json::Value = serde_json::from_str(&before[0]).unwrap();
    assert_eq!(completed["data"]["life_cycle_state"], json!("COMPLETED"));
    scene.rebuild();
    assert_eq!([scene.show(1).body, scene.show(2).body], before);
    assert_eq!(change(&scene, 2), Some(CardChange::ResetPin));
    scene.restart();
    assert_eq!([scene.show(1).body, scene.show(2).body], before);
}
