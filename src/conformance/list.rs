//! The list itself: golden frames, replies, the stream, and four things that a session must bear.

use std::sync::Arc;

use super::trial::Trial;
use super::{Conformance, Fault, Point, Verdict, session, splits, wrap};
use crate::domain::placeholder::names_any;
use crate::script::cases::{self, CaseReport, Kind, run_cases};
use crate::script::secrets_named::unknown_in_frames;
use crate::script::{Mapping, Origin, ScriptError};

pub(super) const CASES: &str = "cases";

/// Tries the whole list. `secrets`: the names that its provider has; none: no provider uses the mapping yet. Fails only if the
/// case files cannot be read.
pub fn judge(
    mapping: &Arc<Mapping>,
    secrets: Option<&[String]>,
) -> Result<Conformance, ScriptError> {
    let report = run_cases(mapping)?;
    let next = Next::of(mapping);
    let mut points = vec![
        Point::of(CASES, as_written(&report, &next)),
        Point::of("golden frames", golden_frames(&report, &next)),
        Point::of("reply table", reply_table(&report, &next)),
        Point::of(
            "truncated reply",
            hardship(
                &report,
                &next,
                cases::CUT_FRAME,
                "a reply that is cut short confirms nothing else",
                &format!("{}, cut at every byte", counted(&report)),
            ),
        ),
        Point::of(
            "garbage",
            hardship(
                &report,
                &next,
                cases::GARBAGE,
                "garbage is no error and confirms nothing",
                "zeros, ones, every byte and another protocol confirm nothing",
            ),
        ),
        Point::of("split and merged", stream(mapping, &report, &next)),
    ];
    points.extend(secrets_named(mapping, &report, secrets, &next));
    let quietly = tracing::subscriber::NoSubscriber::default();
    // What is tried is meant to go wrong.
    let (of_a_session, answered_by) =
        tracing::subscriber::with_default(quietly, || sessions(mapping, &report, &next));
    points.extend(of_a_session);
    Ok(Conformance {
        report,
        points,
        answered_by,
    })
}

impl Point {
    fn of(name: &'static str, judged: Result<Verdict, Fault>) -> Self {
        let verdict = judged.unwrap_or_else(Verdict::Failed);
        Self { name, verdict }
    }
}

/// The commands to go on with after a failure.
struct Next {
    trace: String,
    edit_script: String,
    edit_commands: String,
    edit_replies: String,
}

impl Next {
    fn of(mapping: &Mapping) -> Self {
        let name = mapping.name();
        let folder = match mapping.origin() {
            Origin::Folder(folder) | Origin::Version { folder, .. } => folder.display().to_string(),
            Origin::BuiltIn(name) => format!("scripts/mappings/{name}"),
        };
        Self {
            trace: format!("pairbox mapping test {name} --trace"),
            edit_script: format!("$EDITOR {folder}/mapping.rhai"),
            edit_commands: format!("$EDITOR {folder}/cases/commands.json"),
            edit_replies: format!("$EDITOR {folder}/cases/replies.json"),
        }
    }
}

fn fault(expected: impl Into<String>, found: impl Into<String>, next: &str) -> Fault {
    Fault {
        expected: expected.into(),
        found: found.into(),
        next: next.to_owned(),
    }
}

/// What was found wrong with the mapping; the list adds the next command.
pub(super) type Otherwise = (String, String);

fn as_written(report: &CaseReport, next: &Next) -> Result<Verdict, Fault> {
    let failed = report.failed_cases().count();
    if failed == 0 {
        let said = format!("{} come out as they are written", report.cases);
        return Ok(Verdict::Passed(said));
    }
    Err(fault(
        format!("all {} to come out as they are written", report.cases),
        format!("{failed} that did not, told below"),
        &next.trace,
    ))
}

fn golden_frames(report: &CaseReport, next: &Next) -> Result<Verdict, Fault> {
    let commands = || report.kinds.iter().filter(|kind| kind.is_command);
    let needed = names(commands().filter(|kind| kind.is_needed.is_ok()));
    let missing = names(commands().filter(|kind| kind.is_missing()));
    if !missing.is_empty() {
        return Err(fault(
            format!("a case with frames for each of: {needed}"),
            format!("none for: {missing}"),
            &next.edit_commands,
        ));
    }
    // Of the list itself; that a CAS knows no products needs no word.
    let not_needed = commands().filter(|kind| LISTED.contains(&kind.name));
    let not_needed: Vec<String> = not_needed
        .filter_map(|kind| Some(format!("; no {}: {}", kind.name, kind.is_needed.err()?)))
        .collect();
    Ok(Verdict::Passed(format!("{needed}{}", not_needed.concat())))
}

/// What `cas.md` names.
const LISTED: [&str; 4] = ["pair", "unpair", "swap", "keepalive"];

fn reply_table(report: &CaseReport, next: &Next) -> Result<Verdict, Fault> {
    let replies = || report.kinds.iter().filter(|kind| !kind.is_command);
    let needed = names(replies());
    let missing = names(replies().filter(|kind| kind.is_missing()));
    if !missing.is_empty() {
        return Err(fault(
            format!("a case with a frame of the CAS for each of: {needed}"),
            format!("none for: {missing}"),
            &next.edit_replies,
        ));
    }
    if let Some(found) = report.hardship(cases::SAME_TWICE) {
        return Err(fault(
            "a reply to mean the same each time",
            found,
            &next.edit_script,
        ));
    }
    Ok(Verdict::Passed(format!(
        "{}, with {needed}",
        counted(report)
    )))
}

fn names<'a>(kinds: impl Iterator<Item = &'a Kind>) -> String {
    let names: Vec<&str> = kinds.map(|kind| kind.name).collect();
    names.join(", ")
}

fn counted(report: &CaseReport) -> String {
    let heard = report.replies.len();
    let noun = if heard == 1 { "reply" } else { "replies" };
    format!("{heard} {noun}")
}

fn hardship(
    report: &CaseReport,
    next: &Next,
    name: &str,
    expected: &str,
    passed: &str,
) -> Result<Verdict, Fault> {
    match report.hardship(name) {
        None => Ok(Verdict::Passed(passed.to_owned())),
        Some(found) => Err(fault(expected, found, &next.edit_script)),
    }
}

fn stream(mapping: &Mapping, report: &CaseReport, next: &Next) -> Result<Verdict, Fault> {
    let framing = &mapping.description().framing;
    splits::check(framing, &report.seen).map_err(|found| {
        fault(
            "every frame to come out of the stream as it went in",
            found,
            &next.trace,
        )
    })?;
    let frames = report.seen.len();
    Ok(Verdict::Passed(format!(
        "{frames} frames, two by two, at every byte"
    )))
}

/// Of a mapping whose frames name a secret.
fn secrets_named(
    mapping: &Mapping,
    report: &CaseReport,
    secrets: Option<&[String]>,
    next: &Next,
) -> Option<Point> {
    const NAME: &str = "secrets";
    if let Err(found) = unknown_in_frames(mapping.origin(), &report.seen, secrets) {
        let expected = "frames to name secrets and filters that are known";
        return Some(Point::of(
            NAME,
            Err(fault(expected, found, &next.edit_script)),
        ));
    }
    let sent = report.seen.iter().filter(|seen| seen.is_sent);
    let frames = sent.filter(|seen| names_any(&seen.frame)).count();
    let passed = Verdict::Passed(format!("{frames} frames name what is known"));
    (frames > 0).then(|| Point::of(NAME, Ok(passed)))
}

/// The points of a session, and who answered.
fn sessions(
    mapping: &Arc<Mapping>,
    report: &CaseReport,
    next: &Next,
) -> (Vec<Point>, Option<String>) {
    type Check = fn(&mut Trial) -> Result<Verdict, Otherwise>;
    let checks: [(&str, Check); 4] = [
        ("unknown key", session::unknown_key),
        ("duplicate reply", session::duplicate_reply),
        ("late reply", session::late_reply),
        ("sequence wrap", wrap::sequence_wrap),
    ];
    let wrong = |(expected, found): Otherwise| fault(expected, found, &next.edit_script);
    let mut source = None;
    let mut try_one = |check: Check| {
        // Each with a simulator of its own: what one did must not help another.
        let mut trial = Trial::prepare(mapping, report)?;
        source = Some(trial.source());
        check(&mut trial)
    };
    let points = checks
        .into_iter()
        .map(|(name, check)| Point::of(name, try_one(check).map_err(wrong)))
        .collect();
    (points, source)
}
