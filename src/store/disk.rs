//! The sled tree: opened with care, read by key, written by whole batches, set aside when it cannot be trusted.
//!
//! sled is written behind the ledger and never synced for durability; what it lost is replayed.

use std::fs;
use std::io;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::marks::{
    clear_open, clear_suspicion, mark_open, mark_suspect, suspicion, sync_folder, was_cut,
};
use super::row::{FINISHED, Key, Row, SCHEMA};
use crate::telemetry::fatal;

/// What can go wrong with the state.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("cannot write the state in `{}`: {source}", folder.display())]
    Write {
        folder: PathBuf,
        source: sled::Error,
    },
    #[error("cannot prepare the state's folder `{}`: {source}", folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    #[error("a row of the state cannot be read: {key:?}")]
    Row { key: Key },
    #[error("the state's folder `{}` is in use by another process", folder.display())]
    Busy { folder: PathBuf },
    #[error("replaying the ledger: {0}")]
    Replay(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("stopped while the ledger was replayed; the next start goes on from there")]
    Stopped,
}

/// Why a state folder was not taken as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distrust {
    Missing,
    Unreadable(String),
    /// A read failed while the service ran.
    Suspect(String),
    OtherSchema(Option<u32>),
    /// Last open under another boot of the machine and never closed: the power may have been cut.
    PowerCut,
    /// What the ledger says next does not follow from it.
    Contradicted(String),
    /// It knows events that the ledger does not have.
    AheadOfLedger {
        state: u64,
        ledger: u64,
    },
}

impl Distrust {
    pub fn words(&self) -> String {
        match self {
            Self::Missing => "there was none".into(),
            Self::Unreadable(why) | Self::Suspect(why) => format!("it cannot be read: {why}"),
            Self::OtherSchema(found) => format!("schema {found:?}, this program writes {SCHEMA}"),
            Self::PowerCut => "it was not closed before the machine went down".into(),
            Self::Contradicted(why) => format!("the ledger does not follow from it: {why}"),
            Self::AheadOfLedger { state, ledger } => {
                format!(
                    "it knows event {state}, the ledger ends at {ledger}: acknowledged events are gone"
                )
            }
        }
    }
}

/// An open tree.
pub struct Disk {
    tree: Tree,
    folder: PathBuf,
}

/// sled writes once more when the last handle falls, and panics if it cannot; then nobody knows what is there.
struct Tree {
    db: Option<sled::Db>,
    data: PathBuf,
}

impl Deref for Tree {
    type Target = sled::Db;

    fn deref(&self) -> &sled::Db {
        match &self.db {
            Some(tree) => tree,
            None => unreachable!("the tree goes when it falls, and not before"),
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let db = self.db.take();
        if catch_unwind(AssertUnwindSafe(|| drop(db))).is_err() {
            let reason = "sled panicked on closing it";
            mark_suspect(&self.data, reason);
            fatal(&format!(
                "the state cannot be written, the next start rebuilds it: {reason}"
            ));
        }
    }
}

impl Disk {
    fn of(tree: sled::Db, folder: PathBuf) -> Self {
        let data = folder.parent().map(Path::to_owned).unwrap_or_default();
        let db = Some(tree);
        Self {
            tree: Tree { db, data },
            folder,
        }
    }

    /// Opens what is there, if it can be trusted so far.
    pub fn open(data: &Path, cache_bytes: u64) -> Result<Result<Self, Distrust>, StoreError> {
        let folder = data.join("state");
        if !folder.join("db").exists() {
            return Ok(Err(Distrust::Missing));
        }
        if was_cut(data) {
            return Ok(Err(Distrust::PowerCut));
        }
        if let Some(why) = suspicion(data) {
            return Ok(Err(Distrust::Suspect(why)));
        }
        // Before sled is: it writes as soon as it is open.
        mark_open(data)?;
        remove_unfinished_snapshots(&folder)?;
        let disk = match open_tree(&folder, cache_bytes)? {
            Ok(tree) => Self::of(tree, folder),
            Err(why) => return Ok(Err(Distrust::Unreadable(why))),
        };
        match disk.get(&Key::Schema) {
            Ok(Some(Row::Schema(SCHEMA))) => {}
            Ok(Some(Row::Schema(other))) => return Ok(Err(Distrust::OtherSchema(Some(other)))),
            _ => return Ok(Err(Distrust::OtherSchema(None))),
        }
        Ok(Ok(disk))
    }

    /// As `applied_seq`, of a state that nobody has opened in this process and that need not be trusted.
    pub fn glimpse_applied_seq(data: &Path, cache_bytes: u64) -> Result<Option<u64>, StoreError> {
        let folder = data.join("state");
        if !folder.join("db").exists() {
            return Ok(None);
        }
        mark_open(data)?;
        remove_unfinished_snapshots(&folder)?;
        let Ok(tree) = open_tree(&folder, cache_bytes)? else {
            return Ok(None);
        };
        Ok(Self::of(tree, folder).applied_seq())
    }

    /// The last event that the state knows; none if that cannot be told.
    pub fn applied_seq(&self) -> Option<u64> {
        let look = || match (self.get(&Key::Schema), self.get(&Key::Meta)) {
            (Ok(Some(Row::Schema(SCHEMA))), Ok(Some(Row::Meta(meta)))) => Some(meta.applied_seq),
            _ => None,
        };
        catch_unwind(AssertUnwindSafe(look)).unwrap_or(None)
    }

    /// Sets aside what is there (one copy is kept) and begins with nothing.
    pub fn create(data: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        let folder = data.join("state");
        let aside = data.join("state.aside");
        let at = |source| StoreError::Folder {
            folder: folder.clone(),
            source,
        };
        mark_open(data)?;
        if folder.exists() {
            if aside.exists() {
                fs::remove_dir_all(&aside).map_err(at)?;
            }
            fs::rename(&folder, &aside).map_err(at)?;
        }
        fs::create_dir_all(&folder).map_err(at)?;
        sync_folder(data).map_err(at)?;
        let tree = open_tree(&folder, cache_bytes)?.map_err(|why| StoreError::Folder {
            folder: folder.clone(),
            source: io::Error::other(why),
        })?;
        clear_suspicion(data)?;
        Ok(Self::of(tree, folder))
    }

    pub fn get(&self, key: &Key) -> Result<Option<Row>, StoreError> {
        let value = self
            .tree
            .get(key.to_bytes())
            .map_err(|source| self.failed(source))?;
        value
            .map(|value| {
                Row::parse(key, &value).ok_or_else(|| StoreError::Row { key: key.clone() })
            })
            .transpose()
    }

    /// Writes many rows in one atomic batch; `None`, and what is empty, removes.
    pub fn write(&self, rows: impl Iterator<Item = (Key, Option<Row>)>) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, row) in rows {
            match row {
                Some(row) if !row.is_empty() => batch.insert(key.to_bytes(), row.to_bytes()),
                _ => batch.remove(key.to_bytes()),
            }
        }
        self.tree
            .apply_batch(batch)
            .map_err(|source| self.failed(source))
    }

    /// All rows in the order of their keys, as bytes.
    pub fn rows(&self) -> impl Iterator<Item = Result<(Key, sled::IVec), StoreError>> + '_ {
        self.parsed(self.tree.iter())
    }

    /// As `rows`, without those that stay on disk: the finished requests.
    pub fn rows_of_memory(
        &self,
    ) -> impl Iterator<Item = Result<(Key, sled::IVec), StoreError>> + '_ {
        self.parsed(self.tree.range(..[FINISHED]))
    }

    fn parsed(
        &self,
        rows: sled::Iter,
    ) -> impl Iterator<Item = Result<(Key, sled::IVec), StoreError>> + '_ {
        rows.filter_map(|entry| match entry {
            Ok((key, value)) => Key::parse(&key).map(|key| Ok((key, value))),
            Err(source) => Some(Err(self.failed(source))),
        })
    }

    pub fn size_bytes(&self) -> u64 {
        self.tree.size_on_disk().unwrap_or(0)
    }

    /// Writes everything out, syncs it, and only then marks the state as closed.
    pub fn close(&self, data: &Path) -> Result<(), StoreError> {
        self.tree.flush().map_err(|source| self.failed(source))?;
        sync_files(&self.folder).map_err(|source| StoreError::Folder {
            folder: self.folder.clone(),
            source,
        })?;
        clear_open(data)
    }

    fn failed(&self, source: sled::Error) -> StoreError {
        StoreError::Write {
            folder: self.folder.clone(),
            source,
        }
    }
}

fn open_tree(folder: &Path, cache_bytes: u64) -> Result<Result<sled::Db, String>, StoreError> {
    let config = sled::Config::new()
        .path(folder)
        .cache_capacity(cache_bytes)
        .flush_every_ms(Some(500));
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(Ok(tree)) => {
            // The first batch switches sled's process-wide lock over; do it before there are threads.
            let switched = tree.apply_batch(sled::Batch::default());
            Ok(switched.map(|()| tree).map_err(|error| error.to_string()))
        }
        Ok(Err(sled::Error::Io(error))) if error.to_string().contains("could not acquire lock") => {
            Err(StoreError::Busy {
                folder: folder.to_owned(),
            })
        }
        Ok(Err(error)) => Ok(Err(error.to_string())),
        Err(_) => Ok(Err("sled panicked on opening it".into())),
    }
}

/// Syncs what sled wrote, its snapshots too, and their names.
fn sync_files(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match fs::File::open(&path).and_then(|file| file.sync_all()) {
            // sled replaces its snapshots by itself.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            synced => synced?,
        }
    }
    sync_folder(folder)
}

/// A kill while sled opens leaves a snapshot that makes every later open fail; the log has everything.
fn remove_unfinished_snapshots(folder: &Path) -> Result<(), StoreError> {
    let at = |source| StoreError::Folder {
        folder: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(at)? {
        let path = entry.map_err(at)?.path();
        let is_unfinished = path
            .extension()
            .is_some_and(|extension| extension == "generating");
        if is_unfinished {
            fs::remove_file(&path).map_err(at)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_state_is_marked_as_open_before_sled_may_write_into_it() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("state");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("db"), "noise").unwrap();
        fs::write(folder.join("conf"), "noise").unwrap();
        let opened = Disk::open(data.path(), 1 << 20).unwrap();
        assert!(opened.is_err(), "noise is not to be trusted");
        assert!(data.path().join("state.open").exists());
    }

    #[test]
    fn the_mark_goes_when_the_state_is_closed() {
        let data = tempfile::tempdir().unwrap();
        let disk = Disk::create(data.path(), 1 << 20).unwrap();
        assert!(data.path().join("state.open").exists());
        disk.close(data.path()).unwrap();
        assert!(!data.path().join("state.open").exists());
    }
}
