//! The bytes of a CSV become UTF-8, chunk by chunk: a byte order mark decides, else the option.
//!
//! Bytes that are no text end the reading with line and column; nothing is replaced in silence.

use std::io::{ErrorKind, Read};

use encoding_rs::{Decoder, DecoderResult, UTF_8, WINDOWS_1252};

use super::error::{InputFault, Located};
use super::place::Place;
use super::{Encoding, InputOptions};

/// Read at once; UTF-8 of it is at most three times as much.
const CHUNK_BYTES: usize = 64 * 1024;

pub(super) struct Text<R> {
    source: R,
    decoder: Decoder,
    raw: Box<[u8]>,
    /// Bytes of `raw` that wait to be decoded.
    raw_filled: usize,
    decoded: String,
    /// Bytes of `decoded` that are behind.
    used: usize,
    /// Where `decoded` ends.
    place: Place,
    bytes: u64,
    has_ended: bool,
}

impl<R: Read> Text<R> {
    /// `head`: the first bytes of the source, which were read from it already.
    pub fn new(head: &[u8], source: R, options: &InputOptions) -> Self {
        let said = match options.encoding {
            Encoding::Utf8 => UTF_8,
            Encoding::Latin1 => WINDOWS_1252,
        };
        let (encoding, mark) = encoding_rs::Encoding::for_bom(head).unwrap_or((said, 0));
        let mut raw = vec![0; CHUNK_BYTES].into_boxed_slice();
        let text = head.get(mark..).unwrap_or_default();
        for (into, byte) in raw.iter_mut().zip(text) {
            *into = *byte;
        }
        Self {
            source,
            decoder: encoding.new_decoder_without_bom_handling(),
            bytes: head.len() as u64,
            raw,
            raw_filled: text.len(),
            decoded: String::new(),
            used: 0,
            place: Place::START,
            has_ended: false,
        }
    }

    /// What the file is read as.
    pub fn charset(&self) -> &'static str {
        let encoding = self.decoder.encoding();
        if encoding == WINDOWS_1252 {
            "Latin-1"
        } else {
            encoding.name()
        }
    }

    /// Bytes of the source so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is decoded and not used yet. It may end within a line, but not within a character.
    pub fn ahead(&self) -> &[u8] {
        self.decoded.as_bytes().get(self.used..).unwrap_or_default()
    }

    pub fn use_up(&mut self, bytes: usize) {
        self.used += bytes;
    }

    /// What is not used yet; empty at the end of the file only.
    pub fn fill(&mut self) -> Result<&[u8], Located> {
        while self.ahead().is_empty() && self.more()? {}
        Ok(self.ahead())
    }

    /// Decodes another chunk behind what is there; `false` at the end of the file.
    pub fn more(&mut self) -> Result<bool, Located> {
        if self.has_ended {
            return Ok(false);
        }
        if self.used == self.decoded.len() {
            self.decoded.clear();
            self.used = 0;
        }
        if self.raw_filled == 0 {
            self.read_chunk()?;
        }
        let begin = self.decoded.len();
        let raw = self.raw.get(..self.raw_filled).unwrap_or_default();
        let decoder = &mut self.decoder;
        let bytes_max = decoder.max_utf8_buffer_length_without_replacement(raw.len());
        self.decoded.reserve(bytes_max.unwrap_or(4 * CHUNK_BYTES));
        let (result, _) =
            decoder.decode_to_string_without_replacement(raw, &mut self.decoded, self.has_ended);
        self.raw_filled = 0;
        let new = self.decoded.as_bytes().get(begin..).unwrap_or_default();
        if new.contains(&0) {
            let text = new.split(|byte| *byte == 0).next();
            self.place.pass(text.unwrap_or_default());
            let column = self.place.column();
            return Err(InputFault::ZeroByte { column }.at(self.place.line()));
        }
        self.place.pass(new);
        if result == DecoderResult::InputEmpty {
            return Ok(true);
        }
        let fault = InputFault::NotText {
            charset: self.charset(),
            column: self.place.column(),
        };
        Err(fault.at(self.place.line()))
    }

    fn read_chunk(&mut self) -> Result<(), InputFault> {
        let count = loop {
            match self.source.read(&mut self.raw) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.map_err(InputFault::Read)?,
            }
        };
        self.raw_filled = count;
        self.bytes += count as u64;
        self.has_ended = count == 0;
        Ok(())
    }
}
