//! What the lanes report, and what becomes of their connections: ready, down, the circuit, numbers, pushes.

use super::dispatcher::Dispatcher;
use super::line::Line;
use super::step::{Now, Output};
use super::timers::Timer;
use crate::commit::DispatchCommand;
use crate::domain::{ProviderNumber, View};
use crate::provider::{Advice, DownPhase, LaneCommand, LaneEvent, LaneId};

impl Dispatcher {
    pub(super) fn lane_event(&mut self, view: &dyn View, now: Now, lane: LaneId, event: LaneEvent) {
        let provider = ProviderNumber(lane.provider);
        match event {
            LaneEvent::Ready { connection } => {
                let Some(line) = self.lines.get_mut(&provider) else {
                    return;
                };
                if line.circuit.succeeded() {
                    tracing::info!(
                        provider = line.provider.name,
                        "the CAS answers again; the circuit is closed"
                    );
                }
                if let Some(lane) = line.lane_mut(lane) {
                    lane.connection = Some(connection);
                }
            }
            LaneEvent::Down {
                connection,
                phase,
                reason,
                unsent,
                ..
            } => {
                self.lane_down(view, now, lane, connection, phase, &reason, &unsent);
            }
            LaneEvent::NotSent {
                attempts,
                reason,
                may_go_later: true,
            } => self.not_sent(view, now, &attempts, &reason),
            LaneEvent::NotSent {
                attempts, reason, ..
            } => self.never_sent(view, now, &attempts, &reason),
            LaneEvent::Reply {
                connection,
                reply,
                frame,
            } => {
                self.reply(view, now, lane, connection, reply, &frame);
            }
            LaneEvent::Push {
                connection,
                data,
                reply,
                ..
            } => {
                self.push(lane, connection, data, reply);
            }
            LaneEvent::Unreadable { frame, error, .. } => {
                tracing::warn!(%lane, error, bytes = frame.len(), "a frame of the CAS could not be read");
                self.count_unknown(now, provider, &frame);
            }
            LaneEvent::NumbersNeeded => self.reserve(provider),
        }
    }

    #[allow(clippy::too_many_arguments)] // the event's own fields
    fn lane_down(
        &mut self,
        view: &dyn View,
        now: Now,
        id: LaneId,
        connection: u64,
        phase: DownPhase,
        reason: &str,
        unsent: &[u64],
    ) {
        let provider = ProviderNumber(id.provider);
        let Some(line) = self.lines.get_mut(&provider) else {
            return;
        };
        tracing::warn!(
            provider = line.provider.name,
            lane = id.lane,
            ?phase,
            reason,
            "a lane is down"
        );
        if let Some(lane) = line.lane_mut(id) {
            lane.connection = None;
        }
        if phase.is_failure() && line.circuit.failed(now.monotonic) {
            tracing::error!(provider = line.provider.name, reason, "the circuit is open");
        }
        let unanswered: Vec<u64> = line
            .attempts
            .on_connection(id, connection)
            .into_iter()
            .filter(|handle| !unsent.contains(handle))
            .filter(|handle| {
                line.attempts
                    .get(*handle)
                    .is_some_and(|flight| flight.attempt.is_some())
            })
            .collect();
        self.not_sent(view, now, unsent, reason);
        for handle in unanswered {
            self.unknown(view, now, handle, reason);
        }
    }

    /// Brings the lanes to what the provider's state and the circuit advise.
    pub(super) fn steer(&mut self, view: &dyn View, now: Now, provider: ProviderNumber) {
        let is_wanted = view
            .provider(provider)
            .is_some_and(|row| row.is_configured && row.is_effective);
        let Some(line) = self.lines.get_mut(&provider) else {
            return;
        };
        let advice = if is_wanted {
            line.circuit.advice(now.monotonic)
        } else {
            Advice::StayDown {
                until: now.monotonic,
            }
        };
        if is_wanted && line.transactions.remaining() == 0 {
            // Hello and keepalives draw numbers too: the first block comes before the first connect.
            self.reserve(provider);
        }
        let Some(line) = self.lines.get_mut(&provider) else {
            return;
        };
        let (wanted, reason) = match advice {
            Advice::Connect => (line.lanes.len(), ""),
            Advice::Probe => (1, ""),
            Advice::StayDown { until } => {
                if is_wanted && line.lanes_up != 0 {
                    self.timers.set(until, Timer::Line(provider));
                }
                (
                    0,
                    if is_wanted {
                        "the circuit is open"
                    } else {
                        "the provider is not effective"
                    },
                )
            }
        };
        if wanted == line.lanes_up {
            return;
        }
        for (at, lane) in line.lanes.iter().enumerate() {
            if at < wanted && at >= line.lanes_up {
                self.out.push(Output::Lane(lane.id, LaneCommand::Connect));
            }
            if at >= wanted && at < line.lanes_up {
                self.out.push(Output::Lane(
                    lane.id,
                    LaneCommand::Disconnect {
                        reason: reason.to_owned(),
                    },
                ));
            }
        }
        line.lanes_up = wanted;
    }

    /// The CAS spoke first: recorded, then acknowledged; what is not recorded is not acknowledged.
    fn push(&mut self, lane: LaneId, connection: u64, data: String, reply: Option<Vec<u8>>) {
        let provider = ProviderNumber(lane.provider);
        self.pushes += 1;
        if let Some(body) = reply {
            self.push_replies
                .insert(self.pushes, (lane, connection, body));
        }
        let push = self.pushes;
        self.out.push(Output::Commit(DispatchCommand::PushReceived {
            provider,
            data,
            push,
        }));
    }

    pub(super) fn push_judged(&mut self, push: u64, is_recorded: bool) {
        let reply = self.push_replies.remove(&push).filter(|_| is_recorded);
        if let Some((lane, connection, body)) = reply {
            self.out.push(Output::Lane(
                lane,
                LaneCommand::AckPush { connection, body },
            ));
        }
    }
}

impl Line {
    /// Whether what is ready can go out without anybody doing anything.
    pub fn can_send_soon(&self, view: &dyn View) -> bool {
        let number = ProviderNumber(self.provider.number);
        let is_sending = view
            .provider(number)
            .is_some_and(|row| row.is_configured && row.is_effective && row.pause.is_none());
        is_sending && self.circuit.is_closed()
    }
}
