//! Passwords: argon2id with the parameters that OWASP names first, and a verification that costs the same for nobody.
//!
//! About 30 ms and 19 MiB each, so the caller runs it on one thread with a bounded queue.

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};

use super::error::AccessError;

/// Characters that a new password needs.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Longer ones are refused unread: hashing must not be made slow by length.
const PASSWORD_BYTES_MAX: usize = 1_024;
const SALT_BYTES: usize = 16;

/// Stands in for the hash of a user that does not exist, so that both answers take the same time.
static NOBODY: LazyLock<String> =
    LazyLock::new(|| hash_with(b"nobody", &[7; SALT_BYTES]).unwrap_or_default());

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
    let stored = stored.unwrap_or(NOBODY.as_str());
    let shown = if password.len() > PASSWORD_BYTES_MAX {
        ""
    } else {
        password
    };
    let is_right = PasswordHash::new(stored)
        .and_then(|stored| Argon2::default().verify_password(shown.as_bytes(), &stored))
        .is_ok();
    if is_known && is_right {
        Verdict::Right
    } else {
        Verdict::Wrong
    }
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
    use super::*;

    #[test]
    fn a_password_is_stored_as_argon2id_and_found_again() {
        let stored = hash("correct horse").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(verify("correct horse", Some(&stored)), Verdict::Right);
        assert_eq!(verify("correct horsf", Some(&stored)), Verdict::Wrong);
        assert_ne!(stored, hash("correct horse").unwrap());
    }

    #[test]
    fn nobody_has_no_password() {
        assert!(PasswordHash::new(&NOBODY).is_ok());
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
