//! The calls in a script's text, found without rhai's syntax tree (which only its `internals` feature shows).
//!
//! Reads over comments and strings; what looks like `name(` is a call, unless `fn` stands before it.

/// A call of `name`, with the place of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call<'a> {
    pub name: &'a str,
    pub line: usize,
    pub column: usize,
}

pub(crate) fn calls(text: &str) -> Vec<Call<'_>> {
    let mut scan = Scan {
        text,
        at: 0,
        line: 1,
        column: 1,
    };
    let mut found = Vec::new();
    let mut is_definition = false;
    while let Some(character) = scan.peek() {
        if scan.rest().starts_with("//") {
            scan.skip_while(|character| character != '\n');
        } else if scan.rest().starts_with("/*") {
            scan.skip_past("*/");
        } else if matches!(character, '"' | '`' | '\'') {
            scan.skip_string(character);
        } else if character.is_ascii_alphabetic() || character == '_' {
            let (line, column, start) = (scan.line, scan.column, scan.at);
            scan.skip_while(|character| character.is_ascii_alphanumeric() || character == '_');
            let name = text.get(start..scan.at).unwrap_or_default();
            if scan.rest().starts_with('(') && !is_definition {
                found.push(Call { name, line, column });
            }
            is_definition = name == "fn";
        } else if character.is_ascii_digit() {
            scan.skip_while(|character| character.is_ascii_alphanumeric() || character == '_');
        } else {
            scan.step();
        }
    }
    found
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    column: usize,
}

impl<'a> Scan<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn step(&mut self) {
        let Some(character) = self.peek() else {
            return;
        };
        self.at += character.len_utf8();
        if character == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.step();
        }
    }

    fn skip_past(&mut self, end: &str) {
        while !self.rest().is_empty() && !self.rest().starts_with(end) {
            self.step();
        }
        for _ in 0..end.len() {
            self.step();
        }
    }

    fn skip_string(&mut self, quote: char) {
        self.step();
        while let Some(character) = self.peek() {
            self.step();
            if character == '\\' && quote != '`' {
                self.step();
            } else if character == quote {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_outside_of_comments_strings_and_definitions() {
        let text = "fn a(x) { b(x) } // c(\n/* d( */ let s = \"e(\\\"f(\" + `g(`;\nx.h(0x1f);";
        let names: Vec<_> = calls(text)
            .iter()
            .map(|call| (call.name, call.line, call.column))
            .collect();
        assert_eq!(names, [("b", 1, 11), ("h", 3, 3)]);
    }
}
