//! What the session's checks are tried with: one golden command of the mapping, and somebody who answers it.
//!
//! The simulator answers if it fits the mapping. While a mapping is written there may be none yet, or that of a skeleton: then the cases'
//! own reply does, if it has the key of a golden frame.

use std::sync::Arc;
use std::time::Duration;

use super::answers::{Answers, Golden, reply_of};
use super::list::Otherwise;
use super::simulated::Simulated;
use super::stand::{Sent, Stand};
use crate::domain::{Action, Cardinality, RequestNumber};
use crate::provider::{Credentials, Provider, ProviderOptions, SessionOverrides};
use crate::script::Mapping;
use crate::script::cases::{CaseReport, GoldenCommand, GoldenReply};
use crate::script::contract::{EncodeContext, Encoded, Framing, Matching};

/// Golden commands that are looked at for one that is answered.
const COMMANDS_MAX: usize = 16;

pub(super) struct Trial {
    pub(super) provider: Arc<Provider>,
    pub(super) command: GoldenCommand,
    /// A command with another key, where the key is no number but the command itself.
    pub(super) other: Option<GoldenCommand>,
    pub(super) answers: Answers,
    /// Whether command and answer have a key.
    pub(super) is_keyed: bool,
    /// Why the simulator does not answer, if there is one.
    misfit: Option<String>,
}

impl Trial {
    /// A command with an answer.
    pub(super) fn prepare(mapping: &Arc<Mapping>, report: &CaseReport) -> Result<Self, Otherwise> {
        let mut commands: Vec<&GoldenCommand> = report.commands.iter().collect();
        commands.sort_by_key(|command| rank(command));
        commands.truncate(COMMANDS_MAX);
        if commands.is_empty() {
            return Err((
                "a golden case of a command to send".to_owned(),
                "none that comes out as written".to_owned(),
            ));
        }
        let mut misfit = None;
        for command in &commands {
            let provider = provider(mapping, command)?;
            match simulated(&provider, command) {
                None => break,
                Some(Ok((simulated, is_keyed))) => {
                    let answers = Answers::Simulated(Box::new(simulated));
                    let made = Self::new(provider, command, answers, is_keyed, None);
                    return Ok(made.with_other(&commands));
                }
                Some(Err(text)) => {
                    misfit.get_or_insert(text);
                }
            }
        }
        for command in &commands {
            let provider = provider(mapping, command)?;
            if let Some(golden) = golden(&provider, command, &report.replies) {
                let is_keyed = !golden.key.is_empty();
                let answers = Answers::Golden(golden);
                let made = Self::new(provider, command, answers, is_keyed, misfit);
                return Ok(made.with_other(&commands));
            }
        }
        let simulator = misfit.unwrap_or_else(|| "there is no simulator.rhai".to_owned());
        Err((
            "an acknowledgement with the key of a golden frame, from simulator.rhai or a case"
                .to_owned(),
            format!("{simulator}; and no acknowledgement of the cases has such a key"),
        ))
    }

    fn new(
        provider: Arc<Provider>,
        command: &GoldenCommand,
        answers: Answers,
        is_keyed: bool,
        misfit: Option<String>,
    ) -> Self {
        Self {
            provider,
            command: command.clone(),
            other: None,
            answers,
            is_keyed,
            misfit,
        }
    }

    fn with_other(mut self, commands: &[&GoldenCommand]) -> Self {
        let (number, _) = self.numbers();
        let key = |command: &GoldenCommand| {
            let encoded = encoded(&self.provider, command, number);
            encoded.map(|encoded| encoded.key).unwrap_or_default()
        };
        let own = key(&self.command);
        let differs = |command: &&&GoldenCommand| {
            command.cfg == self.command.cfg && !key(command).is_empty() && key(command) != own
        };
        let found = commands.iter().find(differs);
        self.other = found.map(|command| (*command).clone());
        self
    }

    pub(super) fn is_in_order(&self) -> bool {
        self.provider.session.matching == Matching::Fifo
    }

    pub(super) fn is_http(&self) -> bool {
        let framing = &self.provider.mapping.description().framing;
        matches!(framing, Framing::Http { .. })
    }

    pub(super) fn reply_timeout(&self) -> Duration {
        self.provider.session.reply_timeout
    }

    /// A number whose command is answered, and another one.
    pub(super) fn numbers(&self) -> (u64, u64) {
        // Without those that are kept for exchanges by hand.
        let range = self.provider.transactions(None).range();
        let first = match &self.answers {
            Answers::Golden(golden) => golden.transaction,
            Answers::Simulated(_) => range.min,
        };
        let second = if first < range.max {
            first + 1
        } else {
            range.min
        };
        (first, second)
    }

    /// A connected stand whose next number is this one.
    pub(super) fn stand(&self, number: u64) -> Stand {
        let mut stand = Stand::new(&self.provider, &self.command);
        stand.grant(number, number);
        stand
    }

    /// The answer to a command that is out; none if the cases hold none.
    pub(super) fn answer(&mut self, sent: &Sent) -> Result<Option<Vec<u8>>, String> {
        self.answers.to(&self.provider, sent)
    }

    /// The answer to a command that never went out.
    pub(super) fn foreign_answer(&mut self) -> Result<Option<Vec<u8>>, String> {
        if let Answers::Golden(golden) = &self.answers {
            return Ok(if self.is_in_order() {
                golden.foreign.clone()
            } else {
                Some(golden.frame.clone())
            });
        }
        let (number, _) = self.numbers();
        let command = match (self.is_in_order(), &self.other) {
            (false, _) => &self.command,
            (true, Some(other)) => other,
            (true, None) => return Ok(None),
        };
        let never_sent = unsent(encoded(&self.provider, command, number)?, number);
        self.answers.to(&self.provider, &never_sent)
    }

    /// Who answers, and why the simulator does not if there is one.
    pub(super) fn source(&self) -> String {
        match (&self.answers, &self.misfit) {
            (Answers::Simulated(_), _) => "simulator.rhai".to_owned(),
            (Answers::Golden(golden), None) => format!("case `{}`", golden.case),
            (Answers::Golden(golden), Some(misfit)) => {
                format!("case `{}`; {misfit}", golden.case)
            }
        }
    }
}

/// A plain pair first: it is one step almost everywhere.
fn rank(command: &GoldenCommand) -> u8 {
    match command.request.action {
        Action::Pair if command.request.previous_stb.is_none() => 0,
        Action::Pair => 1,
        Action::Unpair => 2,
        _ => 3,
    }
}

/// The provider of the command's case: one lane, and as fast as can be.
fn provider(mapping: &Arc<Mapping>, command: &GoldenCommand) -> Result<Arc<Provider>, Otherwise> {
    let made = Provider::new(ProviderOptions {
        number: 1,
        name: mapping.name().to_owned(),
        family: mapping.name().to_owned(),
        mapping: Arc::clone(mapping),
        settings: command.cfg.clone(),
        address: String::new(),
        credentials: Credentials::default(),
        overrides: SessionOverrides {
            lanes: Some(1),
            rate_per_s: Some(0),
            min_gap: Some(Duration::ZERO),
            ..SessionOverrides::default()
        },
        cardinality: Cardinality::ONE_TO_ONE,
        smartcard_products: Vec::new(),
        stb_products: Vec::new(),
        seed: 1,
    });
    let told = |error: crate::script::ScriptError| {
        let expected = format!("settings that fit, in case `{}`", command.case);
        (expected, error.report())
    };
    made.map(Arc::new).map_err(told)
}

/// The frame of the command's first step, with this number.
pub(super) fn encoded(
    provider: &Provider,
    command: &GoldenCommand,
    transaction: u64,
) -> Result<Encoded, String> {
    let mapping = &provider.mapping;
    let steps = mapping.plan(&command.request, &provider.settings);
    let steps = steps.map_err(|error| error.report())?;
    let step = steps.first().ok_or("the plan has no step")?;
    let context = EncodeContext {
        transaction,
        ..command.context
    };
    let encoded = mapping.encode(step, &context, &provider.settings);
    encoded.map_err(|error| format!("number {transaction}: {}", error.report()))
}

/// As if it had gone out.
fn unsent(encoded: Encoded, transaction: u64) -> Sent {
    Sent {
        request: RequestNumber(0),
        transaction,
        key: encoded.key,
        body: encoded.body,
        connection: 0,
    }
}

/// The mapping's simulator, proven by one command that it acknowledges; and whether keys stand in both.
fn simulated(
    provider: &Provider,
    command: &GoldenCommand,
) -> Option<Result<(Simulated, bool), String>> {
    let opened = Simulated::open(provider, command)?;
    let prove = |mut simulated: Simulated| {
        let (number, _) = provider.numbers_by_hand();
        let sent = encoded(provider, command, number)?;
        let frames = simulated.hear(&sent.body)?;
        let reply = frames.iter().find_map(|frame| reply_of(provider, frame));
        let Some(reply) = reply else {
            return Err("`decode` finds no reply in its answer".to_owned());
        };
        let is_in_order = provider.session.matching == Matching::Fifo;
        let is_keyed = !reply.key.is_empty() && !sent.key.is_empty();
        if reply.key != sent.key && (is_keyed || !is_in_order) {
            return Err(format!(
                "it answers the command with key `{}` by one with key `{}`",
                sent.key, reply.key
            ));
        }
        if !reply.outcome.is_confirmed() {
            let code = reply.code.unwrap_or_default();
            return Err(format!(
                "it does not acknowledge the command: code `{code}`"
            ));
        }
        Ok((simulated, is_keyed))
    };
    // The first line: what a script's error shows beside it is for `pairbox simulate`.
    let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
    let told = |text: String| format!("simulator.rhai does not fit: {}", first_line(text));
    Some(opened.and_then(prove).map_err(told))
}

/// An acknowledgement of the cases that has the command's key, with some number.
fn golden(provider: &Provider, command: &GoldenCommand, replies: &[GoldenReply]) -> Option<Golden> {
    let range = provider.transactions(None).range();
    let known = |golden: &GoldenReply| Some((golden.clone(), reply_of(provider, &golden.frame)?));
    let known: Vec<_> = replies.iter().filter_map(known).collect();
    for (golden, reply) in &known {
        if !reply.outcome.is_confirmed() {
            continue;
        }
        let written = reply.key.trim_start_matches('0').parse::<u64>().ok();
        let numbers = [Some(command.context.transaction), written];
        let is_its = |number: &u64| {
            (range.min..=range.max).contains(number)
                && encoded(provider, command, *number).is_ok_and(|sent| sent.key == reply.key)
        };
        let Some(transaction) = numbers.into_iter().flatten().find(is_its) else {
            continue;
        };
        let is_foreign = |other: &&(GoldenReply, crate::script::contract::Reply)| {
            !other.1.key.is_empty() && other.1.key != reply.key
        };
        let foreign = known.iter().find(is_foreign);
        return Some(Golden {
            case: golden.case.clone(),
            frame: golden.frame.clone(),
            key: reply.key.clone(),
            transaction,
            foreign: foreign.map(|(golden, _)| golden.frame.clone()),
        });
    }
    None
}
