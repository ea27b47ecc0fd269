//! A bulk job as it was handed in, and the chunks of its rows.

use serde::{Deserialize, Serialize};

use crate::domain::job::RowEnding;
use crate::domain::{JobNumber, Position};

/// A job as it was handed in. Script and input lie in `jobs/<folder>/` of the data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFields {
    pub folder: String,
    /// The script as its caller named it, and its bytes' SHA-256.
    pub script: String,
    pub script_sha256: String,
    /// The input as its caller named it, and the SHA-256 of the rows that were made of it.
    pub input: String,
    pub input_sha256: String,
    pub rows: u64,
    /// Where the first row begins.
    pub byte: u64,
    /// The arguments as JSON text, with the script's defaults.
    pub args: String,
    pub chunk_rows: u32,
    /// Rows a second; 0 is no limit.
    pub rate_per_s: u32,
    /// Failed rows that pause it; 0 is never.
    pub stop_after: u64,
}

/// The rows of one chunk, each with its ending, and where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobChunk {
    pub number: JobNumber,
    /// The chunk before.
    pub before: Position,
    pub from_row: u64,
    pub from_byte: u64,
    pub endings: Vec<RowEnding>,
    pub to_byte: u64,
}
