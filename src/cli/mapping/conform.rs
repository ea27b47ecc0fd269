//! `pairbox mapping test`: the golden cases and the conformance list, one line a point, and below it what failed.

use std::sync::Arc;

use super::super::error::CliError;
use super::super::exit::Exit;
use super::super::output::{say, table};
use super::dump::dump;
use super::place;
use crate::conformance::{Conformance, Point, Verdict, judge};
use crate::script::{Mapping, Origin};

pub fn test(origin: Origin, trace: bool, secrets: Option<&[String]>) -> Result<Exit, CliError> {
    let place = place(&origin);
    let mapping = Arc::new(Mapping::from_origin(origin)?);
    let judged = judge(&mapping, secrets)?;
    if trace {
        say_frames(&mapping, &judged)?;
    }
    let rows = judged.points.iter().map(row).collect();
    say(&table(&["conformance", "verdict", "seen"], rows))?;
    if let Some(answered_by) = &judged.answered_by {
        say(&format!("answers: {answered_by}"))?;
    }
    for failure in judged.report.failed_cases() {
        say(&format!(
            "{}: {}: {}",
            failure.file, failure.case, failure.message
        ))?;
    }
    let (passed, failed) = judged.counts();
    say(&format!("{place}: {passed} passed, {failed} failed"))?;
    Ok(if judged.is_ok() { Exit::Done } else { Exit::No })
}

fn say_frames(mapping: &Mapping, judged: &Conformance) -> Result<(), CliError> {
    for seen in &judged.report.seen {
        let (arrow, bytes) = (if seen.is_sent { "->" } else { "<-" }, seen.frame.len());
        let (case, meaning) = (&seen.case, &seen.meaning);
        let frame = dump(mapping, &seen.frame);
        say(&format!(
            "{arrow} {case}: {bytes} bytes, {meaning}\n{frame}"
        ))?;
    }
    Ok(())
}

fn row(point: &Point) -> Vec<String> {
    let (verdict, seen) = match &point.verdict {
        Verdict::Passed(seen) => ("passed", seen.clone()),
        Verdict::DoesNotApply(why) => ("does not apply", why.clone()),
        Verdict::Failed(fault) => (
            "FAILED",
            format!(
                "expected {}\nfound {}\nnext: {}",
                fault.expected, fault.found, fault.next
            ),
        ),
    };
    vec![point.name.to_owned(), verdict.to_owned(), seen]
}
