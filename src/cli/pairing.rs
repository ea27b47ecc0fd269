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
                let is_known = |step: &PairingStep| step.stbs.is_some();
                let is_whole = at.is_some() && history.steps.first().is_some_and(is_known);
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

/// What was so at an instant: the latest change by then, and the doubts that no later change settled.
fn steps_at(steps: Vec<PairingStep>, at: Timestamp) -> Vec<PairingStep> {
    let mut told = Vec::new();
    let mut settled: Vec<String> = Vec::new();
    let mut has_change = false;
    for step in steps.into_iter().filter(|step| step.at <= at) {
        let settles_all = step.settles_all;
        let is_told = match &step.change {
            PairingChange::InDoubt { stb } => {
                !has_change || stb.as_ref().is_some_and(|stb| !settled.contains(stb))
            }
            PairingChange::Paired { stb } => {
                settled.push(stb.clone());
                !has_change
            }
            PairingChange::Unpaired { stb } => {
                settled.extend(stb.clone());
                !has_change
            }
        };
        has_change |= !matches!(step.change, PairingChange::InDoubt { .. });
        if is_told {
            told.push(step);
        }
        if settles_all {
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
            PairingChange::InDoubt { stb } => ("in doubt", stb.as_deref()),
        };
        let request = self.request.map(|number| number.to_string());
        let then = self.stbs.as_ref().filter(|stbs| !stbs.is_empty());
        let then = then.map(|stbs| stbs.join(", "));
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

    fn step(at: i64, change: PairingChange, settles_all: bool) -> PairingStep {
        PairingStep {
            at: Timestamp::from_micros(at),
            by: "dispatch".to_owned(),
            request: None,
            change,
            stbs: None,
            settles_all,
            seq: 1,
        }
    }

    fn paired(stb: &str) -> PairingChange {
        let stb = stb.to_owned();
        PairingChange::Paired { stb }
    }

    fn doubted(stb: &str) -> PairingChange {
        let stb = Some(stb.to_owned());
        PairingChange::InDoubt { stb }
    }

    #[test]
    fn an_instant_shows_what_was_so_and_what_was_doubted() {
        let unpaired = || PairingChange::Unpaired { stb: None };
        let steps = vec![
            step(40, unpaired(), true),
            step(30, doubted("2"), false),
            step(20, paired("1"), true),
            step(10, unpaired(), true),
        ];
        let at = |at| steps_at(steps.clone(), Timestamp::from_micros(at));
        assert_eq!(at(50), steps[..1]);
        assert_eq!(at(39), steps[1..3]);
        assert_eq!(at(20), steps[2..3]);
        assert_eq!(at(9), []);
    }

    #[test]
    fn a_doubt_about_one_of_several_stbs_is_told_until_that_one_is_settled() {
        let steps = vec![
            step(40, paired("1"), false),
            step(30, paired("2"), false),
            step(20, doubted("1"), false),
            step(10, paired("3"), false),
        ];
        let at = |at| steps_at(steps.clone(), Timestamp::from_micros(at));
        assert_eq!(at(50), steps[..1]);
        assert_eq!(at(39), steps[1..3]);
    }
}
