//! Passwords come from a file or a pipe, never from an argument: arguments are seen by every user of the machine.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;

use super::error::CliError;

#[derive(Args)]
pub struct PasswordArgs {
    /// The password's file; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
}

/// A password is a line, not a file of another kind.
const BYTES_MAX: u64 = 4_096;

impl PasswordArgs {
    /// The first line, without its end.
    pub fn read(&self) -> Result<String, CliError> {
        let mut text = String::new();
        let read = if self.password_file.as_os_str() == "-" {
            std::io::stdin()
                .lock()
                .take(BYTES_MAX)
                .read_to_string(&mut text)
        } else {
            std::fs::File::open(&self.password_file)
                .and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text))
        };
        read.map_err(|source| CliError::File {
            act: "read the password from",
            path: self.password_file.clone(),
            source,
        })?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}
