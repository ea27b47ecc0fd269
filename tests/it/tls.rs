//! The files of `[http.tls]`: what loads serves a client, and everything else is named with its file and what to do.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use pairbox::config::TlsFiles;
use pairbox::domain::Timestamp;
use pairbox::http::tls;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use super::cli_scene::{initialized, pairbox};

/// 2026-11-23 12:00 UTC.
const NOW: Timestamp = Timestamp::from_micros(1_795_435_200_000_000);

/// A certificate for `box.example` and its key, as PEM, valid in these years.
fn made(from: i32, until: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(["box.example".to_owned()]).unwrap();
    parameters.not_before = date_time_ymd(from, 1, 1);
    parameters.not_after = date_time_ymd(until, 1, 1);
    let certificate = parameters.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn written(folder: &Path, certificate: &str, key: &str) -> TlsFiles {
    let files = TlsFiles {
        certificate: folder.join("certificate.pem"),
        key: folder.join("key.pem"),
    };
    fs::write(&files.certificate, certificate).unwrap();
    fs::write(&files.key, key).unwrap();
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
    files
}

fn told(files: &TlsFiles) -> String {
    let mut told = String::new();
    for error in tls::findings(files, NOW) {
        let file = error.file().file_name().unwrap().to_string_lossy();
        writeln!(told, "{file}: {error}").unwrap();
        assert!(!error.hint().is_empty());
    }
    told.replace(files.certificate.to_str().unwrap(), "certificate.pem")
}

#[test]
fn a_client_that_trusts_the_certificate_is_served_http_1_1() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = made(2026, 4000);
    let files = written(folder.path(), &certificate, &key);
    let server = tls::load(&files).unwrap();
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("box.example").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    for _ in 0..4 {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).unwrap();
        }
        let mut rest = flight.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
        }
        server.process_new_packets().unwrap();
        let mut flight = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut flight).unwrap();
        }
        let mut rest = flight.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
        }
        client.process_new_packets().unwrap();
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    assert_eq!(server.alpn_protocol(), Some(b"http/1.1".as_slice()));
}

#[test]
fn what_is_wrong_with_the_files_is_found_and_the_file_named() {
    let (good, key) = made(2026, 2030);
    let (_, other_key) = made(2026, 2030);
    let (old, old_key) = made(2020, 2021);
    let (new, new_key) = made(2027, 2028);
    let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cut = good.split_at(good.len() / 2).0;
    let locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let huge = "x".repeat((1 << 20) + 1);
    let cases: [(&str, &str, &str); 10] = [
        (&good, &key, ""),
        (
            &good,
            &other_key,
            "key.pem: the private key does not belong to the certificate in `certificate.pem`\n",
        ),
        (
            &key,
            &good,
            "certificate.pem: expected a certificate, found none\nkey.pem: expected a private key, found none\n",
        ),
        (
            &good,
            &locked,
            "key.pem: expected a private key, found none\n",
        ),
        (
            cut,
            &key,
            "certificate.pem: expected a PEM file, found something else or a part of one\n",
        ),
        (
            garbled,
            &key,
            "certificate.pem: the certificate cannot be used: invalid peer certificate: BadEncoding\n",
        ),
        (
            &huge,
            "",
            "certificate.pem: expected at most 1048576 bytes, found more\nkey.pem: expected a private key, found none\n",
        ),
        (
            &old,
            &old_key,
            "certificate.pem: certificate 1 of the file expired at 2021-01-01T00:00:00.000000Z\n",
        ),
        (
            &new,
            &new_key,
            "certificate.pem: certificate 1 of the file is valid from 2027-01-01T00:00:00.000000Z only\n",
        ),
        (
            &format!("{good}{old}"),
            &key,
            "certificate.pem: certificate 2 of the file expired at 2021-01-01T00:00:00.000000Z\n",
        ),
    ];
    for (certificate, key, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let files = written(folder.path(), certificate, key);
        assert_eq!(told(&files), expected);
        // The box serves with what clients alone refuse.
        let is_loaded = tls::load(&files).is_ok();
        assert_eq!(is_loaded, expected.is_empty() || expected.contains("0Z"));
    }
}

#[test]
fn a_key_that_others_can_read_is_a_finding_and_missing_files_are() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = made(2026, 2030);
    let files = written(folder.path(), &certificate, &key);
    for (mode, expected) in [
        (0o640, ""),
        (
            0o644,
            "key.pem: expected a key that only its owner and group can reach, found mode 0644\n",
        ),
    ] {
        fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(told(&files), expected);
    }
    fs::remove_file(&files.key).unwrap();
    fs::remove_file(&files.certificate).unwrap();
    let missing = "the file cannot be read: No such file or directory (os error 2)";
    assert_eq!(
        told(&files),
        format!("certificate.pem: {missing}\nkey.pem: {missing}\n")
    );
}

#[test]
fn check_opens_the_tls_files() {
    let folder = tempfile::tempdir().unwrap();
    initialized(folder.path());
    let path = folder.path().join("pairbox.toml");
    let text = fs::read_to_string(&path).unwrap();
    let text = text
        .replace("#[http.tls]", "[http.tls]")
        .replace("#certificate = \"tls/", "certificate = \"")
        .replace("#key = \"tls/", "key = \"");
    fs::write(&path, text.replace("fullchain.pem", "certificate.pem")).unwrap();
    let (certificate, key) = made(2026, 4000);
    let files = written(folder.path(), &certificate, &key);
    let ran = pairbox(folder.path(), &["check"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);

    fs::write(&files.key, "no key").unwrap();
    let ran = pairbox(folder.path(), &["check"]);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    assert_eq!(
        ran.stdout,
        "key.pem: expected a private key, found none\n    \
         hint: a key that a password locks is not read: `openssl pkey -in LOCKED -out OPEN` unlocks it\n\nfindings: 1\n"
    );
}
