//! The input of a free script: rows in memory, found by the cell of one column.

use std::collections::HashMap;
use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, INT, Map, NativeCallContext};

use super::job::thrown;

/// All rows of an input; of two rows with the same key the last one is found.
pub struct InputTable {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    by_key: HashMap<String, usize>,
}

/// What the script holds.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Arc<InputTable>);

impl InputTable {
    /// A table of rows whose cells stand in the order of `columns`; `key` is one of these.
    pub fn new(columns: Vec<String>, rows: Vec<Vec<String>>, key: &str) -> Result<Self, String> {
        let Some(at) = columns.iter().position(|column| column == key) else {
            return Err(format!(
                "the input has no column `{key}`; it has {}",
                columns.join(", ")
            ));
        };
        let keyed = rows.iter().enumerate();
        let by_key = keyed
            .filter_map(|(row, cells)| Some((cells.get(at)?.clone(), row)))
            .collect();
        Ok(Self {
            columns,
            rows,
            by_key,
        })
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

type Called = Result<INT, Box<EvalAltResult>>;

pub(crate) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Shared>("Rows");
    engine.register_fn("get", |rows: &mut Shared, key: &str| rows.0.get(key));
    engine.register_fn("has", |rows: &mut Shared, key: &str| {
        rows.0.by_key.contains_key(key)
    });
    engine.register_fn("len", |rows: &mut Shared| {
        INT::try_from(rows.0.rows.len()).unwrap_or(INT::MAX)
    });
    engine.register_fn(
        "each",
        |context: NativeCallContext<'_>, rows: &mut Shared, work: FnPtr| -> Called {
            let table = rows.0.clone();
            for cells in &table.rows {
                let _ = work.call_within_context::<Dynamic>(&context, (table.map(cells),))?;
            }
            INT::try_from(table.rows.len()).map_err(|_| thrown("too many rows".to_owned()))
        },
    );
}
