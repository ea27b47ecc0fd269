//! Where jobs keep what they were given: `jobs/<folder>/` in the data directory, with the script and the rows as plain CSV.
//!
//! A folder is filled in parts and synced before the event that names it; one that no event names is swept away by the next
//! start.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::actions::status::free_bytes;

/// Most bytes of a script.
pub const SCRIPT_BYTES_MAX: u64 = 256 * 1024;
/// Most bytes of an input.
pub const INPUT_BYTES_MAX: u64 = 4 << 30;
/// Random bytes of a folder's name.
const NAME_BYTES: usize = 8;
const COPY_BYTES: usize = 256 * 1024;
/// The members of `[control] group` pass through the data directory to its socket, and read nothing on the way.
const OWNER_ONLY_FOLDER: u32 = 0o700;
const OWNER_ONLY: u32 = 0o600;

/// One of the two files of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobFile {
    Script,
    Input,
}

impl JobFile {
    pub fn name(self) -> &'static str {
        match self {
            Self::Script => "script.rhai",
            Self::Input => "input.csv",
        }
    }

    fn bytes_max(self) -> u64 {
        match self {
            Self::Script => SCRIPT_BYTES_MAX,
            Self::Input => INPUT_BYTES_MAX,
        }
    }
}

#[derive(Debug, Error)]
pub enum FolderError {
    #[error("cannot {act} `{}`: {source}", path.display())]
    File {
        act: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("no random bytes for the name of a job's folder: {0}")]
    Random(getrandom::Error),
    #[error("`{name}` is not the name of a job's folder")]
    Name { name: String },
    #[error("the {file} has {found} bytes so far, and a part for byte {given} came", file = file.name())]
    Gap {
        file: JobFile,
        found: u64,
        given: u64,
    },
    #[error("expected at most {limit} bytes of {file}, found more", file = file.name())]
    TooLarge { file: JobFile, limit: u64 },
    #[error("the {file} came with other bytes than were sent: expected SHA-256 {expected}, found {found}", file = file.name())]
    OtherBytes {
        file: JobFile,
        expected: String,
        found: String,
    },
}

/// The folder of all jobs.
#[derive(Clone, Debug)]
pub struct Folders {
    root: PathBuf,
}

/// Numbers the folders of one process, should random bytes ever repeat.
static MADE: AtomicU64 = AtomicU64::new(0);

impl Folders {
    pub fn new(data_dir: &Path) -> Self {
        Self {
            root: data_dir.join("jobs"),
        }
    }

    /// Makes an empty folder; answers its name.
    pub fn make(&self) -> Result<String, FolderError> {
        let mut random = [0; NAME_BYTES];
        getrandom::fill(&mut random).map_err(FolderError::Random)?;
        let count = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{count}", hex::encode(random));
        let path = self.root.join(&name);
        let mut private = DirBuilder::new();
        private.recursive(true).mode(OWNER_ONLY_FOLDER);
        private.create(&path).map_err(failed("make", &path))?;
        Ok(name)
    }

    /// Whether so many bytes are free; where that cannot be told, the writing will.
    pub fn has_room(&self, bytes: u64) -> bool {
        free_bytes(&self.root).is_none_or(|free| free >= bytes)
    }

    /// Adds the next bytes of a file; they must follow those that came before.
    pub fn append(
        &self,
        folder: &str,
        file: JobFile,
        at: u64,
        bytes: &[u8],
    ) -> Result<(), FolderError> {
        let path = self.file(folder, file)?;
        let mut out = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(OWNER_ONLY)
            .open(&path)
            .map_err(failed("open", &path))?;
        let found = out.metadata().map_err(failed("read", &path))?.len();
        if found != at {
            let given = at;
            return Err(FolderError::Gap { file, found, given });
        }
        let limit = file.bytes_max();
        if found.saturating_add(bytes.len() as u64) > limit {
            return Err(FolderError::TooLarge { file, limit });
        }
        out.write_all(bytes).map_err(failed("write", &path))
    }

    /// Checks that a file came whole, and syncs it.
    pub fn seal(&self, folder: &str, file: JobFile, sha256: &str) -> Result<(), FolderError> {
        let path = self.file(folder, file)?;
        let opened = OpenOptions::new().read(true).append(true).open(&path);
        let opened = opened.map_err(failed("open", &path))?;
        let found = digest(&opened).map_err(failed("read", &path))?;
        if found != sha256 {
            let expected = sha256.to_owned();
            return Err(FolderError::OtherBytes {
                file,
                expected,
                found,
            });
        }
        opened.sync_all().map_err(failed("sync", &path))?;
        let folder = self.folder(folder)?;
        for path in [folder.as_path(), self.root.as_path()] {
            File::open(path)
                .and_then(|folder| folder.sync_all())
                .map_err(failed("sync", path))?;
        }
        Ok(())
    }

    /// The script's text.
    pub fn script(&self, folder: &str) -> Result<String, FolderError> {
        let path = self.file(folder, JobFile::Script)?;
        fs::read_to_string(&path).map_err(failed("read", &path))
    }

    pub fn file(&self, folder: &str, file: JobFile) -> Result<PathBuf, FolderError> {
        Ok(self.folder(folder)?.join(file.name()))
    }

    /// Whether a file has the bytes that it had when it was sealed.
    pub fn check(&self, folder: &str, file: JobFile, sha256: &str) -> Result<(), FolderError> {
        let path = self.file(folder, file)?;
        let opened = File::open(&path).map_err(failed("open", &path))?;
        let found = digest(&opened).map_err(failed("read", &path))?;
        if found == sha256 {
            return Ok(());
        }
        let expected = sha256.to_owned();
        Err(FolderError::OtherBytes {
            file,
            expected,
            found,
        })
    }

    /// Takes a folder away.
    pub fn remove(&self, folder: &str) {
        let Ok(path) = self.folder(folder) else {
            return;
        };
        if let Err(error) = fs::remove_dir_all(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %path.display(), "a job's folder stays until the next start");
        }
    }

    /// Takes away the folders that no job has.
    pub fn sweep(&self, known: &HashSet<String>) {
        let Ok(entries) = fs::read_dir(&self.root) else {
            return;
        };
        for entry in entries.filter_map(Result::ok) {
            if let Ok(name) = entry.file_name().into_string()
                && !known.contains(&name)
            {
                self.remove(&name);
            }
        }
    }

    /// Names come over the socket: only those that `make` gives lead anywhere.
    fn folder(&self, name: &str) -> Result<PathBuf, FolderError> {
        let is_plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
            let name = name.chars().take(64).collect();
            return Err(FolderError::Name { name });
        }
        Ok(self.root.join(name))
    }
}

fn digest(mut file: &File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut block = vec![0; COPY_BYTES];
    loop {
        let count = file.read(&mut block)?;
        if count == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(block.get(..count).unwrap_or_default());
    }
}

fn failed<'a>(act: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FolderError + 'a {
    move |source| FolderError::File {
        act,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn parts_follow_each_other_and_the_whole_is_checked() {
        let data = tempfile::tempdir().unwrap();
        let folders = Folders::new(data.path());
        let name = folders.make().unwrap();
        folders.append(&name, JobFile::Input, 0, b"ab").unwrap();
        let gap = folders.append(&name, JobFile::Input, 3, b"x");
        assert!(matches!(gap, Err(FolderError::Gap { found: 2, .. })));
        folders.append(&name, JobFile::Input, 2, b"c").unwrap();
        let sha256 = hex::encode(Sha256::digest(b"abc"));
        folders.seal(&name, JobFile::Input, &sha256).unwrap();
        let other = folders.seal(&name, JobFile::Input, &"0".repeat(64));
        assert!(matches!(other, Err(FolderError::OtherBytes { .. })));
        let long = folders.append(&name, JobFile::Script, 0, &vec![b'x'; 300_000]);
        assert!(matches!(long, Err(FolderError::TooLarge { .. })));
    }

    #[test]
    fn nobody_but_the_owner_reads_what_was_handed_in() {
        let data = tempfile::tempdir().unwrap();
        let folders = Folders::new(data.path());
        let name = folders.make().unwrap();
        folders.append(&name, JobFile::Input, 0, b"ab").unwrap();
        let jobs = data.path().join("jobs");
        for path in [
            &jobs,
            &jobs.join(&name),
            &jobs.join(&name).join("input.csv"),
        ] {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let folders = Folders::new(Path::new("/nowhere"));
        for name in ["", "..", "../x", "a/b", "/etc", "."] {
            let found = folders.file(name, JobFile::Script);
            assert!(matches!(found, Err(FolderError::Name { .. })), "{name}");
        }
    }

    #[test]
    fn folders_that_no_job_has_are_swept_away() {
        let data = tempfile::tempdir().unwrap();
        let folders = Folders::new(data.path());
        let (kept, lost) = (folders.make().unwrap(), folders.make().unwrap());
        folders.sweep(&HashSet::from([kept.clone()]));
        assert!(data.path().join("jobs").join(kept).is_dir());
        assert!(!data.path().join("jobs").join(lost).exists());
    }
}
