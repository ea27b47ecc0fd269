//! Who tells the answer to a call: the responder's thread, and the writer's where nothing can come of it.

use std::sync::mpsc;

use pairbox::actions::pair::PairCall;
use pairbox::domain::event::Idempotency;
use pairbox::domain::{RequestNumber, View};

use crate::scene::{Cas, Scene};

/// The thread that tells the answer, and the request in it.
fn told(scene: &Scene, call: PairCall) -> (String, Option<RequestNumber>) {
    let (tell, heard) = mpsc::channel();
    scene.service().actions().pair("test", call, move |result| {
        let thread = std::thread::current().name().unwrap().to_owned();
        tell.send((thread, result.ok().map(|done| done.number)))
            .unwrap();
    });
    heard.recv().unwrap()
}

#[test]
fn the_writer_tells_fresh_acceptances_only() {
    let cas = Cas::start("", 1);
    let mut scene = Scene::start(cas.address, "");
    scene.items(20);
    let keyed = || PairCall {
        idempotency: Some(Idempotency {
            key: "key".into(),
            digest: "digest".into(),
        }),
        ..Scene::call(0, Some(0))
    };
    let (_, first) = told(&scene, keyed());
    assert!(first.is_some());
    // What else is queued at that moment makes it no lone one; not each time.
    let threads: Vec<String> = (1..20)
        .map(|at| told(&scene, Scene::call(at, Some(at))).0)
        .collect();
    assert!(threads.contains(&"writer".to_owned()), "{threads:?}");
    let (thread, again) = told(&scene, keyed());
    assert_eq!((thread.as_str(), again), ("responder", first));
    let taken = Scene::call(1, Some(0));
    let (thread, refused) = told(&scene, taken);
    assert_eq!((thread.as_str(), refused), ("responder", None));
    scene.service.take().unwrap().stop();
}

#[test]
fn an_answer_that_panics_ends_neither_thread() {
    let cas = Cas::start("", 2);
    let mut scene = Scene::start(cas.address, "");
    scene.items(20);
    for at in 0..20 {
        let call = Scene::call(at, Some(at));
        let actions = scene.service().actions();
        actions.pair("test", call, |_| panic!("on purpose"));
        // Whether it was a lone one or not, the next is answered.
        assert!(scene.pair(at, Some(at)).is_ok());
    }
    assert_eq!(scene.service().actions().state.view().meta().requests, 40);
    scene.service.take().unwrap().stop();
}
