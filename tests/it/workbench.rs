//! The mapping workbench: what it shows, what it puts in force, and what it leaves alone.

use std::path::Path;

use pairbox::script::reference;

use super::cli_scene::pairbox;

#[test]
fn the_reference_of_mappings_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/docs/mapping-reference.md");
    if std::env::var_os("PAIRBOX_BLESS").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == reference(),
        "refresh it: PAIRBOX_BLESS=1 cargo test --test it -- the_reference_of_mappings"
    );
}

#[test]
fn a_table_beside_the_mapping_is_looked_into_and_its_mistakes_are_named() {
    let made = tempfile::tempdir().unwrap();
    let folder = made.path();
    let run = |arguments: &[&str]| pairbox(folder, arguments);
    assert_eq!(
        run(&["mapping", "new", "mine", "--shape", "tcp-len"]).code,
        0
    );
    let mapping = folder.join("scripts/mappings/mine");
    let text = std::fs::read_to_string(mapping.join("mapping.rhai")).unwrap();
    let text = text.replace(
        "put_text(step.card, 12)",
        "put_text(lookup(\"cards\", step.card).number, 12)",
    );
    std::fs::write(mapping.join("mapping.rhai"), text).unwrap();
    let said = run(&["mapping", "test", "mine"]);
    assert!(
        said.stdout
            .contains("there is no table `cards`: known are none"),
        "{}",
        said.stdout
    );
    std::fs::create_dir(mapping.join("tables")).unwrap();
    let table = mapping.join("tables/cards.csv");
    std::fs::write(&table, "printed,number\n019000802077,019000802077\n").unwrap();
    let said = run(&["mapping", "test", "mine"]);
    assert_eq!(said.code, 0, "{}", said.stdout);
    std::fs::write(&table, "printed,number\n7,1\n7,2\n").unwrap();
    let said = run(&["mapping", "test", "mine"]);
    assert!(
        said.stderr
            .contains("`tables/cards.csv` of mapping `mine`: line 3: `7` stands"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_mapping_whose_cases_fail_is_not_activated() {
    let made = tempfile::tempdir().unwrap();
    let folder = made.path();
    let run = |arguments: &[&str]| pairbox(folder, arguments);
    run(&["mapping", "new", "mine", "--shape", "http-json"]);
    let path = folder.join("scripts/mappings/mine/mapping.rhai");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, good.replace("\"unpair\"", "\"unpear\"")).unwrap();
    let said = run(&["mapping", "activate", "mine"]);
    assert_eq!(said.code, 3, "{}", said.stdout);
    assert!(
        said.stdout.contains("not activated; of the conformance list fail: cases; `pairbox mapping test mine` shows how"),
        "{}",
        said.stdout
    );
    std::fs::write(&path, good.replace("json(frame.body)", "jsn(frame.body)")).unwrap();
    let said = run(&["mapping", "activate", "mine"]);
    assert!(
        said.stdout.contains("did you mean `json`?"),
        "{}",
        said.stdout
    );
    std::fs::write(&path, &good).unwrap();
    assert_eq!(run(&["mapping", "activate", "mine"]).code, 0);
    // What lies there is a draft now, with whatever is wrong with it.
    std::fs::write(&path, "fn describe( {").unwrap();
    let said = run(&["mapping", "versions", "mine"]);
    assert!(
        said.stdout.contains("the files are a draft"),
        "{}",
        said.stdout
    );
    let back = run(&["mapping", "rollback", "mine"]);
    assert_eq!(back.code, 2, "{}", back.stdout);
    let unknown = run(&["mapping", "activate", "smsgw"]);
    assert_eq!(unknown.code, 1, "{}", unknown.stderr);
}

#[test]
fn a_shape_or_name_that_is_none_is_refused_and_nothing_is_overwritten() {
    let made = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| pairbox(made.path(), arguments);
    let said = run(&["mapping", "new", "mine", "--shape", "carrier-pigeon"]);
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("tcp-stxetx"), "{}", said.stderr);
    assert_eq!(
        run(&["mapping", "new", "../x", "--shape", "tcp-len"]).code,
        2
    );
    assert_eq!(
        run(&["mapping", "new", "mine", "--shape", "tcp-len"]).code,
        0
    );
    let said = run(&["mapping", "new", "mine", "--shape", "tcp-len"]);
    assert_eq!(said.code, 6, "{}", said.stderr);
}
