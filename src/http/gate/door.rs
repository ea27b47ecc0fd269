//! A listening socket: who comes in by it, and what its connections inherit.
//!
//! Running out of file descriptors makes a door rest for a moment; nothing closes it but the stop.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::options::ACCEPT_AGAIN_AFTER;
use super::private::{Account, DoorKind, Peer};
use super::stream::Stream;

/// Connections that the kernel holds for us.
const BACKLOG: i32 = 4096;
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);
/// Mode of a Unix socket: its owner, and the group if there is one.
const OWNER_ONLY: u32 = 0o600;
const OWNER_AND_GROUP: u32 = 0o660;

/// The certificate of a door, to be exchanged while it is open; none is plain text.
pub type Certificate = Arc<RwLock<Option<Arc<ServerConfig>>>>;

/// Why a door does not open.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error("cannot listen on `{address}`: {source}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot make the socket `{}`: {source}", path.display())]
    Socket { path: PathBuf, source: io::Error },
}

enum Listener {
    Tcp(TcpListener, Certificate),
    Unix(UnixListener),
}

pub struct Door {
    pub kind: DoorKind,
    /// Somebody may wait at it.
    pub may_accept: bool,
    listener: Listener,
    /// It rests until then.
    resting_until: Option<Duration>,
}

/// What accepting brought.
pub enum Accepted {
    Client(Stream, Peer),
    /// Somebody who had left again, or a handshake that could not begin.
    Nobody,
    /// All who were there have come in.
    Done,
}

impl Door {
    /// A TCP door; `certificate` decides for each connection whether it speaks TLS.
    pub fn tcp(
        kind: DoorKind,
        address: SocketAddr,
        certificate: Certificate,
    ) -> Result<(Self, SocketAddr), DoorError> {
        let failed = |source| DoorError::Listen { address, source };
        let listener = listen(address).map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let door = Self::new(kind, Listener::Tcp(listener, certificate));
        Ok((door, local))
    }

    /// A Unix door for its owner, and for `group` if there is one. Whatever lies at `path` is removed: the caller holds the
    /// lock of the data directory.
    pub fn unix(kind: DoorKind, path: &Path, group: Option<u32>) -> Result<Self, DoorError> {
        let bind = || -> io::Result<UnixListener> {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(path)?;
            if let Some(group) = group {
                give_to_group(path, group)?;
            }
            let mode = group.map_or(OWNER_ONLY, |_| OWNER_AND_GROUP);
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            Ok(listener)
        };
        let listener = bind().map_err(|source| DoorError::Socket {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self::new(kind, Listener::Unix(listener)))
    }

    fn new(kind: DoorKind, listener: Listener) -> Self {
        Self {
            kind,
            may_accept: false,
            listener,
            resting_until: None,
        }
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.listener {
            Listener::Tcp(listener, _) => registry.register(listener, token, Interest::READABLE),
            Listener::Unix(listener) => registry.register(listener, token, Interest::READABLE),
        }
    }

    pub fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match &mut self.listener {
            Listener::Tcp(listener, _) => registry.deregister(listener),
            Listener::Unix(listener) => registry.deregister(listener),
        }
    }

    /// Whether it is to be asked now for who waits.
    pub fn is_due(&self, now: Duration) -> bool {
        self.may_accept && self.resting_until.is_none_or(|until| now >= until)
    }

    /// Lets one in.
    pub fn accept(&mut self, now: Duration) -> Accepted {
        match self.accept_one() {
            Ok((stream, peer)) => Accepted::Client(stream, peer),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.may_accept = false;
                Accepted::Done
            }
            Err(error) if is_of_one_client(&error) => {
                tracing::debug!(door = self.kind.as_str(), %error, "a client did not get in");
                Accepted::Nobody
            }
            Err(error) => {
                tracing::warn!(door = self.kind.as_str(), %error, "accepting rests for a moment");
                self.resting_until = Some(now + ACCEPT_AGAIN_AFTER);
                self.may_accept = false;
                Accepted::Done
            }
        }
    }

    fn accept_one(&mut self) -> io::Result<(Stream, Peer)> {
        match &self.listener {
            Listener::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                let account = rustix::net::sockopt::socket_peercred(&stream)?;
                let peer = Peer::Account(Account {
                    uid: account.uid.as_raw(),
                    gid: account.gid.as_raw(),
                });
                Ok((Stream::Unix(stream), peer))
            }
            Listener::Tcp(listener, certificate) => {
                let (stream, address) = listener.accept()?;
                stream.set_nodelay(true)?;
                let certificate = certificate
                    .read()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                let stream = match certificate {
                    Some(config) => Stream::tls(stream, config)?,
                    None => Stream::Tcp(stream),
                };
                Ok((stream, Peer::Address(address.ip().to_canonical())))
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Gives a file to a group, unless it is the group's already: a service manager may forbid the call altogether.
pub fn give_to_group(path: &Path, group: u32) -> io::Result<()> {
    if fs::metadata(path)?.gid() == group {
        return Ok(());
    }
    chown(path, None, Some(group))
}

/// One client's connection failed on the way; anything else (no file descriptors, no memory, a forbidden call) is ours and
/// may be better in a moment.
fn is_of_one_client(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    errno.is_none_or(|errno| {
        [
            Errno::CONNABORTED,
            Errno::CONNRESET,
            Errno::PROTO,
            Errno::INTR,
            Errno::NETDOWN,
            Errno::NETUNREACH,
            Errno::HOSTUNREACH,
            Errno::HOSTDOWN,
            Errno::TIMEDOUT,
            Errno::NOTCONN,
        ]
        .contains(&errno)
    })
}
