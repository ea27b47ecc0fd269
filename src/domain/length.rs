//! How long free texts may be that end in the ledger: a person's are refused beyond it, a machine's are cut.

use super::Refusal;

/// Longest reason that a person gives, in bytes.
pub const REASON_BYTES_MAX: usize = 1_000;

/// Refuses a reason that is too long to be kept.
pub fn check_reason(reason: &str) -> Result<(), Refusal> {
    if reason.len() <= REASON_BYTES_MAX {
        return Ok(());
    }
    Err(Refusal::Field {
        field: "reason",
        fault: format!(
            "expected at most {REASON_BYTES_MAX} bytes, found {}",
            reason.len()
        ),
    })
}

/// The beginning of a text, at most `bytes_max` bytes of it; whole characters.
pub fn cut(text: &str, bytes_max: usize) -> String {
    let end = text.floor_char_boundary(bytes_max);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abc", 2), "ab");
        assert_eq!(cut("a\u{e4}b", 2), "a");
        assert_eq!(cut("", 0), "");
    }

    #[test]
    fn a_reason_has_an_end() {
        assert_eq!(check_reason(&"x".repeat(REASON_BYTES_MAX)), Ok(()));
        let refusal = check_reason(&"x".repeat(REASON_BYTES_MAX + 1)).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "field `reason`: expected at most 1000 bytes, found 1001"
        );
    }
}
