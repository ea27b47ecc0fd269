//! How a lane's connection begins and ends: one address, one attempt, then a growing and jittered wait.
//!
//! The end is where `unsent` is told: the door closes first, so nothing can be taken for a connection that is gone.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use super::super::handle::Wanted;
use super::super::link::Link;
use super::super::status::count;
use super::super::{DownPhase, LaneCommand, LaneEvent};
use super::{LaneRunner, NUMBERS_AGAIN, SOCKET, Stage};
use crate::domain::Framing;
use crate::transport::Connection;

impl LaneRunner {
    pub(super) fn connect(&mut self) {
        if self.options.wires.transactions.remaining() == 0 {
            self.shared
                .status
                .set_state("waits for transaction numbers");
            self.batch.push(LaneEvent::NumbersNeeded);
            self.stage = Stage::Backoff {
                until: self.now() + NUMBERS_AGAIN,
            };
            return;
        }
        self.connection += 1;
        count(&self.shared.status.connects, 1);
        self.shared.status.set_state("connecting");
        let attempt = self.resolve().and_then(|address| {
            let framing = self.options.framing.clone();
            let tls = self.options.credentials.tls.as_ref();
            Connection::connect(address, framing, tls, self.poll.registry(), SOCKET)
                .map_err(|error| error.to_string())
        });
        self.secrets.clone_from(self.options.credentials.secrets());
        match attempt {
            Ok(mut connection) => {
                connection.set_heads(self.options.credentials.heads(&self.options.address));
                self.link = Some(Link::new(connection));
                self.stage = Stage::Connecting {
                    until: self.now() + self.options.session.connect_timeout,
                };
            }
            Err(reason) => self.down_and_back_off(DownPhase::Connect, &reason),
        }
    }

    /// One address of the host, another one each time. Blocks for the resolver, which has its own time-out.
    fn resolve(&self) -> Result<SocketAddr, String> {
        let address = &self.options.address;
        let found: Vec<SocketAddr> = address
            .to_socket_addrs()
            .map_err(|error| format!("resolving `{address}`: {error}"))?
            .collect();
        let turn = self.connection.saturating_sub(1);
        let index = turn.checked_rem(found.len() as u64).unwrap_or(0);
        usize::try_from(index)
            .ok()
            .and_then(|index| found.get(index).copied())
            .ok_or_else(|| format!("`{address}` has no address"))
    }

    pub(super) fn phase(&self) -> DownPhase {
        match self.stage {
            Stage::Connecting { .. } => DownPhase::Connect,
            Stage::Hello { .. } => DownPhase::Hello,
            Stage::Warming { .. } => DownPhase::Keepalive,
            Stage::Idle | Stage::Backoff { .. } | Stage::Ready => DownPhase::Established,
        }
    }

    /// Ends the connection, if there is one, and backs off.
    pub(super) fn down(&mut self, phase: DownPhase, reason: impl AsRef<str>) {
        if self.link.is_some() {
            self.down_and_back_off(phase, reason.as_ref());
        }
    }

    /// After a panic nothing is known of the connection but what was never taken from the handle: all else is unknown.
    pub(super) fn recover(&mut self) {
        self.shared.open_for(None);
        self.frames.clear();
        let phase = self.phase();
        if let Some(link) = &mut self.link {
            link.untouched.clear();
        }
        self.down_and_back_off(phase, "the lane panicked");
        self.hand_over();
    }

    fn down_and_back_off(&mut self, phase: DownPhase, reason: &str) {
        let reason = self.secrets.veil_text(reason);
        self.shared.open_for(None);
        let mut unsent = Vec::new();
        let has_answered = self.link.as_ref().is_some_and(|link| link.has_answered);
        if let Some(mut link) = self.link.take() {
            link.forget_touched();
            unsent.extend(link.untouched.iter().map(|(attempt, _)| *attempt));
            link.connection.close(self.poll.registry());
        }
        while let Ok(command) = self.commands.try_recv() {
            if let LaneCommand::Send { frames, .. } = command {
                unsent.extend(frames.iter().map(|outgoing| outgoing.attempt));
            }
        }
        self.shared.status.set_connected(None);
        // An HTTP server may close after any answer, and means nothing by it.
        let is_routine = phase == DownPhase::Established
            && has_answered
            && matches!(self.options.framing, Framing::Http { .. });
        let retry_in = (self.shared.wanted() == Wanted::Up).then(|| {
            if is_routine {
                return Duration::ZERO;
            }
            let retry_in = self.chance.jitter(self.backoff);
            self.backoff = (self.backoff * 2).min(self.options.session.reconnect_max);
            retry_in
        });
        self.stage = match retry_in {
            Some(retry_in) => Stage::Backoff {
                until: self.now() + retry_in,
            },
            None => Stage::Idle,
        };
        if phase == DownPhase::Asked {
            tracing::info!(lane = %self.options.id, reason, "lane down");
        } else {
            self.shared.status.set_state("reconnecting");
            self.shared.status.set_error(reason.clone());
            tracing::warn!(lane = %self.options.id, ?phase, reason, "lane down");
        }
        self.batch.push(LaneEvent::Down {
            connection: self.connection,
            phase,
            reason,
            unsent,
            retry_in,
        });
    }
}
