//! The simulator's event loop: one thread, many connections, the script's answers and the engine's faults.
//!
//! Bounded: connections, replies that wait to be late, and what a peer that does not read may leave waiting.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use serde_json::Value;

use super::fault::Fault;
use super::peer::{Manner, Peer};
use super::persona::Kind;
use super::{SimulateError, SimulateOptions, state_file};
use crate::domain::{Chance, Framing};
use crate::transport::Connection;

pub const CONNECTIONS_MAX: usize = 1_024;
/// Replies that wait to be late; beyond it a reply is in time.
pub const LATE_MAX: usize = 65_536;
/// How long after a change the state file and `snapshot` show it, unless saving itself takes long.
pub const SAVE_EVERY: Duration = Duration::from_millis(200);
const LISTENER: Token = Token(0);
/// Saving takes at most one part in so many of the time: a large state is saved less often.
const SAVE_SHARE: u32 = 10;
/// A turn at least this often, so that the stop flag is seen.
const TURN_AT_MOST: Duration = Duration::from_millis(50);

/// A bound simulator; `run` serves.
pub struct Simulator {
    options: SimulateOptions,
    framing: Framing,
    chance: Chance,
    poll: Poll,
    listener: TcpListener,
    peers: BTreeMap<u32, Peer>,
    next_token: u32,
    /// By instant, then by the order in which they were put in.
    late: BinaryHeap<Reverse<Late>>,
    late_count: u64,
    frames: Vec<Vec<u8>>,
    shared: Arc<Shared>,
    /// Set by a change, until it is saved.
    save_at: Option<Duration>,
    save_after: Duration,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Late {
    at: Duration,
    number: u64,
    peer: u32,
    body: Vec<u8>,
}

/// Looks into a simulator that runs on another thread.
#[derive(Clone)]
pub struct SimulatorView(Arc<Shared>);

#[derive(Default)]
struct Shared {
    pairings: Mutex<Value>,
    connections: AtomicU64,
    accepted: AtomicU64,
    commands: AtomicU64,
    faults: AtomicU64,
    script_errors: AtomicU64,
}

/// What a simulator has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub connections: u64,
    pub accepted: u64,
    pub commands: u64,
    pub faults: u64,
    pub script_errors: u64,
}

impl SimulatorView {
    /// The pairings as the CAS holds them, at most `SAVE_EVERY` old.
    pub fn snapshot(&self) -> Value {
        self.0
            .pairings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn figures(&self) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            connections: read(&self.0.connections),
            accepted: read(&self.0.accepted),
            commands: read(&self.0.commands),
            faults: read(&self.0.faults),
            script_errors: read(&self.0.script_errors),
        }
    }
}

impl Simulator {
    /// Listens, and takes up what the state file kept.
    pub fn bind(mut options: SimulateOptions) -> Result<(Self, SocketAddr), SimulateError> {
        let kept = options.state_file.as_deref().map(state_file::load);
        if let Some(state) = kept.transpose()?.flatten() {
            options.persona.restore(&state);
        }
        options.persona.prepare(&options.faults)?;
        let failed = |source| SimulateError::Listen {
            address: options.listen.clone(),
            source,
        };
        let address = options
            .listen
            .to_socket_addrs()
            .and_then(|mut all| all.next().ok_or_else(|| io::ErrorKind::NotFound.into()))
            .map_err(failed)?;
        let mut listener = TcpListener::bind(address).map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let poll = Poll::new().map_err(SimulateError::Poll)?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)
            .map_err(SimulateError::Poll)?;
        let mut simulator = Self {
            framing: options.persona.description().framing.clone(),
            chance: Chance::new(options.seed),
            options,
            poll,
            listener,
            peers: BTreeMap::new(),
            next_token: 1,
            late: BinaryHeap::new(),
            late_count: 0,
            frames: Vec::new(),
            shared: Arc::new(Shared::default()),
            save_at: None,
            save_after: SAVE_EVERY,
        };
        simulator.save()?;
        Ok((simulator, local))
    }

    pub fn view(&self) -> SimulatorView {
        SimulatorView(Arc::clone(&self.shared))
    }

    /// Serves until `stop`; the last state is saved before it returns.
    pub fn run(mut self, stop: &AtomicBool) -> Result<(), SimulateError> {
        let mut events = Events::with_capacity(256);
        while !stop.load(Ordering::Relaxed) {
            match self.poll.poll(&mut events, Some(self.wait())) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(SimulateError::Poll(error)),
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept();
                } else if let Some(peer) = u32::try_from(event.token().0)
                    .ok()
                    .and_then(|token| self.peers.get_mut(&token))
                {
                    peer.may_read = true;
                }
            }
            self.turn_peers();
            if self.save_at.is_some_and(|at| self.now() >= at) {
                self.save()?;
            }
        }
        self.save()
    }

    fn now(&self) -> Duration {
        self.options.clock.monotonic()
    }

    fn wait(&self) -> Duration {
        if self.peers.values().any(|peer| peer.may_read) {
            return Duration::ZERO;
        }
        let now = self.now();
        let late = self.late.peek().map(|Reverse(late)| late.at);
        self.peers
            .values()
            .filter_map(Peer::next_at)
            .chain(late)
            .chain(self.save_at)
            .map(|at| at.saturating_sub(now))
            .fold(TURN_AT_MOST, Duration::min)
    }

    fn accept(&mut self) {
        loop {
            let (stream, address) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Would block, or a client that left again; what is left comes with the next event.
                Err(_) => return,
            };
            if self.peers.len() >= CONNECTIONS_MAX {
                continue;
            }
            let token = self.next_token;
            self.next_token = self.next_token.wrapping_add(1).max(1);
            let framing = self.framing.clone();
            let registry = self.poll.registry();
            let Ok(connection) = Connection::accepted(
                stream,
                address,
                framing,
                self.options.tls.as_ref(),
                registry,
                Token(token as usize),
            ) else {
                continue;
            };
            count(&self.shared.accepted);
            let mut peer = Peer::new(connection);
            let greeting = self.options.persona.connect(token);
            let now = self.now();
            let greeted = greeting
                .map_err(|error| error.to_string())
                .and_then(|bodies| {
                    bodies.into_iter().try_for_each(|body| {
                        peer.reply(body, Manner::Plain, now)
                            .map_err(|error| error.to_string())
                    })
                });
            self.peers.insert(token, peer);
            if let Err(error) = greeted {
                self.close(token, &error);
            }
            self.shared
                .connections
                .store(self.peers.len() as u64, Ordering::Relaxed);
        }
    }

    fn turn_peers(&mut self) {
        let now = self.now();
        while self.late.peek().is_some_and(|Reverse(late)| late.at <= now) {
            let Some(Reverse(late)) = self.late.pop() else {
                break;
            };
            self.reply(late.peer, late.body, Manner::Plain);
        }
        let tokens: Vec<u32> = self.peers.keys().copied().collect();
        for token in tokens {
            self.read(token);
            let turned = self.peers.get_mut(&token).map(|peer| peer.turn(now));
            if let Some(Err(error)) = turned {
                self.close(token, &error.to_string());
            }
        }
    }

    fn read(&mut self, token: u32) {
        let Some(peer) = self.peers.get_mut(&token).filter(|peer| peer.may_read) else {
            return;
        };
        let mut frames = std::mem::take(&mut self.frames);
        let read = peer.connection.read(&mut frames);
        peer.may_read = matches!(read, Ok(false));
        for frame in frames.drain(..) {
            if !self.peers.contains_key(&token) {
                break;
            }
            self.answer(token, &frame);
        }
        self.frames = frames;
        if let Err(error) = read {
            self.close(token, &error.to_string());
        }
    }

    /// One frame from a client: draw its fate, let the script answer, send as fate wants.
    fn answer(&mut self, token: u32, frame: &[u8]) {
        let kind = self.options.persona.kind(token, frame);
        let spoken = match kind {
            Kind::Hello if self.strikes(Fault::Hello) => Some(Fault::Hello),
            Kind::Command if self.strikes(Fault::Refuse) => Some(Fault::Refuse),
            Kind::Command if self.strikes(Fault::Busy) => Some(Fault::Busy),
            Kind::Hello | Kind::Keepalive | Kind::Command => None,
        };
        let send = match self.options.persona.hear(token, frame, spoken) {
            Ok(send) => send,
            Err(error) => {
                count(&self.shared.script_errors);
                tracing::warn!(peer = token, %error, "simulator script failed");
                return;
            }
        };
        match kind {
            Kind::Keepalive if self.strikes(Fault::Keepalive) => {}
            Kind::Hello | Kind::Keepalive => {
                for body in send {
                    self.reply(token, body, Manner::Plain);
                }
            }
            Kind::Command => {
                count(&self.shared.commands);
                let due = self.now() + self.save_after;
                self.save_at.get_or_insert(due);
                self.answer_command(token, send);
            }
        }
    }

    fn answer_command(&mut self, token: u32, send: Vec<Vec<u8>>) {
        if self.strikes(Fault::Close) {
            return self.close(token, "fault `close`");
        }
        if self.strikes(Fault::Drop) {
            return;
        }
        let is_late = self.strikes(Fault::Late) && self.late.len() < LATE_MAX;
        let is_double = self.strikes(Fault::Duplicate);
        let manners = [
            (Fault::Reorder, Manner::Reorder),
            (Fault::Split, Manner::Split),
            (Fault::Merge, Manner::Merge),
        ];
        let mut manner = Manner::Plain;
        for (fault, its_manner) in manners {
            if self.strikes(fault) {
                manner = its_manner;
                break;
            }
        }
        for body in send {
            if is_late {
                self.late_count += 1;
                self.late.push(Reverse(Late {
                    at: self.now() + self.options.late_after,
                    number: self.late_count,
                    peer: token,
                    body,
                }));
                continue;
            }
            if is_double {
                self.reply(token, body.clone(), manner);
            }
            self.reply(token, body, manner);
        }
    }

    fn strikes(&mut self, fault: Fault) -> bool {
        let struck = self.options.faults.strikes(fault, &mut self.chance);
        if struck {
            count(&self.shared.faults);
        }
        struck
    }

    fn reply(&mut self, token: u32, body: Vec<u8>, manner: Manner) {
        let now = self.now();
        let Some(peer) = self.peers.get_mut(&token) else {
            return;
        };
        if let Err(error) = peer.reply(body, manner, now) {
            self.close(token, &error.to_string());
        }
    }

    fn close(&mut self, token: u32, reason: &str) {
        if let Some(peer) = self.peers.remove(&token) {
            tracing::debug!(peer = token, address = %peer.connection.address(), reason, "connection closed");
            peer.connection.close(self.poll.registry());
            if let Err(error) = self.options.persona.forget(token) {
                count(&self.shared.script_errors);
                tracing::warn!(peer = token, %error, "simulator script failed");
            }
            self.shared
                .connections
                .store(self.peers.len() as u64, Ordering::Relaxed);
        }
    }

    /// Publishes the pairings and writes the file.
    fn save(&mut self) -> Result<(), SimulateError> {
        self.save_at = None;
        let began = self.now();
        let pairings = self.options.persona.pairings()?;
        if let Some(path) = &self.options.state_file {
            state_file::save(path, &self.options.persona.state()?)?;
        }
        *self
            .shared
            .pairings
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = pairings;
        let cost = self.now().saturating_sub(began);
        self.save_after = SAVE_EVERY.max(cost * SAVE_SHARE);
        Ok(())
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
