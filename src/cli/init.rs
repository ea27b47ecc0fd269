//! `pairbox init DIR`: a commented configuration, the shipped scripts and an empty data directory. Overwrites nothing.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::error::CliError;
use super::exit::Exit;
use super::output::say;
use crate::config::{DEFAULT_DATA_DIR, DEFAULT_SCRIPTS_DIR, TEMPLATE, WORKING_FILE};
use crate::script::shipped;

#[derive(Args)]
pub struct InitArgs {
    /// Made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl InitArgs {
    pub fn run(self) -> Result<Exit, CliError> {
        let files = write(&self.folder)?;
        let folder = self.folder.display();
        say(&format!(
            "wrote {folder}/{WORKING_FILE}, {files} scripts and an empty data directory\n\
             \n\
             next:\n  \
               cd {folder}\n  \
               $EDITOR {WORKING_FILE}           # where the CAS is, which products are cards and STBs\n  \
               pairbox check                   # says everything that is wrong\n  \
               pairbox item import FILE.csv    # cards and STBs\n  \
               pairbox user add NAME --role crm --password-file FILE\n  \
               pairbox serve"
        ))?;
        Ok(Exit::Done)
    }
}

/// Writes all of it, or nothing if anything is there already; answers how many scripts.
pub fn write(folder: &Path) -> Result<usize, CliError> {
    let config = folder.join(WORKING_FILE);
    let scripts = folder.join(DEFAULT_SCRIPTS_DIR);
    let data = folder.join(DEFAULT_DATA_DIR);
    for path in [&config, &scripts, &data] {
        if path.symlink_metadata().is_ok() {
            return Err(CliError::Exists { path: path.clone() });
        }
    }
    let files = shipped::files();
    for (name, bytes) in &files {
        let path = scripts.join(name);
        if let Some(parent) = path.parent() {
            done("make", parent, fs::create_dir_all(parent))?;
        }
        done("write", &path, fs::write(&path, bytes))?;
    }
    done(
        "make",
        &data,
        fs::DirBuilder::new().mode(0o700).create(&data),
    )?;
    // Last, so that a directory with a configuration is whole.
    done("write", &config, fs::write(&config, TEMPLATE))?;
    Ok(files.len())
}

fn done(act: &'static str, path: &Path, result: io::Result<()>) -> Result<(), CliError> {
    result.map_err(|source| CliError::File {
        act,
        path: path.to_owned(),
        source,
    })
}
