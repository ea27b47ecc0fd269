//! The numbers that could be mixed up, each a type of its own.
//!
//! Numbers are given out by the writer, start at 1 and are never used again.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A smartcard or an STB.
    ItemNumber(u64)
);
number!(
    /// A provisioning request; the `number` that the CRM sees.
    RequestNumber(u64)
);
number!(
    /// A subscription, by our own count; its CRM number is a text.
    SubscriptionNumber(u64)
);
number!(
    /// A product code's number.
    ProductNumber(u32)
);
number!(
    /// A bulk job.
    JobNumber(u64)
);
number!(
    /// A configured CAS.
    ProviderNumber(u16)
);
