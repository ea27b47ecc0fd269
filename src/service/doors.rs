//! The doors: the API on its TCP port and the operator's Unix socket, each with its threads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::threads::Threads;
use super::{Service, ServiceError};
use crate::control::ControlServer;
use crate::domain::ProviderNumber;
use crate::http::{Api, ApiParts, Front, Outgoing, bind};
use crate::script::STACK_BYTES_MIN;
use crate::telemetry::fatal;

/// The open doors.
pub struct Doors {
    pub address: SocketAddr,
    pub api: Arc<Api>,
    stop: Arc<AtomicBool>,
    workers: Vec<String>,
    outgoing: Outgoing,
}

const PUMP: &str = "http-pump";
const CONTROL: &str = "control";

impl Doors {
    pub fn open(service: &mut Service) -> Result<Self, ServiceError> {
        let stop = Arc::new(AtomicBool::new(false));
        let health = service.actions.health.clone();
        let watch = service.watch.clone();
        let is_reachable = move |provider: ProviderNumber| {
            health
                .get(provider)
                .is_none_or(|health| health.circuit_open.is_none())
        };
        let api = Api::new(ApiParts {
            actions: service.actions.clone(),
            access: service.access.clone(),
            metrics: service.metrics.clone(),
            config: service.config.api.clone(),
            is_ready: Box::new(move |()| watch.unready().is_empty()),
            is_reachable: Box::new(is_reachable),
        });
        let listener = bind(service.config.http.listen)?;
        let Front {
            address,
            pump,
            workers,
            body_readers,
            writers,
            outgoing,
        } = Front::new(listener, &service.config.http, &api)?;
        let mut names = Vec::new();
        for worker in workers {
            let name = worker.name().to_owned();
            service
                .threads
                .start(&name, Front::WORKER_STACK_BYTES, move || worker.run())?;
            names.push(name);
        }
        for reader in body_readers {
            service
                .threads
                .start_loose("http-body", move || reader.run())?;
        }
        for writer in writers {
            service
                .threads
                .start_loose("http-answer", move || writer.run())?;
        }
        let halt = stop.clone();
        service.threads.start(PUMP, 0, move || {
            if let Err(error) = pump.run(&halt) {
                fatal(&format!("the API cannot be served any more: {error}"));
            }
        })?;
        let control = ControlServer::bind(&service.config.data_dir)?;
        let mut context = service.control();
        context.setting.is_serving = true;
        let halt = stop.clone();
        service.threads.start(CONTROL, STACK_BYTES_MIN, move || {
            if let Err(error) = control.run(&context, &halt) {
                fatal(&format!(
                    "the control socket cannot be served any more: {error}"
                ));
            }
        })?;
        Ok(Self {
            address,
            api,
            stop,
            workers: names,
            outgoing,
        })
    }

    /// Lets nobody in any more and waits for those inside, at most until `until`. What is parked or in the writer is answered
    /// later: the answers that are still to leave are handed back.
    pub fn close(self, threads: &mut Threads, until: Instant) -> Outgoing {
        self.stop.store(true, Ordering::Relaxed);
        threads.join(PUMP, until);
        threads.join(CONTROL, until);
        for worker in self.workers {
            threads.join(&worker, until);
        }
        self.outgoing
    }
}
