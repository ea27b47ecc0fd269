//! Which kinds of cases a mapping needs, by what it declares, and which of them it has.
//!
//! A command without a golden frame is one that nobody has compared with the vendor's paper.

use super::file::Case;
use crate::script::contract::{Ability, Action};
use crate::script::mapping::Mapping;

/// A kind of case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub name: &'static str,
    /// A frame that goes out; else what an answer means.
    pub is_command: bool,
    /// What the mapping declares asks for it; else why it does not.
    pub is_needed: Result<(), &'static str>,
    pub is_there: bool,
}

impl Kind {
    pub fn is_missing(&self) -> bool {
        self.is_needed.is_ok() && !self.is_there
    }
}

pub(super) fn kinds(mapping: &Mapping, cases: &[&Case]) -> Vec<Kind> {
    let description = mapping.description();
    let caps = &description.caps;
    let golden = |wanted: Action, is_swap: bool| {
        cases.iter().any(|case| {
            case.frames.is_some()
                && case.request.as_ref().is_some_and(|request| {
                    request.action == wanted && (!is_swap || request.previous_stb.is_some())
                })
        })
    };
    let outcome = |wanted: &str| {
        let outcomes = cases.iter().filter_map(|case| case.outcome.as_ref());
        outcomes.into_iter().any(|outcome| outcome.is(wanted))
    };
    let declared = |is_declared: bool| {
        if is_declared {
            Ok(())
        } else {
            Err("`caps` does not declare it")
        }
    };
    let keeps_alive = if description.session.keepalive_every.is_zero() {
        Err("its session sends none")
    } else {
        Ok(())
    };
    let has_pin = caps.pin != Ability::No;
    let command = |name, is_needed, is_there| Kind {
        name,
        is_command: true,
        is_needed,
        is_there,
    };
    let reply = |name, is_there| Kind {
        name,
        is_command: false,
        is_needed: Ok(()),
        is_there,
    };
    vec![
        command("pair", declared(caps.pair), golden(Action::Pair, false)),
        command(
            "unpair",
            declared(caps.unpair),
            golden(Action::Unpair, false),
        ),
        command("swap", declared(caps.pair), golden(Action::Pair, true)),
        command(
            "keepalive",
            keeps_alive,
            cases.iter().any(|case| case.keepalive.is_some()),
        ),
        command(
            "add products",
            declared(caps.products),
            golden(Action::AddProducts, false),
        ),
        command(
            "cancel products",
            declared(caps.products),
            golden(Action::CancelProducts, false),
        ),
        command(
            "reset a PIN",
            declared(has_pin),
            golden(Action::ResetPin, false),
        ),
        command(
            "query",
            declared(caps.query),
            cases.iter().any(|case| case.query.is_some()),
        ),
        reply("acknowledgement", outcome("ok")),
        reply("refusal", outcome("refused")),
        reply("garbage", outcome("ignore")),
    ]
}
