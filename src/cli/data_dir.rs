//! Who may open the data directory: its owner alone, so that files of another user never appear in it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::CliError;
use crate::control::DataLock;

/// Checks that the directory is there and ours, and takes its lock.
pub fn lock(data_dir: &Path) -> Result<DataLock, CliError> {
    check(data_dir)?;
    Ok(DataLock::take(data_dir)?)
}

/// Checks that the directory is there and ours.
pub fn check(data_dir: &Path) -> Result<(), CliError> {
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
        return Ok(());
    }
    Err(CliError::NotOwner { path, owner, user })
}
