//! `access.toml`: users with their argon2id hashes, API keys with their SHA-256. Written as a whole at every change.
//!
//! A change counts only once the file is on disk; if that fails, memory stays as it was.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::change::AccessChange;
use super::error::AccessError;
use super::name::AccessName;
use super::private_file;
use super::secret::{SecretDigest, new_stamp};
use super::session::IdentityKind;
use crate::domain::Timestamp;

const USERS_MAX: usize = 1_000;
const KEYS_MAX: usize = 1_000;
const HEADER: &str = "# Written by pairbox: `pairbox user` and `pairbox key` change it. Do not edit while it runs.\n\n";

/// What someone may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The API's provisioning calls.
    Crm,
    /// Everything.
    Operator,
    /// Looks, changes nothing.
    Viewer,
}

impl Role {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crm => "crm",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }

    /// The role of that word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Crm, Self::Operator, Self::Viewer]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

/// A user as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserEntry {
    pub name: String,
    pub role: Role,
    pub created: Timestamp,
}

/// A key as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyEntry {
    pub name: String,
    pub role: Role,
    pub created: Timestamp,
}

/// What a login is checked against.
pub(super) struct Credential {
    pub password: String,
    pub stamp: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    #[serde(default, rename = "user")]
    users: Vec<User>,
    #[serde(default, rename = "key")]
    keys: Vec<Key>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: String,
    role: Role,
    /// The PHC string.
    password: String,
    /// New with every password.
    stamp: String,
    created: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    name: String,
    role: Role,
    #[serde(with = "hex::serde")]
    sha256: SecretDigest,
    stamp: String,
    created: Timestamp,
}

/// The file and what it says.
pub(super) struct Roster {
    path: PathBuf,
    entries: Entries,
}

impl Roster {
    pub fn open(path: PathBuf) -> Result<Self, AccessError> {
        let bytes = private_file::read(&path).map_err(|source| AccessError::Read {
            path: path.clone(),
            source,
        })?;
        let entries = match bytes {
            None => Entries::default(),
            Some(bytes) => toml::from_slice(&bytes).map_err(|source| AccessError::Damaged {
                path: path.clone(),
                source: Box::new(source),
            })?,
        };
        Ok(Self { path, entries })
    }

    pub fn refuse_taken_user(&self, name: &AccessName) -> Result<(), AccessError> {
        if self.user(name.as_str()).is_some() {
            return Err(taken("user", name));
        }
        Ok(())
    }

    pub fn user_add(
        &mut self,
        name: &AccessName,
        role: Role,
        password: String,
        created: Timestamp,
    ) -> Result<AccessChange, AccessError> {
        self.refuse_taken_user(name)?;
        if self.entries.users.len() >= USERS_MAX {
            return Err(AccessError::TooMany {
                kind: "user",
                max: USERS_MAX,
            });
        }
        let user = User {
            name: name.to_string(),
            role,
            password,
            stamp: new_stamp()?,
            created,
        };
        let mut next = self.entries.clone();
        next.users.push(user);
        self.write(next)?;
        Ok(AccessChange::UserAdded {
            name: name.to_string(),
            role,
        })
    }

    pub fn user_remove(&mut self, name: &str) -> Result<AccessChange, AccessError> {
        self.user(name).ok_or_else(|| unknown("user", name))?;
        let mut next = self.entries.clone();
        next.users.retain(|user| user.name != name);
        self.write(next)?;
        Ok(AccessChange::UserRemoved {
            name: name.to_owned(),
        })
    }

    pub fn user_password(
        &mut self,
        name: &str,
        password: String,
    ) -> Result<AccessChange, AccessError> {
        let stamp = new_stamp()?;
        let mut next = self.entries.clone();
        let user = next
            .users
            .iter_mut()
            .find(|user| user.name == name)
            .ok_or_else(|| unknown("user", name))?;
        user.password = password;
        user.stamp = stamp;
        self.write(next)?;
        Ok(AccessChange::PasswordChanged {
            name: name.to_owned(),
        })
    }

    pub fn users(&self) -> Vec<UserEntry> {
        let entry = |user: &User| UserEntry {
            name: user.name.clone(),
            role: user.role,
            created: user.created,
        };
        self.entries.users.iter().map(entry).collect()
    }

    pub fn key_create(
        &mut self,
        name: &AccessName,
        role: Role,
        sha256: &SecretDigest,
        created: Timestamp,
    ) -> Result<AccessChange, AccessError> {
        if self.key(name.as_str()).is_some() {
            return Err(taken("key", name));
        }
        if self.entries.keys.len() >= KEYS_MAX {
            return Err(AccessError::TooMany {
                kind: "key",
                max: KEYS_MAX,
            });
        }
        let key = Key {
            name: name.to_string(),
            role,
            sha256: *sha256,
            stamp: new_stamp()?,
            created,
        };
        let mut next = self.entries.clone();
        next.keys.push(key);
        self.write(next)?;
        Ok(AccessChange::KeyCreated {
            name: name.to_string(),
            role,
        })
    }

    pub fn key_revoke(&mut self, name: &str) -> Result<AccessChange, AccessError> {
        self.key(name).ok_or_else(|| unknown("key", name))?;
        let mut next = self.entries.clone();
        next.keys.retain(|key| key.name != name);
        self.write(next)?;
        Ok(AccessChange::KeyRevoked {
            name: name.to_owned(),
        })
    }

    pub fn keys(&self) -> Vec<KeyEntry> {
        let entry = |key: &Key| KeyEntry {
            name: key.name.clone(),
            role: key.role,
            created: key.created,
        };
        self.entries.keys.iter().map(entry).collect()
    }

    pub fn credential(&self, user: &str) -> Option<Credential> {
        self.user(user).map(|user| Credential {
            password: user.password.clone(),
            stamp: user.stamp.clone(),
        })
    }

    /// Name and stamp of the key with that digest. All keys are compared, each in constant time.
    pub fn key_by_digest(&self, digest: &SecretDigest) -> Option<(String, String)> {
        let mut found = None;
        for key in &self.entries.keys {
            if bool::from(key.sha256.ct_eq(digest)) {
                found = Some((key.name.clone(), key.stamp.clone()));
            }
        }
        found
    }

    /// The role of a holder whose password or key is still the one that the stamp marks.
    pub fn holder_role(&self, kind: IdentityKind, name: &str, stamp: &str) -> Option<Role> {
        match kind {
            IdentityKind::User => self
                .user(name)
                .filter(|user| user.stamp == stamp)
                .map(|user| user.role),
            IdentityKind::Key => self
                .key(name)
                .filter(|key| key.stamp == stamp)
                .map(|key| key.role),
        }
    }

    fn user(&self, name: &str) -> Option<&User> {
        self.entries.users.iter().find(|user| user.name == name)
    }

    fn key(&self, name: &str) -> Option<&Key> {
        self.entries.keys.iter().find(|key| key.name == name)
    }

    fn write(&mut self, next: Entries) -> Result<(), AccessError> {
        let text = format!("{HEADER}{}", toml::to_string(&next)?);
        private_file::replace(&self.path, text.as_bytes()).map_err(|source| {
            AccessError::Write {
                path: self.path.clone(),
                source,
            }
        })?;
        self.entries = next;
        Ok(())
    }
}

fn taken(kind: &'static str, name: &AccessName) -> AccessError {
    AccessError::NameTaken {
        kind,
        name: name.to_string(),
    }
}

fn unknown(kind: &'static str, name: &str) -> AccessError {
    AccessError::Unknown {
        kind,
        name: super::name::shortened(name),
    }
}
