//! What a provider's connections need besides the address: `[provider.tls]`, `[provider.http]`, `[provider.secrets]`.

use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use super::reader::{Reading, Section, type_name};

/// All three; each may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderCredentials {
    pub tls: Option<ProviderTls>,
    pub login: ProviderLogin,
    /// Names, and the files with their values.
    pub secrets: Vec<(String, PathBuf)>,
}

/// `[provider.tls]`: the connections to the CAS are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderTls {
    /// Those who may have signed the CAS's certificate; PEM.
    pub authority: PathBuf,
    /// This box's own certificate and key, for a CAS that asks for them.
    pub own: Option<(PathBuf, PathBuf)>,
    /// The name in the CAS's certificate; none: the host of the address.
    pub server_name: Option<String>,
}

/// `[provider.http]`: how each HTTP request proves who sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProviderLogin {
    #[default]
    None,
    Basic {
        user: String,
    },
    Bearer,
}

impl ProviderCredentials {
    pub(super) const SECTIONS: [&'static str; 3] = ["tls", "http", "secrets"];

    pub(super) fn read<'a>(
        reading: &mut Reading<'a>,
        table: &'a DeTable<'a>,
        offset: usize,
    ) -> Self {
        Self {
            tls: Self::read_tls(reading, table, offset),
            login: Self::read_login(reading, table, offset),
            secrets: Self::read_secrets(reading, table, offset),
        }
    }

    fn read_tls<'a>(
        reading: &mut Reading<'a>,
        table: &'a DeTable<'a>,
        offset: usize,
    ) -> Option<ProviderTls> {
        let found = Section::inner(reading, "provider", Some(table), offset).table("tls");
        let (inner, at) = found?;
        let mut section = Section::inner(reading, "provider.tls", Some(inner), at);
        let path =
            |section: &mut Section<'_, '_>, key| section.path(key, "a file").map(|(path, _)| path);
        if section.entry("ca").is_none() {
            section.missing(
                "ca",
                "name a PEM file with the certificates that signed the CAS's",
            );
        }
        let authority = path(&mut section, "ca");
        let certificate = path(&mut section, "certificate");
        let key = path(&mut section, "key");
        let server_name = section.text("server_name").map(|(name, _)| name);
        let own = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => {
                section.missing("key", "name a PEM file with the certificate's private key");
                None
            }
            (None, Some(_)) => {
                section.missing("certificate", "name a PEM file with the key's certificate");
                None
            }
        };
        section.finish();
        Some(ProviderTls {
            authority: authority?,
            own,
            server_name,
        })
    }

    fn read_login<'a>(
        reading: &mut Reading<'a>,
        table: &'a DeTable<'a>,
        offset: usize,
    ) -> ProviderLogin {
        let found = Section::inner(reading, "provider", Some(table), offset).table("http");
        let Some((inner, at)) = found else {
            return ProviderLogin::None;
        };
        let mut section = Section::inner(reading, "provider.http", Some(inner), at);
        let is_basic = section.choice(
            "auth",
            &[
                ("none", None),
                ("basic", Some(true)),
                ("bearer", Some(false)),
            ],
        );
        let user = section.text("user").map(|(user, _)| user);
        let login = match (is_basic.flatten(), user) {
            (None, _) => ProviderLogin::None,
            (Some(false), _) => ProviderLogin::Bearer,
            (Some(true), Some(user)) => ProviderLogin::Basic { user },
            (Some(true), None) => {
                section.missing(
                    "user",
                    "add user = \"...\"; its password is the secret `password`",
                );
                ProviderLogin::None
            }
        };
        section.finish();
        login
    }

    /// Every key is a name of the site's own.
    fn read_secrets<'a>(
        reading: &mut Reading<'a>,
        table: &'a DeTable<'a>,
        offset: usize,
    ) -> Vec<(String, PathBuf)> {
        let found = Section::inner(reading, "provider", Some(table), offset).table("secrets");
        let Some((inner, _)) = found else {
            return Vec::new();
        };
        let mut secrets = Vec::new();
        for (name, value) in inner {
            let origin = reading.origin(value.span().start);
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let key = name.get_ref();
            match value.get_ref() {
                DeValue::String(path) if !path.is_empty() && key.chars().all(is_plain) => {
                    let path = reading.folder().join(&**path);
                    secrets.push((key.to_string(), path));
                }
                other => {
                    let message = format!(
                        "`provider.secrets.{key}`: expected a name of letters, digits and `_`, and a file; found {}",
                        type_name(other)
                    );
                    let hint = "a secret stands alone in a file: write NAME = \"FILE\"".to_owned();
                    reading.find(origin, message, Some(hint));
                }
            }
        }
        secrets
    }
}
