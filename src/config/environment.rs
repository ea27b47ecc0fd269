//! The `PAIRBOX_*` variables: `PAIRBOX_<SECTION>_<KEY>` for every scalar key outside the providers.
//!
//! A variable that no key claims is a finding, because a misspelt one would otherwise do nothing in silence.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::finding::{Finding, Origin};

const PREFIX: &str = "PAIRBOX_";

/// Variables with a meaning of their own; a name that ends in `_` stands for all that begin with it.
const OTHER_VARIABLES: [&str; 4] = [
    "PAIRBOX_CONFIG",
    "PAIRBOX_BLESS",
    "PAIRBOX_BENCH_",
    "PAIRBOX_TEST_",
];

/// The variables that begin with `PAIRBOX_`, taken once.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
    not_text: Vec<String>,
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        Self::from_pairs(std::env::vars_os())
    }

    pub fn from_pairs<Name: Into<OsString>, Value: Into<OsString>>(
        pairs: impl IntoIterator<Item = (Name, Value)>,
    ) -> Self {
        let mut environment = Self::default();
        for (name, value) in pairs {
            let Ok(name) = name.into().into_string() else {
                continue;
            };
            if !name.starts_with(PREFIX) {
                continue;
            }
            match value.into().into_string() {
                Ok(value) => drop(environment.values.insert(name, value)),
                Err(_) => environment.not_text.push(name),
            }
        }
        environment
    }

    pub fn get(&self, variable: &str) -> Option<&str> {
        self.values.get(variable).map(String::as_str)
    }

    /// The variable of a key; `section` is empty for the keys at the top, and a dot in it becomes `_`.
    pub(super) fn variable(section: &str, key: &str) -> String {
        let name = if section.is_empty() {
            format!("{PREFIX}{key}")
        } else {
            format!("{PREFIX}{section}_{key}")
        };
        name.replace('.', "_").to_ascii_uppercase()
    }

    /// One finding for each variable that neither a key (`claimed`) nor the list of other variables knows.
    pub(super) fn unclaimed(&self, claimed: &[String]) -> Vec<Finding> {
        let not_text = self.not_text.iter().map(|name| {
            let message = format!("the value of `{name}` is not UTF-8");
            Finding::new(environment_origin(name), message, None)
        });
        let unknown = self
            .values
            .keys()
            .filter(|name| !claimed.contains(name) && !is_other(name))
            .map(|name| {
                let nearest = super::reader::nearest(name, claimed.iter().map(String::as_str));
                let hint = nearest.map_or_else(
                    || {
                        "variables are named PAIRBOX_<SECTION>_<KEY>; lists and providers are set in the file only"
                            .to_owned()
                    },
                    |nearest| format!("did you mean `{nearest}`?"),
                );
                let message = format!("unknown variable `{name}`");
                Finding::new(environment_origin(name), message, Some(hint))
            });
        not_text.chain(unknown).collect()
    }
}

fn environment_origin(variable: &str) -> Origin {
    Origin::Environment {
        variable: variable.to_owned(),
    }
}

fn is_other(name: &str) -> bool {
    OTHER_VARIABLES.iter().any(|other| {
        if other.ends_with('_') {
            name.starts_with(other)
        } else {
            name == *other
        }
    })
}
