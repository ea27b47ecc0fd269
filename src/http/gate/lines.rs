//! The gate's lines to tiny_http: whole requests go out by the one that owes least, answers come back to whom they belong.
//!
//! A line that breaks takes those with it who wait on it, and nobody else; lines are opened one at a time.

use std::time::{Duration, Instant};

use mio::Token;

use super::client::{Client, Phase};
use super::head::Head;
use super::options::{LINE_BYTES_MAX, REQUEST_BYTES_MAX};
use super::private::{DoorKind, Origin, PRIVATE_HEADER, Peer, RequestId};
use super::upstream::{Broken, Returned, Upstream};
use super::{FIRST_LINE, Gate, LINES, NO_SLOT, SLOT_BITS};
use crate::domain::Refusal;
use crate::http::answer::Answer;
use crate::http::crm::CallError;
use crate::telemetry::Metric;

impl Gate {
    /// Puts a whole request on the line that owes least.
    pub(super) fn hand_on(&mut self, slot: usize, head: &Head, body: &[u8], now: Duration) {
        if self.roll.request_bytes + body.len() > REQUEST_BYTES_MAX {
            return self.refuse(slot, &CallError::Refused(Refusal::Overloaded), now);
        }
        let open = self.lines.iter_mut().filter(|line| line.is_open());
        let Some(line) = open.min_by_key(|line| line.owed()) else {
            return self.refuse(slot, &CallError::Refused(Refusal::Overloaded), now);
        };
        self.requests += 1;
        let id = request_id(self.requests, slot);
        let comes_from = self.roll.with(slot, |client| {
            client.is_inside(id, head.shape, body.len());
            (client.door, client.peer)
        });
        let Some((door, peer)) = comes_from else {
            return;
        };
        let origin = Origin {
            line: line.line,
            id,
            door,
            peer,
        };
        line.send(id, &private_head(&head.text, &origin, body.len()), body);
        self.moved = Instant::now();
    }

    pub(super) fn take_finished(&mut self, now: Duration) {
        let finished = self.finisher.take();
        for (id, answer) in finished.answers {
            self.answer(id, &answer, now);
        }
        for lost in finished.lost {
            let is_it =
                |line: &Upstream| line.line == lost && (line.is_open() || line.is_proving());
            if let Some(at) = self.lines.iter().position(is_it) {
                self.break_line(at, &Broken::Lost, now);
            }
        }
    }

    pub(super) fn take_returned(&mut self, now: Duration) {
        for at in 0..LINES {
            let mut returned = std::mem::take(&mut self.returned);
            let received = match self.lines.get_mut(at) {
                Some(line) if line.is_open() || line.is_proving() => line.receive(&mut returned),
                _ => Ok(()),
            };
            for one in returned.drain(..) {
                if let Returned::Answer(id, answer) = one {
                    self.answer(id, &answer, now);
                }
            }
            self.returned = returned;
            if let Err(broken) = received {
                self.break_line(at, &broken, now);
            }
        }
    }

    pub(super) fn flush_lines(&mut self, now: Duration) {
        for at in 0..LINES {
            let registry = self.poll.registry();
            let line = self.lines.get_mut(at);
            if let Some(Err(broken)) = line.map(|line| line.flush(registry)) {
                self.break_line(at, &broken, now);
            }
        }
    }

    /// Gives an answer to whom it belongs; one whose client has left belongs to nobody.
    pub(super) fn answer(&mut self, id: RequestId, answer: &Answer, now: Duration) {
        let slot = slot_of(id);
        let is_waiting = |client: &Client| matches!(client.phase, Phase::Inside(own) if own == id);
        if !self
            .roll
            .get_mut(slot)
            .is_some_and(|client| is_waiting(client))
        {
            return;
        }
        self.metrics.count(Metric::HttpRequests);
        self.moved = Instant::now();
        let ends = self.are_doors_closed();
        let date = self.date();
        self.roll
            .with(slot, |client| client.answer(answer, ends, &date, now));
        self.turn(slot, now);
        self.spare_answers();
    }

    /// A line is of no more use. What became of its requests is unknown to their clients: their connections end.
    pub(super) fn break_line(&mut self, at: usize, broken: &Broken, now: Duration) {
        let registry = self.poll.registry();
        let Some(line) = self.lines.get_mut(at) else {
            return;
        };
        let owed = line.close(registry, now);
        self.metrics.count(Metric::HttpLinesBroken);
        tracing::warn!(line = at, %broken, requests = owed.len(), "a private line is opened anew");
        for id in owed {
            let slot = slot_of(id);
            let is_inside =
                |client: &Client| matches!(client.phase, Phase::Inside(own) if own == id);
            if self
                .roll
                .get_mut(slot)
                .is_some_and(|client| is_inside(client))
            {
                self.close(slot);
            }
        }
    }

    /// One line at a time, each proven by an answer before the next.
    pub(super) fn mend_lines(&mut self, now: Duration) {
        for at in 0..LINES {
            if self.lines.get(at).is_some_and(|line| line.is_overdue(now)) {
                self.break_line(at, &Broken::Unproven, now);
            }
        }
        if self.lines.iter().any(Upstream::is_proving) {
            return;
        }
        let registry = self.poll.registry();
        let due = self.lines.iter_mut().enumerate();
        let Some((at, line)) = due.into_iter().find(|(_, line)| line.is_due(now)) else {
            return;
        };
        if let Err(error) = line.connect(&self.upstream, registry, Token(FIRST_LINE + at), now) {
            return self.break_line(at, &Broken::Io(error), now);
        }
        self.line_count += 1;
        self.requests += 1;
        line.line = self.line_count;
        let origin = Origin {
            line: line.line,
            id: request_id(self.requests, NO_SLOT),
            door: DoorKind::Ops,
            peer: Peer::Address(std::net::Ipv4Addr::LOCALHOST.into()),
        };
        let head = private_head(b"GET /healthz HTTP/1.1\r\n", &origin, 0);
        line.send(origin.id, &head, &[]);
    }

    /// Whether the lines can be given more: beyond that, requests stay in their sockets.
    pub(super) fn takes_more(&self) -> bool {
        let pending = self.lines.iter().map(Upstream::pending_bytes);
        pending.sum::<usize>() <= LINE_BYTES_MAX
    }
}

fn request_id(count: u64, slot: usize) -> RequestId {
    RequestId((count << SLOT_BITS) | slot as u64)
}

fn slot_of(id: RequestId) -> usize {
    usize::try_from(id.0 & ((1 << SLOT_BITS) - 1)).unwrap_or(NO_SLOT)
}

/// The head as it goes on: the client's part, where it comes from, the length, the empty line.
fn private_head(text: &[u8], origin: &Origin, body_bytes: usize) -> Vec<u8> {
    let mut end = format!("{PRIVATE_HEADER}: ");
    origin.write(&mut end);
    if body_bytes > 0 {
        end.push_str("\r\nContent-Length: ");
        end.push_str(&body_bytes.to_string());
    }
    end.push_str("\r\n\r\n");
    let mut head = Vec::with_capacity(text.len() + end.len());
    head.extend_from_slice(text);
    head.extend_from_slice(end.as_bytes());
    head
}
