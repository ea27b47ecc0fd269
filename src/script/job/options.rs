//! `options()` of a job script into `JobOptions`: every key known, every value within its limits.

use rhai::{Array, Dynamic, Map};

use crate::domain::job::CHUNK_ROWS_MAX;
use crate::script::value::{Fields, Read, Wrong, show, text_of, to_json};

/// Failed rows that pause a job that says nothing of it.
const STOP_AFTER: u64 = 100;
const RATE_MAX: u32 = 1_000_000;
const COLUMNS_MAX: usize = 64;
const ARGS_MAX: usize = 64;

/// What a job script says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct JobOptions {
    /// Columns that the input must have.
    pub columns: Vec<String>,
    /// Columns that it may have; a row has them empty where the input has not.
    pub optional: Vec<String>,
    pub chunk_rows: usize,
    /// 0 is no limit.
    pub rate_per_s: u32,
    /// Failed rows that pause it; 0 is never.
    pub stop_after: u64,
    pub args: Vec<JobArg>,
}

/// An argument with its default; none: it must be given.
#[derive(Clone, Debug, PartialEq)]
pub struct JobArg {
    pub name: String,
    pub default: Option<serde_json::Value>,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            columns: Vec::new(),
            optional: Vec::new(),
            chunk_rows: CHUNK_ROWS_MAX,
            rate_per_s: 0,
            stop_after: STOP_AFTER,
            args: Vec::new(),
        }
    }
}

pub fn read(value: Dynamic) -> Read<JobOptions> {
    let mut fields = Fields::of("options()", value)?;
    let columns = names(&mut fields, "columns")?;
    let optional = names(&mut fields, "optional")?;
    let chunk_rows = number(&mut fields, "chunk", 1, CHUNK_ROWS_MAX as u64)?;
    let rate_per_s = number(&mut fields, "rate", 0, u64::from(RATE_MAX))?;
    let stop_after = number(&mut fields, "stop_after", 0, u64::MAX >> 1)?;
    let args = args(&mut fields)?;
    fields.finish()?;
    let default = JobOptions::default();
    Ok(JobOptions {
        columns,
        optional,
        chunk_rows: chunk_rows
            .and_then(|rows| usize::try_from(rows).ok())
            .unwrap_or(default.chunk_rows),
        rate_per_s: rate_per_s
            .and_then(|rate| u32::try_from(rate).ok())
            .unwrap_or(default.rate_per_s),
        stop_after: stop_after.unwrap_or(default.stop_after),
        args,
    })
}

fn number(fields: &mut Fields, key: &'static str, min: u64, max: u64) -> Read<Option<u64>> {
    let expected = format!("a number from {min} to {max}");
    match fields.number::<u64>(key, &expected)? {
        Some(number) if number < min || number > max => {
            Err(fields.wrong(key, &expected, &number.to_string()))
        }
        number => Ok(number),
    }
}

fn names(fields: &mut Fields, key: &'static str) -> Read<Vec<String>> {
    let Some(value) = fields.take(key) else {
        return Ok(Vec::new());
    };
    let wrong = |found: &Dynamic| fields.wrong(key, "an array of column names", &show(found));
    let Some(array) = value.read_lock::<Array>() else {
        return Err(wrong(&value));
    };
    let mut names = Vec::with_capacity(array.len());
    for name in array.iter() {
        let name = text_of(name).ok_or_else(|| wrong(name))?;
        names.push(name.trim().to_lowercase());
    }
    if names.len() > COLUMNS_MAX {
        return Err(Wrong::new(format!(
            "options().{key} has {} columns: expected at most {COLUMNS_MAX}",
            names.len()
        )));
    }
    Ok(names)
}

fn args(fields: &mut Fields) -> Read<Vec<JobArg>> {
    let Some(value) = fields.take("args") else {
        return Ok(Vec::new());
    };
    let expected = "a map of names and defaults";
    let Some(map) = value.read_lock::<Map>() else {
        return Err(fields.wrong("args", expected, &show(&value)));
    };
    if map.len() > ARGS_MAX {
        return Err(Wrong::new(format!(
            "options().args has {} arguments: expected at most {ARGS_MAX}",
            map.len()
        )));
    }
    let mut args = Vec::with_capacity(map.len());
    for (name, default) in map.iter() {
        let is_plain = default.is_string() || default.is_int() || default.is_bool();
        if !is_plain && !default.is_unit() {
            return Err(Wrong::new(format!(
                "options().args.{name} must be a text, a number, true, false or (), found {}",
                show(default)
            )));
        }
        args.push(JobArg {
            name: name.to_string(),
            default: (!default.is_unit()).then(|| to_json(default)).transpose()?,
        });
    }
    Ok(args)
}
