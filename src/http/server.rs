//! The listening socket, and everything that serves it, put together but not started.
//!
//! tiny_http cannot set time-outs; accepted sockets inherit the listener's options, so they are set there.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tiny_http::Server;

use super::api::Api;
use super::desk::{BodyReader, Desk, Lanes};
use super::pump::Pump;
use super::turns::{AnswerWriter, Outgoing};
use super::worker::{Job, Worker};
use crate::config::HttpConfig;
use crate::script::STACK_BYTES_MIN;

/// A client that does not take its answer for so long loses its connection.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);
/// After so long the kernel ends a connection whose peer takes nothing: ours was given up before, and tiny_http would go on
/// reading from it.
const USER_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);
/// Connections that the kernel holds for us.
const BACKLOG: i32 = 1024;
/// Password logins that may wait; each costs tens of milliseconds.
const PASSWORD_QUEUE_MAX: usize = 64;
/// Bodies that tiny_http did not read by itself (over 1,024 bytes) are read by so many threads, and so many more wait.
const BODY_READERS: usize = 4;
const BODIES_QUEUE_MAX: usize = 64;
/// Threads that carry answers out.
const ANSWER_WRITERS: usize = 4;
/// Lists and shows run beside accepting, so that they never hold it up.
const READERS: usize = 2;

/// Why the API is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on `{address}`")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("the HTTP server cannot start: {reason}")]
    Start { reason: String },
    #[error("the HTTP server accepts no connections any more")]
    Accept { source: io::Error },
}

/// Opens the listening socket with the options that its connections inherit.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    listen(address).map_err(|source| ServeError::Listen { address, source })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The pump and what works for it; one thread each.
pub struct Front {
    pub address: SocketAddr,
    pub pump: Pump,
    /// They end with the pump.
    pub workers: Vec<Worker>,
    /// They may hang on a client that sends nothing: never to be joined.
    pub body_readers: Vec<BodyReader>,
    /// They end when nobody can owe an answer any more, which a body reader may: never to be joined either.
    pub writers: Vec<AnswerWriter>,
    /// What the writers still have to do.
    pub outgoing: Outgoing,
}

impl Front {
    /// The stack that a worker's thread needs: handlers run mapping scripts.
    pub const WORKER_STACK_BYTES: usize = STACK_BYTES_MIN;

    /// Takes connections from now on; answers them once the threads run.
    pub fn new(
        listener: TcpListener,
        config: &HttpConfig,
        api: &Arc<Api>,
    ) -> Result<Self, ServeError> {
        let server = Server::from_listener(listener, None).map_err(|error| ServeError::Start {
            reason: error.to_string(),
        })?;
        let address = match server.server_addr() {
            tiny_http::ListenAddr::IP(address) => address,
            other @ tiny_http::ListenAddr::Unix(_) => {
                return Err(ServeError::Start {
                    reason: format!("{other} is no IP address"),
                });
            }
        };
        let (write, writes) = bounded(config.queue_max);
        let (password, passwords) = bounded(PASSWORD_QUEUE_MAX);
        let (read, reads) = bounded(config.queue_max);
        let mut workers = Vec::new();
        workers.extend(team("http-write", config.workers, &writes, api));
        workers.extend(team("http-read", READERS, &reads, api));
        workers.extend(team("http-login", 1, &passwords, api));
        let desk = Arc::new(Desk {
            api: api.clone(),
            lanes: Lanes {
                write,
                password,
                read,
            },
            body_bytes_max: config.body_bytes_max,
        });
        let (bodies, comings) = bounded(BODIES_QUEUE_MAX);
        let body_reader = |_| BodyReader {
            comings: comings.clone(),
            api: api.clone(),
            desk: Arc::downgrade(&desk),
        };
        Ok(Self {
            address,
            workers,
            body_readers: (0..BODY_READERS).map(body_reader).collect(),
            writers: (0..ANSWER_WRITERS).map(|_| api.turns.writer()).collect(),
            outgoing: api.turns.outgoing(),
            pump: Pump {
                server,
                desk,
                bodies,
            },
        })
    }
}

fn team(name: &str, count: usize, jobs: &Receiver<Job>, api: &Arc<Api>) -> Vec<Worker> {
    (1..=count)
        .map(|at| Worker {
            name: format!("{name}-{at}"),
            jobs: jobs.clone(),
            api: api.clone(),
        })
        .collect()
}
