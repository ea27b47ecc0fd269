//! One non-blocking TCP connection on a mio poll: frames in, frames out, and how far the kernel took them.
//!
//! It never blocks, never retries and never sleeps; the owner's event loop calls it when the poll says so.
//! Used by a provider's lane as the client and by the simulator as the server.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::{ServerConfig, ServerConnection};
use socket2::{SockRef, TcpKeepalive};

use super::framing::{Decoder, FramingError, encode};
use super::tls::TlsClient;
use crate::domain::Framing;

/// The most bytes that wait for the kernel; what is over it is refused, not buffered.
pub const OUTPUT_BYTES_MAX: usize = 8 << 20;
/// The most bytes taken from the kernel in one turn, so that a flood cannot starve timers and commands.
pub const READ_BYTES_A_TURN: usize = 256 << 10;
/// The kernel probes a peer that is silent this long, for sessions without keepalives of their own.
const PEER_PROBED_AFTER: Duration = Duration::from_mins(1);
const READ_PIECE_BYTES: usize = 16 << 10;
/// What one record of TLS holds.
const TLS_PIECE_BYTES: usize = 16 << 10;

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error("connecting to `{address}`: {source}")]
    Connect {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("closed by the other side")]
    ClosedByPeer,
    #[error("reading: {0}")]
    Read(#[source] io::Error),
    #[error("writing: {0}")]
    Write(#[source] io::Error),
    #[error("registering the socket: {0}")]
    Register(#[source] io::Error),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error("{waiting_bytes} bytes wait for the other side already, which takes none")]
    OutputFull { waiting_bytes: usize },
}

impl ConnectionError {
    /// Whether the same frame may go another time: it is not the frame's own fault.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Framing(_))
    }
}

/// A TCP stream with its buffers.
pub struct Connection {
    stream: TcpStream,
    tls: Option<Box<rustls::Connection>>,
    address: SocketAddr,
    framing: Framing,
    /// Lines for the head of each HTTP message.
    heads: Vec<u8>,
    decoder: Decoder,
    output: Vec<u8>,
    /// Bytes at the front of `output` that the kernel took already.
    output_taken: usize,
    /// Bytes that the kernel took since the connection began; with TLS, that were encrypted for it.
    written_bytes: u64,
    is_open: bool,
}

impl Connection {
    /// Begins to connect; `finish_connect` tells the end of it. The caller holds the time-out.
    pub fn connect(
        address: SocketAddr,
        framing: Framing,
        tls: Option<&TlsClient>,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, ConnectionError> {
        let tls = tls.map(TlsClient::begin).transpose()?;
        let stream = TcpStream::connect(address)
            .map_err(|source| ConnectionError::Connect { address, source })?;
        let mut connection = Self::register(stream, address, framing, registry, token, false)?;
        connection.tls = tls.map(Box::new);
        Ok(connection)
    }

    /// Takes over a stream that a listener accepted.
    pub fn accepted(
        stream: TcpStream,
        address: SocketAddr,
        framing: Framing,
        tls: Option<&Arc<ServerConfig>>,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, ConnectionError> {
        let tls = tls
            .map(|config| ServerConnection::new(Arc::clone(config)))
            .transpose()?;
        let mut connection = Self::register(stream, address, framing, registry, token, true)?;
        connection.tls = tls.map(|session| Box::new(session.into()));
        // A peer that is gone already shows at the first read.
        let _ = connection.stream.set_nodelay(true);
        Ok(connection)
    }

    fn register(
        mut stream: TcpStream,
        address: SocketAddr,
        framing: Framing,
        registry: &Registry,
        token: Token,
        is_open: bool,
    ) -> Result<Self, ConnectionError> {
        registry
            .register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)
            .map_err(ConnectionError::Register)?;
        Ok(Self {
            stream,
            tls: None,
            address,
            decoder: Decoder::new(framing.clone()),
            framing,
            heads: Vec::new(),
            output: Vec::new(),
            output_taken: 0,
            written_bytes: 0,
            is_open,
        })
    }

    /// After an event: whether the connection stands now, with TLS after the handshake.
    pub fn finish_connect(&mut self) -> Result<bool, ConnectionError> {
        if self.is_open {
            return Ok(true);
        }
        let failed = |source| ConnectionError::Connect {
            address: self.address,
            source,
        };
        if let Some(source) = self.stream.take_error().map_err(failed)? {
            return Err(failed(source));
        }
        match self.stream.peer_addr() {
            Ok(_) => {
                self.stream.set_nodelay(true).map_err(failed)?;
                let probes = TcpKeepalive::new().with_time(PEER_PROBED_AFTER);
                SockRef::from(&self.stream)
                    .set_tcp_keepalive(&probes)
                    .map_err(failed)?;
                self.is_open = self.shake_hands()?;
                Ok(self.is_open)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// Gives every HTTP message that is sent from now on these lines of head, each with its end of line.
    pub fn set_heads(&mut self, heads: Vec<u8>) {
        self.heads = heads;
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Frames a payload into the send buffer. Gives the offset of its first byte in the connection's output: the frame is
    /// untouched as long as `written_bytes` is not beyond it.
    pub fn queue(&mut self, payload: &[u8]) -> Result<u64, ConnectionError> {
        let offset = self.room_for(payload.len())?;
        encode(&self.framing, &self.heads, payload, &mut self.output)?;
        Ok(offset)
    }

    /// Puts bytes that are framed already into the send buffer.
    pub fn queue_framed(&mut self, bytes: &[u8]) -> Result<u64, ConnectionError> {
        let offset = self.room_for(bytes.len())?;
        self.output.extend_from_slice(bytes);
        Ok(offset)
    }

    fn room_for(&self, bytes: usize) -> Result<u64, ConnectionError> {
        let waiting_bytes = self.waiting_bytes();
        if waiting_bytes + bytes > OUTPUT_BYTES_MAX {
            return Err(ConnectionError::OutputFull { waiting_bytes });
        }
        Ok(self.written_bytes + waiting_bytes as u64)
    }

    /// Gives the kernel what it takes: one write for all that is queued, unless the socket is full.
    pub fn flush(&mut self) -> Result<(), ConnectionError> {
        self.flush_in_pieces(usize::MAX)
    }

    /// The same with one write for each byte: the worst that a network does to a frame.
    pub fn flush_by_bytes(&mut self) -> Result<(), ConnectionError> {
        self.flush_in_pieces(1)
    }

    /// Goes on with the handshake as far as the socket allows; whether it is over.
    fn shake_hands(&mut self) -> Result<bool, ConnectionError> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        while tls.is_handshaking() {
            let moved = if tls.wants_write() {
                tls.write_tls(&mut self.stream)
            } else {
                tls.read_tls(&mut self.stream)
            };
            match moved {
                Ok(0) => return Err(ConnectionError::ClosedByPeer),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ConnectionError::Read(error)),
            }
            if let Err(error) = tls.process_new_packets() {
                // The other side hears why, if it can.
                let _ = tls.write_tls(&mut self.stream);
                return Err(error.into());
            }
        }
        Ok(true)
    }

    /// Gives the kernel what is encrypted already; whether it took all of it.
    fn flush_tls(&mut self) -> Result<bool, ConnectionError> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        while tls.wants_write() {
            match tls.write_tls(&mut self.stream) {
                Ok(0) => return Err(ConnectionError::ClosedByPeer),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ConnectionError::Write(error)),
            }
        }
        Ok(true)
    }

    fn flush_in_pieces(&mut self, piece_bytes: usize) -> Result<(), ConnectionError> {
        if !self.is_open {
            return Ok(());
        }
        if self.tls.is_some() {
            return self.flush_encrypted(piece_bytes);
        }
        while let Some(waiting @ [_, ..]) = self.output.get(self.output_taken..) {
            let piece = waiting.get(..piece_bytes).unwrap_or(waiting);
            match self.stream.write(piece) {
                Ok(0) => return Err(ConnectionError::ClosedByPeer),
                Ok(count) => {
                    self.output_taken += count;
                    self.written_bytes += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ConnectionError::Write(error)),
            }
        }
        self.output.drain(..self.output_taken);
        self.output_taken = 0;
        Ok(())
    }

    /// One piece after the other: what is not encrypted yet has not left.
    fn flush_encrypted(&mut self, piece_bytes: usize) -> Result<(), ConnectionError> {
        while self.flush_tls()? {
            let Some(waiting @ [_, ..]) = self.output.get(self.output_taken..) else {
                break;
            };
            let Some(tls) = &mut self.tls else { break };
            if tls.is_handshaking() {
                break;
            }
            let bytes = piece_bytes.min(TLS_PIECE_BYTES);
            let piece = waiting.get(..bytes).unwrap_or(waiting);
            let count = tls.writer().write(piece).map_err(ConnectionError::Write)?;
            self.output_taken += count;
            self.written_bytes += count as u64;
        }
        self.output.drain(..self.output_taken);
        self.output_taken = 0;
        Ok(())
    }

    /// Reads what is there, appends whole frames to `frames`, and says whether the socket is drained: if not, the caller
    /// comes back without waiting. After an error `frames` still holds what came before it.
    pub fn read(&mut self, frames: &mut Vec<Vec<u8>>) -> Result<bool, ConnectionError> {
        if !self.is_open {
            return Ok(true);
        }
        let mut piece = [0_u8; READ_PIECE_BYTES];
        let mut total = 0;
        while total < READ_BYTES_A_TURN {
            match self.read_some(&mut piece) {
                Ok(0) => {
                    frames.extend(self.decoder.end());
                    return Err(ConnectionError::ClosedByPeer);
                }
                Ok(count) => {
                    total += count;
                    self.decoder.feed(piece.get(..count).unwrap_or_default());
                    while let Some(frame) = self.decoder.next_frame()? {
                        frames.push(frame);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(ConnectionError::ClosedByPeer);
                }
                Err(error) => return Err(ConnectionError::Read(error)),
            }
        }
        Ok(false)
    }

    fn read_some(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.stream.read(piece);
        };
        loop {
            match tls.reader().read(piece) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            if tls.read_tls(&mut self.stream)? == 0 {
                // Only a peer that said so has closed; anything else is an end that somebody may have chosen.
                return tls.reader().read(piece);
            }
            let processed = tls.process_new_packets();
            // Answers of the protocol itself; what the kernel does not take goes out with the next flush.
            if tls.wants_write() {
                match tls.write_tls(&mut self.stream) {
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                    _ => {}
                }
            }
            processed.map_err(io::Error::other)?;
        }
    }

    /// Bytes that the kernel took since the connection began.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// The offset behind all that was queued.
    pub fn queued_bytes(&self) -> u64 {
        self.written_bytes + self.waiting_bytes() as u64
    }

    /// Bytes that still wait for the kernel.
    pub fn waiting_bytes(&self) -> usize {
        self.output.len() - self.output_taken
    }

    /// Whether `flush` has anything to do.
    pub fn has_output(&self) -> bool {
        self.waiting_bytes() > 0 || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Closes both directions; what still waited is gone.
    pub fn close(mut self, registry: &Registry) {
        // Both fail only on a socket that is closed already.
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut self.stream);
        }
        let _ = registry.deregister(&mut self.stream);
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
