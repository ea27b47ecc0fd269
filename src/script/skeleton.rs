//! `pairbox mapping new`: a mapping that works against its own simulator, to be changed into that of a CAS.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use super::load::is_plain_name;

static SKELETONS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/src/script/skeletons");
/// What stands for the mapping's name in a skeleton.
const NAME: &str = "NAME";

/// Why a mapping cannot be begun.
#[derive(Debug, thiserror::Error)]
pub enum SkeletonError {
    #[error("`{name}` is no name: expected letters, digits, `-` and `_`")]
    Name { name: String },
    #[error("`{}` is there already; nothing was written", folder.display())]
    Exists { folder: PathBuf },
    #[error("writing `{}`: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// The shapes that there are.
pub fn shapes() -> Vec<&'static str> {
    let mut names: Vec<&str> = SKELETONS
        .dirs()
        .filter_map(|folder| folder.path().to_str())
        .collect();
    names.sort_unstable();
    names
}

/// Writes the skeleton of `shape` as the mapping `name`; answers its folder.
pub fn begin(scripts_dir: &Path, name: &str, shape: &str) -> Result<PathBuf, SkeletonError> {
    if !is_plain_name(name) {
        let name = name.to_owned();
        return Err(SkeletonError::Name { name });
    }
    let folder = scripts_dir.join("mappings").join(name);
    if folder.symlink_metadata().is_ok() {
        return Err(SkeletonError::Exists { folder });
    }
    let mut files = Vec::new();
    if let Some(skeleton) = SKELETONS.get_dir(shape) {
        gather(skeleton, &mut files);
    }
    for file in files {
        let inside = file.path().strip_prefix(shape).unwrap_or(file.path());
        let path = folder.join(inside);
        let text = file.contents_utf8().unwrap_or_default();
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, text.replace(NAME, name)));
        written.map_err(|source| SkeletonError::Write { path, source })?;
    }
    Ok(folder)
}

fn gather(folder: &'static Dir<'static>, files: &mut Vec<&'static include_dir::File<'static>>) {
    files.extend(folder.files());
    for inner in folder.dirs() {
        gather(inner, files);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::script::cases::run_cases;
    use crate::script::check::check_mapping;
    use crate::script::{Mapping, Origin};

    #[test]
    fn every_skeleton_passes_its_cases_and_nothing_is_found_in_it() {
        let scripts = tempfile::tempdir().unwrap();
        assert_eq!(shapes().len(), 5);
        for shape in shapes() {
            let name = format!("my-{shape}");
            let folder = begin(scripts.path(), &name, shape).unwrap();
            assert_eq!(check_mapping(&Origin::Folder(folder.clone())), []);
            let mapping = Arc::new(Mapping::from_origin(Origin::Folder(folder.clone())).unwrap());
            let report = run_cases(&mapping).unwrap();
            assert_eq!(
                (&report.failures[..], &report.missing()[..]),
                (&[][..], &[][..]),
                "{shape}"
            );
            let text = fs::read_to_string(folder.join("mapping.rhai")).unwrap();
            assert!(text.contains(&name) && !text.contains(NAME));
            let again = begin(scripts.path(), &name, shape).unwrap_err();
            assert!(matches!(again, SkeletonError::Exists { .. }));
        }
        assert!(begin(scripts.path(), "../x", "tcp-len").is_err());
    }
}
