//! Card numbers in log lines: only the last four digits, so that a log can be handed to a vendor.
//!
//! The ledger and the API carry full numbers; this is for logs and metrics only.

/// Characters that stay readable.
const SHOWN: usize = 4;

/// The number with all but its last four characters replaced by `*`; one of four or fewer is masked whole.
pub fn mask_card(number: &str) -> String {
    let length = number.chars().count();
    let hidden = if length > SHOWN {
        length - SHOWN
    } else {
        length
    };
    number
        .chars()
        .enumerate()
        .map(|(at, c)| if at < hidden { '*' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::mask_card;

    #[test]
    fn only_the_last_four_are_shown() {
        assert_eq!(mask_card("019000802077"), "********2077");
        assert_eq!(mask_card("12345"), "*2345");
        assert_eq!(mask_card("1234"), "****");
        assert_eq!(mask_card(""), "");
    }
}
