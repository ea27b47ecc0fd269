//! One process per data directory: a lock file that names its holder, in a folder that only its owner may enter.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::ServiceError;

/// Held as long as the process works on the data directory; the kernel lets go when it dies.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Makes the folder if it is missing (mode 0700) and takes the lock.
    pub fn take(data: &Path) -> Result<Self, ServiceError> {
        let at = |source| ServiceError::Folder {
            folder: data.to_owned(),
            source,
        };
        if !data.exists() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(data)
                .map_err(at)?;
        }
        let found = fs::metadata(data).map_err(at)?;
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(ServiceError::NotOwner {
                folder: data.to_owned(),
                owner: found.uid(),
            });
        }
        if found.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(data, fs::Permissions::from_mode(0o700)).map_err(at)?;
        }
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let mut file = options.open(data.join("lock")).map_err(at)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            let pid = if pid.trim().is_empty() {
                "unknown".into()
            } else {
                pid.trim().to_owned()
            };
            return Err(ServiceError::Locked {
                folder: data.to_owned(),
                pid,
            });
        }
        file.set_len(0).map_err(at)?;
        writeln!(file, "{}", std::process::id()).map_err(at)?;
        Ok(Self { _file: file })
    }
}
