//! Hostile scripts: each must end in a clean error, within the limits, on a thread with the stack that the product gives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pairbox::domain::Framing;
use pairbox::script::check::check_mapping;
use pairbox::script::contract::{ItemKind, MappingRequest};
use pairbox::script::{
    Bound, Mapping, MappingSession, Origin, STACK_BYTES_MIN, ScriptError, Settings, SimulatorScript,
};
use serde_json::json;

const HEAD: &str = "fn describe() { #{ framing: #{ len: #{ bytes: 2, max: 99 } }, session: #{}, transaction: #{ max: 9 }, \
                    caps: #{} } }\nfn encode(step, ctx) { #{} }\nfn decode(frame, ctx) { #{} }\n";

/// Loads a mapping whose `normalize` has this body and calls it.
fn normalize(body: &str) -> Result<String, ScriptError> {
    let text = format!("{HEAD}fn normalize(kind, ca_id, cfg) {{ {body} }}\n");
    let run = move || {
        let started = Instant::now();
        let result = Mapping::from_text("hostile", &text)
            .and_then(|mapping| mapping.normalize(ItemKind::Stb, "1", &Settings::default()));
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "took {:?}",
            started.elapsed()
        );
        result
    };
    std::thread::Builder::new()
        .stack_size(STACK_BYTES_MIN)
        .spawn(run)
        .unwrap()
        .join()
        .expect("a script must never take its thread down")
}

fn bound(body: &str) -> Bound {
    match normalize(body) {
        Err(ScriptError::Budget { bound, place, .. }) => {
            assert_eq!(place.script, "hostile/mapping.rhai");
            bound
        }
        other => panic!("{body}: {other:?}"),
    }
}

fn message(body: &str) -> String {
    normalize(body).unwrap_err().to_string()
}

#[test]
fn an_endless_loop_is_stopped_and_cannot_be_caught() {
    assert!(matches!(bound("loop { }"), Bound::Operations(_)));
    assert!(matches!(
        bound("loop { try { loop { } } catch { } }"),
        Bound::Operations(_)
    ));
}

#[test]
fn a_closure_bomb_is_counted_although_rhai_counts_each_closure_anew() {
    let body = "let a = []; a.pad(4000, 1); for i in 0..200 { a.map(|x| { let n = 0; while n < 1000 { n += 1; } n }); } \"x\"";
    assert!(matches!(
        bound(body),
        Bound::Operations(_) | Bound::TimeMs(_)
    ));
}

/// What a closure captures counts for no limit of sizes: circles of them would never be given back.
#[test]
fn a_closure_captures_nothing() {
    let Err(error) = normalize("let least = 1; [1, 2].filter(|n| n > least).len().to_string()")
    else {
        panic!("it compiles");
    };
    let report = error.report();
    assert!(report.contains("hostile/mapping.rhai:4:71"), "{report}");
    assert!(report.contains("Undefined variable: least"), "{report}");
    assert!(report.contains("sees its parameters only"), "{report}");
    assert_eq!(
        normalize("[1, 2].filter(|n| n > 1).len().to_string()").unwrap(),
        "1"
    );
}

/// On the smallest stack that scripts get.
#[test]
fn what_is_nested_deeply_falls_without_harm() {
    for body in [
        "let a = []; loop { a = [a]; }",
        "let a = []; loop { a = [#{ a: [a] }]; }",
        "let a = #{}; loop { a = #{ a: a }; }",
    ] {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES_MIN);
        let run = move || bound(body);
        let bound = thread.spawn(run).unwrap().join().unwrap();
        assert!(
            matches!(bound, Bound::Size | Bound::Operations(_) | Bound::TimeMs(_)),
            "{body}: {bound:?}"
        );
    }
}

#[test]
fn memory_bombs_are_stopped_by_size() {
    for body in [
        "let s = \"x\"; loop { s += s; }",
        "let a = [1]; loop { a += a; }",
        "let a = []; a.pad(100000000, 0); \"x\"",
        "let b = blob(1000000000); \"x\"",
        "let s = \"x\"; s.pad(1000000000, ' '); s",
        "let m = #{}; for i in 0..400000 { m[i.to_string()] = i; } \"x\"",
    ] {
        assert!(
            matches!(
                bound(body),
                Bound::Size | Bound::Operations(_) | Bound::TimeMs(_)
            ),
            "{body}"
        );
    }
    assert!(
        message("let b = blob(); b.put_repeat(0, 60000); b.put_repeat(0, 60000); \"x\"")
            .contains("grow beyond")
    );
}

#[test]
fn deep_recursion_is_stopped_by_depth() {
    let text = format!(
        "{HEAD}fn dive(n) {{ [[[[dive(n + 1)]]]] }}\nfn normalize(kind, ca_id, cfg) {{ dive(0) }}\n"
    );
    let run = move || {
        let mapping = Mapping::from_text("hostile", &text).unwrap();
        mapping.normalize(ItemKind::Stb, "1", &Settings::default())
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES_MIN);
    let error = thread.spawn(run).unwrap().join().unwrap().unwrap_err();
    let ScriptError::Budget {
        bound: Bound::Depth,
        function,
        place,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(
        (function.as_str(), place.line),
        ("normalize", Some(5)),
        "the hook is named: rhai tells no more"
    );
}

#[test]
fn a_thousand_brackets_are_a_compile_error() {
    let body = format!("{}1{}", "(".repeat(1000), ")".repeat(1000));
    assert!(matches!(normalize(&body), Err(ScriptError::Compile { .. })));
}

#[test]
fn sleep_eval_import_and_the_clock_are_not_there() {
    assert!(message("sleep(3600); \"x\"").contains("`sleep` is not for scripts"));
    assert!(message("sleep(0.5); \"x\"").contains("`sleep` is not for scripts"));
    assert!(message("timestamp(); \"x\"").contains("`timestamp` is not for scripts"));
    assert!(matches!(
        normalize("eval(\"1\")"),
        Err(ScriptError::Compile { .. })
    ));
    assert!(normalize("import \"x\" as x; \"x\"").is_err());
}

#[test]
fn rhais_own_field_functions_name_ours() {
    for body in [
        "let b = blob(4); b.parse_be_int(0, 2)",
        "let b = blob(4); b.parse_le_int(0..2)",
        "let b = blob(4); b.parse_be_float(0, 4)",
    ] {
        assert!(message(body).contains("frame.u16be(at)"), "{body}");
    }
    for body in [
        "let b = blob(4); b.write_be(0, 2, 258)",
        "let b = blob(4); b.write_le(0..=1, 258)",
    ] {
        assert!(message(body).contains("put_u16be"), "{body}");
    }
    assert!(message("let b = blob(4); b.write_ascii(0, 9, \"abc\")").contains("put_ascii"));
}

#[test]
fn a_field_too_small_or_past_the_end_is_an_error_that_says_so() {
    for (body, expected) in [
        (
            "let b = blob(); b.put_u8(256); \"x\"",
            "256 does not fit u8: allowed is 0 to 255",
        ),
        (
            "let b = blob(); b.put_u16be(-1); \"x\"",
            "-1 does not fit u16be",
        ),
        (
            "let b = blob(); b.put_digits(1000, 3); \"x\"",
            "`1000` has 4 digits and the field has 3",
        ),
        (
            "let b = blob(); b.put_digits(\"12A\", 5); \"x\"",
            "`12A` is not all digits",
        ),
        (
            "let b = blob(); b.put_text(\"hello\", 4); \"x\"",
            "`hello` has 5 characters and the field has 4",
        ),
        (
            "let b = blob(3); b.u16be(2)",
            "u16be at 2 with 2 bytes reaches past the end: the frame has 3 bytes",
        ),
        ("let b = blob(3); b.u8(-1)", "reaches past the end"),
        ("from_hex(\"0g\")", "`0g` is not hexadecimal"),
        ("strip_right(\"12\", 3)", "cannot cut 3 characters off `12`"),
    ] {
        let text = message(body);
        assert!(text.contains(expected), "{body}: {text}");
    }
}

#[test]
fn helpers_write_what_they_say() {
    let body = "let b = blob(); b.put_u8(1); b.put_u16be(0x0203); b.put_u16le(0x0504); b.put_u24be(0x060708); \
                b.put_u32be(0x090a0b0c); b.put_u32le(0x100f0e0d); b.put_bcd(\"123\", 2); b.put_hex(\"FF 00\"); \
                b.put_digits(\"7\", 3); b.put_text(\"a\", 2); b.put_right(\"b\", 2); \
                if b.u24be(5) != 0x060708 || b.u32le(12) != 0x100f0e0d || b.bcd(16, 2) != \"0123\" { throw \"reading\"; } \
                prefix_u16be(b).to_hex()";
    assert_eq!(
        normalize(body).unwrap(),
        "001b0102030405060708090a0b0c0d0e0f100123ff003030376120".to_owned() + "2062"
    );
    assert_eq!(
        normalize("date_yyyymmdd(1709164800, -1) + date_yyyymmdd(1709164800, 1)").unwrap(),
        "2024022820240301"
    );
}

#[test]
fn an_error_shows_its_line_with_a_caret_and_a_hint() {
    let text = format!(
        "{HEAD}fn normalize(kind, ca_id, cfg) {{\n    let b = blob();\n    b.put_u8(300);\n    \"x\"\n}}\n"
    );
    let mapping = Mapping::from_text("draft", &text).unwrap();
    let error = mapping
        .normalize(ItemKind::Stb, "1", &Settings::default())
        .unwrap_err();
    assert_eq!(
        error.report(),
        "draft/mapping.rhai:6:7: in `normalize`: 300 does not fit u8: allowed is 0 to 255\n6 |     b.put_u8(300);\n  |       ^"
    );
}

#[test]
fn a_hook_of_the_wrong_shape_is_named() {
    let mapping = Mapping::from_text("draft", HEAD).unwrap();
    let error = mapping.decode(b"x", &Settings::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "draft/mapping.rhai:3:1: `decode` gave a wrong value: decode() has no `kind`"
    );
    let request: MappingRequest = serde_json::from_value(
        json!({"action": "pair", "number": 1, "card": "1", "stb": null, "previous_stb": null}),
    )
    .unwrap();
    assert_eq!(
        mapping.validate(&request, &Settings::default()).unwrap(),
        None,
        "no hook, nothing wrong"
    );
}

/// A mapping with these capabilities and functions beside the smallest one's.
fn able(caps: &str, more: &str) -> Result<Mapping, ScriptError> {
    let head = HEAD.replace("caps: #{}", &format!("caps: #{{ {caps} }}"));
    Mapping::from_text("draft", &format!("{head}{more}\n"))
}

#[test]
fn products_and_a_pin_need_a_plan() {
    for caps in ["products: true", "pin: true", "pin: \"command\""] {
        let error = able(caps, "").err().unwrap();
        let text = error.to_string();
        assert!(text.contains("no function `plan`"), "{caps}: {text}");
    }
    let error = able("pin: 1", "").err().unwrap();
    let text = error.to_string();
    assert!(
        text.contains("true, false or the name of a setting"),
        "{text}"
    );
}

#[test]
fn answers_in_order_leave_no_room_for_keepalives() {
    let more = "fn keepalive(ctx, state) { #{} }\n";
    for session in ["keepalive_every: \"5s\"", "ready_after: 1"] {
        let session = format!("session: #{{ matching: \"fifo\", {session} }}");
        let head = HEAD.replace("session: #{}", &session);
        let error = Mapping::from_text("draft", &format!("{head}{more}"))
            .err()
            .unwrap();
        let text = error.to_string();
        assert!(text.contains("there are no keepalives"), "{text}");
    }
}

#[test]
fn what_a_session_keeps_may_not_begin_a_line_of_its_own() {
    let keeps = |value: &str| {
        let keep = format!("#{{ keep: #{{ session: \"{value}\" }}, ready: true }}");
        let text = format!("{HEAD}fn on_frame(frame, state) {{ {keep} }}\n");
        let mapping = Arc::new(Mapping::from_text("draft", &text).unwrap());
        let settings = mapping.settings(&json!({})).unwrap();
        MappingSession::new(mapping, settings).on_frame(b"welcome")
    };
    assert!(keeps("T-1234").is_ok());
    let error = keeps("T-1234\\r\\nx-admin: yes").err().unwrap();
    let text = error.to_string();
    assert!(
        text.contains("`session` in `keep` has control characters"),
        "{text}"
    );
}

/// The hazard: a mapping whose plan knows two actions only, and takes every other one for an unpair.
#[test]
fn a_plan_of_products_may_not_confirm_an_unpair() {
    let plan = "fn plan(request, cfg) { [#{ confirms: if request.action == \"pair\" { \"pair\" } else { \"unpair\" } }] }";
    let mapping = able("products: true", plan).unwrap();
    let request = |action: &str| -> MappingRequest {
        let request = json!({"action": action, "number": 1, "card": "1", "stb": null, "previous_stb": null, "products": ["A"]});
        serde_json::from_value(request).unwrap()
    };
    let cfg = Settings::default();
    assert!(mapping.plan(&request("unpair"), &cfg).is_ok());
    for action in ["add_products", "cancel_products", "reset_pin"] {
        let error = mapping.plan(&request(action), &cfg).unwrap_err();
        let expected = format!("the steps of {action} must confirm \"none\"");
        assert!(error.to_string().contains(&expected), "{error}");
    }
}

#[test]
fn a_capability_that_names_an_unknown_setting_is_found_by_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let draft = folder.path().join("draft");
    std::fs::create_dir(&draft).unwrap();
    let check = |named: &str| {
        let head = HEAD.replace("caps: #{}", &format!("caps: #{{ pin: \"{named}\" }}"));
        let more = "fn settings() { #{ pin_command: \"\" } }\nfn plan(request, cfg) { [] }\n";
        std::fs::write(draft.join("mapping.rhai"), format!("{head}{more}")).unwrap();
        check_mapping(&Origin::Folder(draft.clone()))
    };
    assert_eq!(check("pin_command"), Vec::new());
    let found = check("pin_comand");
    assert_eq!(found.len(), 1);
    let text = &found[0].message;
    assert!(text.contains("`caps.pin` names `pin_comand`"), "{text}");
}

#[test]
fn a_script_cannot_change_the_settings_for_the_next_call() {
    let text = format!(
        "{HEAD}fn normalize(kind, ca_id, cfg) {{ let was = cfg.name; cfg.name = \"changed\"; was }}\n"
    );
    let mapping = Mapping::from_text("draft", &text).unwrap();
    let cfg = mapping.settings(&json!({"name": "first"})).unwrap();
    for _ in 0..2 {
        assert_eq!(
            mapping.normalize(ItemKind::Stb, "1", &cfg).unwrap(),
            "first"
        );
    }
}

#[test]
fn a_simulator_that_loops_for_ever_is_stopped_too() {
    let text = "fn on_frame(frame, connection) { loop { } }\nfn pairings() { #{} }";
    let mut simulator =
        SimulatorScript::from_text("hostile", text, Framing::Fixed { size: 9 }, &json!({}))
            .unwrap();
    assert!(matches!(
        simulator.on_frame(b"x", 1),
        Err(ScriptError::Budget { .. })
    ));
}
