//! `pairbox mapping try` asks a CAS for everything that the contract knows, records it, and refuses by name what a mapping cannot.

use std::path::Path;

use serde_json::json;

use super::cli_scene::{Ran, initialized, pairbox};
use crate::scene::{Cas, persona, settings};
use pairbox::simulate::SimulateOptions;

const CARD: &str = "019000802077";

/// A box whose one provider speaks smsgw, and its CAS.
struct Bench {
    folder: tempfile::TempDir,
    cas: Cas,
}

impl Bench {
    fn new(setting: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        initialized(folder.path());
        edit(folder.path(), |text| {
            text.replace(
                "[provider.settings]",
                &format!("[provider.settings]\n{setting}"),
            )
        });
        let mut known = settings();
        known["pin_command"] = json!("0077");
        let cas = Cas::run(SimulateOptions::new(persona("smsgw", known), "127.0.0.1:0"));
        Self { folder, cas }
    }

    fn attempt(&self, asked: &[&str]) -> Ran {
        let address = self.cas.address.to_string();
        let mut arguments = vec!["mapping", "try", "smsgw", "--address", &address];
        arguments.extend(asked);
        pairbox(self.folder.path(), &arguments)
    }

    /// What the record holds of live exchanges, as it was typed.
    fn recorded(&self) -> Vec<String> {
        let mut recorded = Vec::new();
        let folder = self.folder.path().join("data/ledger");
        for file in std::fs::read_dir(folder).into_iter().flatten() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            let tried = text.lines().filter(|line| line.contains("exchange_tried"));
            recorded.extend(tried.map(str::to_owned));
        }
        recorded
    }
}

fn edit(folder: &Path, change: impl Fn(&str) -> String) {
    let path = folder.join("pairbox.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, change(&text)).unwrap();
}

#[test]
fn every_request_of_the_contract_can_be_tried_and_is_recorded() {
    let bench = Bench::new("pin_command = \"0077\"");
    for (asked, steps, bytes) in [
        (vec!["pair", CARD, "12345678"], 1, 78),
        (vec!["unpair", CARD], 1, 78),
        (vec!["add-products", CARD, "SPORT", "NEWS"], 2, 92),
        (vec!["cancel-products", CARD, "SPORT"], 1, 76),
        (vec!["reset-pin", CARD], 1, 64),
    ] {
        let ran = bench.attempt(&asked);
        assert_eq!(ran.code, 0, "{asked:?}: {}{}", ran.stdout, ran.stderr);
        assert!(
            ran.stdout.contains(&format!("-> {bytes} bytes")),
            "{asked:?}: {}",
            ran.stdout
        );
        let end = format!("step {steps} of {steps}: ok");
        assert!(ran.stdout.contains(&end), "{asked:?}: {}", ran.stdout);
        let what = format!("\"what\":\"{}\"", asked.join(" "));
        let recorded = bench.recorded();
        let of_it = recorded.iter().filter(|line| line.contains(&what));
        assert_eq!(of_it.count(), 2, "{asked:?}: {recorded:#?}");
    }
}

#[test]
fn what_a_mapping_cannot_is_refused_by_name_before_anything_is_recorded() {
    let bench = Bench::new("");
    let ran = bench.attempt(&["reset-pin", CARD]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(
        ran.stderr
            .contains("mapping `smsgw` cannot set a PIN to its default: it does not declare it"),
        "{}",
        ran.stderr
    );
    edit(bench.folder.path(), |text| {
        let (before, _) = text.split_once("[provider.settings]").unwrap();
        before.replace("\"smsgw\"", "\"line\"")
    });
    let ran = pairbox(
        bench.folder.path(),
        &[
            "mapping",
            "try",
            "line",
            "--address",
            "127.0.0.1:1",
            "add-products",
            CARD,
            "SPORT",
        ],
    );
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    for said in [
        "mapping `line` cannot add products: it does not declare it",
        "hint: `caps` in describe() of `line` says what it can",
    ] {
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    assert_eq!(bench.recorded(), Vec::<String>::new());
}

#[test]
fn a_word_too_many_or_too_few_says_what_belongs_there() {
    let bench = Bench::new("pin_command = \"0077\"");
    for (asked, expected) in [
        (vec!["pair", CARD], "a card and an STB"),
        (vec!["pair", CARD, "1", "2"], "a card and an STB"),
        (vec!["unpair", CARD, "1", "2"], "at most the STB"),
        (vec!["cancel-products", CARD], "1 to 64 products"),
        (vec!["reset-pin", CARD, "1234"], "a card alone"),
    ] {
        let ran = bench.attempt(&asked);
        assert_eq!(ran.code, 2, "{asked:?}: {}", ran.stdout);
        let found = format!("found `{}`", asked.join(" "));
        let is_told = ran.stderr.contains(expected) && ran.stderr.contains(&found);
        assert!(is_told, "{asked:?}: {}", ran.stderr);
    }
}

#[test]
fn a_query_says_whether_the_cas_holds_it_and_changes_nothing() {
    let bench = Bench::new("");
    let refused = bench.attempt(&["query", CARD, "1001"]);
    assert!(
        refused
            .stderr
            .contains("mapping `smsgw` cannot ask what the CAS holds"),
        "{}",
        refused.stderr
    );
    edit(bench.folder.path(), |text| {
        let (before, _) = text.split_once("[provider.settings]").unwrap();
        before.replace("\"smsgw\"", "\"line\"")
    });
    let line = Cas::run(SimulateOptions::new(
        persona("line", json!({})),
        "127.0.0.1:0",
    ));
    let address = line.address.to_string();
    let attempt = |asked: &[&str]| {
        let mut arguments = vec!["mapping", "try", "line", "--address", &address];
        arguments.extend(asked);
        pairbox(bench.folder.path(), &arguments)
    };
    assert_eq!(attempt(&["pair", CARD, "1001"]).code, 0);
    for (asked, code, told) in [
        (vec!["query", CARD, "1001"], 0, ": the CAS holds it"),
        (vec!["query", CARD, "1002"], 3, ": the CAS does not hold it"),
        (vec!["query", CARD], 3, ": the CAS does not hold it"),
    ] {
        let ran = attempt(&asked);
        assert_eq!(ran.code, code, "{asked:?}: {}{}", ran.stdout, ran.stderr);
        let end = ran.stdout.lines().last().unwrap();
        assert!(end.starts_with("query: ") && end.ends_with(told), "{end}");
    }
}
