//! How many cards and STBs may belong together: what each rule of it promises, on the stage and through the binary.

use pairbox::domain::event::Ending;
use pairbox::domain::{
    Cardinality, ItemIdentifier, ItemNumber, Phase, Refusal, RequestNumber, Standing, View,
};

use crate::stage::cas::Answer;
use crate::stage::{Setting, Stage, mappings, seconds, stb_serial};

/// A stage whose CAS keeps sets, or overwrites if a card may have one STB.
fn stage(stbs_per_card: u8, cards_per_stb: u8, more: impl FnOnce(&mut Setting)) -> Stage {
    let mut setting = Setting::new().north(|north| {
        north.cardinality = Cardinality {
            stbs_per_card,
            cards_per_stb,
        };
        if stbs_per_card > 1 {
            north.mapping = mappings::of_sets(&mappings::with_query());
        }
    });
    more(&mut setting);
    let mut stage = Stage::standard(setting);
    if stbs_per_card > 1 {
        stage.cas.sets = Some(std::collections::BTreeSet::new());
    }
    stage
}

/// The STBs that the CAS confirmed for a card.
fn stbs(stage: &Stage, card: u32) -> Vec<u32> {
    let pairing = stage
        .state()
        .view()
        .pairing(ItemNumber(u64::from(card) + 1));
    let stbs = pairing
        .iter()
        .flat_map(pairbox::domain::Pairing::acknowledged);
    stbs.map(|stb| u32::try_from(stb.0).unwrap() - 25).collect()
}

/// The same as the CAS has them.
fn theirs(stage: &Stage, card: u32) -> Vec<u32> {
    let stbs = stage.cas.stbs_of(&format!("0190{card:06}"));
    stbs.iter()
        .map(|stb| stb.parse::<u32>().unwrap() - 1_000)
        .collect()
}

fn unpair_from(stage: &mut Stage, card: u32, stb: u32) -> Result<RequestNumber, Refusal> {
    let number = stage.ask(card, None, |call| {
        call.from = Some(ItemIdentifier::SerialNumber(stb_serial(stb)));
    });
    stage.settle();
    number
}

#[test]
fn a_card_that_may_have_several_stbs_keeps_what_it_has() {
    let mut stage = stage(3, 1, |_| {});
    for stb in [4, 2, 7] {
        stage.pair(0, stb);
    }
    assert_eq!(stbs(&stage, 0), [4, 2, 7]);
    assert_eq!(theirs(&stage, 0), [2, 4, 7]);
}

#[test]
fn an_unpair_from_one_stb_leaves_the_others_and_one_without_a_name_leaves_all() {
    let mut stage = stage(3, 1, |_| {});
    for stb in [1, 2, 3] {
        stage.pair(0, stb);
    }
    let number = unpair_from(&mut stage, 0, 2).unwrap();
    assert_eq!(stage.phase(number), Phase::Completed);
    assert_eq!(
        (stbs(&stage, 0), theirs(&stage, 0)),
        (vec![1, 3], vec![1, 3])
    );
    let all = stage.unpair(0);
    assert_eq!(stage.request(all).steps, 2);
    assert_eq!(
        (stbs(&stage, 0), theirs(&stage, 0)),
        (Vec::new(), Vec::new())
    );
}

#[test]
fn an_unpair_from_an_stb_that_the_card_does_not_have_names_those_that_it_has() {
    let mut stage = stage(3, 1, |_| {});
    stage.pair(0, 1);
    let refused = unpair_from(&mut stage, 0, 2).unwrap_err();
    let words = "smartcard `019000000077` is not paired with STB `1002`; it is with 1001";
    assert_eq!(refused.to_string(), words);
}

#[test]
fn an_unpair_from_all_that_the_cas_ends_in_the_middle_has_left_those_before() {
    let mut stage = stage(3, 1, |_| {});
    for stb in [1, 2, 3] {
        stage.pair(0, stb);
    }
    stage.cas.answers([Answer::Ok, Answer::Refuse]);
    let number = stage.unpair(0);
    assert_eq!(stage.phase(number), Phase::Rejected);
    assert_eq!(
        (stbs(&stage, 0), theirs(&stage, 0)),
        (vec![2, 3], vec![2, 3])
    );
}

#[test]
fn a_card_with_as_many_stbs_as_it_may_have_is_refused_another_naming_them() {
    let mut stage = stage(2, 1, |_| {});
    stage.pair(0, 1);
    stage.pair(0, 2);
    let refused = stage.ask(0, Some(3), |_| {}).unwrap_err();
    let words = "smartcard `019000000077` has 2 STBs, as many as its provider allows: 1001, 1002; unpair it from one of them first";
    assert_eq!(refused.to_string(), words);
    // One that it has already is sent again: that is how a dark box is mended.
    let again = stage.pair(0, 2);
    assert_eq!(stage.phase(again), Phase::Completed);
}

#[test]
fn a_full_card_gives_up_its_oldest_stb_by_a_linked_request_where_that_is_the_policy() {
    let mut stage = stage(2, 1, |setting| setting.policy.gives_way.oldest = true);
    stage.pair(0, 1);
    stage.pair(0, 2);
    let pair = stage.pair(0, 3);
    let unpair = stage.request(RequestNumber(pair.0 - 1));
    assert_eq!(
        (unpair.linked, stage.request(pair).linked),
        (Some(pair), Some(unpair.number))
    );
    assert_eq!(
        (stbs(&stage, 0), theirs(&stage, 0)),
        (vec![2, 3], vec![2, 3])
    );
}

#[test]
fn a_card_that_filled_up_while_a_pair_waited_ends_it_naming_its_stbs() {
    let mut stage = stage(2, 1, |_| {});
    stage.pair(0, 1);
    let later = crate::stage::START.plus(seconds(3_600));
    let waits = stage
        .ask(0, Some(2), |call| call.scheduled = Some(later))
        .unwrap();
    stage.pair(0, 3);
    stage.set_wall(later.plus(seconds(1)));
    stage.advance(seconds(2));
    assert_eq!(stage.phase(waits), Phase::Rejected);
    let stbs = [26, 28].into_iter().map(ItemNumber).collect();
    let ended = stage
        .history(waits)
        .into_iter()
        .find_map(|event| match event {
            pairbox::domain::Event::RequestEnded { ending, .. } => Some(ending),
            _ => None,
        });
    assert_eq!(ended, Some(Ending::CardFull { stbs }));
}

#[test]
fn a_move_leaves_every_stb_that_the_card_has() {
    let mut stage = stage(3, 1, |_| {});
    stage.pair(0, 1);
    stage.pair(0, 2);
    let moved = stage.ask(0, Some(3), |call| call.moves = true).unwrap();
    stage.settle();
    assert_eq!(stage.request(moved).steps, 3);
    assert_eq!((stbs(&stage, 0), theirs(&stage, 0)), (vec![3], vec![3]));
}

#[test]
fn an_stb_takes_as_many_cards_as_it_may_have_and_the_next_is_refused_naming_them() {
    let mut stage = stage(1, 2, |_| {});
    stage.pair(0, 1);
    stage.pair(1, 1);
    assert_eq!(stage.state().view().meta().conflicts, 0);
    let refused = stage.ask(2, Some(1), |_| {}).unwrap_err();
    let words = "STB `1001` has 2 smartcards, as many as its provider allows: 019000000077, 019000000177; unpair one of them first";
    assert_eq!(refused.to_string(), words);
    // A card that may have one STB moves, and makes room by it.
    stage.pair(0, 2);
    stage.pair(2, 1);
    assert_eq!(
        [stbs(&stage, 0), stbs(&stage, 1), stbs(&stage, 2)],
        [[2], [1], [1]]
    );
}

#[test]
fn a_full_stb_gives_up_the_card_that_it_has_longest_where_that_is_the_policy() {
    let mut stage = stage(1, 2, |setting| setting.policy.gives_way.holder = true);
    stage.pair(1, 1);
    stage.pair(0, 1);
    let pair = stage.pair(2, 1);
    assert_eq!(stage.request(RequestNumber(pair.0 - 1)).card, ItemNumber(2));
    assert_eq!(
        [stbs(&stage, 0), stbs(&stage, 1), stbs(&stage, 2)],
        [vec![1], vec![], vec![1]]
    );
}

#[test]
fn both_may_have_to_give_way_for_one_pair() {
    let mut stage = stage(2, 1, |setting| {
        setting.policy.gives_way.holder = true;
        setting.policy.gives_way.oldest = true;
    });
    stage.pair(0, 1);
    stage.pair(0, 2);
    stage.pair(1, 3);
    let pair = stage.pair(0, 3);
    assert_eq!(stage.phase(pair), Phase::Completed);
    assert_eq!([stbs(&stage, 0), stbs(&stage, 1)], [vec![2, 3], vec![]]);
    assert_eq!([theirs(&stage, 0), theirs(&stage, 1)], [vec![2, 3], vec![]]);
}

#[test]
fn an_stb_that_was_never_confirmed_stays_in_doubt_whatever_another_is_confirmed() {
    let mut stage = stage(3, 1, |_| {});
    stage.cas.answers([Answer::Lost, Answer::Refuse]);
    stage.pair(0, 1);
    stage.advance(seconds(12));
    stage.pair(0, 2);
    assert_eq!(stbs(&stage, 0), [2]);
    assert!(matches!(
        stage.ask(1, Some(1), |_| {}),
        Err(Refusal::StbTaken { .. })
    ));
    let all = stage.unpair(0);
    assert_eq!(stage.phase(all), Phase::Completed);
    assert!(theirs(&stage, 0).is_empty());
    stage.pair(1, 1);
    assert_eq!(stbs(&stage, 1), [1]);
}

#[test]
fn a_pair_that_holds_already_is_sent_again_whoever_else_may_be_there() {
    let mut stage = stage(1, 1, |setting| {
        setting.providers[0].retry.ambiguous = pairbox::domain::Ambiguous::Hold;
    });
    stage.cas.answers([Answer::OkAfter(seconds(60))]);
    let lost = stage.pair(0, 0);
    stage.advance(seconds(11));
    let not_done = pairbox::domain::event::Resolution::NotDone;
    stage.resolve(lost, not_done).unwrap();
    stage.pair(1, 0);
    stage.advance(seconds(60));
    let doubted = stage.state().view().pairing(ItemNumber(1)).unwrap();
    assert!(doubted.is_in_doubt());
    let again = stage.pair(1, 0);
    assert_eq!(stage.phase(again), Phase::Completed);
}

#[test]
fn what_a_lowered_limit_leaves_over_may_be_sent_again_and_gives_way_as_far_as_it_must() {
    let mut stage = stage(1, 3, |setting| setting.policy.gives_way.holder = true);
    for card in 0..3 {
        stage.pair(card, 1);
    }
    stage.setting.providers[0].cardinality.cards_per_stb = 1;
    stage.crash(crate::stage::After::AsItIs);
    stage.settle();
    let again = stage.pair(0, 1);
    assert_eq!(stage.phase(again), Phase::Completed);
    assert_eq!(stage.request(again).linked, None);
    let pair = stage.pair(3, 1);
    assert_eq!(stage.phase(pair), Phase::Completed);
    let held: Vec<_> = (0..4).map(|card| stbs(&stage, card)).collect();
    assert_eq!(held, [vec![], vec![], vec![], vec![1]]);
    assert_eq!(theirs(&stage, 3), [1]);
}

#[test]
fn a_plan_that_leaves_an_stb_where_it_is_ends_its_request() {
    let mut stage = stage(3, 1, |setting| {
        let mapping = &mut setting.providers[0].mapping;
        let first = "for left in request.leaves {";
        *mapping = mapping.replace(first, &format!("{first} if !steps.is_empty() {{ break; }}"));
    });
    stage.pair(0, 1);
    stage.pair(0, 2);
    let number = stage.unpair(0);
    assert_eq!(stage.phase(number), Phase::Rejected);
    assert_eq!(
        (stbs(&stage, 0), theirs(&stage, 0)),
        (vec![1, 2], vec![1, 2])
    );
}

#[test]
fn a_move_that_the_mapping_plans_without_leaving_ends_its_request() {
    let mut stage = stage(3, 1, |setting| {
        let mapping = &mut setting.providers[0].mapping;
        *mapping = mapping.replace(
            "for left in request.leaves {",
            "for left in if request.action == \"pair\" { [] } else { request.leaves } {",
        );
    });
    stage.pair(0, 1);
    let moved = stage.ask(0, Some(2), |call| call.moves = true).unwrap();
    stage.settle();
    assert_eq!(stage.phase(moved), Phase::Rejected);
    assert_eq!((stbs(&stage, 0), theirs(&stage, 0)), (vec![1], vec![1]));
}

#[test]
fn where_an_unpair_frees_the_card_it_frees_it_whatever_stb_it_names() {
    let mut stage = stage(1, 1, |_| {});
    stage.pair(0, 1);
    stage.cas.answers([Answer::Lost, Answer::Refuse]);
    stage.pair(0, 2);
    stage.advance(seconds(12));
    let strange = unpair_from(&mut stage, 0, 3).unwrap_err();
    assert!(
        matches!(strange, Refusal::NotPairedWith { .. }),
        "{strange}"
    );
    let number = unpair_from(&mut stage, 0, 2).unwrap();
    assert_eq!(stage.phase(number), Phase::Completed);
    let pairing = stage.state().view().pairing(ItemNumber(1)).unwrap();
    assert!(!pairing.is_held(), "{pairing:?}");
    assert!(theirs(&stage, 0).is_empty());
}

#[test]
fn only_the_stb_of_the_step_that_nobody_knows_of_is_in_doubt() {
    let mut stage = stage(3, 1, |_| {});
    for stb in [1, 2, 3] {
        stage.pair(0, stb);
    }
    stage
        .cas
        .answers([Answer::Ok, Answer::Lost, Answer::Refuse, Answer::Refuse]);
    let number = stage.unpair(0);
    stage.advance(seconds(30));
    assert_eq!(stage.phase(number), Phase::Rejected);
    let pairing = stage.state().view().pairing(ItemNumber(1)).unwrap();
    let standing = |stb: u64| pairing.link(ItemNumber(25 + stb)).map(|link| link.standing);
    let (open, sure) = (Standing::MayBeGone, Standing::Confirmed);
    assert_eq!([1, 2, 3].map(standing), [None, Some(open), Some(sure)]);
}
