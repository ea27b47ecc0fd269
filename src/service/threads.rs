//! The threads of the process: each has a name, ends when asked, and is listed in `status`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::ServiceError;
use crate::actions::status::{ThreadReport, ThreadsShown};

/// All threads that were started.
#[derive(Default)]
pub struct Threads {
    running: Vec<(String, JoinHandle<()>)>,
    /// For `status`: every thread that was started and not waited for, and how it is.
    shown: Arc<Mutex<Vec<Shown>>>,
}

/// A thread's name, and how it is.
type Shown = (String, Arc<AtomicU8>);

const RUNNING: u8 = 0;
const ENDED: u8 = 1;
const PANICKED: u8 = 2;

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
        let state = Arc::new(AtomicU8::new(RUNNING));
        let (becomes, named) = (state.clone(), name.to_owned());
        let work = move || {
            let result = catch_unwind(AssertUnwindSafe(work));
            let is_panic = result.is_err();
            if is_panic {
                tracing::error!(thread = named, "a thread ended by a panic");
            }
            becomes.store(if is_panic { PANICKED } else { ENDED }, Ordering::Relaxed);
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
        shown.retain(|(other, state)| other != name || state.load(Ordering::Relaxed) == RUNNING);
        shown.push((name.to_owned(), state));
        Ok(())
    }

    /// Lists the threads for `status`.
    pub fn shown(&self) -> ThreadsShown {
        let shown = self.shown.clone();
        Box::new(move || {
            let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            let word = |state: &AtomicU8| match state.load(Ordering::Relaxed) {
                RUNNING => "running",
                PANICKED => "panicked",
                _ => "ended",
            };
            shown
                .iter()
                .map(|(name, state)| ThreadReport {
                    name: name.clone(),
                    state: word(state).into(),
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
        }
    }
    all_ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panicked_is_shown_and_one_that_ended_as_asked_is_not() {
        let mut threads = Threads::default();
        threads.start("sound", 0, || {}).unwrap();
        threads.start("broken", 0, || panic!("a test")).unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        assert!(threads.join("sound", until));
        let show = threads.shown();
        while show()[0].state == "running" {
            assert!(Instant::now() < until);
            std::thread::yield_now();
        }
        let shown = show();
        assert_eq!(shown.len(), 1);
        assert_eq!((&*shown[0].name, &*shown[0].state), ("broken", "panicked"));
    }
}
