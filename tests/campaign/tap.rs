//! Stands between the box and a simulator, passes every byte on, and writes down what it saw.
//!
//! What the box sent is known here even if box or simulator die in between.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use pairbox::domain::{Endian, Framing};
use pairbox::transport::Decoder;

use crate::scene::wait_until;
use crate::wire::{Sent, Wire, acknowledged};

/// A listening tap.
pub struct Tap {
    pub address: SocketAddr,
    seen: Arc<Mutex<Wire>>,
    is_over: Arc<AtomicBool>,
    /// Directions that are passed on at the moment.
    passing: Arc<AtomicUsize>,
    listens: Option<JoinHandle<()>>,
}

impl Tap {
    /// Between the provider of that number and the simulator at the address.
    pub fn before(provider: u16, simulator: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Wire {
            provider,
            ..Wire::default()
        }));
        let is_over = Arc::new(AtomicBool::new(false));
        let passing = Arc::new(AtomicUsize::new(0));
        let (writes, over, count) = (seen.clone(), is_over.clone(), passing.clone());
        let listens = std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if over.load(Ordering::Acquire) {
                    break;
                }
                let Ok(server) = TcpStream::connect(simulator) else {
                    continue;
                };
                count.fetch_add(2, Ordering::AcqRel);
                pass_both_ways(&client, &server, &writes, &count);
            }
        });
        Self {
            address,
            seen,
            is_over,
            passing,
            listens: Some(listens),
        }
    }

    /// All that a box that has ended had sent and heard.
    pub fn seen(&self) -> Wire {
        wait_until(
            || self.passing.load(Ordering::Acquire) == 0,
            || "the box has ended and its connections have not".to_owned(),
        );
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
        if let Some(listens) = self.listens.take()
            && !std::thread::panicking()
        {
            listens.join().unwrap();
        }
    }
}

fn pass_both_ways(
    client: &TcpStream,
    server: &TcpStream,
    seen: &Arc<Mutex<Wire>>,
    passing: &Arc<AtomicUsize>,
) {
    let hear = |seen: &mut Wire, frame: &[u8]| seen.heard.extend(Sent::parse(frame));
    let say = |seen: &mut Wire, frame: &[u8]| seen.confirmed.extend(acknowledged(frame));
    let there = Passage::new(client, server, seen, passing);
    std::thread::spawn(move || there.pass(hear));
    let back = Passage::new(server, client, seen, passing);
    std::thread::spawn(move || back.pass(say));
}

/// One direction.
struct Passage {
    from: TcpStream,
    to: TcpStream,
    seen: Arc<Mutex<Wire>>,
    passing: Arc<AtomicUsize>,
}

impl Passage {
    fn new(
        from: &TcpStream,
        to: &TcpStream,
        seen: &Arc<Mutex<Wire>>,
        passing: &Arc<AtomicUsize>,
    ) -> Self {
        let _ = to.set_nodelay(true);
        Self {
            from: from.try_clone().unwrap(),
            to: to.try_clone().unwrap(),
            seen: seen.clone(),
            passing: passing.clone(),
        }
    }

    /// Passes bytes on until either side ends; each frame is written down before it goes on.
    fn pass(mut self, write_down: impl Fn(&mut Wire, &[u8])) {
        let mut frames = Decoder::new(framing());
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = self.from.read(&mut bytes) {
            frames.feed(&bytes[..count]);
            let mut seen = self.seen.lock().unwrap();
            while let Ok(Some(frame)) = frames.next_frame() {
                write_down(&mut seen, &frame);
            }
            drop(seen);
            if self.to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        for stream in [&self.from, &self.to] {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.passing.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Of smsgw.
pub fn framing() -> Framing {
    Framing::Len {
        bytes: 2,
        endian: Endian::Big,
        includes_self: false,
        adjust: 0,
        max: 4_096,
    }
}
