//! Why a request has not gone out, or what became of it: reasons in plain words, its whole history, the next command to type.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::items::serial_number;
use super::local_time::local_time;
use super::past::{Happened, outcome_words};
use super::requests::RequestRow;
use super::status::Setting;
use super::{Actions, find};
use crate::config::ProcessingMode;
use crate::domain::event::{Event, Settled, Then};
use crate::domain::{Phase, ProviderRow, Refusal, Request, RequestIdentifier, RequestNumber, View};

/// What `request explain` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    pub request: RequestRow,
    /// The first is the nearest to what to do.
    pub reasons: Vec<Reason>,
    pub history: Vec<Happened>,
    /// Commands to type next; empty where nothing is to be done.
    pub next: Vec<String>,
}

/// One thing that stands in the way, or the ending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub code: ReasonCode,
    pub text: String,
}

/// The reasons as a program tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    Scheduled,
    Behind,
    ProviderMissing,
    ProviderNotEffective,
    ProviderPaused,
    CircuitOpen,
    NothingSends,
    Manual,
    Due,
    Waiting,
    Sending,
    InDoubt,
    Held,
    /// Answers came that match no command.
    Unmatched,
    Completed,
    Rejected,
}

impl Actions {
    pub fn explain(
        &self,
        named: &RequestIdentifier,
        setting: &Setting,
    ) -> Result<Explanation, Refusal> {
        let request = find::request(&self.state.view(), named)?;
        let mut telling = Telling {
            actions: self,
            setting,
            request: &request,
            reasons: Vec::new(),
            next: Vec::new(),
        };
        telling.tell();
        let (reasons, next) = (telling.reasons, telling.next);
        Ok(Explanation {
            request: self.request_row(&request),
            reasons,
            history: self.past(&request, setting.zone()),
            next,
        })
    }
}

/// One explanation in the making.
struct Telling<'a> {
    actions: &'a Actions,
    setting: &'a Setting,
    request: &'a Arc<Request>,
    reasons: Vec<Reason>,
    next: Vec<String>,
}

impl Telling<'_> {
    fn tell(&mut self) {
        let number = self.request.number;
        match self.request.phase {
            Phase::Completed => self.completed(),
            Phase::Rejected => self.rejected(),
            Phase::Sending => {
                let text = format!(
                    "attempt {} is in flight as transaction {}; its answer or time-out ends it",
                    self.request.latest_attempt, self.request.transaction
                );
                self.because(ReasonCode::Sending, text);
                self.unmatched();
            }
            Phase::Held => {
                let text = format!("held for an operator: {}", self.held_reason());
                self.because(ReasonCode::Held, text);
                self.unmatched();
                for resolution in ["done", "not-done", "send-again"] {
                    self.then(format!(
                        "pairbox request resolve {number} {resolution} --reason TEXT"
                    ));
                }
            }
            Phase::Pending | Phase::Waiting | Phase::InDoubt => self.not_gone_out(),
        }
    }

    fn not_gone_out(&mut self) {
        let request = self.request;
        match request.phase {
            Phase::Waiting => self.waiting(),
            Phase::InDoubt => self.in_doubt(),
            _ => {}
        }
        let now = self.actions.clock.now();
        if !request.is_due(now) {
            let due = local_time(request.due, self.setting.zone());
            self.because(ReasonCode::Scheduled, format!("scheduled for {due}"));
            self.then(format!(
                "pairbox request cancel {} --reason TEXT",
                request.number
            ));
        }
        self.behind();
        let provider = self.actions.state.view().provider(request.provider);
        if let Some(provider) = provider {
            self.provider(&provider);
        }
        self.nobody_sends();
        if self.reasons.is_empty() {
            let text = "due, and nothing stands in its way: it goes out with the next turn";
            self.because(ReasonCode::Due, text.to_owned());
        }
    }

    fn waiting(&mut self) {
        let request = self.request;
        let again = local_time(request.again_at, self.setting.zone());
        let error = match self.settled() {
            Some(Settled {
                then: Then::NextStep,
                ..
            }) => "the step before it was acknowledged".to_owned(),
            Some(settled) => outcome_words(
                settled.outcome,
                settled.code.as_deref(),
                settled.text.as_deref(),
            ),
            None => "an operator decided so".to_owned(),
        };
        let text = format!(
            "waits until {again} after attempt {}: {error}",
            request.latest_attempt
        );
        self.because(ReasonCode::Waiting, text);
        self.then(format!("pairbox request retry {}", request.number));
    }

    fn in_doubt(&mut self) {
        let request = self.request;
        let again = local_time(request.again_at, self.setting.zone());
        let text = format!(
            "in doubt: attempt {} was sent and no answer came; settled by a late answer, or tried again at {again}",
            request.latest_attempt
        );
        self.because(ReasonCode::InDoubt, text);
        self.unmatched();
        self.then(format!("pairbox request retry {}", request.number));
        self.then(format!(
            "pairbox request resolve {} done|not-done --reason TEXT",
            request.number
        ));
    }

    /// Answers that came since its attempt began and that nobody waits for: one of them may be its own.
    fn unmatched(&mut self) {
        let health = self.actions.health.get(self.request.provider);
        let begun = self.actions.event(self.request.begun);
        let (Some(unmatched), Some((Event::AttemptBegun(begun), at, _))) =
            (health.and_then(|health| health.unmatched), begun)
        else {
            return;
        };
        if unmatched.at < at {
            return;
        }
        let text = format!(
            "{}; this command's key is `{}`",
            unmatched.words(),
            begun.key
        );
        self.because(ReasonCode::Unmatched, text);
        let provider = self.actions.state.view().provider(self.request.provider);
        if let Some(provider) = provider {
            self.then(format!("pairbox mapping test {} --trace", provider.mapping));
        }
    }

    fn behind(&mut self) {
        let place = self.request.place();
        let view = self.actions.state.view();
        let mut ahead: Vec<(RequestNumber, String)> = Vec::new();
        for item in self.request.queues() {
            let queue = view.queue(item);
            let before = queue.iter().take_while(|other| **other != place);
            let Some(first) = before.clone().next() else {
                continue;
            };
            let noun = if item == self.request.card {
                "smartcard"
            } else {
                "STB"
            };
            let phase = view
                .request(first.number)
                .map_or("gone", |request| request.phase.word())
                .replace('_', " ");
            let more = match before.count() {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            let text = format!(
                "behind request {} ({phase}){more} for the same {noun} {}",
                first.number,
                serial_number(&view, item)
            );
            ahead.push((first.number, text));
        }
        drop(view);
        for (number, text) in ahead {
            self.because(ReasonCode::Behind, text);
            self.then(format!("pairbox request explain {number}"));
        }
    }

    fn provider(&mut self, provider: &ProviderRow) {
        let name = &provider.name;
        if !provider.is_configured {
            let text = format!("provider {name} is missing from the configuration");
            self.because(ReasonCode::ProviderMissing, text);
            self.then(format!(
                "put [[provider]] name = \"{name}\" back and restart"
            ));
            return;
        }
        if !provider.is_effective {
            let text = format!("provider {name} is NOT_EFFECTIVE in the configuration");
            self.because(ReasonCode::ProviderNotEffective, text);
            self.then(format!("set state = \"EFFECTIVE\" for {name} and restart"));
        }
        let is_paused = provider.is_paused(self.actions.clock.now());
        if let Some(pause) = provider.pause.as_ref().filter(|_| is_paused) {
            let zone = self.setting.zone();
            let until = pause.until.map_or_else(
                || "until it is resumed".to_owned(),
                |until| format!("until {}", local_time(until, zone)),
            );
            let text = format!(
                "provider {name} was paused by {} at {}, {until}: {}",
                pause.by,
                local_time(pause.since, zone),
                pause.reason
            );
            self.because(ReasonCode::ProviderPaused, text);
            self.then(format!("pairbox provider resume {name}"));
        }
        let health = self.actions.health.get(self.request.provider);
        if let Some(why) = health.and_then(|health| health.circuit_open) {
            let text = format!("the circuit of provider {name} is open: {why}");
            self.because(ReasonCode::CircuitOpen, text);
            self.then("pairbox provider list".to_owned());
        }
    }

    fn nobody_sends(&mut self) {
        if !self.setting.is_serving {
            let text = "no server is running, so nothing goes out";
            self.because(ReasonCode::NothingSends, text.to_owned());
            self.then("pairbox serve".to_owned());
            self.then("pairbox process".to_owned());
        } else if self.setting.processing() == ProcessingMode::Manual {
            let text = "processing is manual: nothing goes out by itself";
            self.because(ReasonCode::Manual, text.to_owned());
            self.then("pairbox process".to_owned());
        }
    }

    fn completed(&mut self) {
        let text = match self.ended() {
            Some(Event::RequestEnded { .. }) => {
                "completed: nothing was left to do, nothing was sent".to_owned()
            }
            Some(Event::RequestResolved { reason, .. }) => {
                format!("completed by an operator's word: {reason}")
            }
            Some(Event::LateAnswer(_)) => "completed by a late answer of the CAS".to_owned(),
            _ => format!(
                "completed: the CAS accepted it at attempt {}",
                self.request.latest_attempt
            ),
        };
        self.because(ReasonCode::Completed, text);
    }

    fn rejected(&mut self) {
        let request = self.request;
        let details = self.actions.details(request);
        let error = details
            .and_then(|details| details.error)
            .unwrap_or_default();
        let who = if error.provider_code.is_some() || error.provider_description.is_some() {
            "rejected by the CAS"
        } else {
            "rejected here"
        };
        let words = [error.code, error.description];
        let words: Vec<String> = words.into_iter().flatten().collect();
        let text = if words.is_empty() {
            who.to_owned()
        } else {
            format!("{who}: {}", words.join(", "))
        };
        self.because(ReasonCode::Rejected, text);
        self.then(format!("pairbox request retry {}", request.number));
    }

    fn held_reason(&self) -> String {
        match self.ended() {
            Some(
                Event::RequestHeld { reason, .. }
                | Event::AttemptSettled(Settled {
                    then: Then::Held { reason },
                    ..
                }),
            ) => reason,
            _ => "the reason is in its history".to_owned(),
        }
    }

    fn ended(&self) -> Option<Event> {
        self.actions
            .event(self.request.ended)
            .map(|(event, ..)| event)
    }

    /// The end of the latest attempt, if that is what it waits for.
    fn settled(&self) -> Option<Settled> {
        match self.actions.event(self.request.answered) {
            Some((Event::AttemptSettled(settled), ..)) => Some(settled),
            _ => None,
        }
    }

    fn because(&mut self, code: ReasonCode, text: String) {
        self.reasons.push(Reason { code, text });
    }

    fn then(&mut self, command: String) {
        if !self.next.contains(&command) {
            self.next.push(command);
        }
    }
}
