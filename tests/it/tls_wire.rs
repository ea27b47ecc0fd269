//! A client that speaks TLS and trusts one certificate, made here for the server to show.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::siege::PATIENCE;

pub type Wire = StreamOwned<ClientConnection, TcpStream>;

const NAME: &str = "box.example";

/// A certificate in files, and what trusts it.
pub struct Trust {
    pub certificate: PathBuf,
    pub key: PathBuf,
    roots: RootCertStore,
}

impl Trust {
    /// Writes both into a folder.
    pub fn make(folder: &Path) -> Self {
        let pair = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new([NAME.to_owned()]).unwrap();
        let signed = parameters.self_signed(&pair).unwrap();
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        fs::write(&certificate, signed.pem()).unwrap();
        fs::write(&key, pair.serialize_pem()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(signed.der().clone()).unwrap();
        Self {
            certificate,
            key,
            roots,
        }
    }

    pub fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConnection {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        let name = ServerName::try_from(NAME).unwrap();
        ClientConnection::new(Arc::new(config), name).unwrap()
    }

    pub fn connect(&self, address: SocketAddr) -> Wire {
        self.connect_by(address, rustls::ALL_VERSIONS)
    }

    /// The handshake comes with the first byte that is written or read.
    pub fn connect_by(
        &self,
        address: SocketAddr,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Wire {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        StreamOwned::new(self.client(versions), stream)
    }
}
