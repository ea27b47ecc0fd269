//! The door's certificate and key: read, held against each other, and made into what rustls serves with.
//!
//! The gate loads them at start and at a reload; `pairbox check` also hears what loads but will not please a client. Whether
//! clients trust the certificate's issuer is theirs to judge. No text here ever shows a byte of the key.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, InconsistentKeys, RootCertStore, ServerConfig};

use crate::config::TlsFiles;
use crate::domain::Timestamp;

/// A chain of certificates is a few kibibytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What is spoken inside; nothing here speaks HTTP/2.
const ALPN: &[u8] = b"http/1.1";
/// The mode bits that let others at a file.
const OTHERS: u32 = 0o007;

/// What is wrong with the files of `[http.tls]`.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the file cannot be read: {source}")]
    Unreadable { file: PathBuf, source: io::Error },
    #[error("expected at most {FILE_BYTES_MAX} bytes, found more")]
    TooLarge { file: PathBuf },
    #[error("expected a PEM file, found something else or a part of one")]
    NotPem { file: PathBuf, source: PemError },
    #[error("expected a certificate, found none")]
    NoCertificate { file: PathBuf },
    #[error("expected a private key, found none")]
    NoKey { file: PathBuf },
    #[error("the certificate cannot be used: {source}")]
    CertificateUnusable {
        file: PathBuf,
        source: rustls::Error,
    },
    #[error("the private key is of no kind that is known here")]
    KeyUnusable {
        file: PathBuf,
        source: rustls::Error,
    },
    #[error("the private key does not belong to the certificate in `{}`", certificate.display())]
    KeyForeign { file: PathBuf, certificate: PathBuf },
    #[error("rustls cannot serve with these: {source}")]
    Refused {
        file: PathBuf,
        source: rustls::Error,
    },
    // What follows is told by `findings` only: clients refuse it, the box can serve with it.
    #[error("certificate {place} of the file expired at {at}")]
    Expired {
        file: PathBuf,
        place: usize,
        at: Timestamp,
    },
    #[error("certificate {place} of the file is valid from {at} only")]
    NotYetValid {
        file: PathBuf,
        place: usize,
        at: Timestamp,
    },
    #[error("expected a key that only its owner and group can reach, found mode {mode:04o}")]
    KeyExposed { file: PathBuf, mode: u32 },
}

impl TlsError {
    /// The file to look at.
    pub fn file(&self) -> &Path {
        match self {
            Self::Unreadable { file, .. }
            | Self::TooLarge { file }
            | Self::NotPem { file, .. }
            | Self::NoCertificate { file }
            | Self::NoKey { file }
            | Self::CertificateUnusable { file, .. }
            | Self::KeyUnusable { file, .. }
            | Self::KeyForeign { file, .. }
            | Self::Refused { file, .. }
            | Self::Expired { file, .. }
            | Self::NotYetValid { file, .. }
            | Self::KeyExposed { file, .. } => file,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable { .. } => {
                "name a file that the user of `pairbox serve` may read".to_owned()
            }
            Self::TooLarge { .. } | Self::NotPem { .. } => {
                "a PEM file is text: `-----BEGIN ...-----`, base64, `-----END ...-----`".to_owned()
            }
            Self::NoCertificate { .. } => {
                "`http.tls.certificate` names the certificate, `http.tls.key` the key".to_owned()
            }
            Self::NoKey { .. } => {
                "a key that a password locks is not read: `openssl pkey -in LOCKED -out OPEN` unlocks it"
                    .to_owned()
            }
            Self::CertificateUnusable { file, .. } => {
                format!("`openssl x509 -text -in {}` shows it", file.display())
            }
            Self::KeyUnusable { .. } => "use an RSA, ECDSA or Ed25519 key".to_owned(),
            Self::KeyForeign { .. } => {
                "the certificate that the key belongs to comes first in its file".to_owned()
            }
            Self::Refused { .. } => "have the certificate issued anew".to_owned(),
            Self::Expired { .. } => "clients will refuse it: renew the certificate".to_owned(),
            Self::NotYetValid { .. } => {
                "clients will refuse it until then; look at this machine's clock too".to_owned()
            }
            Self::KeyExposed { file, .. } => format!("`chmod o= {}`", file.display()),
        }
    }
}

/// Reads both files; what comes back can serve.
pub fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let certificates = read_certificates(&files.certificate)?;
    let key = read_key(&files.key)?;
    let provider = ring::default_provider();
    let certified = certify(files, certificates, key, &provider)?;
    let refused = |source| TlsError::Refused {
        file: files.certificate.clone(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// Everything that is wrong with the files, and what clients would take offence at. Empty: nothing.
pub fn findings(files: &TlsFiles, now: Timestamp) -> Vec<TlsError> {
    let certificates = read_certificates(&files.certificate);
    let key = read_key(&files.key);
    let mut found = Vec::new();
    match (certificates, key) {
        (Ok(certificates), Ok(_)) => {
            found.extend(load(files).err());
            found.extend(out_of_date(&files.certificate, &certificates, now));
        }
        (certificates, key) => {
            found.extend(certificates.err());
            found.extend(key.err());
        }
    }
    if let Ok(metadata) = std::fs::metadata(&files.key)
        && metadata.mode() & OTHERS != 0
    {
        found.push(TlsError::KeyExposed {
            file: files.key.clone(),
            mode: metadata.mode() & 0o7777,
        });
    }
    found
}

fn certify(
    files: &TlsFiles,
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|source| TlsError::KeyUnusable {
        file: files.key.clone(),
        source,
    })?;
    let certified = CertifiedKey::new(certificates, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(TlsError::KeyForeign {
                file: files.key.clone(),
                certificate: files.certificate.clone(),
            })
        }
        Err(source) => Err(TlsError::CertificateUnusable {
            file: files.certificate.clone(),
            source,
        }),
    }
}

/// Those certificates whose time is not now. Each is verified alone and against no root: its dates are looked at first, so
/// any other answer says that the dates are right.
fn out_of_date(file: &Path, certificates: &[CertificateDer<'_>], now: Timestamp) -> Vec<TlsError> {
    let nobody = RootCertStore::empty();
    let algorithms = ring::default_provider().signature_verification_algorithms;
    let micros = u64::try_from(now.micros()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(Duration::from_micros(micros));
    let of_one = |(at, certificate): (usize, &CertificateDer<'_>)| {
        let parsed = ParsedCertificate::try_from(certificate).ok()?;
        let verified =
            verify_server_cert_signed_by_trust_anchor(&parsed, &nobody, &[], now, algorithms.all);
        let (file, place) = (file.to_owned(), at + 1);
        match verified {
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after,
                ..
            })) => Some(TlsError::Expired {
                file,
                place,
                at: timestamp(not_after),
            }),
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
                not_before,
                ..
            })) => Some(TlsError::NotYetValid {
                file,
                place,
                at: timestamp(not_before),
            }),
            _ => None,
        }
    };
    certificates.iter().enumerate().filter_map(of_one).collect()
}

fn timestamp(time: UnixTime) -> Timestamp {
    Timestamp::ZERO.plus(Duration::from_secs(time.as_secs()))
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(file)?;
    let certificates: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(TlsError::NoCertificate {
            file: file.to_owned(),
        }),
        Ok(certificates) => Ok(certificates),
        Err(source) => Err(TlsError::NotPem {
            file: file.to_owned(),
            source,
        }),
    }
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read(file)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|source| match source {
        PemError::NoItemsFound => TlsError::NoKey {
            file: file.to_owned(),
        },
        source => TlsError::NotPem {
            file: file.to_owned(),
            source,
        },
    })
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable {
        file: file.to_owned(),
        source,
    };
    let opened = File::open(file).map_err(unreadable)?;
    let mut bytes = Vec::new();
    opened
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(TlsError::TooLarge {
            file: file.to_owned(),
        });
    }
    Ok(bytes)
}
