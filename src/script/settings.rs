//! A provider's own settings as a mapping sees them: `cfg`, converted once when the provider is configured.
//!
//! Every call gets its own copy, so no script can change them for the next; keep them small and put tables in `errors.csv`.
//! `ctx`, which carries them, lies ready beside them: each frame needs a copy.

use rhai::{Dynamic, Map};

use super::error::nearest;
use super::given::context_template;
use super::value::{Read, Wrong, from_json, show};

/// `cfg` of every hook. Cheap to clone while it holds scalars; made by `Mapping::settings`.
#[derive(Clone, Debug)]
pub struct Settings {
    cfg: Map,
    /// `ctx` with these settings.
    context: Map,
}

impl Default for Settings {
    fn default() -> Self {
        Self::of(Map::new())
    }
}

impl Settings {
    fn of(cfg: Map) -> Self {
        Self {
            context: context_template(&cfg),
            cfg,
        }
    }

    /// The settings as they are, without the mapping's defaults; anything but an object gives none.
    pub fn from_json(value: &serde_json::Value) -> Self {
        Self::of(from_json(value).try_cast::<Map>().unwrap_or_default())
    }

    /// Lays the settings over `known`: the mapping's names, each with its default; `()` marks one that must be given.
    pub(crate) fn over(self, known: Map) -> Read<Self> {
        let mut settings = known;
        for (name, value) in self.cfg {
            let Some(default) = settings.get(&name) else {
                let wrong = Wrong::new(format!("there is no setting `{name}`"));
                let names = settings.keys().map(|key| &**key);
                return Err(match nearest(&name, names.clone()) {
                    Some(near) => wrong.with_hint(format!("did you mean `{near}`?")),
                    None => wrong.with_hint(format!(
                        "known are {}",
                        names.collect::<Vec<_>>().join(", ")
                    )),
                });
            };
            if !default.is_unit() && default.type_name() != value.type_name() {
                return Err(Wrong::new(format!(
                    "`{name}` must be of the kind of {}, found {}",
                    show(default),
                    show(&value)
                )));
            }
            settings.insert(name, value);
        }
        match settings.iter().find(|(_, value)| value.is_unit()) {
            Some((name, _)) => Err(Wrong::new(format!("`{name}` must be given"))
                .with_hint(format!("add `{name} = ...` to the provider's [settings]"))),
            None => Ok(Self::of(settings)),
        }
    }

    /// Whether the setting is a text that is not empty.
    pub fn has_text(&self, name: &str) -> bool {
        let value = self.cfg.get(name);
        value.is_some_and(|value| {
            value
                .as_immutable_string_ref()
                .is_ok_and(|text| !text.is_empty())
        })
    }

    pub(crate) fn to_dynamic(&self) -> Dynamic {
        Dynamic::from_map(self.cfg.clone())
    }

    pub(super) fn context(&self) -> &Map {
        &self.context
    }
}
