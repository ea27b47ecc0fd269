//! `process_immediately`: the same road with a wait, over HTTP against the real simulator, and never in anybody's way.

use std::net::SocketAddr;

use pairbox::access::Role;
use pairbox::commit::Command;
use pairbox::dispatch::Mode;
use pairbox::domain::{Phase, ProviderNumber, RequestNumber};
use pairbox::service::Service;
use serde_json::Value;

use crate::http_wire::{Client, Response};
use crate::scene::{Cas, Scene, card_serial, stb_serial, wait_until};

const PAIR: &str = "/crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder";

struct Open {
    scene: Scene,
    address: SocketAddr,
    token: String,
}

impl Open {
    /// A service with doors; a wait for the CAS takes at most 700 ms.
    fn new(cas: SocketAddr, mode: Mode) -> Self {
        let mut scene = Scene::start(cas, "[api]\nimmediate_wait = \"700ms\"\n");
        scene.items(100);
        let service = scene.service.as_mut().unwrap();
        service.start_sending(mode).unwrap();
        let address = service.start_doors().unwrap();
        let (key, _) = service.access().key_create("crm", Role::Crm).unwrap();
        let token = service
            .access()
            .login_key(key.as_str(), [127, 0, 0, 1].into())
            .unwrap();
        let token = token.as_str().to_owned();
        Self {
            scene,
            address,
            token,
        }
    }

    fn connected(cas: &Cas, mode: Mode) -> Self {
        let open = Self::new(cas.address, mode);
        let health = open.scene.service().actions().health.clone();
        let is_up = || {
            let health = health.get(ProviderNumber(1));
            health.is_some_and(|health| {
                health
                    .lanes
                    .iter()
                    .any(|lane| lane.connected_since.is_some())
            })
        };
        wait_until(is_up, || "the lane is not up".into());
        open
    }

    fn pair(&self, card: u32, is_immediate: bool) -> Response {
        let mut client = Client::connect(self.address);
        client.send(&self.request(card, is_immediate))
    }

    fn request(&self, card: u32, is_immediate: bool) -> String {
        let body = serde_json::json!({
            "token": self.token,
            "process_immediately": is_immediate,
            "smartcard_identifier": {"serial_number": card_serial(card)},
            "stb_identifier": {"serial_number": stb_serial(card)},
        })
        .to_string();
        format!(
            "POST {PAIR} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn stop(mut self) {
        self.scene.service.take().map(Service::stop).unwrap();
    }
}

fn state(response: &Response) -> String {
    response.data()["life_cycle_state"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn the_answer_carries_what_the_cas_said() {
    let cas = Cas::start("", 3);
    let open = Open::connected(&cas, Mode::Continuous);
    let response = open.pair(0, true);
    assert_eq!(state(&response), "COMPLETED");
    let data = response.data();
    assert_eq!(data["process_immediately"], Value::Bool(true));
    assert!(data["request"].as_str().unwrap().contains("0052"), "{data}");
    assert!(
        data["response"].as_str().unwrap().contains("1000"),
        "{data}"
    );
    assert!(data["executed_date"].is_string(), "{data}");
    open.stop();
}

#[test]
fn a_refusal_of_the_cas_is_rejected_inside_an_ok_envelope() {
    let cas = Cas::start("refuse=100%", 3);
    let open = Open::connected(&cas, Mode::Continuous);
    let response = open.pair(0, true);
    assert_eq!(response.status(), 200);
    assert_eq!(response.json()["status"]["code"], "OK");
    let data = response.data();
    assert_eq!(data["life_cycle_state"], "REJECTED");
    assert_eq!(data["error_code"], "9009");
    assert_eq!(data["provider_error_code"], "9009");
    open.stop();
}

#[test]
fn between_runs_an_immediate_request_goes_out_and_a_regular_one_waits() {
    let cas = Cas::start("", 3);
    let open = Open::connected(&cas, Mode::Manual);
    let regular = open.pair(1, false);
    assert_eq!(state(&open.pair(0, true)), "COMPLETED");
    let number: u64 = regular.data()["number"].as_str().unwrap().parse().unwrap();
    assert_eq!(open.scene.phase(RequestNumber(number)), Phase::Pending);
    open.scene.service().actions().begin_pass().unwrap();
    open.scene.wait_for(RequestNumber(number), Phase::Completed);
    open.stop();
}

#[test]
fn without_an_answer_the_request_stays_pending_and_is_carried_on() {
    let cas = Cas::start("drop=100%", 3);
    let open = Open::connected(&cas, Mode::Continuous);
    let response = open.pair(0, true);
    assert_eq!(response.json()["status"]["code"], "OK");
    assert_eq!(state(&response), "PENDING");
    let number: u64 = response.data()["number"].as_str().unwrap().parse().unwrap();
    assert!(!open.scene.phase(RequestNumber(number)).is_finished());
    open.stop();
}

#[test]
fn a_paused_provider_answers_pending_at_once() {
    let cas = Cas::start("", 3);
    let open = Open::connected(&cas, Mode::Continuous);
    let provider = ProviderNumber(1);
    let pause = Command::Pause {
        provider,
        reason: "works on the headend".into(),
        until: None,
    };
    open.scene
        .service()
        .actions()
        .door
        .call("test", pause)
        .unwrap();
    assert_eq!(state(&open.pair(0, true)), "PENDING");
    assert_eq!(open.scene.service().actions().waiting.count(), 0);
    open.stop();
}

#[test]
fn a_waiting_call_holds_up_no_other() {
    let cas = Cas::start("drop=100%", 3);
    let open = Open::connected(&cas, Mode::Continuous);
    let mut waiting = Client::connect(open.address);
    waiting.write(open.request(0, true).as_bytes());
    let count = || open.scene.service().actions().waiting.count();
    wait_until(|| count() == 1, || "the call was not parked".into());
    for card in 1..50 {
        assert_eq!(state(&open.pair(card, false)), "PENDING");
    }
    assert_eq!(state(&waiting.receive()), "PENDING");
    open.stop();
}

#[test]
fn a_stop_answers_those_who_wait() {
    let cas = Cas::start("drop=100%", 3);
    let open = Open::connected(&cas, Mode::Continuous);
    let mut waiting = Client::connect(open.address);
    waiting.write(open.request(0, true).as_bytes());
    let actions = open.scene.service().actions().clone();
    wait_until(
        || actions.waiting.count() == 1,
        || "the call was not parked".into(),
    );
    drop(actions);
    open.stop();
    assert_eq!(state(&waiting.receive()), "PENDING");
}
