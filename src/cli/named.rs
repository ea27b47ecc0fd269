//! How things are named on the command line: items by serial number unless said otherwise, requests by number, instants in
//! the configured zone.

use chrono_tz::Tz;
use clap::{Args, ValueEnum};

use super::error::CliError;
use crate::actions::local_time::parse_local;
use crate::control::{ItemNamed, RequestNamed, SubscriptionNamed};
use crate::domain::{PublicId, Timestamp};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum By {
    #[default]
    SerialNumber,
    AlternativeCode,
    Id,
}

/// `--by`, wherever an item is named.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ByArgs {
    /// What the item is named by
    #[arg(long, value_enum, default_value_t, value_name = "FIELD")]
    pub by: By,
}

impl ByArgs {
    pub fn item(self, text: &str) -> Result<ItemNamed, CliError> {
        Ok(match self.by {
            By::SerialNumber => ItemNamed::SerialNumber(text.to_owned()),
            By::AlternativeCode => ItemNamed::AlternativeCode(text.to_owned()),
            By::Id => ItemNamed::Id(id(text)?),
        })
    }
}

/// A request by its number or its id of 32 digits.
pub fn request(text: &str) -> Result<RequestNamed, CliError> {
    if let Some(id) = PublicId::parse(text) {
        return Ok(RequestNamed::Id(id));
    }
    text.parse()
        .map(RequestNamed::Number)
        .map_err(|_| CliError::Argument {
            what: "NUMBER",
            expected: "the number of a request, or its id of 32 hex digits",
            found: text.to_owned(),
        })
}

/// A subscription by its number, or by `id:` and 32 digits.
pub fn subscription(text: &str) -> Result<SubscriptionNamed, CliError> {
    match text.strip_prefix("id:") {
        Some(text) => Ok(SubscriptionNamed::Id(id(text)?)),
        None => Ok(SubscriptionNamed::Number(text.to_owned())),
    }
}

fn id(text: &str) -> Result<PublicId, CliError> {
    PublicId::parse(text).ok_or_else(|| CliError::Argument {
        what: "id",
        expected: "32 hex digits",
        found: text.to_owned(),
    })
}

/// An instant as `parse_local` reads it; `what` names the flag.
pub fn instant(what: &'static str, text: &str, zone: Tz) -> Result<Timestamp, CliError> {
    parse_local(text, zone).map_err(|expected| CliError::Argument {
        what,
        expected,
        found: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_the_configured_zone() {
        let zone: Tz = "Europe/Athens".parse().unwrap();
        for (text, utc) in [
            ("2026-11-23T22:00:00", "2026-11-23T20:00:00.000000Z"),
            ("2026-11-23 22:00", "2026-11-23T20:00:00.000000Z"),
            ("2026-11-23", "2026-11-22T22:00:00.000000Z"),
            ("2026-11-23T22:00:00Z", "2026-11-23T22:00:00.000000Z"),
            ("2026-10-25T03:30:00", "2026-10-25T00:30:00.000000Z"),
        ] {
            assert_eq!(
                instant("--at", text, zone).unwrap().to_string(),
                utc,
                "{text}"
            );
        }
        assert!(instant("--at", "2026-03-29T03:30:00", zone).is_err());
        assert!(instant("--at", "tomorrow", zone).is_err());
    }
}
