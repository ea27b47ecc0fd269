//! How many files and sockets the process may have open: as many as the system lets it.
//!
//! Connections, lanes and the ledger draw from one limit; the usual soft one (1,024) is for programs that call select.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one; what cannot be raised is told and stays.
pub fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, current, maximum, "the limit of open files cannot be raised");
    }
}
