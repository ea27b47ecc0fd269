//! TLS towards a CAS: whom it is believed from, and what this box proves itself with.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// The texts of the PEM files.
#[derive(Clone, Debug, Default)]
pub struct TlsParts {
    /// Those who may have signed the CAS's certificate.
    pub authority: PathBuf,
    pub authority_pem: Vec<u8>,
    /// This box's certificate and key, for a CAS that asks for one.
    pub own: Option<OwnParts>,
    /// The name in the CAS's certificate.
    pub server_name: String,
}

#[derive(Clone, Debug)]
pub struct OwnParts {
    pub certificate: PathBuf,
    pub certificate_pem: Vec<u8>,
    pub key: PathBuf,
    pub key_pem: Vec<u8>,
}

/// Why these cannot be used. No text shows a byte of the key.
#[derive(Debug, thiserror::Error)]
pub enum TlsPartsError {
    #[error("expected PEM with a certificate, found none that can be read")]
    NoCertificate { file: PathBuf },
    #[error("expected PEM with a private key, found none that can be read")]
    NoKey { file: PathBuf },
    #[error("the certificate and its key cannot be used together: {source}")]
    Own {
        file: PathBuf,
        source: rustls::Error,
    },
    #[error("`{name}` is no host name or address")]
    Name { name: String },
    #[error("rustls refuses these: {0}")]
    Refused(#[from] rustls::Error),
}

/// Makes client connections. Cheap to clone.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    server_name: ServerName<'static>,
}

impl TlsClient {
    pub fn new(parts: &TlsParts) -> Result<Self, TlsPartsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&parts.authority, &parts.authority_pem)? {
            roots
                .add(certificate)
                .map_err(|_| TlsPartsError::NoCertificate {
                    file: parts.authority.clone(),
                })?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match &parts.own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = certificates(&own.certificate, &own.certificate_pem)?;
                let key = PrivateKeyDer::from_pem_slice(&own.key_pem).map_err(|_| {
                    TlsPartsError::NoKey {
                        file: own.key.clone(),
                    }
                })?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|source| TlsPartsError::Own {
                        file: own.certificate.clone(),
                        source,
                    })?
            }
        };
        let name = parts.server_name.clone();
        let server_name =
            ServerName::try_from(name.clone()).map_err(|_| TlsPartsError::Name { name })?;
        Ok(Self {
            config: Arc::new(config),
            server_name,
        })
    }

    pub(super) fn begin(&self) -> Result<rustls::Connection, rustls::Error> {
        let session = ClientConnection::new(Arc::clone(&self.config), self.server_name.clone())?;
        Ok(session.into())
    }
}

fn certificates(
    file: &std::path::Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsPartsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsPartsError::NoCertificate {
            file: file.to_owned(),
        }),
    }
}
