//! The versions of a mapping that were activated, kept by their hash beside its files.
//!
//! A mapping that was never activated is used as it lies. After that only `activate` and `rollback` change what is used: the folder
//! is a draft, and the versions are `.versions/<hash>/`, the one in use named by `.versions/active`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::ScriptError;
use super::load::Origin;

const VERSIONS: &str = ".versions";
const ACTIVE: &str = "active";
/// One line for each activation: instant, hash, by whom.
const HISTORY: &str = "history.csv";
const HASH_CHARACTERS: usize = 16;

/// A version that was activated at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    pub at: String,
    pub hash: String,
    pub by: String,
}

/// What a provider uses of a mapping: the active version, else the folder or the built-in one.
pub fn in_force(scripts_dir: &Path, name: &str) -> Result<Origin, ScriptError> {
    let draft = Origin::find(scripts_dir, name)?;
    let Origin::Folder(folder) = &draft else {
        return Ok(draft);
    };
    match active(folder)? {
        None => Ok(draft),
        Some(hash) => {
            let folder = folder.join(VERSIONS).join(&hash);
            if !folder.is_dir() {
                let source = io::Error::new(io::ErrorKind::NotFound, "the active version is gone");
                return Err(read_failed(&folder, source));
            }
            Ok(Origin::Version {
                name: name.to_owned(),
                folder,
            })
        }
    }
}

/// The hash of the version that is active; none: the mapping is used as it lies.
pub fn active(folder: &Path) -> Result<Option<String>, ScriptError> {
    let path = folder.join(VERSIONS).join(ACTIVE);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(read_failed(&path, source)),
    }
}

/// The hash of a folder's files: names and contents, sorted.
pub fn hash(folder: &Path) -> Result<String, ScriptError> {
    let mut digest = Sha256::new();
    for (name, bytes) in files(folder)? {
        digest.update((name.len() as u64).to_be_bytes());
        digest.update(&name);
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(&bytes);
    }
    let mut hash = hex::encode(digest.finalize());
    hash.truncate(HASH_CHARACTERS);
    Ok(hash)
}

/// Keeps the folder as a version and names it active; answers its hash.
pub fn activate(folder: &Path, at: &str, by: &str) -> Result<String, ScriptError> {
    let hash = hash(folder)?;
    let kept = folder.join(VERSIONS).join(&hash);
    if !kept.is_dir() {
        // Under its name it is whole.
        let unfinished = folder.join(VERSIONS).join(format!("{hash}.unfinished"));
        for (name, bytes) in files(folder)? {
            let path = unfinished.join(&name);
            write(&path, &bytes)?;
        }
        fs::rename(&unfinished, &kept).map_err(|source| write_failed(&kept, source))?;
    }
    name_active(folder, &hash, at, by)?;
    Ok(hash)
}

/// Names an earlier version active.
pub fn go_back(folder: &Path, hash: &str, at: &str, by: &str) -> Result<(), ScriptError> {
    name_active(folder, hash, at, by)
}

/// Takes the mark away: the mapping is used as it lies again.
pub fn forget_active(folder: &Path) -> Result<(), ScriptError> {
    let path = folder.join(VERSIONS).join(ACTIVE);
    fs::remove_file(&path).map_err(|source| write_failed(&path, source))
}

/// What was activated, the oldest first.
pub fn history(folder: &Path) -> Result<Vec<Activation>, ScriptError> {
    let path = folder.join(VERSIONS).join(HISTORY);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(read_failed(&path, source)),
    };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes());
    let rows = reader.deserialize::<(String, String, String)>();
    Ok(rows
        .flatten()
        .map(|(at, hash, by)| Activation { at, hash, by })
        .collect())
}

/// Where a kept version lies.
pub fn kept(folder: &Path, hash: &str) -> Option<PathBuf> {
    let is_hash = hash.len() == HASH_CHARACTERS && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let path = folder.join(VERSIONS).join(hash);
    (is_hash && path.is_dir()).then_some(path)
}

fn name_active(folder: &Path, hash: &str, at: &str, by: &str) -> Result<(), ScriptError> {
    let versions = folder.join(VERSIONS);
    let mut line = csv::Writer::from_writer(Vec::new());
    let written = line.write_record([at, hash, by]).ok();
    let line = written
        .and_then(|()| line.into_inner().ok())
        .unwrap_or_default();
    let path = versions.join(HISTORY);
    let mut history = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(read_failed(&path, source)),
    };
    history.extend_from_slice(&line);
    replace(&path, &history)?;
    replace(&versions.join(ACTIVE), format!("{hash}\n").as_bytes())
}

/// All files of a mapping, by their paths in it, without what is hidden.
fn files(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, ScriptError> {
    let mut found = Vec::new();
    gather(folder, "", &mut found)?;
    found.sort_unstable();
    Ok(found)
}

fn gather(
    folder: &Path,
    before: &str,
    found: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), ScriptError> {
    let entries = fs::read_dir(folder).map_err(|source| read_failed(folder, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| read_failed(folder, source))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            gather(&path, &format!("{before}{name}/"), found)?;
        } else {
            let bytes = fs::read(&path).map_err(|source| read_failed(&path, source))?;
            found.push((format!("{before}{name}"), bytes));
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ScriptError> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(path, bytes))
        .map_err(|source| write_failed(path, source))
}

/// The old file or the new one, never a part.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), ScriptError> {
    let beside = path.with_extension("new");
    write(&beside, bytes)?;
    let synced = fs::File::open(&beside).and_then(|file| file.sync_all());
    synced
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|source| write_failed(path, source))
}

fn read_failed(path: &Path, source: io::Error) -> ScriptError {
    ScriptError::Read {
        path: path.to_owned(),
        source,
    }
}

fn write_failed(path: &Path, source: io::Error) -> ScriptError {
    ScriptError::Write {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_activation_changes_what_is_used() {
        let scripts = tempfile::tempdir().unwrap();
        let folder = super::super::skeleton::begin(scripts.path(), "mine", "tcp-len").unwrap();
        let used = || in_force(scripts.path(), "mine").unwrap();
        assert_eq!(used(), Origin::Folder(folder.clone()));
        let first = activate(&folder, "1", "me").unwrap();
        let text = used().need("mapping.rhai").unwrap();
        assert_eq!(used().name(), "mine");
        fs::write(folder.join("mapping.rhai"), "// changed\n").unwrap();
        assert_eq!(
            used().need("mapping.rhai").unwrap(),
            text,
            "a draft is not used"
        );
        let second = activate(&folder, "2", "me").unwrap();
        assert_ne!(first, second);
        assert_eq!(used().need("mapping.rhai").unwrap(), "// changed\n");
        assert!(kept(&folder, &first).is_some() && kept(&folder, "../../..").is_none());
        go_back(&folder, &first, "3", "you").unwrap();
        assert_eq!(used().need("mapping.rhai").unwrap(), text);
        let hashes: Vec<String> = history(&folder)
            .unwrap()
            .into_iter()
            .map(|a| a.hash)
            .collect();
        assert_eq!(hashes, [first.clone(), second, first]);
        assert_eq!(used().cases().unwrap().len(), 2);
        forget_active(&folder).unwrap();
        assert_eq!(used(), Origin::Folder(folder));
    }
}
