//! Tokens that are alive: a map in memory, and `sessions.jsonl`, so that a restart logs nobody out.
//!
//! Losing the file costs a login, so lines are appended without a sync. The last line of a token counts. `check` writes
//! nothing: last uses reach the file by `flush`, at minute grain.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{AccessError, Denied};
use super::private_file;
use super::roster::Role;
use super::secret::{SecretDigest, Token, digest_of};
use crate::config::TokenLife;
use crate::domain::Timestamp;

/// Tokens that are alive at once; beyond it the one that was idle longest goes.
pub const SESSIONS_MAX: usize = 10_000;
/// Lines of the file beyond twice the living tokens, before it is written anew.
const DEAD_LINES_MAX: usize = 10_000;
const USE_GRAIN: Duration = Duration::from_mins(1);

/// Whether a person or a machine logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityKind {
    User,
    Key,
}

/// Who holds a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub kind: IdentityKind,
    pub name: String,
    pub role: Role,
}

/// For whom a token is issued.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub kind: IdentityKind,
    pub name: String,
    pub stamp: String,
    pub role: Role,
}

#[derive(Clone, Debug)]
struct Session {
    holder: Holder,
    issued: Timestamp,
    used: Timestamp,
    /// The use is not in the file yet.
    is_dirty: bool,
}

/// One line of the file; an ended token has no name.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SessionLine {
    #[serde(with = "hex::serde")]
    token: SecretDigest,
    pub kind: IdentityKind,
    pub name: String,
    pub stamp: String,
    issued: Timestamp,
    used: Timestamp,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ended: bool,
}

/// All living tokens, by the SHA-256 of their text.
pub(super) struct Sessions {
    path: PathBuf,
    life: TokenLife,
    living: HashMap<SecretDigest, Session>,
    file: Option<File>,
    lines: usize,
    /// A line could not be written: the file says something else than memory until it is written anew.
    is_behind: bool,
}

impl Sessions {
    /// Reads the file; lines that cannot be read, have expired, or whose holder `role_of` no longer knows are left out.
    pub fn open(
        path: PathBuf,
        life: TokenLife,
        now: Timestamp,
        role_of: impl Fn(&SessionLine) -> Option<Role>,
    ) -> Result<Self, AccessError> {
        let bytes = private_file::read(&path).map_err(|source| AccessError::Read {
            path: path.clone(),
            source,
        })?;
        let mut sessions = Self {
            path,
            life,
            living: HashMap::new(),
            file: None,
            lines: 0,
            is_behind: false,
        };
        let mut unreadable = 0;
        for line in bytes.unwrap_or_default().split(|byte| *byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice::<SessionLine>(line) {
                Ok(parsed) => sessions.take(parsed, &role_of),
                Err(_) => unreadable += 1,
            }
        }
        if unreadable > 0 {
            tracing::warn!(path = %sessions.path.display(), unreadable, "session lines left out; their tokens need a new login");
        }
        sessions.drop_dead(now);
        while sessions.living.len() > SESSIONS_MAX {
            sessions.drop_idlest();
        }
        // A fresh file: no torn last line to append to, no lines of the dead.
        sessions.write_anew()?;
        Ok(sessions)
    }

    pub fn set_life(&mut self, life: TokenLife) {
        self.life = life;
    }

    pub fn len(&self) -> usize {
        self.living.len()
    }

    pub fn begin(&mut self, token: &Token, holder: Holder, now: Timestamp) {
        if self.living.len() >= SESSIONS_MAX {
            self.drop_dead(now);
        }
        while self.living.len() >= SESSIONS_MAX {
            self.drop_idlest();
        }
        let session = Session {
            holder,
            issued: now,
            used: now,
            is_dirty: false,
        };
        let digest = token.digest();
        self.append(&line_of(&digest, &session, false));
        self.living.insert(digest, session);
    }

    pub fn check(&mut self, token: &str, now: Timestamp) -> Result<Identity, Denied> {
        let digest = digest_of(token);
        let life = self.life;
        let session = self.living.get_mut(&digest).ok_or(Denied::Unknown)?;
        if has_expired(session, life, now) {
            self.living.remove(&digest);
            return Err(Denied::Expired);
        }
        session.is_dirty |= minute(now) != minute(session.used);
        session.used = now;
        Ok(Identity {
            kind: session.holder.kind,
            name: session.holder.name.clone(),
            role: session.holder.role,
        })
    }

    pub fn release(&mut self, token: &str, now: Timestamp) -> Result<(), Denied> {
        self.check(token, now)?;
        let digest = digest_of(token);
        if let Some(session) = self.living.remove(&digest) {
            self.append(&line_of(&digest, &session, true));
        }
        Ok(())
    }

    /// Ends all tokens of one holder. The file follows at once; the roster's stamp guards a crash in between.
    pub fn end_all_of(&mut self, kind: IdentityKind, name: &str) {
        let before = self.living.len();
        self.living
            .retain(|_, session| session.holder.kind != kind || session.holder.name != name);
        if self.living.len() != before
            && let Err(error) = self.write_anew()
        {
            tracing::warn!(%error, "ended tokens are still in the session file");
        }
    }

    pub fn flush(&mut self, now: Timestamp) -> Result<(), AccessError> {
        self.drop_dead(now);
        if self.is_behind || self.lines > self.living.len() * 2 + DEAD_LINES_MAX {
            return self.write_anew();
        }
        let mut lines = Vec::new();
        for (digest, session) in &mut self.living {
            if session.is_dirty {
                session.is_dirty = false;
                lines.push(line_of(digest, session, false));
            }
        }
        for line in lines {
            self.append(&line);
        }
        Ok(())
    }

    fn take(&mut self, line: SessionLine, role_of: impl Fn(&SessionLine) -> Option<Role>) {
        let role = role_of(&line).filter(|_| !line.ended);
        let Some(role) = role else {
            self.living.remove(&line.token);
            return;
        };
        let session = Session {
            issued: line.issued,
            used: line.used,
            is_dirty: false,
            holder: Holder {
                kind: line.kind,
                name: line.name,
                stamp: line.stamp,
                role,
            },
        };
        self.living.insert(line.token, session);
    }

    fn drop_dead(&mut self, now: Timestamp) {
        let life = self.life;
        self.living
            .retain(|_, session| !has_expired(session, life, now));
    }

    fn drop_idlest(&mut self) {
        let idlest = self
            .living
            .iter()
            .min_by_key(|(_, session)| session.used)
            .map(|(digest, _)| *digest);
        if let Some((digest, session)) = idlest.and_then(|digest| self.living.remove_entry(&digest))
        {
            tracing::info!(
                name = session.holder.name,
                "too many tokens; the one idle longest ended"
            );
            self.append(&line_of(&digest, &session, true));
        }
    }

    /// Appends a line; a failure is said once and repaired by the next `flush`.
    fn append(&mut self, line: &SessionLine) {
        if self.is_behind {
            return;
        }
        let mut bytes = serde_json::to_vec(line).unwrap_or_default();
        bytes.push(b'\n');
        let written = match &mut self.file {
            Some(file) => file.write_all(&bytes),
            None => private_file::append(&self.path).and_then(|file| {
                let file = self.file.insert(file);
                file.write_all(&bytes)
            }),
        };
        match written {
            Ok(()) => self.lines += 1,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "cannot write the session file");
                self.is_behind = true;
            }
        }
    }

    fn write_anew(&mut self) -> Result<(), AccessError> {
        let mut text = Vec::new();
        for (digest, session) in &self.living {
            text.extend(serde_json::to_vec(&line_of(digest, session, false)).unwrap_or_default());
            text.push(b'\n');
        }
        self.file = None;
        self.is_behind = true;
        private_file::replace(&self.path, &text).map_err(|source| AccessError::Write {
            path: self.path.clone(),
            source,
        })?;
        self.is_behind = false;
        self.lines = self.living.len();
        for session in self.living.values_mut() {
            session.is_dirty = false;
        }
        Ok(())
    }
}

/// Age counts in both directions, so that a clock set far back ends tokens instead of keeping them for years.
fn has_expired(session: &Session, life: TokenLife, now: Timestamp) -> bool {
    let age = |from: Timestamp| now.since(from).max(from.since(now));
    match life {
        TokenLife::Idle(span) => age(session.used) >= span,
        TokenLife::Absolute(span) => age(session.issued) >= span,
    }
}

/// The minute that an instant lies in, as the file shows it.
fn minute(at: Timestamp) -> Timestamp {
    let grain = i64::try_from(USE_GRAIN.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.micros() - at.micros().rem_euclid(grain))
}

fn line_of(digest: &SecretDigest, session: &Session, ended: bool) -> SessionLine {
    SessionLine {
        token: *digest,
        kind: session.holder.kind,
        name: session.holder.name.clone(),
        stamp: session.holder.stamp.clone(),
        issued: session.issued,
        used: minute(session.used),
        ended,
    }
}
