//! Reading the configuration again: who asks, what came of it, and which generation is in force.
//!
//! The service's main thread does the work; whoever asks watches it, so that no door waits. Askers that come while one is
//! read are served together by the next.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;
use crate::domain::length::cut;
use crate::script::check::Finding;

/// Findings that are kept of a refused reload.
const FINDINGS_MAX: usize = 100;
/// Bytes that are kept of what one finding says.
const MESSAGE_BYTES_MAX: usize = 2 * 1024;

/// The configuration that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// 1 at the start of the process, one more with each reload.
    pub generation: u64,
    pub since: Timestamp,
    /// The latest reload, if it was refused.
    pub refused: Option<RefusedReload>,
}

/// A reload that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedReload {
    pub at: Timestamp,
    pub by: String,
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub left_out: usize,
}

/// What came of an asker's reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadEnd {
    Applied {
        generation: u64,
        /// In words; empty: nothing differed.
        changes: Vec<String>,
    },
    Refused {
        /// The one that stays in force.
        generation: u64,
        reload: RefusedReload,
    },
}

/// A reload that is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedReload {
    pub attempt: u64,
    pub by: String,
}

/// Between those who ask and the one who does it.
pub struct Reloads {
    board: Mutex<Board>,
    ring: Sender<()>,
    bell: Receiver<()>,
}

struct Board {
    report: ReloadReport,
    /// Somebody does what is asked.
    is_open: bool,
    asked: AskedReload,
    ended: Option<(u64, ReloadEnd)>,
}

impl Reloads {
    /// The first generation begins now.
    pub fn new(now: Timestamp) -> Self {
        let (ring, bell) = bounded(1);
        Self {
            board: Mutex::new(Board {
                report: ReloadReport {
                    generation: 1,
                    since: now,
                    refused: None,
                },
                is_open: false,
                asked: AskedReload {
                    attempt: 0,
                    by: String::new(),
                },
                ended: None,
            }),
            ring,
            bell,
        }
    }

    pub fn report(&self) -> ReloadReport {
        self.board().report.clone()
    }

    /// Asks for a reload that begins after this; none where nobody would do it. The number is for `end_of`.
    pub fn ask(&self, by: &str) -> Option<u64> {
        let mut board = self.board();
        if !board.is_open {
            return None;
        }
        board.asked.attempt += 1;
        by.clone_into(&mut board.asked.by);
        // A bell that rings already will do.
        let _ = self.ring.try_send(());
        Some(board.asked.attempt)
    }

    /// What came of the attempt, or of a later one; none while it is not over.
    pub fn end_of(&self, attempt: u64) -> Option<ReloadEnd> {
        let board = self.board();
        let (ended, end) = board.ended.as_ref()?;
        (*ended >= attempt).then(|| end.clone())
    }

    /// From now on somebody does what is asked.
    pub fn open(&self) {
        self.board().is_open = true;
    }

    /// For the one who does it: waits so long for somebody to ask.
    pub fn next(&self, within: Duration) -> Option<AskedReload> {
        self.bell.recv_timeout(within).ok()?;
        Some(self.board().asked.clone())
    }

    /// The reload is in force.
    pub fn applied(&self, asked: &AskedReload, now: Timestamp, changes: Vec<String>) -> ReloadEnd {
        let mut board = self.board();
        let report = &mut board.report;
        report.generation += 1;
        report.since = now;
        report.refused = None;
        let generation = report.generation;
        let end = ReloadEnd::Applied {
            generation,
            changes,
        };
        board.ended = Some((asked.attempt, end.clone()));
        end
    }

    /// The reload changed nothing; what is wrong is kept until the next.
    pub fn refused(
        &self,
        asked: &AskedReload,
        now: Timestamp,
        mut findings: Vec<Finding>,
    ) -> ReloadEnd {
        let left_out = findings.len().saturating_sub(FINDINGS_MAX);
        findings.truncate(FINDINGS_MAX);
        for finding in &mut findings {
            finding.message = cut(&finding.message, MESSAGE_BYTES_MAX);
        }
        let reload = RefusedReload {
            at: now,
            by: asked.by.clone(),
            findings,
            left_out,
        };
        let mut board = self.board();
        board.report.refused = Some(reload.clone());
        let generation = board.report.generation;
        let end = ReloadEnd::Refused { generation, reload };
        board.ended = Some((asked.attempt, end.clone()));
        end
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(message: &str) -> Finding {
        Finding {
            file: "pairbox.toml".into(),
            line: Some(1),
            column: Some(2),
            message: message.into(),
            hint: None,
        }
    }

    #[test]
    fn who_asks_while_one_is_read_waits_for_the_next() {
        let reloads = Reloads::new(Timestamp::ZERO);
        assert_eq!(reloads.ask("early"), None);
        reloads.open();
        let first = reloads.ask("maria").unwrap();
        let doing = reloads.next(Duration::ZERO).unwrap();
        assert_eq!((doing.attempt, doing.by.as_str()), (first, "maria"));
        let (second, third) = (reloads.ask("jo").unwrap(), reloads.ask("ann").unwrap());
        let end = reloads.applied(&doing, Timestamp::ZERO, vec!["[api] changed".into()]);
        assert_eq!(reloads.end_of(first), Some(end));
        assert_eq!(reloads.end_of(second), None);
        let doing = reloads.next(Duration::ZERO).unwrap();
        assert_eq!(reloads.next(Duration::ZERO), None);
        let end = reloads.applied(&doing, Timestamp::ZERO, Vec::new());
        assert_eq!(reloads.end_of(second), Some(end.clone()));
        assert_eq!(reloads.end_of(third), Some(end));
        assert_eq!(reloads.report().generation, 3);
    }

    #[test]
    fn a_refused_reload_is_kept_until_the_next_and_within_bounds() {
        let reloads = Reloads::new(Timestamp::ZERO);
        reloads.open();
        reloads.ask("maria").unwrap();
        let asked = reloads.next(Duration::ZERO).unwrap();
        let findings = vec![finding(&"x".repeat(5_000)); 102];
        reloads.refused(&asked, Timestamp::ZERO, findings);
        let report = reloads.report();
        let refused = report.refused.unwrap();
        assert_eq!((report.generation, refused.by.as_str()), (1, "maria"));
        assert_eq!((refused.findings.len(), refused.left_out), (100, 2));
        assert!(refused.findings[0].message.len() <= MESSAGE_BYTES_MAX);
        reloads.applied(&asked, Timestamp::ZERO, Vec::new());
        assert_eq!(reloads.report().refused, None);
    }
}
