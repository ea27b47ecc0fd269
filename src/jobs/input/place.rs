//! Where in a file one is, as an editor counts: LF, CRLF and the lone CR of old Macs end a line, a column is a character.

/// Line and column from 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    line: u64,
    column: u64,
    is_after_cr: bool,
}

impl Place {
    pub const START: Self = Self::at_line(1);

    pub const fn at_line(line: u64) -> Self {
        Self {
            line,
            column: 1,
            is_after_cr: false,
        }
    }

    /// Goes over UTF-8 text.
    pub fn pass(&mut self, text: &[u8]) {
        for byte in text {
            match byte {
                b'\n' if self.is_after_cr => {}
                b'\n' | b'\r' => {
                    self.line += 1;
                    self.column = 1;
                }
                // The second and later bytes of a character.
                0x80..=0xbf => {}
                _ => self.column += 1,
            }
            self.is_after_cr = *byte == b'\r';
        }
    }

    pub fn line(self) -> u64 {
        self.line
    }

    pub fn column(self) -> u64 {
        self.column
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_as_an_editor_does_however_the_text_is_cut() {
        for (text, line, column) in [
            ("", 1, 1),
            ("ab", 1, 3),
            ("a\n", 2, 1),
            ("a\r\nb", 2, 2),
            ("a\rb\rc", 3, 2),
            ("\r\r\n\n", 4, 1),
            ("\u{e9}\u{20ac}x", 1, 4),
        ] {
            for cut in 0..=text.len() {
                let (first, second) = text.as_bytes().split_at(cut);
                let mut place = Place::START;
                place.pass(first);
                place.pass(second);
                assert_eq!((place.line(), place.column()), (line, column), "{text:?}");
            }
        }
    }
}
