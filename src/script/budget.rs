//! How much one call of a script may use: operations and time, counted by ourselves.
//!
//! rhai's own operation counter starts anew for closures called by native array functions, so `on_progress` ignores it and
//! counts in a thread-local. `Program::call` starts a run, `engine.rs` asks `tick` at every operation.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::error::Bound;

/// Operations of one call; about a tenth of a second.
pub const OPERATIONS_MAX: u64 = 500_000;
/// The net below the operations, for slow native calls; generous because a busy machine stops our thread, too.
pub const TIME_MAX: Duration = Duration::from_secs(1);
/// Lines that one call may print.
pub const PRINTS_MAX: u32 = 20;
/// The clock is asked once in so many operations.
const CLOCK_EVERY: u64 = 256;
/// No call is under way, so no operation is looked at.
const NEVER: u64 = u64::MAX;

/// The bounds of one call.
#[expect(clippy::struct_field_names, reason = "each is the most of something")]
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub operations_max: u64,
    pub time_max: Duration,
    /// Lines that are printed; the others are dropped.
    pub prints_max: u32,
}

impl Budget {
    /// For what needs little and is called where the stack is small.
    pub const SMALL: Self = Self {
        operations_max: 20_000,
        time_max: TIME_MAX,
        prints_max: PRINTS_MAX,
    };
    /// Only [`Stoppable`] ends the call.
    pub const UNBOUNDED: Self = Self {
        operations_max: u64::MAX,
        time_max: Duration::MAX,
        prints_max: PRINTS_MAX,
    };
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            operations_max: OPERATIONS_MAX,
            time_max: TIME_MAX,
            prints_max: PRINTS_MAX,
        }
    }
}

#[derive(Clone, Copy)]
struct Running {
    budget: Budget,
    /// None: it may take as long as it likes.
    deadline: Option<Instant>,
}

/// The operations of the call under way, and which of them `look` is asked at. Beside each other, for `tick` runs at every one.
struct Count {
    operations: Cell<u64>,
    look_at: Cell<u64>,
}

thread_local! {
    static COUNT: Count = const { Count { operations: Cell::new(0), look_at: Cell::new(NEVER) } };
    static RUNNING: Cell<Option<Running>> = const { Cell::new(None) };
    static STOP: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
    static PRINTS: Cell<u32> = const { Cell::new(0) };
    static TRIPPED: Cell<Option<Bound>> = const { Cell::new(None) };
    static SCRIPT: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// A call under way on this thread; dropping it ends the counting.
pub(crate) struct Run(());

impl Run {
    pub(crate) fn start(budget: Budget, script: &Arc<str>) -> Self {
        let now = Instant::now();
        RUNNING.set(Some(Running {
            budget,
            deadline: now.checked_add(budget.time_max),
        }));
        COUNT.with(|count| {
            count.operations.set(0);
            count.look_at.set(next_look(0, budget.operations_max));
        });
        PRINTS.set(0);
        TRIPPED.set(None);
        SCRIPT.with_borrow_mut(|name| *name = Some(Arc::clone(script)));
        Self(())
    }

    /// Lines that the latest call on this thread wanted printed.
    pub(crate) fn prints() -> u32 {
        PRINTS.get()
    }

    /// The bound that ended the call, if one did.
    pub(crate) fn tripped() -> Option<Bound> {
        TRIPPED.get()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        COUNT.with(|count| count.look_at.set(NEVER));
        RUNNING.set(None);
        SCRIPT.with_borrow_mut(|name| *name = None);
    }
}

/// Calls on this thread end when the flag is set, as long as it lives.
pub(crate) struct Stoppable(());

impl Stoppable {
    pub(crate) fn until(stop: Arc<AtomicBool>) -> Self {
        STOP.set(Some(stop));
        Self(())
    }
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        STOP.set(None);
    }
}

fn is_stopped() -> bool {
    let is_set = |stop: &Arc<AtomicBool>| stop.load(Ordering::Relaxed);
    STOP.with_borrow(|stop| stop.as_ref().is_some_and(is_set))
}

/// Counts one operation; true says that the script must stop.
pub(crate) fn tick() -> bool {
    COUNT.with(|count| {
        let operations = count.operations.get() + 1;
        count.operations.set(operations);
        operations >= count.look_at.get() && look(count, operations)
    })
}

/// The next operation after `operations` at which the clock is asked, or the bound is passed.
fn next_look(operations: u64, operations_max: u64) -> u64 {
    let clock_at = (operations / CLOCK_EVERY + 1) * CLOCK_EVERY;
    clock_at.min(operations_max.saturating_add(1))
}

/// Holds the call against its bounds.
#[cold]
fn look(count: &Count, operations: u64) -> bool {
    let Some(running) = RUNNING.get() else {
        return false;
    };
    count
        .look_at
        .set(next_look(operations, running.budget.operations_max));
    if operations > running.budget.operations_max {
        TRIPPED.set(Some(Bound::Operations(running.budget.operations_max)));
        return true;
    }
    if !operations.is_multiple_of(CLOCK_EVERY) {
        return false;
    }
    if is_stopped() {
        TRIPPED.set(Some(Bound::Stopped));
        return true;
    }
    if running
        .deadline
        .is_some_and(|deadline| Instant::now() > deadline)
    {
        let millis = u64::try_from(running.budget.time_max.as_millis()).unwrap_or(u64::MAX);
        TRIPPED.set(Some(Bound::TimeMs(millis)));
        return true;
    }
    false
}

/// Hands a printed line to `write` with the script's name, until the call has printed its share.
pub(crate) fn printed(write: impl FnOnce(&str)) {
    let count = PRINTS.get().saturating_add(1);
    PRINTS.set(count);
    let most = RUNNING
        .get()
        .map_or(PRINTS_MAX, |running| running.budget.prints_max);
    if count <= most {
        SCRIPT.with_borrow(|name| write(name.as_deref().unwrap_or("")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_beyond_the_budget_trip() {
        let script: Arc<str> = Arc::from("test");
        let budget = Budget {
            operations_max: 3,
            ..Budget::default()
        };
        let run = Run::start(budget, &script);
        assert!(!tick() && !tick() && !tick());
        assert!(tick());
        assert_eq!(Run::tripped(), Some(Bound::Operations(3)));
        drop(run);
        assert!(!tick(), "no run, no bound");
        let budget = Budget {
            operations_max: CLOCK_EVERY + 44,
            ..Budget::default()
        };
        let run = Run::start(budget, &script);
        assert!((0..budget.operations_max).all(|_| !tick()));
        assert!(tick() && tick(), "and it stays so");
        drop(run);
        let budget = Budget {
            time_max: Duration::ZERO,
            ..Budget::default()
        };
        let _run = Run::start(budget, &script);
        let started = Instant::now();
        while started.elapsed().is_zero() {}
        assert!((1..CLOCK_EVERY).all(|_| !tick()));
        assert!(tick(), "the clock is asked once in so many");
        assert_eq!(Run::tripped(), Some(Bound::TimeMs(0)));
    }
}
