//! The shipped smsgw mapping: its cases, and mapping and simulator speaking to each other without a socket.

use std::path::Path;
use std::sync::Arc;

use pairbox::domain::{Outcome, Timestamp};
use pairbox::script::cases::run_cases;
use pairbox::script::check::check_mapping;
use pairbox::script::contract::{
    Action, Decoded, EncodeContext, ItemKind, MappingRequest, SessionStep,
};
use pairbox::script::{Mapping, MappingSession, Settings, SimulatorScript};
use serde_json::json;

fn smsgw() -> (Arc<Mapping>, Settings) {
    let mapping = Mapping::load(Path::new("/no/scripts/here"), "smsgw").unwrap();
    let cfg = json!({"source_id": 1234, "dest_id": "0005", "mop_ppid": 67892});
    let settings = mapping.settings(&cfg).unwrap();
    (Arc::new(mapping), settings)
}

fn simulator(cfg: &serde_json::Value) -> SimulatorScript {
    SimulatorScript::load(&smsgw().0, cfg).unwrap()
}

fn context(transaction: u64) -> EncodeContext {
    EncodeContext {
        transaction,
        now: Timestamp::from_micros(1_289_217_600_000_000),
        lane: 0,
    }
}

fn pair(card: &str, stb: &str) -> MappingRequest {
    MappingRequest {
        action: Action::Pair,
        number: 1,
        card: card.to_owned(),
        stb: Some(stb.to_owned()),
        previous_stb: None,
        neighbours: pairbox::script::contract::Neighbours::default(),
        products: Vec::new(),
    }
}

fn unpair(card: &str) -> MappingRequest {
    MappingRequest {
        action: Action::Unpair,
        stb: None,
        ..pair(card, "")
    }
}

/// Sends the request's one frame to the simulator and decodes all that comes back.
fn exchange(
    simulator: &mut SimulatorScript,
    request: &MappingRequest,
    transaction: u64,
) -> Vec<Decoded> {
    let (mapping, cfg) = smsgw();
    assert_eq!(mapping.validate(request, &cfg).unwrap(), None);
    let steps = mapping.plan(request, &cfg).unwrap();
    assert_eq!(steps.len(), 1);
    let encoded = mapping
        .encode(&steps[0], &context(transaction), &cfg)
        .unwrap();
    simulator
        .on_frame(&encoded.body, 1)
        .unwrap()
        .iter()
        .map(|frame| mapping.decode(frame, &cfg).unwrap())
        .collect()
}

fn outcome(decoded: &[Decoded]) -> (String, Outcome, Option<String>, Option<String>) {
    let Some(Decoded::Reply(reply)) = decoded.first() else {
        panic!("no reply: {decoded:?}");
    };
    (
        reply.key.clone(),
        reply.outcome,
        reply.code.clone(),
        reply.text.clone(),
    )
}

#[test]
fn every_case_and_conformance_check_passes_and_no_kind_is_missing() {
    let (mapping, _) = smsgw();
    let report = run_cases(&mapping).unwrap();
    assert_eq!(report.failures, Vec::new());
    assert_eq!(report.missing(), Vec::<&str>::new());
    assert!(report.passed >= 30 && report.seen.len() >= 15, "{report:?}");
    assert_eq!(check_mapping(mapping.origin()), Vec::new());
}

#[test]
fn the_session_opens_against_the_simulator_and_a_stranger_is_rejected() {
    for (name, expected) in [
        ("SMSGW", SessionStep::Ready),
        (
            "OTHER",
            SessionStep::Fail("hello rejected: is hello_name the one the CAS expects?".to_owned()),
        ),
    ] {
        let (mapping, cfg) = smsgw();
        let mut simulator = simulator(&json!({"hello_name": name}));
        let mut session = MappingSession::new(Arc::clone(&mapping), cfg.clone());
        let steps = session.on_connect(&context(1)).unwrap();
        let [SessionStep::Send(hello)] = steps.as_slice() else {
            panic!("{steps:?}");
        };
        let answers = simulator.on_frame(&hello[0], 1).unwrap();
        assert_eq!(answers.len(), 2);
        assert_eq!(session.on_frame(&answers[0]).unwrap(), Vec::new());
        assert_eq!(session.on_frame(&answers[1]).unwrap(), vec![expected]);

        let keepalive = session.keepalive(&context(2)).unwrap();
        let answers = simulator.on_frame(&keepalive.body, 1).unwrap();
        let decoded = mapping.decode(&answers[0], &cfg).unwrap();
        assert_eq!(outcome(&[decoded]).0, keepalive.key);
    }
}

#[test]
fn pair_swap_and_unpair_change_what_the_simulator_holds() {
    let mut simulator = simulator(&json!({}));
    let ok = |number: u64| (format!("{number:09}"), Outcome::Ok, None, None);
    assert_eq!(
        outcome(&exchange(
            &mut simulator,
            &pair("019000802077", "12345678"),
            1
        )),
        ok(1)
    );
    assert_eq!(
        outcome(&exchange(&mut simulator, &pair("019000802177", "99"), 2)),
        ok(2)
    );
    assert_eq!(
        outcome(&exchange(
            &mut simulator,
            &pair("019000802077", "87654321"),
            3
        )),
        ok(3)
    );
    let held = json!({"0190008020": "0087654321", "0190008021": "0000000099"});
    assert_eq!(
        serde_json::Value::Object(simulator.pairings().unwrap()),
        held
    );

    let kept = simulator.state().unwrap();
    assert_eq!(
        outcome(&exchange(&mut simulator, &unpair("019000802077"), 4)),
        ok(4)
    );
    assert_eq!(simulator.pairings().unwrap().len(), 1);
    simulator.restore(&kept);
    assert_eq!(
        serde_json::Value::Object(simulator.pairings().unwrap()),
        held
    );
}

#[test]
fn the_simulator_holds_products_by_card_and_refuses_what_is_cut() {
    let mut simulator = simulator(&json!({"pin_command": "0099"}));
    let (mapping, _) = smsgw();
    let cfg = json!({"source_id": 1234, "dest_id": 5, "mop_ppid": 67892, "pin_command": "0099"});
    let cfg = mapping.settings(&cfg).unwrap();
    let mut transaction = 0;
    let mut send = |simulator: &mut SimulatorScript, action, products: &[&str], cut: usize| {
        let request = MappingRequest {
            action,
            stb: None,
            products: products.iter().map(ToString::to_string).collect(),
            ..pair("019000802077", "")
        };
        let mut answers = Vec::new();
        for step in mapping.plan(&request, &cfg).unwrap() {
            transaction += 1;
            let encoded = mapping.encode(&step, &context(transaction), &cfg).unwrap();
            let frame = &encoded.body[..encoded.body.len() - cut];
            let heard = simulator.on_frame(frame, 1).unwrap();
            let Decoded::Reply(reply) = mapping.decode(&heard[0], &cfg).unwrap() else {
                panic!("no reply");
            };
            assert_eq!(reply.key, encoded.key);
            answers.push(reply.code.unwrap_or_else(|| "ok".to_owned()));
        }
        answers
    };
    let add = Action::AddProducts;
    assert_eq!(
        send(&mut simulator, add, &["SPORT", "NEWS"], 0),
        ["ok", "ok"]
    );
    assert_eq!(send(&mut simulator, add, &["SPORT"], 0), ["ok"]);
    assert_eq!(
        send(&mut simulator, Action::CancelProducts, &["NEWS", "KIDS"], 0),
        ["ok", "ok"]
    );
    assert_eq!(send(&mut simulator, Action::ResetPin, &[], 0), ["ok"]);
    for (action, products, code) in [
        (add, &["KIDS"][..], "9003"),
        (Action::CancelProducts, &["SPORT"], "9003"),
        (Action::ResetPin, &[], "9003"),
    ] {
        assert_eq!(send(&mut simulator, action, products, 1), [code]);
    }
    let mut state = simulator.state().unwrap();
    let held = json!({"0190008020": {"SPORT": "2010110820111108"}});
    assert_eq!(state["products"], held);
    assert_eq!(state["pins_reset"], json!({"0190008020": 1}));
    for unchanged in ["pairings", "pin_command", "hello_name"] {
        assert!(state.get(unchanged).is_none(), "{unchanged}: {state}");
    }

    // A state that an older simulator kept knows no products yet; the settings of now count.
    for new in ["products", "pins_reset"] {
        state.as_object_mut().unwrap().remove(new);
    }
    simulator.restore(&state);
    assert_eq!(send(&mut simulator, add, &["SPORT"], 0), ["ok"]);
    assert_eq!(send(&mut simulator, Action::ResetPin, &[], 0), ["ok"]);
    let mut without = self::simulator(&json!({}));
    without.restore(&state);
    assert_eq!(send(&mut without, Action::ResetPin, &[], 0), ["9004"]);
}

#[test]
fn the_simulator_refuses_listed_cards_and_those_ending_in_666() {
    let mut simulator = simulator(&json!({"refuse": ["019000802077"]}));
    let listed = outcome(&exchange(&mut simulator, &pair("0190008020", "1"), 1));
    assert_eq!(
        listed,
        (
            "000000001".to_owned(),
            Outcome::Refused,
            Some("9001".to_owned()),
            Some("card is on the refuse list".to_owned())
        )
    );
    let ending = outcome(&exchange(&mut simulator, &pair("019000066677", "1"), 2));
    assert_eq!(
        ending,
        (
            "000000002".to_owned(),
            Outcome::Refused,
            Some("9002".to_owned()),
            Some("the simulator refuses every card whose ten digits end in 666".to_owned())
        )
    );
    assert!(simulator.pairings().unwrap().is_empty());
}

#[test]
fn feedback_is_pushed_and_its_acknowledgement_is_taken_in_silence() {
    let mut simulator = simulator(&json!({"feedback": true}));
    let decoded = exchange(&mut simulator, &pair("0190008020", "77"), 5);
    let Decoded::Push {
        data,
        reply: Some(reply),
    } = &decoded[1]
    else {
        panic!("{decoded:?}");
    };
    assert_eq!(data, "01900080200000000077");
    assert_eq!(simulator.on_frame(reply, 1).unwrap(), Vec::<Vec<u8>>::new());
}

#[test]
fn settings_are_checked_by_name_and_need() {
    let (mapping, cfg) = smsgw();
    let misspelt = json!({"source_id": 1, "dest_id": 2, "mop_ppid": 3, "expiry_day": 4});
    let error = mapping.settings(&misspelt).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the settings of mapping `smsgw` are wrong: there is no setting `expiry_day`"
    );
    assert_eq!(error.hint().as_deref(), Some("did you mean `expiry_days`?"));
    assert!(mapping.settings(&json!({"source_id": 1})).is_err());
    let kept = mapping
        .normalize(ItemKind::Smartcard, " 0190 ", &cfg)
        .unwrap();
    assert_eq!(kept, "0190");
}
