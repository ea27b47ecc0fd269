//! Requests of jobs that no waiting helps: held ones, and those that stand behind a held one. A person decides first.

use std::collections::{HashMap, HashSet};

use crate::domain::{ItemNumber, JobNumber, Phase, View};
use crate::store::State;

/// Requests that one look at the state reads.
const ROWS_A_LOOK: usize = 4_096;

/// How many of one job's requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stuck {
    pub held: u64,
    /// They wait for a held request of the same card or STB.
    pub behind: u64,
}

/// Of all jobs; at the cost of one comparison while nothing is held.
pub fn stuck(state: &State) -> HashMap<JobNumber, Stuck> {
    let mut stuck: HashMap<JobNumber, Stuck> = HashMap::new();
    if state.view().held() == 0 {
        return stuck;
    }
    let numbers = state.view().unfinished();
    let mut requests = Vec::with_capacity(numbers.len());
    for some in numbers.chunks(ROWS_A_LOOK) {
        let view = state.view();
        requests.extend(some.iter().filter_map(|number| view.request(*number)));
    }
    // As the queues of all cards and STBs are ordered.
    requests.sort_unstable_by_key(|request| request.place());
    let mut blocked: HashSet<ItemNumber> = HashSet::new();
    for request in requests {
        let is_held = request.phase == Phase::Held;
        let is_behind = request.queues().any(|item| blocked.contains(&item));
        if !is_held && !is_behind {
            continue;
        }
        blocked.extend(request.queues());
        if let Some(job) = request.job {
            let count = stuck.entry(job).or_default();
            count.held += u64::from(is_held);
            count.behind += u64::from(!is_held);
        }
    }
    stuck
}
