//! What is wrong with a configuration: one finding per mistake, all of them in one error.
//!
//! A finding says where (file, line, column; a variable; a flag), what was expected and found, and what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

/// The place that a setting came from. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File {
        path: PathBuf,
        line: usize,
        column: usize,
    },
    Environment {
        variable: String,
    },
    Flag {
        flag: &'static str,
    },
    /// The file itself: missing, unreadable, not UTF-8.
    WholeFile {
        path: PathBuf,
    },
    /// No place at all: no file was found.
    Nowhere,
}

impl Origin {
    /// The place of the byte `offset` in `text`; columns count characters.
    pub fn in_file(path: &Path, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self::File {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before
                .get(line_start..)
                .map_or(1, |line| line.chars().count() + 1),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Environment { variable } => f.write_str(variable),
            Self::Flag { flag } => f.write_str(flag),
            Self::WholeFile { path } => write!(f, "{}", path.display()),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub origin: Origin,
    /// What was expected and found; lower case, subject in back-ticks.
    pub message: String,
    /// What to write or do instead.
    pub hint: Option<String>,
}

impl Finding {
    pub fn new(origin: Origin, message: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            origin,
            message: message.into(),
            hint,
        }
    }

    /// The order in which a person walks through them: the file from top to bottom, then the rest.
    pub(super) fn reading_order(&self) -> (u8, usize, usize) {
        match &self.origin {
            Origin::Nowhere | Origin::WholeFile { .. } => (0, 0, 0),
            Origin::File { line, column, .. } => (1, *line, *column),
            Origin::Environment { .. } => (2, 0, 0),
            Origin::Flag { .. } => (3, 0, 0),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n    hint: {hint}")?;
        }
        Ok(())
    }
}

/// All mistakes of one configuration, in reading order; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    pub findings: Vec<Finding>,
}

impl ConfigErrors {
    pub(super) fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(Finding::reading_order);
        Self { findings }
    }

    pub(super) fn one(finding: Finding) -> Self {
        Self {
            findings: vec![finding],
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.findings.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}
