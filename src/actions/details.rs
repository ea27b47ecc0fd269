//! A request with its texts: the row from the state, the words from the ledger lines that it names.

use std::sync::Arc;

use super::Actions;
use crate::commit::Fresh;
use crate::domain::admission;
use crate::domain::event::{
    Accepted, Begun, Ending, Event, Frame, LateAnswer, LateEffect, Resolution, Settled, Then,
};
use crate::domain::{Position, Request, Timestamp, View};

/// What `show`, `list` and `explain` tell of a request.
#[derive(Clone, Debug)]
pub struct RequestDetails {
    pub request: Arc<Request>,
    pub accepted: Accepted,
    pub created_at: Timestamp,
    pub created_by: String,
    pub updated_at: Timestamp,
    pub updated_by: String,
    /// What was sent last and what was received last.
    pub sent: Option<Frame>,
    pub received: Option<Frame>,
    pub reference: Option<String>,
    pub error: Option<ErrorWords>,
}

/// Why a request was rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorWords {
    pub code: Option<String>,
    pub description: Option<String>,
    /// The CAS's own; none for endings of ours.
    pub provider_code: Option<String>,
    pub provider_description: Option<String>,
}

impl Actions {
    /// Reads a request's texts. A line that cannot be read is told as an error of the log, not of the caller.
    pub fn details(&self, request: &Arc<Request>) -> Option<RequestDetails> {
        self.details_of(request.clone(), None)
    }

    /// As `details`; the acceptance is not read where it is at hand.
    pub fn details_of(
        &self,
        request: Arc<Request>,
        fresh: Option<Box<Fresh>>,
    ) -> Option<RequestDetails> {
        let Fresh {
            accepted,
            at: created_at,
            by: created_by,
        } = match fresh {
            Some(fresh) => *fresh,
            None => self.acceptance(request.accepted)?,
        };
        // Right after its acceptance a request has one line, which is not read twice.
        let latest = (request.latest != request.accepted).then_some(request.latest);
        let (updated_at, updated_by) = match latest.and_then(|latest| self.event(latest)) {
            Some((_, at, by)) => (at, by),
            None => (created_at, created_by.clone()),
        };
        let positions = (request.begun, request.answered, request.ended);
        let mut details = RequestDetails {
            request,
            accepted,
            created_at,
            created_by,
            updated_at,
            updated_by,
            sent: None,
            received: None,
            reference: None,
            error: None,
        };
        let (begun, answered, ended) = positions;
        if let Some((Event::AttemptBegun(Begun { frame, .. }), ..)) = self.event(begun) {
            details.sent = Some(frame);
        }
        if let Some((event, ..)) = self.event(answered) {
            details.add_answer(event);
        }
        if ended != answered
            && let Some((event, ..)) = self.event(ended)
        {
            details.add_ending(&event, &self.state.view());
        }
        Some(details)
    }

    fn acceptance(&self, position: Position) -> Option<Fresh> {
        let (event, at, by) = self.event(position)?;
        let accepted = event.into_accepted()?;
        Some(Fresh { accepted, at, by })
    }

    /// The event at a position, with when and by whom; none for no position.
    pub fn event(&self, position: Position) -> Option<(Event, Timestamp, String)> {
        if !position.is_some() {
            return None;
        }
        let entry = match self.ledger.line(position) {
            Ok(entry) => entry,
            Err(error) => {
                tracing::error!(%error, seq = position.seq, "a ledger line that the state names cannot be read");
                return None;
            }
        };
        match serde_json::from_str(entry.event.get()) {
            Ok(event) => Some((event, entry.at, entry.by)),
            Err(error) => {
                tracing::error!(%error, seq = position.seq, "a ledger event cannot be understood");
                None
            }
        }
    }
}

impl RequestDetails {
    fn add_answer(&mut self, event: Event) {
        match event {
            Event::AttemptSettled(Settled {
                code,
                text,
                reference,
                frame,
                then,
                ..
            }) => {
                if matches!(then, Then::Rejected { .. }) {
                    self.error = Some(refused(code, text, frame.as_ref()));
                }
                self.received = frame;
                self.reference = reference;
            }
            Event::LateAnswer(LateAnswer {
                code,
                text,
                reference,
                frame,
                effect,
                ..
            }) => {
                if effect == LateEffect::Rejects {
                    self.error = Some(refused(code, text, Some(&frame)));
                }
                self.received = Some(frame);
                self.reference = reference;
            }
            _ => {}
        }
    }

    fn add_ending(&mut self, event: &Event, view: &dyn View) {
        let (code, description) = match event {
            Event::RequestEnded { ending, .. } => (ending.error_code(), ending_words(ending, view)),
            Event::RequestResolved {
                resolution: Resolution::NotDone,
                reason,
                ..
            } => (Some("RESOLVED_NOT_DONE"), Some(reason.clone())),
            _ => return,
        };
        let Some(code) = code else { return };
        // Endings of our own fill `error_code` only (`api.md` section 6); the words are for `explain`.
        self.error = Some(ErrorWords {
            code: Some(code.to_owned()),
            description,
            ..ErrorWords::default()
        });
    }
}

fn refused(code: Option<String>, text: Option<String>, frame: Option<&Frame>) -> ErrorWords {
    ErrorWords {
        code: code.clone(),
        description: text,
        provider_code: code,
        provider_description: frame.map(|frame| frame.bytes.clone()),
    }
}

fn ending_words(ending: &Ending, view: &dyn View) -> Option<String> {
    match ending {
        Ending::Already => None,
        Ending::Cancelled { reason } => Some(reason.clone()),
        Ending::StbTaken { holder } => Some(format!(
            "the STB is held by smartcard {}",
            admission::serial(view, *holder)
        )),
        Ending::CardFull { stbs } => {
            let held = admission::serials(view, stbs.iter());
            Some(format!(
                "the smartcard has as many STBs as its provider allows: {held}"
            ))
        }
        Ending::ProviderUnreachable => {
            Some("the CAS could not be reached before the patience ran out".into())
        }
        Ending::ScriptError { text } => Some(text.clone()),
    }
}
