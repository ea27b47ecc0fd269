//! Passwords: argon2id with the parameters that OWASP names first, and a verification that costs the same for nobody.
//!
//! About 30 ms and 19 MiB each, so the caller runs it on one thread with a bounded queue.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};

use super::error::AccessError;

/// Characters that a new password needs.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Longer ones are refused unread: hashing must not be made slow by length.
const PASSWORD_BYTES_MAX: usize = 1_024;
const SALT_BYTES: usize = 16;

/// Stands in for the hash of a user that does not exist, so that both answers take the same work: ready from the start, for
/// making it would cost the first stranger more than the others. Of no known password.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ibw$bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm8";

/// Whether a password is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong,
}

/// The PHC string of a new password.
pub(super) fn hash(password: &str) -> Result<String, AccessError> {
    let found = password.chars().count();
    if found < PASSWORD_CHARS_MIN {
        return Err(AccessError::ShortPassword { found });
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(AccessError::LongPassword {
            max: PASSWORD_BYTES_MAX,
            found: password.len(),
        });
    }
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt)?;
    hash_with(password.as_bytes(), &salt).map_err(AccessError::Hash)
}

/// Compares with a stored PHC string in constant time; `None` costs as much and is always wrong.
pub(super) fn verify(password: &str, stored: Option<&str>) -> Verdict {
    let is_known = stored.is_some() && password.len() <= PASSWORD_BYTES_MAX;
    let stored = stored.unwrap_or(NOBODY);
    let shown = if password.len() > PASSWORD_BYTES_MAX {
        ""
    } else {
        password
    };
    if hashes_to(shown, stored) && is_known {
        Verdict::Right
    } else {
        Verdict::Wrong
    }
}

/// The slow part, the same work whoever is asked for.
fn hashes_to(password: &str, stored: &str) -> bool {
    #[cfg(test)]
    tests::HASHED.set(tests::HASHED.get() + 1);
    PasswordHash::new(stored)
        .and_then(|stored| Argon2::default().verify_password(password.as_bytes(), &stored))
        .is_ok()
}

fn hash_with(
    password: &[u8],
    salt: &[u8; SALT_BYTES],
) -> Result<String, argon2::password_hash::Error> {
    let salt = SaltString::encode_b64(salt)?;
    Ok(Argon2::default()
        .hash_password(password, &salt)?
        .to_string())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::{Access, Role};
    use super::*;
    use crate::clock::SystemClock;
    use crate::config::TokenLife;

    thread_local! {
        /// How often this thread's test has hashed in order to compare.
        pub(super) static HASHED: Cell<usize> = const { Cell::new(0) };
    }

    fn hashed(work: impl FnOnce()) -> usize {
        let before = HASHED.get();
        work();
        HASHED.get() - before
    }

    /// What decides how long a hash takes, of a stored text.
    fn cost(stored: &str) -> (String, Option<u32>, String, Option<usize>, Option<usize>) {
        let parsed = PasswordHash::new(stored).unwrap();
        (
            parsed.algorithm.to_string(),
            parsed.version,
            parsed.params.to_string(),
            parsed.salt.map(|salt| salt.as_str().len()),
            parsed.hash.map(|hash| hash.len()),
        )
    }

    #[test]
    fn a_password_is_stored_as_argon2id_and_found_again() {
        let stored = hash("correct horse").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(verify("correct horse", Some(&stored)), Verdict::Right);
        assert_eq!(verify("correct horsf", Some(&stored)), Verdict::Wrong);
        assert_ne!(stored, hash("correct horse").unwrap());
    }

    /// By the work and not by a clock: one comparison, with the same parameters, for whoever is asked.
    #[test]
    fn nobody_costs_what_a_user_costs() {
        let stored = hash("correct horse").unwrap();
        assert_eq!(cost(NOBODY), cost(&stored));
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        for password in ["correct horse", "wrong", "", &long] {
            for stored in [Some(stored.as_str()), None] {
                let count = hashed(|| {
                    verify(password, stored);
                });
                assert_eq!(count, 1, "{} bytes, {stored:?}", password.len());
            }
        }
    }

    #[test]
    fn a_login_hashes_once_whoever_it_is_for() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::new());
        let life = TokenLife::Idle(Duration::from_hours(1));
        let access = Access::open(folder.path(), life, clock).unwrap();
        access
            .user_add("anna", Role::Viewer, "correct horse")
            .unwrap();
        let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for (user, password) in [
            ("nobody", "wrong"),
            ("anna", "wrong"),
            ("Anna", "correct horse"),
            ("", ""),
            ("anna", "correct horse"),
        ] {
            let count = hashed(|| {
                let _ = access.login(user, password, home);
            });
            assert_eq!(count, 1, "{user}");
        }
    }

    #[test]
    fn nobody_has_no_password() {
        assert!(PasswordHash::new(NOBODY).is_ok());
        assert_eq!(verify("nobody", None), Verdict::Wrong);
    }

    #[test]
    fn too_short_and_too_long_are_refused() {
        assert!(matches!(
            hash("1234567"),
            Err(AccessError::ShortPassword { found: 7 })
        ));
        assert!(matches!(
            hash(&"x".repeat(1_025)),
            Err(AccessError::LongPassword { found: 1_025, .. })
        ));
        let stored = hash_with(b"", &[1; SALT_BYTES]).unwrap();
        assert_eq!(verify(&"x".repeat(1_025), Some(&stored)), Verdict::Wrong);
    }
}
