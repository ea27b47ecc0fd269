//! One provider as dispatch sees it: its lanes, what is ready, what is in flight, its rate and circuit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::attempts::Attempts;
use super::ready::Ready;
use super::step::Now;
use crate::domain::settle::RetryPolicy;
use crate::domain::{ItemNumber, Request, RequestNumber, Step, Timestamp};
use crate::provider::{Circuit, LaneId, Provider, Rate, Transactions, Unmatched};

/// What makes a line.
pub struct LineOptions {
    pub provider: Arc<Provider>,
    /// Shared with the provider's lanes.
    pub transactions: Arc<Transactions>,
    pub retry: RetryPolicy,
}

/// A lane's connection as far as dispatch knows.
#[derive(Clone, Copy, Debug)]
pub struct LaneState {
    pub id: LaneId,
    /// The connection that is ready.
    pub connection: Option<u64>,
    /// Frames that are recorded and not handed over yet are gathered by lane.
    pub in_flight: u32,
    /// One that is sent alone is in flight.
    pub has_alone: bool,
}

/// Script errors in a row, each on another card, that pause a provider.
pub const SCRIPT_ERRORS_MAX: usize = 5;

/// One provider's line.
pub struct Line {
    pub provider: Arc<Provider>,
    pub transactions: Arc<Transactions>,
    pub retry: RetryPolicy,
    pub lanes: Vec<LaneState>,
    pub ready: Ready,
    pub attempts: Attempts,
    pub rate: Rate,
    pub circuit: Circuit,
    pub plans: HashMap<RequestNumber, Arc<Vec<Step>>>,
    /// When each request that may go out became able to, on the line's own clock.
    pub patient_since: HashMap<RequestNumber, Duration>,
    /// When requests are tried again on the monotonic clock, for the recorded instant beside it.
    again: HashMap<RequestNumber, (Timestamp, Duration)>,
    pub script_errors: Streak,
    /// Cards whose frames could not be sent, since one was.
    pub unsendable: Streak,
    /// Too many script errors: nothing begins until the pause that was ordered is recorded.
    pub awaits_pause: bool,
    pub awaits_block: bool,
    /// How many lanes are told to connect.
    pub lanes_up: usize,
    /// The line's clock: runs only while the provider works and a run is open.
    working: Duration,
    working_since: Option<Duration>,
    /// Answers that no command waits for, since this round of sending began.
    pub unmatched: Option<Unmatched>,
    /// Answers to no known attempt, in this minute.
    pub unknown_answers: Option<(Timestamp, u64, String)>,
}

/// Different cards on which the mapping failed in a row.
#[derive(Default)]
pub struct Streak(Vec<ItemNumber>);

impl Streak {
    /// Counts one more; true if it is time to pause the provider, and the count begins anew.
    pub fn fails(&mut self, card: ItemNumber) -> bool {
        if !self.0.contains(&card) {
            self.0.push(card);
        }
        let is_time = self.0.len() >= SCRIPT_ERRORS_MAX;
        if is_time {
            self.0.clear();
        }
        is_time
    }

    pub fn ends(&mut self) {
        self.0.clear();
    }
}

impl Line {
    pub fn new(options: LineOptions, now: Duration) -> Self {
        let LineOptions {
            provider,
            transactions,
            retry,
        } = options;
        let session = &provider.session;
        let range = provider.mapping.description().transaction;
        let numbers = range.max - range.min + 1;
        let lanes = (0..session.lanes)
            .map(|lane| LaneState {
                id: LaneId {
                    provider: provider.number,
                    lane,
                },
                connection: None,
                in_flight: 0,
                has_alone: false,
            })
            .collect();
        Self {
            rate: Rate::new(session.rate_per_s, session.min_gap, now),
            provider,
            transactions,
            retry,
            lanes,
            ready: Ready::default(),
            attempts: Attempts::new(numbers),
            circuit: Circuit::new(),
            plans: HashMap::new(),
            patient_since: HashMap::new(),
            again: HashMap::new(),
            script_errors: Streak::default(),
            unsendable: Streak::default(),
            awaits_pause: false,
            awaits_block: false,
            lanes_up: 0,
            working: Duration::ZERO,
            working_since: None,
            unmatched: None,
            unknown_answers: None,
        }
    }

    /// Lets the line's clock run or stand.
    pub fn set_working(&mut self, is_working: bool, now: Duration) {
        match (is_working, self.working_since) {
            (true, None) => self.working_since = Some(now),
            (false, Some(since)) => {
                self.working += now.saturating_sub(since);
                self.working_since = None;
            }
            _ => {}
        }
    }

    /// The line's clock.
    pub fn worked(&self, now: Duration) -> Duration {
        self.working
            + self
                .working_since
                .map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// How long the request has been first in its queues while the line worked, since its latest event.
    pub fn patience(&self, request: RequestNumber, spent_ms: u64, now: Duration) -> Duration {
        let since = self
            .patient_since
            .get(&request)
            .map_or(Duration::ZERO, |since| {
                self.worked(now).saturating_sub(*since)
            });
        Duration::from_millis(spent_ms) + since
    }

    /// When a request is tried again: reckoned once, so that a wall clock set back costs no second wait; bounded by the
    /// longest wait there is, whatever the wall clock did before.
    pub fn again_at(&mut self, request: &Request, now: Now) -> Duration {
        let longest = Duration::from_hours(1).max(self.retry.delay(u32::MAX, 99));
        let wait = request.again_at.since(now.wall).min(longest);
        let fresh = (request.again_at, now.monotonic + wait);
        let known = self.again.entry(request.number).or_insert(fresh);
        if known.0 != request.again_at {
            *known = fresh;
        }
        known.1
    }

    pub fn lane_mut(&mut self, id: LaneId) -> Option<&mut LaneState> {
        self.lanes.iter_mut().find(|lane| lane.id == id)
    }

    /// The ready lane with the most room. `alone`: one with nothing in flight at all.
    pub fn free_lane(&self, alone: bool) -> Option<LaneState> {
        let window = if alone {
            1
        } else {
            self.provider.session.window
        };
        self.lanes
            .iter()
            .filter(|lane| lane.connection.is_some() && !lane.has_alone && lane.in_flight < window)
            .min_by_key(|lane| lane.in_flight)
            .copied()
    }

    /// An answer came whose key is nobody's.
    pub fn heard_unmatched(&mut self, now: Now, key: &str) {
        let is_first = self.unknown_answers.is_none();
        let awaited = self.attempts.longest_out();
        let unmatched = Unmatched::count(self.unmatched.take(), now.wall, key, awaited);
        if is_first {
            tracing::warn!(provider = self.provider.name, "{}", unmatched.words());
        }
        self.unmatched = Some(unmatched);
    }

    /// Forgets a request that has ended.
    pub fn forget(&mut self, request: RequestNumber) {
        self.ready.forget(request);
        self.plans.remove(&request);
        self.patient_since.remove(&request);
        self.again.remove(&request);
    }
}
