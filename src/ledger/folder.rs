//! The ledger's folder: the file calls with the subject of each error filled in.
//!
//! The rest of the room speaks to files through these two types only.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Act, Files, LedgerError, OpenFile};

/// Zeros are written in pieces of this size.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
/// A sync at least this often keeps a large file of zeros from holding up the sync of a group.
const ZEROS_PER_SYNC: u64 = 8 << 20;

/// The folder `<data>/ledger`.
#[derive(Clone)]
pub(super) struct Folder {
    path: PathBuf,
    files: Arc<dyn Files>,
}

impl Folder {
    pub fn new(path: &Path, files: Arc<dyn Files>) -> Self {
        Self {
            path: path.to_owned(),
            files,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn make(&self) -> Result<(), LedgerError> {
        self.files
            .create_folder(&self.path)
            .map_err(failed(Act::Create, &self.path))
    }

    pub fn names(&self) -> Result<Vec<String>, LedgerError> {
        self.files
            .list(&self.path)
            .map_err(failed(Act::List, &self.path))
    }

    pub fn create(&self, name: &str) -> Result<NamedFile, LedgerError> {
        let path = self.path.join(name);
        let file = self
            .files
            .create(&path)
            .map_err(failed(Act::Create, &path))?;
        Ok(NamedFile { path, file })
    }

    pub fn open_to_read(&self, name: &str) -> Result<NamedFile, LedgerError> {
        let path = self.path.join(name);
        let file = self
            .files
            .open_to_read(&path)
            .map_err(failed(Act::Open, &path))?;
        Ok(NamedFile { path, file })
    }

    pub fn open_to_write(&self, name: &str) -> Result<NamedFile, LedgerError> {
        let path = self.path.join(name);
        let file = self
            .files
            .open_to_write(&path)
            .map_err(failed(Act::Open, &path))?;
        Ok(NamedFile { path, file })
    }

    /// As `open_to_read`, but none if there is no such file.
    pub fn find(&self, name: &str) -> Result<Option<NamedFile>, LedgerError> {
        match self.open_to_read(name) {
            Ok(file) => Ok(Some(file)),
            Err(LedgerError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub fn rename(&self, from: &str, to: &str) -> Result<(), LedgerError> {
        let to = self.path.join(to);
        self.files
            .rename(&self.path.join(from), &to)
            .map_err(failed(Act::Rename, &to))
    }

    /// Removes the file; no error if it is not there.
    pub fn remove(&self, name: &str) -> Result<(), LedgerError> {
        let path = self.path.join(name);
        match self.files.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed(Act::Remove, &path)(error))
            }
            _ => Ok(()),
        }
    }

    pub fn sync(&self) -> Result<(), LedgerError> {
        self.files
            .sync_folder(&self.path)
            .map_err(failed(Act::Sync, &self.path))
    }

    pub fn free_bytes(&self) -> Result<u64, LedgerError> {
        self.files
            .free_bytes(&self.path)
            .map_err(failed(Act::Measure, &self.path))
    }
}

/// An open file that knows its name.
pub(super) struct NamedFile {
    path: PathBuf,
    file: Box<dyn OpenFile>,
}

impl NamedFile {
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, LedgerError> {
        self.file
            .read_at(bytes, offset)
            .map_err(failed(Act::Read, &self.path))
    }

    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<(), LedgerError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(failed(Act::Write, &self.path))
    }

    /// Writes zeros from `start` to `end` and syncs the file.
    pub fn fill_with_zeros(&self, start: u64, end: u64) -> Result<(), LedgerError> {
        let mut at = start;
        let mut synced = start;
        while at < end {
            let piece = usize::try_from(end - at).unwrap_or(usize::MAX);
            let piece = ZEROS.get(..piece).unwrap_or(&ZEROS);
            self.write_all_at(piece, at)?;
            at += piece.len() as u64;
            if at - synced >= ZEROS_PER_SYNC {
                self.sync()?;
                synced = at;
            }
        }
        self.sync()
    }

    pub fn sync(&self) -> Result<(), LedgerError> {
        self.file.sync_data().map_err(failed(Act::Sync, &self.path))
    }

    pub fn length(&self) -> Result<u64, LedgerError> {
        self.file.length().map_err(failed(Act::Read, &self.path))
    }
}

fn failed(act: Act, path: &Path) -> impl FnOnce(io::Error) -> LedgerError {
    let path = path.to_owned();
    move |source| LedgerError::File { act, path, source }
}
