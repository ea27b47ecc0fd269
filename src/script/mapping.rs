//! A loaded mapping: the contract's functions with Rust types on both sides.
//!
//! Compiled once and shared by all lanes; every call is pure and bounded. A function that the script does not have has the
//! default that its method names. `session.rs` holds what has state.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rhai::{Dynamic, Map};

use super::answer;
use super::contract::{
    Ability, Confirms, Decoded, Description, EncodeContext, Encoded, FieldName, ItemKind,
    MappingRequest, Step,
};
use super::describe;
use super::engine::Profile;
use super::error::ScriptError;
use super::given::{
    context_value, names_a_secret, only_step, request_value, request_values, step_value,
};
use super::load::Origin;
use super::lookup::Tables;
use super::program::{Hook, Program};
use super::settings::Settings;
use super::value::{Wrong, show, text_of};
use super::wire;

const DESCRIBE: Hook = ("describe", 0);
const SETTINGS: Hook = ("settings", 0);
const NORMALIZE: Hook = ("normalize", 3);
const VALIDATE: Hook = ("validate", 2);
const PLAN: Hook = ("plan", 2);
const ENCODE: Hook = ("encode", 2);
const DECODE: Hook = ("decode", 2);
pub(crate) const KEEPALIVE: Hook = ("keepalive", 2);
const QUERY: Hook = ("query", 2);
const EXPLAIN: Hook = ("explain", 1);
pub(crate) const ON_CONNECT: Hook = ("on_connect", 2);
pub(crate) const ON_FRAME: Hook = ("on_frame", 2);

const FIELDS: Hook = ("fields", 1);

/// Every function of the contract.
pub(crate) const HOOKS: &[Hook] = &[
    DESCRIBE, SETTINGS, NORMALIZE, VALIDATE, PLAN, ENCODE, DECODE, KEEPALIVE, QUERY, EXPLAIN,
    ON_CONNECT, ON_FRAME, FIELDS,
];
const NEEDED: [Hook; 3] = [DESCRIBE, ENCODE, DECODE];

/// Steps of one plan; more is a script gone wrong.
const STEPS_MAX: usize = 64;
/// Bytes of one plan as it is recorded.
const PLAN_BYTES_MAX: usize = 64 * 1024;

/// A compiled mapping. `Send + Sync`: share it in an `Arc`.
pub struct Mapping {
    name: String,
    origin: Origin,
    pub(crate) program: Program,
    description: Description,
    explanations: HashMap<String, String>,
    tables: Arc<Tables>,
}

impl Mapping {
    /// Loads `<scripts_dir>/mappings/<name>/`, or the built-in mapping of that name.
    pub fn load(scripts_dir: &Path, name: &str) -> Result<Self, ScriptError> {
        Self::from_origin(Origin::find(scripts_dir, name)?)
    }

    pub fn from_origin(origin: Origin) -> Result<Self, ScriptError> {
        let text = origin.need("mapping.rhai")?;
        let explanations = origin.explanations()?;
        let tables = Arc::new(Tables::read(&origin)?);
        Self::build(origin, text, explanations, tables)
    }

    /// A mapping from a text alone, for tests and for judging a draft.
    pub fn from_text(name: &str, text: &str) -> Result<Self, ScriptError> {
        Self::build(
            Origin::BuiltIn(name.to_owned()),
            text.to_owned(),
            HashMap::new(),
            Arc::default(),
        )
    }

    fn build(
        origin: Origin,
        text: String,
        explanations: HashMap<String, String>,
        tables: Arc<Tables>,
    ) -> Result<Self, ScriptError> {
        let name = origin.name();
        let script = format!("{name}/mapping.rhai");
        let program =
            Program::compile(&script, text, Profile::Mapping, HOOKS)?.with_tables(&tables);
        for hook in NEEDED {
            program.require(hook)?;
        }
        let described = program.call(DESCRIBE, Vec::new())?;
        let description =
            describe::description(described).map_err(|wrong| program.shape(DESCRIBE.0, wrong))?;
        if description.caps.query {
            program.require(QUERY)?;
        }
        let has_several = description.caps.lets_cards_have_several();
        if has_several || description.caps.products || description.caps.pin != Ability::No {
            program.require(PLAN)?;
        }
        let mapping = Self {
            name,
            origin,
            program,
            description,
            explanations,
            tables,
        };
        mapping.check_keepalive(&mapping.description.session)?;
        Ok(mapping)
    }

    /// The error of a plan whose steps do not do what the request asks for.
    pub fn strange_plan(&self, message: &str) -> ScriptError {
        self.program.shape(PLAN.0, Wrong::new(message))
    }

    pub(crate) fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// SHA-256 of the text of `mapping.rhai`, lower-case hex; recorded with every plan.
    pub fn sha256(&self) -> &str {
        self.program.sha256()
    }

    /// Whether another reading gave the same mapping: script, explanations and tables.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.name == other.name
            && self.sha256() == other.sha256()
            && self.explanations == other.explanations
            && self.tables == other.tables
    }

    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The provider's settings for this mapping: laid over the script's `settings()`, which names every setting with its
    /// default (`()`: must be given). Without that function any setting is taken as it is.
    pub fn settings(&self, value: &serde_json::Value) -> Result<Settings, ScriptError> {
        let given = Settings::from_json(value);
        let Some(known) = self.known_settings()? else {
            return Ok(given);
        };
        given.over(known).map_err(|wrong| ScriptError::Settings {
            mapping: self.name.clone(),
            message: wrong.message,
            hint: wrong.hint,
        })
    }

    /// Whether `settings()` can be read at all, and has what the capabilities name.
    pub(crate) fn check_settings(&self) -> Result<(), ScriptError> {
        let known = self.known_settings()?;
        let Ability::WithSetting(name) = &self.description.caps.pin else {
            return Ok(());
        };
        if known.is_none_or(|known| known.contains_key(name.as_str())) {
            return Ok(());
        }
        let message = format!("`caps.pin` names `{name}`, which is none of them");
        Err(ScriptError::Settings {
            mapping: self.name.clone(),
            message,
            hint: None,
        })
    }

    fn known_settings(&self) -> Result<Option<Map>, ScriptError> {
        if !self.program.has(SETTINGS) {
            return Ok(None);
        }
        let known = self.program.call(SETTINGS, Vec::new())?;
        known.try_cast::<Map>().map(Some).ok_or_else(|| {
            let wrong = Wrong::new("it must return a map of names and defaults");
            self.program.shape(SETTINGS.0, wrong)
        })
    }

    /// The CA ID to store and to give to all that follows; by default without the blanks around it.
    pub fn normalize(
        &self,
        kind: ItemKind,
        ca_id: &str,
        cfg: &Settings,
    ) -> Result<String, ScriptError> {
        if !self.program.has(NORMALIZE) {
            return Ok(ca_id.trim().to_owned());
        }
        let kind = match kind {
            ItemKind::Smartcard => "smartcard",
            ItemKind::Stb => "stb",
        };
        let value = self
            .program
            .call(NORMALIZE, vec![kind.into(), ca_id.into(), cfg.to_dynamic()])?;
        match text_of(&value) {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.wrong(NORMALIZE, &value, "a text that is not empty")),
        }
    }

    /// What is wrong with the request, in the operator's words; none if nothing. By default nothing is wrong.
    pub fn validate(
        &self,
        request: &MappingRequest,
        cfg: &Settings,
    ) -> Result<Option<String>, ScriptError> {
        if let Some(text) = names_a_secret(request_values(request)) {
            return Ok(Some(text));
        }
        if !self.program.has(VALIDATE) {
            return Ok(None);
        }
        let arguments = vec![request_value(request), cfg.to_dynamic()];
        let value = self.program.call(VALIDATE, arguments)?;
        if value.is_unit() {
            return Ok(None);
        }
        match text_of(&value) {
            Some(text) => Ok(Some(text)),
            None => Err(self.wrong(VALIDATE, &value, "() or a text")),
        }
    }

    /// The ordered steps; by default one that confirms the request. A change of the card alone confirms no pairing.
    pub fn plan(&self, request: &MappingRequest, cfg: &Settings) -> Result<Vec<Step>, ScriptError> {
        if !self.program.has(PLAN) {
            return Ok(vec![only_step(request)]);
        }
        let arguments = vec![request_value(request), cfg.to_dynamic()];
        let value = self.program.call(PLAN, arguments)?;
        let shown = show(&value);
        let steps = value
            .try_cast::<rhai::Array>()
            .filter(|steps| !steps.is_empty() && steps.len() <= STEPS_MAX)
            .ok_or_else(|| {
                let wrong = Wrong::new(format!("expected 1 to {STEPS_MAX} steps, found {shown}"));
                self.program.shape(PLAN.0, wrong)
            })?;
        steps
            .into_iter()
            .map(|step| answer::step(step, request))
            .collect::<Result<Vec<_>, _>>()
            .and_then(|steps| {
                let is_about_pairing = request.action.changes_pairing();
                let strays = |step: &Step| step.confirms != Confirms::None && !is_about_pairing;
                if steps.iter().any(strays) {
                    return Err(Wrong::new(format!(
                        "the steps of {} must confirm \"none\": it changes no pairing",
                        request.action.word()
                    )));
                }
                let bytes = serde_json::to_vec(&steps).map_or(usize::MAX, |text| text.len());
                if bytes <= PLAN_BYTES_MAX {
                    return Ok(steps);
                }
                Err(Wrong::new(format!(
                    "the plan has {bytes} bytes, at most {PLAN_BYTES_MAX} are recorded"
                )))
            })
            .map_err(|wrong| self.program.shape(PLAN.0, wrong))
    }

    /// The frame of one step. An empty or overlong body, or no key, is an error of the script.
    pub fn encode(
        &self,
        step: &Step,
        context: &EncodeContext,
        cfg: &Settings,
    ) -> Result<Encoded, ScriptError> {
        let values = [Some(step.card.as_str()), step.stb.as_deref()];
        self.refuse_secrets(ENCODE, values.into_iter().flatten())?;
        let arguments = vec![step_value(step), context_value(context, cfg)];
        self.encoded(ENCODE, self.program.call(ENCODE, arguments)?)
    }

    /// What a frame from the CAS means. A refusal without a text gets that of `explain`.
    pub fn decode(&self, frame: &[u8], cfg: &Settings) -> Result<Decoded, ScriptError> {
        let mut context = Map::new();
        context.insert("cfg".into(), cfg.to_dynamic());
        let arguments = vec![
            wire::heard(&self.description.framing, frame),
            Dynamic::from_map(context),
        ];
        let value = self.program.call(DECODE, arguments)?;
        let mut decoded = self
            .decoded(value)
            .map_err(|wrong| self.program.shape(DECODE.0, wrong))?;
        if let Decoded::Reply(reply) = &mut decoded
            && reply.text.is_none()
            && let Some(code) = &reply.code
        {
            reply.text = self.explain(code);
        }
        Ok(decoded)
    }

    /// A keepalive outside of any session's state; `MappingSession::keepalive` is the one with it.
    pub fn keepalive(
        &self,
        context: &EncodeContext,
        cfg: &Settings,
    ) -> Result<Encoded, ScriptError> {
        self.keepalive_with(context, cfg, Dynamic::UNIT)
    }

    pub(crate) fn keepalive_with(
        &self,
        context: &EncodeContext,
        cfg: &Settings,
        state: Dynamic,
    ) -> Result<Encoded, ScriptError> {
        let arguments = vec![context_value(context, cfg), state];
        self.encoded(KEEPALIVE, self.program.call(KEEPALIVE, arguments)?)
    }

    /// The frame that asks the CAS what it holds for the request; an error unless `caps.query`.
    pub fn query(
        &self,
        request: &MappingRequest,
        context: &EncodeContext,
        cfg: &Settings,
    ) -> Result<Encoded, ScriptError> {
        self.refuse_secrets(QUERY, request_values(request))?;
        let arguments = vec![request_value(request), context_value(context, cfg)];
        self.encoded(QUERY, self.program.call(QUERY, arguments)?)
    }

    /// The meaning of a code: the script's `explain`, else the table `errors.csv`. A failing script explains nothing.
    pub fn explain(&self, code: &str) -> Option<String> {
        let told = if self.program.has(EXPLAIN) {
            self.program
                .call(EXPLAIN, vec![code.into()])
                .ok()
                .and_then(|value| text_of(&value))
        } else {
            None
        };
        told.or_else(|| self.explanations.get(code).cloned())
    }

    /// The parts of a frame by name, where the script names them; a script that fails names none.
    pub fn fields(&self, frame: &[u8]) -> Vec<FieldName> {
        if !self.program.has(FIELDS) {
            return Vec::new();
        }
        let heard = wire::heard(&self.description.framing, frame);
        self.program
            .call(FIELDS, vec![heard])
            .ok()
            .and_then(|value| answer::field_names(value, frame.len()))
            .unwrap_or_default()
    }

    fn decoded(&self, value: Dynamic) -> super::value::Read<Decoded> {
        let Description {
            framing, session, ..
        } = &self.description;
        answer::decoded(value, framing, session.matching)
    }

    fn refuse_secrets<'a>(
        &self,
        hook: Hook,
        values: impl Iterator<Item = &'a str>,
    ) -> Result<(), ScriptError> {
        match names_a_secret(values) {
            None => Ok(()),
            Some(text) => Err(self.program.shape(hook.0, Wrong::new(text))),
        }
    }

    fn encoded(&self, hook: Hook, value: Dynamic) -> Result<Encoded, ScriptError> {
        answer::encoded(
            value,
            &self.description.framing,
            self.description.session.matching,
        )
        .map_err(|wrong| self.program.shape(hook.0, wrong))
    }

    fn wrong(&self, hook: Hook, value: &Dynamic, expected: &str) -> ScriptError {
        let wrong = Wrong::new(format!("expected {expected}, found {}", show(value)));
        self.program.shape(hook.0, wrong)
    }
}
