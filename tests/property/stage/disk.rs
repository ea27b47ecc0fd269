//! The stage's disk: the machine's own, or one that fails and loses power, with what that leaves of the state's folder.

use std::path::Path;
use std::sync::Arc;

use pairbox::domain::Chance;
use pairbox::ledger::faulty::FaultyFiles;
use pairbox::ledger::{Files, RealFiles};

use super::{copy_folder, temporary};

const SECTOR_BYTES: usize = 512;

/// The files below the ledger.
#[derive(Default)]
pub struct Disk {
    faulty: Option<FaultyFiles>,
}

impl Disk {
    /// A disk that can be told to fail; what lies in the folder counts as synced.
    pub fn faulty(ledger: &Path) -> Self {
        let faulty = FaultyFiles::new(ledger).unwrap();
        Self {
            faulty: Some(faulty),
        }
    }

    pub fn files(&self) -> Arc<dyn Files> {
        match &self.faulty {
            Some(faulty) => Arc::new(faulty.clone()),
            None => Arc::new(RealFiles),
        }
    }

    pub fn is_faulty(&self) -> bool {
        self.faulty.is_some()
    }

    /// The faults that it can be told of.
    pub fn faults(&self) -> &FaultyFiles {
        self.faulty.as_ref().expect("this disk never fails")
    }

    /// Puts into the folder what a power cut leaves of it, on a new disk.
    pub fn lose_power(&mut self, ledger: &Path, seed: u64) {
        let image = temporary();
        self.faults().cut_power(seed, image.path()).unwrap();
        std::fs::remove_dir_all(ledger).unwrap();
        copy_folder(image.path(), ledger);
        *self = Self::faulty(ledger);
    }
}

/// Writes of late are there or not, sector by sector, and perhaps the file's end is missing.
pub fn tear(folder: &Path, older: &Path, seed: u64) {
    let mut chance = Chance::new(seed);
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if entry.file_type().unwrap().is_dir() {
            tear(&entry.path(), &older.join(name), chance.draw());
            continue;
        }
        let mut bytes = std::fs::read(entry.path()).unwrap();
        let before = std::fs::read(older.join(name)).unwrap_or_default();
        let eighths = chance.below(4);
        for (at, sector) in bytes.chunks_mut(SECTOR_BYTES).enumerate() {
            if chance.below(8) < eighths {
                let start = at * SECTOR_BYTES;
                for (place, byte) in sector.iter_mut().enumerate() {
                    *byte = before.get(start + place).copied().unwrap_or(0);
                }
            }
        }
        if chance.below(4) == 0 {
            let length = chance.below(bytes.len() as u64 + 1);
            bytes.truncate(usize::try_from(length).unwrap());
        }
        std::fs::write(entry.path(), bytes).unwrap();
    }
}
