//! What operators may do to requests and providers: cancel, hasten, resolve, pause, resume.

use super::event::{Ending, Event, Resolution};
use super::length::check_reason;
use super::settle::confirmed;
use super::{
    Acknowledges, Phase, ProviderNumber, Refusal, Request, RequestNumber, Timestamp, View,
};

fn known(view: &dyn View, number: RequestNumber) -> Result<std::sync::Arc<Request>, Refusal> {
    view.request(number).ok_or_else(|| Refusal::RequestUnknown {
        field: "number",
        value: number.to_string(),
    })
}

/// Cancel is legal unless an attempt is in flight or unknown, or a step was acknowledged.
pub fn cancel(view: &dyn View, number: RequestNumber, reason: &str) -> Result<Event, Refusal> {
    check_reason(reason)?;
    let request = known(view, number)?;
    if request.phase.is_finished() {
        return Err(Refusal::RequestFinished {
            number,
            state: request.phase.life_cycle_state(),
        });
    }
    if !request.may_cancel() {
        return Err(Refusal::RequestState {
            number,
            verb: "cancelled",
            state: state_words(&request),
        });
    }
    let ending = Ending::Cancelled {
        reason: reason.to_owned(),
    };
    Ok(Event::RequestEnded {
        request: number,
        before: request.latest,
        ending,
    })
}

/// Makes a waiting or doubtful request due now.
pub fn hasten(view: &dyn View, number: RequestNumber) -> Result<Event, Refusal> {
    let request = known(view, number)?;
    match request.phase {
        Phase::Waiting | Phase::InDoubt => Ok(Event::RequestHastened {
            request: number,
            before: request.latest,
        }),
        _ => Err(Refusal::RequestState {
            number,
            verb: "retried",
            state: state_words(&request),
        }),
    }
}

/// Ends a held or doubtful request by what an operator found out, or sends it again.
pub fn resolve(
    view: &dyn View,
    number: RequestNumber,
    resolution: Resolution,
    reason: &str,
) -> Result<Event, Refusal> {
    check_reason(reason)?;
    let request = known(view, number)?;
    let is_open = match resolution {
        Resolution::SendAgain => request.phase == Phase::Held,
        _ => matches!(request.phase, Phase::Held | Phase::InDoubt),
    };
    if !is_open {
        return Err(Refusal::RequestState {
            number,
            verb: "resolved",
            state: state_words(&request),
        });
    }
    let is_of_pairing = resolution == Resolution::Done && request.changes_pairing();
    let confirmed = is_of_pairing
        .then(|| confirmed(view, &request, Acknowledges::all_of(request.action())))
        .flatten();
    let reason = reason.to_owned();
    Ok(Event::RequestResolved {
        request: number,
        before: request.latest,
        resolution,
        reason,
        confirmed,
    })
}

/// Pauses a provider; a new pause replaces an old one.
pub fn pause(
    view: &dyn View,
    number: ProviderNumber,
    reason: &str,
    until: Option<Timestamp>,
) -> Result<Event, Refusal> {
    check_reason(reason)?;
    if view.provider(number).is_none() {
        return Err(Refusal::ProviderUnknown {
            name: number.to_string(),
        });
    }
    Ok(Event::ProviderPaused {
        number,
        reason: reason.to_owned(),
        until,
    })
}

pub fn resume(view: &dyn View, number: ProviderNumber) -> Result<Event, Refusal> {
    let provider = view
        .provider(number)
        .ok_or_else(|| Refusal::ProviderUnknown {
            name: number.to_string(),
        })?;
    if provider.pause.is_none() {
        return Err(Refusal::NotPaused {
            name: provider.name.to_string(),
        });
    }
    Ok(Event::ProviderResumed { number })
}

/// The phase as a refusal words it.
fn state_words(request: &Request) -> String {
    if request.steps_acknowledged > 0 && !request.phase.is_finished() {
        return format!(
            "{}, with {} steps acknowledged",
            request.phase.word(),
            request.steps_acknowledged
        );
    }
    if request.unknown_attempts > 0 && request.phase == Phase::Waiting {
        return "waiting, with an attempt whose end is unknown".into();
    }
    request.phase.word().replace('_', " ")
}
