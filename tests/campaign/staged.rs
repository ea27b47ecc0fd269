//! Random histories on the stage (everything of the box in one thread, on a disk and a clock that obey) as rounds of a
//! fault: what goes wrong is drawn between the acts, and the verdict is the one of all rounds.

use std::time::{Duration, Instant};

use pairbox::domain::Chance;

use crate::history::History;
use crate::stage::{After, Setting, Stage};
use crate::verdict::{Asked, Left, Verdict, judge};
use crate::wire::{Sent, Wire};

/// Segments that a history fills several of.
const SEGMENT_BYTES: u64 = 160 << 10;

/// A history and the chance of its fault.
pub struct Staged {
    pub history: History,
    pub chance: Chance,
    /// Of each start that followed a fault.
    pub recoveries: Vec<Duration>,
}

impl Staged {
    pub fn on_a_disk_that_fails(seed: u64) -> Self {
        Self::set(seed, |setting| {
            setting.may_fail = true;
            setting.segment_bytes = SEGMENT_BYTES;
        })
    }

    pub fn set(seed: u64, change: impl FnOnce(&mut Setting)) -> Self {
        Self {
            history: History::set(seed, change),
            chance: Chance::branch(seed, 3),
            recoveries: Vec::new(),
        }
    }

    /// The process starts again, on what is there of the state.
    pub fn start_again(&mut self) {
        let after = match self.fate_of_the_state() {
            // What the kernel has of the state is whole, whoever dies.
            After::Torn(_) => After::AsItIs,
            after => after,
        };
        let began = Instant::now();
        self.history.told(|history| {
            history.note(format!("start again, the state {after:?}"));
            history.stage.crash(after);
        });
        self.recoveries.push(began.elapsed());
    }

    /// The machine loses its power and starts again.
    pub fn lose_power(&mut self) {
        let after = self.fate_of_the_state();
        let seed = self.chance.draw();
        let began = Instant::now();
        self.history
            .told(|history| history.stage.lose_power(seed, after));
        self.recoveries.push(began.elapsed());
    }

    fn fate_of_the_state(&mut self) -> After {
        match self.chance.below(5) {
            0 => After::Deleted,
            1 => After::Older,
            2 => After::Torn(self.chance.draw()),
            _ => After::AsItIs,
        }
    }

    /// Lets everything end that can, and judges what the stage left.
    pub fn judge(mut self) -> (Verdict, Vec<Duration>) {
        self.history.told(History::end);
        let stage = &mut self.history.stage;
        stage.end();
        let acknowledged = acknowledged(stage);
        let judged = judge(&Left {
            data: &stage.data(),
            acknowledged: &acknowledged,
            // A key is used again there when a day has passed.
            unanswered: None,
            wires: &[wire(stage)],
            ended: None,
        });
        (judged.verdict, self.recoveries)
    }
}

fn acknowledged(stage: &Stage) -> std::collections::BTreeMap<u64, Asked> {
    let asked = stage.acknowledged.iter().map(|(number, wanted)| {
        let (card, stb) = (wanted.card.clone(), wanted.stb.clone());
        (number.0, Asked { card, stb })
    });
    asked.collect()
}

/// What the stage's CAS heard and said.
fn wire(stage: &Stage) -> Wire {
    let heard = stage.cas.heard.iter().map(|heard| Sent {
        transaction: heard.transaction,
        card: heard.card.clone(),
        stb: heard.stb.clone(),
    });
    Wire {
        provider: 1,
        heard: heard.collect(),
        confirmed: stage.cas.said.confirmed.clone(),
    }
}
