//! The commands as they are typed, with what they print and their exit codes, against a running box.

use std::fmt::Write as _;
use std::fs;

use pairbox::domain::Outcome;
use pairbox::domain::event::Then;

use crate::cli_scene::{Scene, Transcript};

const CARD: &str = "019000802077";
const OTHER_CARD: &str = "019000802085";
const STB: &str = "004600001122";

/// Runs all and compares the transcript.
fn told(scene: &Scene, name: &str, lines: &[&[&str]]) {
    let mut transcript = Transcript::default();
    for line in lines {
        scene.tell(&mut transcript, line);
    }
    transcript.check(name);
}

#[test]
fn import_takes_good_rows_and_names_bad_ones_by_line_and_column() {
    let scene = Scene::begin();
    scene.write(
        "bad.csv",
        "\u{feff}state,Serial_Number,product,alternative_code,id\n\
         EFFECTIVE,019000900011,SC-NAGRA,N1,\n\
         BROKEN,019000900029,SC-NAGRA,N2,\n\
         ,1.90001E+11,SC-NAGRA,N3,\n\
         EFFECTIVE,,SC-NAGRA,N4,\n\
         EFFECTIVE,019000900052,SC-NAGRA,N1,\n\
         EFFECTIVE,019000802077,SC-NAGRA,changed,\n\
         EFFECTIVE,019000900078,SC-NAGRA\n\
         EFFECTIVE,019000900086,SC-NAGRA,N8,xyz\n\
         EFFECTIVE,=cmd(),SC-NAGRA,,\n\
         EFFECTIVE,019000802085,SC-NAGRA,C2,\n",
    );
    let mut transcript = Transcript::default();
    let dry = scene.tell(&mut transcript, &["item", "import", "bad.csv", "--dry-run"]);
    let wet = scene.tell(&mut transcript, &["item", "import", "bad.csv"]);
    assert_eq!((dry, wet), (3, 3));
    transcript.check("import_bad_rows");
    let rejects = fs::read_to_string(scene.folder.path().join("bad.rejects.csv")).unwrap();
    let mut file = Transcript::default();
    let ran = crate::cli_scene::Ran {
        code: 0,
        stdout: rejects,
        stderr: String::new(),
    };
    file.add(&["# bad.rejects.csv"], &ran);
    file.check("import_rejects");
}

#[test]
fn a_mended_rejects_file_is_imported_itself_and_semicolons_are_read() {
    let scene = Scene::begin();
    scene.write(
        "mended.csv",
        "serial_number;alternative_code;product;rejected_line;rejected_column;rejected_reason\n\
         019000900029;N2;SC-NAGRA;3;state;mended\n",
    );
    let ran = scene.run(&["item", "import", "mended.csv"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("1 rows: 1 added"), "{}", ran.stdout);
    assert!(!scene.folder.path().join("mended.rejects.csv").exists());
}

#[test]
fn import_of_many_chunks_counts_every_row() {
    let scene = Scene::begin();
    let mut text = String::from("serial_number,alternative_code,product\n");
    for number in 0..1_300 {
        writeln!(text, "0190007{number:05},M{number},SC-NAGRA").unwrap();
    }
    scene.write("many.csv", &text);
    let ran = scene.run(&["item", "import", "many.csv"]);
    assert!(ran.stdout.starts_with("1300 rows: 1300 added, 0 changed"));
    let again = scene.run(&["item", "import", "many.csv", "--update"]);
    assert!(again.stdout.contains("1300 unchanged, 0 rejected"));
    let listed = scene.run(&["item", "list", "--output", "csv"]);
    assert_eq!(listed.stdout.lines().count(), 1 + 5 + 1_300);
}

#[test]
fn a_header_that_cannot_be_used_is_a_usage_error() {
    let scene = Scene::begin();
    scene.write("a.csv", "serial_number,product\n1,SC-X\n");
    scene.write("b.csv", "serial_number,alternative_code,product,colour\n");
    told(
        &scene,
        "import_headers",
        &[
            &["item", "import", "a.csv"],
            &["item", "import", "b.csv"],
            &["item", "import", "none.csv"],
        ],
    );
}

#[test]
fn items_are_added_shown_listed_and_blacklisted() {
    let scene = Scene::begin();
    scene.pair(&["pair", CARD, STB]);
    told(
        &scene,
        "items",
        &[
            &["item", "list"],
            &["item", "list", "--output", "json", "--product", "STB-HD"],
            &["item", "list", "--output", "csv", "--blacklisted"],
            &["item", "add", "019000900011", "--product", "SC-NAGRA"],
            &[
                "item",
                "add",
                "019000900011",
                "--product",
                "SC-NAGRA",
                "--ca-id",
                "77",
            ],
            &["item", "show", CARD],
            &["item", "show", "B1", "--by", "alternative_code"],
            &["item", "show", "nobody"],
            &["item", "blacklist", "add", OTHER_CARD, "--reason", "stolen"],
            &["item", "blacklist", "add", OTHER_CARD, "--reason", "stolen"],
            &["pair", OTHER_CARD, STB],
            &[
                "item",
                "blacklist",
                "remove",
                OTHER_CARD,
                "--reason",
                "found",
            ],
        ],
    );
}

#[test]
fn pairs_are_queued_shown_and_listed() {
    let scene = Scene::begin();
    scene.accepted_by_cas(scene.pair(&["pair", CARD, STB]));
    told(
        &scene,
        "requests",
        &[
            &["pair", CARD],
            &["pair", OTHER_CARD],
            &["pair", OTHER_CARD, STB],
            &[
                "pair",
                OTHER_CARD,
                "004600002233",
                "--priority",
                "express",
                "--immediate",
            ],
            &["pair", "nobody", STB],
            &["pair", STB, STB],
            &["unpair", CARD, "--scheduled", "2026-11-24"],
            &["unpair", CARD, "--scheduled", "soon"],
            &["request", "list"],
            &[
                "request",
                "list",
                "--state",
                "completed",
                "--output",
                "json",
            ],
            &["request", "list", "--all", "--output", "csv"],
            &["request", "show", "1"],
            &["request", "show", "99"],
            &["pairing", "list"],
            &["pairing", "show", STB],
            &["pairing", "history", CARD],
        ],
    );
}

#[test]
fn operators_cancel_retry_and_resolve() {
    let scene = Scene::begin();
    let number = scene.pair(&["pair", CARD, STB]);
    scene.send(number);
    let then = Then::Rejected { in_doubt: false };
    scene.settle(number, Outcome::Refused, Some(("9001", "no")), then);
    let held = scene.pair(&["pair", OTHER_CARD, "004600002233"]);
    scene.send(held);
    let reason = "policy".into();
    scene.settle(held, Outcome::Unknown, None, Then::Held { reason });
    told(
        &scene,
        "operators",
        &[
            &["request", "retry", "1"],
            &["request", "cancel", "3", "--reason", "not wanted"],
            &["request", "cancel", "3", "--reason", "not wanted"],
            &["request", "retry", "2"],
            &[
                "request",
                "resolve",
                "2",
                "done",
                "--reason",
                "seen on the CAS console",
            ],
            &["request", "explain", "2"],
            &["pairing", "history", OTHER_CARD],
            &["request", "cancel", "x", "--reason", "y"],
        ],
    );
}

#[test]
fn wait_tells_the_outcome_by_its_exit_code() {
    let scene = Scene::begin();
    let waited = scene.run(&["pair", CARD, STB, "--wait", "200ms"]);
    assert_eq!(waited.code, 3);
    assert_eq!(
        waited.stdout,
        "request 1 is PENDING (pending); `pairbox request explain 1` says why\n"
    );
}

#[test]
fn providers_users_keys_and_subscriptions() {
    let scene = Scene::begin();
    scene.write("password", "correct horse battery\n");
    scene.write(
        "subscriptions.csv",
        "life_cycle_state,number\nEFFECTIVE,S1\n,S2\n",
    );
    told(
        &scene,
        "administration",
        &[
            &["provider", "list"],
            &["provider", "pause", "north", "--reason", "works"],
            &["provider", "list", "--output", "csv"],
            &["provider", "resume", "north"],
            &["provider", "resume", "north"],
            &["provider", "pause", "south", "--reason", "works"],
            &[
                "user",
                "add",
                "crm1",
                "--role",
                "crm",
                "--password-file",
                "password",
            ],
            &[
                "user",
                "add",
                "crm1",
                "--role",
                "crm",
                "--password-file",
                "password",
            ],
            &["user", "password", "crm1", "--password-file", "password"],
            &["user", "list"],
            &["user", "remove", "crm1"],
            &["user", "remove", "crm1"],
            &["key", "list"],
            &["subscription", "import", "subscriptions.csv"],
            &["subscription", "add", "S1", "--state", "ENDED"],
            &["subscription", "list"],
            &["subscription", "show", "S2"],
            &["subscription", "show", "S9"],
            &["process"],
        ],
    );
    let key = scene.run(&["key", "create", "crm-key", "--role", "crm"]);
    assert_eq!(key.stdout.trim().len(), 64);
    let revoked = scene.run(&["key", "revoke", "crm-key"]);
    assert_eq!(revoked.stdout, "key crm-key is revoked\n");
}

#[test]
fn status_shows_the_box_at_a_glance() {
    let scene = Scene::begin();
    scene.pair(&["pair", CARD, STB]);
    let ran = scene.run(&["status"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for expected in [
        "processing     continuous",
        "items          5",
        "requests       1: 1 due",
        "serving since 2026-11-23 14:00:00",
        "north  nagravision  smsgw    EFFECTIVE",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}\n{}", ran.stdout);
    }
    let json: serde_json::Value =
        serde_json::from_str(&scene.run(&["status", "--output", "json"]).stdout).unwrap();
    assert_eq!(json["requests"]["due"], 1);
}

#[test]
fn the_ledger_is_verified_beside_a_running_server() {
    let scene = Scene::begin();
    let ran = scene.run(&["ledger", "verify"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("intact: "), "{}", ran.stdout);
    assert!(ran.stdout.contains("another process may have written more"));
}
