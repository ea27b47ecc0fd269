//! What the mapping workbench needs of the record: frames that went out and their answers, to encode and decode them again; and a
//! place for live exchanges.

use serde::{Deserialize, Serialize};

use super::Actions;
use crate::commit::Command;
use crate::domain::event::{Begun, Event, Frame, Settled, Tried};
use crate::domain::{
    Outcome, ProviderNumber, Purpose, Refusal, RequestNumber, Step, Timestamp, View,
};

/// Frames of one answer.
pub const SENT_MAX: usize = 500;
/// Requests that are looked through for them.
const LOOKED_THROUGH_MAX: usize = 100_000;

/// A command that went out, as it was recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentFrame {
    pub request: u64,
    pub attempt: u32,
    pub at: Timestamp,
    pub transaction: u64,
    pub key: String,
    pub step: Step,
    pub frame: Frame,
    pub mapping_sha256: String,
    /// The answer that settled it, if one did.
    pub answer: Option<HeardFrame>,
}

/// An answer as it was recorded, with what `decode` made of it then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeardFrame {
    pub frame: Frame,
    pub outcome: Outcome,
    pub code: Option<String>,
    pub reference: Option<String>,
}

impl Actions {
    /// The latest commands that went out to a provider, the newest first.
    pub fn sent_frames(&self, provider: ProviderNumber, limit: usize) -> Vec<SentFrame> {
        let limit = limit.min(SENT_MAX);
        let mut sent = Vec::new();
        let last = self.state.view().meta().last_request;
        let first = last.saturating_sub(LOOKED_THROUGH_MAX as u64);
        for number in (first.max(1)..=last).rev() {
            if sent.len() >= limit {
                break;
            }
            let request = self.state.view().request(RequestNumber(number));
            if let Some(request) = request.filter(|request| request.provider == provider) {
                self.sent_of(request.latest, &mut sent);
            }
        }
        sent.truncate(limit);
        sent
    }

    /// The attempts of one request, the latest first. The plan stands with the first of them.
    fn sent_of(&self, latest: crate::domain::Position, sent: &mut Vec<SentFrame>) {
        let mut attempts: Vec<(Begun, Timestamp, Option<HeardFrame>)> = Vec::new();
        let mut at = latest;
        // Walked backwards, the end of an attempt comes before its beginning.
        let (mut answer, mut has_left): (Option<HeardFrame>, bool) = (None, false);
        let mut plan = None;
        while let Some((event, when, _)) = self.event(at) {
            at = event.before();
            match event {
                Event::AttemptBegun(begun) => {
                    let found = answer.take();
                    plan = begun.plan.clone().or(plan);
                    // What never left, or is still out, is no example.
                    if std::mem::take(&mut has_left) && attempts.len() < SENT_MAX {
                        attempts.push((begun, when, found));
                    }
                }
                Event::AttemptSettled(settled) => {
                    has_left = settled.outcome != Outcome::NotSent;
                    answer = heard(settled);
                }
                _ => {}
            }
        }
        let plan = plan.unwrap_or_default();
        for (begun, at, answer) in attempts {
            let step = plan.get(usize::from(begun.step));
            let Some(step) = step.filter(|_| begun.purpose == Purpose::Command) else {
                continue;
            };
            sent.push(SentFrame {
                request: begun.request.0,
                attempt: begun.attempt,
                at,
                transaction: begun.transaction,
                key: begun.key,
                step: step.clone(),
                frame: begun.frame,
                mapping_sha256: begun.mapping_sha256,
                answer,
            });
        }
    }

    /// Records a live exchange of the workbench: before its command goes out, and after.
    pub fn record_try(&self, by: &str, tried: Tried) -> Result<(), Refusal> {
        let events = vec![Event::ExchangeTried(Box::new(tried))];
        self.door.call(by, Command::Record(events)).map(|_| ())
    }
}

fn heard(settled: Settled) -> Option<HeardFrame> {
    Some(HeardFrame {
        frame: settled.frame?,
        outcome: settled.outcome,
        code: settled.code,
        reference: settled.reference,
    })
}
