//! A chunk of a bulk job: its rows judged one after the other, each a savepoint, and the cursor recorded with them.
//!
//! The same judgement serves the writer, whose desk is the group with its ledger, and a dry run, whose desk is an overlay of
//! its own that is thrown away.

use super::command::Committed;
use crate::domain::admission::{
    Admission, Ask, admit, foreseen_stbs, is_so_already, leaves_all, serial,
};
use crate::domain::event::{Event, JobChunk, SubscriptionFields};
use crate::domain::items::{self, NewItem, Registered};
use crate::domain::job::{ROW_REASON_BYTES_MAX, RowEnding};
use crate::domain::length::cut;
use crate::domain::{
    Action, ItemKind, ItemNumber, JobNumber, JobPhase, Refusal, RequestNumber, Timestamp, View,
};
use crate::ledger::LedgerError;

/// The next rows of a job, with everything looked up.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub job: JobNumber,
    /// The cursor that it goes on from.
    pub from_row: u64,
    pub rows: Vec<ChunkRow>,
}

/// What a row asks for, and where the next one begins.
#[derive(Clone, Debug)]
pub struct ChunkRow {
    pub asked: RowAsked,
    pub to_byte: u64,
}

#[derive(Clone, Debug)]
pub enum RowAsked {
    Acts(Vec<Act>),
    Skipped(String),
    Failed(String),
}

/// One thing that a row wants done.
#[derive(Clone, Debug)]
pub enum Act {
    Pair(Box<PairAct>),
    RegisterItem {
        item: NewItem,
        may_update: bool,
    },
    RegisterSubscription {
        subscription: SubscriptionFields,
        may_update: bool,
    },
}

/// A pair or unpair of a row. What the chunk itself registers has no number yet and is found by the writer.
#[derive(Clone, Debug)]
pub struct PairAct {
    pub ask: Ask,
    pub own_card: Option<ItemKey>,
    pub own_stb: Option<ItemKey>,
    pub own_subscription: Option<String>,
    /// Ask even if the card is so already.
    pub resends: bool,
    /// Only for a card that has a pairing.
    pub swaps: bool,
    /// The serial number of the STB that the card must have when its turn comes; empty: none.
    pub expects: Option<String>,
}

/// Names an item whatever its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemKey {
    pub product: String,
    pub serial_number: String,
}

/// Where rows are judged and recorded.
pub trait Desk {
    type Mark;

    fn view(&self) -> &dyn View;
    /// Whether a row and the cursor after it surely fit.
    fn has_room(&self) -> bool;
    fn begin_row(&mut self);
    fn mark(&mut self) -> Self::Mark;
    /// Takes back what was recorded since the mark.
    fn roll_back(&mut self, mark: Self::Mark);
    /// The marks are not needed any more.
    fn release(&mut self);
    /// Records events, all of them or none.
    fn record(&mut self, events: &[Event]) -> Result<Result<(), Refusal>, LedgerError>;
}

/// Judges a chunk. Fewer rows than asked for are done if there is no room for more, if a row must be looked up again, or if
/// too many failed; the job goes on from its cursor.
pub fn judge(
    desk: &mut impl Desk,
    chunk: &Chunk,
    now: Timestamp,
) -> Result<Result<Committed, Refusal>, LedgerError> {
    let number = chunk.job;
    let Some(job) = desk.view().job(number) else {
        return Ok(Err(Refusal::JobUnknown { number }));
    };
    if job.phase != JobPhase::Running {
        let (verb, state) = ("continued", job.phase.word());
        return Ok(Err(Refusal::JobState {
            number,
            verb,
            state,
        }));
    }
    if job.row != chunk.from_row {
        return Ok(Err(Refusal::Changed));
    }
    let (stop_after, mut failures) = (job.fields.stop_after, job.failures_in_a_run);
    let mut to_byte = job.byte;
    let mut endings = Vec::with_capacity(chunk.rows.len());
    for row in &chunk.rows {
        if !endings.is_empty() && !desk.has_room() {
            break;
        }
        desk.begin_row();
        let ending = match self::row(desk, row, now)? {
            Ok(ending) => ending,
            // The rows before it are worth keeping; it is looked up again with them in sight.
            Err(Refusal::Changed) if !endings.is_empty() => break,
            Err(refusal @ (Refusal::Changed | Refusal::ReserveLow)) => return Ok(Err(refusal)),
            Err(refusal) => RowEnding::Failed(reason(&refusal.to_string())),
        };
        failures += u64::from(matches!(ending, RowEnding::Failed(_)));
        to_byte = row.to_byte;
        endings.push(ending);
        if stop_after > 0 && failures >= stop_after {
            break;
        }
    }
    let mut events = vec![Event::JobAdvanced(JobChunk {
        number,
        before: job.latest_chunk,
        from_row: job.row,
        from_byte: job.byte,
        endings: endings.clone(),
        to_byte,
    })];
    let is_done = job.row + endings.len() as u64 >= job.fields.rows;
    if stop_after > 0 && failures >= stop_after && !is_done {
        let reason = format!("{failures} rows failed, and it stops after {stop_after}");
        events.push(Event::JobPaused { number, reason });
    }
    desk.begin_row();
    let recorded = desk.record(&events)?;
    assert!(
        recorded.is_ok(),
        "the cursor of a chunk fits behind its rows, or they would be done twice"
    );
    Ok(Ok(Committed::Chunk(endings)))
}

/// A text as the ledger keeps it for a row.
pub fn reason(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    cut(&plain, ROW_REASON_BYTES_MAX)
}

fn row(
    desk: &mut impl Desk,
    row: &ChunkRow,
    now: Timestamp,
) -> Result<Result<RowEnding, Refusal>, LedgerError> {
    let acts = match &row.asked {
        RowAsked::Skipped(why) => return Ok(Ok(RowEnding::Skipped(reason(why)))),
        RowAsked::Failed(why) => return Ok(Ok(RowEnding::Failed(reason(why)))),
        RowAsked::Acts(acts) => acts,
    };
    if acts.is_empty() {
        let why = "the script asked for nothing".to_owned();
        return Ok(Ok(RowEnding::Skipped(why)));
    }
    // A single act is refused before it leaves a trace.
    let mark = (acts.len() > 1).then(|| desk.mark());
    let mut made = Made::default();
    for act in acts {
        let done = match judge_act(desk.view(), act, now) {
            Ok((done, events)) => desk.record(&events)?.map(|()| done),
            Err(refusal) => Err(refusal),
        };
        match done {
            Ok(done) => made.add(done),
            Err(refusal) => {
                if let Some(mark) = mark {
                    desk.roll_back(mark);
                }
                return Ok(Err(refusal));
            }
        }
    }
    desk.release();
    Ok(Ok(made.ending()))
}

/// What the acts of a row did.
#[derive(Default)]
struct Made {
    requests: Vec<RequestNumber>,
    has_changed: bool,
}

#[derive(Clone, Copy)]
enum Done {
    Request(RequestNumber),
    Changed,
    Unchanged,
}

impl Made {
    fn add(&mut self, done: Done) {
        match done {
            Done::Request(number) => self.requests.push(number),
            Done::Changed => self.has_changed = true,
            Done::Unchanged => {}
        }
    }

    fn ending(self) -> RowEnding {
        if self.has_changed || !self.requests.is_empty() {
            RowEnding::Created(self.requests)
        } else {
            RowEnding::Unchanged
        }
    }
}

fn judge_act(view: &dyn View, act: &Act, now: Timestamp) -> Result<(Done, Vec<Event>), Refusal> {
    match act {
        Act::Pair(act) => pair(view, act, now),
        Act::RegisterItem { item, may_update } => {
            let (registered, events) = items::register(view, item, *may_update)?;
            Ok((registered_as(&registered), events))
        }
        Act::RegisterSubscription {
            subscription,
            may_update,
        } => {
            let (registered, events) =
                items::register_subscription(view, subscription, *may_update)?;
            Ok((registered_as(&registered), events))
        }
    }
}

fn registered_as<N>(registered: &Registered<N>) -> Done {
    match registered {
        Registered::Added(_) | Registered::Changed(_) => Done::Changed,
        Registered::Unchanged(_) => Done::Unchanged,
    }
}

fn pair(view: &dyn View, act: &PairAct, now: Timestamp) -> Result<(Done, Vec<Event>), Refusal> {
    let mut ask = act.ask.clone();
    if let Some(key) = &act.own_card {
        ask.card = own(view, key, ItemKind::Smartcard)?;
    }
    if let Some(key) = &act.own_stb {
        ask.stb = Some(own(view, key, ItemKind::Stb)?);
    }
    if let Some(number) = &act.own_subscription {
        let found = view.subscription_by_number(number);
        ask.subscription = Some(found.ok_or_else(|| Refusal::SubscriptionUnknown {
            field: "number",
            value: number.clone(),
        })?);
    }
    if act.swaps && foreseen_stbs(view, &ask, now).is_empty() {
        let serial_number = serial(view, ask.card);
        return Err(Refusal::NothingToSwap { serial_number });
    }
    if let Some(expected) = &act.expects {
        let held = foreseen_stbs(view, &ask, now);
        let found: Vec<String> = held.iter().map(|stb| serial(view, stb)).collect();
        let is_as_expected = match expected.as_str() {
            "" => found.is_empty(),
            stb if leaves_all(&ask) => found == [stb],
            stb => found.iter().any(|found| found == stb),
        };
        if !is_as_expected {
            return Err(Refusal::NotAsExpected {
                serial_number: serial(view, ask.card),
                expected: expected.clone(),
                found: found.join(", "),
            });
        }
    }
    let sends_anyway = act.resends || (ask.action() == Action::Unpair && ask.sends_unknown);
    if !sends_anyway && is_so_already(view, &ask, now)? {
        return Ok((Done::Unchanged, Vec::new()));
    }
    match admit(view, &ask, now) {
        Ok(Admission::New { request, events }) => Ok((Done::Request(request), events)),
        Ok(Admission::Repeat(_)) => Ok((Done::Unchanged, Vec::new())),
        Err(refusal) => Err(refusal),
    }
}

fn own(view: &dyn View, key: &ItemKey, kind: ItemKind) -> Result<ItemNumber, Refusal> {
    let product = view.product_by_code(&key.product);
    let is_it = |number: &ItemNumber| {
        let item = view.item(*number);
        item.is_some_and(|item| Some(item.product) == product)
    };
    let found = view.items_by_serial_number(&key.serial_number);
    found
        .into_iter()
        .find(is_it)
        .ok_or_else(|| Refusal::ItemUnknown {
            kind,
            field: "serial_number",
            value: key.serial_number.clone(),
        })
}
