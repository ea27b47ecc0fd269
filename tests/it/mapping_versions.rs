//! Versions of a mapping by the command line: where a step back goes, and that a switch is done before anybody hears of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::cli_scene::pairbox;

struct Mine(tempfile::TempDir);

impl Mine {
    fn new() -> Self {
        let mine = Self(tempfile::tempdir().unwrap());
        mine.run(&["mapping", "new", "mine", "--shape", "tcp-delim"]);
        mine
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str]) -> String {
        let ran = pairbox(self.folder(), arguments);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Another version of the files.
    fn change(&self, mark: &str) {
        let path = self.folder().join("scripts/mappings/mine/mapping.rhai");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{text}// {mark}\n")).unwrap();
    }

    /// Activates another version; answers its hash.
    fn activate(&self, mark: &str) -> String {
        self.change(mark);
        let said = self.run(&["mapping", "activate", "mine"]);
        word_behind(&said, "version ")
    }

    fn is_in_force(&self, hash: &str) -> bool {
        let said = self.run(&["mapping", "versions", "mine"]);
        said.contains(&format!("in force: {hash}"))
    }
}

fn word_behind(text: &str, mark: &str) -> String {
    let (_, rest) = text.split_once(mark).unwrap();
    rest.split_whitespace()
        .next()
        .unwrap()
        .trim_end_matches(',')
        .to_owned()
}

#[test]
fn a_rollback_goes_to_what_was_in_force_when_the_version_was_activated() {
    let mine = Mine::new();
    let (good, bad) = (mine.activate("G"), mine.activate("H"));
    let said = mine.run(&["mapping", "rollback", "mine"]);
    let expected = format!("mine: version {good} is active again, in place of {bad}\n");
    assert!(said.starts_with(&expected), "{said}");
    let worse = mine.activate("I");
    let said = mine.run(&["mapping", "rollback", "mine"]);
    let expected = format!("mine: version {good} is active again, in place of {worse}\n");
    assert!(said.starts_with(&expected), "{said}");
    assert!(mine.is_in_force(&good));
    let none = pairbox(mine.folder(), &["mapping", "rollback", "mine"]);
    assert_eq!(none.code, 2, "{}", none.stdout);
}

#[test]
fn a_switch_is_done_whether_or_not_somebody_reads_of_it() {
    let mine = Mine::new();
    mine.activate("G");
    mine.change("H");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut process = Command::new(env!("CARGO_BIN_EXE_pairbox"));
    process
        .args(["mapping", "activate", "mine"])
        .env("LOGNAME", "someone")
        .stdout(writer);
    let ended = process.current_dir(mine.folder()).status().unwrap();
    assert!(ended.success(), "{ended}");
    let said = mine.run(&["mapping", "versions", "mine"]);
    assert_eq!(said.matches("cli:tester").count(), 1, "{said}");
    assert_eq!(said.matches("cli:").count(), 2, "{said}");
    assert!(said.ends_with("as the files are\n"), "{said}");
}
