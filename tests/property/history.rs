//! One random history on the stage: acts by a seed, then everything ends, and the promises are looked at.
#![allow(dead_code)] // two binaries use different halves of it

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use pairbox::clock::Clock;
use pairbox::commit::Command;
use pairbox::dispatch::{Input, Mode};
use pairbox::domain::event::{Idempotency, Resolution};
use pairbox::domain::{
    Ambiguous, CardChange, Cardinality, Chance, ItemIdentifier, ItemNumber, Phase, Priority,
    ProviderNumber, Refusal, RequestNumber, Timestamp, View,
};
use pairbox::provider::DownPhase;

use crate::stage::cas::{Answer, Moods};
use crate::stage::model::Stands;
use crate::stage::{After, NORTH, Setting, Stage, mappings, seconds, stb_serial};

const CARDS: u64 = 5;
const STBS: u64 = 4;

pub struct History {
    pub stage: Stage,
    pub chance: Chance,
    /// Draws the changes of cards, so that all else of a seed's history stays as it was.
    changes: Chance,
    /// After a jump of the wall clock some schedules lie far ahead.
    jumped: Duration,
    /// How far the wall clock jumps at most.
    pub jump_max: Duration,
}

impl History {
    pub fn new(seed: u64) -> Self {
        Self::set(seed, |_| {})
    }

    /// Where so many cards and STBs belong together.
    pub fn of(seed: u64, cardinality: Cardinality) -> Self {
        let mut history = Self::set(seed, |setting| {
            let north = &mut setting.providers[0];
            north.cardinality = cardinality;
            setting.policy.gives_way.oldest = seed.is_multiple_of(2);
            if cardinality.adds() {
                north.mapping = mappings::of_sets(&mappings::with_query());
            }
        });
        if cardinality.adds() {
            history.stage.cas.sets = Some(BTreeSet::new());
        }
        history
    }

    /// With another setting than the seed's own.
    pub fn set(seed: u64, change: impl FnOnce(&mut Setting)) -> Self {
        let mut chance = Chance::branch(seed, 1);
        let mut setting = Setting::new();
        setting.seed = seed;
        setting.policy.gives_way.holder = chance.below(3) == 0;
        setting.policy.sends_unknown_unpairs = chance.below(6) == 0;
        if chance.below(5) == 0 {
            setting.mode = Mode::Every(seconds(300));
        }
        let north = &mut setting.providers[0];
        north.retry.ambiguous = match chance.below(5) {
            0 => Ambiguous::Hold,
            1 => Ambiguous::Query,
            _ => Ambiguous::Resend,
        };
        if chance.below(3) == 0 {
            north.retry.give_up_after = seconds(600);
        }
        north.retry.jitter_percent = 20;
        north.mapping = mappings::with_query();
        if chance.below(3) == 0 {
            north.mapping = mappings::two_steps(&north.mapping);
        }
        north.overrides.window = Some([1, 2, 64][chance.below(3) as usize]);
        north.overrides.lanes = Some(1 + chance.below(2) as u8);
        change(&mut setting);
        let mut stage = Stage::new(setting).with_items("SC-1", 5);
        let mild = chance.below(3) == 0;
        let share = |chance: &mut Chance, most| {
            if mild {
                0
            } else {
                u32::try_from(chance.below(most)).unwrap()
            }
        };
        let moods = Moods {
            late: share(&mut chance, 25),
            lost: share(&mut chance, 20),
            refused: share(&mut chance, 15),
            busy: share(&mut chance, 15),
            doubled: share(&mut chance, 15),
            fatal: share(&mut chance, 4),
        };
        stage.cas.moods = Some((moods, Chance::branch(seed, 2)));
        Self {
            stage,
            chance,
            changes: Chance::branch(seed, 3),
            jumped: Duration::ZERO,
            jump_max: seconds(100_000),
        }
    }

    pub fn run(&mut self) {
        let acts = 20 + self.chance.below(60);
        for _ in 0..acts {
            self.act();
            if self.changes.below(6) == 0 {
                self.change_card();
            }
            self.breathe();
        }
        self.end();
    }

    /// Works on the history; if that panics, prints what happened before.
    pub fn told(&mut self, work: impl FnOnce(&mut Self)) {
        let result = catch_unwind(AssertUnwindSafe(|| work(self)));
        if let Err(panic) = result {
            for line in &self.stage.log {
                println!("{line}");
            }
            resume_unwind(panic);
        }
    }

    /// Everything ends that can, and all promises are looked at.
    pub fn end(&mut self) {
        self.drain();
        self.stage.check();
        self.stage.check_rebuild();
        self.check_against_the_cas();
    }

    pub fn note(&mut self, text: String) {
        self.stage.log.push(text);
    }

    pub fn act(&mut self) {
        match self.chance.below(100) {
            0..=44 => self.ask(),
            45..=49 => self.cancel(),
            50..=53 => self.hasten(),
            54..=57 => self.resolve_one(),
            58..=59 => self.retry(),
            60..=62 => self.pause_or_resume(),
            63..=80 => {
                let span = Duration::from_millis(self.chance.below(20_000));
                self.note(format!("advance {span:?}"));
                self.stage.advance(span);
            }
            81..=83 => {
                let span = seconds(self.chance.below(2_000));
                self.note(format!("leap {span:?}"));
                self.stage.leap(span);
            }
            84..=87 => self.jump(),
            88..=92 => {
                let mut lane = NORTH;
                lane.lane = self.chance.below(2) as u8;
                let keeps = self.chance.below(3) == 0;
                self.note(format!("lose connection {lane} stuck {keeps}"));
                self.stage.lose_connection(lane, DownPhase::Established);
                if let Some(lane) = self.stage.lanes.get_mut(&lane) {
                    lane.is_stuck = keeps;
                }
            }
            93..=95 => self.crash(),
            96 => {
                self.note("keep a copy of the state".into());
                self.stage.keep_copy();
            }
            97 => {
                self.note("run".into());
                self.stage.step(Input::Run);
            }
            _ => {
                let is_up = self.stage.cas.is_up;
                self.note(format!("CAS up: {}", !is_up));
                self.stage.cas.is_up = !is_up;
                if is_up {
                    self.stage.lose_connection(NORTH, DownPhase::Keepalive);
                    let other = pairbox::provider::LaneId { lane: 1, ..NORTH };
                    self.stage.lose_connection(other, DownPhase::Keepalive);
                }
            }
        }
    }

    /// A few of the many things that may happen next, in any order, or all of them.
    pub fn breathe(&mut self) {
        match self.chance.below(4) {
            0 => {
                for _ in 0..self.chance.below(6) {
                    match self.chance.below(3) {
                        0 => self.stage.turn(),
                        1 => {
                            self.stage.tell();
                        }
                        _ => {
                            self.stage.pump();
                        }
                    }
                }
            }
            1 => {}
            _ => {
                self.stage.settle();
                self.stage.check();
            }
        }
    }

    pub fn ask(&mut self) {
        let card = self.chance.below(CARDS) as u32;
        let stb = (self.chance.below(4) > 0).then(|| self.chance.below(STBS) as u32);
        let scheduled = match self.chance.below(6) {
            0 => Some(
                self.stage
                    .clock
                    .now()
                    .plus(seconds(self.chance.below(4_000))),
            ),
            1 => Some(
                self.stage
                    .clock
                    .now()
                    .minus(seconds(self.chance.below(4_000))),
            ),
            _ => None,
        };
        let is_immediate = scheduled.is_none() && self.chance.below(5) == 0;
        let priority = if self.chance.below(4) == 0 {
            Priority::Express
        } else {
            Priority::Regular
        };
        let key = (self.chance.below(3) == 0).then(|| self.chance.below(40));
        let idempotency = key.map(|key| Idempotency {
            key: format!("key {key}"),
            digest: format!("{card} {stb:?}"),
        });
        let adds = self.cardinality().adds();
        let from = (adds && stb.is_none() && self.changes.below(3) > 0)
            .then(|| stb_serial(self.changes.below(STBS) as u32));
        let moves = adds && self.changes.below(6) == 0;
        let result = self.stage.ask(card, stb, |call| {
            call.from = from.clone().map(ItemIdentifier::SerialNumber);
            call.moves = moves;
            call.idempotency = idempotency;
            call.scheduled = scheduled;
            call.is_immediate = is_immediate;
            call.priority = priority;
        });
        self.note(format!(
            "ask card {card} stb {stb:?} from {from:?} moves {moves} scheduled {scheduled:?}: {result:?}"
        ));
        assert_ne!(
            result,
            Err(Refusal::Changed),
            "nobody else changes anything"
        );
    }

    /// Products or a PIN, at any place between the pairings of the card.
    fn change_card(&mut self) {
        let card = self.changes.below(CARDS) as u32;
        let products = (0..=self.changes.below(3)).map(|at| format!("P{at}").into());
        let change = match self.changes.below(3) {
            0 => CardChange::AddProducts(products.collect()),
            1 => CardChange::CancelProducts(products.collect()),
            _ => CardChange::ResetPin,
        };
        let result = self.stage.change_card(card, change.clone());
        self.note(format!("card {card} {change:?}: {result:?}"));
        assert_ne!(result, Err(Refusal::Changed));
    }

    fn some(&mut self, has: impl Fn(Phase) -> bool) -> Option<RequestNumber> {
        let view = self.stage.state().view();
        let all: Vec<RequestNumber> = self
            .stage
            .model
            .requests
            .keys()
            .copied()
            .filter(|number| view.request(*number).is_some_and(|row| has(row.phase)))
            .collect();
        drop(view);
        let at = self.chance.below(all.len() as u64) as usize;
        all.get(at).copied()
    }

    fn cancel(&mut self) {
        if let Some(number) = self.some(|phase| !phase.is_finished()) {
            let result = self.stage.cancel(number);
            self.note(format!("cancel {number}: {result:?}"));
        }
    }

    fn hasten(&mut self) {
        if let Some(request) = self.some(|phase| !phase.is_finished()) {
            let result = self.stage.order(Command::Hasten { request });
            self.note(format!("hasten {request}: {result:?}"));
        }
    }

    fn retry(&mut self) {
        let Some(number) = self.some(|phase| phase == Phase::Rejected) else {
            return;
        };
        let view = self.stage.state().view();
        let row = view.request(number).unwrap();
        let card = row.card.0 as u32 - 1;
        let stb = row.stb.map(|stb| stb.0 as u32 - 6);
        let change = row.card_change.as_deref().cloned();
        let from = row.from.map(|stb| stb_serial(stb.0 as u32 - 6));
        let moves = !row.is_beside;
        drop(view);
        let result = self.stage.ask(card, stb, |call| {
            call.from = from.map(ItemIdentifier::SerialNumber);
            call.moves = moves;
            call.retries = Some(number);
            call.card_change = change;
        });
        self.note(format!("retry {number}: {result:?}"));
    }

    fn resolve_one(&mut self) {
        let open = |phase| matches!(phase, Phase::Held | Phase::InDoubt);
        if let Some(number) = self.some(open) {
            self.resolve(number);
        }
    }

    /// The operator looks at what the CAS holds and says so.
    fn resolve(&mut self, number: RequestNumber) {
        let request = self.stage.request(number);
        let held = self.stage.cas.stbs_of(&request.card_ca[..10]);
        let is_held = |stb: ItemNumber| held.contains(&on_wire(stb));
        let leaves_none = !request.leaves.iter().any(is_held);
        let holds = match request.stb {
            Some(stb) => is_held(stb) && leaves_none,
            None if self.cardinality().adds() => leaves_none,
            None => held.is_empty(),
        };
        let resolution = match (self.chance.below(3), holds) {
            (1, _) if !request.changes_pairing() => Resolution::Done,
            (_, _) if !request.changes_pairing() => Resolution::NotDone,
            (0, _) => Resolution::SendAgain,
            (_, true) => Resolution::Done,
            // Said only where the earlier steps did nothing either.
            (_, false) if request.steps == 1 && self.nothing_applied(number) => Resolution::NotDone,
            _ => Resolution::SendAgain,
        };
        let result = self.stage.resolve(number, resolution);
        self.note(format!("resolve {number} {resolution:?}: {result:?}"));
    }

    fn nothing_applied(&self, number: RequestNumber) -> bool {
        let row = self.stage.request(number);
        let ours = self.stage.model.acknowledged(row.card);
        self.stage.cas.stbs_of(&row.card_ca[..10]) == ours.into_iter().map(on_wire).collect()
    }

    fn cardinality(&self) -> Cardinality {
        self.stage.setting.providers[0].cardinality
    }

    fn pause_or_resume(&mut self) {
        let provider = ProviderNumber(1);
        let row = self.stage.state().view().provider(provider).unwrap();
        let until = (self.chance.below(2) == 0)
            .then(|| self.stage.clock.now().plus(seconds(self.chance.below(500))));
        let command = if row.pause.is_some() {
            Command::Resume { provider }
        } else {
            let reason = "test".into();
            Command::Pause {
                provider,
                reason,
                until,
            }
        };
        self.note(format!("{command:?}"));
        let result = self.stage.order(command);
        assert!(result.is_ok() || self.stage.is_dead(), "{result:?}");
    }

    pub fn jump(&mut self) {
        let span = match self.chance.below(3) {
            0 => Duration::from_millis(self.chance.below(2_000)),
            1 => seconds(self.chance.below(5_000)),
            _ => seconds(self.chance.below(self.jump_max.as_secs())),
        };
        let now = self.stage.clock.now();
        let to = if self.chance.below(2) == 0 {
            now.plus(span)
        } else {
            self.jumped += span;
            now.minus(span)
        };
        self.note(format!("the wall clock goes from {now} to {to}"));
        self.stage.set_wall(to);
    }

    fn crash(&mut self) {
        let after = match self.chance.below(4) {
            0 => After::Deleted,
            1 => After::Older,
            _ => After::AsItIs,
        };
        if self.chance.below(2) == 0 {
            self.stage.state().move_overlay().unwrap();
        }
        self.note(format!("crash, the state {after:?}"));
        self.stage.crash(after);
    }

    /// With a healthy CAS and nobody in the way, everything ends but what is held and what waits behind it.
    fn drain(&mut self) {
        self.note("drain".into());
        self.stage.cas.moods = None;
        self.stage.cas.usual = Answer::Ok;
        self.stage.cas.is_up = true;
        for lane in self.stage.lanes.values_mut() {
            lane.is_stuck = false;
        }
        self.stage.settle();
        self.stage.step(Input::Run);
        self.stage.settle();
        for _ in 0..30 {
            let provider = ProviderNumber(1);
            let row = self.stage.state().view().provider(provider).unwrap();
            if row.pause.is_some() {
                self.note("resume".into());
                self.stage.order(Command::Resume { provider }).unwrap();
            }
            self.wait_out();
            let held: Vec<RequestNumber> = self
                .stage
                .model
                .requests
                .iter()
                .filter(|(_, known)| known.stands == Stands::Held)
                .map(|(number, _)| *number)
                .collect();
            for number in self.stage.model.unfinished() {
                assert!(
                    self.stage.model.is_behind_held(number),
                    "request {number} does not end: {:#?}",
                    self.stage.request(number)
                );
            }
            if held.is_empty() {
                return;
            }
            for number in held {
                self.resolve(number);
            }
        }
        panic!(
            "held requests without end: {:?}",
            self.stage.model.unfinished()
        );
    }

    /// Small steps while answers and retries come, then past every schedule.
    fn wait_out(&mut self) {
        self.stage.advance(seconds(150));
        for _ in 0..40 {
            if self.stage.model.unfinished().is_empty() {
                return;
            }
            self.stage.leap(seconds(200));
        }
        // To what was scheduled before the clock was set back.
        let last = self.last_due();
        if last > self.stage.clock.now() {
            self.note(format!("the wall clock goes to {last}"));
            self.stage.set_wall(last.plus(seconds(1)));
            self.stage.leap(seconds(2));
        }
        for _ in 0..40 {
            self.stage.leap(seconds(200));
        }
    }

    fn last_due(&self) -> Timestamp {
        let unfinished = self.stage.model.unfinished();
        let due = unfinished
            .iter()
            .map(|number| self.stage.model.requests[number].place.due);
        due.max().unwrap_or(Timestamp::ZERO)
    }

    /// What is paired without doubt is paired so in the CAS.
    fn check_against_the_cas(&self) {
        let view = self.stage.state().view();
        for card in view.cards() {
            let Some(pairing) = view.pairing(card).filter(|row| !row.is_in_doubt()) else {
                continue;
            };
            let wire = format!("0190{:06}", card.0 - 1);
            let ours: BTreeSet<String> = pairing.acknowledged().map(on_wire).collect();
            assert_eq!(
                self.stage.cas.stbs_of(&wire),
                ours,
                "card {card}: the CAS on the left, the recorded pairing on the right"
            );
        }
    }
}

/// An STB as the CAS knows it.
fn on_wire(stb: ItemNumber) -> String {
    format!("{:010}", 1_000 + stb.0 - 6)
}
