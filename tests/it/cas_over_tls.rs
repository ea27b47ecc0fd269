//! A CAS over HTTP and TLS: whom pairbox believes, whom the CAS believes, and what no file ever holds.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use pairbox::simulate::SimulateOptions;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};

use super::headend::Headend;
use super::scene::{Cas, card_serial, persona, stb_serial, wait_until};

const PASSWORD: &str = "pass\"word-of-the-cas";

/// An authority, and what it has signed: certificate and key, PEM.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(parameters, key).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn signed(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A CAS that takes in only those whose certificate the authority has signed.
fn server(authority: &Authority) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let (certificate, key) = authority.signed("cas.example");
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            chain.map(Result::unwrap).collect(),
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        );
    Arc::new(config.unwrap())
}

fn secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A headend whose one provider is an httpjson over TLS.
fn headend(cas: &Cas, authority: &Authority) -> Headend {
    let made = Headend::new(cas.address, 4);
    let folder = made.path();
    secret(&folder.join("cas.password"), &format!("{PASSWORD}\n"));
    fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    let (certificate, key) = authority.signed("box.example");
    fs::write(folder.join("box.pem"), certificate).unwrap();
    secret(&folder.join("box.key"), &key);
    let text = fs::read_to_string(folder.join("pairbox.toml")).unwrap();
    let (before, _) = text.split_once("[provider.settings]").unwrap();
    let config = format!(
        "{}[provider.settings]\noperator = \"north\"\n[provider.secrets]\npassword = \"cas.password\"\n\
         [provider.tls]\nca = \"ca.pem\"\ncertificate = \"box.pem\"\nkey = \"box.key\"\nserver_name = \"cas.example\"\n",
        before.replace("\"smsgw\"", "\"httpjson\"")
    );
    made.write("pairbox.toml", &config);
    made
}

fn cas(authority: &Authority) -> Cas {
    let cfg = json!({
        "operator": "north",
        "secrets": { "password": PASSWORD },
        "session_uses": 2,
    });
    let mut options = SimulateOptions::new(persona("httpjson", cfg), "127.0.0.1:0");
    options.tls = Some(server(authority));
    Cas::run(options)
}

fn note(made: &Headend) -> String {
    let providers = made.run(&["provider", "list", "--output", "json"]);
    let providers: Value = serde_json::from_str(&providers).unwrap();
    providers[0].to_string()
}

#[test]
fn pairings_go_over_tls_with_a_login_and_nothing_of_it_is_kept() {
    let authority = Authority::new();
    let cas = cas(&authority);
    let made = headend(&cas, &authority);
    assert!(made.run(&["check"]).contains("in order"));
    let served = made.serve();
    for number in 0..4 {
        let (card, stb) = (card_serial(number), stb_serial(number));
        made.run(&["pair", &card, &stb, "--wait"]);
    }
    wait_until(
        || cas.pairings().as_object().unwrap().len() == 4,
        || cas.pairings().to_string(),
    );
    let log = made.log();
    served.stop();
    let mut ledger = String::new();
    for file in fs::read_dir(made.data().join("ledger")).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        ledger.push_str(&String::from_utf8_lossy(&bytes));
    }
    assert!(ledger.contains("{{session}}"), "the frames are recorded");
    for hidden in ["pass\\\"word", "word-of-the-cas", "S-0000000"] {
        assert!(!ledger.contains(hidden), "{hidden} is in the ledger");
        assert!(!log.contains(hidden), "{hidden} is in the log");
    }
}

#[test]
fn who_is_not_believed_gets_nothing_and_the_operator_hears_why() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let cas = cas(&authority);
    let made = headend(&cas, &authority);
    // The CAS is not the one that this box was told of.
    fs::write(made.path().join("ca.pem"), stranger.pem()).unwrap();
    let served = made.serve();
    made.run(&["pair", &card_serial(0), &stb_serial(0)]);
    wait_until(
        || note(&made).contains("invalid peer certificate"),
        || note(&made),
    );
    assert_eq!(cas.view.figures().commands, 0);
    served.stop();
    // A key that others can read, a password that is two lines.
    let key = made.path().join("box.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(made.path().join("ca.pem"), authority.pem()).unwrap();
    let refused = |why: &str| {
        let said = super::cli_scene::pairbox(made.path(), &["check"]);
        assert_eq!(said.code, 3, "{}", said.stdout);
        assert!(said.stdout.contains(why), "{}", said.stdout);
    };
    refused("found mode 0644");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    secret(&made.path().join("cas.password"), "one\ntwo\n");
    refused("one line of text");
    fs::remove_file(made.path().join("cas.password")).unwrap();
    refused("cannot be read");
}

#[test]
fn a_changed_secret_comes_with_a_reload() {
    let authority = Authority::new();
    let cas = cas(&authority);
    let made = headend(&cas, &authority);
    secret(&made.path().join("cas.password"), "wrong");
    let served = made.serve();
    made.run(&["pair", &card_serial(0), &stb_serial(0)]);
    wait_until(
        || note(&made).contains("the login was refused"),
        || note(&made),
    );
    secret(&made.path().join("cas.password"), PASSWORD);
    assert!(made.run(&["reload"]).contains("generation 2"));
    wait_until(
        || cas.pairings().as_object().unwrap().len() == 1,
        || note(&made),
    );
    served.stop();
}
