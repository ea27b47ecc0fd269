//! The conformance list of `pairbox mapping test`: whole for every mapping that is shipped, and each point fails where a mapping is broken.
//!
//! The hazard: a list that says "passed" to a mapping that takes one command's answer for that of another.

use std::path::Path;
use std::sync::Arc;

use pairbox::conformance::{Conformance, Verdict, judge};
use pairbox::script::{Mapping, Origin, skeleton};

use super::cli_scene::pairbox;

const SESSION: [&str; 4] = [
    "unknown key",
    "duplicate reply",
    "late reply",
    "sequence wrap",
];

fn shipped(name: &str) -> Conformance {
    let mapping = Mapping::load(Path::new("/no/scripts/here"), name).unwrap();
    judge(&Arc::new(mapping), None).unwrap()
}

/// A mapping of one's own, to be broken.
struct Broken {
    folder: tempfile::TempDir,
}

impl Broken {
    fn new(shape: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        skeleton::begin(folder.path(), "mine", shape).unwrap();
        Self { folder }
    }

    /// The shipped mapping `name`, as `pairbox init` writes it.
    fn of_shipped(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mine = folder.path().join("mappings/mine");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/mappings");
        std::fs::create_dir_all(mine.join("cases")).unwrap();
        for inner in ["", "cases"] {
            for file in std::fs::read_dir(from.join(name).join(inner)).unwrap() {
                let path = file.unwrap().path();
                if path.is_file() {
                    let to = mine.join(inner).join(path.file_name().unwrap());
                    std::fs::copy(path, to).unwrap();
                }
            }
        }
        Self { folder }
    }

    /// Changes a file of the mapping; what is to be changed must be there.
    fn with(self, file: &str, from: &str, to: &str) -> Self {
        let path = self.path(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no `{from}`");
        std::fs::write(path, text.replace(from, to)).unwrap();
        self
    }

    fn without(self, file: &str) -> Self {
        std::fs::remove_file(self.path(file)).unwrap();
        self
    }

    fn and(self, file: &str, text: &str) -> Self {
        std::fs::write(self.path(file), text).unwrap();
        self
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.folder.path().join("mappings/mine").join(file)
    }

    fn judged(&self) -> Conformance {
        let origin = Origin::Folder(self.folder.path().join("mappings/mine"));
        judge(&Arc::new(Mapping::from_origin(origin).unwrap()), None).unwrap()
    }

    /// Exactly these points fail, and the last of them says so.
    fn fails(&self, points: &[&str], found: &str) {
        let judged = self.judged();
        let failed: Vec<&str> = judged.failed_points().map(|point| point.name).collect();
        assert_eq!(failed, points, "{:#?}", judged.points);
        assert!(!judged.is_ok());
        let last = judged.failed_points().last().unwrap();
        let Verdict::Failed(fault) = &last.verdict else {
            panic!("{last:?}");
        };
        assert!(fault.found.contains(found), "{fault:?}");
        assert!(!fault.expected.is_empty() && !fault.next.is_empty());
    }
}

#[test]
fn every_shipped_mapping_passes_the_whole_list_against_its_simulator() {
    for (name, not_applying) in [
        ("bin6", vec![]),
        ("line", vec![]),
        ("smsgw", vec![]),
        ("stxetx", vec!["sequence wrap"]),
        (
            "httpjson",
            vec!["unknown key", "duplicate reply", "sequence wrap"],
        ),
    ] {
        let judged = shipped(name);
        assert!(judged.is_ok(), "{name}: {:#?}", judged.points);
        // Frames that name a secret are a point of their own.
        let points = if name == "httpjson" { 11 } else { 10 };
        assert_eq!(judged.points.len(), points, "{name}");
        assert_eq!(
            judged.answered_by.as_deref(),
            Some("simulator.rhai"),
            "{name}"
        );
        let found: Vec<&str> = judged
            .points
            .iter()
            .filter(|point| matches!(point.verdict, Verdict::DoesNotApply(_)))
            .map(|point| point.name)
            .collect();
        assert_eq!(found, not_applying, "{name}");
    }
}

#[test]
fn every_skeleton_passes_the_whole_list_with_and_without_its_simulator() {
    for shape in skeleton::shapes() {
        let judged = Broken::new(shape).judged();
        assert!(judged.is_ok(), "{shape}: {:#?}", judged.points);
        assert_eq!(judged.answered_by.as_deref(), Some("simulator.rhai"));
        let judged = Broken::new(shape).without("simulator.rhai").judged();
        assert!(judged.is_ok(), "{shape}: {:#?}", judged.points);
        assert_eq!(judged.answered_by.as_deref(), Some("case `done`"));
    }
}

#[test]
fn a_golden_frame_that_is_missing_is_named() {
    Broken::new("tcp-delim")
        .with(
            "cases/commands.json",
            "\"previous_stb\": \"12345678\"",
            "\"previous_stb\": null",
        )
        .fails(&["golden frames"], "none for: swap");
    let keepalive = "fn keepalive(ctx, state) { #{ body: \"K\", key: \"K\" } }\n// The parts";
    Broken::new("tcp-delim")
        .with(
            "mapping.rhai",
            "window: 1,",
            "window: 1, keepalive_every: \"30s\",",
        )
        .with("mapping.rhai", "// The parts", keepalive)
        .fails(&["golden frames"], "none for: keepalive");
}

#[test]
fn a_reply_that_is_missing_is_named() {
    let refused = "\"outcome\": \"refused\",
    \"code\": \"17\",
    \"text\": \"the simulator refuses this card\"";
    Broken::new("tcp-delim")
        .with("cases/replies.json", "A0000000717", "A0000000700")
        .with("cases/replies.json", refused, "\"outcome\": \"ok\"")
        .fails(&["reply table"], "none for: refusal");
    Broken::new("tcp-delim")
        .with("cases/replies.json", "\"B0000000700\"", "\"A0000000700\"")
        .with(
            "cases/replies.json",
            "\"kind\": \"ignore\"",
            "\"kind\": \"reply\", \"key\": \"00000007\", \"outcome\": \"ok\"",
        )
        .fails(&["reply table"], "none for: garbage");
}

#[test]
fn a_decode_that_takes_what_is_cut_or_garbage_is_found() {
    Broken::new("tcp-delim")
        .with(
            "mapping.rhai",
            "if frame.len != 11 || !frame.is_digits(1, 10)",
            "if frame.len > 1 && frame.len < 11 { return #{ kind: \"reply\", key: \"cut\", outcome: \"ok\" }; }
    if frame.len != 11 || !frame.is_digits(1, 10)",
        )
        .fails(&["truncated reply"], "cut to 2 bytes");
    Broken::new("tcp-delim")
        .with(
            "mapping.rhai",
            "|| frame.u8(0) != 0x41 { return #{ kind: \"ignore\" }; }",
            "|| frame.u8(0) != 0x41 { if frame.len > 11 { throw \"what is this?\"; } return #{ kind: \"ignore\" }; }",
        )
        .fails(&["garbage"], "what is this?");
}

#[test]
fn a_frame_that_its_framing_cuts_otherwise_is_found() {
    let case = r#"{"name": "no content", "frame": {"text": "HTTP/1.1 204 -\r\n\r\nabc"}, "outcome": {"kind": "ignore"}}"#;
    Broken::new("http-json").and("cases/z.json", case).fails(
        &["split and merged"],
        "then `no content`, split at 0: what came out (2)",
    );
}

#[test]
fn a_key_that_is_always_the_same_is_found() {
    // In what goes out and in what comes back: every answer fits every command.
    Broken::new("tcp-delim")
        .with(
            "mapping.rhai",
            "key: digits(ctx.transaction, 8)",
            "key: \"00000007\"",
        )
        .with(
            "mapping.rhai",
            "let key = frame.ascii(1, 8);",
            "let key = \"00000007\";",
        )
        .fails(&SESSION, "key `00000007` for both 1 and 2");
    // In what comes back alone: no answer fits any command.
    Broken::new("tcp-delim")
        .with(
            "mapping.rhai",
            "let key = frame.ascii(1, 8);",
            "let key = \"7\";",
        )
        .with(
            "cases/replies.json",
            "\"key\": \"00000007\"",
            "\"key\": \"7\"",
        )
        .fails(
            &SESSION,
            "it answers the command with key `99999936` by one with key `7`",
        );
}

#[test]
fn an_encode_that_ignores_the_transaction_is_found() {
    // The golden frames are all of transaction 7, so no case sees it.
    Broken::new("tcp-delim")
        .with(
            "mapping.rhai",
            "put_digits(ctx.transaction, 8)",
            "put_digits(7, 8)",
        )
        .with(
            "mapping.rhai",
            "key: digits(ctx.transaction, 8)",
            "key: digits(7, 8)",
        )
        .fails(&SESSION, "key `00000007` for both 1 and 2");
    Broken::new("tcp-delim")
        .with(
            "mapping.rhai",
            "put_digits(ctx.transaction, 8)",
            "put_digits(7, 8)",
        )
        .without("simulator.rhai")
        .fails(&["sequence wrap"], "the same frame for both 1 and 2");
}

#[test]
fn a_key_that_comes_again_within_the_range_is_found_at_the_wrap() {
    Broken::new("tcp-delim")
        .with(
            "mapping.rhai",
            "body.put_digits(ctx.transaction, 8)",
            "body.put_digits(ctx.transaction % 1000, 8)",
        )
        .with(
            "mapping.rhai",
            "key: digits(ctx.transaction, 8)",
            "key: digits(ctx.transaction % 1000, 8)",
        )
        .fails(&["sequence wrap"], "key `00000001` for both 1 and 1001");
    // The frame holds fewer digits than the range has.
    Broken::new("tcp-delim")
        .with("mapping.rhai", "max: 99999999 }", "max: 999999999 }")
        .fails(&["sequence wrap"], "9 digits");
}

#[test]
fn a_range_of_one_digit_is_tried_as_far_as_it_goes() {
    let judged = Broken::new("tcp-delim")
        .with("mapping.rhai", "max: 99999999 }", "max: 9 }")
        .judged();
    assert!(judged.is_ok(), "{:#?}", judged.points);
    let last = judged.points.last().unwrap();
    let Verdict::DoesNotApply(why) = &last.verdict else {
        panic!("{last:?}");
    };
    assert!(why.starts_with("of 9 numbers none is kept"), "{why}");
}

#[test]
fn a_key_that_is_always_the_same_is_found_where_answers_come_in_order() {
    let mut broken = Broken::of_shipped("stxetx")
        .with("mapping.rhai", "key: command }", "key: \"K\" }")
        .with(
            "mapping.rhai",
            "kind: \"reply\", key: key,",
            "kind: \"reply\", key: \"K\",",
        )
        .with("mapping.rhai", "key: strip_left(text, 3),", "key: \"K\",");
    for file in ["cases/commands.json", "cases/replies.json"] {
        for key in [
            "",
            "U019000802077",
            "P019000802077000012345678",
            "P019000802077000087654321",
        ] {
            let key = format!("\"key\": \"{key}\"");
            let text = std::fs::read_to_string(broken.path(file)).unwrap();
            if text.contains(&key) {
                broken = broken.with(file, &key, "\"key\": \"K\"");
            }
        }
    }
    // The one answer that has no key by nature.
    broken = broken.with(
        "cases/replies.json",
        "\"key\": \"K\",
    \"outcome\": \"retry\"",
        "\"key\": \"\",
    \"outcome\": \"retry\"",
    );
    broken.fails(
        &["unknown key"],
        "no other golden command has a key of its own",
    );
}

#[test]
fn without_anybody_who_answers_the_session_is_not_passed() {
    let broken = Broken::new("tcp-len")
        .without("simulator.rhai")
        .with("cases/replies.json", "\"A00000007", "\"A99999999")
        .with(
            "cases/replies.json",
            "\"key\": \"00000007\"",
            "\"key\": \"99999999\"",
        );
    broken.fails(&SESSION, "there is no simulator.rhai");
    assert_eq!(broken.judged().answered_by, None);
}

#[test]
fn what_failed_is_shown_with_the_next_command() {
    let broken = Broken::new("tcp-delim").with(
        "mapping.rhai",
        "key: digits(ctx.transaction, 8)",
        "key: digits(7, 8)",
    );
    let folder = broken.folder.path();
    std::fs::create_dir(folder.join("scripts")).unwrap();
    std::fs::rename(folder.join("mappings"), folder.join("scripts/mappings")).unwrap();
    let ran = pairbox(folder, &["mapping", "test", "mine"]);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    for said in [
        "sequence wrap     FAILED   expected each number to give a key of its own",
        "found key `00000007` for both 1 and 2",
        "next: $EDITOR scripts/mappings/mine/mapping.rhai",
        "scripts/mappings/mine: 14 passed, 4 failed",
    ] {
        assert!(ran.stdout.contains(said), "{said}\n{}", ran.stdout);
    }
    let ran = pairbox(folder, &["mapping", "activate", "mine"]);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    assert!(
        ran.stdout.contains(
            "fail: unknown key, duplicate reply, late reply, sequence wrap; `pairbox mapping test mine` shows how"
        ),
        "{}",
        ran.stdout
    );
}
