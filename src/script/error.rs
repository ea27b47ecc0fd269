//! What a script did wrong, where, and what to do about it: the one error type of this room.
//!
//! Every variant that a script causes carries a `Place`, so that the log, `pairbox mapping check` and a test all show the same
//! line with the same caret. Script text never reaches a client: callers answer SCRIPT_ERROR and log this.

use std::{fmt, path::PathBuf};

use thiserror::Error;

/// Where in which script; line and column count from one and are absent where rhai knows none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The script as an operator names it, e.g. `smsgw/mapping.rhai`.
    pub script: String,
    pub line: Option<usize>,
    pub column: Option<usize>,
    /// The text of that line.
    pub source: Option<String>,
}

impl Place {
    /// The source line with a caret under the column; empty where the line is unknown.
    pub fn excerpt(&self) -> String {
        let (Some(line), Some(source)) = (self.line, &self.source) else {
            return String::new();
        };
        let gutter = line.to_string().len();
        let mut text = format!("{line} | {source}");
        if let Some(column) = self.column {
            let blanks: String = source
                .chars()
                .take(column.saturating_sub(1))
                .map(|character| if character == '\t' { '\t' } else { ' ' })
                .collect();
            text.push('\n');
            text.push_str(&" ".repeat(gutter));
            text.push_str(" | ");
            text.push_str(&blanks);
            text.push('^');
        }
        text
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.script)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let (Some(_), Some(column)) = (self.line, self.column) {
            write!(f, ":{column}")?;
        }
        Ok(())
    }
}

/// Which bound a call ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Bound {
    #[error("more than {0} operations")]
    Operations(u64),
    #[error("longer than {0} ms")]
    TimeMs(u64),
    #[error("a value grew too large")]
    Size,
    #[error("calls nested too deeply")]
    Depth,
    #[error("it was interrupted")]
    Stopped,
}

#[derive(Debug, Error)]
pub enum ScriptError {
    #[error("mapping `{name}` is neither a folder `{}` nor built in", folder.display())]
    NotFound {
        name: String,
        folder: PathBuf,
        nearest: Option<String>,
    },
    #[error("mapping name `{name}` is not a plain name of letters, digits, `-` and `_`")]
    Name { name: String },
    #[error("there is no script `{name}`: neither `{}` nor a built-in one", path.display())]
    JobNotFound {
        name: String,
        path: PathBuf,
        nearest: Option<String>,
    },
    #[error(
        "`{name}` is neither a file that ends in .rhai nor a plain name of letters, digits, `-` and `_`"
    )]
    JobName { name: String },
    #[error("`{}` cannot be read: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{script}` is missing from mapping `{name}`")]
    Absent { name: String, script: &'static str },
    #[error("writing `{}`: {source}", path.display())]
    Write {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
    #[error("`{file}` of mapping `{name}` is not a table of `code,text`")]
    Table {
        name: String,
        file: &'static str,
        source: csv::Error,
    },
    #[error("`{file}` of mapping `{name}`: {message}")]
    LookupTable {
        name: String,
        file: String,
        message: String,
    },
    #[error("{place}: does not compile: {message}")]
    Compile { place: Box<Place>, message: String },
    #[error(
        "{place}: function `{function}` takes {found} arguments where the contract has {expected}"
    )]
    Arity {
        place: Box<Place>,
        function: String,
        expected: usize,
        found: usize,
    },
    #[error("{place}: the script has no function `{function}`, which is needed here")]
    NoHook {
        place: Box<Place>,
        function: &'static str,
    },
    #[error("{place}: in `{function}`: {message}")]
    Run {
        place: Box<Place>,
        function: String,
        message: String,
    },
    #[error("{place}: in `{function}`: stopped: {bound}")]
    Budget {
        place: Box<Place>,
        function: String,
        bound: Bound,
    },
    #[error("{place}: `{function}` gave a wrong value: {message}")]
    Shape {
        place: Box<Place>,
        function: String,
        message: String,
        hint: Option<String>,
    },
    #[error("{place}: in `{function}`: the script engine panicked")]
    Panicked { place: Box<Place>, function: String },
    #[error("mapping `{mapping}` cannot {action}: it does not declare it")]
    NotOffered {
        mapping: String,
        action: &'static str,
    },
    #[error("the settings of mapping `{mapping}` are wrong: {message}")]
    Settings {
        mapping: String,
        message: String,
        hint: Option<String>,
    },
}

impl ScriptError {
    /// Where it happened, if a script was running or compiled.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Compile { place, .. }
            | Self::Arity { place, .. }
            | Self::NoHook { place, .. }
            | Self::Run { place, .. }
            | Self::Budget { place, .. }
            | Self::Shape { place, .. }
            | Self::Panicked { place, .. } => Some(place),
            Self::NotFound { .. }
            | Self::JobNotFound { .. }
            | Self::JobName { .. }
            | Self::Name { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Absent { .. }
            | Self::Table { .. }
            | Self::LookupTable { .. }
            | Self::NotOffered { .. }
            | Self::Settings { .. } => None,
        }
    }

    /// What the operator may do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { nearest, .. } | Self::JobNotFound { nearest, .. } => nearest
                .as_ref()
                .map(|name| format!("did you mean `{name}`?")),
            Self::Shape { hint, .. } | Self::Settings { hint, .. } => hint.clone(),
            Self::Arity { expected, .. } => {
                Some(format!("give it {expected} parameters, unused ones too"))
            }
            Self::Budget { bound, .. } => Some(match bound {
                Bound::Operations(_) | Bound::TimeMs(_) => {
                    "use the native helpers in place of loops over bytes".to_owned()
                }
                Bound::Size => {
                    "a script has one frame or one row at a time; keep nothing".to_owned()
                }
                Bound::Stopped => return None,
                Bound::Depth => "replace the recursion by a loop".to_owned(),
            }),
            Self::Compile { place, message } if is_about_a_capture(place, message) => {
                Some("an anonymous function sees its parameters only: use a `for` loop".to_owned())
            }
            Self::Compile { message, .. } if message.contains(UNDEFINED) => Some(
                "a function sees its parameters only, nothing that stands outside of functions"
                    .to_owned(),
            ),
            Self::Panicked { .. } => Some("keep the script and report this".to_owned()),
            Self::NotOffered { mapping, .. } => Some(format!(
                "`caps` in describe() of `{mapping}` says what it can, and by which setting"
            )),
            _ => None,
        }
    }

    /// The whole story for a terminal: message, source line with caret, hint.
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        let excerpt = self.place().map(Place::excerpt).unwrap_or_default();
        if !excerpt.is_empty() {
            text.push('\n');
            text.push_str(&excerpt);
        }
        if let Some(hint) = self.hint() {
            text.push_str("\nhint: ");
            text.push_str(&hint);
        }
        text
    }
}

/// What rhai says of a variable that it does not know.
const UNDEFINED: &str = "Undefined variable";

/// Whether a variable is unknown in a line with an anonymous function: it may be one from outside.
fn is_about_a_capture(place: &Place, message: &str) -> bool {
    let line = place.source.as_deref().unwrap_or_default();
    message.contains(UNDEFINED) && line.contains('|')
}

/// A name this like another may be meant by it: good for a hint.
const HINT_LIKENESS: f64 = 0.78;

/// The name of `known` that is nearest to `word`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    likest(word, known, HINT_LIKENESS)
}

/// The name of `known` that is likest to `word`, if it is liker than `likeness`, where 1 is the same.
pub fn likest<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    likeness: f64,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(word, name), name))
        .filter(|(score, _)| *score > likeness)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caret_stands_under_the_column() {
        let place = Place {
            script: "x/mapping.rhai".to_owned(),
            line: Some(12),
            column: Some(5),
            source: Some("let a = b;".to_owned()),
        };
        assert_eq!(place.to_string(), "x/mapping.rhai:12:5");
        assert_eq!(place.excerpt(), "12 | let a = b;\n   |     ^");
    }

    #[test]
    fn nearest_names_a_typing_error_and_nothing_far() {
        let known = ["window", "lanes", "reply_timeout"];
        assert_eq!(nearest("windwo", known), Some("window"));
        assert_eq!(nearest("colour", known), None);
    }
}
