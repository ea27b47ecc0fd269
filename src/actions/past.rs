//! What happened to a request, oldest first: walked backwards through the `before` of its events, told in one line each.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::Actions;
use super::items::serial_number;
use super::local_time::local_time;
use crate::domain::admission;
use crate::domain::event::{
    Accepted, Begun, Ending, Event, LateAnswer, LateEffect, Resolution, Settled, Then,
};
use crate::domain::{Action, CardChange, Outcome, Purpose, Request, Timestamp};

/// Most events of one request that are told: far beyond what the delay table gives in a day.
pub const EVENTS_MAX: usize = 1_000;

/// One event of a request, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    pub at: Timestamp,
    pub by: String,
    pub what: String,
    /// The ledger line that says so.
    pub seq: u64,
}

impl Actions {
    /// The whole history; the newest [`EVENTS_MAX`] events of a longer one.
    pub fn past(&self, request: &Request, zone: Tz) -> Vec<Happened> {
        let mut past = Vec::new();
        let mut position = request.latest;
        while past.len() < EVENTS_MAX {
            let Some((event, at, by)) = self.event(position) else {
                break;
            };
            past.push(Happened {
                at,
                by,
                what: self.words(&event, zone),
                seq: position.seq,
            });
            position = event.before();
        }
        past.reverse();
        past
    }

    fn words(&self, event: &Event, zone: Tz) -> String {
        match event {
            Event::RequestAccepted(accepted)
            | Event::CardChangeAccepted(accepted)
            | Event::PairBesideAccepted(accepted)
            | Event::UnpairFromAccepted(accepted) => self.accepted_words(accepted, zone),
            Event::AttemptBegun(begun) => begun_words(begun),
            Event::AttemptSettled(settled) => settled_words(settled, zone),
            Event::LateAnswer(answer) => late_words(answer),
            Event::RequestEnded { ending, .. } => self.ending_words(ending),
            Event::RequestHeld { reason, .. } => format!("held: {reason}"),
            Event::RequestHastened { .. } => "made due now by an operator".to_owned(),
            Event::RequestResolved {
                resolution, reason, ..
            } => {
                let found = match resolution {
                    Resolution::Done => "done: completed",
                    Resolution::NotDone => "not done: rejected",
                    Resolution::SendAgain => "to be sent again",
                };
                format!("resolved as {found} ({reason})")
            }
            _ => "an event of another kind".to_owned(),
        }
    }

    fn accepted_words(&self, accepted: &Accepted, zone: Tz) -> String {
        let view = self.state.view();
        let card = serial_number(&view, accepted.card);
        let change = accepted.card_change.as_ref();
        let stb = accepted.stb.map(|stb| serial_number(&view, stb));
        let products = change.map_or(&[][..], CardChange::products);
        let action = Action::of(accepted.stb, change);
        let from = accepted.from.map(|stb| serial_number(&view, stb));
        let what = action.sentence(&card, stb.or(from).as_deref(), products);
        let when = if accepted.is_scheduled {
            format!(", scheduled for {}", local_time(accepted.scheduled, zone))
        } else {
            String::new()
        };
        let linked = match accepted.linked {
            Some(number) => format!(", linked to request {number}"),
            None => String::new(),
        };
        let (process, priority) = (accepted.process_name.word(), accepted.priority.word());
        format!("accepted ({process}): {what}, {priority}{when}{linked}")
    }

    fn ending_words(&self, ending: &Ending) -> String {
        match ending {
            Ending::Already => "completed: nothing was left to do, nothing was sent".to_owned(),
            Ending::Cancelled { reason } => format!("cancelled: {reason}"),
            Ending::StbTaken { holder } => format!(
                "rejected at the head of its queue: the STB is held by smartcard {}",
                serial_number(&self.state.view(), *holder)
            ),
            Ending::CardFull { stbs } => format!(
                "rejected at the head of its queue: the smartcard has as many STBs as its provider allows: {}",
                admission::serials(&self.state.view(), stbs.iter())
            ),
            Ending::ProviderUnreachable => {
                "rejected: the CAS could not be reached before the patience ran out".to_owned()
            }
            Ending::ScriptError { text } => {
                format!("rejected: the mapping's script failed: {text}")
            }
        }
    }
}

fn begun_words(begun: &Begun) -> String {
    let purpose = match begun.purpose {
        Purpose::Command => "command",
        Purpose::Query => "query",
    };
    let step = match &begun.plan {
        Some(plan) if plan.len() > 1 => format!(", step {} of {}", begun.step + 1, plan.len()),
        _ if begun.step > 0 => format!(", step {}", begun.step + 1),
        _ => String::new(),
    };
    format!(
        "attempt {}: {purpose} recorded, to go out as transaction {}{step} (run {})",
        begun.attempt, begun.transaction, begun.run
    )
}

fn settled_words(settled: &Settled, zone: Tz) -> String {
    let outcome = outcome_words(
        settled.outcome,
        settled.code.as_deref(),
        settled.text.as_deref(),
    );
    let then = match &settled.then {
        Then::Completed => "completed".to_owned(),
        Then::NextStep => "the next step follows".to_owned(),
        Then::Rejected { in_doubt: false } => "rejected".to_owned(),
        Then::Rejected { in_doubt: true } => "rejected, and the pairing is in doubt".to_owned(),
        Then::Waiting { until, .. } => format!("waits until {}", local_time(*until, zone)),
        Then::InDoubt { until } => format!("in doubt until {}", local_time(*until, zone)),
        Then::Held { reason } => format!("held: {reason}"),
    };
    format!("attempt {}: {outcome}; {then}", settled.attempt)
}

fn late_words(answer: &LateAnswer) -> String {
    let outcome = outcome_words(
        answer.outcome,
        answer.code.as_deref(),
        answer.text.as_deref(),
    );
    let effect = match answer.effect {
        LateEffect::Nothing => "nothing changes",
        LateEffect::Completes => "completed",
        LateEffect::NextStep => "the next step follows",
        LateEffect::Rejects => "rejected",
        LateEffect::MarksDoubt => "the pairing is in doubt",
    };
    format!(
        "late answer to transaction {}: {outcome}; {effect}",
        answer.transaction
    )
}

/// An outcome in words, with what the CAS said.
pub(super) fn outcome_words(outcome: Outcome, code: Option<&str>, text: Option<&str>) -> String {
    let said = match (code, text) {
        (Some(code), Some(text)) => format!(": code {code}, {text}"),
        (Some(code), None) => format!(": code {code}"),
        (None, Some(text)) => format!(": {text}"),
        (None, None) => String::new(),
    };
    let words = match outcome {
        Outcome::Ok => "the CAS accepted it".to_owned(),
        Outcome::Already => "the CAS holds it already".to_owned(),
        Outcome::Refused => "the CAS refused it".to_owned(),
        Outcome::Busy { seconds } => format!("the CAS is busy and asks for {seconds} s"),
        Outcome::Retry => "the CAS reported a passing fault".to_owned(),
        Outcome::Fatal => "the CAS cannot work with this provider".to_owned(),
        Outcome::NotSent => "nothing was sent".to_owned(),
        Outcome::Unknown => "sent, and no answer came".to_owned(),
    };
    format!("{words}{said}")
}
