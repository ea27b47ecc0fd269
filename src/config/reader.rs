//! Reads one table key by key and collects what is wrong instead of stopping at it.
//!
//! A key is known because it was read: what is left over at the end is unknown, so schema and reading cannot drift apart.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::environment::Environment;
use super::finding::{Finding, Origin};
use super::units::{ByteText, SpanText, parse_bytes, parse_duration, within};

/// Letters that may differ for a name to be offered as "did you mean".
const NEAREST_DISTANCE_MAX: usize = 3;

/// What all sections share while one configuration is read.
pub(super) struct Reading<'a> {
    pub path: &'a Path,
    pub text: &'a str,
    pub environment: &'a Environment,
    pub findings: Vec<Finding>,
    /// The variables that some key knows.
    pub claimed: Vec<String>,
}

impl Reading<'_> {
    pub fn origin(&self, offset: usize) -> Origin {
        Origin::in_file(self.path, self.text, offset)
    }

    /// The file's folder, which its relative paths count from.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    pub fn find(&mut self, origin: Origin, message: impl Into<String>, hint: Option<String>) {
        self.findings.push(Finding::new(origin, message, hint));
    }
}

/// A table while it is read.
pub(super) struct Section<'r, 'a> {
    reading: &'r mut Reading<'a>,
    /// `http`, `provider.retry`; empty at the top.
    name: &'static str,
    table: Option<&'a DeTable<'a>>,
    /// Where to point when a key is missing.
    offset: usize,
    has_variables: bool,
    known: Vec<&'static str>,
}

/// A setting that is present, with the place to blame.
pub(super) struct Setting<'a> {
    pub value: SettingValue<'a>,
    pub origin: Origin,
}

pub(super) enum SettingValue<'a> {
    Toml(&'a DeValue<'a>),
    Variable(&'a str),
}

impl<'r, 'a> Section<'r, 'a> {
    /// A table at the top of the file, whose scalar keys have variables.
    pub fn top(
        reading: &'r mut Reading<'a>,
        name: &'static str,
        table: Option<&'a DeTable<'a>>,
    ) -> Self {
        Self {
            reading,
            name,
            table,
            offset: 0,
            has_variables: true,
            known: Vec::new(),
        }
    }

    /// A table that can be written in the file only.
    pub fn inner(
        reading: &'r mut Reading<'a>,
        name: &'static str,
        table: Option<&'a DeTable<'a>>,
        offset: usize,
    ) -> Self {
        Self {
            reading,
            name,
            table,
            offset,
            has_variables: false,
            known: Vec::new(),
        }
    }

    /// A text, as it stands.
    pub fn text(&mut self, key: &'static str) -> Option<(String, Origin)> {
        let setting = self.scalar(key)?;
        match self.as_text(key, &setting, "a text") {
            Some(text) => Some((text.into_owned(), setting.origin)),
            None => None,
        }
    }

    /// A file or folder: in the file it counts from the file's folder, in a variable from the working folder.
    pub fn path(&mut self, key: &'static str, expected: &str) -> Option<(PathBuf, Origin)> {
        let (text, origin) = self.text(key)?;
        if text.trim().is_empty() {
            let message = format!(
                "{}: expected {expected}, found an empty text",
                self.path_of(key)
            );
            self.reading.find(origin, message, None);
            return None;
        }
        let path = match &origin {
            Origin::File { .. } => self.reading.folder().join(text),
            _ => PathBuf::from(text),
        };
        Some((path, origin))
    }

    /// A text that `parse` turns into a value; its error becomes the finding, `hint` says what is accepted.
    pub fn parsed<T, E: Display>(
        &mut self,
        key: &'static str,
        hint: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.placed(key, hint, parse).map(|(value, _)| value)
    }

    /// The same, with the place that it came from.
    pub fn placed<T, E: Display>(
        &mut self,
        key: &'static str,
        hint: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<(T, Origin)> {
        let (text, origin) = self.text(key)?;
        match parse(&text) {
            Ok(value) => Some((value, origin)),
            Err(error) => {
                let message = format!("{} = \"{text}\": {error}", self.path_of(key));
                self.reading.find(origin, message, Some(hint.to_owned()));
                None
            }
        }
    }

    /// One of a closed set of words.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<String> = choices
            .iter()
            .map(|(word, _)| format!("`{word}`"))
            .collect();
        let hint = format!("write one of {}", words.join(", "));
        self.parsed(key, &hint, |text| {
            choices
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, value)| *value)
                .ok_or("not one of the known words")
        })
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        let setting = self.scalar(key)?;
        match &setting.value {
            SettingValue::Toml(DeValue::Boolean(is_on)) => Some(*is_on),
            SettingValue::Variable("true") => Some(true),
            SettingValue::Variable("false") => Some(false),
            _ => self.wrong_type(key, &setting, "true or false"),
        }
    }

    /// A span of time with its unit.
    pub fn span(&mut self, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        self.parsed(
            key,
            "write a number with its unit, such as \"250ms\", \"10s\", \"1h30m\", \"90d\"",
            |text| {
                let span = parse_duration(text)?;
                within(span, &range, |span| SpanText(span).to_string())
            },
        )
    }

    /// A number of bytes with its unit.
    pub fn bytes(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.parsed(
            key,
            "write a number with its unit, such as \"64MiB\" or \"1GiB\"",
            |text| {
                let bytes = parse_bytes(text)?;
                within(bytes, &range, |bytes| ByteText(bytes).to_string())
            },
        )
    }

    /// A whole number within its bounds.
    pub fn whole<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let setting = self.scalar(key)?;
        let number = match &setting.value {
            SettingValue::Toml(DeValue::Integer(found)) => {
                i64::from_str_radix(&found.as_str().replace('_', ""), found.radix()).ok()
            }
            SettingValue::Variable(text) => match text.trim().parse::<i64>() {
                Ok(number) => Some(number),
                Err(_) => return self.wrong_type(key, &setting, "a whole number"),
            },
            SettingValue::Toml(_) => return self.wrong_type(key, &setting, "a whole number"),
        };
        let value = number.and_then(|number| T::try_from(number).ok());
        if let Some(value) = value
            && range.contains(&value)
        {
            return Some(value);
        }
        let found = number.map_or_else(|| "a larger one".to_owned(), |number| number.to_string());
        let message = format!(
            "{}: expected a number from {} to {}, found {found}",
            self.path_of(key),
            range.start(),
            range.end(),
        );
        self.reading.find(setting.origin, message, None);
        None
    }

    /// A list of texts, each with its place. The file only: a list has no variable.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<(String, Origin)>> {
        let setting = self.in_file(key)?;
        let SettingValue::Toml(DeValue::Array(items)) = &setting.value else {
            return self.wrong_type(key, &setting, "a list of texts");
        };
        let mut texts = Vec::new();
        for item in items {
            let origin = self.reading.origin(item.span().start);
            if let DeValue::String(text) = item.get_ref() {
                texts.push((text.clone().into_owned(), origin));
            } else {
                let message = format!(
                    "{}: expected texts in the list, found {}",
                    self.path_of(key),
                    type_name(item.get_ref())
                );
                self.reading.find(origin, message, None);
            }
        }
        Some(texts)
    }

    /// A list of spans, in order; `None` if it is absent or any of it is wrong.
    pub fn spans(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<Duration>,
    ) -> Option<Vec<Duration>> {
        let texts = self.texts(key)?;
        let mut spans = Vec::with_capacity(texts.len());
        for (text, origin) in texts {
            let parsed: Result<Duration, Box<dyn std::error::Error>> = parse_duration(&text)
                .map_err(Into::into)
                .and_then(|span| Ok(within(span, range, |span| SpanText(span).to_string())?));
            match parsed {
                Ok(span) => spans.push(span),
                Err(error) => {
                    let message = format!("{}: \"{text}\": {error}", self.path_of(key));
                    let hint = "write numbers with their units, such as [\"1s\", \"5s\", \"2m\"]";
                    self.reading.find(origin, message, Some(hint.to_owned()));
                }
            }
        }
        Some(spans)
    }

    /// A table below this one, with its offset.
    pub fn table(&mut self, key: &'static str) -> Option<(&'a DeTable<'a>, usize)> {
        let (name, value) = self.entry(key)?;
        let offset = name.span().start;
        if let DeValue::Table(table) = value.get_ref() {
            return Some((table, offset));
        }
        let message = format!(
            "`{}`: expected a section, found {}",
            self.path_of(key).trim_matches('`'),
            type_name(value.get_ref())
        );
        let hint = format!("write [{}]", self.path_of(key).trim_matches('`'));
        let origin = self.reading.origin(offset);
        self.reading.find(origin, message, Some(hint));
        None
    }

    /// The raw entry of a key; marks the key as known.
    pub fn entry(
        &mut self,
        key: &'static str,
    ) -> Option<(&'a Spanned<Cow<'a, str>>, &'a Spanned<DeValue<'a>>)> {
        self.known.push(key);
        self.table?
            .iter()
            .find(|(name, _)| name.get_ref().as_ref() == key)
    }

    pub fn reading(&mut self) -> &mut Reading<'a> {
        self.reading
    }

    /// A finding for a key without which the section means nothing.
    pub fn missing(&mut self, key: &'static str, hint: &str) {
        let origin = self.reading.origin(self.offset);
        let message = format!("{} is missing", self.path_of(key));
        self.reading.find(origin, message, Some(hint.to_owned()));
    }

    /// Ends the reading: whatever no one asked for is unknown.
    pub fn finish(self) {
        let Some(table) = self.table else { return };
        for name in table.keys() {
            let key = name.get_ref().as_ref();
            if self.known.contains(&key) {
                continue;
            }
            let place = if self.name.is_empty() {
                "at the top of the file".to_owned()
            } else {
                format!("in [{}]", self.name)
            };
            let hint = nearest(key, self.known.iter().copied()).map_or_else(
                || format!("known here: {}", self.known.join(", ")),
                |nearest| format!("did you mean `{nearest}`?"),
            );
            let origin = self.reading.origin(name.span().start);
            self.reading
                .find(origin, format!("unknown key `{key}` {place}"), Some(hint));
        }
    }

    /// `key` with its section, in back-ticks.
    pub fn path_of(&self, key: &str) -> String {
        if self.name.is_empty() {
            format!("`{key}`")
        } else {
            format!("`{}.{key}`", self.name)
        }
    }

    fn scalar(&mut self, key: &'static str) -> Option<Setting<'a>> {
        if !self.has_variables {
            return self.in_file(key);
        }
        let variable = Environment::variable(self.name, key);
        let environment = self.reading.environment;
        let setting = environment.get(&variable).map(|text| Setting {
            value: SettingValue::Variable(text),
            origin: Origin::Environment {
                variable: variable.clone(),
            },
        });
        self.reading.claimed.push(variable);
        let in_file = self.in_file(key);
        setting.or(in_file)
    }

    fn in_file(&mut self, key: &'static str) -> Option<Setting<'a>> {
        let (_, value) = self.entry(key)?;
        Some(Setting {
            value: SettingValue::Toml(value.get_ref()),
            origin: self.reading.origin(value.span().start),
        })
    }

    fn as_text(
        &mut self,
        key: &'static str,
        setting: &Setting<'a>,
        expected: &str,
    ) -> Option<Cow<'a, str>> {
        match &setting.value {
            SettingValue::Toml(DeValue::String(text)) => Some(text.clone()),
            SettingValue::Variable(text) => Some(Cow::Borrowed(text)),
            SettingValue::Toml(_) => self.wrong_type(key, setting, expected),
        }
    }

    fn wrong_type<T>(&mut self, key: &str, setting: &Setting<'_>, expected: &str) -> Option<T> {
        let found = match &setting.value {
            SettingValue::Toml(value) => type_name(value).to_owned(),
            SettingValue::Variable(text) => format!("`{text}`"),
        };
        let message = format!("{}: expected {expected}, found {found}", self.path_of(key));
        self.reading.find(setting.origin.clone(), message, None);
        None
    }
}

/// The known name that is most like `found`, if one is near enough to have been meant.
pub(super) fn nearest<'n>(
    found: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let allowed = NEAREST_DISTANCE_MAX.min(found.chars().count() / 2);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(found, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

pub(super) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// A bounded number as a size; it always fits, since the bounds are those of 32 bits.
pub(super) fn size(found: Option<u32>, default: usize) -> usize {
    found
        .and_then(|number| usize::try_from(number).ok())
        .unwrap_or(default)
}
