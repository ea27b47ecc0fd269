//! `fields_set`: which members of an object a client wants to see; all of them if it does not say.

use super::value::{Members, Value};
use super::{CallError, Parameters};

/// The chosen members. A name that an object does not have is ignored, as the vendor's lists differ by release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldsSet(Option<Vec<String>>);

impl FieldsSet {
    pub fn all() -> Self {
        Self(None)
    }

    pub fn of(parameters: &Parameters) -> Result<Self, CallError> {
        let chosen = parameters.text("fields_set")?.map(|list| {
            list.split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        });
        Ok(Self(chosen.filter(|names| !names.is_empty())))
    }

    /// The object with the chosen members only, in its own order.
    pub fn of_object(&self, mut members: Members) -> Value {
        if let Some(chosen) = &self.0 {
            members.retain(|(key, _)| chosen.iter().any(|name| *name == **key));
        }
        Value::Object(members)
    }
}
