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
    /// An earlier version was put in force again.
    pub is_back: bool,
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
            if self::hash(&folder)? != hash {
                let source = io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the active version was changed or damaged; `pairbox mapping activate` keeps it anew",
                );
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

/// Keeps the folder as a version and names it active; answers its hash. One that is kept but was damaged is written anew.
pub fn activate(folder: &Path) -> Result<String, ScriptError> {
    let hash = self::hash(folder)?;
    let kept = folder.join(VERSIONS).join(&hash);
    if kept.is_dir() && self::hash(&kept)? != hash {
        fs::remove_dir_all(&kept).map_err(|source| write_failed(&kept, source))?;
    }
    if !kept.is_dir() {
        // Under its name it is whole, also after a power cut.
        let unfinished = folder.join(VERSIONS).join(format!("{hash}.unfinished"));
        for (name, bytes) in files(folder)? {
            write(&unfinished.join(&name), &bytes)?;
        }
        sync_all(&unfinished)?;
        fs::rename(&unfinished, &kept).map_err(|source| write_failed(&kept, source))?;
        sync(&folder.join(VERSIONS))?;
    }
    name_active(folder, &hash)?;
    Ok(hash)
}

/// Names a version active: an earlier one, or the one before an activation that failed.
pub fn name_active(folder: &Path, hash: &str) -> Result<(), ScriptError> {
    let versions = folder.join(VERSIONS);
    replace(&versions.join(ACTIVE), format!("{hash}\n").as_bytes())?;
    sync(&versions)
}

/// What was in force when the version of this hash was activated. A step back ends what it left, so that two steps back go two
/// activations back, and none goes to what was left already.
pub fn before(history: &[Activation], hash: &str) -> Option<String> {
    let mut standing: Vec<&str> = Vec::new();
    let stepped_back = |standing: &mut Vec<&str>, hash: &str| {
        let place = standing.iter().rposition(|one| *one == hash);
        if let Some(place) = place {
            standing.truncate(place + 1);
        }
        place.is_some()
    };
    for one in history {
        if !one.is_back || !stepped_back(&mut standing, &one.hash) {
            standing.push(&one.hash);
        }
    }
    stepped_back(&mut standing, hash);
    let found = standing.into_iter().rfind(|one| *one != hash)?;
    Some(found.to_owned())
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
    let rows = reader.deserialize::<(String, String, String, bool)>();
    let activation = |(at, hash, by, is_back)| Activation {
        at,
        hash,
        by,
        is_back,
    };
    Ok(rows.flatten().map(activation).collect())
}

/// Where a kept version lies.
pub fn kept(folder: &Path, hash: &str) -> Option<PathBuf> {
    let is_hash = hash.len() == HASH_CHARACTERS && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let path = folder.join(VERSIONS).join(hash);
    (is_hash && path.is_dir()).then_some(path)
}

/// Writes down that a version is in force; once it is.
pub fn record(folder: &Path, activation: &Activation) -> Result<(), ScriptError> {
    let Activation {
        at,
        hash,
        by,
        is_back,
    } = activation;
    let versions = folder.join(VERSIONS);
    let mut line = csv::Writer::from_writer(Vec::new());
    let is_back = is_back.to_string();
    let written = line.write_record([at, hash, by, &is_back]).ok();
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
    replace(&path, &history)
}

fn sync(folder: &Path) -> Result<(), ScriptError> {
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| write_failed(folder, source))
}

/// A folder with all that is in it.
fn sync_all(folder: &Path) -> Result<(), ScriptError> {
    let entries = fs::read_dir(folder).map_err(|source| read_failed(folder, source))?;
    for entry in entries {
        let path = entry.map_err(|source| read_failed(folder, source))?.path();
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            sync(&path)?;
        }
    }
    sync(folder)
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
    fn the_version_before_is_what_was_in_force_at_the_activation() {
        let past = |told: &str| -> Vec<Activation> {
            let activation = |word: &str| Activation {
                at: String::new(),
                hash: word.trim_start_matches('<').to_owned(),
                by: String::new(),
                is_back: word.starts_with('<'),
            };
            told.split(' ').map(activation).collect()
        };
        // What happened, `<` for a step back; what is in force; where the next step back goes.
        for (told, hash, expected) in [
            ("G", "G", None),
            ("G H", "H", Some("G")),
            ("G H <G", "G", None),
            ("G H <G I", "I", Some("G")),
            ("G H <G I <G", "G", None),
            ("G H I <H", "H", Some("G")),
            ("G H I <G J", "J", Some("G")),
            ("G H <G H", "H", Some("G")),
            ("G H G", "G", Some("H")),
            ("G H G <H", "H", Some("G")),
            ("G H H", "H", Some("G")),
            ("G H <G <H", "H", Some("G")),
            // Activated, and killed before it was written down.
            ("G H", "I", Some("H")),
        ] {
            let found = before(&past(told), hash);
            assert_eq!(found.as_deref(), expected, "{told}, {hash} in force");
        }
    }

    #[test]
    fn only_an_activation_changes_what_is_used() {
        let scripts = tempfile::tempdir().unwrap();
        let folder = super::super::skeleton::begin(scripts.path(), "mine", "tcp-len").unwrap();
        let used = || in_force(scripts.path(), "mine").unwrap();
        let told = |at: &str, hash: &str, is_back| {
            let activation = Activation {
                at: at.to_owned(),
                hash: hash.to_owned(),
                by: "me".to_owned(),
                is_back,
            };
            record(&folder, &activation).unwrap();
        };
        assert_eq!(used(), Origin::Folder(folder.clone()));
        let activate = |at: &str| {
            let hash = super::activate(&folder).unwrap();
            told(at, &hash, false);
            hash
        };
        let first = activate("1");
        let text = used().need("mapping.rhai").unwrap();
        assert_eq!(used().name(), "mine");
        fs::write(folder.join("mapping.rhai"), "// changed\n").unwrap();
        assert_eq!(
            used().need("mapping.rhai").unwrap(),
            text,
            "a draft is not used"
        );
        let second = activate("2");
        assert_ne!(first, second);
        assert_eq!(used().need("mapping.rhai").unwrap(), "// changed\n");
        assert!(kept(&folder, &first).is_some() && kept(&folder, "../../..").is_none());
        let past = history(&folder).unwrap();
        assert_eq!(before(&past, &second).as_ref(), Some(&first));
        assert_eq!(before(&past, &first), None);
        name_active(&folder, &first).unwrap();
        told("3", &first, true);
        assert_eq!(
            before(&history(&folder).unwrap(), &first),
            None,
            "not the bad one again"
        );
        assert_eq!(used().need("mapping.rhai").unwrap(), text);
        let hashes: Vec<String> = history(&folder)
            .unwrap()
            .into_iter()
            .map(|a| a.hash)
            .collect();
        assert_eq!(hashes, [first.clone(), second, first.clone()]);
        // A version that was damaged is not used, and an activation writes it anew.
        let kept = kept(&folder, &first).unwrap();
        fs::write(kept.join("mapping.rhai"), "").unwrap();
        let error = in_force(scripts.path(), "mine").unwrap_err();
        assert!(matches!(error, ScriptError::Read { .. }));
        fs::write(folder.join("mapping.rhai"), &text).unwrap();
        assert_eq!(activate("4"), first);
        assert_eq!(used().need("mapping.rhai").unwrap(), text);
        assert_eq!(used().cases().unwrap().len(), 2);
        forget_active(&folder).unwrap();
        assert_eq!(used(), Origin::Folder(folder));
    }
}
