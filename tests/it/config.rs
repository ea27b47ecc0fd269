//! A configuration says everything that is wrong with it at once, and the nearer decision wins.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pairbox::config::{
    Config, Environment, HttpConfig, Origin, Overrides, ProcessingMode, TEMPLATE, TlsFiles,
    TokenLife,
};

const FILE: &str = "/etc/box/pairbox.toml";

/// Names and values of variables.
type Variables = &'static [(&'static str, &'static str)];

fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let environment = Environment::from_pairs(variables.iter().copied());
    Config::parse(Path::new(FILE), text, &Overrides::default(), &environment)
        .map_err(|errors| errors.to_string())
}

/// Compares with the golden file, or writes it when `PAIRBOX_BLESS` is set.
fn check_golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/golden")
        .join(name);
    if std::env::var_os("PAIRBOX_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found, expected, "{name}; PAIRBOX_BLESS=1 rewrites it");
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_lines() {
    let text = include_str!("golden/config_ten_mistakes.toml");
    let variables = [
        ("PAIRBOX_HTTP_LISTN", "127.0.0.1:1"),
        ("PAIRBOX_HTTP_LISTEN", "0.0.0.0:8087"),
        ("PAIRBOX_BLESS", "1"),
        ("PAIRBOX_TEST_LONG", "1"),
        ("HOME", "/home/anna"),
    ];
    let found = parse(text, &variables).unwrap_err();
    check_golden("config_ten_mistakes.txt", &(found + "\n"));
}

#[test]
fn flag_wins_over_variable_over_file_over_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pairbox.toml");
    let listen = |text: &str, variable: Option<&str>, flag: Option<&str>| -> SocketAddr {
        std::fs::write(&path, text).unwrap();
        let environment =
            Environment::from_pairs(variable.map(|value| ("PAIRBOX_HTTP_LISTEN", value)));
        let overrides = Overrides {
            listen: flag.map(str::to_owned),
            ..Overrides::default()
        };
        let loaded = Config::load_with(Some(&path), &overrides, &environment).unwrap();
        assert_eq!(loaded.path, path);
        loaded.config.http.listen
    };
    let file = "http.listen = \"127.0.0.1:2\"";
    let port = |address: SocketAddr| address.port();
    assert_eq!(port(listen("", None, None)), 8087);
    assert_eq!(port(listen(file, None, None)), 2);
    assert_eq!(port(listen(file, Some("127.0.0.1:3"), None)), 3);
    assert_eq!(port(listen(file, Some("127.0.0.1:3"), Some("[::1]:4"))), 4);
}

#[test]
fn relative_paths_count_from_the_folder_of_the_file() {
    let config = parse("scripts_dir = \"../scripts\"", &[]).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("/etc/box/data"));
    assert_eq!(config.scripts_dir, PathBuf::from("/etc/box/../scripts"));
    let config = parse("", &[("PAIRBOX_DATA_DIR", "here")]).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("here"));
}

#[test]
fn every_scalar_key_outside_the_providers_has_a_variable() {
    let config = parse(
        "",
        &[
            ("PAIRBOX_API_TOKEN_LIFE", "absolute:2h"),
            ("PAIRBOX_HTTP_WORKERS", "4"),
            ("PAIRBOX_PROCESSING_MODE", "every 5m"),
            ("PAIRBOX_STORE_RESERVE", "1GiB"),
            ("PAIRBOX_LOG_LEVEL", "debug"),
            ("PAIRBOX_API_TIME_ZONE", "Europe/Athens"),
        ],
    )
    .unwrap();
    assert_eq!(
        config.api.token_life,
        TokenLife::Absolute(Duration::from_hours(2))
    );
    assert_eq!(config.http.workers, 4);
    assert_eq!(
        config.processing.mode,
        ProcessingMode::Every(Duration::from_mins(5))
    );
    assert_eq!(config.store.reserve_bytes, 1 << 30);
    assert_eq!(config.api.time_zone.name(), "Europe/Athens");
}

#[test]
fn a_provider_decides_its_own_retries() {
    let text = format!("{TEMPLATE}\n[provider.retry]\ndelays = [\"3s\"]\n");
    let config = parse(&text, &[]).unwrap();
    let retry = config.provider("north").unwrap().retry.over(&config.retry);
    assert_eq!(retry.delays, [Duration::from_secs(3)]);
    assert_eq!(retry.give_up_after, Duration::from_hours(24));
}

#[test]
fn the_packaged_file_loads_and_keeps_data_where_the_unit_says() {
    let config = parse(include_str!("../../packaging/debian/pairbox.toml"), &[]).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("/var/lib/pairbox"));
    let unit = include_str!("../../packaging/systemd/pairbox.service");
    assert!(unit.contains("StateDirectory=pairbox\n"));
}

#[test]
fn settings_reach_the_mapping_as_json() {
    let text = format!(
        "{TEMPLATE}\nmask = 0xff\nlarge = 67_892\nsigned = -5\nshare = 0.5\non = true\nlist = [1, \"a\"]\n"
    );
    let config = parse(&text, &[]).unwrap();
    let settings = &config.provider("north").unwrap().settings;
    let found = |key: &str| settings.get(key).unwrap().to_string();
    assert_eq!(found("mask"), "255");
    assert_eq!(found("large"), "67892");
    assert_eq!(found("signed"), "-5");
    assert_eq!(found("share"), "0.5");
    assert_eq!(found("on"), "true");
    assert_eq!(found("list"), "[1,\"a\"]");
    let broken = parse(&format!("{TEMPLATE}\nshare = nan\n"), &[]).unwrap_err();
    assert!(broken.contains("`provider.settings`"), "{broken}");
}

#[test]
fn a_broken_document_is_reported_with_its_line_only() {
    let found = parse("[http]\nlisten = \nworkers = 0\n", &[]).unwrap_err();
    assert!(found.starts_with("/etc/box/pairbox.toml:2:"), "{found}");
    assert!(!found.contains("workers"), "{found}");
}

#[test]
fn a_missing_file_names_the_next_command() {
    let path = Path::new("/nowhere/pairbox.toml");
    let errors =
        Config::load_with(Some(path), &Overrides::default(), &Environment::default()).unwrap_err();
    let finding = errors.findings.first().unwrap();
    assert_eq!(
        finding.origin,
        Origin::WholeFile {
            path: path.to_owned()
        }
    );
    assert!(finding.hint.as_ref().unwrap().contains("pairbox init"));
}

/// Whoever names the address, flag, variable or file: all that was said is judged together.
#[test]
fn an_address_that_a_network_reaches_needs_tls_or_a_word_for_plain_text() {
    const VARIABLE: (&str, &str) = ("PAIRBOX_HTTP_LISTEN", "192.0.2.1:80");
    const PLAIN: (&str, &str) = ("PAIRBOX_HTTP_ALLOW_PLAINTEXT", "true");
    let open = "http.listen = \"0.0.0.0:8087\"";
    let loopback = "http.listen = \"127.0.0.1:8087\"";
    let tls = "http.tls = { certificate = \"c.pem\", key = \"k.pem\" }";
    let plain = "http.allow_plaintext = true";
    let cases: [(&str, Variables, Option<&str>, Option<&str>); 12] = [
        (open, &[], None, Some("/etc/box/pairbox.toml:1:15")),
        (
            "http.listen = \"[::]:1\"",
            &[],
            None,
            Some("/etc/box/pairbox.toml:1:15"),
        ),
        (loopback, &[VARIABLE], None, Some("PAIRBOX_HTTP_LISTEN")),
        (loopback, &[], Some("0.0.0.0:1"), Some("--listen")),
        (loopback, &[], None, None),
        (&format!("{tls}\n{open}"), &[], None, None),
        (&format!("{plain}\n{open}"), &[], None, None),
        (tls, &[VARIABLE], None, None),
        (plain, &[], Some("0.0.0.0:1"), None),
        ("", &[VARIABLE, PLAIN], None, None),
        // What a nearer layer replaces is not judged.
        (open, &[("PAIRBOX_HTTP_LISTEN", "127.0.0.1:1")], None, None),
        ("", &[VARIABLE], Some("[::1]:1"), None),
    ];
    for (text, variables, flag, expected) in cases {
        let environment = Environment::from_pairs(variables.iter().copied());
        let overrides = Overrides {
            listen: flag.map(str::to_owned),
            ..Overrides::default()
        };
        let parsed = Config::parse(Path::new(FILE), text, &overrides, &environment);
        let found = parsed.err().map(|errors| errors.to_string());
        let told = format!("{text:?} {variables:?} {flag:?}: {found:?}");
        let Some(origin) = expected else {
            assert_eq!(found, None, "{told}");
            continue;
        };
        let found = found.expect(&told);
        assert!(
            found.starts_with(&format!("{origin}: `http.listen`")),
            "{told}"
        );
        for word in ["readable", "reverse proxy", "[http.tls]", "allow_plaintext"] {
            assert!(found.contains(word), "{told}");
        }
    }
}

#[test]
fn the_doors_keys_have_bounds_and_name_them() {
    let text = include_str!("golden/config_doors.toml");
    let variables = [
        ("PAIRBOX_HTTP_IDLE_TIMEOUT", "2h"),
        ("PAIRBOX_HTTP_TLS_KEY", "k.pem"),
        ("PAIRBOX_OPS_LISTEN", "0.0.0.0:8088"),
    ];
    let found = parse(text, &variables).unwrap_err();
    check_golden("config_doors.txt", &(found + "\n"));
}

#[test]
fn a_certificate_without_its_key_is_a_finding_where_it_was_said() {
    let half = "[http.tls]\ncertificate = \"c.pem\"\n";
    let cases: [(&str, Variables, &str); 3] = [
        (half, &[], "/etc/box/pairbox.toml:2:15: `http.tls.key`"),
        (
            "[http.tls]\n",
            &[],
            "/etc/box/pairbox.toml:1:7: `http.tls.certificate`",
        ),
        (
            "",
            &[("PAIRBOX_HTTP_TLS_KEY", "k.pem")],
            "PAIRBOX_HTTP_TLS_KEY: `http.tls.certificate`",
        ),
    ];
    for (text, variables, expected) in cases {
        let found = parse(text, variables).unwrap_err();
        assert!(
            found.starts_with(&format!("{expected} is missing")),
            "{found}"
        );
        assert_eq!(found.matches("hint").count(), 1, "{found}");
    }
}

#[test]
fn the_doors_keys_are_read() {
    let text = "[http]\nconnections_max = 16\nconnections_per_address_max = 65536\n\
        head_timeout = \"100ms\"\nbody_timeout = \"10m\"\nidle_timeout = \"1h\"\n\
        tls = { certificate = \"tls/chain.pem\", key = \"/run/key.pem\" }\n\
        [ops]\nlisten = \"[::1]:8088\"\n[control]\ngroup = \"operators\"\n";
    let config = parse(text, &[("PAIRBOX_HTTP_TLS_KEY", "here.pem")]).unwrap();
    let expected = HttpConfig {
        connections_max: 16,
        connections_per_address_max: 65_536,
        head_timeout: Duration::from_millis(100),
        body_timeout: Duration::from_mins(10),
        idle_timeout: Duration::from_hours(1),
        tls: Some(TlsFiles {
            certificate: PathBuf::from("/etc/box/tls/chain.pem"),
            key: PathBuf::from("here.pem"),
        }),
        ..HttpConfig::default()
    };
    assert_eq!(config.http, expected);
    assert_eq!(config.ops.listen, Some("[::1]:8088".parse().unwrap()));
    assert_eq!(config.control.group.as_deref(), Some("operators"));
    let config = parse("", &[]).unwrap();
    assert_eq!(config.http, HttpConfig::default());
    assert_eq!((config.ops.listen, config.control.group), (None, None));
}

#[test]
fn a_key_that_would_have_no_effect_is_not_known() {
    let told = parse("[store]\nkeep_finished = \"90d\"\n", &[]).unwrap_err();
    assert!(told.contains("keep_finished"), "{told}");
}
