//! Checksums over a whole blob: the script takes a part with `frame.bytes(at, length)` first.
//!
//! Two CRC-16 are in use in the field and differ in start value and bit order, so both carry their name.

use rhai::{Blob, Engine, INT};

use super::pure;

pub(super) fn register(engine: &mut Engine) {
    pure("crc16_ccitt")
        .register_into_engine(engine, |frame: &mut Blob| INT::from(crc16_ccitt(frame)));
    pure("crc16_modbus")
        .register_into_engine(engine, |frame: &mut Blob| INT::from(crc16_modbus(frame)));
    pure("crc32").register_into_engine(engine, |frame: &mut Blob| INT::from(crc32(frame)));
    pure("xor").register_into_engine(engine, |frame: &mut Blob| {
        INT::from(frame.iter().fold(0, |sum, byte| sum ^ byte))
    });
    pure("lrc").register_into_engine(engine, |frame: &mut Blob| {
        let sum = frame.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        INT::from(sum.wrapping_neg())
    });
}

/// CRC-16/CCITT-FALSE: polynomial 1021, start FFFF.
fn crc16_ccitt(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            }
        })
    })
}

/// CRC-16/MODBUS: polynomial 8005 reflected, start FFFF.
fn crc16_modbus(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc: u16, _| {
            if crc & 1 == 0 {
                crc >> 1
            } else {
                (crc >> 1) ^ 0xa001
            }
        })
    })
}

/// CRC-32 of Ethernet and zip.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc: u32, _| {
            if crc & 1 == 0 {
                crc >> 1
            } else {
                (crc >> 1) ^ 0xedb8_8320
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_give_the_catalogued_check_values() {
        assert_eq!(crc16_ccitt(b"123456789"), 0x29b1);
        assert_eq!(crc16_modbus(b"123456789"), 0x4b37);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
