//! The CAS and the lanes to it as the stage plays them: frames in, answers by a plan, connections that come and go.
//!
//! Holds its own pairings by CA ID. Knows nothing of requests, except through the transaction number in a frame.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use pairbox::domain::{Chance, Outcome};
use pairbox::provider::{DownPhase, LaneCommand, LaneEvent, LaneId, Outgoing};
use pairbox::script::contract::Reply;

use super::model::Said;

/// What becomes of one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Ok,
    /// Taken, and answered after this long.
    OkAfter(Duration),
    /// Taken and answered twice.
    OkTwice,
    Already,
    Refuse,
    RefuseAfter(Duration),
    Busy(u32),
    Retry,
    Fatal,
    /// Taken; the answer is lost.
    Lost,
    /// Neither taken nor answered.
    Swallowed,
}

/// An answer on its way.
#[derive(Clone, Debug)]
pub struct Coming {
    pub at: Duration,
    pub lane: LaneId,
    pub transaction: u64,
    pub outcome: Outcome,
}

/// One command or query as it was read from a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub transaction: u64,
    pub is_query: bool,
    pub card: String,
    /// None unpairs, if it is about a pairing.
    pub stb: Option<String>,
    /// The STB that the card is taken from, where it may have several.
    pub from: Option<String>,
    /// Of a command that changes the card alone: all of it behind the address.
    pub card_change: Option<String>,
    pub lane: LaneId,
    pub at: Duration,
}

/// How often each kind of trouble happens, in percent of the commands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moods {
    pub late: u32,
    pub lost: u32,
    pub refused: u32,
    pub busy: u32,
    pub doubled: u32,
    pub fatal: u32,
}

/// The one CAS behind all lanes.
pub struct Cas {
    /// Answers to the next commands, in order; then `usual`, or what the moods say.
    pub script: VecDeque<Answer>,
    pub usual: Answer,
    pub moods: Option<(Moods, Chance)>,
    pub is_up: bool,
    /// Where a card has one STB at most: `0052` with zeros unpairs it, any other moves it.
    pub pairings: BTreeMap<String, String>,
    /// Where it may have several: `0052` adds one, `0053` takes one away, zeros take all.
    pub sets: Option<BTreeSet<(String, String)>>,
    pub heard: Vec<Heard>,
    pub coming: Vec<Coming>,
    pub said: Said,
    pub reply_timeout: Duration,
}

impl Cas {
    pub fn new() -> Self {
        Self {
            script: VecDeque::new(),
            usual: Answer::Ok,
            moods: None,
            is_up: true,
            pairings: BTreeMap::new(),
            sets: None,
            heard: Vec::new(),
            coming: Vec::new(),
            said: Said::default(),
            reply_timeout: Duration::from_secs(10),
        }
    }

    pub fn answers(&mut self, answers: impl IntoIterator<Item = Answer>) {
        self.script.extend(answers);
    }

    /// Takes a command in and plans its answers.
    pub fn hear(&mut self, lane: LaneId, body: &[u8], now: Duration) -> Heard {
        let heard = read(lane, body, now);
        self.heard.push(heard.clone());
        let answer = self.answer();
        let is_answered = matches!(
            answer,
            Answer::Ok
                | Answer::OkAfter(_)
                | Answer::OkTwice
                | Answer::Already
                | Answer::Refuse
                | Answer::RefuseAfter(_)
        );
        // Whatever its mood, it tells the truth about what it holds.
        if heard.is_query && is_answered {
            let holds = self.is_so(&heard);
            let outcome = if holds { Outcome::Ok } else { Outcome::Refused };
            let after = match answer {
                Answer::OkAfter(after) | Answer::RefuseAfter(after) => after,
                _ => Duration::ZERO,
            };
            self.send(&heard, outcome, now + after);
            return heard;
        }
        let is_taken = matches!(
            answer,
            Answer::Ok | Answer::OkAfter(_) | Answer::OkTwice | Answer::Already | Answer::Lost
        );
        if is_taken && !heard.is_query && heard.card_change.is_none() {
            self.take(&heard);
        }
        match answer {
            Answer::Ok => self.send(&heard, Outcome::Ok, now),
            Answer::OkAfter(after) => self.send(&heard, Outcome::Ok, now + after),
            Answer::OkTwice => {
                self.send(&heard, Outcome::Ok, now);
                self.send(&heard, Outcome::Ok, now);
            }
            Answer::Already => self.send(&heard, Outcome::Already, now),
            Answer::Refuse => self.send(&heard, Outcome::Refused, now),
            Answer::RefuseAfter(after) => self.send(&heard, Outcome::Refused, now + after),
            Answer::Busy(seconds) => self.send(&heard, Outcome::Busy { seconds }, now),
            Answer::Retry => self.send(&heard, Outcome::Retry, now),
            Answer::Fatal => self.send(&heard, Outcome::Fatal, now),
            Answer::Lost | Answer::Swallowed => {}
        }
        heard
    }

    fn take(&mut self, heard: &Heard) {
        let card = heard.card.clone();
        let Some(sets) = &mut self.sets else {
            match &heard.stb {
                Some(stb) => self.pairings.insert(card, stb.clone()),
                None => self.pairings.remove(&card),
            };
            return;
        };
        match (&heard.stb, &heard.from) {
            (Some(stb), _) => drop(sets.insert((card, stb.clone()))),
            (None, Some(from)) => drop(sets.remove(&(card, from.clone()))),
            (None, None) => sets.retain(|(of, _)| *of != card),
        }
    }

    /// Whether the card is as a query asks.
    fn is_so(&self, heard: &Heard) -> bool {
        if self.sets.is_none() {
            return self.pairings.get(&heard.card) == heard.stb.as_ref();
        }
        let stbs = self.stbs_of(&heard.card);
        match (&heard.stb, &heard.from) {
            (Some(stb), _) => stbs.contains(stb),
            (None, Some(from)) => !stbs.contains(from),
            (None, None) => stbs.is_empty(),
        }
    }

    /// The STBs that a card has.
    pub fn stbs_of(&self, card: &str) -> BTreeSet<String> {
        match &self.sets {
            None => self.pairings.get(card).cloned().into_iter().collect(),
            Some(sets) => {
                let own = sets.iter().filter(|(of, _)| of == card);
                own.map(|(_, stb)| stb.clone()).collect()
            }
        }
    }

    /// The answers that have arrived by now.
    pub fn arrived(&mut self, now: Duration) -> Vec<Coming> {
        let (arrived, coming) = std::mem::take(&mut self.coming)
            .into_iter()
            .partition(|coming| coming.at <= now);
        self.coming = coming;
        arrived
    }

    pub fn next_at(&self) -> Option<Duration> {
        self.coming.iter().map(|coming| coming.at).min()
    }

    fn send(&mut self, heard: &Heard, outcome: Outcome, at: Duration) {
        if outcome.is_confirmed() {
            self.said.confirmed.insert(heard.transaction);
        }
        if outcome == Outcome::Refused {
            self.said.refused.insert(heard.transaction);
        }
        self.coming.push(Coming {
            at,
            lane: heard.lane,
            transaction: heard.transaction,
            outcome,
        });
    }

    fn answer(&mut self) -> Answer {
        if let Some(answer) = self.script.pop_front() {
            return answer;
        }
        let Some((moods, chance)) = &mut self.moods else {
            return self.usual;
        };
        let timeout = self.reply_timeout;
        let later = timeout + Duration::from_secs(chance.below(40));
        let soon = Duration::from_millis(chance.below(3_000));
        let draw = u32::try_from(chance.below(100)).unwrap();
        let second = chance.below(2) == 0;
        let mut below = 0;
        let mut falls = |share: u32| {
            below += share;
            draw < below
        };
        if falls(moods.late) {
            return if second {
                Answer::OkAfter(later)
            } else {
                Answer::RefuseAfter(later)
            };
        }
        if falls(moods.lost) {
            return if second {
                Answer::Lost
            } else {
                Answer::Swallowed
            };
        }
        if falls(moods.refused) {
            return Answer::Refuse;
        }
        if falls(moods.busy) {
            return if second {
                Answer::Busy(7)
            } else {
                Answer::Retry
            };
        }
        if falls(moods.doubled) {
            return Answer::OkTwice;
        }
        if falls(moods.fatal) {
            return Answer::Fatal;
        }
        if second {
            Answer::Ok
        } else {
            Answer::OkAfter(soon)
        }
    }
}

/// The columns of a smsgw command; type 07 is the tests' own query.
fn read(lane: LaneId, body: &[u8], at: Duration) -> Heard {
    let text = std::str::from_utf8(body).unwrap();
    let (is_pair, is_taking) = (&text[60..64] == "0052", &text[60..64] == "0053");
    let is_pairing = is_pair || is_taking;
    let stb = text
        .get(64..74)
        .filter(|stb| is_pairing && *stb != "0000000000");
    Heard {
        transaction: text[..9].parse().unwrap(),
        is_query: &text[9..11] == "07",
        card: text[50..60].to_owned(),
        stb: stb.filter(|_| is_pair).map(str::to_owned),
        from: stb.filter(|_| is_taking).map(str::to_owned),
        card_change: (!is_pairing).then(|| text[60..].trim_end().to_owned()),
        lane,
        at,
    }
}

/// An answer as the lane would hand it on.
pub fn reply(connection: u64, coming: &Coming) -> LaneEvent {
    let is_plain = coming.outcome.is_confirmed();
    LaneEvent::Reply {
        connection,
        reply: Reply {
            key: format!("{:09}", coming.transaction),
            outcome: coming.outcome,
            code: (!is_plain).then(|| "9001".to_owned()),
            text: (!is_plain).then(|| format!("{:?}", coming.outcome)),
            reference: None,
            ends_session: false,
        },
        frame: answer_frame(coming.transaction, is_plain).into_bytes(),
    }
}

/// The columns of a smsgw answer.
fn answer_frame(transaction: u64, is_acknowledgement: bool) -> String {
    let kind = if is_acknowledgement { "1000" } else { "1001" };
    format!(
        "{transaction:09}05000512346789220260105{kind}{transaction:09}{:024}",
        0
    )
}

/// A lane without a socket.
#[derive(Default)]
pub struct Lane {
    pub is_wanted: bool,
    pub connection: Option<u64>,
    connects: u64,
    /// Taken and not written yet, with the instant: these are `unsent` if the connection ends.
    pub waiting: Vec<(Duration, Outgoing)>,
    /// Keeps what it takes until `release`.
    pub is_stuck: bool,
    pub pushes_acknowledged: u32,
}

impl Lane {
    /// Takes a command, or says which attempts it did not take.
    pub fn command(
        &mut self,
        command: LaneCommand,
        now: Duration,
    ) -> Result<Vec<LaneEvent>, Vec<u64>> {
        match command {
            LaneCommand::Connect => self.is_wanted = true,
            LaneCommand::Disconnect { .. } | LaneCommand::Stop => {
                self.is_wanted = false;
                if self.connection.is_some() {
                    return Ok(vec![self.down(DownPhase::Asked)]);
                }
            }
            LaneCommand::AckPush { .. } => self.pushes_acknowledged += 1,
            LaneCommand::Reset { connection, .. } => {
                if self.connection == Some(connection) {
                    return Ok(vec![self.down(DownPhase::Established)]);
                }
            }
            LaneCommand::Send { connection, frames } => {
                if self.connection != Some(connection) {
                    return Err(frames.into_iter().map(|frame| frame.attempt).collect());
                }
                self.waiting
                    .extend(frames.into_iter().map(|frame| (now, frame)));
            }
        }
        Ok(Vec::new())
    }

    pub fn connect(&mut self, is_cas_up: bool) -> LaneEvent {
        self.connects += 1;
        if !is_cas_up {
            return LaneEvent::Down {
                connection: self.connects,
                phase: DownPhase::Connect,
                reason: "connection refused".into(),
                unsent: Vec::new(),
                retry_in: Some(Duration::from_secs(1)),
            };
        }
        self.connection = Some(self.connects);
        LaneEvent::Ready {
            connection: self.connects,
        }
    }

    /// The connection ends; what was not written is unsent.
    pub fn down(&mut self, phase: DownPhase) -> LaneEvent {
        let connection = self.connection.take().unwrap_or(self.connects);
        LaneEvent::Down {
            connection,
            phase,
            reason: "closed by the test".into(),
            unsent: self
                .waiting
                .drain(..)
                .map(|(_, frame)| frame.attempt)
                .collect(),
            retry_in: None,
        }
    }
}
