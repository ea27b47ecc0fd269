//! `POST {family}/provisioning_requests/pair_smartcard_decoder` (489741): pair a card with an STB, or unpair it.
//!
//! "No STB" means unpair, so everything that might be a slip of one is an error: a customer's box must not go dark for it.

use std::sync::Arc;

use super::super::api::Api;
use super::super::reply::Reply;
use super::hand_in::{self, hand_in};
use super::{Call, CallError, identifier};
use crate::actions::pair::PairCall;

const STB: &str = "stb_identifier";

pub const FIELDS: &[&str] = &[
    "subscription_identifier",
    "process_immediately",
    "smartcard_identifier",
    STB,
    "scheduled_date",
    "priority",
];

/// How many edits make another word of `stb_identifier`.
const SLIP_EDITS_MAX: usize = 3;

pub fn pair(api: &Arc<Api>, call: &Call, reply: Reply) {
    hand_in(api, call, ask(api, call), reply);
}

fn ask(api: &Api, call: &Call) -> Result<PairCall, CallError> {
    check_slips(call.parameters.names())?;
    let asked = hand_in::common(api, call)?;
    Ok(PairCall {
        stb: identifier::item(&call.parameters, STB)?,
        priority: hand_in::priority(call)?,
        ..asked
    })
}

/// An unknown field that resembles `stb_identifier` is taken for a slip of it.
fn check_slips<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), CallError> {
    for name in names {
        if name == "token" || FIELDS.contains(&name) {
            continue;
        }
        let folded = name.to_lowercase();
        let is_slip = strsim::levenshtein(name, STB) <= SLIP_EDITS_MAX
            || strsim::levenshtein(&folded, STB) <= SLIP_EDITS_MAX;
        if is_slip {
            return Err(CallError::MisspeltStb {
                found: super::error::shown(name),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_stb_identifier_is_never_an_unpair() {
        for slip in [
            "STB_IDENTIFIER",
            "Stb_Identifier",
            "stbIdentifier",
            "stb-identifier",
            "stb_identifer",
            "stb_identifiers",
            "sbt_identifier",
            "tb_identifi",
        ] {
            let refused = check_slips([slip].into_iter());
            assert_eq!(refused, Err(CallError::MisspeltStb { found: slip.into() }));
        }
        for other in [
            "stb_id",
            "b_identifi",
            "decoder_identifier",
            "smartcard_identifier",
            "token",
            "x",
        ] {
            assert_eq!(check_slips([other].into_iter()), Ok(()), "{other}");
        }
    }
}
