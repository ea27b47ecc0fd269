//! What a request must be before anybody looks at what it says: bounded, and framed in the one way that cannot be misread.
//!
//! tiny_http takes a negative or doubled Content-Length for "no body" and any Transfer-Encoding for chunks; behind a proxy
//! that is a smuggled request. So: no Content-Length or one of digits, no Transfer-Encoding, few headers, a short URL.

use tiny_http::Request;

use super::crm::CallError;

pub const URL_BYTES_MAX: usize = 8 * 1024;
pub const HEADERS_MAX: usize = 64;
/// Longest body that is read to its end only to be refused; of a longer one the connection is given up.
pub const DRAIN_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longest body that tiny_http reads by itself.
const READ_AHEAD_BYTES_MAX: usize = 1024;

/// How the body of a request is to be taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes, at most the cap.
    Sized(u64),
    /// Read to its end, then refuse.
    Refuse(CallError),
    /// Nobody knows where the next request begins.
    Abandon(CallError),
}

/// Whether tiny_http has read the body before it gave the request out; a later one may take for ever, for no time-out can
/// be set on it.
pub fn is_read_ahead(request: &Request) -> bool {
    let is_late = request.headers().iter().any(|header| {
        let name = header.field.as_str().as_str();
        let upgrades = || {
            header
                .value
                .as_str()
                .to_ascii_lowercase()
                .contains("upgrade")
        };
        name.eq_ignore_ascii_case("Expect")
            || name.eq_ignore_ascii_case("Transfer-Encoding")
            || (name.eq_ignore_ascii_case("Connection") && upgrades())
    });
    !is_late && request.body_length().unwrap_or(0) <= READ_AHEAD_BYTES_MAX
}

/// Judges a request's head.
pub fn judge(request: &Request, body_bytes_max: usize) -> Framing {
    let values = |name: &'static str| {
        request
            .headers()
            .iter()
            .filter(move |header| header.field.as_str().as_str().eq_ignore_ascii_case(name))
            .map(|header| header.value.as_str())
    };
    let is_chunked = values("Transfer-Encoding").next().is_some();
    let lengths: Vec<&str> = values("Content-Length").collect();
    let framing = frame(&lengths, is_chunked, body_bytes_max as u64);
    // Of an upgrade tiny_http gives the whole connection as the body: reading to its end would wait for the client to leave.
    let is_upgrade =
        values("Connection").any(|value| value.to_ascii_lowercase().contains("upgrade"));
    let framing = match framing {
        Framing::Refuse(error) if is_upgrade => Framing::Abandon(error),
        framing => framing,
    };
    if !matches!(framing, Framing::Sized(_)) {
        return framing;
    }
    let refuse = if is_upgrade {
        Framing::Abandon
    } else {
        Framing::Refuse
    };
    if request.url().len() > URL_BYTES_MAX {
        return refuse(CallError::UrlTooLong { max: URL_BYTES_MAX });
    }
    if request.headers().len() > HEADERS_MAX {
        return refuse(CallError::TooManyHeaders { max: HEADERS_MAX });
    }
    framing
}

fn frame(lengths: &[&str], is_chunked: bool, max: u64) -> Framing {
    if is_chunked {
        return if lengths.is_empty() {
            Framing::Refuse(CallError::Chunked)
        } else {
            Framing::Abandon(CallError::AmbiguousLength)
        };
    }
    let [length] = lengths else {
        return if lengths.is_empty() {
            Framing::Sized(0)
        } else {
            Framing::Abandon(CallError::AmbiguousLength)
        };
    };
    let is_digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    match length.parse::<u64>() {
        Ok(bytes) if is_digits && bytes <= max => Framing::Sized(bytes),
        Ok(bytes) if is_digits && bytes <= DRAIN_BYTES_MAX => {
            Framing::Refuse(CallError::BodyTooLarge { max })
        }
        _ if is_digits => Framing::Abandon(CallError::BodyTooLarge { max }),
        _ => Framing::Abandon(CallError::AmbiguousLength),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_plain_length_within_the_cap_is_taken() {
        let too_large = CallError::BodyTooLarge { max: 100 };
        let cases: [(&[&str], bool, Framing); 9] = [
            (&[], false, Framing::Sized(0)),
            (&["100"], false, Framing::Sized(100)),
            (&["101"], false, Framing::Refuse(too_large.clone())),
            (
                &["99999999999999"],
                false,
                Framing::Abandon(too_large.clone()),
            ),
            (
                &["99999999999999999999999"],
                false,
                Framing::Abandon(too_large),
            ),
            (&["+3"], false, Framing::Abandon(CallError::AmbiguousLength)),
            (
                &["3", "3"],
                false,
                Framing::Abandon(CallError::AmbiguousLength),
            ),
            (&[], true, Framing::Refuse(CallError::Chunked)),
            (&["3"], true, Framing::Abandon(CallError::AmbiguousLength)),
        ];
        for (lengths, is_chunked, expected) in cases {
            assert_eq!(frame(lengths, is_chunked, 100), expected, "{lengths:?}");
        }
    }
}
