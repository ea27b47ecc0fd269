//! Sets up `tracing` once: text for a person at a terminal, JSON for a service manager, both to stderr.
//!
//! stdout belongs to the answers of the command line, so that they can be piped.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

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
const QUIET: [&str; 3] = ["sled=warn", "tiny_http=warn", "ureq=warn"];

/// Installs the subscriber of this process; the second call is refused.
pub fn init(level: Level, style: LogStyle) -> Result<(), LogInitError> {
    let is_terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .with_writer(std::io::stderr);
    let setter: SetLevel = if is_json(style, is_terminal) {
        let lines = lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_filter_reloading();
        let handle = lines.reload_handle();
        lines.try_init().map_err(LogInitError)?;
        Box::new(move |level| drop(handle.reload(filter(level))))
    } else {
        let lines = lines
            .with_ansi(is_terminal)
            .with_target(false)
            .with_filter_reloading();
        let handle = lines.reload_handle();
        lines.try_init().map_err(LogInitError)?;
        Box::new(move |level| drop(handle.reload(filter(level))))
    };
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

fn filter(level: Level) -> EnvFilter {
    let start = EnvFilter::default().add_directive(level.into());
    if level > Level::INFO {
        return start;
    }
    QUIET
        .iter()
        .filter_map(|quiet| quiet.parse::<Directive>().ok())
        .fold(start, EnvFilter::add_directive)
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
        assert!(filter(Level::INFO).to_string().contains("sled=warn"));
        assert!(!filter(Level::DEBUG).to_string().contains("sled"));
        for quiet in QUIET {
            assert!(quiet.parse::<Directive>().is_ok(), "{quiet}");
        }
    }
}
