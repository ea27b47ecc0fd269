//! The shipped mappings and their simulators without a connection: cases, refusals of what cannot be read.

use std::path::Path;
use std::sync::Arc;

use pairbox::domain::Outcome;
use pairbox::script::cases::run_cases;
use pairbox::script::check::check_mapping;
use pairbox::script::contract::Decoded;
use pairbox::script::{Mapping, SimulatorScript};
use serde_json::{Value, json};

fn mapping(name: &str) -> Arc<Mapping> {
    Arc::new(Mapping::load(Path::new("/no/scripts/here"), name).unwrap())
}

#[test]
fn every_case_passes_and_no_kind_of_case_is_missing() {
    for name in ["bin6", "httpjson", "line", "smsgw", "stxetx"] {
        let mapping = mapping(name);
        let report = run_cases(&mapping).unwrap();
        assert_eq!(report.failures, Vec::new(), "{name}");
        assert_eq!(report.missing(), Vec::<&str>::new(), "{name}");
        assert!(report.passed >= 20, "{name}: {report:?}");
        assert_eq!(check_mapping(mapping.origin()), Vec::new(), "{name}");
    }
}

#[test]
fn a_simulator_refuses_what_it_cannot_read() {
    let frames: [(&str, &[u8], &str); 5] = [
        ("bin6", b"\0\x07\x02\x24\0\x02\0\0", "E0000004"),
        ("bin6", b"\0\x07\x02\x04\0\0", "E0000005"),
        ("line", b"7 JUMP", "10"),
        ("stxetx", b"P12", "03"),
        ("stxetx", b"\xff", "03"),
    ];
    for (name, frame, code) in frames {
        let mapping = mapping(name);
        let mut simulator = SimulatorScript::load(&mapping, &json!({})).unwrap();
        let answers = simulator.on_frame(frame, 1).unwrap();
        let settings = mapping.settings(&json!({})).unwrap();
        let Decoded::Reply(reply) = mapping.decode(&answers[0], &settings).unwrap() else {
            panic!("{name}: {answers:?}");
        };
        let said = (reply.outcome, reply.code.as_deref());
        assert_eq!(said, (Outcome::Refused, Some(code)), "{name}");
    }
}

#[test]
fn bin6_shows_a_card_that_was_left_in_its_old_set() {
    let mut simulator = SimulatorScript::load(&mapping("bin6"), &json!({})).unwrap();
    for stb in ["0000a001", "0000a002"] {
        let frame = format!("000102240013{stb}010057878700013b9aca6400000000");
        let frame = hex::decode(frame).unwrap();
        simulator.on_frame(&frame, 1).unwrap();
    }
    let held = Value::Object(simulator.pairings().unwrap());
    assert_eq!(held, json!({"1000000100": "0000A001+0000A002"}));
}
