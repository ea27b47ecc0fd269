//! Who may open the data directory: its owner alone, so that files of another user never appear in it.
//!
//! Every command that opens it comes through here, and leaves it closed to everyone else: it holds secrets' hashes, and
//! the control socket's only guard is the mode of this directory.

use std::fs::{Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::error::CliError;
use crate::control::DataLock;

/// What group and others may do there.
const OTHERS: u32 = 0o077;
const OWNER_ONLY: u32 = 0o700;

/// Checks that the directory is there and ours, takes its lock, and closes it to others. Only its holder changes its mode: a
/// running server may have opened it to the control socket's group.
pub fn lock(data_dir: &Path) -> Result<DataLock, CliError> {
    let metadata = owned(data_dir)?;
    let lock = DataLock::take(data_dir)?;
    close_to_others(data_dir, &metadata)?;
    Ok(lock)
}

/// Checks that the directory is there and ours.
fn owned(data_dir: &Path) -> Result<Metadata, CliError> {
    let path = data_dir.to_owned();
    let metadata = match std::fs::metadata(data_dir) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => return Err(CliError::NoDataDir { path }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(CliError::NoDataDir { path });
        }
        Err(source) => {
            let act = "look at";
            return Err(CliError::File { act, path, source });
        }
    };
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner == user {
        return Ok(metadata);
    }
    Err(CliError::NotOwner { path, owner, user })
}

/// A directory made by hand usually lets everyone look in.
fn close_to_others(data_dir: &Path, metadata: &Metadata) -> Result<(), CliError> {
    let mode = metadata.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let closed = std::fs::set_permissions(data_dir, Permissions::from_mode(OWNER_ONLY));
    closed.map_err(|source| CliError::File {
        act: "close to other users",
        path: data_dir.to_owned(),
        source,
    })?;
    let found = format!("{:04o}", mode & 0o7777);
    tracing::warn!(data_dir = %data_dir.display(), found, "the data directory was open to other users; it is 0700 now");
    Ok(())
}
