//! What becomes of a request after an attempt: completed, the next step, another try, doubt, held, rejected.
//!
//! Pure: dispatch calls it with the outcome, the policy and the chance it drew; the writer records the answer.

use std::time::Duration;

use super::event::{Confirmed, LateEffect, Then};
use super::{
    Acknowledges, Ambiguous, Confirms, Outcome, Phase, Position, Purpose, Request, Timestamp, View,
};

/// When to try again, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The last one repeats. Never empty.
    pub delays: Vec<Duration>,
    pub jitter_percent: u8,
    pub give_up_after: Duration,
    pub ambiguous: Ambiguous,
}

impl RetryPolicy {
    /// The wait before the try after `attempts` tries, with `chance` in 0..=99 of the jitter.
    pub fn delay(&self, attempts: u32, chance: u8) -> Duration {
        let at = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let base = self
            .delays
            .get(at)
            .or_else(|| self.delays.last())
            .copied()
            .unwrap_or(Duration::from_mins(1));
        let jitter = base * u32::from(self.jitter_percent) * u32::from(chance.min(99)) / 10_000;
        base + jitter
    }
}

/// An attempt's end, as far as the rule needs it.
#[derive(Clone, Copy, Debug)]
pub struct End {
    pub outcome: Outcome,
    pub purpose: Purpose,
    pub now: Timestamp,
    pub patience_spent: Duration,
    pub chance: u8,
}

/// What follows from an attempt's end.
pub fn settle(request: &Request, end: End, policy: &RetryPolicy) -> Then {
    let is_out_of_patience = end.patience_spent >= policy.give_up_after;
    let delay = policy.delay(request.attempts, end.chance);
    let until = end.now.plus(delay);
    match (end.outcome, end.purpose) {
        (Outcome::Ok | Outcome::Already, Purpose::Query) => Then::Completed,
        (Outcome::Refused, Purpose::Query) => Then::Waiting {
            until: end.now,
            counts: true,
        },
        (Outcome::Ok | Outcome::Already, Purpose::Command) => {
            if request.steps_acknowledged + 1 < request.steps {
                Then::NextStep
            } else {
                Then::Completed
            }
        }
        (Outcome::Refused, Purpose::Command) => Then::Rejected {
            in_doubt: request.unknown_attempts > 0 && request.changes_pairing(),
        },
        (Outcome::Unknown, _) => match policy.ambiguous {
            Ambiguous::Hold => Then::Held {
                reason: "the answer never came; the policy is hold".into(),
            },
            _ if is_out_of_patience => Then::Held {
                reason: "gave up; an attempt ended unknown".into(),
            },
            _ => Then::InDoubt { until },
        },
        _ if request.unknown_attempts > 0 => {
            if is_out_of_patience {
                Then::Held {
                    reason: "gave up; an attempt ended unknown".into(),
                }
            } else {
                Then::InDoubt {
                    until: waits(end.outcome, end.now, until),
                }
            }
        }
        (outcome, _) => {
            let counts = matches!(outcome, Outcome::Retry | Outcome::Fatal);
            Then::Waiting {
                until: waits(outcome, end.now, until),
                counts,
            }
        }
    }
}

fn waits(outcome: Outcome, now: Timestamp, until: Timestamp) -> Timestamp {
    match outcome {
        Outcome::Busy { seconds } => now.plus(Duration::from_secs(u64::from(seconds).min(3600))),
        _ => until,
    }
}

/// The change of the pairing that an acknowledgement confirms.
pub fn confirmed(
    view: &dyn View,
    request: &Request,
    acknowledged: Acknowledges,
) -> Option<Confirmed> {
    let Acknowledges { confirms, leaves } = acknowledged;
    if confirms == Confirms::None || !request.changes_pairing() {
        return None;
    }
    let before = view
        .pairing(request.card)
        .map_or(Position::NONE, |pairing| pairing.recorded);
    let stb = match confirms {
        Confirms::Pair | Confirms::PairBeside => request.stb,
        _ => leaves,
    };
    Some(Confirmed {
        confirms,
        card: request.card,
        stb,
        before,
    })
}

/// An answer to an attempt that is over, as far as the rule needs it.
#[derive(Clone, Copy, Debug)]
pub struct Late {
    pub outcome: Outcome,
    pub purpose: Purpose,
    /// The step that the attempt was for.
    pub step: u8,
    /// Whether the attempt was the latest of the request.
    pub is_latest: bool,
}

/// What an answer changes that comes to an attempt which is over.
pub fn late_effect(request: &Request, late: Late) -> LateEffect {
    let is_command = late.purpose == Purpose::Command;
    match (request.phase, late.outcome) {
        (Phase::Rejected, outcome) if outcome.is_confirmed() && request.changes_pairing() => {
            LateEffect::MarksDoubt
        }
        (Phase::Completed | Phase::Rejected, _) => LateEffect::Nothing,
        // An acknowledgement of a step that is acknowledged already says nothing about the next one.
        (_, outcome) if outcome.is_confirmed() && late.step != request.steps_acknowledged => {
            LateEffect::Nothing
        }
        (_, outcome) if outcome.is_confirmed() => {
            if is_command && request.steps_acknowledged + 1 < request.steps {
                LateEffect::NextStep
            } else {
                LateEffect::Completes
            }
        }
        // A refused query only says that the CAS does not hold it.
        (Phase::InDoubt | Phase::Held, Outcome::Refused) if late.is_latest && is_command => {
            LateEffect::Rejects
        }
        _ => LateEffect::Nothing,
    }
}
