//! `pairbox subscription import|add|list|show`.

use chrono_tz::Tz;
use clap::{Args, Subcommand};

use super::backend::{Backend, Sending};
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::import::{ImportArgs, told_one};
use super::item::public_id;
use super::named;
use super::output::{ListWriter, Listed, OutputArgs, thing};
use crate::actions::local_time::local_time;
use crate::actions::subscriptions::{SubscriptionDetails, SubscriptionRow};
use crate::control::{
    PAGE_ROWS_MAX, SubscriptionList, SubscriptionListAsk, SubscriptionRegister, SubscriptionShow,
    SubscriptionsAsk,
};
use crate::domain::PublicId;
use crate::domain::event::SubscriptionFields;

#[derive(Subcommand)]
pub enum SubscriptionCommand {
    /// Bring in a file: number, and if wanted life_cycle_state, id
    Import(ImportArgs),
    /// Add one subscription
    Add(AddArgs),
    /// All subscriptions, by the order in which they came
    List(OutputArgs),
    /// One subscription, by its number or id:ID
    Show {
        number: String,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Args)]
pub struct AddArgs {
    number: String,
    #[arg(long, default_value = "EFFECTIVE")]
    state: String,
    /// The CRM's id of 32 hex digits
    #[arg(long, value_parser = public_id)]
    id: Option<PublicId>,
    /// Change a subscription that is there with another state
    #[arg(long)]
    update: bool,
}

impl SubscriptionCommand {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let backend = Backend::open(&config, Sending::Off)?;
        let zone = config.api.time_zone;
        match self {
            Self::Import(args) => args.run::<SubscriptionFields>(&backend),
            Self::Add(args) => {
                let name = format!("subscription {}", args.number);
                let ends = backend.call::<SubscriptionRegister>(&SubscriptionsAsk {
                    subscriptions: vec![SubscriptionFields {
                        number: args.number,
                        life_cycle_state: args.state,
                        id: args.id,
                    }],
                    may_update: args.update,
                    is_dry_run: false,
                })?;
                told_one(&name, ends)
            }
            Self::List(args) => {
                let mut writer = ListWriter::new(args.output, zone);
                let mut next = Some(0);
                while let Some(after) = next {
                    let limit = PAGE_ROWS_MAX;
                    let ask = SubscriptionListAsk { after, limit };
                    let page = backend.call::<SubscriptionList>(&ask)?;
                    writer.write(&page.rows)?;
                    next = page.next;
                }
                writer.end::<SubscriptionRow>()?;
                Ok(Exit::Done)
            }
            Self::Show { number, output } => {
                let named = named::subscription(&number)?;
                let details = backend.call::<SubscriptionShow>(&named)?;
                thing(&details, output.output, &fields(&details, zone))?;
                Ok(Exit::Done)
            }
        }
    }
}

impl Listed for SubscriptionRow {
    const HEADINGS: &'static [&'static str] = &["number", "life_cycle_state", "id"];

    fn cells(&self, _zone: Tz) -> Vec<String> {
        vec![
            self.number.clone(),
            self.life_cycle_state.clone(),
            self.id.to_string(),
        ]
    }
}

fn fields(details: &SubscriptionDetails, zone: Tz) -> Vec<(&'static str, String)> {
    let row = &details.subscription;
    let when = |at: Option<_>, by: &str| {
        at.map(|at| format!("{} by {by}", local_time(at, zone)))
            .unwrap_or_default()
    };
    vec![
        ("number", row.number.clone()),
        ("life_cycle_state", row.life_cycle_state.clone()),
        ("id", row.id.to_string()),
        ("created", when(details.created_at, &details.created_by)),
        ("updated", when(details.updated_at, &details.updated_by)),
    ]
}
