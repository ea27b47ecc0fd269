//! stub
use crate::domain::Timestamp;
use crate::script::contract::{Decoded, EncodeContext, Encoded, SessionStep};

pub struct Dialogue;
impl Dialogue {
    pub(super) fn open(&mut self, _ctx: &EncodeContext) -> Result<SessionStep, String> { Err(String::new()) }
    pub(super) fn hear(&mut self, _frame: &[u8]) -> Result<SessionStep, String> { Err(String::new()) }
    pub(super) fn keepalive(&mut self, _ctx: &EncodeContext) -> Result<Encoded, String> { Err(String::new()) }
    pub(super) fn decode(&mut self, _frame: &[u8], _now: Timestamp) -> Result<Decoded, String> { Err(String::new()) }
}
