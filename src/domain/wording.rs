//! Words from closed sets that requests carry: priority and process name.

use serde::{Deserialize, Serialize};

/// Decides between requests that share no card and no STB.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Priority {
    #[default]
    Regular,
    Express,
}

impl Priority {
    pub fn word(self) -> &'static str {
        match self {
            Self::Regular => "REGULAR",
            Self::Express => "EXPRESS",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Regular, Self::Express]
            .into_iter()
            .find(|priority| priority.word() == text)
    }
}

/// Who made the request (`api.md` section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProcessName {
    /// The command line.
    Manual,
    /// An unpair that the policy `stb_taken = "replace"` added.
    ProvisioningRequestProcessing,
    /// A bulk job.
    PairingUtility,
    WebApi,
}

impl ProcessName {
    pub fn word(self) -> &'static str {
        match self {
            Self::Manual => "MANUAL",
            Self::ProvisioningRequestProcessing => "PROVISIONING_REQUEST_PROCESSING",
            Self::PairingUtility => "PAIRING_UTILITY",
            Self::WebApi => "WEB_API",
        }
    }
}
