//! Texts that shall become formulas in a spreadsheet: what a person opens of ours computes nothing of a stranger's.

use std::collections::BTreeSet;
use std::fs;

use pairbox::domain::Outcome;
use pairbox::domain::event::Then;

use crate::cli_scene::Scene;

const CARD: &str = "=HYPERLINK(\"http://x\")";
const STB: &str = "@SUM(1+1)*cmd|' /C x'!A0";
/// Every command that writes CSV, and how it is called here; `CARD` stands for the card above.
const EXPORTS: [(&str, &[&str]); 19] = [
    ("item list", &[]),
    ("item show", &["CARD"]),
    ("job list", &[]),
    ("job report", &["1"]),
    ("job show", &["1"]),
    ("job watch", &["1"]),
    ("key list", &[]),
    ("pairing history", &["CARD"]),
    ("pairing list", &[]),
    ("pairing show", &["CARD"]),
    ("provider list", &[]),
    ("request explain", &["1"]),
    ("request list", &[]),
    ("request show", &["1"]),
    ("run", &["pair_from_csv", "--input", "=1+1.csv"]),
    ("status", &[]),
    ("subscription list", &[]),
    ("subscription show", &["=1+1"]),
    ("user list", &[]),
];

/// Everything that a spreadsheet may take for the beginning of a formula (OWASP, CSV injection).
fn is_formula(cell: &str) -> bool {
    let leads = [
        '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
    ];
    cell.starts_with(leads) && cell.parse::<f64>().is_err()
}

fn cells(csv: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(csv.as_bytes());
    let rows = reader.records().map(Result::unwrap);
    rows.flat_map(|row| row.iter().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// A box in which every text that somebody else may choose begins as a formula does.
fn scene() -> Scene {
    let scene = Scene::begin();
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let (card, stb) = (quoted(CARD), quoted(STB));
    scene.write(
        "hostile.csv",
        &format!(
            "serial_number,alternative_code,product,ca_id,notes\n\
             {card},+A1,SC-NAGRA,019000802093,=1+1\n\
             {stb},-A1,STB-HD,0046000033,@x\n\
             \u{ff1d}1+1,\u{ff0b}1+1,SC-NAGRA,\u{ff0d}1+1,\u{ff20}x\n\
             -12.5,+49,SC-NAGRA,-7,\n"
        ),
    );
    let ran = scene.run(&["item", "import", "hostile.csv"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    scene.write("subscriptions.csv", "number,life_cycle_state\n=1+1,-x\n");
    let ran = scene.run(&["subscription", "import", "subscriptions.csv"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let first = scene.pair(&["pair", CARD, STB]);
    scene.accepted_by_cas(first);
    let second = scene.pair(&["unpair", CARD]);
    scene.send(second);
    let rejected = Then::Rejected { in_doubt: false };
    let words = Some(("=1+1", "@cmd, says the CAS"));
    scene.settle(second, Outcome::Refused, words, rejected);
    // A job without rows is done as soon as it is there.
    scene.write("=1+1.csv", "smartcard,stb\n");
    let ran = scene.run(&["run", "pair_from_csv", "--input", "=1+1.csv"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for command in [
        &["item", "blacklist", "add", CARD, "--reason", "=1+1"][..],
        &["provider", "pause", "north", "--reason", "+1+1"],
        &["key", "create", "crm", "--role", "crm"],
    ] {
        let ran = scene.run(command);
        assert_eq!(ran.code, 0, "{command:?}: {}", ran.stderr);
    }
    scene
}

fn export(scene: &Scene, command: &str, arguments: &[&str]) -> String {
    let mut line: Vec<&str> = command.split(' ').collect();
    line.extend(
        arguments
            .iter()
            .map(|one| if *one == "CARD" { CARD } else { one }),
    );
    line.extend(["--output", "csv"]);
    let ran = scene.run(&line);
    assert_eq!(ran.code, 0, "{line:?}: {}", ran.stderr);
    ran.stdout
}

/// The commands whose help has `--output`.
fn commands_with_output(scene: &Scene, command: &[&str]) -> Vec<String> {
    let help = scene.run(&[command, &["--help"]].concat()).stdout;
    let mut found = Vec::new();
    if help.contains("--output") {
        found.push(command.join(" "));
    }
    let commands = help.split("Commands:\n").nth(1).unwrap_or_default();
    for line in commands.lines().take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        if line.starts_with("  ") && !line.starts_with("   ") && name != "help" {
            found.extend(commands_with_output(scene, &[command, &[name]].concat()));
        }
    }
    found
}

#[test]
fn no_cell_of_an_export_is_a_formula() {
    let scene = scene();
    let mut known = commands_with_output(&scene, &[]);
    known.sort();
    assert_eq!(known, EXPORTS.map(|(command, _)| command.to_owned()));
    let mut all = BTreeSet::new();
    for (command, arguments) in EXPORTS {
        let found = cells(&export(&scene, command, arguments));
        for cell in &found {
            assert!(!is_formula(cell), "{command}: {cell:?}");
        }
        all.extend(found);
    }
    // They did get there, each with its mark; what is a plain number has none.
    for text in [CARD, STB, "+A1", "-A1", "\u{ff1d}1+1", "=1+1", "-x"] {
        assert!(all.contains(&format!("'{text}")), "{text}: {all:#?}");
    }
    for number in ["-12.5", "+49", "-7"] {
        assert!(all.contains(number), "{number}: {all:#?}");
    }
    let json = scene.run(&["item", "list", "--output", "json"]).stdout;
    assert!(
        json.contains(r#""serial_number":"=HYPERLINK(\"http://x\")""#),
        "{json}"
    );
}

/// What comes out goes in again: an import takes the mark away.
#[test]
fn an_export_is_imported_as_it_was() {
    let scene = scene();
    let exported = export(&scene, "item list", &[]);
    let mut reader = csv::Reader::from_reader(exported.as_bytes());
    let headings = reader.headers().unwrap().clone();
    let at = |name: &str| headings.iter().position(|heading| heading == name).unwrap();
    let columns = ["serial_number", "alternative_code", "product", "ca_id"];
    let mut again = csv::Writer::from_writer(Vec::new());
    again.write_record(columns).unwrap();
    for row in reader.records() {
        let row = row.unwrap();
        again
            .write_record(columns.map(|name| &row[at(name)]))
            .unwrap();
    }
    let again = String::from_utf8(again.into_inner().unwrap()).unwrap();
    scene.write("again.csv", &again);
    let ran = scene.run(&["item", "import", "again.csv"]);
    assert!(
        ran.stdout.contains("0 added, 0 changed, 9 unchanged"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert!(again.contains("'+A1"), "{again}");
}

#[test]
fn no_cell_of_a_rejects_file_is_a_formula_and_it_is_imported_as_it_was() {
    let scene = Scene::begin();
    scene.write(
        "bad.csv",
        "serial_number,alternative_code,product,state,notes\n\
         =1+1,+A1,@P,EFECTIVE,-x\n\
         ''=1+1,-7,SC-NAGRA,EFECTIVE,'a\n",
    );
    assert_eq!(scene.run(&["item", "import", "bad.csv"]).code, 3);
    let path = scene.folder.path().join("bad.rejects.csv");
    let rejects = fs::read_to_string(&path).unwrap();
    let found = cells(&rejects);
    for cell in &found {
        assert!(!is_formula(cell), "{cell:?}");
    }
    for text in ["'=1+1", "''=1+1", "-7", "'a"] {
        assert!(found.contains(&text.to_owned()), "{text}: {found:?}");
    }
    fs::write(&path, rejects.replace("EFECTIVE", "EFFECTIVE")).unwrap();
    let ran = scene.run(&["item", "import", "bad.rejects.csv"]);
    assert!(
        ran.stdout.starts_with("2 rows: 2 added"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    let listed = scene.run(&["item", "list", "--output", "json"]).stdout;
    for serial_number in ["=1+1", "'=1+1"] {
        let shown = format!(r#""serial_number":"{serial_number}""#);
        assert!(listed.contains(&shown), "{listed}");
    }
}
