//! `pairbox pairing list|show|history`: which card is with which STB, now and on any day before.

use chrono_tz::Tz;
use clap::{Args, Subcommand};

use super::backend::{Backend, Sending};
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::named::ByArgs;
use super::output::{Format, ListWriter, Listed, OutputArgs, list, or_dash, say};
use crate::actions::history::{PairingChange, PairingStep};
use crate::actions::local_time::local_time;
use crate::actions::pairings::PairingRow;
use crate::control::{PAGE_ROWS_MAX, PairingHistoryOf, PairingList, PairingListAsk, PairingShow};

#[derive(Subcommand)]
pub enum PairingCommand {
    /// All pairings, as the CAS confirmed them
    List(ListArgs),
    /// The pairing of a card or an STB
    Show(ItemArgs),
    /// All pairings that a card had, newest first
    History(ItemArgs),
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
            Self::History(args) => {
                let history = backend.call::<PairingHistoryOf>(&args.by.item(&args.item)?)?;
                list(&history.steps, args.output.output, zone)?;
                if let Some(cut) = history.cut.filter(|_| args.output.output == Format::Table) {
                    say(&format!("\n{cut}"))?;
                }
            }
        }
        Ok(Exit::Done)
    }
}

impl Listed for PairingRow {
    const HEADINGS: &'static [&'static str] = &["card", "stb", "since", "doubt"];

    fn cells(&self, zone: Tz) -> Vec<String> {
        vec![
            self.card.clone(),
            or_dash(self.stb.as_deref()),
            local_time(self.since, zone),
            or_dash(self.doubt.as_deref()),
        ]
    }
}

impl Listed for PairingStep {
    const HEADINGS: &'static [&'static str] = &["at", "change", "stb", "request", "by", "ledger"];

    fn cells(&self, zone: Tz) -> Vec<String> {
        let (change, stb) = match &self.change {
            PairingChange::Paired { stb } => ("paired", Some(stb.as_str())),
            PairingChange::Unpaired => ("unpaired", None),
            PairingChange::InDoubt => ("in doubt", None),
        };
        let request = self.request.map(|number| number.to_string());
        vec![
            local_time(self.at, zone),
            change.to_owned(),
            or_dash(stb),
            or_dash(request.as_deref()),
            self.by.clone(),
            self.seq.to_string(),
        ]
    }
}
