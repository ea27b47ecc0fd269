//! Items by CA ID, for a CAS's own export: as it is kept, and as the mapping of the item's provider normalizes it.

use std::collections::HashMap;
use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult};
use serde_json::{Value, json};

use super::hosted;
use super::table::{InputTable, Shared};
use crate::script::job::thrown;

const PAGE_ROWS: usize = 500;

/// Serial numbers by CA ID; none where several items have it.
#[derive(Default)]
pub(super) struct CaIds {
    cards: HashMap<String, Option<String>>,
    stbs: HashMap<String, Option<String>>,
}

/// What the script holds.
#[derive(Clone)]
struct SharedCaIds(Arc<CaIds>);

impl CaIds {
    /// All items, page after page.
    fn read() -> Result<Self, Box<EvalAltResult>> {
        let mut all = Self::default();
        let mut after = json!(0);
        loop {
            let ask = json!({
                "after": after,
                "limit": PAGE_ROWS,
                "product": null,
                "is_blacklisted": null,
                "with_normalized": true,
            });
            let mut page = hosted()?.call("item.list", ask).map_err(thrown)?;
            let rows = page.get("rows").and_then(Value::as_array);
            for row in rows.into_iter().flatten() {
                all.add(row);
            }
            after = page.get_mut("next").map(Value::take).unwrap_or_default();
            if after.is_null() {
                return Ok(all);
            }
        }
    }

    fn add(&mut self, row: &Value) {
        let text = |name| row.get(name).and_then(Value::as_str);
        let items = match text("kind") {
            Some("smartcard") => &mut self.cards,
            Some("stb") => &mut self.stbs,
            _ => return,
        };
        let Some(serial_number) = text("serial_number") else {
            return;
        };
        let forms = [text("ca_id"), text("normalized_ca_id")];
        for ca_id in forms.into_iter().flatten() {
            let slot = items
                .entry(ca_id.to_owned())
                .or_insert_with(|| Some(serial_number.to_owned()));
            if slot.as_deref() != Some(serial_number) {
                *slot = None;
            }
        }
    }
}

/// A cell with a serial number in the place of the CA ID. What is unknown says so, and is nobody's serial number.
fn serial_number(items: &HashMap<String, Option<String>>, ca_id: &str) -> String {
    if ca_id.is_empty() {
        return String::new();
    }
    match items.get(ca_id) {
        Some(Some(serial_number)) => serial_number.clone(),
        Some(None) => format!("ca_id `{ca_id}` of several items"),
        None => format!("ca_id `{ca_id}`"),
    }
}

fn translated(
    table: &InputTable,
    ca_ids: &CaIds,
    card_column: &str,
    stb_column: &str,
) -> Result<InputTable, String> {
    table.changed(|column, cell| {
        if column == card_column {
            Some(serial_number(&ca_ids.cards, cell))
        } else if column == stb_column {
            Some(serial_number(&ca_ids.stbs, cell))
        } else {
            None
        }
    })
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<SharedCaIds>("CaIds");
    engine.register_fn("ca_ids", || -> Result<Dynamic, Box<EvalAltResult>> {
        Ok(Dynamic::from(SharedCaIds(Arc::new(CaIds::read()?))))
    });
    engine.register_fn(
        "with_serial_numbers",
        |rows: &mut Shared,
         ca_ids: SharedCaIds,
         card_column: &str,
         stb_column: &str|
         -> Result<Dynamic, Box<EvalAltResult>> {
            let table = translated(&rows.0, &ca_ids.0, card_column, stb_column).map_err(thrown)?;
            Ok(Dynamic::from(Shared(Arc::new(table))))
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_id_is_known_as_it_is_kept_and_as_it_is_normalized() {
        let mut all = CaIds::default();
        for (kind, serial, ca_id, normalized) in [
            ("smartcard", "S1", " 77", "0077"),
            ("smartcard", "S2", "78", "78"),
            ("smartcard", "S3", "078", "78"),
            ("stb", "B1", "77", "77"),
        ] {
            all.add(&json!({
                "kind": kind, "serial_number": serial, "ca_id": ca_id, "normalized_ca_id": normalized,
            }));
        }
        let card = |ca_id| serial_number(&all.cards, ca_id);
        assert_eq!((card(" 77"), card("0077")), ("S1".into(), "S1".into()));
        assert_eq!(card("78"), "ca_id `78` of several items");
        assert_eq!(card("078"), "S3");
        assert_eq!(card("B1"), "ca_id `B1`");
        assert_eq!(card(""), "");
        assert_eq!(serial_number(&all.stbs, "77"), "B1");
    }
}
