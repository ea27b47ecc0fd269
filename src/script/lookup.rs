//! Tables of a site beside its mapping: `tables/NAME.csv`, found by the first column. `lookup("NAME", key)` gives a row or ().
//!
//! They are read with the mapping and shared by all calls; a script never holds a table.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Map, Position};

use super::error::ScriptError;
use super::load::Origin;

const FOLDER: &str = "tables";
/// Rows of all tables of one mapping.
const ROWS_MAX: usize = 1_000_000;

/// The tables of one mapping.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables(HashMap<String, Table>);

#[derive(Debug, PartialEq, Eq)]
struct Table {
    columns: Vec<String>,
    rows: HashMap<String, Vec<String>>,
}

impl Tables {
    pub(crate) fn read(origin: &Origin) -> Result<Self, ScriptError> {
        let mut tables = HashMap::new();
        let mut rows = 0;
        for (file, text) in origin.files(FOLDER, "csv")? {
            let failed = |message: String| ScriptError::LookupTable {
                name: origin.name(),
                file: format!("{FOLDER}/{file}"),
                message,
            };
            let table = Table::read(&text).map_err(failed)?;
            rows += table.rows.len();
            if rows > ROWS_MAX {
                return Err(failed(format!(
                    "expected at most {ROWS_MAX} rows in all tables"
                )));
            }
            let name = file.trim_end_matches(".csv").to_owned();
            tables.insert(name, table);
        }
        Ok(Self(tables))
    }

    /// A table from a text, for tests.
    #[cfg(test)]
    pub(crate) fn of(name: &str, text: &str) -> Self {
        let table = Table::read(text).expect("a table");
        Self([(name.to_owned(), table)].into())
    }

    fn find(&self, table: &str, key: &str) -> Result<Dynamic, String> {
        let Some(found) = self.0.get(table) else {
            let mut known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            known.sort_unstable();
            return Err(format!(
                "there is no table `{table}`: known are {}; a table is the file {FOLDER}/NAME.csv beside the mapping",
                if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                }
            ));
        };
        let Some(cells) = found.rows.get(key) else {
            return Ok(Dynamic::UNIT);
        };
        let row: Map = found
            .columns
            .iter()
            .zip(cells)
            .map(|(column, cell)| (column.as_str().into(), cell.as_str().into()))
            .collect();
        Ok(Dynamic::from_map(row))
    }
}

impl Table {
    fn read(text: &str) -> Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let headers = reader.headers().map_err(|error| error.to_string())?;
        let columns: Vec<String> = headers.iter().map(str::to_owned).collect();
        let mut rows = HashMap::new();
        for record in reader.records() {
            let record = record.map_err(|error| error.to_string())?;
            let line = record.position().map_or(0, csv::Position::line);
            let cells: Vec<String> = record.iter().map(str::to_owned).collect();
            let Some(key) = cells.first().cloned() else {
                continue;
            };
            if rows.insert(key.clone(), cells).is_some() {
                return Err(format!(
                    "line {line}: `{key}` stands in the first column twice"
                ));
            }
        }
        Ok(Self { columns, rows })
    }
}

thread_local! {
    static TABLES: RefCell<Option<Arc<Tables>>> = const { RefCell::new(None) };
}

/// The tables of the call under way on this thread.
pub(crate) struct Open(());

impl Open {
    pub(crate) fn of(tables: &Arc<Tables>) -> Self {
        TABLES.set(Some(Arc::clone(tables)));
        Self(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        TABLES.set(None);
    }
}

pub(crate) fn register(engine: &mut Engine) {
    engine.register_fn(
        "lookup",
        |table: ImmutableString, key: ImmutableString| -> Result<Dynamic, Box<EvalAltResult>> {
            let tables = TABLES.with_borrow(Option::clone).unwrap_or_default();
            tables
                .find(&table, &key)
                .map_err(|text| EvalAltResult::ErrorRuntime(text.into(), Position::NONE).into())
        },
    );
}
