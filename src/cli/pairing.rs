//! `pairbox pairing list|show|history`: which card is with which STB, now and on any day before.

use chrono_tz::Tz;
use clap::{Args, Subcommand};

use super::backend::{Backend, Sending};
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::named::{ByArgs, instant};
use super::output::{Format, ListWriter, Listed, OutputArgs, list, or_dash, say};
use crate::actions::history::{PairingChange, PairingStep};
use crate::actions::local_time::local_time;
use crate::actions::pairings::PairingRow;
use crate::control::{PAGE_ROWS_MAX, PairingHistoryOf, PairingList, PairingListAsk, PairingShow};
use crate::domain::Timestamp;

#[derive(Subcommand)]
pub enum PairingCommand {
    /// All pairings, as the CAS confirmed them
    List(ListArgs),
    /// The pairing of a card or an STB
    Show(ItemArgs),
    /// All pairings that a card had, newest first
    History(HistoryArgs),
}

#[derive(Args)]
pub struct ListArgs {
    /// Cards too that were unpaired
    #[arg(long)]
    freed: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args)]
pub struct ItemArgs {
    item: String,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    item: ItemArgs,
    /// What was so at that instant, such as "2026-11-26 02:00" (local) or 2026-11-26T00:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

impl PairingCommand {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let backend = Backend::open(&config, Sending::Off)?;
        let zone = config.api.time_zone;
        match self {
            Self::List(args) => {
                let mut writer = ListWriter::new(args.output.output, zone);
                let mut next = Some(0);
                while let Some(after) = next {
                    let page = backend.call::<PairingList>(&PairingListAsk {
                        after,
                        limit: PAGE_ROWS_MAX,
                        with_freed: args.freed,
                    })?;
                    writer.write(&page.rows)?;
                    next = page.next;
                }
                writer.end::<PairingRow>()?;
            }
            Self::Show(args) => {
                let rows = backend.call::<PairingShow>(&args.by.item(&args.item)?)?;
                list(&rows, args.output.output, zone)?;
            }
            Self::History(HistoryArgs { item, at }) => {
                let at = at.map(|text| instant("--at", &text, zone)).transpose()?;
                let mut history = backend.call::<PairingHistoryOf>(&item.by.item(&item.item)?)?;
                if let Some(at) = at {
                    history.steps = steps_at(history.steps, at);
                }
                // An instant before all of them is answered by none, if none is missing.
                let is_whole = at.is_some() && !history.steps.is_empty();
                list(&history.steps, item.output.output, zone)?;
                let cut = history.cut.filter(|_| !is_whole);
                if let Some(cut) = cut.filter(|_| item.output.output == Format::Table) {
                    say(&format!("\n{cut}"))?;
                }
            }
        }
        Ok(Exit::Done)
    }
}

/// What was so at an instant: the latest change by then, and below a doubt what was so before it.
fn steps_at(steps: Vec<PairingStep>, at: Timestamp) -> Vec<PairingStep> {
    let mut told = Vec::new();
    for step in steps.into_iter().filter(|step| step.at <= at) {
        let is_clear = step.change != PairingChange::InDoubt;
        told.push(step);
        if is_clear {
            break;
        }
    }
    told
}

impl Listed for PairingRow {
    const HEADINGS: &'static [&'static str] = &["card", "stb", "since", "doubt", "wanted"];

    fn cells(&self, zone: Tz) -> Vec<String> {
        let wanted = self.wanted.as_ref().map(|stbs| match stbs.as_slice() {
            [] => "no STB".to_owned(),
            stbs => stbs.join(", "),
        });
        vec![
            self.card.clone(),
            or_dash(self.stb.as_deref()),
            local_time(self.since, zone),
            or_dash(self.doubt.as_deref()),
            or_dash(wanted.as_deref()),
        ]
    }
}

impl Listed for PairingStep {
    const HEADINGS: &'static [&'static str] = &[
        "at",
        "change",
        "stb",
        "then with",
        "request",
        "by",
        "ledger",
    ];

    fn cells(&self, zone: Tz) -> Vec<String> {
        let (change, stb) = match &self.change {
            PairingChange::Paired { stb } => ("paired", Some(stb.as_str())),
            PairingChange::Unpaired { stb } => ("unpaired", stb.as_deref()),
            PairingChange::InDoubt => ("in doubt", None),
        };
        let request = self.request.map(|number| number.to_string());
        let then = (!self.stbs.is_empty()).then(|| self.stbs.join(", "));
        vec![
            local_time(self.at, zone),
            change.to_owned(),
            or_dash(stb),
            or_dash(then.as_deref()),
            or_dash(request.as_deref()),
            self.by.clone(),
            self.seq.to_string(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_shows_what_was_so_and_what_was_doubted() {
        let step = |at: i64, change: PairingChange| PairingStep {
            at: Timestamp::from_micros(at),
            by: "dispatch".to_owned(),
            request: None,
            change,
            stbs: Vec::new(),
            seq: 1,
        };
        let paired = || PairingChange::Paired {
            stb: "1".to_owned(),
        };
        let unpaired = || PairingChange::Unpaired { stb: None };
        let steps = vec![
            step(40, unpaired()),
            step(30, PairingChange::InDoubt),
            step(20, paired()),
            step(10, unpaired()),
        ];
        let at = |at| steps_at(steps.clone(), Timestamp::from_micros(at));
        assert_eq!(at(50), steps[..1]);
        assert_eq!(at(39), steps[1..3]);
        assert_eq!(at(20), steps[2..3]);
        assert_eq!(at(9), []);
    }
}
