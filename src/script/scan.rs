//! The calls and texts of a script, found without rhai's syntax tree (which only its `internals` feature shows).
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
    let mut found = Vec::new();
    read(text, |part| {
        if let Part::Call(call) = part {
            found.push(call);
        }
    });
    found
}

/// A text of the script as it is written there, with the place of its first quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    pub written: &'a str,
    pub line: usize,
    pub column: usize,
}

pub(crate) fn texts(text: &str) -> Vec<Text<'_>> {
    let mut found = Vec::new();
    read(text, |part| {
        if let Part::Text(text) = part {
            found.push(text);
        }
    });
    found
}

/// The script without its comments.
pub(crate) fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut from = 0;
    read(text, |part| {
        if let Part::Comment { start, end } = part {
            code.push_str(text.get(from..start).unwrap_or_default());
            code.push(' ');
            from = end;
        }
    });
    code.push_str(text.get(from..).unwrap_or_default());
    code
}

enum Part<'a> {
    Call(Call<'a>),
    Text(Text<'a>),
    Comment { start: usize, end: usize },
}

fn read<'a>(text: &'a str, mut found: impl FnMut(Part<'a>)) {
    let mut scan = Scan {
        text,
        at: 0,
        line: 1,
        column: 1,
    };
    let mut is_definition = false;
    while let Some(character) = scan.peek() {
        let (line, column, start) = (scan.line, scan.column, scan.at);
        if scan.rest().starts_with("//") {
            scan.skip_while(|character| character != '\n');
            let end = scan.at;
            found(Part::Comment { start, end });
        } else if scan.rest().starts_with("/*") {
            scan.skip_past("*/");
            let end = scan.at;
            found(Part::Comment { start, end });
        } else if matches!(character, '"' | '`' | '\'') {
            scan.skip_string(character);
            let text = text.get(start..scan.at).unwrap_or_default();
            found(Part::Text(Text {
                written: text,
                line,
                column,
            }));
        } else if character.is_ascii_alphabetic() || character == '_' {
            scan.skip_while(|character| character.is_ascii_alphanumeric() || character == '_');
            let name = text.get(start..scan.at).unwrap_or_default();
            if scan.rest().starts_with('(') && !is_definition {
                found(Part::Call(Call { name, line, column }));
            }
            is_definition = name == "fn";
        } else if character.is_ascii_digit() {
            scan.skip_while(|character| character.is_ascii_alphanumeric() || character == '_');
        } else {
            scan.step();
        }
    }
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

    #[test]
    fn texts_are_found_outside_of_comments_and_code_is_what_is_no_comment() {
        let script = "let a = \"x\\\"y\"; // \"no\"\n  f(`z`) /* 'n' */";
        let found: Vec<_> = texts(script)
            .iter()
            .map(|text| (text.written, text.line, text.column))
            .collect();
        assert_eq!(found, [("\"x\\\"y\"", 1, 9), ("`z`", 2, 5)]);
        assert_eq!(code(script), "let a = \"x\\\"y\";  \n  f(`z`)  ");
    }
}
