//! What the service manager is told (sd_notify), and how often it wants to hear that the box lives.
//!
//! Without `NOTIFY_SOCKET` there is nobody to tell and nothing happens; a manager that does not listen is no reason to stop.

use std::time::Duration;

use sd_notify::NotifyState::{
    self, ExtendTimeoutUsec, Ready, Reloading, Status, Stopping, Watchdog,
};

/// The box answers: a start or a reload is over.
pub fn ready() {
    tell(&[Ready]);
}

/// A long start goes on for at most `span` until the next word.
pub fn coming_up(status: &str, span: Duration) {
    tell(&[extend(span), Status(status)]);
}

/// The box goes down, in at most `span`.
pub fn stopping(span: Duration) {
    let status = "stopping: attempts in flight are awaited";
    tell(&[Stopping, extend(span), Status(status)]);
}

/// A reload begins; `ready` ends it, whatever came of it.
pub fn reloading() {
    // A manager from version 253 on wants the instant; the clock that gives it does not fail.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[Reloading, now]);
    }
}

/// One line for `systemctl status`.
pub fn status(line: &str) {
    tell(&[Status(line)]);
}

/// The box lives and works.
pub fn alive() {
    tell(&[Watchdog]);
}

/// How often `alive` is due: half of the interval after which the manager would kill; none if it does not watch.
pub fn alive_every() -> Option<Duration> {
    let mut micros = 0;
    sd_notify::watchdog_enabled(false, &mut micros).then(|| Duration::from_micros(micros) / 2)
}

fn extend(span: Duration) -> NotifyState<'static> {
    ExtendTimeoutUsec(u32::try_from(span.as_micros()).unwrap_or(u32::MAX))
}

fn tell(words: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, words) {
        tracing::debug!(%error, "the service manager does not listen");
    }
}
