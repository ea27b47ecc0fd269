//! The scripts built into the binary: `pairbox init` writes them out, and a mapping without a folder is taken from here.

use include_dir::{Dir, include_dir};

/// The whole `scripts/` folder as it was when the binary was built.
pub static SCRIPTS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/scripts");

/// Every shipped file with its path below `scripts/`, sorted.
pub fn files() -> Vec<(&'static str, &'static [u8])> {
    let mut found = Vec::new();
    collect(&SCRIPTS, &mut found);
    found.sort_unstable_by_key(|(path, _)| *path);
    found
}

/// The names of the shipped mappings, sorted.
pub fn mapping_names() -> Vec<&'static str> {
    let mut names: Vec<&str> = SCRIPTS
        .get_dir("mappings")
        .into_iter()
        .flat_map(Dir::dirs)
        .filter_map(|folder| folder.path().file_name()?.to_str())
        .collect();
    names.sort_unstable();
    names
}

/// The names of the shipped jobs, sorted.
pub fn job_names() -> Vec<&'static str> {
    let mut names: Vec<&str> = SCRIPTS
        .get_dir("jobs")
        .into_iter()
        .flat_map(Dir::files)
        .filter(|file| file.path().extension().is_some_and(|kind| kind == "rhai"))
        .filter_map(|file| file.path().file_stem()?.to_str())
        .collect();
    names.sort_unstable();
    names
}

/// A shipped text by its path below `scripts/`.
pub(crate) fn text(path: &str) -> Option<&'static str> {
    SCRIPTS.get_file(path)?.contents_utf8()
}

fn collect(folder: &'static Dir<'static>, found: &mut Vec<(&'static str, &'static [u8])>) {
    for file in folder.files() {
        if let Some(path) = file.path().to_str() {
            found.push((path, file.contents()));
        }
    }
    for inner in folder.dirs() {
        collect(inner, found);
    }
}
