//! A CAS that greets as smsgw does and then misbehaves in one manner after the other, or behaves.
//!
//! It writes down what it heard and what it acknowledged, truly or not.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use pairbox::domain::Chance;
use pairbox::transport::{Decoder, encode};
use socket2::{Domain, Socket, Type};

use crate::tap::framing;
use crate::wire::{Sent, Wire, acknowledged};

/// How it treats those who connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Honest,
    /// Nobody listens.
    Vanished,
    /// Takes connections and says nothing, not even to the hello.
    Deaf,
    /// Greets and answers keepalives, but no command.
    Silent,
    /// Greets, then reads nothing any more.
    Stuck,
    /// Acknowledges commands that nobody sent, at full speed.
    FloodsAnswers,
    /// Pushes that nobody asked for, at full speed.
    FloodsPushes,
    /// Frames that mean nothing, at full speed.
    FloodsNoise,
    /// Answers with wrong keys, for unknown numbers, refuses and then acknowledges.
    Lies,
    /// Random bytes in place of frames, from the hello on.
    Garbage,
    /// Random bytes among good answers.
    Spoils,
    /// Every answer three times.
    Repeats,
    /// Every answer after the time-out.
    Late,
}

impl Manner {
    /// All that are a fault.
    pub const FAULTS: [Self; 12] = [
        Self::Vanished,
        Self::Silent,
        Self::FloodsAnswers,
        Self::Lies,
        Self::Garbage,
        Self::Late,
        Self::Deaf,
        Self::Stuck,
        Self::FloodsPushes,
        Self::Spoils,
        Self::Repeats,
        Self::FloodsNoise,
    ];

    fn floods(self) -> bool {
        matches!(
            self,
            Self::FloodsAnswers | Self::FloodsPushes | Self::FloodsNoise
        )
    }
}

/// Beyond the reply time-out of the headend.
const LATE_AFTER: Duration = Duration::from_millis(600);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// A flood is written in pieces of about this size.
const FLOOD_PIECE_BYTES: usize = 64 * 1024;

/// A running rogue.
pub struct Rogue {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    listens: Option<JoinHandle<()>>,
    /// Keeps the port while nobody listens.
    _port: Socket,
}

struct Shared {
    manner: Mutex<Manner>,
    is_over: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
    seen: Mutex<Wire>,
    chance: Mutex<Chance>,
    flooded_bytes: AtomicU64,
}

impl Rogue {
    pub fn start(provider: u16, seed: u64) -> Self {
        let port = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        port.set_reuse_address(true).unwrap();
        let anywhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
        port.bind(&anywhere.into()).unwrap();
        let address = port.local_addr().unwrap().as_socket().unwrap();
        let seen = Wire {
            provider,
            ..Wire::default()
        };
        let shared = Arc::new(Shared {
            manner: Mutex::new(Manner::Honest),
            is_over: AtomicBool::new(false),
            open: Mutex::new(Vec::new()),
            seen: Mutex::new(seen),
            chance: Mutex::new(Chance::new(seed)),
            flooded_bytes: AtomicU64::new(0),
        });
        let listener = shared.clone();
        let listens = std::thread::spawn(move || listener.listen(address));
        Self {
            address,
            shared,
            listens: Some(listens),
            _port: port,
        }
    }

    /// From now on; connections that stand are closed.
    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
        self.shared.close_all();
    }

    /// What floods have carried so far.
    pub fn flooded_bytes(&self) -> u64 {
        self.shared.flooded_bytes.load(Ordering::Relaxed)
    }

    pub fn seen(&self) -> Wire {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        self.shared.close_all();
        if let Some(listens) = self.listens.take() {
            let _ = listens.join();
        }
    }
}

impl Shared {
    fn manner(&self) -> Manner {
        *self.manner.lock().unwrap()
    }

    fn draw(&self, bound: u64) -> u64 {
        self.chance.lock().unwrap().below(bound)
    }

    fn close_all(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn listen(self: &Arc<Self>, address: SocketAddr) {
        let mut listener = None;
        while !self.is_over.load(Ordering::Acquire) {
            if self.manner() == Manner::Vanished {
                listener = None;
            } else if listener.is_none() {
                let listening = TcpListener::bind(address).unwrap();
                listening.set_nonblocking(true).unwrap();
                listener = Some(listening);
            }
            match listener.as_ref().map(TcpListener::accept) {
                Some(Ok((stream, _))) => self.take(stream),
                Some(Err(error)) if error.kind() != ErrorKind::WouldBlock => panic!("{error}"),
                _ => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// A connection is treated in the manner that it began in.
    fn take(self: &Arc<Self>, stream: TcpStream) {
        stream.set_nonblocking(false).unwrap();
        stream.set_nodelay(true).unwrap();
        self.open.lock().unwrap().push(stream.try_clone().unwrap());
        let (shared, manner) = (self.clone(), self.manner());
        if manner.floods() {
            let (flooder, stream) = (self.clone(), stream.try_clone().unwrap());
            std::thread::spawn(move || flooder.flood(stream, manner));
        }
        std::thread::spawn(move || {
            // The end of a connection is no error of the rogue's.
            let _ = shared.converse(stream, manner);
        });
    }

    fn converse(&self, mut stream: TcpStream, manner: Manner) -> std::io::Result<()> {
        let mut frames = Decoder::new(framing());
        let mut bytes = [0; 16 * 1024];
        let mut keepalives = 0;
        loop {
            if manner == Manner::Stuck && keepalives >= 3 {
                std::thread::sleep(LOOK_EVERY);
                // Closed from outside when the manner changes.
                stream.take_error()?;
                if stream.peer_addr().is_err() || self.manner() != manner {
                    return Ok(());
                }
                continue;
            }
            let count = stream.read(&mut bytes)?;
            if count == 0 {
                return Ok(());
            }
            frames.feed(&bytes[..count]);
            let mut answers = Vec::new();
            while let Some(frame) = frames.next_frame().map_err(std::io::Error::other)? {
                keepalives += u32::from(frame.get(32..36) == Some(b"1002"));
                self.hear(&frame, manner, &mut answers);
            }
            if manner == Manner::Late && keepalives > 3 {
                std::thread::sleep(LATE_AFTER);
            }
            stream.write_all(&answers)?;
        }
    }

    /// Appends what is said to a frame.
    fn hear(&self, frame: &[u8], manner: Manner, answers: &mut Vec<u8>) {
        if matches!(manner, Manner::Deaf) {
            return;
        }
        if manner == Manner::Garbage {
            return self.garbage(answers);
        }
        if frame.first() == Some(&0) {
            for greeting in [[6], [0]] {
                encode(&framing(), b"", &greeting, answers).unwrap();
            }
            return;
        }
        let Some(sent) = Sent::parse(frame) else {
            return self.say(&answer(frame, sent_number(frame), None), answers);
        };
        self.seen.lock().unwrap().heard.push(sent.clone());
        let number = sent.transaction;
        match manner {
            Manner::Silent => {}
            Manner::Lies => self.lie(frame, number, answers),
            Manner::Repeats => {
                for _ in 0..3 {
                    self.say(&answer(frame, number, None), answers);
                }
            }
            Manner::Spoils if self.draw(4) == 0 => self.garbage(answers),
            _ => self.say(&answer(frame, number, None), answers),
        }
    }

    fn lie(&self, frame: &[u8], number: u64, answers: &mut Vec<u8>) {
        match self.draw(6) {
            // Somebody else's, somebody's of long ago, nobody's.
            0 => self.say(&answer(frame, number + 1, None), answers),
            1 => self.say(&answer(frame, number.saturating_sub(100), None), answers),
            2 => self.say(&answer(frame, number + 500_000, None), answers),
            3 => {
                self.say(&answer(frame, number, Some("9001")), answers);
                self.say(&answer(frame, number, None), answers);
            }
            4 => {
                self.say(&answer(frame, number, None), answers);
                self.say(&answer(frame, number, Some("9001")), answers);
            }
            // Refuses what somebody else sent.
            _ => self.say(&answer(frame, number + 2, Some("9002")), answers),
        }
    }

    fn say(&self, frame: &[u8], answers: &mut Vec<u8>) {
        self.seen
            .lock()
            .unwrap()
            .confirmed
            .extend(acknowledged(frame));
        encode(&framing(), b"", frame, answers).unwrap();
    }

    fn garbage(&self, answers: &mut Vec<u8>) {
        let mut chance = self.chance.lock().unwrap();
        for _ in 0..=chance.below(200) {
            answers.push(chance.draw() as u8);
        }
    }

    /// Writes as fast as the box takes it, until the connection ends.
    fn flood(&self, mut stream: TcpStream, manner: Manner) {
        let mut piece = Vec::new();
        let mut number = 700_000_000_u64;
        while piece.len() < FLOOD_PIECE_BYTES {
            number += 1;
            let frame = match manner {
                Manner::FloodsAnswers => {
                    format!("{number:09}050005123467892202601051000{number:09}{:024}", 0)
                }
                Manner::FloodsPushes => format!("{number:09}04000512346789220260105a push"),
                _ => format!("{number:09}99000512346789220260105"),
            };
            encode(&framing(), b"", frame.as_bytes(), &mut piece).unwrap();
        }
        // Not before the box is ready, or the hello would fail every time.
        std::thread::sleep(Duration::from_millis(100));
        while stream.write_all(&piece).is_ok() {
            self.flooded_bytes
                .fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
    }
}

/// The transaction in the header of a frame.
fn sent_number(frame: &[u8]) -> u64 {
    let digits = frame
        .get(..9)
        .and_then(|text| std::str::from_utf8(text).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The answer to a frame, for the transaction that is named: an acknowledgement, or a refusal with a code.
fn answer(frame: &[u8], number: u64, refusal: Option<&str>) -> Vec<u8> {
    let ends = [&frame[15..19], &frame[11..15], &frame[19..32]].concat();
    let ends = String::from_utf8(ends).unwrap();
    let rest = match refusal {
        None => format!("1000{number:09}{:024}", 0),
        Some(code) => format!("1001{number:09}1{code}0000000"),
    };
    let header = String::from_utf8(frame[..9].to_vec()).unwrap();
    format!("{header}05{ends}{rest}").into_bytes()
}
