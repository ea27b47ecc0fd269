//! Three things that a CAS does sooner or later: it answers a command that nobody sent, it answers twice, it answers too late.
//!
//! The hazard behind each: an answer that is taken for that of another command, and a pairing that is not there called done.

use super::Verdict;
use super::list::Otherwise;
use super::stand::{Happened, Sent};
use super::trial::Trial;
use crate::domain::{Outcome, RequestNumber};

const NO_KEY: &str = "answers are matched by their order and carry no key";

/// An answer to a command that never went out ends nothing.
pub(super) fn unknown_key(trial: &mut Trial) -> Result<Verdict, Otherwise> {
    if !trial.is_keyed {
        return Ok(Verdict::DoesNotApply(NO_KEY.to_owned()));
    }
    let (answered, another) = trial.numbers();
    let in_order = trial.is_in_order();
    let mut stand = trial.stand(if in_order { answered } else { another });
    let out = stand.send(&trial.command).map_err(broken)?;
    let Some(foreign) = trial.foreign_answer().map_err(broken)? else {
        return Err((
            "an answer to another command than the one that is out".to_owned(),
            "none: no other golden command has a key of its own".to_owned(),
        ));
    };
    let happened = stand.hear(&foreign, out.connection).map_err(broken)?;
    let named = &out.key;
    expect_untouched(
        &out,
        &happened,
        "an answer to a command that never went out",
    )?;
    if in_order {
        expect_given_up(&happened)?;
        return Ok(Verdict::Passed(format!(
            "while `{named}` is out another command's answer ends nothing, and the connection is given up"
        )));
    }
    if let Some(own) = trial.answer(&out).map_err(broken)? {
        let happened = stand.hear(&own, out.connection).map_err(broken)?;
        expect_ended(&out, &happened)?;
    }
    Ok(Verdict::Passed(format!(
        "while `{named}` is out another key's answer ends nothing"
    )))
}

/// The second answer to a command is not taken for that of the next.
pub(super) fn duplicate_reply(trial: &mut Trial) -> Result<Verdict, Otherwise> {
    if trial.is_http() {
        let why = "HTTP has one answer for each request";
        return Ok(Verdict::DoesNotApply(why.to_owned()));
    }
    let (number, another) = trial.numbers();
    let mut stand = trial.stand(number);
    let first = stand.send(&trial.command).map_err(broken)?;
    let answer = own_answer(trial, &first)?;
    let happened = stand.hear(&answer, first.connection).map_err(broken)?;
    expect_ended(&first, &happened)?;
    let next = if trial.is_in_order() {
        trial.other.clone()
    } else {
        Some(trial.command.clone())
    };
    let Some(next) = next else {
        let happened = stand.hear(&answer, first.connection).map_err(broken)?;
        expect_given_up(&happened)?;
        let why = "no key tells a second answer from the next command's own; alone it ends the connection";
        return Ok(Verdict::DoesNotApply(why.to_owned()));
    };
    stand.grant(another, another);
    let second = stand.send(&next).map_err(broken)?;
    let happened = stand.hear(&answer, second.connection).map_err(broken)?;
    expect_untouched(
        &second,
        &happened,
        "the second answer to the command before",
    )?;
    if trial.is_in_order() {
        expect_given_up(&happened)?;
        return Ok(Verdict::Passed(
            "the second answer ends nothing of the next command, and the connection is given up"
                .to_owned(),
        ));
    }
    expect_late(first.request, &happened)?;
    if let Some(own) = trial.answer(&second).map_err(broken)? {
        let happened = stand.hear(&own, second.connection).map_err(broken)?;
        expect_ended(&second, &happened)?;
    }
    Ok(Verdict::Passed(
        "the second answer is recorded beside the first; the next command waits for its own"
            .to_owned(),
    ))
}

/// An answer after the time-out reaches its own command, and no other.
pub(super) fn late_reply(trial: &mut Trial) -> Result<Verdict, Otherwise> {
    let (number, another) = trial.numbers();
    let mut stand = trial.stand(number);
    let first = stand.send(&trial.command).map_err(broken)?;
    let answer = own_answer(trial, &first)?;
    let happened = stand.wait(trial.reply_timeout());
    let unknown = Happened::Ended(first.request, Outcome::Unknown);
    if !happened.contains(&unknown) {
        return Err((
            "the attempt to end as unknown at the reply time-out".to_owned(),
            told(&happened),
        ));
    }
    stand.grant(another, another);
    let second = stand.send(&trial.command).map_err(broken)?;
    let waits = trial.reply_timeout().as_secs_f64();
    if trial.is_in_order() {
        expect_given_up(&happened)?;
        let happened = stand.hear(&answer, first.connection).map_err(broken)?;
        expect_untouched(&second, &happened, "a late answer on the old connection")?;
        return Ok(Verdict::Passed(format!(
            "after {waits}s the connection is given up; on it no answer speaks for the next command"
        )));
    }
    let kept = stand.transactions().unanswered_count();
    let happened = stand.hear(&answer, second.connection).map_err(broken)?;
    expect_untouched(&second, &happened, "a late answer to the command before")?;
    expect_late(first.request, &happened)?;
    let still = stand.transactions().unanswered_count();
    if still + 1 != kept {
        return Err((
            format!("number {number} to be free again after its answer"),
            format!("{still} of {kept} numbers still kept back"),
        ));
    }
    if let Some(own) = trial.answer(&second).map_err(broken)? {
        let happened = stand.hear(&own, second.connection).map_err(broken)?;
        expect_ended(&second, &happened)?;
    }
    Ok(Verdict::Passed(format!(
        "after {waits}s the attempt is unknown; its answer reaches it, and the next command waits for its own"
    )))
}

/// A check that could not go on.
pub(super) fn broken(found: String) -> Otherwise {
    (
        "the command to be encoded, sent and answered".to_owned(),
        found,
    )
}

fn own_answer(trial: &mut Trial, sent: &Sent) -> Result<Vec<u8>, Otherwise> {
    let answer = trial.answer(sent).map_err(broken)?;
    answer.ok_or_else(|| broken(format!("no case has an answer with key `{}`", sent.key)))
}

pub(super) fn expect_ended(sent: &Sent, happened: &[Happened]) -> Result<(), Otherwise> {
    let is_it = |one: &Happened| {
        matches!(one, Happened::Ended(request, outcome)
            if *request == sent.request && *outcome != Outcome::Unknown)
    };
    if happened.iter().any(is_it) {
        return Ok(());
    }
    Err((
        format!(
            "the answer to end its own command, key `{}` and number {}",
            sent.key, sent.transaction
        ),
        told(happened),
    ))
}

pub(super) fn expect_untouched(
    sent: &Sent,
    happened: &[Happened],
    what: &str,
) -> Result<(), Otherwise> {
    let touches = |one: &Happened| match one {
        Happened::Ended(request, outcome) => {
            *request == sent.request && *outcome != Outcome::Unknown
        }
        Happened::Late(request) => *request == sent.request,
        Happened::GivenUp => false,
    };
    if !happened.iter().any(touches) {
        return Ok(());
    }
    Err((
        format!(
            "{what} to leave the command that is out alone, key `{}`",
            sent.key
        ),
        told(happened),
    ))
}

pub(super) fn expect_late(request: RequestNumber, happened: &[Happened]) -> Result<(), Otherwise> {
    if happened.contains(&Happened::Late(request)) {
        return Ok(());
    }
    Err((
        "the answer to be recorded with the attempt that it is for".to_owned(),
        told(happened),
    ))
}

fn expect_given_up(happened: &[Happened]) -> Result<(), Otherwise> {
    if happened.contains(&Happened::GivenUp) {
        return Ok(());
    }
    Err((
        "a connection whose order is lost to be given up".to_owned(),
        told(happened),
    ))
}

fn told(happened: &[Happened]) -> String {
    let words = happened.iter().map(|one| match one {
        Happened::Ended(request, outcome) => {
            let outcome = format!("{outcome:?}").to_lowercase();
            format!("it ended command {request} as {outcome}")
        }
        Happened::Late(request) => {
            format!("it was recorded with command {request}, which was over")
        }
        Happened::GivenUp => "the connection was given up".to_owned(),
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        return "it was taken for no command's answer".to_owned();
    }
    words.join(", ")
}
