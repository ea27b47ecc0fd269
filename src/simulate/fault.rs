//! The faults that real integrations were seen to suffer, as `--fault drop=1%,late=5%` names them.
//!
//! One seeded draw per kind and command frame decides; hello and keepalives are spared unless they are named themselves.

use std::fmt;
use std::str::FromStr;

use crate::domain::Chance;

const PER_MILLION: f64 = 1_000_000.0;

/// What can go wrong with one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The command is taken, its reply is not sent.
    Drop,
    /// The command is refused.
    Refuse,
    /// The CAS asks to come back later.
    Busy,
    /// The reply comes after the sender's time-out.
    Late,
    /// The connection is closed after the command was taken.
    Close,
    /// The reply comes twice.
    Duplicate,
    /// The reply comes after the next one.
    Reorder,
    /// The reply is written byte by byte.
    Split,
    /// The reply is written together with later ones.
    Merge,
    /// The hello is rejected.
    Hello,
    /// The answer to a keepalive is not sent.
    Keepalive,
}

impl Fault {
    pub const ALL: [Self; 11] = [
        Self::Drop,
        Self::Refuse,
        Self::Busy,
        Self::Late,
        Self::Close,
        Self::Duplicate,
        Self::Reorder,
        Self::Split,
        Self::Merge,
        Self::Hello,
        Self::Keepalive,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Refuse => "refuse",
            Self::Busy => "busy",
            Self::Late => "late",
            Self::Close => "close",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Split => "split",
            Self::Merge => "merge",
            Self::Hello => "hello",
            Self::Keepalive => "keepalive",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }
}

/// Which share of the frames suffers which fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// In parts of a million; a kind is in it at most once.
    rates: Vec<(Fault, u32)>,
}

/// Why a fault list cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    #[error("`{part}` is no fault: expected NAME=PERCENT as in `drop=1%`")]
    Shape { part: String },
    #[error("`{name}` is no fault the simulator knows: expected one of {known}{}", suggest(.near.as_ref()))]
    Unknown {
        name: String,
        known: String,
        near: Option<String>,
    },
    #[error("`{value}` is no share for `{name}`: expected 0% to 100%, as in `0.5%`")]
    Share { name: String, value: String },
    #[error("`{name}` is named twice")]
    Twice { name: String },
}

fn suggest(near: Option<&String>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

impl Faults {
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds one fault; for tests and the demo.
    #[must_use]
    pub fn with(mut self, fault: Fault, parts_per_million: u32) -> Self {
        self.rates.retain(|(known, _)| *known != fault);
        self.rates.push((fault, parts_per_million.min(1_000_000)));
        self
    }

    /// Whether this frame suffers `fault`. Draws only for faults that are asked for, so that a seed repeats a run.
    pub fn strikes(&self, fault: Fault, chance: &mut Chance) -> bool {
        self.rates
            .iter()
            .find(|(known, _)| *known == fault)
            .is_some_and(|(_, rate)| chance.happens(*rate))
    }

    /// Whether `fault` is in the list.
    pub fn names(&self, fault: Fault) -> bool {
        self.rates.iter().any(|(known, _)| *known == fault)
    }

    pub fn is_empty(&self) -> bool {
        self.rates.is_empty()
    }
}

impl FromStr for Faults {
    type Err = FaultError;

    fn from_str(list: &str) -> Result<Self, FaultError> {
        let mut faults = Self::none();
        for part in list
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (name, value) = part.split_once('=').ok_or_else(|| FaultError::Shape {
                part: part.to_owned(),
            })?;
            let (name, value) = (name.trim(), value.trim());
            let fault = Fault::named(name).ok_or_else(|| unknown(name))?;
            if faults.names(fault) {
                return Err(FaultError::Twice {
                    name: name.to_owned(),
                });
            }
            let rate = share(value).ok_or_else(|| FaultError::Share {
                name: name.to_owned(),
                value: value.to_owned(),
            })?;
            faults.rates.push((fault, rate));
        }
        Ok(faults)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (fault, rate)) in self.rates.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(
                f,
                "{comma}{}={}%",
                fault.name(),
                f64::from(*rate) / 10_000.0
            )?;
        }
        Ok(())
    }
}

/// `0.5%` in parts of a million.
fn share(value: &str) -> Option<u32> {
    let percent: f64 = value.strip_suffix('%')?.trim().parse().ok()?;
    if !(0.0..=100.0).contains(&percent) {
        return None;
    }
    let parts = (percent / 100.0 * PER_MILLION).round();
    // A float that is whole and at most a million; there is no checked conversion.
    format!("{parts:.0}").parse().ok()
}

fn unknown(name: &str) -> FaultError {
    let near = Fault::ALL
        .into_iter()
        .map(|fault| (strsim::damerau_levenshtein(fault.name(), name), fault))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, fault)| fault.name().to_owned());
    let known: Vec<&str> = Fault::ALL.into_iter().map(Fault::name).collect();
    FaultError::Unknown {
        name: name.to_owned(),
        known: known.join(", "),
        near,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_the_readme_is_read_and_written_back() {
        let list = "drop=1%,refuse=2%,late=5%,close=0.5%,duplicate=1%";
        let faults: Faults = list.parse().unwrap();
        assert_eq!(faults.to_string(), list);
        assert_eq!(
            " drop = 1% ,".parse::<Faults>().unwrap().to_string(),
            "drop=1%"
        );
        assert!("".parse::<Faults>().unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |list: &str| list.parse::<Faults>().unwrap_err().to_string();
        assert_eq!(
            error("drop"),
            "`drop` is no fault: expected NAME=PERCENT as in `drop=1%`"
        );
        assert_eq!(
            error("drop=101%"),
            "`101%` is no share for `drop`: expected 0% to 100%, as in `0.5%`"
        );
        assert_eq!(
            error("late=5"),
            "`5` is no share for `late`: expected 0% to 100%, as in `0.5%`"
        );
        assert_eq!(error("late=1%,late=2%"), "`late` is named twice");
        assert!(error("lat=1%").ends_with("did you mean `late`?"));
        assert!(error("earthquake=1%").ends_with("hello, keepalive"));
    }

    #[test]
    fn a_seed_repeats_its_faults() {
        let faults: Faults = "drop=50%".parse().unwrap();
        let draws = |seed| -> Vec<bool> {
            let mut chance = Chance::new(seed);
            (0..64)
                .map(|_| faults.strikes(Fault::Drop, &mut chance))
                .collect()
        };
        assert_eq!(draws(3), draws(3));
        assert_ne!(draws(3), draws(4));
        assert!(!faults.strikes(Fault::Late, &mut Chance::new(3)));
    }
}
