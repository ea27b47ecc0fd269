//! What a provider's connections need besides the address: TLS, the login of HTTP, secrets.
//!
//! All of it lies in the files that `[provider.tls]`, `[provider.http]` and `[provider.secrets]` name; read once by whoever makes
//! a provider.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::secrets::Secrets;
use crate::config::{ProviderCredentials, ProviderLogin, ProviderTls};
use crate::transport::TlsClient;
use crate::transport::tls::{OwnParts, TlsParts, TlsPartsError};

const FILE_BYTES_MAX: u64 = 1 << 20;
const SECRET_BYTES_MAX: usize = 4 * 1024;
/// The mode bits that let others at a file.
const OTHERS: u32 = 0o007;
/// The secret that Basic and Bearer logins send.
const PASSWORD: &str = "password";
const TOKEN: &str = "token";

/// What is wrong with the files. No text shows a byte of a secret.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("the file cannot be read: {source}")]
    Unreadable { file: PathBuf, source: io::Error },
    #[error("expected at most {max} bytes, found more")]
    TooLarge { file: PathBuf, max: u64 },
    #[error("expected a file that only its owner and group can reach, found mode {mode:04o}")]
    Exposed { file: PathBuf, mode: u32 },
    #[error("expected one line of text with the secret")]
    NotOneLine { file: PathBuf },
    #[error("the login needs the secret `{name}`: expected its file")]
    NoSecret { name: &'static str },
    #[error(transparent)]
    Tls(#[from] TlsPartsError),
}

impl CredentialsError {
    /// The file to look at, if one is to blame.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Unreadable { file, .. }
            | Self::TooLarge { file, .. }
            | Self::Exposed { file, .. }
            | Self::NotOneLine { file }
            | Self::Tls(
                TlsPartsError::NoCertificate { file }
                | TlsPartsError::NoKey { file }
                | TlsPartsError::Own { file, .. },
            ) => Some(file),
            Self::NoSecret { .. } | Self::Tls(_) => None,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable { .. } => {
                "name a file that the user of `pairbox serve` may read".into()
            }
            Self::Exposed { file, .. } => format!("`chmod 600 {}`", file.display()),
            Self::NoSecret { name } => format!("write `{name} = \"FILE\"` in [provider.secrets]"),
            Self::NotOneLine { .. } | Self::TooLarge { .. } => {
                "a secret is the one line of its file, without anything else".into()
            }
            Self::Tls(_) => {
                "a PEM file is text: `-----BEGIN ...-----`, base64, `-----END ...-----`".into()
            }
        }
    }
}

/// The files' contents, ready for use.
#[derive(Clone, Default)]
pub struct Credentials {
    pub(super) tls: Option<TlsClient>,
    pub(super) secrets: Secrets,
    login: ProviderLogin,
    digest: [u8; 32],
}

impl Credentials {
    /// Reads all files. `host` is the name that the CAS's certificate must have unless one is given.
    pub fn load(files: &ProviderCredentials, host: &str) -> Result<Self, CredentialsError> {
        let mut digest = Sha256::new();
        let mut secrets = Secrets::default();
        for (name, file) in &files.secrets {
            let value = secret(file)?;
            digest.update(&value);
            secrets.add([(name.clone(), value)]);
        }
        let needed = match files.login {
            ProviderLogin::None => None,
            ProviderLogin::Basic { .. } => Some(PASSWORD),
            ProviderLogin::Bearer => Some(TOKEN),
        };
        if let Some(name) = needed.filter(|name| secrets.get(name).is_none()) {
            return Err(CredentialsError::NoSecret { name });
        }
        let tls = match &files.tls {
            None => None,
            Some(tls) => Some(TlsClient::new(&parts(tls, host, &mut digest)?)?),
        };
        Ok(Self {
            tls,
            secrets,
            login: files.login.clone(),
            digest: digest.finalize().into(),
        })
    }

    /// Whether another reading found the same contents.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The lines that every HTTP request to `address` has.
    pub(super) fn heads(&self, address: &str) -> Vec<u8> {
        let version = env!("CARGO_PKG_VERSION");
        let mut heads = format!("Host: {address}\r\nUser-Agent: pairbox/{version}\r\n");
        let value = |name| self.secrets.get(name).unwrap_or_default();
        match &self.login {
            ProviderLogin::None => {}
            ProviderLogin::Basic { user } => {
                let pair = STANDARD.encode(format!("{user}:{}", value(PASSWORD)));
                let _ = write!(heads, "Authorization: Basic {pair}\r\n");
            }
            ProviderLogin::Bearer => {
                let _ = write!(heads, "Authorization: Bearer {}\r\n", value(TOKEN));
            }
        }
        heads.into_bytes()
    }
}

fn parts(
    files: &ProviderTls,
    host: &str,
    digest: &mut Sha256,
) -> Result<TlsParts, CredentialsError> {
    let mut content = |file: &Path, is_secret| -> Result<Vec<u8>, CredentialsError> {
        let bytes = read(file, is_secret)?;
        digest.update(&bytes);
        Ok(bytes)
    };
    let authority_pem = content(&files.authority, false)?;
    let own = match &files.own {
        None => None,
        Some((certificate, key)) => Some(OwnParts {
            certificate_pem: content(certificate, false)?,
            key_pem: content(key, true)?,
            certificate: certificate.clone(),
            key: key.clone(),
        }),
    };
    Ok(TlsParts {
        authority: files.authority.clone(),
        authority_pem,
        own,
        server_name: files.server_name.clone().unwrap_or_else(|| host.to_owned()),
    })
}

/// The one line of a file.
fn secret(file: &Path) -> Result<String, CredentialsError> {
    let bytes = read(file, true)?;
    let not_one_line = || CredentialsError::NotOneLine {
        file: file.to_owned(),
    };
    let text = String::from_utf8(bytes).map_err(|_| not_one_line())?;
    let line = text.trim_end_matches(['\r', '\n']);
    let is_plain =
        !line.is_empty() && line.len() <= SECRET_BYTES_MAX && !line.chars().any(char::is_control);
    is_plain.then(|| line.to_owned()).ok_or_else(not_one_line)
}

fn read(path: &Path, is_secret: bool) -> Result<Vec<u8>, CredentialsError> {
    let failed = |source| CredentialsError::Unreadable {
        file: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if is_secret && mode & OTHERS != 0 {
        let file = path.to_owned();
        return Err(CredentialsError::Exposed { file, mode });
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let (file, max) = (path.to_owned(), FILE_BYTES_MAX);
        return Err(CredentialsError::TooLarge { file, max });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_login_is_a_line_of_every_request_and_its_secret_is_shown_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let password = file(folder.path(), "p", "pass word\n", 0o600);
        let mut files = ProviderCredentials {
            login: ProviderLogin::Basic {
                user: "box".to_owned(),
            },
            secrets: vec![(PASSWORD.to_owned(), password.clone())],
            ..ProviderCredentials::default()
        };
        let access = Credentials::load(&files, "cas").unwrap();
        let heads = String::from_utf8(access.heads("cas:80")).unwrap();
        assert!(heads.starts_with("Host: cas:80\r\n"), "{heads}");
        assert!(
            heads.ends_with("Authorization: Basic Ym94OnBhc3Mgd29yZA==\r\n"),
            "{heads}"
        );
        assert!(
            Credentials::load(&files, "cas")
                .unwrap()
                .is_same_as(&access)
        );
        file(folder.path(), "p", "other\n", 0o600);
        assert!(
            !Credentials::load(&files, "cas")
                .unwrap()
                .is_same_as(&access)
        );
        files.login = ProviderLogin::Bearer;
        let error = Credentials::load(&files, "cas").err().unwrap();
        assert!(error.to_string().contains("needs the secret `token`"));
        file(folder.path(), "p", "other\n", 0o604);
        let error = Credentials::load(&files, "cas").err().unwrap();
        assert!(error.to_string().contains("found mode 0604"), "{error}");
        file(folder.path(), "p", "two\nlines\n", 0o600);
        let error = Credentials::load(&files, "cas").err().unwrap();
        assert!(
            matches!(error, CredentialsError::NotOneLine { .. }),
            "{error}"
        );
    }
}
