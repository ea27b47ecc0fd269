//! Small files beside the state that must outlive a kill and a power cut: each is synced, and so is its folder.
//!
//! `state.open`: sled may be writing, under this boot of the machine. `state.suspect`: a read failed, rebuild.
//! `epoch.due`: acknowledged events are gone from the ledger, and no new epoch is recorded yet.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::disk::StoreError;

const OPEN: &str = "state.open";
const SUSPECT: &str = "state.suspect";
const EPOCH_DUE: &str = "epoch.due";

/// Says, before sled is opened, under which boot of the machine it is.
pub fn mark_open(data: &Path) -> Result<(), StoreError> {
    set(data, OPEN, &boot_id())
}

/// Says that all of sled is synced; call it after that.
pub fn clear_open(data: &Path) -> Result<(), StoreError> {
    clear(data, OPEN)
}

/// Whether sled was last open under another boot and never closed: the power may have been cut.
pub fn was_cut(data: &Path) -> bool {
    fs::read_to_string(data.join(OPEN)).is_ok_and(|mark| mark != boot_id())
}

/// Says that a read failed while the service ran: the next start rebuilds.
pub fn mark_suspect(data: &Path, why: &str) {
    // The process is about to end; if this fails too, the next start meets the same fault and tries again.
    let _ = set(data, SUSPECT, why);
}

/// Why the state is not to be trusted, if a read of it failed.
pub fn suspicion(data: &Path) -> Option<String> {
    fs::read_to_string(data.join(SUSPECT)).ok()
}

pub fn clear_suspicion(data: &Path) -> Result<(), StoreError> {
    clear(data, SUSPECT)
}

/// Says that a new epoch must begin; call it before the state that proves it is set aside.
pub fn mark_epoch_due(data: &Path, why: &str) -> Result<(), StoreError> {
    set(data, EPOCH_DUE, why)
}

/// Whether acknowledged events are gone and no new epoch is recorded yet.
pub fn is_epoch_due(data: &Path) -> Result<bool, StoreError> {
    data.join(EPOCH_DUE)
        .try_exists()
        .map_err(|source| failed(data, source))
}

/// Says that the new epoch is recorded; call it after that is synced.
pub fn clear_epoch_due(data: &Path) -> Result<(), StoreError> {
    clear(data, EPOCH_DUE)
}

/// The kernel's name for this boot; empty where there is none.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn set(data: &Path, name: &str, text: &str) -> Result<(), StoreError> {
    let written = File::create(data.join(name)).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written
        .and_then(|()| sync_folder(data))
        .map_err(|source| failed(data, source))
}

fn clear(data: &Path, name: &str) -> Result<(), StoreError> {
    match fs::remove_file(data.join(name)) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed
            .and_then(|()| sync_folder(data))
            .map_err(|source| failed(data, source)),
    }
}

/// Makes the names in a folder outlive a power cut.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn failed(data: &Path, source: io::Error) -> StoreError {
    StoreError::Folder {
        folder: data.to_owned(),
        source,
    }
}
