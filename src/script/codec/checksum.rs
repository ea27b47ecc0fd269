//! Checksums over a whole blob: the script takes a part with `frame.bytes(at, length)` first.
//!
//! Two CRC-16 are in use in the field and differ in start value and bit order, so both carry their name.

use rhai::{Blob, Engine, INT};

use super::pure;
use crate::domain::checksum::{crc16_ccitt, crc16_modbus, crc32, lrc, xor};

pub(super) fn register(engine: &mut Engine) {
    pure("crc16_ccitt")
        .register_into_engine(engine, |frame: &mut Blob| INT::from(crc16_ccitt(frame)));
    pure("crc16_modbus")
        .register_into_engine(engine, |frame: &mut Blob| INT::from(crc16_modbus(frame)));
    pure("crc32").register_into_engine(engine, |frame: &mut Blob| INT::from(crc32(frame)));
    pure("xor").register_into_engine(engine, |frame: &mut Blob| INT::from(xor(frame)));
    pure("lrc").register_into_engine(engine, |frame: &mut Blob| INT::from(lrc(frame)));
}
