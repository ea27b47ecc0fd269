//! Checksums that gateways put into their frames: what a framing names and a script's helpers compute.

use serde::{Deserialize, Serialize};

/// Which checksum stands behind a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checksum {
    #[default]
    None,
    /// One byte: all bytes exclusive-ored.
    Xor,
    /// One byte: the two's complement of the sum.
    Lrc,
    /// Two bytes, the high one first.
    Crc16Ccitt,
    /// Two bytes, the low one first, as Modbus sends it.
    Crc16Modbus,
}

impl Checksum {
    pub const ALL: [(&'static str, Self); 5] = [
        ("none", Self::None),
        ("xor", Self::Xor),
        ("lrc", Self::Lrc),
        ("crc16_ccitt", Self::Crc16Ccitt),
        ("crc16_modbus", Self::Crc16Modbus),
    ];

    /// Its bytes in a frame.
    pub fn bytes(self) -> usize {
        match self {
            Self::None => 0,
            Self::Xor | Self::Lrc => 1,
            Self::Crc16Ccitt | Self::Crc16Modbus => 2,
        }
    }

    /// The checksum of `covered` as it is sent.
    pub fn of(self, covered: &[u8]) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Xor => vec![xor(covered)],
            Self::Lrc => vec![lrc(covered)],
            Self::Crc16Ccitt => crc16_ccitt(covered).to_be_bytes().to_vec(),
            Self::Crc16Modbus => crc16_modbus(covered).to_le_bytes().to_vec(),
        }
    }
}

/// All bytes exclusive-ored.
pub fn xor(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

/// The two's complement of the sum.
pub fn lrc(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0_u8, |sum, byte| sum.wrapping_add(*byte))
        .wrapping_neg()
}

/// CRC-16/CCITT-FALSE: polynomial 1021, start FFFF.
pub fn crc16_ccitt(bytes: &[u8]) -> u16 {
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
pub fn crc16_modbus(bytes: &[u8]) -> u16 {
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
pub fn crc32(bytes: &[u8]) -> u32 {
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

    #[test]
    fn a_checksum_is_as_long_as_it_says() {
        for (name, checksum) in Checksum::ALL {
            assert_eq!(checksum.of(b"123456789").len(), checksum.bytes(), "{name}");
        }
        assert_eq!(Checksum::Crc16Modbus.of(b"123456789"), [0x37, 0x4b]);
    }
}
