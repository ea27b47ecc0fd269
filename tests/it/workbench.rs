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
