//! Whether a mapping bears what every CAS does sooner or later: the conformance list of the mapping contract, point by point.
//!
//! Nothing is connected, recorded or kept. Frames go through the transport's own framing and answers through dispatch's own matching, so
//! that what passes here is what the product does. `pairbox mapping test` shows it, `pairbox mapping activate` asks for it.

mod answers;
mod list;
mod session;
mod shelf;
mod simulated;
mod splits;
mod stand;
mod trial;
mod wrap;

pub use list::judge;

use crate::script::cases::CaseReport;

/// How a mapping did.
pub struct Conformance {
    pub report: CaseReport,
    /// In the order of the list.
    pub points: Vec<Point>,
    /// Who answered the commands of the session's points, if anybody could.
    pub answered_by: Option<String>,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    pub name: &'static str,
    pub verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What was seen.
    Passed(String),
    Failed(Fault),
    /// Why not.
    DoesNotApply(String),
}

/// What went otherwise, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub expected: String,
    pub found: String,
    pub next: String,
}

impl Conformance {
    /// Whether every point that applies is passed.
    pub fn is_ok(&self) -> bool {
        self.failed_points().next().is_none()
    }

    pub fn failed_points(&self) -> impl Iterator<Item = &Point> {
        let is_failed = |point: &&Point| matches!(point.verdict, Verdict::Failed(_));
        self.points.iter().filter(is_failed)
    }

    /// Cases and points that passed and failed. That all cases passed is counted by the cases.
    pub fn counts(&self) -> (usize, usize) {
        let failed_cases = self.report.failed_cases().count();
        let mut counts = (self.report.cases - failed_cases, failed_cases);
        for point in self.points.iter().filter(|point| point.name != list::CASES) {
            match point.verdict {
                Verdict::Passed(_) => counts.0 += 1,
                Verdict::Failed(_) => counts.1 += 1,
                Verdict::DoesNotApply(_) => {}
            }
        }
        counts
    }
}
