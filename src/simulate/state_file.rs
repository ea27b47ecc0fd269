//! What a simulator has learned since its start, pairings above all, on disk: always a whole file, written beside and renamed.
//!
//! A kill at any instant leaves the older or the newer state, never a torn one. Only its owner reads it: it may hold sessions.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
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

/// Says that a file holds no settings.
const MARK: &str = "pairbox_state";
const FORMAT: u64 = 2;
const OWN_ONLY: u32 = 0o600;

/// The state that was kept, or none if there is no file yet. Of a file without the mark, which holds settings too, texts and flags
/// are left out: the settings of now count.
pub(super) fn load(path: &Path) -> Result<Option<Value>, StateFileError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            let path = path.to_owned();
            return Err(StateFileError::Read { path, source });
        }
    };
    let mut state: Value =
        serde_json::from_slice(&text).map_err(|source| StateFileError::Parse {
            path: path.to_owned(),
            source,
        })?;
    if let Some(kept) = state.as_object_mut() {
        let is_marked = kept.remove(MARK).is_some();
        kept.retain(|_, value| {
            is_marked || value.is_object() || value.is_array() || value.is_number()
        });
    }
    Ok(Some(state))
}

/// Puts `state` in the place of what was there.
pub(super) fn save(path: &Path, state: &Value) -> Result<(), StateFileError> {
    let failed = |source| StateFileError::Write {
        path: path.to_owned(),
        source,
    };
    let mut marked = state.clone();
    if let Some(kept) = marked.as_object_mut() {
        kept.insert(MARK.to_owned(), FORMAT.into());
    }
    let mut text = serde_json::to_vec_pretty(&marked).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    let mut file = options.mode(OWN_ONLY).open(&beside).map_err(failed)?;
    // One that a kill left behind keeps the mode that it had.
    file.set_permissions(Permissions::from_mode(OWN_ONLY))
        .map_err(failed)?;
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
    fn only_its_owner_reads_it_and_what_an_earlier_file_holds_of_settings_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cas.json");
        let older = r#"{"password": "old", "fault": null, "count": 3, "pairings": {"1": "2"}}"#;
        fs::write(&path, older).unwrap();
        let kept = json!({"count": 3, "pairings": {"1": "2"}});
        assert_eq!(load(&path).unwrap(), Some(kept));
        let kept = json!({"last": "word", "pairings": {"1": "2"}});
        fs::write(folder.path().join("cas.json.new"), "half").unwrap();
        save(&path, &kept).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(load(&path).unwrap(), Some(kept));
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
