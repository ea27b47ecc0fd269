//! The sled tree: opened with care, read by key, written by whole batches, set aside when it cannot be trusted.
//!
//! sled is written behind the ledger and never synced for durability; what it lost is replayed.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::row::{Key, Row, SCHEMA};

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
}

/// Why a state folder was not taken as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distrust {
    Missing,
    Unreadable(String),
    OtherSchema(Option<u32>),
    /// Last open under another boot of the machine and never closed: the power may have been cut.
    PowerCut,
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
            Self::Unreadable(why) => format!("it cannot be read: {why}"),
            Self::OtherSchema(found) => format!("schema {found:?}, this program writes {SCHEMA}"),
            Self::PowerCut => "it was not closed before the machine went down".into(),
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
    tree: sled::Db,
    folder: PathBuf,
}

impl Disk {
    /// Opens what is there, if it can be trusted so far.
    pub fn open(data: &Path, cache_bytes: u64) -> Result<Result<Self, Distrust>, StoreError> {
        let folder = data.join("state");
        if !folder.join("db").exists() {
            return Ok(Err(Distrust::Missing));
        }
        if was_cut(data) {
            return Ok(Err(Distrust::PowerCut));
        }
        if let Ok(why) = fs::read_to_string(suspect_mark(data)) {
            return Ok(Err(Distrust::Unreadable(why)));
        }
        remove_unfinished_snapshots(&folder)?;
        let disk = match open_tree(&folder, cache_bytes)? {
            Ok(tree) => Self { tree, folder },
            Err(why) => return Ok(Err(Distrust::Unreadable(why))),
        };
        match disk.get(&Key::Schema) {
            Ok(Some(Row::Schema(SCHEMA))) => {}
            Ok(Some(Row::Schema(other))) => return Ok(Err(Distrust::OtherSchema(Some(other)))),
            _ => return Ok(Err(Distrust::OtherSchema(None))),
        }
        mark_open(data)?;
        Ok(Ok(disk))
    }

    /// Sets aside what is there (one copy is kept) and begins with nothing.
    pub fn create(data: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        let folder = data.join("state");
        let aside = data.join("state.aside");
        let at = |source| StoreError::Folder {
            folder: folder.clone(),
            source,
        };
        if folder.exists() {
            if aside.exists() {
                fs::remove_dir_all(&aside).map_err(at)?;
            }
            fs::rename(&folder, &aside).map_err(at)?;
        }
        fs::create_dir_all(&folder).map_err(at)?;
        let tree = open_tree(&folder, cache_bytes)?.map_err(|why| StoreError::Folder {
            folder: folder.clone(),
            source: io::Error::other(why),
        })?;
        mark_open(data)?;
        let _ = fs::remove_file(suspect_mark(data));
        Ok(Self { tree, folder })
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

    /// Writes many rows in one atomic batch; `None` removes.
    pub fn write(&self, rows: impl Iterator<Item = (Key, Option<Row>)>) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, row) in rows {
            match row {
                Some(row) => batch.insert(key.to_bytes(), row.to_bytes()),
                None => batch.remove(key.to_bytes()),
            }
        }
        self.tree
            .apply_batch(batch)
            .map_err(|source| self.failed(source))
    }

    /// All rows in the order of their keys, as bytes.
    pub fn rows(&self) -> impl Iterator<Item = Result<(Key, sled::IVec), StoreError>> + '_ {
        self.tree.iter().filter_map(|entry| match entry {
            Ok((key, value)) => Key::parse(&key).map(|key| Ok((key, value))),
            Err(source) => Some(Err(self.failed(source))),
        })
    }

    pub fn size_bytes(&self) -> u64 {
        self.tree.size_on_disk().unwrap_or(0)
    }

    /// Writes everything out and marks the state as closed.
    pub fn close(&self, data: &Path) -> Result<(), StoreError> {
        self.tree.flush().map_err(|source| self.failed(source))?;
        let synced = fs::File::open(self.folder.join("db")).and_then(|file| file.sync_all());
        synced.map_err(|source| StoreError::Folder {
            folder: self.folder.clone(),
            source,
        })?;
        match fs::remove_file(open_mark(data)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StoreError::Folder {
                folder: data.to_owned(),
                source,
            }),
            _ => Ok(()),
        }
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

/// Says that a read failed while the service ran: the next start rebuilds.
pub fn mark_suspect(data: &Path, why: &str) {
    // The process is about to end; if this fails too, the next start meets the same fault and tries again.
    let _ = fs::write(suspect_mark(data), why);
}

fn suspect_mark(data: &Path) -> PathBuf {
    data.join("state.suspect")
}

fn open_mark(data: &Path) -> PathBuf {
    data.join("state.open")
}

/// The mark names the boot of the machine under which the state was opened last and not closed since.
fn mark_open(data: &Path) -> Result<(), StoreError> {
    fs::write(open_mark(data), boot_id()).map_err(|source| StoreError::Folder {
        folder: data.to_owned(),
        source,
    })
}

fn was_cut(data: &Path) -> bool {
    fs::read_to_string(open_mark(data)).is_ok_and(|mark| mark != boot_id())
}

/// The kernel's name for this boot; empty where there is none.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}
