//! The doors of a box that a test has put together: gate, tiny_http, pump and workers, as `service.rs` wires them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use pairbox::clock::Clock;
use pairbox::config::HttpConfig;
use pairbox::control::{
    CALL_BYTES_MAX, CallingAccount, ControlContext, Guard, GuardedCall, SOCKET_FILE,
};
use pairbox::http::gate::{Door, DoorKind, Finisher, Gate, GateHandle, GateOptions, GateParts};
use pairbox::http::{Api, ApiParts, ControlCall, Front, PrivateServer};
use pairbox::telemetry::Metrics;

pub struct Doorway {
    pub address: SocketAddr,
    pub ops: SocketAddr,
    pub api: Arc<Api>,
    gate: GateHandle,
    stop_pump: Arc<AtomicBool>,
    gate_thread: JoinHandle<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Doorway {
    pub fn open(
        data_dir: &Path,
        http: &HttpConfig,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        parts: impl FnOnce(Finisher) -> ApiParts,
    ) -> Self {
        let server = PrivateServer::bind(data_dir).unwrap();
        let (api_door, address) = Door::tcp(DoorKind::Api, http.listen, Arc::default()).unwrap();
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let (ops_door, ops) = Door::tcp(DoorKind::Ops, free, Arc::default()).unwrap();
        let socket = data_dir.join(SOCKET_FILE);
        let control_door = Door::unix(DoorKind::Control, &socket, None).unwrap();
        let (gate, handle) = Gate::new(GateParts {
            doors: vec![api_door, ops_door, control_door],
            upstream: server.path.clone(),
            options: GateOptions::new(http, CALL_BYTES_MAX),
            clock,
            metrics,
        })
        .unwrap();
        let api = Api::new(parts(handle.finisher()));
        let Front { pump, workers } = Front::new(server, http, &api);
        let stop_pump = Arc::new(AtomicBool::new(false));
        let halt = stop_pump.clone();
        let mut threads = vec![spawn("pump", move || pump.run(&halt).unwrap())];
        for worker in workers {
            let name = worker.name().to_owned();
            threads.push(spawn(&name, move || worker.run()));
        }
        Self {
            address,
            ops,
            api,
            gate: handle,
            stop_pump,
            gate_thread: spawn("gate", move || gate.run().unwrap()),
            threads,
        }
    }

    /// Lets nobody in any more; what is inside is still answered by `close`.
    pub fn shut(&self) {
        self.api.stop();
        self.gate.close_doors();
    }

    pub fn close(self) {
        self.shut();
        self.gate.end(Duration::ZERO);
        join(self.gate_thread);
        self.stop_pump.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(join);
    }
}

/// The operator's verbs, judged as `service.rs` has them judged.
pub fn verbs(
    context: ControlContext,
    data_dir: &Path,
) -> impl Fn(ControlCall) -> (u16, Vec<u8>) + use<> {
    let guard = Guard::new(data_dir, None).unwrap();
    move |call: ControlCall| {
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
    }
}

pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(Front::STACK_BYTES)
        .spawn(run)
        .unwrap()
}

pub fn join(thread: JoinHandle<()>) {
    let ended = thread.join();
    assert!(
        ended.is_ok() || std::thread::panicking(),
        "a thread panicked"
    );
}
