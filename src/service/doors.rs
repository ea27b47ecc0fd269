//! The doors: the gate with its listeners (API, ops, the operator's Unix socket), tiny_http behind it, and their threads.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use super::threads::Threads;
use super::{Service, ServiceError, guarded};
use crate::config::Config;
use crate::control::{CALL_BYTES_MAX, CallingAccount, Guard, GuardedCall, SOCKET_FILE};
use crate::domain::ProviderNumber;
use crate::http::gate::{
    Certificate, Door, DoorKind, Gate, GateHandle, GateOptions, GateParts, give_to_group,
};
use crate::http::{Api, ApiParts, ControlCall, Front, PrivateServer, Turns, tls};
use crate::telemetry::fatal;

/// The open doors.
pub struct Doors {
    pub address: SocketAddr,
    pub ops_address: Option<SocketAddr>,
    api: Arc<Api>,
    /// To be exchanged at a reload.
    certificate: Certificate,
    gate: GateHandle,
    /// The control socket's file.
    socket: PathBuf,
    pump_stop: Arc<AtomicBool>,
    workers: Vec<String>,
}

const GATE: &str = "gate";
const PUMP: &str = "http-pump";
/// How long answers that are known may take to leave.
const ANSWERS_LEAVE: Duration = Duration::from_secs(3);
/// With a group, it may pass through the directory to the socket and look at nothing.
const GROUP_PASSES: u32 = 0o710;
const OTHERS: u32 = 0o077;

impl Doors {
    pub fn open(service: &mut Service) -> Result<Self, ServiceError> {
        let config = &service.config;
        let guard = Guard::new(&config.data_dir, config.control.group.as_deref())?;
        let server = PrivateServer::bind(&config.data_dir)?;
        let tls = config.http.tls.as_ref().map(tls::load).transpose()?;
        let certificate: Certificate = Arc::new(RwLock::new(tls));
        let (api_door, address) =
            Door::tcp(DoorKind::Api, config.http.listen, certificate.clone())?;
        let mut doors = vec![api_door];
        let mut ops_address = None;
        if let Some(listen) = config.ops.listen {
            let (door, address) = Door::tcp(DoorKind::Ops, listen, Arc::default())?;
            doors.push(door);
            ops_address = Some(address);
        }
        let socket = config.data_dir.join(SOCKET_FILE);
        doors.push(Door::unix(DoorKind::Control, &socket, guard.group())?);
        if let Some(group) = guard.group() {
            let_group_pass(&config.data_dir, group).map_err(ServiceError::Group)?;
        }
        let (gate, handle) = Gate::new(GateParts {
            doors,
            upstream: server.path.clone(),
            options: GateOptions::new(&config.http, CALL_BYTES_MAX),
            clock: service.clock.clone(),
            metrics: service.metrics.clone(),
        })
        .map_err(ServiceError::Gate)?;
        let api = Api::new(api_parts(service, guard, &handle));
        let Front { pump, workers } = Front::new(server, &service.config.http, &api);
        let mut names = Vec::new();
        for worker in workers {
            let name = worker.name().to_owned();
            service
                .threads
                .start(&name, Front::STACK_BYTES, move || worker.run())?;
            names.push(name);
        }
        let pump_stop = Arc::new(AtomicBool::new(false));
        let halt = pump_stop.clone();
        service.threads.start(PUMP, Front::STACK_BYTES, move || {
            if let Err(error) = pump.run(&halt) {
                fatal(&format!("the API cannot be served any more: {error}"));
            }
        })?;
        service.threads.start(GATE, 0, move || {
            guarded(GATE, || {
                if let Err(error) = gate.run() {
                    fatal(&format!("the gate cannot be kept any more: {error}"));
                }
            });
        })?;
        // A second opening in one process would find the first one's.
        let _ = service.gathering.set(api.turns().clone());
        Ok(Self {
            address,
            ops_address,
            api,
            certificate,
            gate: handle,
            socket,
            pump_stop,
            workers: names,
        })
    }

    /// Puts another configuration in force: certificates and deadlines for whoever comes from now on, caps at once.
    pub fn set(&self, config: &Config, tls: Option<Arc<ServerConfig>>) {
        let mut certificate = self
            .certificate
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *certificate = tls;
        drop(certificate);
        self.gate
            .set_options(GateOptions::new(&config.http, CALL_BYTES_MAX));
        self.api.set_config(config.api.clone());
    }

    /// Lets nobody in any more, and refuses what those inside still ask.
    pub fn close(&self) {
        self.api.stop();
        self.gate.close_doors();
    }

    /// Waits until every answer has left, then ends what stands behind the doors, at most until `until` each.
    pub fn end(self, threads: &mut Threads, now: Duration, until: Instant) {
        self.gate.end(now + ANSWERS_LEAVE);
        threads.join(GATE, until);
        // One that stays is removed by the next start.
        let _ = fs::remove_file(&self.socket);
        self.pump_stop.store(true, Ordering::Relaxed);
        threads.join(PUMP, until);
        for worker in self.workers {
            threads.join(&worker, until);
        }
    }
}

/// Answers that are known together leave together.
pub type Gathering = Arc<std::sync::OnceLock<Arc<Turns>>>;

fn api_parts(service: &Service, guard: Guard, gate: &GateHandle) -> ApiParts {
    let health = service.actions.health.clone();
    let is_reachable = move |provider: ProviderNumber| {
        health
            .get(provider)
            .is_none_or(|health| health.circuit_open.is_none())
    };
    let watch = service.watch.clone();
    let mut context = service.control();
    context.setting.is_serving = true;
    let verbs = move |call: ControlCall| {
        let account = CallingAccount {
            uid: call.account.uid,
            gid: call.account.gid,
        };
        let guarded = GuardedCall {
            is_post: call.is_post,
            path: &call.path,
            body: &call.body,
        };
        guard.answer(&context, account, &guarded)
    };
    ApiParts {
        actions: service.actions.clone(),
        access: service.access.clone(),
        metrics: service.metrics.clone(),
        config: service.config.api.clone(),
        finisher: gate.finisher(),
        verbs: Box::new(verbs),
        unready: Box::new(move || watch.unready()),
        is_reachable: Box::new(is_reachable),
    }
}

/// Opens the way to the socket for the group, and closes everything else in the directory to it.
fn let_group_pass(data_dir: &Path, group: u32) -> io::Result<()> {
    // What is made from now on is the owner's alone too.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(OTHERS));
    for entry in fs::read_dir(data_dir)? {
        let entry = entry?;
        if entry.file_name() == SOCKET_FILE {
            continue;
        }
        let metadata = match entry.metadata() {
            // Of a link its target would be closed, which may be anybody's.
            Ok(metadata) if metadata.is_symlink() => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        let mode = metadata.permissions().mode();
        if mode & OTHERS != 0 {
            fs::set_permissions(entry.path(), Permissions::from_mode(mode & !OTHERS))?;
        }
    }
    give_to_group(data_dir, group)?;
    fs::set_permissions(data_dir, Permissions::from_mode(GROUP_PASSES))
}
