//! Who may use the control socket: root, the data directory's owner, and the members of `[control] group`.
//!
//! The kernel says whose process is at the other end; the modes of the directory and the socket keep strangers away, and
//! this is the second lock. Root and the owner may act for others (`sudo` names who called it); a member acts under the name
//! of the account.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::error::{ControlError, ErrorReport, Fault};
use super::{ControlContext, handle};

const PREFIX: &str = "/control/";
const ROOT: u32 = 0;
const DENIED_HINT: &str =
    "run with sudo, or let an administrator set `[control] group` and add your account to it";

/// Why it cannot be said who may use the control socket.
#[derive(Debug, Error)]
pub enum GuardError {
    #[error("cannot look at the data directory `{}`: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("[control] group: this machine has no group `{name}`")]
    NoGroup { name: String },
}

/// An account that calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallingAccount {
    pub uid: u32,
    pub gid: u32,
}

/// The accounts that may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    owner: u32,
    group: Option<u32>,
}

/// How a caller is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it says itself.
    Trusted,
    Member {
        name: String,
    },
    Stranger,
}

impl Guard {
    pub fn new(data_dir: &Path, group: Option<&str>) -> Result<Self, GuardError> {
        let metadata = std::fs::metadata(data_dir).map_err(|source| GuardError::Folder {
            path: data_dir.to_owned(),
            source,
        })?;
        let find = |name: &str| {
            let found = uzers::get_group_by_name(name).map(|group| group.gid());
            found.ok_or_else(|| GuardError::NoGroup {
                name: name.to_owned(),
            })
        };
        Ok(Self {
            owner: metadata.uid(),
            group: group.map(find).transpose()?,
        })
    }

    /// The group whose members may call.
    pub fn group(&self) -> Option<u32> {
        self.group
    }

    pub fn judge(&self, account: CallingAccount) -> Standing {
        if account.uid == ROOT || account.uid == self.owner {
            return Standing::Trusted;
        }
        let Some(group) = self.group else {
            return Standing::Stranger;
        };
        let user = uzers::get_user_by_uid(account.uid);
        let name = user.as_ref().map(|user| user.name().to_string_lossy());
        let groups = user.as_ref().and_then(uzers::User::groups);
        let is_listed = groups.is_some_and(|all| all.iter().any(|one| one.gid() == group));
        if account.gid != group && !is_listed {
            return Standing::Stranger;
        }
        Standing::Member {
            name: name.map_or_else(
                || format!("uid {}", account.uid),
                std::borrow::Cow::into_owned,
            ),
        }
    }

    /// Carries a call out; gives the status and the body of its answer.
    pub fn answer(
        &self,
        context: &ControlContext,
        account: CallingAccount,
        call: &GuardedCall<'_>,
    ) -> (u16, Vec<u8>) {
        match self.carry_out(context, account, call) {
            Ok(body) => (200, body),
            Err(report) => {
                let status = match report.fault {
                    Fault::Usage => 400,
                    Fault::Denied => 403,
                    Fault::Refused => 409,
                    Fault::Passing => 503,
                    Fault::Failed => 500,
                };
                (status, serde_json::to_vec(&report).unwrap_or_default())
            }
        }
    }

    fn carry_out(
        &self,
        context: &ControlContext,
        account: CallingAccount,
        call: &GuardedCall<'_>,
    ) -> Result<Vec<u8>, ErrorReport> {
        let report = |fault, message: String| ErrorReport {
            fault,
            message,
            hint: (fault == Fault::Denied).then(|| DENIED_HINT.to_owned()),
        };
        let by = match self.judge(account) {
            Standing::Trusted => None,
            Standing::Member { name } => Some(format!("cli:{name}")),
            Standing::Stranger => {
                tracing::warn!(uid = account.uid, "the control socket refused a stranger");
                let text =
                    "expected root, the data directory's owner or a member of [control] group";
                return Err(report(
                    Fault::Denied,
                    format!("{text}, found user id {}", account.uid),
                ));
            }
        };
        if !call.is_post {
            return Err(report(Fault::Usage, "expected POST".to_owned()));
        }
        let Some(verb) = call.path.strip_prefix(PREFIX) else {
            return Err(report(Fault::Usage, format!("expected {PREFIX}VERB")));
        };
        handle(context, verb, call.body, by.as_deref()).map_err(|error| {
            if matches!(error, ControlError::Answer { .. }) {
                tracing::error!(%error, verb, "a control verb failed");
            }
            ErrorReport::from(&error)
        })
    }
}

/// What was called.
pub struct GuardedCall<'a> {
    pub is_post: bool,
    pub path: &'a str,
    pub body: &'a [u8],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_owner_are_trusted_members_are_named_strangers_are_not_heard() {
        let account = |uid, gid| CallingAccount { uid, gid };
        let alone = Guard {
            owner: 1_234_567,
            group: None,
        };
        assert_eq!(alone.judge(account(0, 0)), Standing::Trusted);
        assert_eq!(alone.judge(account(1_234_567, 9)), Standing::Trusted);
        assert_eq!(alone.judge(account(7_654_321, 0)), Standing::Stranger);
        let shared = Guard {
            group: Some(7_000_001),
            ..alone
        };
        let member = Standing::Member {
            name: "uid 7654321".to_owned(),
        };
        assert_eq!(shared.judge(account(7_654_321, 7_000_001)), member);
        assert_eq!(
            shared.judge(account(7_654_321, 7_000_002)),
            Standing::Stranger
        );
    }
}
