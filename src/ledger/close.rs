//! The marker of a clean stop: a small file that says with which line the ledger ended.
//!
//! It is written last and taken away before the first append. With it the open segment need not be copied at the next
//! start, and a ledger that lost its end in between is noticed.

use serde::{Deserialize, Serialize};

use super::{LedgerError, LineHash, folder::Folder};

const CLEAN: &str = "clean";
/// Under this name while it is being written.
pub(super) const CLEAN_WRITING: &str = "clean.writing";
const MARKER_BYTES_MAX: usize = 1024;

/// The end of the ledger when it was closed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    pub last_seq: u64,
    last_hash: String,
}

impl Marker {
    pub fn new(last_seq: u64, last_hash: LineHash) -> Self {
        Self {
            last_seq,
            last_hash: last_hash.to_string(),
        }
    }

    pub fn read(folder: &Folder) -> Result<Option<Self>, LedgerError> {
        let Some(file) = folder.find(CLEAN)? else {
            return Ok(None);
        };
        let mut bytes = vec![0; MARKER_BYTES_MAX];
        let read = file.read_at(&mut bytes, 0)?;
        serde_json::from_slice(bytes.get(..read).unwrap_or_default())
            .map(Some)
            .map_err(|source| LedgerError::Marker {
                path: file.path().to_owned(),
                source,
            })
    }

    pub fn write(&self, folder: &Folder) -> Result<(), LedgerError> {
        let file = folder.create(CLEAN_WRITING)?;
        let text = serde_json::to_vec(self).map_err(|source| LedgerError::Marker {
            path: file.path().to_owned(),
            source,
        })?;
        file.write_all_at(&text, 0)?;
        file.sync()?;
        folder.rename(CLEAN_WRITING, CLEAN)?;
        folder.sync()
    }

    pub fn remove(folder: &Folder) -> Result<(), LedgerError> {
        folder.remove(CLEAN)?;
        folder.sync()
    }
}
