//! The simulator's pairings on disk: always a whole file, written beside and renamed.
//!
//! A kill at any instant leaves the older or the newer state, never a torn one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What went wrong with the state file.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    #[error("reading `{}`: {source}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` is no simulator state: {source}", .path.display())]
    Parse {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("writing `{}`: {source}", .path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// The state that was kept, or none if there is no file yet.
pub(super) fn load(path: &Path) -> Result<Option<Value>, StateFileError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            let path = path.to_owned();
            return Err(StateFileError::Read { path, source });
        }
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|source| StateFileError::Parse {
            path: path.to_owned(),
            source,
        })
}

/// Puts `state` in the place of what was there.
pub(super) fn save(path: &Path, state: &Value) -> Result<(), StateFileError> {
    let failed = |source| StateFileError::Write {
        path: path.to_owned(),
        source,
    };
    let mut text = serde_json::to_vec_pretty(state).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = File::create(&beside).map_err(failed)?;
    file.write_all(&text).map_err(failed)?;
    file.sync_data().map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_saved_is_loaded_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cas.json");
        assert_eq!(load(&path).unwrap(), None);
        save(&path, &json!([1])).unwrap();
        save(&path, &json!([{ "card": "0190008020" }])).unwrap();
        assert_eq!(
            load(&path).unwrap(),
            Some(json!([{ "card": "0190008020" }]))
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_foreign_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cas.json");
        fs::write(&path, "card;stb\n").unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains("cas.json` is no simulator state"), "{error}");
    }
}
