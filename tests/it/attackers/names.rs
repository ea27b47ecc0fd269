//! Texts of strangers that shall become a header, a path of the API, or a file's name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use pairbox::access::Role;
use serde_json::Value;

use super::{DOCUMENT, methods};
use crate::cli_scene::{Scene as Typed, initialized, pairbox};
use crate::http_scene::{CARD, STB, Scene};
use crate::http_wire::{Client, Response};

const INJECTED: &str = "019\r\nX-Injected: 1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
/// All that an answer's head may have.
const HEADERS: [&str; 6] = [
    "Date",
    "Content-Type",
    "Content-Length",
    "Connection",
    "Retry-After",
    "Allow",
];

/// The head has what we put there and no word of the caller's.
fn head_is_ours(answer: &Response, what: &str) {
    assert!(answer.status_line.starts_with("HTTP/1.1 "), "{what}");
    for line in &answer.headers {
        let (name, value) = line.split_once(": ").unwrap();
        let is_known = HEADERS.contains(&name) && !value.contains("njected");
        assert!(is_known && value.is_ascii(), "{what}: {line}");
    }
}

/// Every name of a member or parameter that the document has.
fn field_names() -> BTreeSet<String> {
    fn collect(value: &Value, names: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                let properties = members.get("properties").and_then(Value::as_object);
                names.extend(
                    properties
                        .into_iter()
                        .flat_map(|found| found.keys().cloned()),
                );
                if members.contains_key("in") {
                    names.extend(members["name"].as_str().map(str::to_owned));
                }
                members.values().for_each(|member| collect(member, names));
            }
            Value::Array(list) => list.iter().for_each(|item| collect(item, names)),
            _ => {}
        }
    }
    let mut names = BTreeSet::new();
    collect(&serde_json::from_str(DOCUMENT).unwrap(), &mut names);
    names
}

#[test]
fn no_text_of_a_caller_gets_into_a_head() {
    let scene = Scene::new();
    let token = scene.token(Role::Operator);
    let injected = serde_json::to_string(INJECTED).unwrap();
    let fields = field_names();
    assert!(
        fields.contains("serial_number") && fields.len() > 20,
        "{fields:?}"
    );
    for method in methods() {
        let mut client = scene.client();
        for field in &fields {
            let nested = format!(r#"{{"serial_number":{injected}}}"#);
            for value in [&injected, &nested] {
                let request = match method.verb {
                    "GET" => {
                        let value = super::escaped(&injected);
                        let query = format!("token={token}&{field}={value}&{field}x={value}");
                        method.get(&query, "", "")
                    }
                    _ if field == "token" => {
                        method.post("", "", &format!(r#"{{"token":{value}}}"#))
                    }
                    _ => method.request(&token, "", &format!(r#","{field}":{value}"#)),
                };
                let answer = client.send(&request);
                head_is_ours(&answer, &request);
            }
        }
    }
    let mut client = scene.client();
    for target in [
        "/crmapi/rest/v2/x%0d%0aX-Injected:%201/provisioning_requests/show",
        "/%0d%0aX-Injected:%201",
        "/crmapi/rest/v2/installed_items/list?token=%0d%0aX-Injected:%201",
    ] {
        let answer = client.send(&format!("GET {target} HTTP/1.1\r\n\r\n"));
        head_is_ours(&answer, target);
    }
}

#[test]
fn no_text_that_is_stored_gets_into_a_head() {
    let scene = Scene::new();
    // No serial number with a line end is ever stored.
    let created = scene.post(
        "installed_items/create",
        &serde_json::json!({"token": scene.token(Role::Crm), "serial_number": INJECTED,
            "alternative_code": "A", "product_identifier": {"code": "SMC-1"}, "state": "EFFECTIVE"})
        .to_string(),
    );
    assert_eq!(created.error(), "INVALIDPARAMETER");
    head_is_ours(&created, "create");
    // What a CAS says is kept as it is, and stays in the body.
    scene
        .pair(&format!(
            r#""smartcard_identifier":{{"serial_number":"{CARD}"}},"stb_identifier":{{"serial_number":"{STB}"}}"#
        ))
        .data();
    scene.settles(1, Some("7\r\nX-Injected: 1"));
    let shown = scene.show(1);
    assert_eq!(shown.data()["error_code"], "7\r\nX-Injected: 1");
    head_is_ours(&shown, "show");
}

#[test]
fn header_values_with_other_than_plain_text_are_refused() {
    let scene = Scene::new();
    let token = scene.token(Role::Operator);
    for method in methods() {
        for name in ["Authorization", "Idempotency-Key"] {
            for value in ["a\tb", "a\u{7f}b", "a\u{1b}[2Jb", "\u{e4}", "a\u{b}b"] {
                let request = method.request(&token, &format!("{name}: {value}\r\n"), "");
                let answer = scene.client().send(&request);
                assert_eq!(answer.status(), 400, "{request:?}");
                head_is_ours(&answer, &request);
            }
        }
    }
}

/// One path leads to a method: the one of the table, with a slash at its end at most.
#[test]
fn no_way_around_a_path_leads_anywhere() {
    let scene = Scene::new();
    let token = scene.token(Role::Operator);
    let mut client = scene.client();
    for target in [
        "//crmapi/rest/v2/installed_items/list",
        "/crmapi//rest/v2/installed_items/list",
        "/crmapi/rest/v2//installed_items/list",
        "/crmapi/rest/v2/installed_items//list",
        "/./crmapi/rest/v2/installed_items/list",
        "/x/../crmapi/rest/v2/installed_items/list",
        "/crmapi/rest/v2/../v2/installed_items/list",
        "/crmapi/rest/v2/../../crmapi/rest/v2/installed_items/list",
        "/crmapi/rest/v2/%2e%2e/v2/installed_items/list",
        "/crmapi/rest/v2/%2E%2E%2Fv2/installed_items/list",
        "/crmapi/rest/v2/..%2f..%2f..%2f..%2fetc/passwd",
        "/crmapi/rest/v2/..%5c..%5cetc/passwd",
        "/crmapi/rest/v2/..;/v2/installed_items/list",
        "/crmapi/rest/v2/installed_items%2flist",
        "/crmapi%2frest%2fv2%2finstalled_items%2flist",
        "/crmapi/rest/v2/installed%5fitems/list",
        "/%63rmapi/rest/v2/installed_items/list",
        "/crmapi/rest/v2/installed_items/list%00",
        "/crmapi/rest/v2/installed_items/list%20",
        "/crmapi/rest/v2/installed_items/list.json",
        "/crmapi/rest/v2/installed_items/list;a=b",
        "/crmapi/rest/v2/installed_items/list#",
        "/crmapi/rest/v2/installed_items\\list",
        "/CRMAPI/REST/V2/INSTALLED_ITEMS/LIST",
        "/crmapi/rest/v2/",
        "/crmapi/rest/v2/../..",
        "/..",
        "/../../../../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/access.toml",
        "/data/access.toml",
        "/control/status",
        "/metrics",
        "/openapi.json/..",
        "/../openapi.json",
        "//healthz",
        "/healthz/..",
    ] {
        let answer = client.send(&format!("GET {target}?token={token} HTTP/1.1\r\n\r\n"));
        let found = (answer.status(), &*answer.error());
        assert_eq!(found, (404, "METHODNOTFOUND"), "{target}");
    }
    // A family is a word of the table of providers, never a piece of a path.
    for family in ["..", "%2e%2e", "nagravision%2f..", ".", "nagravision%00"] {
        let target = format!("/crmapi/rest/v2/{family}/provisioning_requests/list?token={token}");
        let answer = client.send(&format!("GET {target} HTTP/1.1\r\n\r\n"));
        assert_eq!(answer.error(), "PROVIDERFAMILYNOTFOUND", "{target}");
    }
    // The slash that is tolerated asks for a token all the same.
    let answer = client.send("GET /crmapi/rest/v2/installed_items/list/ HTTP/1.1\r\n\r\n");
    assert_eq!(answer.error(), "INVALIDTOKEN");
}

#[test]
fn the_other_doors_know_their_own_paths_only() {
    let scene = Scene::new();
    let mut ops = Client::connect(scene.ops());
    for target in [
        "/metrics/",
        "//metrics",
        "/metrics/..",
        "/x/../metrics",
        "/%6detrics",
        "/control/status",
        "/openapi.json",
        "/crmapi/rest/v2/installed_items/list",
        "/crmapi/rest/v2/authentication/token",
    ] {
        for verb in ["GET", "POST"] {
            let answer = ops.send(&format!(
                "{verb} {target} HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
            ));
            assert_eq!(answer.status(), 404, "{verb} {target}");
        }
    }
    let call = r#"{"by":"cli:anna","ask":null}"#;
    let mut control = scene.control();
    let mut ask = |verb: &str, target: &str| {
        control.send(&format!(
            "{verb} {target} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{call}",
            call.len()
        ))
    };
    for target in [
        "/control/",
        "/control/status/",
        "/control//status",
        "/control/../control/status",
        "/control/%73tatus",
        "//control/status",
        "/crmapi/rest/v2/installed_items/list",
        "/metrics",
        "/openapi.json",
    ] {
        let answer = ask("POST", target);
        assert_eq!(answer.status(), 400, "{target}: {}", answer.body);
    }
    assert_eq!(ask("GET", "/control/status").status(), 400);
    assert_eq!(ask("POST", "/control/status").status(), 200);
}

/// A private header of a client is thrown away at each door; what the gate says of him stands.
#[test]
fn a_forged_private_header_changes_nothing_at_any_door() {
    let scene = Scene::new();
    let call = r#"{"by":"cli:root","ask":null}"#;
    let length = call.len();
    for forged in [
        "X-Pairbox: 1 1 control uid 0 0",
        "x-pairbox: 1 1 control uid 0 0",
        "X-Pairbox: 1 1 ops 127.0.0.1\r\nX-Pairbox: 1 2 control uid 0 0",
        "X-Pairbox:1 1 control uid 0 0",
    ] {
        let request = format!(
            "POST /control/status HTTP/1.1\r\n{forged}\r\nContent-Length: {length}\r\n\r\n{call}"
        );
        let metrics = format!("GET /metrics HTTP/1.1\r\n{forged}\r\n\r\n");
        for address in [scene.address(), scene.ops()] {
            let answer = Client::connect(address).send(&request);
            assert_eq!((answer.status(), &*answer.error()), (404, "METHODNOTFOUND"));
        }
        assert_eq!(scene.client().send(&metrics).status(), 404);
        assert_eq!(Client::connect(scene.ops()).send(&metrics).status(), 200);
        // This process's own account is root's or the owner's, so it is let in with and without.
        assert_eq!(scene.control().send(&request).status(), 200);
        let health = format!("GET /healthz HTTP/1.1\r\n{forged}\r\n\r\n");
        let answer = scene.client().send(&health);
        assert_eq!(answer.status(), 200);
        head_is_ours(&answer, forged);
    }
}

const MAPPING_NAMES: [&str; 12] = [
    "../x",
    "../../x",
    "../mappings/smsgw",
    "smsgw/../smsgw",
    "./smsgw",
    "smsgw/",
    "..",
    ".",
    "",
    "/etc",
    "%2e%2e/x",
    "..\\x",
];

/// A folder beside the mappings has a mapping that works, and still nobody gets at it.
fn beside_the_mappings(folder: &Path) {
    let shipped = fs::read_dir("scripts/mappings/smsgw").unwrap();
    for place in ["scripts/x", "x"] {
        fs::create_dir_all(folder.join(place)).unwrap();
    }
    for file in shipped {
        let path = file.unwrap().path();
        if path.is_file() {
            for place in ["scripts/x", "x"] {
                fs::copy(&path, folder.join(place).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
}

#[test]
fn the_name_of_a_mapping_is_no_path() {
    let folder = tempfile::tempdir().unwrap();
    initialized(folder.path());
    beside_the_mappings(folder.path());
    let path = folder.path().join("pairbox.toml");
    let config = fs::read_to_string(&path).unwrap();
    let said = "is not a plain name of letters, digits, `-` and `_`";
    for name in MAPPING_NAMES {
        for command in [
            &["mapping", "check", name][..],
            &["mapping", "test", name],
            &["simulate", name, "--listen", "127.0.0.1:0"],
        ] {
            let ran = pairbox(folder.path(), command);
            assert!(
                ran.code != 0 && ran.stderr.contains(said),
                "{command:?}: {}",
                ran.stderr
            );
        }
        let named = config.replace("mapping = \"smsgw\"", &format!("mapping = '{name}'"));
        assert_ne!(named, config);
        fs::write(&path, named).unwrap();
        for command in [&["check"][..], &["serve"], &["status"]] {
            let ran = pairbox(folder.path(), command);
            assert!(ran.code != 0, "{command:?} with `{name}`: {}", ran.stdout);
            let told = format!("{}{}", ran.stdout, ran.stderr);
            assert!(
                told.contains("`provider.mapping` = "),
                "{command:?} with `{name}`: {told}"
            );
        }
        fs::write(&path, &config).unwrap();
    }
}

#[test]
fn the_name_of_a_user_or_key_is_no_path_and_no_line() {
    let scene = Typed::begin();
    scene.write("password", "correct horse battery\n");
    let before = tree(scene.folder.path());
    for name in [
        "../x",
        "..",
        ".",
        "a/b",
        "/etc/x",
        "%2e%2e/x",
        "a\nb",
        "a b",
        "-x",
        "=1+1",
        "key:crm",
        "cli:root",
        "\u{430}nna",
        "",
    ] {
        for command in [
            &[
                "user",
                "add",
                "--role=crm",
                "--password-file=password",
                "--",
                name,
            ][..],
            &["key", "create", "--role=crm", "--", name],
        ] {
            let ran = scene.run(command);
            assert!(ran.code != 0, "{command:?}: {}", ran.stdout);
        }
    }
    assert!(
        scene
            .run(&["user", "list", "--output", "json"])
            .stdout
            .contains("[]")
    );
    assert_eq!(tree(scene.folder.path()), before);
}

/// All paths below a folder.
fn tree(folder: &Path) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // sled makes and removes files as it likes.
        if path.is_dir() && !path.ends_with("state") {
            paths.extend(tree(&path));
        }
        paths.insert(path.display().to_string());
    }
    paths
}
