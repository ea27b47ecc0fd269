//! A client's bytes, whatever carries them: TCP, a Unix socket, or TLS over TCP. Never blocks.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::sync::Arc;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustls::{ServerConfig, ServerConnection};

/// Plain bytes that a TLS session may hold for us.
const TLS_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Encrypted bytes of one turn: a peer may send records without end that carry nothing for us.
const TLS_TURN_BYTES_MAX: usize = 64 * 1024;

pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<Tls>),
}

pub struct Tls {
    socket: TcpStream,
    session: ServerConnection,
    /// Encrypted bytes that may still be read in this turn.
    budget_bytes: usize,
}

impl Stream {
    pub fn tls(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let mut session = ServerConnection::new(config).map_err(io::Error::other)?;
        session.set_buffer_limit(Some(TLS_BUFFER_BYTES_MAX));
        Ok(Self::Tls(Box::new(Tls {
            socket,
            session,
            budget_bytes: TLS_TURN_BYTES_MAX,
        })))
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(
            self.source(),
            token,
            Interest::READABLE | Interest::WRITABLE,
        )
    }

    pub fn deregister(&mut self, registry: &Registry) {
        if let Err(error) = registry.deregister(self.source()) {
            tracing::debug!(%error, "a socket could not be taken out of the loop");
        }
    }

    /// A new turn with a new budget.
    pub fn begin_turn(&mut self) {
        if let Self::Tls(tls) = self {
            tls.budget_bytes = TLS_TURN_BYTES_MAX;
        }
    }

    /// `WouldBlock` was said although there may be more: the turn's budget is used up.
    pub fn is_spent(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.budget_bytes == 0)
    }

    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The number of its file descriptor; the lowest that was free.
    pub fn descriptor(&self) -> usize {
        usize::try_from(self.borrowed().as_raw_fd()).unwrap_or(usize::MAX)
    }

    /// Takes the lowest descriptor that is free now. To be called before `register`.
    pub fn lower(&mut self) -> io::Result<()> {
        let copy = self.borrowed().try_clone_to_owned()?;
        match self {
            Self::Tcp(socket) => *socket = TcpStream::from_std(copy.into()),
            Self::Unix(socket) => *socket = UnixStream::from_std(copy.into()),
            Self::Tls(tls) => tls.socket = TcpStream::from_std(copy.into()),
        }
        Ok(())
    }

    /// Whether the two sides still have to agree on keys.
    pub fn is_shaking_hands(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.session.is_handshaking())
    }

    /// Bytes that were taken by `write` and have not left yet.
    pub fn has_unsent(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.session.wants_write())
    }

    /// Sends what `write` has taken; an error of the kind `WouldBlock` is for later.
    pub fn push(&mut self) -> io::Result<()> {
        match self {
            Self::Tls(tls) => tls.push(),
            Self::Tcp(_) | Self::Unix(_) => Ok(()),
        }
    }

    /// Tells the peer that nothing more comes.
    pub fn end(&mut self) {
        // A peer that is gone already need not be told.
        let _ = match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Self::Unix(socket) => socket.shutdown(Shutdown::Write),
            Self::Tls(tls) => {
                tls.session.send_close_notify();
                let _ = tls.push();
                tls.socket.shutdown(Shutdown::Write)
            }
        };
    }

    fn borrowed(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
            Self::Tls(tls) => tls.socket.as_fd(),
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(socket) => socket,
            Self::Unix(socket) => socket,
            Self::Tls(tls) => &mut tls.socket,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(bytes),
            Self::Unix(socket) => socket.read(bytes),
            Self::Tls(tls) => tls.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Unix(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.push()
    }
}

impl Tls {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // A peer that leaves without a farewell has still left.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            if self.budget_bytes == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let encrypted = self.session.read_tls(&mut self.socket)?;
            if encrypted == 0 {
                return Ok(0);
            }
            self.budget_bytes = self.budget_bytes.saturating_sub(encrypted);
            if let Err(error) = self.session.process_new_packets() {
                // The alert that says why; whether it arrives is the peer's affair.
                let _ = self.push();
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            match self.push() {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push()?;
        let taken = self.session.writer().write(bytes)?;
        match self.push() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ if taken == 0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(taken),
        }
    }

    fn push(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.socket)?;
        }
        Ok(())
    }
}
