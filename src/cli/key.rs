//! `pairbox key create|list|revoke`: API keys, which log in without a password.

use clap::Subcommand;

use super::backend::{Backend, Sending};
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::output::{OutputArgs, list, say};
use super::user::role;
use crate::access::Role;
use crate::control::{KeyCreate, KeyCreateAsk, KeyList, KeyRevoke, NameAsk};

#[derive(Subcommand)]
pub enum KeyCommand {
    /// Make a key; its secret is shown now and never again
    Create {
        name: String,
        /// crm: provisioning calls; operator: everything; viewer: looks only
        #[arg(long, value_parser = role)]
        role: Role,
    },
    /// All keys
    List(OutputArgs),
    /// End a key; its tokens end at once
    Revoke { name: String },
}

impl KeyCommand {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let backend = Backend::open(&config, Sending::Off)?;
        match self {
            Self::Create { name, role } => {
                let secret = backend.call::<KeyCreate>(&KeyCreateAsk { name, role })?;
                eprintln!("the key is shown this once:");
                say(&secret)?;
            }
            Self::List(args) => {
                let keys = backend.call::<KeyList>(&())?;
                list(&keys, args.output, config.api.time_zone)?;
            }
            Self::Revoke { name } => {
                let ask = NameAsk { name };
                backend.call::<KeyRevoke>(&ask)?;
                say(&format!("key {} is revoked", ask.name))?;
            }
        }
        Ok(Exit::Done)
    }
}
