//! The end of the process after an I/O error of the ledger or the state: exit 74 with the reason, nobody answered.
//!
//! Clients see a closed connection, which means unknown; the service manager starts the process again.

use std::io::Write;

/// The exit code for an input/output error (`EX_IOERR` of sysexits.h).
pub const EXIT_IO_ERROR: i32 = 74;

/// Ends the process at once.
pub fn fatal(reason: &str) -> ! {
    tracing::error!(
        reason,
        "the process ends: what it would answer next could not be kept"
    );
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "pairbox: fatal: {reason}");
    let _ = stderr.flush();
    std::process::exit(EXIT_IO_ERROR)
}
