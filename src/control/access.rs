//! Verbs about users and keys. A password goes to `access/` and nowhere else; each change becomes a ledger event.
//!
//! Calls that carry a secret have no `Debug`.

use serde::{Deserialize, Serialize};

use super::{ControlContext, ControlError, Verb};
use crate::access::{KeyEntry, Role, UserEntry};
use crate::domain::Timestamp;

/// A user or key in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserReport {
    pub name: String,
    pub role: Role,
    pub created: Timestamp,
}

/// A key as a list shows it; the same fields as a user's.
pub type KeyReport = UserReport;

#[derive(Serialize, Deserialize)]
pub struct UserAddAsk {
    pub name: String,
    pub role: Role,
    pub password: String,
}

pub struct UserAdd;

impl Verb for UserAdd {
    const NAME: &'static str = "user.add";
    type Ask = UserAddAsk;
    type Answer = ();

    fn run(context: &ControlContext, by: &str, ask: UserAddAsk) -> Result<(), ControlError> {
        let change = context
            .access
            .user_add(&ask.name, ask.role, &ask.password)?;
        Ok(context.actions.record_access_change(by, &change)?)
    }
}

pub struct UserList;

impl Verb for UserList {
    const NAME: &'static str = "user.list";
    type Ask = ();
    type Answer = Vec<UserReport>;

    fn run(context: &ControlContext, _by: &str, _ask: ()) -> Result<Vec<UserReport>, ControlError> {
        let users = context.access.user_list().into_iter();
        let report = |user: UserEntry| UserReport {
            name: user.name,
            role: user.role,
            created: user.created,
        };
        Ok(users.map(report).collect())
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NameAsk {
    pub name: String,
}

pub struct UserRemove;

impl Verb for UserRemove {
    const NAME: &'static str = "user.remove";
    type Ask = NameAsk;
    type Answer = ();

    fn run(context: &ControlContext, by: &str, ask: NameAsk) -> Result<(), ControlError> {
        let change = context.access.user_remove(&ask.name)?;
        Ok(context.actions.record_access_change(by, &change)?)
    }
}

#[derive(Serialize, Deserialize)]
pub struct UserPasswordAsk {
    pub name: String,
    pub password: String,
}

pub struct UserPassword;

impl Verb for UserPassword {
    const NAME: &'static str = "user.password";
    type Ask = UserPasswordAsk;
    type Answer = ();

    fn run(context: &ControlContext, by: &str, ask: UserPasswordAsk) -> Result<(), ControlError> {
        let change = context.access.user_password(&ask.name, &ask.password)?;
        Ok(context.actions.record_access_change(by, &change)?)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyCreateAsk {
    pub name: String,
    pub role: Role,
}

pub struct KeyCreate;

impl Verb for KeyCreate {
    const NAME: &'static str = "key.create";
    type Ask = KeyCreateAsk;
    /// The secret, for this once.
    type Answer = String;

    fn run(context: &ControlContext, by: &str, ask: KeyCreateAsk) -> Result<String, ControlError> {
        let (secret, change) = context.access.key_create(&ask.name, ask.role)?;
        context.actions.record_access_change(by, &change)?;
        Ok(secret.as_str().to_owned())
    }
}

pub struct KeyList;

impl Verb for KeyList {
    const NAME: &'static str = "key.list";
    type Ask = ();
    type Answer = Vec<KeyReport>;

    fn run(context: &ControlContext, _by: &str, _ask: ()) -> Result<Vec<KeyReport>, ControlError> {
        let keys = context.access.key_list().into_iter();
        let report = |key: KeyEntry| KeyReport {
            name: key.name,
            role: key.role,
            created: key.created,
        };
        Ok(keys.map(report).collect())
    }
}

pub struct KeyRevoke;

impl Verb for KeyRevoke {
    const NAME: &'static str = "key.revoke";
    type Ask = NameAsk;
    type Answer = ();

    fn run(context: &ControlContext, by: &str, ask: NameAsk) -> Result<(), ControlError> {
        let change = context.access.key_revoke(&ask.name)?;
        Ok(context.actions.record_access_change(by, &change)?)
    }
}
