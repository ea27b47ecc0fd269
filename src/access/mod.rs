//! Who may do what: users and API keys in `access.toml`, their tokens in `sessions.jsonl`, both 0600.
//!
//! No plain password, key or token is ever stored or logged. `login` is slow on purpose and belongs on a thread of its
//! own; `check` is one look-up and does no I/O. A change returns what the caller records in the ledger.

mod change;
mod error;
mod failure;
mod name;
mod password;
mod private_file;
mod roster;
mod secret;
mod session;
mod throttle;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::config::TokenLife;

pub use change::AccessChange;
pub use error::{AccessError, Denied, LoginError};
pub use failure::{FailedLogins, LoginFailures};
pub use name::{AccessName, NAME_LENGTH_MAX};
pub use password::PASSWORD_CHARS_MIN;
pub use roster::{KeyEntry, Role, UserEntry};
pub use secret::{KeySecret, Token};
pub use session::{Identity, IdentityKind, SESSIONS_MAX};
pub use throttle::Throttle;

use password::Verdict;
use roster::Roster;
use session::{Holder, Sessions};

const ROSTER_FILE: &str = "access.toml";
const SESSIONS_FILE: &str = "sessions.jsonl";
/// What failed key logins and unknown tokens are recorded under: they carry no user name.
const KEY_LOGIN: &str = "(api key)";
/// What a failed login under a name that no user has is recorded under: people type passwords into the wrong field,
/// and the ledger cannot be altered.
const UNKNOWN_USER: &str = "(unknown user)";

/// Users, keys and tokens of one data folder. Safe to share between threads.
pub struct Access {
    clock: Arc<dyn Clock>,
    roster: Mutex<Roster>,
    sessions: Mutex<Sessions>,
    throttle: Mutex<Throttle>,
    failures: Mutex<FailedLogins>,
}

impl Access {
    /// Reads both files of the data folder; missing ones are empty.
    pub fn open(
        data_dir: &Path,
        token_life: TokenLife,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AccessError> {
        let roster = Roster::open(data_dir.join(ROSTER_FILE))?;
        let sessions_path: PathBuf = data_dir.join(SESSIONS_FILE);
        let sessions = Sessions::open(sessions_path, token_life, clock.now(), |line| {
            roster.holder_role(line.kind, &line.name, &line.stamp)
        })?;
        Ok(Self {
            clock,
            roster: Mutex::new(roster),
            sessions: Mutex::new(sessions),
            throttle: Mutex::new(Throttle::default()),
            failures: Mutex::new(FailedLogins::default()),
        })
    }

    /// Another life for tokens, after a reload; it counts for the living ones too.
    pub fn set_token_life(&self, token_life: TokenLife) {
        lock(&self.sessions).set_life(token_life);
    }

    /// Adds a user. Slow: it hashes the password.
    pub fn user_add(
        &self,
        name: &str,
        role: Role,
        password: &str,
    ) -> Result<AccessChange, AccessError> {
        let name = AccessName::parse(name)?;
        // Asked twice, so that a taken name is not paid for with a hash.
        lock(&self.roster).refuse_taken_user(&name)?;
        let hash = password::hash(password)?;
        lock(&self.roster).user_add(&name, role, hash, self.clock.now())
    }

    /// Removes a user; the user's tokens end at once.
    pub fn user_remove(&self, name: &str) -> Result<AccessChange, AccessError> {
        let mut roster = lock(&self.roster);
        let change = roster.user_remove(name)?;
        lock(&self.sessions).end_all_of(IdentityKind::User, name);
        Ok(change)
    }

    /// Changes a password; the user's tokens end at once. Slow: it hashes the password.
    pub fn user_password(&self, name: &str, password: &str) -> Result<AccessChange, AccessError> {
        let hash = password::hash(password)?;
        let mut roster = lock(&self.roster);
        let change = roster.user_password(name, hash)?;
        lock(&self.sessions).end_all_of(IdentityKind::User, name);
        Ok(change)
    }

    pub fn user_list(&self) -> Vec<UserEntry> {
        lock(&self.roster).users()
    }

    /// Makes an API key. The secret is shown now and never again.
    pub fn key_create(
        &self,
        name: &str,
        role: Role,
    ) -> Result<(KeySecret, AccessChange), AccessError> {
        let name = AccessName::parse(name)?;
        let secret = KeySecret::generate()?;
        let change =
            lock(&self.roster).key_create(&name, role, &secret.digest(), self.clock.now())?;
        Ok((secret, change))
    }

    pub fn key_list(&self) -> Vec<KeyEntry> {
        lock(&self.roster).keys()
    }

    /// Revokes a key; its tokens end at once.
    pub fn key_revoke(&self, name: &str) -> Result<AccessChange, AccessError> {
        let mut roster = lock(&self.roster);
        let change = roster.key_revoke(name)?;
        lock(&self.sessions).end_all_of(IdentityKind::Key, name);
        Ok(change)
    }

    /// A token for a user and password. Slow (argon2id) and equally slow for a user that does not exist.
    pub fn login(&self, user: &str, password: &str, address: IpAddr) -> Result<Token, LoginError> {
        let user = name::shortened(user);
        let found = lock(&self.roster).credential(&user);
        let known = if found.is_some() {
            user.as_str()
        } else {
            UNKNOWN_USER
        };
        let waited = lock(&self.throttle).wait_for(&user, address, self.clock.monotonic());
        if let Some(retry_after) = waited {
            self.note_denial(known, address);
            return Err(LoginError::Throttled { retry_after });
        }
        let stored = found.as_ref().map(|found| found.password.as_str());
        if password::verify(password, stored) == Verdict::Wrong {
            lock(&self.throttle).failed(&user, address, self.clock.monotonic());
            self.note_denial(known, address);
            return Err(LoginError::Refused);
        }
        let stamp = found.map(|found| found.stamp).unwrap_or_default();
        let token = self.begin(IdentityKind::User, &user, &stamp)?;
        lock(&self.throttle).succeeded(&user, address, self.clock.monotonic());
        Ok(token)
    }

    /// A token for an API key. Fast; a right key is never throttled, since nobody guesses 32 random bytes.
    pub fn login_key(&self, key: &str, address: IpAddr) -> Result<Token, LoginError> {
        let digest = secret::digest_of(key.trim());
        let found = lock(&self.roster).key_by_digest(&digest);
        if let Some((name, stamp)) = found {
            return self.begin(IdentityKind::Key, &name, &stamp);
        }
        self.note_denial(KEY_LOGIN, address);
        let mut throttle = lock(&self.throttle);
        let now = self.clock.monotonic();
        if let Some(retry_after) = throttle.wait_for(KEY_LOGIN, address, now) {
            return Err(LoginError::Throttled { retry_after });
        }
        throttle.failed(KEY_LOGIN, address, now);
        Err(LoginError::Refused)
    }

    /// Who holds a token. One look-up, no I/O; the use is remembered for the token's life.
    pub fn check(&self, token: &str) -> Result<Identity, Denied> {
        lock(&self.sessions).check(token, self.clock.now())
    }

    /// Ends a token; of one that is not alive, `Denied`.
    pub fn release(&self, token: &str) -> Result<(), Denied> {
        lock(&self.sessions).release(token, self.clock.now())
    }

    /// Records a denial that did not come from a login, such as an unknown token; `who` is nothing secret.
    pub fn note_denial(&self, who: &str, address: IpAddr) {
        lock(&self.failures).record(&name::shortened(who), address, self.clock.now());
    }

    /// The failed logins of the minutes that are over, for the ledger. At shutdown, `all` takes the current one too.
    pub fn drain_failures(&self, all: bool) -> Vec<LoginFailures> {
        lock(&self.failures).drain(self.clock.now(), all)
    }

    /// Writes last uses to the file and forgets dead tokens; called about once a minute and at shutdown.
    pub fn flush(&self) -> Result<(), AccessError> {
        lock(&self.sessions).flush(self.clock.now())
    }

    /// Tokens that are alive, for the metric.
    pub fn session_count(&self) -> usize {
        lock(&self.sessions).len()
    }

    /// The roster stays locked while the session begins, so that a removal in between cannot be outlived.
    fn begin(&self, kind: IdentityKind, name: &str, stamp: &str) -> Result<Token, LoginError> {
        let roster = lock(&self.roster);
        let role = roster
            .holder_role(kind, name, stamp)
            .ok_or(LoginError::Refused)?;
        let token = Token::generate()?;
        let holder = Holder {
            kind,
            name: name.to_owned(),
            stamp: stamp.to_owned(),
            role,
        };
        lock(&self.sessions).begin(&token, holder, self.clock.now());
        Ok(token)
    }
}

/// A panic of another thread leaves these maps whole: each change is one insertion or removal.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
