//! One non-blocking TCP connection on a mio poll: frames in, frames out, and how far the kernel took them.
//!
//! It never blocks, never retries and never sleeps; the owner's event loop calls it when the poll says so.
//! Used by a provider's lane as the client and by the simulator as the server.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{SockRef, TcpKeepalive};

use super::framing::{Decoder, FramingError, encode};
use crate::domain::Framing;

/// The most bytes that wait for the kernel; what is over it is refused, not buffered.
pub const OUTPUT_BYTES_MAX: usize = 8 << 20;
/// The most bytes taken from the kernel in one turn, so that a flood cannot starve timers and commands.
pub const READ_BYTES_A_TURN: usize = 256 << 10;
/// The kernel probes a peer that is silent this long, for sessions without keepalives of their own.
const PEER_PROBED_AFTER: Duration = Duration::from_mins(1);
const READ_PIECE_BYTES: usize = 16 << 10;

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
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error("{waiting_bytes} bytes wait for the other side already, which takes none")]
    OutputFull { waiting_bytes: usize },
}

/// A TCP stream with its buffers.
pub struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    framing: Framing,
    /// Lines for the head of each HTTP message.
    heads: Vec<u8>,
    decoder: Decoder,
    output: Vec<u8>,
    /// Bytes at the front of `output` that the kernel took already.
    output_taken: usize,
    /// Bytes that the kernel took since the connection began.
    written_bytes: u64,
    is_open: bool,
}

impl Connection {
    /// Begins to connect; `finish_connect` tells the end of it. The caller holds the time-out.
    pub fn connect(
        address: SocketAddr,
        framing: Framing,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, ConnectionError> {
        let stream = TcpStream::connect(address)
            .map_err(|source| ConnectionError::Connect { address, source })?;
        Self::register(stream, address, framing, registry, token, false)
    }

    /// Takes over a stream that a listener accepted.
    pub fn accepted(
        stream: TcpStream,
        address: SocketAddr,
        framing: Framing,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, ConnectionError> {
        let connection = Self::register(stream, address, framing, registry, token, true)?;
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

    /// After a writable event: whether the connection stands now.
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
                self.is_open = true;
                Ok(true)
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

    fn flush_in_pieces(&mut self, piece_bytes: usize) -> Result<(), ConnectionError> {
        if !self.is_open {
            return Ok(());
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

    /// Reads what is there, appends whole frames to `frames`, and says whether the socket is drained: if not, the caller
    /// comes back without waiting. After an error `frames` still holds what came before it.
    pub fn read(&mut self, frames: &mut Vec<Vec<u8>>) -> Result<bool, ConnectionError> {
        if !self.is_open {
            return Ok(true);
        }
        let mut piece = [0_u8; READ_PIECE_BYTES];
        let mut total = 0;
        while total < READ_BYTES_A_TURN {
            match self.stream.read(&mut piece) {
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
                Err(error) => return Err(ConnectionError::Read(error)),
            }
        }
        Ok(false)
    }

    /// Bytes that the kernel took since the connection began.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Bytes that still wait for the kernel.
    pub fn waiting_bytes(&self) -> usize {
        self.output.len() - self.output_taken
    }

    /// Closes both directions; what still waited is gone.
    pub fn close(mut self, registry: &Registry) {
        // Both fail only on a socket that is closed already.
        let _ = registry.deregister(&mut self.stream);
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
