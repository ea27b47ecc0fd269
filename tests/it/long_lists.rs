//! A list with a rare filter ends: it says from where to go on instead of looking through a whole history at once.

use pairbox::actions::list::{LOOKED_THROUGH_MAX, RequestFilter};
use pairbox::commit::Command;
use pairbox::domain::event::Event;
use pairbox::domain::{LifeCycleState, RequestNumber, View};
use pairbox::service::Service;

use crate::scene::{Cas, Scene};

#[test]
fn a_list_that_finds_nothing_for_long_names_the_cursor_to_go_on_from() {
    let cas = Cas::start("", 1);
    let mut scene = Scene::start(cas.address, "");
    scene.items(1);
    let first = scene.pair(0, Some(0)).unwrap().number;
    let actions = scene.service().actions();
    let latest = actions.state.view().request(first).unwrap().latest;
    let (event, ..) = actions.event(latest).unwrap();
    let Event::RequestAccepted(mut accepted) = event else {
        panic!("{event:?}");
    };
    // As long as a history: the numbers in between are looked at all the same.
    let last = RequestNumber(2 * LOOKED_THROUGH_MAX as u64);
    accepted.request = last;
    let command = Command::Record(vec![Event::RequestAccepted(accepted)]);
    actions.door.call("test", command).unwrap();

    let mut filter = RequestFilter {
        state: Some(LifeCycleState::Completed),
        after: Some(RequestNumber(0)),
        limit: 10,
        ..RequestFilter::default()
    };
    let (found, stopped) = actions.list_requests(&filter);
    assert!(found.is_empty());
    let cursor = stopped.unwrap();
    assert!(cursor.0.abs_diff(LOOKED_THROUGH_MAX as u64) < 1_000);
    let wide = actions.list_request_details(&filter, None).unwrap_err();
    assert_eq!((wide.found, wide.cursor), (0, cursor));
    filter.after = Some(cursor);
    let (found, stopped) = actions.list_requests(&filter);
    assert!(found.is_empty());
    assert_eq!(stopped, None);
    filter.state = None;
    let (found, _) = actions.list_requests(&filter);
    assert_eq!(found.last().unwrap().number, last);
    scene.service.take().map(Service::stop).unwrap();
}
