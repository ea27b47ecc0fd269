//! The double of the ledger's files, for tests: fails a chosen call, delays each sync, and loses power.
//!
//! It works on a real folder and remembers what was synced. A power cut gives another folder, with all that was synced
//! and a chance part of what was not, sector by sector. After a failed sync the bytes can still be read and no later
//! sync brings them to the disk, as Linux does it. Seeds make every cut repeatable. The product never makes one.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Files, OpenFile, RealFiles};
use crate::domain::Chance;

const SECTOR_BYTES: u64 = 512;
const ZERO_SECTOR: [u8; 512] = [0; 512];

/// A call that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Create,
    Write,
    Sync,
    Rename,
    Remove,
    SyncFolder,
}

/// Files that fail when told to. Clones share everything.
#[derive(Clone)]
pub struct FaultyFiles {
    model: Arc<Mutex<Model>>,
}

#[derive(Default)]
struct Model {
    faults: Vec<Fault>,
    sync_delay: Duration,
    free_bytes: Option<u64>,
    syncs: u64,
    images: Vec<Image>,
    /// The file that each name stands for now, and after a power cut.
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    unsynced_changes: Vec<NameChange>,
}

struct Fault {
    call: Call,
    calls_before: u32,
    kind: io::ErrorKind,
}

/// One file: what is on the device, and which sectors are not.
struct Image {
    file: Arc<dyn OpenFile>,
    synced: Vec<u8>,
    unsynced_sectors: BTreeSet<u64>,
    /// Of a failed sync: perhaps on the device, and no later sync brings them there.
    forgotten_sectors: BTreeSet<u64>,
}

#[derive(Clone)]
enum NameChange {
    Set(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl FaultyFiles {
    /// The double for a folder; what lies in it counts as synced.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let faulty = Self {
            model: Arc::default(),
        };
        if folder.is_dir() {
            for name in RealFiles.list(folder)? {
                faulty.adopt(&folder.join(name))?;
            }
        }
        Ok(faulty)
    }

    /// The nth such call from now on fails (1 is the next one); half of a failing write is done.
    pub fn fail(&self, call: Call, nth: u32, kind: io::ErrorKind) {
        self.model().faults.push(Fault {
            call,
            calls_before: nth.saturating_sub(1),
            kind,
        });
    }

    /// No call fails any more that has not failed yet.
    pub fn heal(&self) {
        self.model().faults.clear();
    }

    /// Each sync of a file takes this much longer.
    pub fn delay_syncs(&self, delay: Duration) {
        self.model().sync_delay = delay;
    }

    /// What `free_bytes` answers; none for the truth.
    pub fn set_free_bytes(&self, bytes: Option<u64>) {
        self.model().free_bytes = bytes;
    }

    /// How many syncs of files there were.
    pub fn syncs(&self) -> u64 {
        self.model().syncs
    }

    /// Writes into `target` what a power cut now would leave.
    pub fn cut_power(&self, seed: u64, target: &Path) -> io::Result<()> {
        let mut chance = Chance::new(seed);
        let model = self.model();
        let mut names = model.synced_names.clone();
        // A journal keeps the order of changes of names.
        let kept = chance.below(model.unsynced_changes.len() as u64 + 1);
        for change in model
            .unsynced_changes
            .iter()
            .take(usize::try_from(kept).unwrap_or(0))
        {
            change.apply(&mut names);
        }
        std::fs::create_dir_all(target)?;
        for (path, id) in &names {
            let (Some(name), Some(image)) = (path.file_name(), model.images.get(*id)) else {
                continue;
            };
            std::fs::write(target.join(name), image.after_power_cut(&mut chance)?)?;
        }
        Ok(())
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn adopt(&self, path: &Path) -> io::Result<()> {
        if !path.is_file() || self.model().names.contains_key(path) {
            return Ok(());
        }
        let synced = std::fs::read(path)?;
        let file = Arc::from(RealFiles.open_to_write(path)?);
        let mut model = self.model();
        let id = model.add_image(file, synced);
        model.names.insert(path.to_owned(), id);
        model.synced_names.insert(path.to_owned(), id);
        Ok(())
    }

    fn open(&self, path: &Path, file: Box<dyn OpenFile>) -> io::Result<Box<dyn OpenFile>> {
        self.adopt(path)?;
        let id = self.model().names.get(path).copied();
        Ok(Box::new(FaultyFile {
            file: Arc::from(file),
            id: id.ok_or(io::ErrorKind::NotFound)?,
            files: self.clone(),
        }))
    }

    fn meet_fault(&self, call: Call) -> io::Result<()> {
        let mut model = self.model();
        let mut met = None;
        model.faults.retain_mut(|fault| {
            if fault.call == call && met.is_none() && fault.calls_before == 0 {
                met = Some(fault.kind);
                return false;
            }
            fault.calls_before -= u32::from(fault.call == call && fault.calls_before > 0);
            true
        });
        met.map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl Model {
    fn add_image(&mut self, file: Arc<dyn OpenFile>, synced: Vec<u8>) -> usize {
        self.images.push(Image {
            file,
            synced,
            unsynced_sectors: BTreeSet::new(),
            forgotten_sectors: BTreeSet::new(),
        });
        self.images.len() - 1
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_changes.push(change);
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Set(path, id) => {
                names.insert(path.clone(), *id);
            }
            Self::Rename(from, to) => {
                if let Some(id) = names.remove(from) {
                    names.insert(to.clone(), id);
                }
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl Image {
    /// Puts a sector as it reads now onto the device.
    fn persist(&self, sector: u64, device: &mut Vec<u8>) -> io::Result<()> {
        let mut bytes = ZERO_SECTOR;
        let offset = sector * SECTOR_BYTES;
        let read = self.file.read_at(&mut bytes, offset)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        if device.len() < start + read {
            device.resize(start + read, 0);
        }
        let there = device.get_mut(start..start + read).unwrap_or_default();
        there.copy_from_slice(bytes.get(..read).unwrap_or_default());
        Ok(())
    }

    fn after_power_cut(&self, chance: &mut Chance) -> io::Result<Vec<u8>> {
        let mut device = self.synced.clone();
        let quarters = chance.below(5);
        for sector in self.unsynced_sectors.union(&self.forgotten_sectors) {
            if chance.below(4) < quarters {
                self.persist(*sector, &mut device)?;
            }
        }
        Ok(device)
    }
}

impl Files for FaultyFiles {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        RealFiles.create_folder(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        RealFiles.list(folder)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        self.meet_fault(Call::Create)?;
        let file: Arc<dyn OpenFile> = Arc::from(RealFiles.create(path)?);
        let mut model = self.model();
        let id = model.add_image(Arc::clone(&file), Vec::new());
        model.change(NameChange::Set(path.to_owned(), id));
        Ok(Box::new(FaultyFile {
            file,
            id,
            files: self.clone(),
        }))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        self.open(path, RealFiles.open_to_read(path)?)
    }

    fn open_to_write(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        self.open(path, RealFiles.open_to_write(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.meet_fault(Call::Rename)?;
        self.adopt(from)?;
        RealFiles.rename(from, to)?;
        self.model()
            .change(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.meet_fault(Call::Remove)?;
        RealFiles.remove(path)?;
        self.model().change(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.meet_fault(Call::SyncFolder)?;
        let mut model = self.model();
        let in_folder = |path: &Path| path.parent() == Some(folder);
        model.synced_names.retain(|path, _| !in_folder(path));
        let names: Vec<_> = model
            .names
            .iter()
            .filter(|(path, _)| in_folder(path))
            .map(|(path, id)| (path.clone(), *id))
            .collect();
        model.synced_names.extend(names);
        model.unsynced_changes.retain(|change| {
            let (NameChange::Set(path, _)
            | NameChange::Rename(_, path)
            | NameChange::Remove(path)) = change;
            !in_folder(path)
        });
        Ok(())
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let told = self.model().free_bytes;
        told.map_or_else(|| RealFiles.free_bytes(folder), Ok)
    }
}

struct FaultyFile {
    file: Arc<dyn OpenFile>,
    id: usize,
    files: FaultyFiles,
}

impl OpenFile for FaultyFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fault = self.files.meet_fault(Call::Write);
        let done = if fault.is_ok() {
            bytes
        } else {
            bytes.get(..bytes.len() / 2).unwrap_or_default()
        };
        self.file.write_all_at(done, offset)?;
        let end = offset + done.len() as u64;
        if let Some(image) = self.files.model().images.get_mut(self.id) {
            image
                .unsynced_sectors
                .extend(offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
        }
        fault
    }

    fn sync_data(&self) -> io::Result<()> {
        let fault = self.files.meet_fault(Call::Sync);
        let mut model = self.files.model();
        let delay = model.sync_delay;
        model.syncs += 1;
        if let Some(image) = model.images.get_mut(self.id) {
            let sectors = std::mem::take(&mut image.unsynced_sectors);
            if fault.is_ok() {
                let mut synced = std::mem::take(&mut image.synced);
                for sector in sectors {
                    image.persist(sector, &mut synced)?;
                }
                image.synced = synced;
            } else {
                image.forgotten_sectors.extend(sectors);
            }
        }
        drop(model);
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        fault
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}
