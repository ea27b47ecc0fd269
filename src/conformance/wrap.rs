//! The wrap of the numbers: after the greatest comes the least again, and what is still unanswered keeps its number.
//!
//! The hazard: two commands with one key. Then the late answer to the one is called the answer to the other.

use std::collections::HashMap;

use super::Verdict;
use super::list::Otherwise;
use super::session::{broken, expect_ended, expect_late, expect_untouched};
use super::stand::{Happened, Sent, Stand};
use super::trial::{Trial, encoded};
use crate::domain::Outcome;
use crate::script::contract::TransactionRange;

/// Of fewer numbers dispatch does not remember enough attempts that are over for a late answer to find its own.
const NUMBERS_MIN: u64 = 16;

pub(super) fn sequence_wrap(trial: &mut Trial) -> Result<Verdict, Otherwise> {
    if trial.is_in_order() {
        let why = "answers are matched by their order: no number finds them";
        return Ok(Verdict::DoesNotApply(why.to_owned()));
    }
    let range = trial.provider.mapping.description().transaction;
    let keys = distinct_keys(trial, range)?;
    let numbers = range.max - range.min + 1;
    if numbers < NUMBERS_MIN {
        return Ok(Verdict::DoesNotApply(format!(
            "of {numbers} numbers none is kept out of use for a late answer; {keys} have frames and keys of their own"
        )));
    }
    let drawn = over_the_end(trial, range)?;
    Ok(Verdict::Passed(format!(
        "{drawn}; {keys} numbers of the range have frames and keys of their own"
    )))
}

/// Numbers from all over the range, each with a frame and a key of its own: one that is cut to its last digits or bytes would not have.
fn distinct_keys(trial: &Trial, range: TransactionRange) -> Result<usize, Otherwise> {
    let mut frames: HashMap<Vec<u8>, u64> = HashMap::new();
    let mut keys: HashMap<String, u64> = HashMap::new();
    for number in spread(range) {
        let encoded = encoded(&trial.provider, &trial.command, number).map_err(broken)?;
        if let Some(other) = keys.insert(encoded.key.clone(), number) {
            return Err((
                "each number to give a key of its own".to_owned(),
                format!("key `{}` for both {other} and {number}", encoded.key),
            ));
        }
        if let Some(other) = frames.insert(encoded.body, number) {
            return Err((
                "each number to stand in its frame, so that the answer can carry it".to_owned(),
                format!("the same frame for both {other} and {number}"),
            ));
        }
    }
    Ok(keys.len())
}

/// The ends of the range, and numbers one digit or one byte away from them.
fn spread(range: TransactionRange) -> Vec<u64> {
    let decimal = (0..19).map(|digits| 10_u64.pow(digits));
    let binary = (1..8).map(|bytes| 1_u64 << (8 * bytes));
    let steps: Vec<u64> = decimal.chain(binary).collect();
    let up = steps.iter().filter_map(|step| range.min.checked_add(*step));
    let down = steps.iter().filter_map(|step| range.max.checked_sub(*step));
    let mut numbers: Vec<u64> = [range.min, range.max]
        .into_iter()
        .chain(up)
        .chain(down)
        .filter(|number| (range.min..=range.max).contains(number))
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// The least number is unanswered; the last two go out; then dispatch draws from what the wrap gives it.
fn over_the_end(trial: &mut Trial, range: TransactionRange) -> Result<String, Otherwise> {
    let mut stand = trial.stand(range.min);
    let unanswered = stand.send(&trial.command).map_err(broken)?;
    let late = trial.answer(&unanswered).map_err(broken)?;
    let happened = stand.wait(trial.reply_timeout());
    if !happened.contains(&Happened::Ended(unanswered.request, Outcome::Unknown)) {
        return Err(broken("the first command does not time out".to_owned()));
    }
    let last = stand.transactions().range().max;
    stand.grant(last - 1, last);
    let mut out = Vec::new();
    let mut drawn = Vec::new();
    let window = usize::try_from(trial.provider.session.window).unwrap_or(1);
    for turn in 0..3 {
        if turn == 2 {
            let Some((first, last)) = stand.block_asked_for() else {
                return Err(broken(
                    "dispatch asks for no numbers at the wrap".to_owned(),
                ));
            };
            stand.grant(first, last);
        }
        if out.len() >= window {
            answer_all(trial, &mut stand, &mut out)?;
        }
        let sent = stand.send(&trial.command).map_err(broken)?;
        drawn.push(sent.transaction);
        out.push(sent);
    }
    let expected = [last - 1, last, range.min + 1];
    if drawn != expected {
        return Err((
            format!(
                "the numbers {expected:?}, past {} which is unanswered",
                range.min
            ),
            format!("{drawn:?}"),
        ));
    }
    if let (Some(late), Some(newest)) = (late, out.last().cloned()) {
        let happened = stand.hear(&late, newest.connection).map_err(broken)?;
        for sent in &out {
            expect_untouched(sent, &happened, "a late answer from before the wrap")?;
        }
        expect_late(unanswered.request, &happened)?;
    }
    // Answered the other way round: each must find its own.
    out.reverse();
    answer_all(trial, &mut stand, &mut out)?;
    let [before, end, after] = expected;
    Ok(format!(
        "{before}, {end}, {after}, past {} which is unanswered",
        range.min
    ))
}

fn answer_all(trial: &mut Trial, stand: &mut Stand, out: &mut Vec<Sent>) -> Result<(), Otherwise> {
    for sent in out.drain(..) {
        let Some(answer) = trial.answer(&sent).map_err(broken)? else {
            // The cases answer one number only; the time-out makes room for the next.
            stand.wait(trial.reply_timeout());
            continue;
        };
        let happened = stand.hear(&answer, sent.connection).map_err(broken)?;
        expect_ended(&sent, &happened)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_from_both_ends_stay_in_the_range() {
        let range = TransactionRange { min: 1, max: 999 };
        assert_eq!(spread(range), [1, 2, 11, 101, 257, 743, 899, 989, 998, 999]);
        let whole = TransactionRange {
            min: 0,
            max: u64::MAX,
        };
        assert!(spread(whole).len() > 40);
    }
}
