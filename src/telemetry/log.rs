//! Sets up `tracing` once: text for a person at a terminal, JSON for a service manager, both to stderr.
//!
//! stdout belongs to the answers of the command line, so that they can be piped.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStyle {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    Text,
    Json,
}

/// Logging is already set up in this process.
#[derive(Debug, thiserror::Error)]
#[error("logging is set up already")]
pub struct LogInitError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Crates below us that talk at info level about nothing an operator would retell.
const QUIET: [&str; 3] = ["sled", "tiny_http", "ureq"];

/// Installs the subscriber of this process; the second call is refused.
pub fn init(level: Level, style: LogStyle) -> Result<(), LogInitError> {
    let is_terminal = std::io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if is_json(style, is_terminal) {
        let lines = lines.json().flatten_event(true);
        lines.with_current_span(false).boxed()
    } else {
        lines.with_ansi(is_terminal).with_target(false).boxed()
    };
    let (filter, handle) = reload::Layer::new(filter(level));
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .map_err(|error| LogInitError(error.into()))?;
    let setter: SetLevel = Box::new(move |level| drop(handle.reload(self::filter(level))));
    // The second subscriber of a process was refused above.
    let _ = SET_LEVEL.set(setter);
    Ok(())
}

/// Another level for all that follows; nothing happens where `init` was not called.
pub fn set_level(level: Level) {
    if let Some(set) = SET_LEVEL.get() {
        set(level);
    }
}

type SetLevel = Box<dyn Fn(Level) + Send + Sync>;

static SET_LEVEL: OnceLock<SetLevel> = OnceLock::new();

fn is_json(style: LogStyle, is_terminal: bool) -> bool {
    match style {
        LogStyle::Json => true,
        LogStyle::Text => false,
        LogStyle::Auto => !is_terminal,
    }
}

fn filter(level: Level) -> Targets {
    let start = Targets::new().with_default(level);
    if level > Level::INFO {
        return start;
    }
    let quiet = level.min(Level::WARN);
    start.with_targets(QUIET.map(|target| (target, quiet)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_manager_gets_json_and_a_person_text() {
        assert!(is_json(LogStyle::Auto, false));
        assert!(!is_json(LogStyle::Auto, true));
        assert!(is_json(LogStyle::Json, true));
        assert!(!is_json(LogStyle::Text, false));
    }

    #[test]
    fn noisy_crates_are_quiet_unless_all_is_asked_for() {
        for (level, of_noisy, is_told) in [
            (Level::INFO, Level::INFO, false),
            (Level::INFO, Level::WARN, true),
            (Level::ERROR, Level::WARN, false),
            (Level::DEBUG, Level::DEBUG, true),
        ] {
            for noisy in QUIET {
                let found = filter(level).would_enable(&format!("{noisy}::inner"), &of_noisy);
                assert_eq!(found, is_told, "{of_noisy} of {noisy} at {level}");
            }
            assert!(filter(level).would_enable("pairbox::cli", &level));
        }
    }
}
