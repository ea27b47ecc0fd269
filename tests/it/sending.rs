//! From accept to the CAS and back, with the real simulator over a socket.

use pairbox::domain::{Phase, View};

use crate::scene::{Cas, Scene, wait_until};

#[test]
fn a_pair_an_unpair_and_a_swap_reach_the_cas_and_are_recorded() {
    let cas = Cas::start("", 1);
    let mut scene = Scene::sending(cas.address, "");
    scene.items(3);
    let pair = scene.pair(0, Some(0)).unwrap().number;
    scene.wait_for(pair, Phase::Completed);
    let swap = scene.pair(0, Some(1)).unwrap().number;
    scene.wait_for(swap, Phase::Completed);
    let swapped = serde_json::json!({"0190000000": "0000001001"});
    wait_until(|| cas.pairings() == swapped, || cas.pairings().to_string());
    let unpair = scene.pair(0, None).unwrap().number;
    scene.wait_for(unpair, Phase::Completed);
    let view = scene.service().actions().state.view();
    assert_eq!(view.meta().pairings, 0);
    wait_until(
        || cas.pairings() == serde_json::json!({}),
        || cas.pairings().to_string(),
    );
    drop(view);
    scene
        .service
        .take()
        .map(pairbox::service::Service::stop)
        .unwrap();
}
