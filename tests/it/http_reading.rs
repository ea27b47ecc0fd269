//! Show, list and create over HTTP.

use serde_json::Value;

use super::http_scene::{CARD, STB, Scene};

const REQUESTS: &str = "nagravision/provisioning_requests";

fn pair_four(scene: &Scene) {
    for (card, stb) in [
        (CARD, "4400000001"),
        ("019000802085", "4400000002"),
        ("019000802093", "4400000003"),
        ("019000802101", "4400000004"),
    ] {
        scene
            .pair(&format!(
                r#""smartcard_identifier":{{"serial_number":"{card}"}},"stb_identifier":{{"serial_number":"{stb}"}}"#
            ))
            .data();
    }
}

/// The numbers that a list gives.
fn listed(scene: &Scene, query: &str) -> Vec<String> {
    let answer = scene.get(&format!("{REQUESTS}/list?token={{token}}{query}"));
    let data = answer.data();
    let rows = data.as_array().unwrap();
    rows.iter()
        .map(|row| row["number"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_request_is_shown_by_number_and_by_id() {
    let scene = Scene::new();
    pair_four(&scene);
    let shown = scene.show(2).data();
    let id = shown["id"].as_str().unwrap();
    let by_id = scene.get(&format!(
        "provisioning/provisioning_requests/show/?token={{token}}&provisioning_request_identifier=id={id}"
    ));
    assert_eq!(by_id.data(), shown);
    for unknown in [
        "number=77",
        "number=x",
        "id=00000000000000000000000000000000",
    ] {
        let answer = scene.get(&format!(
            "{REQUESTS}/show?token={{token}}&provisioning_request_identifier={unknown}"
        ));
        assert_eq!(answer.error(), "PROVISIONINGREQUESTNOTFOUND");
    }
    let none = scene.get(&format!("{REQUESTS}/show?token={{token}}"));
    assert_eq!(none.error(), "INVALIDPARAMETER");
    let empty = scene.get(&format!(
        "{REQUESTS}/show?token={{token}}&provisioning_request_identifier=serial=1"
    ));
    assert_eq!(empty.error(), "INVALIDIDENTIFIER");
}

#[test]
fn fields_set_chooses_members_in_the_objects_order() {
    let scene = Scene::new();
    pair_four(&scene);
    scene
        .get(&format!(
            "{REQUESTS}/show?token={{token}}&provisioning_request_identifier=number=1&fields_set=life_cycle_state,number,unheard_of"
        ))
        .is_golden("show_fields_set");
}

#[test]
fn a_list_gives_the_newest_oldest_of_them_first() {
    let scene = Scene::new();
    pair_four(&scene);
    scene.settles(1, None);
    scene.settles(3, Some("9001"));
    let cases: [(&str, &[&str]); 12] = [
        ("", &["1", "2", "3", "4"]),
        ("&number_of_results=2", &["3", "4"]),
        ("&number_of_results=2&offset=0", &["1", "2"]),
        ("&number_of_results=2&offset=1", &["2", "3"]),
        ("&number_of_results=2&cursor=2", &["3", "4"]),
        ("&cursor=18446744073709551615", &[]),
        ("&life_cycle_state=PENDING", &["2", "4"]),
        ("&life_cycle_state=COMPLETED", &["1"]),
        (
            "&life_cycle_state=REJECTED&type=PAIR_SMARTCARD_DECODER",
            &["3"],
        ),
        ("&type=SET_PIN_CODE", &[]),
        ("&reference_number=R77", &["1", "3"]),
        ("&reference_number=R77&life_cycle_state=PENDING", &[]),
    ];
    for (query, expected) in cases {
        assert_eq!(listed(&scene, query), expected, "{query}");
    }
    for bad in [
        "&number_of_results=0",
        "&number_of_results=10001",
        "&offset=-1",
        "&life_cycle_state=DONE",
    ] {
        let answer = scene.get(&format!("{REQUESTS}/list?token={{token}}{bad}"));
        assert_eq!(answer.error(), "INVALIDPARAMETER", "{bad}");
    }
}

#[test]
fn an_unknown_family_is_told_the_configured_ones() {
    let scene = Scene::new();
    let answer = scene.get("conax_web_services/provisioning_requests/list?token={token}");
    assert_eq!(answer.status(), 404);
    assert_eq!(
        answer.message(),
        "no provider of the family `conax_web_services` is configured; expected one of: nagravision"
    );
}

#[test]
fn an_item_is_created_shown_and_listed() {
    let scene = Scene::new();
    let create = r#"{"token":"{token}","serial_number":"0042","alternative_code":"X42","product_identifier":{"code":"SMC-9"},"state":"EFFECTIVE","notes":"from the shelf","ca_id":"420000000000"}"#;
    let created = scene.post("installed_items/create", create);
    created.is_golden("item_created");
    assert_eq!(
        scene.post("installed_items/create", create).body,
        created.body
    );
    let differs = create.replace("X42", "X43");
    let refused = scene.post("installed_items/create", &differs);
    assert_eq!(refused.error(), "ITEMALREADYEXISTS");
    let shown = scene
        .get("installed_items/show?token={token}&installed_item_identifier=alternative_code=X42");
    assert_eq!(shown.data(), created.data());
    let all = scene.get("installed_items/list?token={token}").data();
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 10);
    let cursor = all[7]["id"].as_str().unwrap();
    let rest = scene
        .get(&format!(
            "installed_items/list?token={{token}}&cursor={cursor}&number_of_results=1&offset=1"
        ))
        .data();
    assert_eq!(rest, Value::Array(vec![created.data()]));
}

#[test]
fn an_item_keeps_the_id_that_it_comes_with() {
    let scene = Scene::new();
    let id = "ABCDEF00112233445566778899AABBCC";
    let body = format!(
        r#"{{"token":"{{token}}","serial_number":"019000807777","alternative_code":"X7","product_identifier":{{"code":"SMC-1"}},"state":"EFFECTIVE","id":"{id}"}}"#
    );
    assert_eq!(scene.post("installed_items/create", &body).data()["id"], id);
    let paired = scene.pair(&format!(
        r#""smartcard_identifier":{{"id":"{id}"}},"stb_identifier":{{"serial_number":"4400000001"}}"#
    ));
    assert_eq!(
        paired.data()["parameters_set"][0]["smartcard_ca_id"],
        "019000807777"
    );
}

#[test]
fn an_item_needs_its_mandatory_fields() {
    let scene = Scene::new();
    let whole = r#"{"token":"{token}","serial_number":"0042","alternative_code":"X42","product_identifier":{"code":"SMC-9"},"state":"EFFECTIVE"}"#;
    for (from, to, error) in [
        (r#""serial_number":"0042","#, "", "INVALIDPARAMETER"),
        (
            r#""serial_number":"0042""#,
            r#""serial_number":"""#,
            "INVALIDPARAMETER",
        ),
        (r#""alternative_code":"X42","#, "", "INVALIDPARAMETER"),
        (r#"{"code":"SMC-9"}"#, "{}", "INVALIDIDENTIFIER"),
        (
            r#"{"code":"SMC-9"}"#,
            r#"{"id":"00000000000000000000000000000000"}"#,
            "PRODUCTNOTFOUND",
        ),
        ("EFFECTIVE", "SOLD", "INVALIDPARAMETER"),
    ] {
        let answer = scene.post("installed_items/create", &whole.replace(from, to));
        assert_eq!(answer.error(), error, "{from} -> {to}: {}", answer.body);
    }
}

#[test]
fn a_subscription_is_created_shown_and_listed() {
    let scene = Scene::new();
    let create = r#"{"token":"{token}","number":"S-100","life_cycle_state":"EFFECTIVE"}"#;
    let created = scene.post("subscriptions/create", create);
    created.is_golden("subscription_created");
    assert_eq!(
        scene.post("subscriptions/create", create).body,
        created.body
    );
    let other = create.replace("EFFECTIVE", "CANCELLED");
    assert_eq!(
        scene.post("subscriptions/create", &other).error(),
        "SUBSCRIPTIONALREADYEXISTS"
    );
    let shown = scene.get("subscriptions/show?token={token}&subscription_identifier=number=S-100");
    assert_eq!(shown.data(), created.data());
    assert_eq!(
        scene.get("subscriptions/list?token={token}").data(),
        Value::Array(vec![created.data()])
    );
    let id = created.data()["id"].as_str().unwrap().to_owned();
    let none = scene.get(&format!("subscriptions/list?token={{token}}&cursor={id}"));
    assert_eq!(none.data(), Value::Array(Vec::new()));
}

/// The number and the words on the wire are those of what left: an attempt that sent nothing has neither.
#[test]
fn what_was_not_sent_has_no_sequence_number_and_no_text() {
    let mut scene = Scene::new();
    let pair = scene.pair(&format!(
        r#""smartcard_identifier":{{"serial_number":"{CARD}"}},"stb_identifier":{{"serial_number":"{STB}"}}"#
    ));
    assert_eq!(pair.data()["number"], "1");
    scene.is_not_sent(1);
    let unsent = scene.show(1).data();
    assert_eq!(unsent["sequence_number"], Value::Null);
    assert_eq!(unsent["request"], Value::Null);
    scene.rebuild();
    assert_eq!(scene.show(1).data(), unsent);
}
