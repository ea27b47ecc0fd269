//! Rows of an import file: which column is what, and what each row says. One bad row leaves the others alone.
//!
//! Reads no file and stores nothing: the command line and jobs feed it records, `register_items` takes what comes out.

use std::collections::HashSet;

use csv::ByteRecord;
use thiserror::Error;

use super::Actions;
use super::spreadsheet::{damage, unmarked};
use crate::domain::apply::{Recorded, apply};
use crate::domain::event::SubscriptionFields;
use crate::domain::items::{self, NewItem, Registered};
use crate::domain::{Event, Position, PublicId, Refusal, View};
use crate::store::Draft;

/// A file's kind, by what its rows become.
pub trait Import: Sized {
    /// Columns that must be there, then those that may be.
    const REQUIRED: &'static [&'static str];
    const OPTIONAL: &'static [&'static str];

    /// Reads one row; `cell` gives a column's text, trimmed, empty where the column is not there.
    fn read<'a>(cell: impl Fn(&'static str) -> &'a str) -> Result<Self, RowFault>;
}

/// Columns of a rejects file, which is read again after it was mended; they are passed over.
pub const REJECT_COLUMNS: [&str; 3] = ["rejected_line", "rejected_column", "rejected_reason"];

/// Which column stands where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    names: Vec<String>,
}

/// Why a header cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    #[error("the header is not UTF-8")]
    NotText,
    #[error("column `{missing}` is missing: expected {expected}; found {found}")]
    Missing {
        missing: &'static str,
        expected: String,
        found: String,
    },
    #[error("column `{name}` is unknown: expected {expected}")]
    Unknown { name: String, expected: String },
    #[error("column `{name}` is there twice")]
    Twice { name: String },
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct RowFault {
    /// The column; empty if it is the row as a whole.
    pub column: &'static str,
    pub reason: String,
}

impl Columns {
    /// Reads the header; the order is free, letter case does not matter.
    pub fn read<T: Import>(header: &ByteRecord) -> Result<Self, HeaderError> {
        let mut names = Vec::new();
        for (at, cell) in header.iter().enumerate() {
            let text = std::str::from_utf8(cell).map_err(|_| HeaderError::NotText)?;
            let text = if at == 0 {
                text.trim_start_matches('\u{feff}')
            } else {
                text
            };
            names.push(text.trim().to_ascii_lowercase());
        }
        let expected = || {
            let (required, optional) = (T::REQUIRED.join(", "), T::OPTIONAL.join(", "));
            format!("{required}, and if wanted {optional}")
        };
        let mut seen = HashSet::new();
        for name in &names {
            let is_known = T::REQUIRED
                .iter()
                .chain(T::OPTIONAL)
                .chain(&REJECT_COLUMNS)
                .any(|known| known == name);
            if !is_known {
                return Err(HeaderError::Unknown {
                    name: name.clone(),
                    expected: expected(),
                });
            }
            if !seen.insert(name) {
                return Err(HeaderError::Twice { name: name.clone() });
            }
        }
        let missing = T::REQUIRED
            .iter()
            .find(|required| !names.iter().any(|name| name == *required));
        match missing {
            None => Ok(Self { names }),
            Some(missing) => Err(HeaderError::Missing {
                missing,
                expected: expected(),
                found: names.join(", "),
            }),
        }
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Reads one row.
    pub fn row<T: Import>(&self, record: &ByteRecord) -> Result<T, RowFault> {
        let whole = |reason: String| RowFault { column: "", reason };
        if record.len() != self.names.len() {
            return Err(whole(format!(
                "expected {} columns, found {}",
                self.names.len(),
                record.len()
            )));
        }
        let known = T::REQUIRED.iter().chain(T::OPTIONAL);
        let mut cells: Vec<(&'static str, &str)> = Vec::new();
        for column in known {
            let at = self.names.iter().position(|name| name == column);
            let Some(bytes) = at.and_then(|at| record.get(at)) else {
                continue;
            };
            let text = std::str::from_utf8(bytes).map_err(|_| RowFault {
                column,
                reason: "expected UTF-8 text, found other bytes".to_owned(),
            })?;
            cells.push((column, unmarked(text.trim())));
        }
        T::read(|wanted| {
            cells
                .iter()
                .find(|(column, _)| *column == wanted)
                .map_or("", |(_, text)| *text)
        })
    }
}

impl Import for NewItem {
    const REQUIRED: &'static [&'static str] = &["serial_number", "alternative_code", "product"];
    const OPTIONAL: &'static [&'static str] = &["ca_id", "state", "id", "notes"];

    fn read<'a>(cell: impl Fn(&'static str) -> &'a str) -> Result<Self, RowFault> {
        for column in ["serial_number", "alternative_code", "ca_id"] {
            sound(column, cell(column))?;
        }
        let is_effective = match cell("state").to_ascii_uppercase().as_str() {
            "" | "EFFECTIVE" => true,
            "NOT_EFFECTIVE" => false,
            other => {
                return Err(RowFault {
                    column: "state",
                    reason: format!("expected EFFECTIVE or NOT_EFFECTIVE, found `{other}`"),
                });
            }
        };
        let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Self {
            product: needed("product", cell("product"))?,
            serial_number: needed("serial_number", cell("serial_number"))?,
            alternative_code: needed("alternative_code", cell("alternative_code"))?,
            ca_id: optional(cell("ca_id")),
            is_effective,
            id: public_id(cell("id"))?,
            notes: cell("notes").to_owned(),
        })
    }
}

impl Import for SubscriptionFields {
    const REQUIRED: &'static [&'static str] = &["number"];
    const OPTIONAL: &'static [&'static str] = &["life_cycle_state", "id"];

    fn read<'a>(cell: impl Fn(&'static str) -> &'a str) -> Result<Self, RowFault> {
        let life_cycle_state = match cell("life_cycle_state") {
            "" => "EFFECTIVE".to_owned(),
            state => state.to_owned(),
        };
        Ok(Self {
            number: needed("number", cell("number"))?,
            life_cycle_state,
            id: public_id(cell("id"))?,
        })
    }
}

fn needed(column: &'static str, text: &str) -> Result<String, RowFault> {
    if text.is_empty() {
        let reason = "expected a value, found an empty cell".to_owned();
        return Err(RowFault { column, reason });
    }
    Ok(text.to_owned())
}

fn public_id(text: &str) -> Result<Option<PublicId>, RowFault> {
    if text.is_empty() {
        return Ok(None);
    }
    match PublicId::parse(text) {
        Some(id) => Ok(Some(id)),
        None => Err(RowFault {
            column: "id",
            reason: format!("expected 32 hex digits, found `{text}`"),
        }),
    }
}

/// An identifier whose digits a spreadsheet took must not come in.
fn sound(column: &'static str, text: &str) -> Result<(), RowFault> {
    match damage(text) {
        None => Ok(()),
        Some(damage) => Err(RowFault {
            column,
            reason: damage.to_string(),
        }),
    }
}

impl Actions {
    /// Judges items as `register_items` would and stores nothing. Rows see what the rows before them in the chunk did.
    pub fn try_items(
        &self,
        new: &[NewItem],
        may_update: bool,
    ) -> Vec<Result<Registered<crate::domain::ItemNumber>, Refusal>> {
        self.rehearse(new, |view, item| items::register(view, item, may_update))
    }

    /// The same for subscriptions.
    pub fn try_subscriptions(
        &self,
        new: &[SubscriptionFields],
        may_update: bool,
    ) -> Vec<Result<Registered<crate::domain::SubscriptionNumber>, Refusal>> {
        self.rehearse(new, |view, subscription| {
            items::register_subscription(view, subscription, may_update)
        })
    }

    fn rehearse<T, N>(
        &self,
        rows: &[T],
        judge: impl Fn(&dyn View, &T) -> Result<(N, Vec<Event>), Refusal>,
    ) -> Vec<Result<N, Refusal>> {
        let view = self.state.view();
        let mut draft = Draft::new(&view);
        let at = self.clock.now();
        let mut results = Vec::with_capacity(rows.len());
        for row in rows {
            let judged = judge(&draft, row);
            results.push(judged.map(|(done, events)| {
                for event in &events {
                    let recorded = Recorded {
                        position: Position::NONE,
                        at,
                        by: "",
                    };
                    apply(&mut draft, recorded, event);
                }
                done
            }));
        }
        results
    }
}
