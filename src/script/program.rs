//! One compiled script: its text, hash and functions, and the only way to call one of them.
//!
//! A call runs within a budget and inside `catch_unwind`; whatever goes wrong comes back as a `ScriptError` with its place.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rhai::{AST, CallFnOptions, Dynamic, EvalAltResult, Position, Scope};
use sha2::{Digest, Sha256};

use super::budget::{Budget, Run, Stoppable};
use super::engine::{Profile, engine};
use super::error::{Bound, Place, ScriptError};
use super::lookup::{Open, Tables};

/// A function of the contract and its number of parameters.
pub(crate) type Hook = (&'static str, usize);

pub(crate) struct Program {
    script: Arc<str>,
    text: String,
    sha256: String,
    ast: AST,
    functions: Vec<(String, usize)>,
    profile: Profile,
    budget: Budget,
    tables: Arc<Tables>,
}

impl Program {
    /// Compiles `text`; `script` is the name that errors show. A contract's function with another number of parameters is an
    /// error here, or it would be skipped as absent.
    pub(crate) fn compile(
        script: &str,
        text: String,
        profile: Profile,
        hooks: &[Hook],
    ) -> Result<Self, ScriptError> {
        let run_name: Arc<str> = Arc::from(script);
        let ast = catch_unwind(AssertUnwindSafe(|| engine(profile).compile(&text)))
            .map_err(|_| ScriptError::Panicked {
                place: Box::new(place(script, &text, Position::NONE)),
                function: "compile".to_owned(),
            })?
            .map_err(|error| ScriptError::Compile {
                place: Box::new(place(script, &text, error.position())),
                message: error.err_type().to_string(),
            })?;
        let functions: Vec<(String, usize)> = ast
            .iter_functions()
            .map(|function| (function.name.to_owned(), function.params.len()))
            .collect();
        let program = Self {
            script: run_name,
            sha256: hex::encode(Sha256::digest(text.as_bytes())),
            text,
            ast,
            functions,
            profile,
            budget: if profile == Profile::Free {
                Budget::UNBOUNDED
            } else {
                Budget::default()
            },
            tables: Arc::default(),
        };
        for hook in hooks {
            program.check_arity(*hook)?;
        }
        Ok(program)
    }

    /// The tables that its calls can look into.
    pub(crate) fn with_tables(self, tables: &Arc<Tables>) -> Self {
        let tables = Arc::clone(tables);
        Self { tables, ..self }
    }

    fn check_arity(&self, (name, expected): Hook) -> Result<(), ScriptError> {
        let mut found = self
            .functions
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, parameters)| *parameters);
        let Some(first) = found.next() else {
            return Ok(());
        };
        if first == expected || found.any(|parameters| parameters == expected) {
            return Ok(());
        }
        Err(ScriptError::Arity {
            place: Box::new(self.place_of_function(name)),
            function: name.to_owned(),
            expected,
            found: first,
        })
    }

    pub(crate) fn script(&self) -> &str {
        &self.script
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    pub(crate) fn has(&self, (name, parameters): Hook) -> bool {
        self.functions
            .iter()
            .any(|(known, count)| known == name && *count == parameters)
    }

    pub(crate) fn function_names(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().map(|(name, _)| name.as_str())
    }

    /// Calls a function that must exist.
    pub(crate) fn call(
        &self,
        (function, parameters): Hook,
        arguments: Vec<Dynamic>,
    ) -> Result<Dynamic, ScriptError> {
        self.require((function, parameters))?;
        self.run(self.budget, function, CallFnOptions::new(), arguments)
    }

    /// Calls a function that must exist within another budget than the script's own.
    pub(crate) fn call_within(
        &self,
        budget: Budget,
        hook: Hook,
        arguments: Vec<Dynamic>,
    ) -> Result<Dynamic, ScriptError> {
        self.require(hook)?;
        self.run(budget, hook.0, CallFnOptions::new(), arguments)
    }

    /// Calls a function with `this` bound to `state`, which the script changes in place.
    pub(crate) fn call_with_state(
        &self,
        (function, parameters): Hook,
        state: &mut Dynamic,
        arguments: Vec<Dynamic>,
    ) -> Result<Dynamic, ScriptError> {
        self.require((function, parameters))?;
        self.run(
            self.budget,
            function,
            CallFnOptions::new().bind_this_ptr(state),
            arguments,
        )
    }

    /// Calls a function that may take as long as it likes, until `stop` is set.
    pub(crate) fn call_until(
        &self,
        hook: Hook,
        arguments: Vec<Dynamic>,
        stop: Arc<AtomicBool>,
    ) -> Result<Dynamic, ScriptError> {
        self.require(hook)?;
        let _stoppable = Stoppable::until(stop);
        self.run(self.budget, hook.0, CallFnOptions::new(), arguments)
    }

    pub(crate) fn require(&self, (function, parameters): Hook) -> Result<(), ScriptError> {
        if self.has((function, parameters)) {
            return Ok(());
        }
        Err(ScriptError::NoHook {
            place: Box::new(self.place_at(Position::NONE)),
            function,
        })
    }

    fn run(
        &self,
        budget: Budget,
        function: &str,
        options: CallFnOptions<'_>,
        arguments: Vec<Dynamic>,
    ) -> Result<Dynamic, ScriptError> {
        let run = Run::start(budget, &self.script);
        let open = Open::of(&self.tables);
        let result = catch_unwind(AssertUnwindSafe(|| {
            engine(self.profile).call_fn_with_options::<Dynamic>(
                options.eval_ast(false),
                &mut Scope::new(),
                &self.ast,
                function,
                arguments,
            )
        }));
        let tripped = Run::tripped();
        drop((run, open));
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.failure(function, *error, tripped)),
            Err(_) => Err(ScriptError::Panicked {
                place: Box::new(self.place_at(Position::NONE)),
                function: function.to_owned(),
            }),
        }
    }

    fn failure(&self, function: &str, error: EvalAltResult, tripped: Option<Bound>) -> ScriptError {
        let (mut function, mut error) = (function.to_owned(), error);
        while let EvalAltResult::ErrorInFunctionCall(name, _, inner, _) = error {
            function = name;
            error = *inner;
        }
        let mut place = Box::new(self.place_at(error.position()));
        if place.line.is_none() {
            // rhai passes an overflow of the call stack up without a position or the functions in between.
            *place = self.place_of_function(&function);
        }
        let bound = match &error {
            EvalAltResult::ErrorTerminated(..) => tripped,
            EvalAltResult::ErrorDataTooLarge(..) => Some(Bound::Size),
            EvalAltResult::ErrorStackOverflow(..) => Some(Bound::Depth),
            _ => None,
        };
        if let Some(bound) = bound {
            return ScriptError::Budget {
                place,
                function,
                bound,
            };
        }
        error.clear_position();
        let message = match &error {
            EvalAltResult::ErrorRuntime(thrown, _) => thrown.to_string(),
            other => other.to_string(),
        };
        ScriptError::Run {
            place,
            function,
            message,
        }
    }

    /// The error for a return value of the wrong shape.
    pub(crate) fn shape(&self, function: &str, wrong: super::value::Wrong) -> ScriptError {
        ScriptError::Shape {
            place: Box::new(self.place_of_function(function)),
            function: function.to_owned(),
            message: wrong.message,
            hint: wrong.hint,
        }
    }

    fn place_at(&self, position: Position) -> Place {
        place(&self.script, &self.text, position)
    }

    /// Where `fn name` stands.
    fn place_of_function(&self, name: &str) -> Place {
        let head = format!("fn {name}(");
        let position = self.text.lines().enumerate().find_map(|(index, line)| {
            let at = line.find(&head)?;
            let column = line.get(..at)?.chars().count() + 1;
            Some((index + 1, column, line.to_owned()))
        });
        let mut place = self.place_at(Position::NONE);
        if let Some((line, column, source)) = position {
            place.line = Some(line);
            place.column = Some(column);
            place.source = Some(source);
        }
        place
    }
}

fn place(script: &str, text: &str, position: Position) -> Place {
    let line = position.line();
    Place {
        script: script.to_owned(),
        line,
        column: position.position(),
        source: line
            .and_then(|line| text.lines().nth(line.saturating_sub(1)))
            .map(str::to_owned),
    }
}
