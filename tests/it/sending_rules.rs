//! One test for each promise of how requests are sent, on the stage: no sockets, no threads, a clock that stands.
//!
//! The model behind the stage checks order and records in every one of them; here is what each rule adds.

use std::time::Duration;

use pairbox::clock::Clock;
use pairbox::commit::Command;
use pairbox::dispatch::{Input, Mode};
use pairbox::domain::event::{Ending, Event, LateEffect, Resolution};
use pairbox::domain::{
    Ambiguous, Doubt, ItemNumber, Outcome, Phase, Priority, ProcessName, ProviderNumber, Refusal,
    RequestNumber, Standing, View,
};
use pairbox::provider::{DownPhase, LaneEvent};
use pairbox::telemetry::Metric;

use crate::stage::cas::{Answer, Coming, reply};
use crate::stage::{After, Configured, NORTH, START, Setting, Stage, mappings, seconds};

fn stage() -> Stage {
    Stage::standard(Setting::new())
}

fn with_policy(ambiguous: Ambiguous) -> Stage {
    Stage::standard(Setting::new().north(|north| {
        north.retry.ambiguous = ambiguous;
        north.mapping = mappings::with_query();
    }))
}

fn one_at_a_time() -> Stage {
    Stage::standard(Setting::new().north(|north| north.overrides.window = Some(1)))
}

fn patient_for(span: Duration) -> Stage {
    Stage::standard(Setting::new().north(|north| north.retry.give_up_after = span))
}

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// STBs come after the 24 cards.
fn stb(number: u32) -> ItemNumber {
    ItemNumber(u64::from(number) + 25)
}

fn card(number: u32) -> ItemNumber {
    ItemNumber(u64::from(number) + 1)
}

fn answer_to(stage: &Stage, transaction: u64, outcome: Outcome) -> LaneEvent {
    let at = stage.clock.monotonic();
    let coming = Coming {
        at,
        lane: NORTH,
        transaction,
        outcome,
    };
    reply(1, &coming)
}

fn ending(stage: &Stage, number: RequestNumber) -> Option<Ending> {
    let mut history = stage.history(number).into_iter().rev();
    history.find_map(|event| match event {
        Event::RequestEnded { ending, .. } => Some(ending),
        _ => None,
    })
}

fn acknowledged(stage: &Stage, number: u32) -> Option<ItemNumber> {
    let pairing = stage.state().view().pairing(card(number))?;
    pairing.acknowledged().next()
}

fn doubt(stage: &Stage, number: u32) -> Option<Doubt> {
    let pairing = stage.state().view().pairing(card(number))?;
    let open = |standing| {
        let links = pairing.links().iter();
        links
            .filter(move |link| link.standing == standing)
            .map(|link| link.stb)
            .next_back()
    };
    match (open(Standing::MayBeHeld), open(Standing::MayBeGone)) {
        (Some(stb), _) => Some(Doubt::MayHold(stb)),
        (None, Some(_)) => Some(Doubt::MayBeFree),
        (None, None) => None,
    }
}

fn is_paused(stage: &Stage) -> bool {
    let view = stage.state().view();
    let row = view.provider(ProviderNumber(1)).unwrap();
    row.pause.is_some()
}

// Order.

#[test]
fn requests_of_one_card_go_out_one_after_the_other_in_their_order() {
    let mut stage = stage();
    stage.cas.usual = Answer::OkAfter(seconds(1));
    stage.queue(0, Some(0));
    stage.queue(0, Some(1));
    stage.queue(0, None);
    stage.settle();
    assert_eq!(stage.sent(), [(0, Some(0))]);
    stage.advance(seconds(5));
    assert_eq!(stage.sent(), [(0, Some(0)), (0, Some(1)), (0, None)]);
}

#[test]
fn requests_for_one_stb_go_out_one_after_the_other_in_their_order() {
    let mut stage = stage();
    stage.pair(0, 0);
    stage.cas.usual = Answer::OkAfter(seconds(1));
    stage.queue(0, None);
    stage.queue(1, Some(0));
    stage.settle();
    assert_eq!(stage.sent().len(), 2);
    stage.advance(seconds(3));
    assert_eq!(stage.sent(), [(0, Some(0)), (0, None), (1, Some(0))]);
}

#[test]
fn a_past_scheduled_date_overtakes_nothing() {
    let mut stage = stage();
    stage.pause();
    stage.queue(0, Some(0));
    let past = Some(START.minus(seconds(3_600)));
    stage.ask(0, Some(1), |call| call.scheduled = past).unwrap();
    stage.resume();
    assert_eq!(stage.sent(), [(0, Some(0)), (0, Some(1))]);
}

#[test]
fn a_clock_set_back_overtakes_nothing() {
    let mut stage = stage();
    stage.pause();
    stage.queue(0, Some(0));
    stage.set_wall(START.minus(seconds(3_600)));
    stage.queue(0, Some(1));
    stage.resume();
    assert_eq!(stage.sent(), [(0, Some(0)), (0, Some(1))]);
}

#[test]
fn a_clock_set_back_delays_no_retry() {
    let mut stage = stage();
    stage.cas.answers([Answer::Retry]);
    let number = stage.pair(0, 0);
    stage.set_wall(START.minus(seconds(5 * 3_600)));
    stage.advance(seconds(2));
    assert_eq!(stage.phase(number), Phase::Completed);
}

#[test]
fn a_schedule_that_a_clock_set_back_makes_early_again_still_goes_out_in_its_time() {
    let mut stage = stage();
    stage.cas.is_up = false;
    stage.lose_connection(NORTH, DownPhase::Established);
    stage.settle();
    let date = Some(START.plus(seconds(10)));
    let number = stage.ask(0, Some(0), |call| call.scheduled = date).unwrap();
    stage.advance(seconds(11));
    stage.set_wall(START.minus(seconds(600)));
    stage.cas.is_up = true;
    stage.advance(seconds(600));
    assert_eq!(stage.phase(number), Phase::Pending);
    stage.advance(seconds(11));
    assert_eq!(stage.phase(number), Phase::Completed);
}

#[test]
fn a_clock_that_is_set_right_after_a_start_delays_no_schedule() {
    let mut stage = stage();
    let date = Some(START.plus(seconds(7_200)));
    let number = stage.ask(0, Some(0), |call| call.scheduled = date).unwrap();
    stage.set_wall(START.minus(seconds(86_400)));
    stage.restart();
    stage.set_wall(START.plus(seconds(3_600)));
    stage.advance(seconds(3_601));
    assert_eq!(stage.phase(number), Phase::Completed);
}

#[test]
fn an_unpair_that_stands_before_a_scheduled_one_is_sent_and_the_later_finds_nothing_left() {
    let mut stage = stage();
    stage.pair(0, 0);
    let later = Some(START.plus(seconds(3_600)));
    let scheduled = stage.ask(0, None, |call| call.scheduled = later).unwrap();
    let now = stage.unpair(0);
    assert_eq!(stage.phase(now), Phase::Completed);
    stage.advance(seconds(3_601));
    assert_eq!(stage.phase(scheduled), Phase::Completed);
    assert_eq!(ending(&stage, scheduled), Some(Ending::Already));
    assert_eq!(stage.sent(), [(0, Some(0)), (0, None)]);
}

#[test]
fn an_unpair_is_refused_if_only_a_later_schedule_will_pair_the_card() {
    let mut stage = stage();
    let later = Some(START.plus(seconds(3_600)));
    stage
        .ask(0, Some(0), |call| call.scheduled = later)
        .unwrap();
    let refused = stage.ask(0, None, |_| {});
    assert!(
        matches!(refused, Err(Refusal::NotPaired { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_swap_stands_in_the_queue_of_the_stb_it_leaves_and_a_cancel_moves_that_place() {
    let mut stage = stage();
    stage.pair(0, 0);
    stage.pause();
    let swap = stage.queue(0, Some(1));
    let pair = stage.queue(1, Some(0));
    let back = stage.queue(0, Some(2));
    let queue = |stage: &Stage, number| -> Vec<RequestNumber> {
        let queue = stage.state().view().queue(stb(number));
        queue.iter().map(|place| place.number).collect()
    };
    assert_eq!(queue(&stage, 0), [swap, pair]);
    assert_eq!(queue(&stage, 1), [swap, back]);
    stage.cancel(swap).unwrap();
    assert_eq!(queue(&stage, 0), [pair, back]);
    assert_eq!(queue(&stage, 1), []);
    stage.check();
}

#[test]
fn a_pair_onto_an_stb_that_is_taken_at_the_head_is_rejected_naming_the_holder() {
    let mut stage = stage();
    stage.pair(0, 0);
    stage.pause();
    let swap = stage.queue(0, Some(1));
    let pair = stage.queue(1, Some(0));
    stage.cancel(swap).unwrap();
    stage.resume();
    assert_eq!(stage.phase(pair), Phase::Rejected);
    let holder = card(0);
    assert_eq!(ending(&stage, pair), Some(Ending::StbTaken { holder }));
    assert_eq!(stage.sent(), [(0, Some(0))]);
}

// Priority, window, rate.

#[test]
fn an_express_request_lends_its_priority_through_two_levels() {
    let mut stage = one_at_a_time();
    stage.pause();
    for at in 10..14 {
        stage.queue(at, Some(at));
    }
    stage.queue(7, Some(3));
    stage.queue(7, Some(4));
    stage.queue(7, None);
    stage
        .ask(8, Some(4), |call| call.priority = Priority::Express)
        .unwrap();
    stage.resume();
    // While an outcome is being recorded the next of its card is not ready, and the lane takes another.
    let expected = [
        (7, Some(3)),
        (10, Some(10)),
        (7, Some(4)),
        (11, Some(11)),
        (7, None),
        (12, Some(12)),
        (8, Some(4)),
        (13, Some(13)),
    ];
    assert_eq!(stage.sent(), expected);
}

#[test]
fn after_four_express_one_regular_is_taken() {
    let mut stage = one_at_a_time();
    stage.pause();
    stage.queue(0, Some(0));
    for at in 1..7 {
        stage
            .ask(at, Some(at), |call| call.priority = Priority::Express)
            .unwrap();
    }
    stage.resume();
    let cards: Vec<u32> = stage.sent().iter().map(|(card, _)| *card).collect();
    assert_eq!(cards, [1, 2, 3, 4, 0, 5, 6]);
}

#[test]
fn no_more_are_in_flight_than_the_window_holds() {
    let mut stage = Stage::standard(Setting::new().north(|north| north.overrides.window = Some(2)));
    stage.cas.usual = Answer::OkAfter(seconds(1));
    for at in 0..5 {
        stage.queue(at, Some(at));
    }
    stage.settle();
    assert_eq!(stage.sent().len(), 2);
    stage.advance(millis(1_500));
    assert_eq!(stage.sent().len(), 4);
}

#[test]
fn no_more_go_out_in_a_second_than_the_rate_allows() {
    let mut stage =
        Stage::standard(Setting::new().north(|north| north.overrides.rate_per_s = Some(5)));
    for at in 0..20 {
        stage.queue(at, Some(at));
    }
    stage.advance(seconds(10));
    let at: Vec<Duration> = stage.cas.heard.iter().map(|heard| heard.at).collect();
    assert_eq!(at.len(), 20);
    // A full bucket, then the rate.
    assert!(
        at.windows(11).all(|span| span[10] >= span[0] + seconds(1)),
        "{at:?}"
    );
}

// stb_taken = "replace".

#[test]
fn replacing_unpairs_the_holder_first_by_a_linked_request() {
    let mut stage = Stage::standard(Setting::new().replacing());
    stage.pair(0, 0);
    let pair = stage.pair(1, 0);
    let unpair = RequestNumber(pair.0 - 1);
    let (made, asked) = (stage.request(unpair), stage.request(pair));
    assert_eq!((made.card, made.linked), (card(0), Some(pair)));
    assert_eq!(
        made.process_name,
        ProcessName::ProvisioningRequestProcessing
    );
    assert_eq!((asked.linked, made.due), (Some(unpair), asked.due));
    assert_eq!(stage.sent(), [(0, Some(0)), (0, None), (1, Some(0))]);
    assert_eq!(stage.phase(pair), Phase::Completed);
}

#[test]
fn replacing_finds_the_holder_at_its_own_place_whatever_is_scheduled_later() {
    let mut stage = Stage::standard(Setting::new().replacing());
    stage.pair(0, 0);
    let later = Some(START.plus(seconds(3_600)));
    stage
        .ask(2, Some(0), |call| call.scheduled = later)
        .unwrap();
    let pair = stage.pair(1, 0);
    assert_eq!(stage.phase(pair), Phase::Completed);
    assert_eq!(stage.sent(), [(0, Some(0)), (0, None), (1, Some(0))]);
}

#[test]
fn replacing_tells_the_mapping_which_stb_the_holder_leaves() {
    let mut stage = Stage::standard(Setting::new().replacing().north(|north| {
        north.mapping = mappings::needing_the_previous_stb(&north.mapping);
    }));
    stage.pair(0, 0);
    let pair = stage.pair(1, 0);
    assert_eq!(stage.sent(), [(0, Some(0)), (0, None), (1, Some(0))]);
    assert_eq!(stage.phase(pair), Phase::Completed);
}

#[test]
fn replacing_unpairs_a_holder_that_is_in_doubt() {
    let mut stage = Stage::standard(Setting::new().replacing());
    stage.cas.answers([Answer::Lost, Answer::Refuse]);
    stage.pair(0, 0);
    stage.advance(seconds(12));
    assert_eq!(doubt(&stage, 0), Some(Doubt::MayHold(stb(0))));
    let pair = stage.pair(1, 0);
    assert_eq!(stage.phase(pair), Phase::Completed);
    assert_eq!(doubt(&stage, 0), None);
}

// Outcomes.

#[test]
fn a_busy_cas_costs_no_attempt() {
    let mut stage = stage();
    stage.cas.answers([Answer::Busy(7)]);
    let number = stage.pair(0, 0);
    assert_eq!(stage.phase(number), Phase::Waiting);
    assert_eq!(stage.request(number).attempts, 0);
    stage.advance(millis(6_900));
    assert_eq!(stage.sent().len(), 1);
    stage.advance(millis(200));
    assert_eq!(stage.phase(number), Phase::Completed);
}

#[test]
fn retries_follow_the_delay_table_and_its_last_delay_repeats() {
    let mut stage = stage();
    stage.cas.answers([Answer::Retry; 5]);
    let number = stage.pair(0, 0);
    stage.advance(seconds(300));
    assert_eq!(stage.phase(number), Phase::Completed);
    let at: Vec<u64> = stage.cas.heard.iter().map(|at| at.at.as_secs()).collect();
    assert_eq!(at, [0, 1, 6, 36, 156, 276]);
}

#[test]
fn a_fatal_answer_pauses_the_provider_and_loses_no_request() {
    let mut stage = stage();
    stage.cas.answers([Answer::Fatal]);
    let first = stage.pair(0, 0);
    assert!(is_paused(&stage));
    let second = stage.pair(1, 1);
    stage.advance(seconds(60));
    assert_eq!(stage.sent().len(), 1);
    stage.resume();
    assert_eq!(stage.phase(first), Phase::Completed);
    assert_eq!(stage.phase(second), Phase::Completed);
}

#[test]
fn what_was_not_sent_is_sent_again_and_counts_for_nothing() {
    let mut stage = stage();
    stage.lanes.get_mut(&NORTH).unwrap().is_stuck = true;
    let number = stage.pair(0, 0);
    stage.lose_connection(NORTH, DownPhase::Established);
    stage.settle();
    let request = stage.request(number);
    assert_eq!(request.phase, Phase::Waiting);
    assert_eq!((request.attempts, request.unknown_attempts), (0, 0));
    stage.lanes.get_mut(&NORTH).unwrap().is_stuck = false;
    stage.advance(seconds(2));
    assert_eq!(stage.phase(number), Phase::Completed);
    assert_eq!(stage.sent().len(), 1);
}

#[test]
fn an_unknown_end_is_sent_again_under_the_policy_resend() {
    let mut stage = stage();
    stage.cas.answers([Answer::Lost]);
    let number = stage.pair(0, 0);
    stage.advance(seconds(10));
    assert_eq!(stage.phase(number), Phase::InDoubt);
    stage.advance(seconds(1));
    assert_eq!(stage.phase(number), Phase::Completed);
    assert_eq!(stage.sent().len(), 2);
}

#[test]
fn an_unknown_end_is_left_to_the_operator_under_the_policy_hold() {
    let mut stage = with_policy(Ambiguous::Hold);
    stage.cas.answers([Answer::Lost]);
    let number = stage.pair(0, 0);
    let behind = stage.queue(0, Some(1));
    stage.advance(seconds(3_600));
    assert_eq!(stage.phase(number), Phase::Held);
    assert_eq!(stage.phase(behind), Phase::Pending);
    assert_eq!(stage.sent().len(), 1);
}

#[test]
fn an_unknown_end_is_asked_about_under_the_policy_query() {
    let is_query = |stage: &Stage| -> Vec<bool> {
        stage.cas.heard.iter().map(|heard| heard.is_query).collect()
    };
    let mut stage = with_policy(Ambiguous::Query);
    stage.cas.answers([Answer::Lost]);
    let taken = stage.pair(0, 0);
    stage.advance(seconds(12));
    assert_eq!(stage.phase(taken), Phase::Completed);
    assert_eq!(is_query(&stage), [false, true]);

    let mut stage = with_policy(Ambiguous::Query);
    stage.cas.answers([Answer::Swallowed]);
    let swallowed = stage.pair(0, 0);
    stage.advance(seconds(12));
    assert_eq!(stage.phase(swallowed), Phase::Completed);
    assert_eq!(is_query(&stage), [false, true, false]);
}

#[test]
fn a_query_is_not_asked_about_a_step_that_it_does_not_speak_of() {
    let mut stage = Stage::standard(Setting::new().north(|north| {
        north.retry.ambiguous = Ambiguous::Query;
        north.mapping = mappings::two_steps(&mappings::with_query());
    }));
    stage.pair(0, 0);
    // The unpair is carried out and its answer lost; then the CAS refuses it.
    stage.cas.answers([Answer::Lost, Answer::Refuse]);
    let number = stage.queue(0, Some(1));
    stage.advance(seconds(12));
    assert_eq!(stage.phase(number), Phase::Rejected);
    assert!(stage.cas.pairings.is_empty());
    assert!(doubt(&stage, 0).is_some(), "nobody knows what it holds");
    // Of the last step it is asked.
    stage.cas.answers([Answer::Ok, Answer::Lost]);
    let number = stage.queue(0, Some(2));
    stage.advance(seconds(12));
    assert_eq!(stage.phase(number), Phase::Completed);
    assert!(stage.cas.heard.last().unwrap().is_query);
}

#[test]
fn a_late_refusal_of_a_query_rejects_nothing() {
    let mut stage = with_policy(Ambiguous::Query);
    stage
        .cas
        .answers([Answer::Swallowed, Answer::RefuseAfter(millis(10_500))]);
    let number = stage.pair(0, 0);
    stage.advance(millis(21_800));
    assert_eq!(stage.phase(number), Phase::InDoubt);
    stage.advance(seconds(10));
    assert_eq!(stage.phase(number), Phase::Completed);
}

#[test]
fn a_refusal_after_an_unknown_attempt_marks_the_pairing_in_doubt() {
    let mut stage = stage();
    stage.cas.answers([Answer::Lost, Answer::Refuse]);
    let number = stage.pair(0, 0);
    stage.advance(seconds(12));
    assert_eq!(stage.phase(number), Phase::Rejected);
    assert_eq!(doubt(&stage, 0), Some(Doubt::MayHold(stb(0))));
    let refused = stage.ask(1, Some(0), |_| {});
    assert!(
        matches!(refused, Err(Refusal::StbTaken { .. })),
        "{refused:?}"
    );
    let unpair = stage.unpair(0);
    assert_eq!(stage.phase(unpair), Phase::Completed);
    assert_eq!(doubt(&stage, 0), None);
}

#[test]
fn a_refusal_of_the_unpair_of_a_swap_leaves_it_open_whether_the_card_is_free() {
    let mut stage = Stage::standard(
        Setting::new().north(|north| north.mapping = mappings::two_steps(&north.mapping)),
    );
    stage.pair(0, 0);
    stage.cas.answers([Answer::Lost, Answer::Refuse]);
    let swap = stage.pair(0, 1);
    stage.advance(seconds(12));
    assert_eq!(stage.phase(swap), Phase::Rejected);
    assert_eq!(doubt(&stage, 0), Some(Doubt::MayBeFree));
    assert_eq!(acknowledged(&stage, 0), Some(stb(0)));
}

#[test]
fn a_refused_unpair_does_not_end_the_doubt_about_an_stb() {
    let mut stage = stage();
    stage.cas.answers([Answer::Lost, Answer::Refuse]);
    stage.pair(0, 0);
    stage.advance(seconds(12));
    stage.cas.answers([Answer::Lost, Answer::Refuse]);
    let unpair = stage.unpair(0);
    stage.advance(seconds(12));
    assert_eq!(stage.phase(unpair), Phase::Rejected);
    assert_eq!(doubt(&stage, 0), Some(Doubt::MayHold(stb(0))));
}

#[test]
fn a_first_refusal_leaves_no_doubt() {
    let mut stage = stage();
    stage.cas.answers([Answer::Refuse]);
    let number = stage.pair(0, 0);
    assert_eq!(stage.phase(number), Phase::Rejected);
    assert_eq!(stage.state().view().pairing(card(0)), None);
}

// Late answers.

#[test]
fn an_ok_after_rejected_marks_the_pairing_in_doubt() {
    let mut stage = with_policy(Ambiguous::Hold);
    stage.cas.answers([Answer::OkAfter(seconds(60))]);
    let number = stage.pair(0, 0);
    stage.advance(seconds(11));
    stage.resolve(number, Resolution::NotDone).unwrap();
    assert_eq!(doubt(&stage, 0), None);
    stage.advance(seconds(60));
    assert_eq!(stage.phase(number), Phase::Rejected);
    assert_eq!(doubt(&stage, 0), Some(Doubt::MayHold(stb(0))));
}

#[test]
fn a_late_ok_completes_a_waiting_request_and_cancels_its_retry() {
    let mut stage = stage();
    stage.cas.answers([Answer::OkAfter(millis(10_500))]);
    let number = stage.pair(0, 0);
    stage.advance(millis(10_200));
    assert_eq!(stage.phase(number), Phase::InDoubt);
    stage.advance(millis(500));
    assert_eq!(stage.phase(number), Phase::Completed);
    stage.advance(seconds(3_600));
    assert_eq!(stage.sent().len(), 1);
}

#[test]
fn a_late_refusal_counts_for_the_latest_attempt_only() {
    let mut latest = stage();
    latest.cas.answers([Answer::RefuseAfter(millis(10_500))]);
    let number = latest.pair(0, 0);
    latest.advance(millis(10_700));
    assert_eq!(latest.phase(number), Phase::Rejected);

    let mut earlier = stage();
    let (first, second) = (
        Answer::RefuseAfter(seconds(12)),
        Answer::OkAfter(seconds(5)),
    );
    earlier.cas.answers([first, second]);
    let number = earlier.pair(0, 0);
    earlier.advance(seconds(13));
    assert_eq!(earlier.phase(number), Phase::Sending);
    earlier.advance(seconds(5));
    assert_eq!(earlier.phase(number), Phase::Completed);
}

#[test]
fn an_attempt_that_outlives_its_request_keeps_the_card_busy() {
    let mut stage = stage();
    let (first, second) = (Answer::OkAfter(seconds(12)), Answer::OkAfter(seconds(5)));
    stage.cas.answers([first, second]);
    let number = stage.pair(0, 0);
    let behind = stage.queue(0, Some(1));
    stage.advance(seconds(13));
    assert_eq!(stage.phase(number), Phase::Completed);
    assert_eq!(
        (stage.phase(behind), stage.sent().len()),
        (Phase::Pending, 2)
    );
    stage.advance(seconds(4));
    assert_eq!(stage.phase(behind), Phase::Completed);
    let late = |event: &&Event| matches!(event, Event::LateAnswer(_));
    assert_eq!(stage.history(number).iter().filter(late).count(), 2);
}

#[test]
fn a_late_ok_speaks_for_its_own_step() {
    let mut stage = Stage::standard(
        Setting::new().north(|north| north.mapping = mappings::two_steps(&north.mapping)),
    );
    stage.pair(0, 0);
    stage.cas.answers([
        Answer::OkAfter(seconds(12)),
        Answer::OkAfter(millis(500)),
        Answer::OkAfter(seconds(5)),
    ]);
    let swap = stage.pair(0, 1);
    stage.advance(seconds(13));
    assert_eq!(stage.phase(swap), Phase::Sending);
    assert_eq!(acknowledged(&stage, 0), None);
    stage.advance(seconds(5));
    assert_eq!(stage.phase(swap), Phase::Completed);
}

#[test]
fn at_most_eight_late_answers_of_a_request_are_recorded() {
    let mut stage = stage();
    let number = stage.pair(0, 0);
    for _ in 0..20 {
        let event = answer_to(&stage, stage.request(number).transaction, Outcome::Refused);
        stage.lane_says(event);
    }
    let late = |event: &&Event| matches!(event, Event::LateAnswer(answer) if answer.effect == LateEffect::Nothing);
    assert_eq!(stage.history(number).iter().filter(late).count(), 8);
    assert_eq!(stage.phase(number), Phase::Completed);
}

#[test]
fn an_ok_after_eight_late_answers_still_completes() {
    let mut stage = with_policy(Ambiguous::Hold);
    stage.cas.answers([Answer::Lost]);
    let number = stage.pair(0, 0);
    let transaction = stage.request(number).transaction;
    stage.advance(seconds(11));
    for _ in 0..9 {
        let event = answer_to(&stage, transaction, Outcome::Retry);
        stage.lane_says(event);
    }
    stage.cas.said.confirmed.insert(transaction);
    let event = answer_to(&stage, transaction, Outcome::Ok);
    stage.lane_says(event);
    assert_eq!(stage.phase(number), Phase::Completed);
}

#[test]
fn answers_to_unknown_keys_are_one_event_a_minute() {
    let mut stage = stage();
    for _ in 0..50 {
        let event = answer_to(&stage, 999_999_000, Outcome::Ok);
        stage.lane_says(event);
    }
    stage.advance(seconds(61));
    let counts: Vec<u64> = stage
        .model
        .events
        .iter()
        .filter_map(|event| match event {
            Event::AnswersUnknown { count, .. } => Some(*count),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [50]);
}

// Pause, patience, the lone lane.

#[test]
fn a_pause_survives_a_restart_and_what_is_in_flight_settles() {
    let mut stage = stage();
    stage.cas.answers([Answer::OkAfter(seconds(2))]);
    let first = stage.pair(0, 0);
    stage.pause();
    let second = stage.queue(1, Some(1));
    stage.advance(seconds(3));
    assert_eq!(stage.phase(first), Phase::Completed);
    stage.restart();
    stage.advance(seconds(60));
    assert_eq!(stage.phase(second), Phase::Pending);
    stage.resume();
    assert_eq!(stage.phase(second), Phase::Completed);
}

#[test]
fn giving_up_rejects_only_what_has_no_unknown_attempt() {
    let mut stage = patient_for(seconds(600));
    stage.cas.answers([Answer::Lost]);
    let lost = stage.pair(0, 0);
    stage.advance(seconds(5));
    stage.cas.is_up = false;
    stage.lose_connection(NORTH, DownPhase::Established);
    let unsent = stage.pair(1, 1);
    stage.advance(seconds(650));
    assert_eq!(stage.phase(lost), Phase::Held);
    assert_eq!(stage.phase(unsent), Phase::Rejected);
    let unreachable = Ending::ProviderUnreachable;
    assert_eq!(ending(&stage, unsent), Some(unreachable));
}

#[test]
fn patience_stands_while_the_provider_is_paused() {
    let mut stage = patient_for(seconds(600));
    stage.cas.is_up = false;
    stage.lose_connection(NORTH, DownPhase::Established);
    stage.settle();
    let number = stage.pair(0, 0);
    stage.advance(seconds(300));
    stage.pause();
    stage.advance(seconds(3_600));
    stage.resume();
    stage.advance(seconds(290));
    assert_eq!(stage.phase(number), Phase::Pending);
    stage.advance(seconds(20));
    assert_eq!(stage.phase(number), Phase::Rejected);
}

#[test]
fn a_held_request_that_is_sent_again_has_its_patience_anew() {
    let mut stage = patient_for(seconds(600));
    stage.cas.answers([Answer::Lost]);
    let number = stage.pair(0, 0);
    stage.advance(seconds(5));
    stage.cas.is_up = false;
    stage.lose_connection(NORTH, DownPhase::Established);
    stage.advance(seconds(650));
    assert_eq!(stage.phase(number), Phase::Held);
    stage.resolve(number, Resolution::SendAgain).unwrap();
    stage.advance(seconds(60));
    assert_eq!(stage.phase(number), Phase::Waiting);
    stage.cas.is_up = true;
    stage.advance(seconds(2));
    assert_eq!(stage.phase(number), Phase::Completed);
}

#[test]
fn a_request_that_ended_unknown_twice_is_sent_alone_on_its_lane() {
    let mut stage = stage();
    let slow = Answer::OkAfter(seconds(5));
    stage.cas.answers([Answer::Lost, Answer::Lost, slow]);
    let number = stage.pair(0, 0);
    stage.advance(seconds(26));
    assert_eq!(
        (stage.phase(number), stage.sent().len()),
        (Phase::Sending, 3)
    );
    let other = stage.pair(1, 1);
    assert_eq!(stage.phase(other), Phase::Pending);
    stage.advance(seconds(5));
    assert_eq!(stage.phase(number), Phase::Completed);
    assert_eq!(stage.phase(other), Phase::Completed);
}

// What operators do.

#[test]
fn cancel_is_legal_unless_an_attempt_is_in_flight_or_unknown() {
    let mut stage = stage();
    stage.cas.answers([Answer::Lost, Answer::Busy(60)]);
    let sent = stage.pair(0, 0);
    assert!(stage.cancel(sent).is_err(), "in flight");
    stage.advance(millis(10_100));
    assert!(stage.cancel(sent).is_err(), "in doubt");
    let waiting = stage.pair(1, 1);
    stage.cancel(waiting).unwrap();
    assert_eq!(stage.phase(waiting), Phase::Rejected);
    assert!(matches!(
        ending(&stage, waiting),
        Some(Ending::Cancelled { .. })
    ));
    stage.pause();
    let pending = stage.queue(2, Some(2));
    stage.cancel(pending).unwrap();
    assert!(matches!(
        stage.cancel(pending),
        Err(Refusal::RequestFinished { .. })
    ));
}

#[test]
fn cancel_is_illegal_once_a_step_was_acknowledged() {
    let mut stage = Stage::standard(
        Setting::new().north(|north| north.mapping = mappings::two_steps(&north.mapping)),
    );
    stage.pair(0, 0);
    stage.cas.answers([Answer::Ok, Answer::Busy(60)]);
    let swap = stage.pair(0, 1);
    assert_eq!(stage.phase(swap), Phase::Waiting);
    assert!(stage.cancel(swap).is_err());
}

#[test]
fn retrying_a_rejected_request_makes_a_new_one_that_is_linked() {
    let mut stage = stage();
    stage.cas.answers([Answer::Refuse]);
    let rejected = stage.pair(0, 0);
    let again = stage.ask(0, Some(0), |call| call.retries = Some(rejected));
    stage.settle();
    let again = again.unwrap();
    assert_eq!(stage.request(again).linked, Some(rejected));
    assert_eq!(stage.phase(again), Phase::Completed);
    assert_eq!(stage.phase(rejected), Phase::Rejected);
}

#[test]
fn hastening_makes_a_waiting_request_due_now() {
    let mut stage = stage();
    stage.cas.answers([Answer::Busy(600)]);
    let request = stage.pair(0, 0);
    stage.order(Command::Hasten { request }).unwrap();
    stage.settle();
    assert_eq!(stage.phase(request), Phase::Completed);
}

#[test]
fn a_held_request_is_resolved_three_ways() {
    for (resolution, phase, paired) in [
        (Resolution::Done, Phase::Completed, Some(stb(0))),
        (Resolution::NotDone, Phase::Rejected, None),
        (Resolution::SendAgain, Phase::Completed, Some(stb(0))),
    ] {
        let mut stage = with_policy(Ambiguous::Hold);
        stage.cas.answers([Answer::Lost]);
        let number = stage.pair(0, 0);
        stage.advance(seconds(11));
        assert_eq!(stage.phase(number), Phase::Held);
        stage.resolve(number, resolution).unwrap();
        stage.settle();
        assert_eq!(stage.phase(number), phase, "{resolution:?}");
        assert_eq!(acknowledged(&stage, 0), paired, "{resolution:?}");
        let is_resend = resolution == Resolution::SendAgain;
        assert_eq!(stage.sent().len(), 1 + usize::from(is_resend));
    }
}

// Processing runs.

#[test]
fn the_mode_every_sends_at_its_runs_only() {
    let mut stage = Stage::standard(Setting::new().mode(Mode::Every(seconds(300))));
    let number = stage.pair(0, 0);
    stage.advance(seconds(200));
    assert_eq!(stage.phase(number), Phase::Pending);
    stage.advance(seconds(101));
    assert_eq!(stage.phase(number), Phase::Completed);
}

#[test]
fn the_mode_manual_sends_what_is_asked_for_and_what_is_immediate() {
    let mut stage = Stage::standard(Setting::new().mode(Mode::Manual));
    let regular = stage.pair(0, 0);
    let express = stage
        .ask(1, Some(1), |call| call.priority = Priority::Express)
        .unwrap();
    let before = stage.queue(2, Some(2));
    let immediate = stage
        .ask(2, Some(3), |call| call.is_immediate = true)
        .unwrap();
    stage.advance(seconds(3_600));
    assert_eq!(stage.phase(regular), Phase::Pending);
    assert_eq!(stage.phase(express), Phase::Pending);
    assert_eq!(stage.phase(before), Phase::Completed);
    assert_eq!(stage.phase(immediate), Phase::Completed);
    stage.step(Input::Run);
    stage.settle();
    assert_eq!(stage.phase(regular), Phase::Completed);
    assert_eq!(stage.phase(express), Phase::Completed);
    let report = stage.runs_ended.last().unwrap();
    assert_eq!((report.begun, report.completed), (2, 2));
}

// Crashes and configuration.

#[test]
fn everything_in_flight_at_a_crash_is_unknown_and_sent_again() {
    for after in [After::AsItIs, After::Deleted] {
        let mut stage = stage();
        stage.cas.usual = Answer::Lost;
        let numbers = [stage.pair(0, 0), stage.pair(1, 1), stage.pair(2, 2)];
        stage.crash(after);
        stage.cas.usual = Answer::Ok;
        stage.settle();
        for number in numbers {
            assert_eq!(stage.phase(number), Phase::InDoubt);
        }
        stage.advance(seconds(2));
        for number in numbers {
            assert_eq!(stage.phase(number), Phase::Completed);
        }
        assert_eq!(stage.sent().len(), 6);
        stage.check_rebuild();
    }
}

#[test]
fn a_late_ok_to_any_attempt_is_known_after_a_restart() {
    let mut stage = stage();
    stage.cas.answers([Answer::Lost, Answer::Lost]);
    let number = stage.pair(0, 0);
    let first = stage.request(number).transaction;
    stage.advance(seconds(12));
    stage.pause();
    stage.restart();
    assert_eq!(stage.phase(number), Phase::InDoubt);
    let event = answer_to(&stage, first, Outcome::Ok);
    stage.cas.said.confirmed.insert(first);
    stage.lane_says(event);
    assert_eq!(stage.phase(number), Phase::Completed);
}

#[test]
fn a_provider_that_left_the_configuration_waits_while_the_others_run() {
    let south = Configured::new("south", "SC-2");
    let mut setting = Setting::new();
    setting.providers.push(south);
    let mut stage = Stage::standard(setting).with_items("SC-2", 2);
    stage.pause();
    let north = stage.queue(0, Some(0));
    let gone = stage.setting.providers.remove(0);
    stage.restart();
    let south = stage.ask_of("SC-2", 1, Some(1), |_| {}).unwrap();
    stage.settle();
    assert_eq!(stage.phase(south), Phase::Completed);
    assert_eq!(stage.phase(north), Phase::Pending);
    let row = stage.state().view().provider(ProviderNumber(1)).unwrap();
    assert_eq!((row.is_configured, row.unfinished), (false, 1));
    stage.setting.providers.insert(0, gone);
    stage.restart();
    stage.resume();
    assert_eq!(stage.phase(north), Phase::Completed);
}

#[test]
fn a_reload_takes_a_provider_away_only_when_nothing_waits_for_it_and_no_call_comes_behind() {
    let mut stage = stage();
    stage.pause();
    let number = stage.queue(0, Some(0));
    let none = || Command::Reconfigure {
        providers: Vec::new(),
    };
    assert_eq!(stage.order(none()), Err(Refusal::Changed));
    stage.resume();
    assert_eq!(stage.phase(number), Phase::Completed);
    stage.order(none()).unwrap();
    let row = stage.state().view().provider(ProviderNumber(1)).unwrap();
    assert!(!row.is_configured);
    // The caller still knows the providers of before.
    assert_eq!(stage.ask(1, Some(1), |_| {}), Err(Refusal::Changed));
}

#[test]
fn a_card_has_at_most_64_unfinished_requests() {
    let mut stage = stage();
    stage.pause();
    for at in 0..64 {
        stage.queue(0, Some(at % 20));
    }
    let refused = stage.ask(0, Some(1), |_| {});
    assert!(
        matches!(refused, Err(Refusal::QueueFull { limit: 64, .. })),
        "{refused:?}"
    );
    stage.queue(1, Some(21));
}

// Scripts that fail.

#[test]
fn a_script_error_rejects_what_was_never_sent_and_stops_no_other() {
    let mut stage =
        Stage::standard(Setting::new().north(|north| north.mapping = mappings::failing()));
    let bad = stage.pair(20, 0);
    let good = stage.pair(1, 1);
    assert_eq!(stage.phase(bad), Phase::Rejected);
    assert!(matches!(
        ending(&stage, bad),
        Some(Ending::ScriptError { .. })
    ));
    assert_eq!(stage.phase(good), Phase::Completed);
    assert_eq!(stage.sent(), [(1, Some(1))]);
    assert_eq!(stage.metrics.get(Metric::ScriptErrors), 1);
}

#[test]
fn a_script_error_holds_what_was_sent_before() {
    let mut stage = Stage::standard(
        Setting::new().north(|north| north.mapping = mappings::failing_on_transaction(2)),
    );
    stage.cas.answers([Answer::Lost]);
    let number = stage.pair(0, 0);
    stage.advance(seconds(12));
    assert_eq!(stage.phase(number), Phase::Held);
    assert_eq!(stage.sent().len(), 1);
}

#[test]
fn script_errors_on_five_different_cards_in_a_row_pause_the_provider() {
    let mut stage = Stage::new(Setting::new().north(|north| north.mapping = mappings::failing()))
        .with_items("SC-1", 30);
    for at in 20..24 {
        stage.pair(at, 0);
        stage.pair(20, 0);
    }
    assert!(!is_paused(&stage), "four cards, some of them twice");
    stage.pair(24, 0);
    assert!(is_paused(&stage));
}

#[test]
fn a_broken_script_rejects_no_more_than_five_however_many_are_ready() {
    let mut stage = Stage::new(Setting::new().north(|north| north.mapping = mappings::failing()))
        .with_items("SC-1", 30);
    stage.pause();
    let numbers: Vec<_> = (20..30).map(|at| stage.queue(at, Some(at))).collect();
    stage.resume();
    stage.settle();
    assert!(is_paused(&stage));
    let rejected = numbers
        .iter()
        .filter(|number| stage.phase(**number) == Phase::Rejected);
    assert_eq!(rejected.count(), 5);
}

#[test]
fn what_was_sent_again_by_an_operator_is_still_unknown_until_it_is_answered() {
    let mut stage = with_policy(Ambiguous::Hold);
    stage.cas.answers([Answer::Lost]);
    let number = stage.pair(0, 0);
    stage.advance(seconds(11));
    stage.pause();
    stage.resolve(number, Resolution::SendAgain).unwrap();
    assert!(stage.cancel(number).is_err(), "an attempt of it is unknown");
    stage.resume();
    stage.settle();
    assert_eq!(stage.phase(number), Phase::Completed);
}

#[test]
fn a_clock_that_was_far_ahead_for_a_moment_parks_no_schedule() {
    let mut stage = Stage::standard(Setting::new());
    let right = stage.now().wall;
    stage.pause();
    stage.set_wall(right.plus(seconds(1_000_000_000)));
    let undated = stage.queue(0, Some(0));
    stage.set_wall(right);
    let dated = stage
        .ask(0, Some(1), |call| {
            call.scheduled = Some(right.plus(seconds(60)));
        })
        .unwrap();
    stage.resume();
    stage.advance(seconds(61));
    assert_eq!(stage.phase(undated), Phase::Completed);
    assert_eq!(stage.phase(dated), Phase::Completed);
}

#[test]
fn a_run_takes_all_the_steps_of_what_it_began_and_what_stands_behind() {
    let mut stage = Stage::standard(
        Setting::new()
            .mode(Mode::Manual)
            .north(|north| north.mapping = mappings::two_steps(&north.mapping)),
    );
    stage.queue(0, Some(0));
    stage.step(Input::Run);
    stage.settle();
    let swap = stage.queue(0, Some(1));
    let behind = stage.queue(0, None);
    stage.step(Input::Run);
    stage.settle();
    assert_eq!(stage.phase(swap), Phase::Completed);
    assert_eq!(stage.phase(behind), Phase::Completed);
    assert_eq!(stage.runs_ended.len(), 2, "{:?}", stage.runs_ended);
}
