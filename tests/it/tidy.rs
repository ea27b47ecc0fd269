//! The house stays as ARCHITECTURE.md draws it: headers, edges between rooms, who may name sled and rhai, who may start
//! threads. Each complaint says file, line and why the rule is there.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The rooms from left to right. A room may import what stands left of its own line, nothing on it or right of it.
const LINES: [&[&str]; 12] = [
    &["domain"],
    &["config", "clock", "telemetry"],
    &["ledger", "store", "access"],
    &["script", "transport"],
    &["commit", "provider"],
    &["dispatch"],
    &["actions"],
    &["jobs", "simulate", "backup", "conformance"],
    &["http", "control"],
    &["service"],
    &["cli"],
    &["main"],
];

/// Written in the source tree and read by people: these must be plain ASCII.
const TEXT_ENDINGS: [&str; 8] = ["rs", "rhai", "toml", "md", "html", "js", "css", "sh"];

/// Split, so that this file does not complain about itself.
const UNFINISHED: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("unimple", "mented!"),
    concat!("to", "do!"),
];

const THREAD_STARTS: [&str; 4] = [
    "thread::spawn",
    "thread::Builder",
    "thread::scope",
    "spawn_scoped",
];

struct Source {
    /// From the project's folder, with `/`.
    path: String,
    text: String,
    /// The first line that is compiled for tests only; the number of lines if there is none.
    test_from: usize,
}

impl Source {
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(at, line)| (at + 1, line))
    }

    fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code_lines()
            .filter(|(number, _)| *number < self.test_from)
    }

    /// `ledger` for `src/ledger/line.rs`, `clock` for `src/clock.rs`.
    fn room(&self) -> &str {
        let inside = self.path.trim_start_matches("src/");
        inside.split('/').next().unwrap().trim_end_matches(".rs")
    }
}

/// All files below a folder of the project, in order.
fn files_below(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension()
        .is_some_and(|found| endings.iter().any(|ending| found == *ending))
}

fn rust_sources() -> Vec<Source> {
    let mut sources: Vec<Source> = files_below("src")
        .iter()
        .filter(|path| has_ending(path, &["rs"]))
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            Source {
                path: path.to_str().unwrap().to_owned(),
                test_from: first_test_line(&text),
                text,
            }
        })
        .collect();
    let test_only: HashSet<String> = sources.iter().flat_map(test_only_files).collect();
    for source in &mut sources {
        if test_only.contains(&source.path) {
            source.test_from = 0;
        }
    }
    assert!(!sources.is_empty(), "no sources below src/");
    sources
}

/// Where `#[cfg(test)] mod tests {` begins; by our order of a file, tests are its end.
fn first_test_line(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let begins = lines.windows(2).position(|pair| {
        pair[0].trim() == "#[cfg(test)]" && pair[1].contains("mod ") && pair[1].ends_with('{')
    });
    begins.map_or(usize::MAX, |at| at + 1)
}

/// The files that `#[cfg(test)] mod name;` declares.
fn test_only_files(source: &Source) -> Vec<String> {
    let folder = source
        .path
        .strip_suffix("/mod.rs")
        .or_else(|| source.path.strip_suffix(".rs"))
        .unwrap();
    let folder = folder.strip_suffix("/lib").unwrap_or(folder);
    let lines: Vec<&str> = source.text.lines().collect();
    lines
        .windows(2)
        .filter(|pair| pair[0].trim() == "#[cfg(test)]")
        .filter_map(|pair| pair[1].trim().strip_suffix(';')?.split("mod ").nth(1))
        .flat_map(|name| {
            [
                format!("{folder}/{name}.rs"),
                format!("{folder}/{name}/mod.rs"),
            ]
        })
        .collect()
}

/// The rooms that a line names: `crate::ledger::Line` and `use crate::{clock::Clock, domain}`.
fn rooms_named(line: &str) -> Vec<&str> {
    let mut rooms = Vec::new();
    for (at, found) in line.match_indices("crate::") {
        let is_whole = !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
        if !is_whole {
            continue;
        }
        let rest = &line[at + found.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            rooms.extend(names_of_group(group));
        } else {
            rooms.push(first_word(rest));
        }
    }
    rooms
}

fn names_of_group(group: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut names = Vec::new();
    for part in group.split_inclusive([',', '{', '}']) {
        if depth == 0 {
            names.push(first_word(part.trim_start()));
        }
        depth += part.matches('{').count();
        depth = depth.saturating_sub(part.matches('}').count());
    }
    names.retain(|name| !name.is_empty());
    names
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

fn line_of_room(room: &str) -> Option<usize> {
    LINES.iter().position(|line| line.contains(&room))
}

/// Why `from` must not import `to`; `None` if it may.
fn refusal(from: &str, to: &str) -> Option<String> {
    if from == to {
        return None;
    }
    let (from_line, to_line) = (line_of_room(from)?, line_of_room(to)?);
    if to_line < from_line {
        return None;
    }
    let why = if to_line == from_line {
        "rooms on one line do not import each other, so that each can be read alone"
    } else {
        "edges go leftwards only, so that a lower room never knows who calls it"
    };
    Some(format!("`{from}` imports `{to}`: {why}"))
}

fn assert_tidy(complaints: &[String]) {
    let mut text = String::new();
    for complaint in complaints {
        writeln!(text, "  {complaint}").unwrap();
    }
    assert!(complaints.is_empty(), "the house is not tidy:\n{text}");
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let complaints: Vec<String> = rust_sources()
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| {
            format!(
                "{}:1: no `//!` header: a reader decides in ten seconds whether to stay",
                source.path
            )
        })
        .collect();
    assert_tidy(&complaints);
}

#[test]
fn rooms_import_leftwards_only() {
    let mut complaints = Vec::new();
    for source in rust_sources() {
        let room = source.room();
        if room == "lib" {
            continue;
        }
        if line_of_room(room).is_none() {
            complaints.push(format!(
                "{}:1: `{room}` is a room without a line: give it one in this test and in ARCHITECTURE.md",
                source.path
            ));
        }
        // A `use crate::{` that runs over several lines is read as one.
        let mut open: Option<(usize, String)> = None;
        for (number, line) in source.product_lines() {
            let (number, whole) = match open.take() {
                Some((first, begun)) => (first, begun + line.trim()),
                None => (number, line.to_owned()),
            };
            if whole.contains("use crate::{") && !whole.contains(';') {
                open = Some((number, whole));
                continue;
            }
            for named in rooms_named(&whole) {
                if let Some(why) = refusal(room, named) {
                    complaints.push(format!("{}:{number}: {why}", source.path));
                }
            }
        }
    }
    assert_tidy(&complaints);
}

#[test]
fn sled_stays_in_store_and_rhai_in_script() {
    let owners = [
        ("sled", "store", "the state must be replaceable"),
        ("rhai", "script", "every script call needs its budget"),
    ];
    let mut complaints = Vec::new();
    for source in rust_sources() {
        for (name, room, why) in owners {
            if source.room() == room {
                continue;
            }
            for (number, line) in source.code_lines() {
                if line.contains(&format!("{name}::")) || line.contains(&format!("use {name}")) {
                    complaints.push(format!(
                        "{}:{number}: `{name}` is named outside `{room}`: {why}",
                        source.path
                    ));
                }
            }
        }
    }
    assert_tidy(&complaints);
}

#[test]
fn threads_start_in_service_only() {
    let mut complaints = Vec::new();
    for source in rust_sources() {
        if source.room() == "service" {
            continue;
        }
        for (number, line) in source.product_lines() {
            if THREAD_STARTS.iter().any(|start| line.contains(start)) {
                complaints.push(format!(
                    "{}:{number}: a thread starts outside `service.rs`: each needs a name, a stop flag and a line in status",
                    source.path
                ));
            }
        }
    }
    assert_tidy(&complaints);
}

#[test]
fn sources_are_ascii_and_finished() {
    let mut complaints = Vec::new();
    let files = ["src", "scripts", "tests"]
        .into_iter()
        .flat_map(files_below);
    for path in files.filter(|path| has_ending(path, &TEXT_ENDINGS)) {
        let bytes = std::fs::read(&path).unwrap();
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let place = format!("{}:{}", path.display(), at + 1);
            if !line.is_ascii() {
                complaints.push(format!(
                    "{place}: not ASCII: look-alikes hide in names and scripts"
                ));
            }
            let line = String::from_utf8_lossy(line);
            if let Some(word) = UNFINISHED.iter().find(|word| line.contains(**word)) {
                complaints.push(format!(
                    "{place}: `{word}`: unfinished work belongs into an issue"
                ));
            }
        }
    }
    assert_tidy(&complaints);
}

#[test]
fn the_rules_themselves_see_what_they_should() {
    assert_eq!(rooms_named("use crate::ledger::Line;"), ["ledger"]);
    assert_eq!(
        rooms_named("use crate::{clock::Clock, ledger::{Line, Group}, store};"),
        ["clock", "ledger", "store"]
    );
    assert_eq!(rooms_named("let a = my_crate::http::x;"), [""; 0]);
    assert!(refusal("ledger", "commit").is_some());
    assert!(refusal("ledger", "store").is_some());
    assert!(refusal("config", "telemetry").is_some());
    assert!(refusal("service", "domain").is_none());
    assert!(refusal("ledger", "ledger").is_none());
    assert_eq!(first_test_line("a\n#[cfg(test)]\nmod tests {\n"), 2);
}
