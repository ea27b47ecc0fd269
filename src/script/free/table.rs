//! The input of a free script: rows in memory, found by the cell of one column.

use std::collections::HashMap;
use std::sync::Arc;

use rhai::{Dynamic, Engine, INT, Map};

/// All rows of an input. A key names one row; an empty one names none.
pub struct InputTable {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    key: String,
    by_key: HashMap<String, usize>,
}

/// What the script holds.
#[derive(Clone)]
pub(super) struct Shared(pub(super) Arc<InputTable>);

impl InputTable {
    /// A table of rows whose cells stand in the order of `columns`; `key` is one of these.
    pub fn new(columns: Vec<String>, rows: Vec<Vec<String>>, key: &str) -> Result<Self, String> {
        let Some(at) = columns.iter().position(|column| column == key) else {
            return Err(format!(
                "the input has no column `{key}`; it has {}",
                columns.join(", ")
            ));
        };
        let mut by_key: HashMap<String, usize> = HashMap::with_capacity(rows.len());
        for (row, cells) in rows.iter().enumerate() {
            let Some(cell) = cells.get(at).filter(|cell| !cell.is_empty()) else {
                continue;
            };
            let earlier = by_key.get(cell).and_then(|earlier| rows.get(*earlier));
            if earlier.is_some_and(|earlier| earlier != cells) {
                return Err(format!(
                    "the input has two different rows with {key} `{cell}`: expected one"
                ));
            }
            by_key.insert(cell.clone(), row);
        }
        Ok(Self {
            columns,
            rows,
            key: key.to_owned(),
            by_key,
        })
    }

    /// The same with other cells where `change` gives one for a column and its cell.
    pub(super) fn changed(
        &self,
        change: impl Fn(&str, &str) -> Option<String>,
    ) -> Result<Self, String> {
        let row = |cells: &Vec<String>| {
            let named = self.columns.iter().zip(cells);
            named
                .map(|(column, cell)| change(column, cell).unwrap_or_else(|| cell.clone()))
                .collect()
        };
        let rows = self.rows.iter().map(row).collect();
        Self::new(self.columns.clone(), rows, &self.key)
    }

    fn map(&self, cells: &[String]) -> Dynamic {
        let named = self.columns.iter().zip(cells);
        let map: Map = named
            .map(|(column, cell)| (column.as_str().into(), cell.as_str().into()))
            .collect();
        Dynamic::from_map(map)
    }

    fn get(&self, key: &str) -> Dynamic {
        let row = self.by_key.get(key).and_then(|row| self.rows.get(*row));
        row.map_or(Dynamic::UNIT, |cells| self.map(cells))
    }
}

/// Goes through all rows.
pub(super) struct EachRow {
    table: Arc<InputTable>,
    next: usize,
}

impl IntoIterator for Shared {
    type Item = Dynamic;
    type IntoIter = EachRow;

    fn into_iter(self) -> EachRow {
        EachRow {
            table: self.0,
            next: 0,
        }
    }
}

impl Iterator for EachRow {
    type Item = Dynamic;

    fn next(&mut self) -> Option<Dynamic> {
        let cells = self.table.rows.get(self.next)?;
        self.next += 1;
        Some(self.table.map(cells))
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Shared>("Rows");
    engine.register_iterator::<Shared>();
    engine.register_fn("get", |rows: &mut Shared, key: &str| rows.0.get(key));
    engine.register_fn("has", |rows: &mut Shared, key: &str| {
        rows.0.by_key.contains_key(key)
    });
    engine.register_fn("len", |rows: &mut Shared| {
        INT::try_from(rows.0.rows.len()).unwrap_or(INT::MAX)
    });
}
