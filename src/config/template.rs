//! The commented configuration that `pairbox init DIR` writes: every key, its default, and one example provider.
//!
//! It must load as it stands and mean the defaults; a test holds it to that.

/// The text of a new `pairbox.toml`.
pub const TEMPLATE: &str = include_str!("template.toml");

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Environment, Overrides};

    fn parse(text: &str) -> Config {
        let path = Path::new("/box/pairbox.toml");
        Config::parse(path, text, &Overrides::default(), &Environment::default())
            .unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn template_loads_and_has_the_north_provider() {
        let config = parse(TEMPLATE);
        let north = config.provider("north").unwrap();
        assert_eq!(north.address, "127.0.0.1:7000");
        let decided_here = [
            north.window.is_some(),
            north.reply_timeout.is_some(),
            north.connect_timeout.is_some(),
            north.keepalive_every.is_some(),
            north.rate_per_s.is_some(),
            north.min_gap.is_some(),
            north.lanes.is_some(),
            north.ambiguous.is_some(),
        ];
        assert_eq!(decided_here, [false; 8], "the mapping decides");
        assert_eq!(
            north.settings,
            serde_json::json!({"source_id": 1234, "dest_id": 5, "mop_ppid": 67892, "hello_name": "SMSGW"})
        );
    }

    /// Every key that is shown shows its default (but for those whose default is to be absent).
    #[test]
    fn template_shows_the_defaults() {
        let before_providers = TEMPLATE.split("[[provider]]").next().unwrap();
        let without_default = [
            "#[http.tls]",
            "#certificate",
            "#key",
            "listen = \"127.0.0.1:8088\"",
            "#group",
            "#time_zone",
            "#organisation",
        ];
        let shown: Vec<&str> = before_providers
            .lines()
            .filter(|line| !without_default.iter().any(|key| line.starts_with(key)))
            .map(|line| match line.strip_prefix('#') {
                Some(key) if !key.starts_with(' ') => key,
                _ => line,
            })
            .collect();
        assert_eq!(parse(&shown.join("\n")), parse(""));
    }
}
