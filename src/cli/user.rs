//! `pairbox user add|list|remove|password`: who may use the API.

use chrono_tz::Tz;
use clap::Subcommand;

use super::backend::{Backend, Sending};
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::output::{Listed, OutputArgs, list, say};
use super::password::PasswordArgs;
use crate::access::Role;
use crate::actions::local_time::local_time;
use crate::control::{
    NameAsk, UserAdd, UserAddAsk, UserList, UserPassword, UserPasswordAsk, UserRemove, UserReport,
};

#[derive(Subcommand)]
pub enum UserCommand {
    Add {
        name: String,
        /// crm: provisioning calls; operator: everything; viewer: looks only
        #[arg(long, value_parser = role)]
        role: Role,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// All users
    List(OutputArgs),
    /// Remove a user; the user's tokens end at once
    Remove { name: String },
    /// Change a password; the user's tokens end at once
    Password {
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
}

pub fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "expected crm, operator or viewer".to_owned())
}

impl UserCommand {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let backend = Backend::open(&config, Sending::Off)?;
        match self {
            Self::Add {
                name,
                role,
                password,
            } => {
                let password = password.read()?;
                let ask = UserAddAsk {
                    name,
                    role,
                    password,
                };
                backend.call::<UserAdd>(&ask)?;
                say(&format!("user {} is added", ask.name))?;
            }
            Self::List(args) => {
                let users = backend.call::<UserList>(&())?;
                list(&users, args.output, config.api.time_zone)?;
            }
            Self::Remove { name } => {
                let ask = NameAsk { name };
                backend.call::<UserRemove>(&ask)?;
                say(&format!("user {} is removed", ask.name))?;
            }
            Self::Password { name, password } => {
                let password = password.read()?;
                let ask = UserPasswordAsk { name, password };
                backend.call::<UserPassword>(&ask)?;
                say(&format!("user {} has a new password", ask.name))?;
            }
        }
        Ok(Exit::Done)
    }
}

impl Listed for UserReport {
    const HEADINGS: &'static [&'static str] = &["name", "role", "created"];

    fn cells(&self, zone: Tz) -> Vec<String> {
        vec![
            self.name.clone(),
            self.role.as_str().to_owned(),
            local_time(self.created, zone),
        ]
    }
}
