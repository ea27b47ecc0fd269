//! The threads of the process: each has a name, ends when asked, and is listed in `status`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::ServiceError;
use crate::actions::status::{ThreadReport, ThreadsShown};

/// All threads that were started.
#[derive(Default)]
pub struct Threads {
    running: Vec<(String, JoinHandle<()>)>,
    /// For `status`: every thread that was started and not waited for, and whether it has ended.
    shown: Arc<Mutex<Vec<Shown>>>,
}

/// A thread's name, and whether it has ended.
type Shown = (String, Arc<AtomicBool>);

/// Stack of threads that call no script, in bytes.
const STACK_BYTES: usize = 512 * 1024;

/// How often a thread that is to end is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

impl Threads {
    /// Starts a thread; `stack_bytes` zero is the small default.
    pub fn start(
        &mut self,
        name: &str,
        stack_bytes: usize,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), ServiceError> {
        let stack = stack_bytes.max(STACK_BYTES);
        let ended = Arc::new(AtomicBool::new(false));
        let ends = ended.clone();
        let work = move || {
            work();
            ends.store(true, Ordering::Relaxed);
        };
        // The kernel keeps 15 bytes of a thread's name; ours are told apart by their beginning.
        let handle = Builder::new()
            .name(name.to_owned())
            .stack_size(stack)
            .spawn(work)
            .map_err(ServiceError::Thread)?;
        self.running.push((name.to_owned(), handle));
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that this one follows are no news any more.
        shown.retain(|(other, ended)| other != name || !ended.load(Ordering::Relaxed));
        shown.push((name.to_owned(), ended));
        Ok(())
    }

    /// Lists the threads for `status`.
    pub fn shown(&self) -> ThreadsShown {
        let shown = self.shown.clone();
        Box::new(move || {
            let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            let state = |ended: &AtomicBool| {
                if ended.load(Ordering::Relaxed) {
                    "ended"
                } else {
                    "running"
                }
            };
            shown
                .iter()
                .map(|(name, ended)| ThreadReport {
                    name: name.clone(),
                    state: state(ended).into(),
                })
                .collect()
        })
    }

    /// Waits for the threads of this name, at most until `until`; whether they ended.
    pub fn join(&mut self, name: &str, until: Instant) -> bool {
        let (ending, running) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|(other, _)| other == name);
        self.running = running;
        let all_ended = join(ending, until);
        if all_ended {
            // What was asked to end and did is not listed any more.
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            shown.retain(|(other, _)| other != name);
        }
        all_ended
    }

    pub fn join_all(&mut self, until: Instant) -> bool {
        join(std::mem::take(&mut self.running), until)
    }
}

/// A thread that does not end in time is left to the end of the process.
fn join(threads: Vec<(String, JoinHandle<()>)>, until: Instant) -> bool {
    let mut all_ended = true;
    for (name, handle) in threads {
        while !handle.is_finished() && Instant::now() < until {
            std::thread::sleep(LOOK_EVERY);
        }
        if !handle.is_finished() {
            tracing::warn!(thread = name, "a thread did not end in time");
            all_ended = false;
        } else if handle.join().is_err() {
            tracing::error!(thread = name, "a thread ended by a panic");
        }
    }
    all_ended
}
