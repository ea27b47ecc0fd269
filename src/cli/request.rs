//! `pairbox request list|show|explain|cancel|retry|resolve`.

use chrono_tz::Tz;
use clap::{Args, Subcommand, ValueEnum};

use super::backend::{Backend, Sending};
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::named;
use super::output::{
    DASH, Format, ListWriter, Listed, OutputArgs, or_dash, say, table, thing, time_or_dash,
};
use crate::actions::explain::Explanation;
use crate::actions::local_time::local_time;
use crate::actions::requests::{RequestRow, RequestShown};
use crate::actions::retry::Retried;
use crate::control::{
    CancelAsk, PAGE_ROWS_MAX, RequestCancel, RequestExplain, RequestList, RequestListAsk,
    RequestResolve, RequestRetry, RequestShow, ResolveAsk,
};
use crate::domain::event::{Frame, Resolution};
use crate::domain::{Action, LifeCycleState};

#[derive(Subcommand)]
pub enum RequestCommand {
    /// The newest requests, or all
    List(ListArgs),
    /// One request with everything that is known of it
    Show(OneArgs),
    /// Why a request has not gone out, or what became of it
    Explain(OneArgs),
    /// End a request that has not gone out
    Cancel {
        number: String,
        #[arg(long)]
        reason: String,
    },
    /// Send a waiting request now; make a new one of a rejected one
    Retry { number: String },
    /// End a held or doubtful request by what the CAS was found to hold
    Resolve {
        number: String,
        #[arg(value_enum)]
        resolution: ResolutionWord,
        #[arg(long)]
        reason: String,
    },
}

#[derive(Args)]
pub struct ListArgs {
    /// Only those in this state
    #[arg(long, value_enum, ignore_case = true)]
    state: Option<StateWord>,
    /// Only those that this bulk job made
    #[arg(long, value_name = "JOB")]
    job: Option<u64>,
    /// So many of the newest
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    /// All of them, oldest first
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args)]
pub struct OneArgs {
    number: String,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum StateWord {
    Pending,
    Completed,
    Rejected,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum ResolutionWord {
    /// The CAS holds what was asked for
    Done,
    /// It does not, and shall not
    NotDone,
    /// Send it again
    SendAgain,
}

impl RequestCommand {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let backend = Backend::open(&config, Sending::Off)?;
        let zone = config.api.time_zone;
        match self {
            Self::List(args) => args.run(&backend, zone)?,
            Self::Show(args) => {
                let shown = backend.call::<RequestShow>(&named::request(&args.number)?)?;
                thing(&shown, args.output.output, &fields(&shown, zone))?;
            }
            Self::Explain(args) => {
                let told = backend.call::<RequestExplain>(&named::request(&args.number)?)?;
                match args.output.output {
                    Format::Table => say(&words(&told, zone))?,
                    format => thing(&told, format, &reasons(&told))?,
                }
            }
            Self::Cancel { number, reason } => {
                let request = named::request(&number)?;
                let number = backend.call::<RequestCancel>(&CancelAsk { request, reason })?;
                say(&format!("request {number} is cancelled"))?;
            }
            Self::Retry { number } => {
                match backend.call::<RequestRetry>(&named::request(&number)?)? {
                    Retried::Hastened(number) => say(&format!("request {number} is due now"))?,
                    Retried::Renewed { rejected, new } => {
                        say(&format!(
                            "request {new} tries rejected request {rejected} again"
                        ))?;
                    }
                }
            }
            Self::Resolve {
                number,
                resolution,
                reason,
            } => {
                let request = named::request(&number)?;
                let (resolution, became) = match resolution {
                    ResolutionWord::Done => (Resolution::Done, "COMPLETED"),
                    ResolutionWord::NotDone => (Resolution::NotDone, "REJECTED"),
                    ResolutionWord::SendAgain => (Resolution::SendAgain, "to be sent again"),
                };
                let number = backend.call::<RequestResolve>(&ResolveAsk {
                    request,
                    resolution,
                    reason,
                })?;
                say(&format!("request {number} is {became}"))?;
            }
        }
        Ok(Exit::Done)
    }
}

impl ListArgs {
    fn run(self, backend: &Backend, zone: Tz) -> Result<(), CliError> {
        let state = self.state.map(|word| match word {
            StateWord::Pending => LifeCycleState::Pending,
            StateWord::Completed => LifeCycleState::Completed,
            StateWord::Rejected => LifeCycleState::Rejected,
        });
        let mut writer = ListWriter::new(self.output.output, zone);
        let mut after = self.all.then_some(0);
        let limit = if self.all {
            PAGE_ROWS_MAX
        } else {
            usize::from(self.limit)
        };
        loop {
            let page = backend.call::<RequestList>(&RequestListAsk {
                state,
                job: self.job,
                after,
                limit,
            })?;
            writer.write(&page.rows)?;
            after = page.next;
            if after.is_none() {
                return writer.end::<RequestRow>();
            }
        }
    }
}

impl Listed for RequestRow {
    const HEADINGS: &'static [&'static str] = &[
        "number", "state", "phase", "action", "card", "stb", "provider", "priority", "due",
        "attempts", "ended",
    ];

    fn cells(&self, zone: Tz) -> Vec<String> {
        vec![
            self.number.to_string(),
            self.life_cycle_state.word().to_owned(),
            self.phase.word().replace('_', " "),
            action_words(self.action),
            self.card.clone(),
            or_dash(self.stb.as_deref()),
            self.provider.clone(),
            self.priority.word().to_owned(),
            local_time(self.due, zone),
            self.attempts.to_string(),
            time_or_dash(self.executed, zone),
        ]
    }
}

fn action_words(action: Action) -> String {
    action.word().replace('_', " ")
}

fn fields(shown: &RequestShown, zone: Tz) -> Vec<(&'static str, String)> {
    let row = &shown.request;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let at = |at: Option<_>| at.map(|at| local_time(at, zone)).unwrap_or_default();
    let frame = |frame: &Option<Frame>| {
        let bytes = |frame: &Frame| {
            let kind = if frame.is_hex { "hex " } else { "" };
            let told = frame.bytes.replace('\r', "\\r");
            let told = told.replace('\n', "\\n").replace('\t', "\\t");
            format!("{kind}{told}")
        };
        frame.as_ref().map(bytes).unwrap_or_default()
    };
    let ca = |ca: &str| format!(" (CA ID {ca})");
    let stb = row.stb.as_ref().map(|stb| {
        let ca = shown.stb_ca_id.as_deref().map(ca).unwrap_or_default();
        format!("{stb}{ca}")
    });
    vec![
        ("number", row.number.to_string()),
        ("id", shown.id.to_string()),
        ("state", row.life_cycle_state.word().to_owned()),
        ("phase", row.phase.word().replace('_', " ")),
        ("action", action_words(row.action)),
        ("card", format!("{}{}", row.card, ca(&shown.card_ca_id))),
        ("stb", stb.unwrap_or_default()),
        ("products", row.products.join(", ")),
        ("leaves", row.leaves.join(", ")),
        ("subscription", text(&shown.subscription)),
        ("provider", row.provider.clone()),
        ("process", row.process_name.word().to_owned()),
        ("priority", row.priority.word().to_owned()),
        (
            "immediate",
            if shown.is_immediate {
                "yes".to_owned()
            } else {
                String::new()
            },
        ),
        ("scheduled", local_time(shown.scheduled, zone)),
        ("again at", at(row.again_at)),
        ("ended", at(row.executed)),
        ("attempts", row.attempts.to_string()),
        ("sent as", number(shown.sequence_number)),
        ("transaction", number(shown.transaction)),
        ("run", number(shown.run)),
        ("linked to", number(shown.linked)),
        ("request", frame(&shown.sent)),
        ("response", frame(&shown.received)),
        ("reference", text(&shown.reference)),
        ("error code", text(&shown.error_code)),
        ("error", text(&shown.error_description)),
        (
            "created",
            format!(
                "{} by {}",
                local_time(shown.created_at, zone),
                shown.created_by
            ),
        ),
        (
            "updated",
            format!(
                "{} by {}",
                local_time(shown.updated_at, zone),
                shown.updated_by
            ),
        ),
    ]
}

/// The explanation as a person reads it.
pub fn words(told: &Explanation, zone: Tz) -> String {
    let row = &told.request;
    let what = row
        .action
        .sentence(&row.card, row.stb.as_deref(), &row.products);
    let state = row.life_cycle_state.word();
    let indented = |texts: &mut dyn Iterator<Item = &str>| {
        let lines: Vec<String> = texts.map(|text| format!("  {text}")).collect();
        lines.join("\n")
    };
    let history = told.history.iter();
    let history =
        history.map(|one| vec![local_time(one.at, zone), one.by.clone(), one.what.clone()]);
    let mut parts = vec![
        format!("request {} ({what}) is {state}", row.number),
        indented(&mut told.reasons.iter().map(|reason| reason.text.as_str())),
        table(&["at", "by", "what happened"], history.collect()),
    ];
    if !told.next.is_empty() {
        let next = indented(&mut told.next.iter().map(String::as_str));
        parts.push(format!("next:\n{next}"));
    }
    parts.join("\n\n")
}

fn reasons(told: &Explanation) -> Vec<(&'static str, String)> {
    let all = |texts: Vec<&str>| {
        if texts.is_empty() {
            DASH.to_owned()
        } else {
            texts.join("; ")
        }
    };
    let reasons = told.reasons.iter().map(|reason| reason.text.as_str());
    let next = told.next.iter().map(String::as_str);
    vec![
        ("number", told.request.number.to_string()),
        ("state", told.request.life_cycle_state.word().to_owned()),
        ("reasons", all(reasons.collect())),
        ("next", all(next.collect())),
    ]
}

/// The unfinished requests of one item.
pub fn queue_words(queue: &[RequestRow], zone: Tz) -> String {
    let rows = queue.iter().map(|row| row.cells(zone)).collect();
    table(RequestRow::HEADINGS, rows)
}
