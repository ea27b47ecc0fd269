//! A frame that can never be sent is the mapping's fault: its request is held, and a few cards in a row pause the provider.

use pairbox::domain::{Phase, ProviderNumber, RequestNumber, View};
use pairbox::provider::LaneEvent;

use crate::stage::{NORTH, Setting, Stage};

/// The lane says of what it was given that it cannot be framed.
fn refuses(stage: &mut Stage, may_go_later: bool) {
    let lane = stage.lanes.get_mut(&NORTH).unwrap();
    let taken = std::mem::take(&mut lane.waiting);
    let attempts: Vec<u64> = taken.iter().map(|(_, frame)| frame.attempt).collect();
    assert!(!attempts.is_empty(), "nothing was handed to the lane");
    stage.lane_says(LaneEvent::NotSent {
        attempts,
        reason: "no".into(),
        may_go_later,
    });
}

fn is_paused(stage: &Stage) -> bool {
    let row = stage.state().view().provider(ProviderNumber(1)).unwrap();
    row.pause.is_some()
}

fn stuck() -> Stage {
    let mut stage = Stage::standard(Setting::new());
    stage.settle();
    stage.lanes.get_mut(&NORTH).unwrap().is_stuck = true;
    stage
}

fn pair(stage: &mut Stage, card: u32) -> RequestNumber {
    let number = stage.queue(card, Some(card));
    stage.settle();
    number
}

#[test]
fn five_cards_in_a_row_pause_the_provider_and_all_their_requests_are_held() {
    let mut stage = stuck();
    for card in 0..5 {
        assert!(!is_paused(&stage), "after {card}");
        let number = pair(&mut stage, card);
        refuses(&mut stage, false);
        assert_eq!(stage.phase(number), Phase::Held);
    }
    assert!(is_paused(&stage));
}

#[test]
fn one_that_is_sent_in_between_begins_the_count_anew() {
    let mut stage = stuck();
    for card in 0..8 {
        let number = pair(&mut stage, card);
        if card == 4 {
            stage.lanes.get_mut(&NORTH).unwrap().is_stuck = false;
            stage.settle();
            assert_eq!(stage.phase(number), Phase::Completed);
            stage.lanes.get_mut(&NORTH).unwrap().is_stuck = true;
            continue;
        }
        refuses(&mut stage, false);
    }
    assert!(!is_paused(&stage));
}

#[test]
fn what_finds_the_connection_full_goes_another_time() {
    let mut stage = stuck();
    let number = pair(&mut stage, 0);
    refuses(&mut stage, true);
    assert_eq!(stage.phase(number), Phase::Waiting);
    stage.lanes.get_mut(&NORTH).unwrap().is_stuck = false;
    stage.advance(crate::stage::seconds(2));
    assert_eq!(stage.phase(number), Phase::Completed);
}
