//! The stage: ledger, state, writer and dispatch on one thread, with a clock that stands and a CAS that obeys.
//!
//! The writer is driven by `turn`, dispatch by `step`; nothing happens unless a test says so, and one seed repeats
//! everything. Every synced event goes through the model, and every frame is checked against it before the CAS hears it.
#![allow(dead_code)] // two binaries use different halves of it

#[path = "stage/cas.rs"]
pub mod cas;
#[path = "stage/disk.rs"]
pub mod disk;
#[path = "stage/mappings.rs"]
pub mod mappings;
#[path = "stage/model.rs"]
pub mod model;
#[path = "stage/opening.rs"]
pub mod opening;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::Receiver;

use pairbox::actions::pair::{PairCall, PairDone};
use pairbox::actions::{Actions, PairingPolicy};
use pairbox::clock::{Clock, ManualClock};
use pairbox::commit::{Command, Committed, Door, Mailbox, Responses, Writer};
use pairbox::dispatch::{Dispatcher, Input, Mode, Now, Output};
use pairbox::domain::event::{Event, Resolution};
use pairbox::domain::items::NewItem;
use pairbox::domain::settle::RetryPolicy;
use pairbox::domain::{
    Ambiguous, CardChange, Cardinality, ItemIdentifier, ItemNumber, Phase, Priority, ProcessName,
    ProviderNumber, Refusal, Request, RequestNumber, Timestamp, View,
};
use pairbox::ledger::{LedgerError, Preparer, RealFiles};
use pairbox::provider::{DownPhase, LaneCommand, LaneEvent, LaneId, SessionOverrides};
use pairbox::store::{self, State};
use pairbox::telemetry::Metrics;

use cas::{Cas, Lane};
use disk::Disk;
use model::Model;

pub const SMSGW: &str = include_str!("../../scripts/mappings/smsgw/mapping.rhai");

/// 2026-01-05T08:00:00Z.
pub const START: Timestamp = Timestamp::from_micros(1_767_600_000_000_000);

pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// One CAS as it is configured.
#[derive(Clone)]
pub struct Configured {
    pub name: &'static str,
    pub smartcards: &'static str,
    pub mapping: String,
    pub is_effective: bool,
    pub retry: RetryPolicy,
    pub overrides: SessionOverrides,
    pub cardinality: Cardinality,
}

impl Configured {
    pub fn new(name: &'static str, smartcards: &'static str) -> Self {
        Self {
            name,
            smartcards,
            mapping: SMSGW.to_owned(),
            is_effective: true,
            retry: RetryPolicy {
                delays: vec![seconds(1), seconds(5), seconds(30), seconds(120)],
                jitter_percent: 0,
                give_up_after: seconds(24 * 3600),
                ambiguous: Ambiguous::Resend,
            },
            overrides: SessionOverrides::default(),
            cardinality: Cardinality::ONE_TO_ONE,
        }
    }
}

/// How the stage is set.
#[derive(Clone)]
pub struct Setting {
    pub providers: Vec<Configured>,
    pub mode: Mode,
    pub policy: PairingPolicy,
    pub seed: u64,
    pub segment_bytes: u64,
    /// On a disk that fails when it is told to, and can lose its power.
    pub may_fail: bool,
}

impl Setting {
    /// One provider, `north`, for cards of product `SC-1`.
    pub fn new() -> Self {
        Self {
            providers: vec![Configured::new("north", "SC-1")],
            mode: Mode::Continuous,
            policy: PairingPolicy::default(),
            seed: 1,
            segment_bytes: 1 << 20,
            may_fail: false,
        }
    }

    pub fn north(mut self, change: impl FnOnce(&mut Configured)) -> Self {
        change(&mut self.providers[0]);
        self
    }

    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    pub fn replacing(mut self) -> Self {
        self.policy.gives_way.holder = true;
        self
    }
}

/// What dies in a crash.
struct Live {
    state: Arc<State>,
    writer: Writer,
    door: Door,
    mailbox: Arc<Mailbox>,
    responses: Receiver<Responses>,
    dispatcher: Dispatcher,
    actions: Arc<Actions>,
    preparer: Preparer,
}

/// How a crash leaves the state's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    AsItIs,
    Deleted,
    /// An older copy is put back, if one was kept.
    Older,
    /// Each sector as it was or as it is, from a seed.
    Torn(u64),
}

/// What an item is called by those who ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub card: String,
    /// None unpairs.
    pub stb: Option<String>,
}

pub struct Stage {
    pub setting: Setting,
    pub clock: Arc<ManualClock>,
    pub cas: Cas,
    pub lanes: BTreeMap<LaneId, Lane>,
    pub model: Model,
    pub log: Vec<String>,
    /// Wire level: attempts that are out, with the request and the end of the wait for an answer.
    out: BTreeMap<u64, (RequestNumber, BTreeSet<ItemNumber>, Duration)>,
    inbox: VecDeque<Input>,
    live: Option<Live>,
    kept_copy: Option<u64>,
    folder: tempfile::TempDir,
    pub disk: Disk,
    /// Why the process ended by itself; it is down until `crash` starts it again.
    pub death: Option<String>,
    /// Starts that the disk did not let come up.
    pub starts_failed: u32,
    /// Requests that were answered OK, with what they ask for.
    pub acknowledged: BTreeMap<RequestNumber, Wanted>,
    pub runs_ended: Vec<pairbox::dispatch::RunReport>,
    pub metrics: Arc<Metrics>,
}

impl Stage {
    pub fn new(setting: Setting) -> Self {
        let mut stage = Self {
            setting,
            clock: Arc::new(ManualClock::new(START)),
            cas: Cas::new(),
            lanes: BTreeMap::new(),
            model: Model::default(),
            log: Vec::new(),
            out: BTreeMap::new(),
            inbox: VecDeque::new(),
            live: None,
            kept_copy: None,
            folder: temporary(),
            disk: Disk::default(),
            death: None,
            starts_failed: 0,
            acknowledged: BTreeMap::new(),
            runs_ended: Vec::new(),
            metrics: Arc::default(),
        };
        if stage.setting.may_fail {
            stage.disk = Disk::faulty(&stage.data().join("ledger"));
        }
        stage.open();
        stage
    }

    /// Cards `0..count` of the product and STBs `0..count`.
    pub fn with_items(mut self, product: &str, count: u32) -> Self {
        let cards = (0..count).map(|at| item(product, card_serial(product, at)));
        let stbs = (0..count).map(|at| item("STB-1", stb_serial(at)));
        let command = Command::RegisterItems {
            items: cards.chain(stbs).collect(),
            may_update: false,
        };
        self.order(command).unwrap();
        self.settle();
        self
    }

    pub fn standard(setting: Setting) -> Self {
        Self::new(setting).with_items("SC-1", 24)
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn state(&self) -> &State {
        &self.live().state
    }

    pub fn now(&self) -> Now {
        Now {
            wall: self.clock.now(),
            monotonic: self.clock.monotonic(),
        }
    }

    pub fn request(&self, number: RequestNumber) -> Arc<Request> {
        self.state().view().request(number).unwrap()
    }

    pub fn phase(&self, number: RequestNumber) -> Phase {
        self.request(number).phase
    }

    /// The events of one request, in order.
    pub fn history(&self, number: RequestNumber) -> Vec<Event> {
        let is_of = |event: &&Event| match event {
            Event::RequestAccepted(accepted) | Event::CardChangeAccepted(accepted) => {
                accepted.request == number
            }
            Event::AttemptBegun(begun) => begun.request == number,
            Event::AttemptSettled(settled) => settled.request == number,
            Event::LateAnswer(answer) => answer.request == number,
            Event::RequestEnded { request, .. }
            | Event::RequestHeld { request, .. }
            | Event::RequestHastened { request, .. }
            | Event::RequestResolved { request, .. } => *request == number,
            _ => false,
        };
        self.model.events.iter().filter(is_of).cloned().collect()
    }

    /// The pairings and unpairs that went out so far, as card and STB by number of the item.
    pub fn sent(&self) -> Vec<(u32, Option<u32>)> {
        let number = |heard: &cas::Heard| {
            let card: u32 = heard.card[4..].parse().unwrap();
            let stb = heard
                .stb
                .as_ref()
                .map(|stb| stb.parse::<u32>().unwrap() - 1_000);
            (card, stb)
        };
        let heard = self.cas.heard.iter();
        heard
            .filter(|heard| heard.card_change.is_none())
            .map(number)
            .collect()
    }

    pub fn is_dead(&self) -> bool {
        self.death.is_some()
    }

    /// Hands a command in, lets the writer take it, and answers what came of it; of a dead process, `Stopping`.
    pub fn order(&mut self, command: Command) -> Result<Committed, Refusal> {
        if self.is_dead() {
            return Err(Refusal::Stopping);
        }
        let slot = Arc::new(Mutex::new(None));
        let fill = slot.clone();
        let reply = move |result| {
            *fill.lock().unwrap() = Some(result);
        };
        self.live().door.submit("test", command, Box::new(reply));
        // A small segment takes few commands in one group.
        for _ in 0..TURNS_MAX {
            self.turn();
            if self.is_dead() || slot.lock().unwrap().is_some() {
                break;
            }
        }
        let answer = slot.lock().unwrap().take();
        if self.is_dead() {
            assert_eq!(answer, None, "nobody is answered after an error");
            return Err(Refusal::Stopping);
        }
        answer.expect("an order is answered")
    }

    /// Pairs (or unpairs) through the action that all doors use; does not let dispatch work.
    pub fn ask(
        &mut self,
        card: u32,
        stb: Option<u32>,
        change: impl FnOnce(&mut PairCall),
    ) -> Result<RequestNumber, Refusal> {
        self.ask_of("SC-1", card, stb, change)
    }

    pub fn ask_of(
        &mut self,
        product: &str,
        card: u32,
        stb: Option<u32>,
        change: impl FnOnce(&mut PairCall),
    ) -> Result<RequestNumber, Refusal> {
        let mut call = PairCall {
            family: Some("nagravision".into()),
            card: ItemIdentifier::SerialNumber(card_serial(product, card)),
            stb: stb.map(|stb| ItemIdentifier::SerialNumber(stb_serial(stb))),
            from: None,
            moves: false,
            card_change: None,
            subscription: None,
            scheduled: None,
            priority: Priority::Regular,
            is_immediate: false,
            process_name: ProcessName::WebApi,
            idempotency: None,
            retries: None,
        };
        change(&mut call);
        if self.is_dead() {
            return Err(Refusal::Stopping);
        }
        let slot: Arc<Mutex<Option<Result<PairDone, Refusal>>>> = Arc::default();
        let fill = slot.clone();
        self.live().actions.pair("test", call, move |done| {
            *fill.lock().unwrap() = Some(done);
        });
        for _ in 0..TURNS_MAX {
            if slot.lock().unwrap().is_some() {
                break;
            }
            self.turn();
        }
        let answer = slot.lock().unwrap().take();
        if self.is_dead() {
            assert!(answer.is_none(), "nobody is answered after an error");
            return Err(Refusal::Stopping);
        }
        let number = answer.expect("a call is answered")?.number;
        let card = card_serial(product, card);
        let stb = stb.map(stb_serial);
        self.acknowledged.insert(number, Wanted { card, stb });
        Ok(number)
    }

    /// A change of the card alone, accepted only.
    pub fn change_card(&mut self, card: u32, change: CardChange) -> Result<RequestNumber, Refusal> {
        self.ask(card, None, |call| call.card_change = Some(change))
    }

    /// Accepts and lets everything settle.
    pub fn pair(&mut self, card: u32, stb: u32) -> RequestNumber {
        let number = self.ask(card, Some(stb), |_| {}).unwrap();
        self.settle();
        number
    }

    pub fn unpair(&mut self, card: u32) -> RequestNumber {
        let number = self.ask(card, None, |_| {}).unwrap();
        self.settle();
        number
    }

    /// Accepted only; dispatch has not looked.
    pub fn queue(&mut self, card: u32, stb: Option<u32>) -> RequestNumber {
        self.ask(card, stb, |_| {}).unwrap()
    }

    pub fn cancel(&mut self, request: RequestNumber) -> Result<Committed, Refusal> {
        let reason = "test".into();
        self.order(Command::Cancel { request, reason })
    }

    pub fn resolve(
        &mut self,
        request: RequestNumber,
        resolution: Resolution,
    ) -> Result<Committed, Refusal> {
        let reason = "test".into();
        self.order(Command::Resolve {
            request,
            resolution,
            reason,
        })
    }

    pub fn pause(&mut self) {
        self.order(Command::Pause {
            provider: ProviderNumber(1),
            reason: "test".into(),
            until: None,
        })
        .unwrap();
        self.settle();
    }

    pub fn resume(&mut self) {
        let provider = ProviderNumber(1);
        self.order(Command::Resume { provider }).unwrap();
        self.settle();
    }

    /// One group of the writer; its answers are given, its events go through the model.
    pub fn turn(&mut self) {
        let Some(live) = self.live.as_mut() else {
            return;
        };
        if let Err(error) = live.writer.turn() {
            return self.die(&error);
        }
        while let Ok(responses) = live.responses.try_recv() {
            for (reply, result) in responses {
                reply(result);
            }
        }
        self.catch_up();
    }

    /// The first error of the disk ends the process, before anybody hears anything.
    fn die(&mut self, error: &LedgerError) {
        assert!(self.disk.is_faulty(), "{error}");
        let live = self.live.take().unwrap();
        assert!(
            live.responses.is_empty(),
            "nobody is answered after an error"
        );
        self.log.push(format!("the process ends: {error}"));
        self.death = Some(error.to_string());
    }

    /// Makes the next segment ready, as the thread of its own does; it lives on if the disk refuses.
    pub fn prepare_segment(&mut self) {
        if let Some(live) = &self.live {
            let _ = live.preparer.prepare_once();
        }
    }

    /// Gives dispatch what the writer told.
    pub fn tell(&mut self) -> bool {
        if self.is_dead() {
            return false;
        }
        let notices = self.live().mailbox.take();
        if notices.is_empty() {
            return false;
        }
        self.step(Input::Committed(notices));
        true
    }

    /// One step of dispatch, with everything that it wants done.
    pub fn step(&mut self, input: Input) {
        if self.is_dead() {
            return;
        }
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let now = self.now();
            let live = self.live.as_mut().unwrap();
            let outputs = {
                let was_over = live.dispatcher.run_report().is_over;
                let view = live.state.view();
                let outputs = live.dispatcher.step(&view, now, input);
                let report = live.dispatcher.run_report();
                if report.is_over && !was_over {
                    self.runs_ended.push(report);
                }
                outputs
            };
            for output in outputs {
                match output {
                    Output::Commit(command) => self.live().door.dispatched(command),
                    Output::Lane(lane, command) => inputs.extend(self.lane_command(lane, command)),
                }
            }
        }
    }

    fn lane_command(&mut self, id: LaneId, command: LaneCommand) -> Option<Input> {
        let now = self.clock.monotonic();
        let lane = self.lanes.entry(id).or_default();
        match lane.command(command, now) {
            Ok(events) => {
                self.inbox
                    .extend(events.into_iter().map(|event| Input::Lane(id, event)));
                None
            }
            Err(attempts) => Some(Input::NotTaken(id, attempts)),
        }
    }

    /// Lanes connect, frames leave, answers arrive, each as one event for dispatch.
    pub fn pump(&mut self) -> bool {
        if self.is_dead() {
            return false;
        }
        let now = self.clock.monotonic();
        let ids: Vec<LaneId> = self.lanes.keys().copied().collect();
        for id in ids {
            let is_cas_up = self.cas.is_up;
            let lane = self.lanes.get_mut(&id).unwrap();
            if lane.is_wanted && lane.connection.is_none() && is_cas_up {
                let event = lane.connect(true);
                self.inbox.push_back(Input::Lane(id, event));
            }
            if lane.is_stuck || lane.connection.is_none() {
                continue;
            }
            let timeout = self.cas.reply_timeout;
            let is_stale = lane.waiting.iter().any(|(at, _)| now >= *at + timeout);
            if is_stale {
                // What could not be written for so long: the keepalive has given the connection up.
                self.lose_connection(id, DownPhase::Keepalive);
                continue;
            }
            for (_, frame) in std::mem::take(&mut lane.waiting) {
                self.frame_leaves(id, &frame.body);
            }
        }
        for coming in self.cas.arrived(now) {
            let connection = self
                .lanes
                .get(&coming.lane)
                .and_then(|lane| lane.connection);
            // What comes while the lane is down comes to nobody.
            let Some(connection) = connection else {
                continue;
            };
            self.out.remove(&coming.transaction);
            let event = cas::reply(connection, &coming);
            self.inbox.push_back(Input::Lane(coming.lane, event));
        }
        let Some(input) = self.inbox.pop_front() else {
            return false;
        };
        self.step(input);
        true
    }

    /// Nothing is sent unrecorded, and never two at once for one card or STB.
    fn frame_leaves(&mut self, lane: LaneId, body: &[u8]) {
        let now = self.clock.monotonic();
        let heard = self.cas.hear(lane, body, now);
        let request = self
            .model
            .transactions
            .get(&(lane.provider, heard.transaction))
            .copied();
        let request = request.unwrap_or_else(|| {
            panic!(
                "transaction {} was sent and is not recorded",
                heard.transaction
            )
        });
        let known = &self.model.requests[&request];
        let items = self.model.items(request);
        assert_eq!(
            known.attempts.last().map(|(transaction, ..)| *transaction),
            Some(heard.transaction),
            "only the latest attempt goes out"
        );
        for (transaction, (other, theirs, until)) in &self.out {
            assert!(
                *until <= now || theirs.is_disjoint(&items) || *other == request,
                "requests {other} ({transaction}) and {request} are out together for one item"
            );
        }
        let until = now + self.cas.reply_timeout;
        self.out.insert(heard.transaction, (request, items, until));
    }

    /// The connection of a lane ends.
    pub fn lose_connection(&mut self, id: LaneId, phase: DownPhase) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        if lane.connection.is_none() {
            return;
        }
        let event = lane.down(phase);
        self.out.clear();
        self.inbox.push_back(Input::Lane(id, event));
    }

    /// A failed connect, as a lane reports each of them.
    pub fn fail_connect(&mut self, id: LaneId) {
        let lane = self.lanes.entry(id).or_default();
        if lane.is_wanted && lane.connection.is_none() {
            let event = lane.connect(false);
            self.inbox.push_back(Input::Lane(id, event));
        }
    }

    /// An event of a lane, as the test makes it.
    pub fn lane_says(&mut self, event: LaneEvent) {
        self.inbox.push_back(Input::Lane(NORTH, event));
        self.settle();
    }

    /// Works until nothing happens any more at this instant.
    pub fn settle(&mut self) {
        for _ in 0..20_000 {
            self.turn();
            let was_told = self.tell();
            let has_moved = self.pump();
            if !was_told && !has_moved {
                self.turn();
                if !self.tell() {
                    return;
                }
            }
        }
        panic!("it never comes to rest at {}", self.clock.now());
    }

    /// Moves both clocks, stopping wherever something is due.
    pub fn advance(&mut self, span: Duration) {
        let end = self.clock.monotonic() + span;
        loop {
            let now = self.clock.monotonic();
            if self.is_dead() {
                self.clock.advance(end.saturating_sub(now));
                return;
            }
            let next = [self.live().dispatcher.next_deadline(), self.cas.next_at()];
            let next = next.into_iter().flatten().min().unwrap_or(end);
            let to = next
                .clamp(now, end)
                .max(now + Duration::from_micros(1))
                .min(end);
            self.clock.advance(to.saturating_sub(now));
            self.step(Input::Tick);
            self.settle();
            if to >= end {
                return;
            }
        }
    }

    /// Moves both clocks at once, as after a long pause of the machine.
    pub fn leap(&mut self, span: Duration) {
        self.clock.advance(span);
        self.step(Input::Tick);
        self.settle();
    }

    /// Sets the wall clock, forward or back; dispatch notices on its next tick.
    pub fn set_wall(&mut self, to: Timestamp) {
        self.clock.set_wall(to);
    }

    /// Everything that is not on disk is forgotten, then the service starts again.
    pub fn crash(&mut self, after: After) {
        self.live = None;
        self.death = None;
        self.inbox.clear();
        self.out.clear();
        self.lanes.clear();
        let data = self.data();
        let kept = self.folder.path().join("kept");
        match after {
            After::AsItIs => {}
            After::Deleted => {
                let _ = std::fs::remove_dir_all(data.join("state"));
            }
            After::Torn(seed) => disk::tear(&data.join("state"), &kept, seed),
            After::Older => {
                if self.kept_copy.is_some() {
                    let _ = std::fs::remove_dir_all(data.join("state"));
                    copy_folder(&kept, &data.join("state"));
                }
            }
        }
        self.open();
        self.check();
    }

    /// The machine loses its power: of the ledger there is what was synced, and a chance part of what was not.
    pub fn lose_power(&mut self, seed: u64, after: After) {
        self.log.push(format!("the power goes, seed {seed}"));
        self.live = None;
        let data = self.data();
        self.disk.lose_power(&data.join("ledger"), seed);
        if data.join("state.open").exists() {
            std::fs::write(data.join("state.open"), "another boot").unwrap();
        }
        self.crash(after);
    }

    /// The process is gone for good; its data directory is let go of.
    pub fn end(&mut self) {
        self.live = None;
    }

    /// A clean stop and start.
    pub fn restart(&mut self) {
        self.crash(After::AsItIs);
        self.settle();
    }

    /// Keeps a copy of the state as it is on disk now. Moves the overlay first, and waits for sled's own thread.
    pub fn keep_copy(&mut self) {
        // A crash drops the tree, which writes it out: only then is a copy whole.
        self.crash(After::AsItIs);
        if self.is_dead() {
            return;
        }
        self.state().move_overlay().unwrap();
        self.live = None;
        let kept = self.folder.path().join("kept");
        let _ = std::fs::remove_dir_all(&kept);
        copy_folder(&self.data().join("state"), &kept);
        self.kept_copy = Some(self.model.seq);
        self.inbox.clear();
        self.out.clear();
        self.lanes.clear();
        self.open();
    }

    /// Compares the live state with the model, as often as wanted.
    pub fn check(&self) {
        if self.is_dead() {
            return;
        }
        let view = self.state().view();
        self.model.compare(&view);
        for number in self.acknowledged.keys() {
            assert!(
                self.model.requests.contains_key(number),
                "request {number} was answered OK and is gone"
            );
        }
    }

    /// The state as it is, and as the ledger alone gives it, byte for byte; and the chain.
    pub fn check_rebuild(&self) {
        let reader =
            pairbox::ledger::Reader::open(&self.data().join("ledger"), Arc::new(RealFiles))
                .unwrap();
        let verified = reader.verify(&mut |_| {}).unwrap();
        assert_eq!(verified.last_seq, self.model.seq);
        let scratch = temporary();
        let (rebuilt, _) = pairbox::commit::rebuild(scratch.path(), 1 << 20, &reader, &mut |_| {
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        let dump = |state: &State| {
            let mut bytes = Vec::new();
            store::dump(state, &mut bytes).unwrap().unwrap();
            String::from_utf8(bytes).unwrap()
        };
        let (live, again) = (dump(self.state()), dump(&rebuilt));
        if live != again {
            let differing = live.lines().zip(again.lines()).find(|(a, b)| a != b);
            panic!("the rebuilt state is another one: {differing:#?}");
        }
        self.model.compare(&rebuilt.view());
    }

    fn catch_up(&mut self) {
        let live = self.live.as_ref().unwrap();
        let reader = &live.actions.ledger;
        if reader.last_seq() == self.model.seq {
            return;
        }
        let entries: Vec<(u64, Event)> = reader
            .entries_trusted(self.model.seq + 1)
            .map(|entry| {
                let (_, entry) = entry.unwrap();
                (entry.seq, serde_json::from_str(entry.event.get()).unwrap())
            })
            .collect();
        for (seq, event) in entries {
            if !matches!(event, Event::ItemAdded { .. } | Event::ProductAdded { .. }) {
                let at = self.clock.now();
                self.log
                    .push(format!("        {seq} {at} {}", brief(&event)));
            }
            self.model.take(seq, &event, &self.cas.said);
        }
    }

    fn live(&self) -> &Live {
        self.live.as_ref().unwrap()
    }
}

/// Groups in which what is asked has its turn.
const TURNS_MAX: u32 = 10;

/// The first lane of the first provider.
pub const NORTH: LaneId = LaneId {
    provider: 1,
    lane: 0,
};

pub fn card_serial(product: &str, card: u32) -> String {
    let first = if product == "SC-1" { "0190" } else { "0290" };
    format!("{first}{card:06}77")
}

pub fn stb_serial(stb: u32) -> String {
    format!("{}", 1_000 + stb)
}

fn item(product: &str, serial_number: String) -> NewItem {
    NewItem {
        product: product.into(),
        alternative_code: format!("A{serial_number}"),
        serial_number,
        ca_id: None,
        is_effective: true,
        id: None,
        notes: String::new(),
    }
}

/// In memory where the machine has such a place.
fn temporary() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = memory.is_dir().then(|| tempfile::tempdir_in(memory));
    made.and_then(Result::ok)
        .unwrap_or_else(|| tempfile::tempdir().unwrap())
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// An event in one short line, for the list that a failure prints.
fn brief(event: &Event) -> String {
    match event {
        Event::RequestAccepted(at)
        | Event::CardChangeAccepted(at)
        | Event::PairBesideAccepted(at)
        | Event::UnpairFromAccepted(at) => format!(
            "accepted {} card {} stb {:?} from {:?} due {} {:?}{}",
            at.request,
            at.card,
            at.stb.map(|stb| stb.0),
            at.from.map(|stb| stb.0),
            at.due,
            at.priority,
            if at.is_scheduled { " scheduled" } else { "" }
        ),
        Event::AttemptBegun(at) => format!(
            "begun {} attempt {} transaction {} step {} {:?} leaves {:?}",
            at.request, at.attempt, at.transaction, at.step, at.purpose, at.leaves
        ),
        Event::AttemptSettled(at) => format!(
            "settled {} attempt {} {:?} then {:?}",
            at.request, at.attempt, at.outcome, at.then
        ),
        Event::LateAnswer(at) => format!(
            "late answer {} transaction {} {:?} {:?}",
            at.request, at.transaction, at.outcome, at.effect
        ),
        other => format!("{other:?}"),
    }
}
