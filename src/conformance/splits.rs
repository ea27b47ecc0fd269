//! Every frame of a mapping's cases through its framing, split and merged at every byte: what goes in comes out.

use crate::domain::Framing;
use crate::script::cases::Seen;
use crate::transport::{Decoder, encode};

/// What the transport adds to the head of an HTTP message.
const LENGTH: &[u8] = b"Content-Length: ";

/// An error says where a frame came out otherwise.
pub(super) fn check(framing: &Framing, seen: &[Seen]) -> Result<(), String> {
    for is_sent in [true, false] {
        let frames: Vec<&Seen> = seen.iter().filter(|seen| seen.is_sent == is_sent).collect();
        // Two by two: every frame has another one behind it, as a network merges them.
        for pair in frames.windows(2) {
            check_stream(framing, pair)?;
        }
        if let [only] = frames.as_slice() {
            check_stream(framing, &[*only])?;
        }
    }
    Ok(())
}

fn check_stream(framing: &Framing, frames: &[&Seen]) -> Result<(), String> {
    let mut stream = Vec::new();
    for seen in frames {
        // A case may hold what a CAS must not send; the framing would not let it in.
        if encode(framing, b"", &seen.frame, &mut stream).is_err() {
            return Ok(());
        }
    }
    let names = || {
        let names: Vec<String> = frames
            .iter()
            .map(|seen| format!("`{}`", seen.case))
            .collect();
        names.join(", then ")
    };
    for at in 0..=stream.len() {
        let (first, second) = stream.split_at(at);
        let mut decoder = Decoder::new(framing.clone());
        let mut heard = Vec::new();
        for part in [first, second] {
            decoder.feed(part);
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => heard.push(without_length(framing, frame)),
                    Ok(None) => break,
                    Err(error) => return Err(format!("{}, split at {at}: {error}", names())),
                }
            }
        }
        let is_same = heard.len() == frames.len()
            && heard
                .iter()
                .zip(frames)
                .all(|(heard, sent)| *heard == sent.frame);
        if !is_same {
            return Err(format!(
                "{}, split at {at}: what came out ({}) is not what went in ({})",
                names(),
                heard.len(),
                frames.len()
            ));
        }
    }
    Ok(())
}

fn without_length(framing: &Framing, frame: Vec<u8>) -> Vec<u8> {
    let Framing::Http { .. } = framing else {
        return frame;
    };
    let begins = frame.windows(LENGTH.len()).position(|part| part == LENGTH);
    let Some(at) = begins else { return frame };
    let line = frame.get(at..).unwrap_or_default();
    let length = line.windows(2).position(|part| part == b"\r\n");
    let mut frame = frame;
    frame.drain(at..at + length.map_or(0, |length| length + 2));
    frame
}
