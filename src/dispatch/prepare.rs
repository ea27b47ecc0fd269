//! From a request at the head of its queues to the `begin` command: plan, step, bytes.

use std::sync::Arc;

use super::attempts::Flight;
use super::line::{LaneState, Line};
use super::step::Recall;
use crate::commit::Begin;
use crate::domain::event::{Begun, Event, Frame};
use crate::domain::{
    Acknowledges, Ambiguous, Confirms, ItemNumber, Purpose, Request, Stbs, Step, Timestamp, View,
};
use crate::provider::{Looked, Provider};
use crate::script::ScriptError;
use crate::script::contract::{EncodeContext, MappingRequest, texts};

/// What goes to the writer, and what is kept until it answers.
pub struct Prepared {
    pub begin: Begin,
    pub flight: Flight,
}

/// What one attempt is made with.
pub struct Slot {
    pub handle: u64,
    pub lane: LaneState,
    pub transaction: u64,
    pub run: u64,
    pub now: Timestamp,
    pub is_alone: bool,
}

/// Plans (or recalls the plan), encodes the next step, or the query if the policy asks first.
pub fn prepare(
    line: &mut Line,
    view: &dyn View,
    recall: &Recall,
    request: &Request,
    leaves: &Stbs,
    slot: &Slot,
) -> Result<Prepared, ScriptError> {
    let provider = line.provider.clone();
    // It was declared when the request was accepted; a reload may have brought another mapping.
    provider
        .mapping
        .check_offers(request.action(), &provider.settings)?;
    let asked = mapping_request(line, view, request, leaves)?;
    let (plan, is_new) = match known_plan(line, recall, request) {
        Some(plan) => (plan, false),
        None => (
            Arc::new(plan(&provider, view, request, &asked, leaves)?),
            true,
        ),
    };
    line.plans.insert(request.number, plan.clone());
    let purpose = purpose(line, request, &plan);
    let context = EncodeContext {
        transaction: slot.transaction,
        now: slot.now,
        lane: slot.lane.id.lane,
    };
    let step = plan.get(usize::from(request.steps_acknowledged));
    let (encoded, acknowledges) = match (purpose, step) {
        (Purpose::Query, _) => (
            provider
                .mapping
                .query(&asked, &context, &provider.settings)?,
            Acknowledges::end_of(&plan),
        ),
        (Purpose::Command, Some(step)) => (
            provider
                .mapping
                .encode(step, &context, &provider.settings)?,
            step.acknowledges(),
        ),
        (Purpose::Command, None) => {
            let encoded =
                provider
                    .mapping
                    .encode(&lone_step(&asked), &context, &provider.settings)?;
            (encoded, Acknowledges::end_of(&plan))
        }
    };
    let begin = Begin {
        request: request.number,
        handle: slot.handle,
        purpose,
        transaction: slot.transaction,
        key: encoded.key.clone(),
        step: request.steps_acknowledged,
        plan: is_new.then(|| (*plan).clone()),
        leaves: leaves.clone(),
        run: slot.run,
        frame: Frame::of(&encoded.body, true),
        mapping_sha256: provider.mapping.sha256().to_owned(),
    };
    let flight = Flight {
        request: request.number,
        lane: slot.lane.id,
        connection: slot.lane.connection.unwrap_or(0),
        attempt: None,
        purpose,
        step: request.steps_acknowledged,
        transaction: slot.transaction,
        key: encoded.key,
        acknowledges,
        items: [Some(request.card), request.stb]
            .into_iter()
            .flatten()
            .chain(leaves.iter())
            .collect(),
        body: encoded.body,
        is_alone: slot.is_alone,
    };
    Ok(Prepared { begin, flight })
}

fn purpose(line: &Line, request: &Request, plan: &[Step]) -> Purpose {
    let asks_first =
        line.retry.ambiguous == Ambiguous::Query && line.provider.mapping.description().caps.query;
    let rest = plan.get(usize::from(request.steps_acknowledged)..);
    let may_ask = request.unknown_attempts > 0 && request.changes_pairing();
    if may_ask && asks_first && is_told_by_a_query(rest.unwrap_or_default()) {
        Purpose::Query
    } else {
        Purpose::Command
    }
}

/// Whether the answer to a query speaks for the step that is due: it says whether the CAS holds what the request asks for in
/// the end, and a "no" leaves it open whether an earlier change, as the unpair of a swap, was carried out.
fn is_told_by_a_query(rest: &[Step]) -> bool {
    let changes = |step: &Step| step.confirms != Confirms::None;
    match rest.split_first() {
        Some((due, later)) => !changes(due) || !later.iter().any(changes),
        None => true,
    }
}

fn mapping_request(
    line: &Line,
    view: &dyn View,
    request: &Request,
    leaves: &Stbs,
) -> Result<MappingRequest, ScriptError> {
    let provider = &line.provider;
    let neighbours =
        Looked::up(view, provider, request.card, request.stb, leaves).normalized(provider)?;
    Ok(MappingRequest {
        action: request.action(),
        number: request.number.0,
        card: request.card_ca.to_string(),
        stb: request.stb_ca.as_deref().map(str::to_owned),
        previous_stb: neighbours.previous_stb(),
        products: texts(request.products()),
        neighbours,
    })
}

/// The plan as it was recorded with the first attempt.
fn known_plan(line: &Line, recall: &Recall, request: &Request) -> Option<Arc<Vec<Step>>> {
    if !request.is_bound() {
        return None;
    }
    if let Some(plan) = line.plans.get(&request.number) {
        return Some(plan.clone());
    }
    let mut at = request.begun;
    while at.is_some() {
        let event = recall(at)?;
        if let Event::AttemptBegun(Begun {
            plan: Some(plan), ..
        }) = event
        {
            return Some(Arc::new(plan));
        }
        at = event.before();
    }
    None
}

/// The mapping's plan. Where a card can have several STBs in the CAS each step says what it alone ends or begins, so the steps
/// must take the card out of every STB that it leaves.
fn plan(
    provider: &Provider,
    view: &dyn View,
    request: &Request,
    asked: &MappingRequest,
    leaves: &Stbs,
) -> Result<Vec<Step>, ScriptError> {
    let mut plan = provider.mapping.plan(asked, &provider.settings)?;
    let caps = &provider.mapping.description().caps;
    if !caps.lets_cards_have_several() || !request.changes_pairing() {
        return Ok(plan);
    }
    let left = leaves.iter().filter(|stb| view.item(*stb).is_some());
    let ca_ids = asked.neighbours.leaves.iter().map(|left| left.stb.as_str());
    let mut to_leave: Vec<(ItemNumber, &str)> = left.zip(ca_ids).collect();
    for step in &mut plan {
        match step.confirms {
            Confirms::Pair => step.confirms = Confirms::PairBeside,
            Confirms::Unpair if step.stb.is_none() => to_leave.clear(),
            Confirms::Unpair => {
                let is_it = |ca_id: &str| step.stb.as_deref() == Some(ca_id);
                let found = to_leave.iter().position(|(_, ca_id)| is_it(ca_id));
                // A CAS may want to be told what the card is to have anew.
                let own = request
                    .stb
                    .filter(|_| asked.stb.as_deref().is_some_and(is_it));
                step.leaves = found.map(|at| to_leave.remove(at).0).or(own);
                if step.leaves.is_none() {
                    let stb = step.stb.as_deref().unwrap_or_default();
                    return Err(provider.mapping.strange_plan(&format!(
                        "a step confirms the unpair from `{stb}`, which is none of the STBs in `request.leaves`"
                    )));
                }
            }
            Confirms::PairBeside | Confirms::None => {}
        }
    }
    match to_leave.first() {
        None => Ok(plan),
        Some((_, stb)) => Err(provider.mapping.strange_plan(&format!(
            "no step confirms the unpair from `{stb}`, one of the STBs in `request.leaves`"
        ))),
    }
}

fn lone_step(asked: &MappingRequest) -> Step {
    Step {
        confirms: Confirms::of(asked.action),
        card: asked.card.clone(),
        stb: asked.stb.clone(),
        leaves: None,
        data: serde_json::Value::Null,
    }
}
