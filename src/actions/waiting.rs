//! Callers that wait for the CAS (`process_immediately`, `--wait`): parked here, never on a worker.
//!
//! A waiter is told once: when its request ends, when it cannot end soon (held, in doubt), or when its time is up. One
//! thread of `service.rs` runs `Waiting::run`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use crate::clock::Clock;
use crate::commit::Mailbox;
use crate::domain::{Phase, RequestNumber, View};
use crate::store::State;

/// Called once on the waiting thread.
pub type Told = Box<dyn FnOnce() + Send>;

struct Waiter {
    until: Duration,
    told: Told,
}

/// The parked callers, by request.
#[derive(Default)]
struct Parked {
    waiters: HashMap<RequestNumber, Vec<Waiter>>,
    /// Nobody looks any more: whoever comes is told at once.
    is_closed: bool,
}

/// The room where callers wait.
pub struct Waiting {
    parked: Mutex<Parked>,
    limit: AtomicUsize,
    ring: Sender<()>,
    bell: Receiver<()>,
    looked_at: Mutex<Duration>,
}

/// How often all waiters are looked at, whatever was touched.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Waiting {
    /// At most `limit` callers wait at once.
    pub fn new(limit: usize) -> Self {
        let (ring, bell) = bounded(1);
        Self {
            parked: Mutex::default(),
            limit: AtomicUsize::new(limit),
            ring,
            bell,
            looked_at: Mutex::new(Duration::ZERO),
        }
    }

    /// Another limit, for callers to come.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Parks a caller until `until` on the monotonic clock; `told` is called at once if the room is full or
    /// closed.
    pub fn park(&self, request: RequestNumber, until: Duration, told: Told) {
        let mut parked = self.lock();
        if parked.is_closed || parked.count() >= self.limit.load(Ordering::Relaxed) {
            drop(parked);
            return told();
        }
        parked
            .waiters
            .entry(request)
            .or_default()
            .push(Waiter { until, told });
        drop(parked);
        // It may have settled already: everything is looked at once more.
        *self
            .looked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Duration::ZERO;
        let _ = self.ring.try_send(());
    }

    /// How many wait now.
    pub fn count(&self) -> usize {
        self.lock().count()
    }

    /// Watches the mailbox until `stop`; then everyone is told, and so is whoever comes later.
    pub fn run(
        &self,
        mailbox: &Mailbox,
        state: &Arc<State>,
        clock: &dyn Clock,
        stop: &Receiver<()>,
    ) {
        loop {
            let now = clock.monotonic();
            let deadline = self.next_deadline();
            if deadline.is_none() {
                // Whoever parks rings; until then a group that is recorded wakes nobody here.
                mailbox.set_open(false);
            }
            let next = deadline.map_or(Duration::from_hours(1), |until| {
                until.saturating_sub(now).min(LOOK_EVERY)
            });
            select! {
                recv(stop) -> _ => break,
                recv(mailbox.bell()) -> _ => {}
                recv(self.bell) -> _ => {}
                default(next) => {}
            }
            mailbox.set_open(true);
            let touched = mailbox.take().touched;
            for told in self.due(state, clock.monotonic(), &touched) {
                told();
            }
        }
        let left = self.close();
        for waiter in left.into_values().flatten() {
            (waiter.told)();
        }
    }

    /// Those whose request was touched and has settled, or whose time is up. What is behind a request that was held since is
    /// found by the look at all that comes every [`LOOK_EVERY`].
    fn due(&self, state: &State, now: Duration, touched: &[RequestNumber]) -> Vec<Told> {
        let mut parked = self.lock();
        let waiters = &mut parked.waiters;
        if waiters.is_empty() {
            return Vec::new();
        }
        let mut looked_at = self
            .looked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let looks_at_all = now.saturating_sub(*looked_at) >= LOOK_EVERY;
        if looks_at_all {
            *looked_at = now;
        }
        let mut due = Vec::new();
        let numbers: Vec<_> = waiters.keys().copied().collect();
        for number in numbers {
            let is_looked_at = looks_at_all || touched.contains(&number);
            let is_over = is_looked_at && has_settled(state, number);
            let Some(parked) = waiters.get_mut(&number) else {
                continue;
            };
            let (ready, rest): (Vec<_>, Vec<_>) = parked
                .drain(..)
                .partition(|waiter| is_over || waiter.until <= now);
            due.extend(ready.into_iter().map(|waiter| waiter.told));
            *parked = rest;
            if parked.is_empty() {
                waiters.remove(&number);
            }
        }
        due
    }

    fn next_deadline(&self) -> Option<Duration> {
        self.lock()
            .waiters
            .values()
            .flatten()
            .map(|waiter| waiter.until)
            .min()
    }

    /// Takes everyone out, to be told without the lock.
    fn close(&self) -> HashMap<RequestNumber, Vec<Waiter>> {
        let mut parked = self.lock();
        parked.is_closed = true;
        std::mem::take(&mut parked.waiters)
    }

    fn lock(&self) -> MutexGuard<'_, Parked> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parked {
    fn count(&self) -> usize {
        self.waiters.values().map(Vec::len).sum()
    }
}

/// Whether waiting any longer for the request is of no use.
fn has_settled(state: &State, number: RequestNumber) -> bool {
    let view = state.view();
    let Some(request) = view.request(number) else {
        return true;
    };
    match request.phase {
        Phase::Completed | Phase::Rejected | Phase::Held | Phase::InDoubt => true,
        Phase::Pending | Phase::Waiting | Phase::Sending => is_blocked(&view, &request),
    }
}

/// Behind a held or doubtful request of the same card or STB.
fn is_blocked(view: &dyn View, request: &crate::domain::Request) -> bool {
    request.queues().any(|item| {
        view.queue(item)
            .iter()
            .take_while(|place| place.number != request.number)
            .any(|place| {
                view.request(place.number)
                    .is_some_and(|ahead| matches!(ahead.phase, Phase::Held | Phase::InDoubt))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_after_the_room_was_closed_is_told_at_once() {
        let waiting = Arc::new(Waiting::new(8));
        let count = Arc::new(AtomicUsize::new(0));
        let told = || -> Told {
            let count = count.clone();
            Box::new(move || {
                count.fetch_add(1, Ordering::Relaxed);
            })
        };
        // One that is told parks again: nothing may be locked meanwhile.
        let (again, inner) = (waiting.clone(), told());
        let hour = Duration::from_hours(1);
        waiting.park(
            RequestNumber(1),
            hour,
            Box::new(move || again.park(RequestNumber(1), hour, inner)),
        );
        for waiter in waiting.close().into_values().flatten() {
            (waiter.told)();
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
        waiting.park(RequestNumber(2), hour, told());
        assert_eq!(count.load(Ordering::Relaxed), 2);
        assert_eq!(waiting.count(), 0);
    }
}
