//! The threads of the process: each has a name, ends when asked, and is listed in `status`.

use std::thread::{Builder, JoinHandle};

use super::ServiceError;

/// All threads that were started.
#[derive(Default)]
pub struct Threads {
    running: Vec<(String, JoinHandle<()>)>,
}

/// Stack of threads that call no script, in bytes.
const STACK_BYTES: usize = 512 * 1024;

impl Threads {
    /// Starts a thread; `stack_bytes` zero is the small default.
    pub fn start(
        &mut self,
        name: &str,
        stack_bytes: usize,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), ServiceError> {
        let stack = stack_bytes.max(STACK_BYTES);
        // The kernel keeps 15 bytes of a thread's name; ours are told apart by their beginning.
        let handle = Builder::new()
            .name(name.to_owned())
            .stack_size(stack)
            .spawn(work)
            .map_err(ServiceError::Thread)?;
        self.running.push((name.to_owned(), handle));
        Ok(())
    }

    pub fn names(&self) -> Vec<String> {
        self.running.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Waits for the threads of this name.
    pub fn join(&mut self, name: &str) {
        let (ending, running) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|(other, _)| other == name);
        self.running = running;
        join(ending);
    }

    pub fn join_all(&mut self) {
        join(std::mem::take(&mut self.running));
    }
}

fn join(threads: Vec<(String, JoinHandle<()>)>) {
    for (name, handle) in threads {
        if handle.join().is_err() {
            tracing::error!(thread = name, "a thread ended by a panic");
        }
    }
}
