//! The whole answer to every kind of call, byte for byte: each success, and each error that the API can give.

use pairbox::commit::Command;
use serde_json::Value;

use crate::http_scene::{CARD, CARD_2, STB, STB_2, Scene};
use crate::http_wire::Response;

/// Codes without a golden here, each with its reason.
const UNREACHABLE: &[(&str, &str)] = &[
    (
        "AMBIGUOUSPROVIDER",
        "needs a second provider of the same products in the configuration",
    ),
    ("CAPABILITYMISSING", "needs a mapping that cannot unpair"),
    ("CAIDBOUND", "the API changes no item; an import does"),
    ("CALLTOOLARGE", "the API's own limits are below it"),
    (
        "CONCURRENTCHANGE",
        "needs the pairings to move eight times in a row under one call",
    ),
    ("IDBOUND", "the API changes no item; an import does"),
    ("INSUFFICIENTSTORAGE", "needs a full disk"),
    ("INTERNALERROR", "needs a defect"),
    (
        "INVALIDLIFECYCLESTATE",
        "cancel and retry are the operator's",
    ),
    (
        "PROVIDERNOTFOUND",
        "an item that no provider takes is refused by its classification first",
    ),
    ("PROVIDERNOTPAUSED", "pause and resume are the operator's"),
    ("JOBNOTFOUND", "jobs are the operator's"),
    ("INVALIDJOBSTATE", "jobs are the operator's"),
    (
        "REQUESTTIMEOUT",
        "needs a clock that runs; the gate's tests hold it",
    ),
    ("SCRIPTERROR", "needs a broken mapping"),
    (
        "SMARTCARDFULL",
        "needs a provider whose cards may have several STBs",
    ),
    ("STOPPING", "needs a stop"),
    (
        "TOOMANYLOGINS",
        "the wait that it names differs from run to run",
    ),
];

fn card(serial_number: &str) -> String {
    format!(r#""smartcard_identifier":{{"serial_number":"{serial_number}"}}"#)
}

fn both(card_serial: &str, stb: &str) -> String {
    format!(
        r#"{},"stb_identifier":{{"serial_number":"{stb}"}}"#,
        card(card_serial)
    )
}

/// Compares the answer and that it is this error.
fn is_error(answer: &Response, name: &str) {
    assert_eq!(answer.error(), name, "{}", answer.body);
    answer.is_golden(&format!("error_{}", name.to_lowercase()));
}

#[test]
fn every_refusal_of_a_pairing_has_its_answer() {
    let scene = Scene::new();
    is_error(&scene.pair(&both("019999999999", STB)), "SMARTCARDNOTFOUND");
    is_error(&scene.pair(&both(CARD, "4499999999")), "STBNOTFOUND");
    is_error(&scene.pair(&both(STB, STB_2)), "INVALIDITEMCLASSIFICATION");
    is_error(&scene.pair(&card(CARD)), "SMARTCARDNOTPAIRED");
    scene.import("019000802077", "SMC-2", true);
    is_error(&scene.pair(&both(CARD, STB)), "AMBIGUOUSITEM");
    scene.import("019000000500", "SMC-1", false);
    is_error(&scene.pair(&both("019000000500", STB)), "ITEMNOTEFFECTIVE");
    let item = scene.item("019000802093");
    let reason = "stolen".to_owned();
    scene.record(Command::Blacklist {
        item,
        is_blacklisted: true,
        reason,
    });
    is_error(&scene.pair(&both("019000802093", STB)), "ITEMBLACKLISTED");
    scene.import("12345", "SMC-1", true);
    is_error(&scene.pair(&both("12345", STB)), "MAPPINGREFUSED");
    let unknown = format!(
        r#"{},"subscription_identifier":{{"number":"S-9"}}"#,
        both(CARD_2, STB)
    );
    is_error(&scene.pair(&unknown), "SUBSCRIPTIONNOTFOUND");
    let bad_date = format!(r#"{},"scheduled_date":"tomorrow""#, both(CARD_2, STB));
    is_error(&scene.pair(&bad_date), "INVALIDPARAMETER");
    let two = r#""smartcard_identifier":{"serial_number":"1","id":"2"}"#;
    is_error(&scene.pair(two), "INVALIDIDENTIFIER");
    scene.pair(&both(CARD_2, STB)).data();
    is_error(&scene.pair(&both("019000802101", STB)), "STBTAKEN");
    for _ in 1..64 {
        scene.pair(&both(CARD_2, STB)).data();
    }
    is_error(&scene.pair(&both(CARD_2, STB)), "TOOMANYPENDINGREQUESTS");
    scene
        .pair_with_key("k", &both("019000802101", STB_2))
        .data();
    is_error(
        &scene.pair_with_key("k", &both("019000802101", "4400000003")),
        "IDEMPOTENCYKEYREUSED",
    );
    assert_eq!(scene.requests(), 65);
}

#[test]
fn every_error_of_the_other_methods_has_its_answer() {
    let scene = Scene::new();
    is_error(&scene.show(7), "PROVISIONINGREQUESTNOTFOUND");
    let show = "installed_items/show?token={token}&installed_item_identifier=serial_number=9";
    is_error(&scene.get(show), "INSTALLEDITEMNOTFOUND");
    let create = |serial: &str, product: &str, more: &str| {
        scene.post(
            "installed_items/create",
            &format!(
                r#"{{"token":"{{token}}","serial_number":"{serial}","alternative_code":"X{serial}","product_identifier":{product},"state":"EFFECTIVE"{more}}}"#
            ),
        )
    };
    let none = r#"{"id":"00000000000000000000000000000000"}"#;
    is_error(&create("1", none, ""), "PRODUCTNOTFOUND");
    create("2", r#"{"code":"STB-HD"}"#, "").data();
    let differs = scene.post(
        "installed_items/create",
        r#"{"token":"{token}","serial_number":"2","alternative_code":"Y","product_identifier":{"code":"STB-HD"},"state":"EFFECTIVE"}"#,
    );
    is_error(&differs, "ITEMALREADYEXISTS");
    let id = r#","id":"0123456789ABCDEF0123456789ABCDEF""#;
    create("3", r#"{"code":"STB-HD"}"#, id).data();
    is_error(&create("4", r#"{"code":"STB-HD"}"#, id), "IDALREADYEXISTS");
    let subscription = r#"{"token":"{token}","number":"S-1","life_cycle_state":"EFFECTIVE"}"#;
    scene.post("subscriptions/create", subscription).data();
    let other = subscription.replace("EFFECTIVE", "CANCELLED");
    is_error(
        &scene.post("subscriptions/create", &other),
        "SUBSCRIPTIONALREADYEXISTS",
    );
    let family = "conax_web_services/provisioning_requests/list?token={token}";
    is_error(&scene.get(family), "PROVIDERFAMILYNOTFOUND");
}

#[test]
fn every_error_before_a_method_has_its_answer() {
    let scene = Scene::new();
    let pair = "nagravision/provisioning_requests/pair_smartcard_decoder";
    is_error(&scene.post(pair, r#"{"token":"#), "MALFORMEDJSON");
    is_error(&scene.post(pair, "{}"), "INVALIDTOKEN");
    let viewer = pairbox::access::Role::Viewer;
    let denied = scene.post_as(
        viewer,
        pair,
        &format!(r#"{{"token":"{{token}}",{}}}"#, both(CARD, STB)),
        "",
    );
    is_error(&denied, "ACCESSDENIED");
    let login = r#"{"username":"nobody","password":"nothing at all","organisation":"x"}"#;
    is_error(
        &scene.post("authentication/token", login),
        "INVALIDCREDENTIALS",
    );
    is_error(&scene.get("nothing/here"), "METHODNOTFOUND");
    is_error(&scene.get(pair), "METHODNOTALLOWED");
    let large = "x".repeat(70_000);
    is_error(&scene.post(pair, &large), "REQUESTTOOLARGE");
    let chunked = format!(
        "POST /crmapi/rest/v2/{pair} HTTP/1.1\r\nHost: box\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    is_error(&scene.client().send(&chunked), "LENGTHREQUIRED");
    let long = format!("GET /{} HTTP/1.1\r\nHost: box\r\n\r\n", "x".repeat(9_000));
    is_error(&scene.client().send(&long), "URLTOOLONG");
    let headers = "X-Y: 1\r\n".repeat(70);
    let many = format!("GET /crmapi/rest/v2/{pair} HTTP/1.1\r\nHost: box\r\n{headers}\r\n");
    is_error(&scene.client().send(&many), "TOOMANYHEADERS");
    let signed = format!("POST /crmapi/rest/v2/{pair} HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc");
    is_error(&scene.client().send(&signed), "INVALIDLENGTH");
    let bare = "GET / HTTP/1.1\nHost: box\r\n\r\n";
    is_error(&scene.client().send(bare), "MALFORMEDREQUEST");
    let endless = format!("GET / HTTP/1.1\r\nX-Y: {}", "x".repeat(17_000));
    is_error(&scene.client().send(&endless), "HEADTOOLARGE");
}

#[test]
fn every_reading_method_has_its_answer() {
    let scene = Scene::new();
    scene.pair(&both(CARD, STB)).data();
    scene.pair(&card(CARD)).data();
    scene.show(1).is_golden("show");
    let list = "provisioning/provisioning_requests/list?token={token}";
    scene.get(list).is_golden("list");
    let none = format!("{list}&life_cycle_state=COMPLETED");
    let empty = scene.get(&none);
    assert_eq!(empty.data(), Value::Array(Vec::new()));
    empty.is_golden("list_of_none");
    let item = format!(
        "installed_items/show?token={{token}}&installed_item_identifier=serial_number={CARD}"
    );
    scene.get(&item).is_golden("item_shown");
    scene
        .get("installed_items/list?token={token}&number_of_results=2")
        .is_golden("items_listed");
    let subscription = r#"{"token":"{token}","number":"S-1","life_cycle_state":"EFFECTIVE"}"#;
    scene.post("subscriptions/create", subscription).data();
    scene
        .get("subscriptions/show?token={token}&subscription_identifier=number=S-1")
        .is_golden("subscription_shown");
    scene
        .get("subscriptions/list?token={token}")
        .is_golden("subscriptions_listed");
}

/// A new code gets an answer here, or a reason why no call brings it about.
#[test]
fn every_code_of_the_table_has_an_answer_or_a_reason() {
    let source = std::fs::read_to_string("src/http/crm/codes.rs").unwrap();
    let table = source.split("pub const TABLE").nth(1).unwrap();
    let table = table.split("];").next().unwrap();
    let mut names = Vec::new();
    for word in table.split('"').skip(1).step_by(2) {
        if word.chars().all(|letter| letter.is_ascii_uppercase()) {
            names.push(word);
        }
    }
    assert!(names.len() > 40, "{names:?}");
    let has_golden = |name: &str| {
        let file = format!("tests/it/golden/http/error_{}.json", name.to_lowercase());
        name == "OVERLOADED" || std::path::Path::new(&file).exists()
    };
    for name in names {
        let reason = UNREACHABLE.iter().any(|(code, _)| *code == name);
        assert!(
            reason != has_golden(name),
            "{name}: one golden or one reason"
        );
    }
}
