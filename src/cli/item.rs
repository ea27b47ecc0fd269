//! `pairbox item import|add|list|show|blacklist`.

use chrono_tz::Tz;
use clap::{Args, Subcommand};

use super::backend::{Backend, Sending};
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::import::{ImportArgs, told_one};
use super::named::ByArgs;
use super::output::{Format, ListWriter, Listed, OutputArgs, or_dash, say, thing};
use super::request::queue_words;
use crate::actions::items::{ItemDetails, ItemRow};
use crate::actions::local_time::local_time;
use crate::control::{
    BlacklistAsk, ItemBlacklist, ItemList, ItemListAsk, ItemRegister, ItemShow, ItemsAsk,
    PAGE_ROWS_MAX,
};
use crate::domain::items::NewItem;
use crate::domain::{ItemKind, PublicId};

#[derive(Subcommand)]
pub enum ItemCommand {
    /// Bring in a vendor's file: serial_number, alternative_code, product, and if wanted ca_id, state, id, notes
    Import(ImportArgs),
    /// Add one item
    Add(AddArgs),
    /// All items, by the order in which they came
    List(ListArgs),
    /// One item with everything that is known of it
    Show(ShowArgs),
    /// Items that requests may not name
    #[command(subcommand)]
    Blacklist(BlacklistCommand),
}

#[derive(Args)]
pub struct AddArgs {
    serial_number: String,
    #[arg(long)]
    product: String,
    /// Equal to the serial number unless given
    #[arg(long, value_name = "CODE")]
    alternative_code: Option<String>,
    /// Equal to the serial number unless given
    #[arg(long)]
    ca_id: Option<String>,
    #[arg(long)]
    not_effective: bool,
    /// The CRM's id of 32 hex digits
    #[arg(long, value_parser = public_id)]
    id: Option<PublicId>,
    #[arg(long, default_value = "")]
    notes: String,
    /// Change an item that is there with other values
    #[arg(long)]
    update: bool,
}

#[derive(Args)]
pub struct ListArgs {
    /// Only items of this product
    #[arg(long, value_name = "CODE")]
    product: Option<String>,
    /// Only blacklisted ones
    #[arg(long)]
    blacklisted: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args)]
pub struct ShowArgs {
    item: String,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Subcommand)]
pub enum BlacklistCommand {
    /// Refuse requests that name the item
    Add(BlacklistArgs),
    /// Take them again
    Remove(BlacklistArgs),
}

#[derive(Args)]
pub struct BlacklistArgs {
    item: String,
    #[command(flatten)]
    by: ByArgs,
    #[arg(long)]
    reason: String,
}

pub fn public_id(text: &str) -> Result<PublicId, String> {
    PublicId::parse(text).ok_or_else(|| "expected 32 hex digits".to_owned())
}

impl ItemCommand {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let backend = Backend::open(&config, Sending::Off)?;
        let zone = config.api.time_zone;
        match self {
            Self::Import(args) => args.run::<NewItem>(&backend),
            Self::Add(args) => args.run(&backend),
            Self::List(args) => args.run(&backend, zone),
            Self::Show(args) => {
                let details = backend.call::<ItemShow>(&args.by.item(&args.item)?)?;
                thing(&details, args.output.output, &fields(&details, zone))?;
                if args.output.output == Format::Table && !details.queue.is_empty() {
                    say(&format!("\n{}", queue_words(&details.queue, zone)))?;
                }
                Ok(Exit::Done)
            }
            Self::Blacklist(command) => command.run(&backend),
        }
    }
}

impl AddArgs {
    fn run(self, backend: &Backend) -> Result<Exit, CliError> {
        let serial_number = self.serial_number;
        let item = NewItem {
            product: self.product,
            alternative_code: self
                .alternative_code
                .unwrap_or_else(|| serial_number.clone()),
            ca_id: self.ca_id,
            is_effective: !self.not_effective,
            id: self.id,
            notes: self.notes,
            serial_number: serial_number.clone(),
        };
        let ends = backend.call::<ItemRegister>(&ItemsAsk {
            items: vec![item],
            may_update: self.update,
            is_dry_run: false,
        })?;
        told_one(&format!("item {serial_number}"), ends)
    }
}

impl ListArgs {
    fn run(self, backend: &Backend, zone: Tz) -> Result<Exit, CliError> {
        let mut writer = ListWriter::new(self.output.output, zone);
        let mut next = Some(0);
        while let Some(after) = next {
            let page = backend.call::<ItemList>(&ItemListAsk {
                product: self.product.clone(),
                is_blacklisted: self.blacklisted.then_some(true),
                after,
                limit: PAGE_ROWS_MAX,
                with_normalized: false,
            })?;
            writer.write(&page.rows)?;
            next = page.next;
        }
        writer.end::<ItemRow>()?;
        Ok(Exit::Done)
    }
}

impl BlacklistCommand {
    fn run(self, backend: &Backend) -> Result<Exit, CliError> {
        let (args, is_blacklisted) = match self {
            Self::Add(args) => (args, true),
            Self::Remove(args) => (args, false),
        };
        let has_changed = backend.call::<ItemBlacklist>(&BlacklistAsk {
            item: args.by.item(&args.item)?,
            is_blacklisted,
            reason: args.reason,
        })?;
        let so = if is_blacklisted {
            "blacklisted"
        } else {
            "not blacklisted"
        };
        let already = if has_changed { "now" } else { "already" };
        say(&format!("item {} is {already} {so}", args.item))?;
        Ok(Exit::Done)
    }
}

fn kind(kind: Option<ItemKind>) -> &'static str {
    kind.map_or("neither card nor STB", ItemKind::noun)
}

fn state(is_effective: bool) -> &'static str {
    if is_effective {
        "EFFECTIVE"
    } else {
        "NOT_EFFECTIVE"
    }
}

impl Listed for ItemRow {
    const HEADINGS: &'static [&'static str] = &[
        "serial_number",
        "alternative_code",
        "product",
        "kind",
        "ca_id",
        "state",
        "blacklisted",
        "paired_with",
        "id",
    ];

    fn cells(&self, _zone: Tz) -> Vec<String> {
        vec![
            self.serial_number.clone(),
            self.alternative_code.clone(),
            self.product.clone(),
            kind(self.kind).to_owned(),
            self.ca_id.clone(),
            state(self.is_effective).to_owned(),
            or_dash(self.is_blacklisted.then_some("yes")),
            or_dash(self.paired_with.as_deref()),
            self.id.to_string(),
        ]
    }
}

fn fields(details: &ItemDetails, zone: Tz) -> Vec<(&'static str, String)> {
    let item = &details.item;
    let when = |at: Option<_>, by: &str| {
        at.map(|at| format!("{} by {by}", local_time(at, zone)))
            .unwrap_or_default()
    };
    vec![
        ("serial_number", item.serial_number.clone()),
        ("alternative_code", item.alternative_code.clone()),
        ("id", item.id.to_string()),
        ("product", format!("{} ({})", item.product, kind(item.kind))),
        ("ca_id", item.ca_id.clone()),
        ("state", state(item.is_effective).to_owned()),
        (
            "blacklisted",
            if item.is_blacklisted {
                "yes".to_owned()
            } else {
                String::new()
            },
        ),
        ("paired with", or_dash(item.paired_with.as_deref())),
        ("notes", details.notes.clone()),
        ("created", when(details.created_at, &details.created_by)),
        ("updated", when(details.updated_at, &details.updated_by)),
    ]
}
