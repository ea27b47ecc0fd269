//! What cases expect and find, in words that a mapping's author reads: frames as text or hexadecimal, answers as the script writes them.

use std::fmt::Write as _;

use crate::script::contract::{Decoded, Reply, SessionStep};

/// Equal bytes in a row from which on they are counted, not shown.
const RUN_MIN: usize = 8;

/// Bytes as the text that they are, or as hexadecimal.
pub(super) fn of_bytes(bytes: &[u8]) -> String {
    let is_text = |byte: &u8| (0x20..0x7f).contains(byte);
    if !bytes.is_empty() && bytes.iter().all(is_text) {
        return format!("`{}`", String::from_utf8_lossy(bytes));
    }
    let mut words = Vec::new();
    for run in bytes.chunk_by(|left, right| left == right) {
        let Some(byte) = run.first() else { continue };
        if run.len() >= RUN_MIN {
            words.push(format!("{byte:02x} x {}", run.len()));
        } else {
            words.extend(run.iter().map(|byte| format!("{byte:02x}")));
        }
    }
    format!("hex {}", words.join(" "))
}

/// What a frame means, as `decode` returns it.
pub(super) fn of_decoded(decoded: &Decoded) -> String {
    match decoded {
        Decoded::Reply(reply) => of_reply(reply),
        Decoded::Push { data, reply } => {
            let reply = reply.as_deref().map(of_bytes);
            let reply = reply.map_or_else(String::new, |reply| format!(", reply: {reply}"));
            format!("#{{ kind: \"push\", data: {data:?}{reply} }}")
        }
        Decoded::Keepalive => "#{ kind: \"keepalive\" }".to_owned(),
        Decoded::Ignore => "#{ kind: \"ignore\" }".to_owned(),
    }
}

fn of_reply(reply: &Reply) -> String {
    use crate::domain::Outcome;
    let (outcome, busy) = match reply.outcome {
        Outcome::Busy { seconds } => ("busy".to_owned(), Some(seconds)),
        other => (format!("{other:?}").to_lowercase(), None),
    };
    let mut words = format!(
        "#{{ kind: \"reply\", key: {:?}, outcome: \"{outcome}\"",
        reply.key
    );
    if let Some(seconds) = busy {
        let _ = write!(words, ", busy_s: {seconds}");
    }
    for (name, text) in [
        ("code", &reply.code),
        ("text", &reply.text),
        ("reference", &reply.reference),
    ] {
        if let Some(text) = text {
            let _ = write!(words, ", {name}: {text:?}");
        }
    }
    if reply.ends_session {
        words.push_str(", ends_session: true");
    }
    words + " }"
}

/// What a session asks for.
pub(super) fn of_steps(steps: &[SessionStep]) -> String {
    let words: Vec<String> = steps
        .iter()
        .map(|step| match step {
            SessionStep::Send(frames) => {
                let frames: Vec<String> = frames.iter().map(|frame| of_bytes(frame)).collect();
                format!("send {}", frames.join(" and "))
            }
            SessionStep::Keep(values) => {
                let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
                format!("keep {}", names.join(", "))
            }
            SessionStep::Ready => "ready".to_owned(),
            SessionStep::Fail(text) => format!("fail: {text}"),
        })
        .collect();
    if words.is_empty() {
        return "nothing".to_owned();
    }
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Outcome;

    #[test]
    fn bytes_are_shown_as_what_they_are_and_runs_are_counted() {
        assert_eq!(of_bytes(b"7 OK"), "`7 OK`");
        assert_eq!(of_bytes(b"OC\x01\n"), "hex 4f 43 01 0a");
        assert_eq!(of_bytes(&[0xff; 256]), "hex ff x 256");
        assert_eq!(of_bytes(b""), "hex ");
    }

    #[test]
    fn an_answer_is_shown_as_the_script_writes_it() {
        let reply = Reply {
            key: "7".into(),
            outcome: Outcome::Busy { seconds: 3 },
            code: Some("257".into()),
            text: None,
            reference: None,
            ends_session: false,
        };
        assert_eq!(
            of_decoded(&Decoded::Reply(reply)),
            "#{ kind: \"reply\", key: \"7\", outcome: \"busy\", busy_s: 3, code: \"257\" }"
        );
    }

    #[test]
    fn what_a_session_sends_is_readable() {
        let steps = [SessionStep::Send(vec![vec![1, 2]]), SessionStep::Ready];
        assert_eq!(of_steps(&steps), "send hex 01 02; ready");
        assert_eq!(of_steps(&[]), "nothing");
    }
}
