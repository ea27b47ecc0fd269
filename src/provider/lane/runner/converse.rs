//! What a lane says for itself and hears: hello, keepalives, and the meaning of every frame from the CAS.
//!
//! Answers to commands are passed on undecided; a frame that the mapping cannot read never ends the connection.

use super::super::link::Link;
use super::super::status::count;
use super::super::{DownPhase, LaneEvent};
use super::{LaneRunner, NUMBERS_AGAIN, Stage};
use crate::provider::Tapped;
use crate::script::cases::words;
use crate::script::contract::{Decoded, EncodeContext, Matching, Reply, SessionStep};
use crate::transport::framing::http_closes;

impl LaneRunner {
    /// The socket is connected: begin the session as soon as there is a transaction number for it.
    pub(super) fn open(&mut self) {
        if let Some(link) = &mut self.link {
            link.is_up = true;
            // The edge that told of the connect may have told of bytes too.
            link.may_read = true;
        }
        self.stage = Stage::Hello {
            until: self.now() + self.options.session.reply_timeout,
        };
        self.shared.status.set_state("hello");
        let Some(ctx) = self.context() else {
            return self.down(DownPhase::Asked, "no transaction number is granted");
        };
        let steps = self.dialogue.open(&ctx);
        self.keep(&steps);
        self.heard_in_hello(steps);
    }

    fn heard_in_hello(&mut self, steps: Result<Vec<SessionStep>, String>) {
        let steps = match steps {
            Ok(steps) => steps,
            Err(reason) => {
                return self.down(DownPhase::Hello, reason);
            }
        };
        for step in steps {
            // A frame that cannot be sent has ended the connection: nothing of it is ready any more.
            if self.link.is_none() {
                return;
            }
            match step {
                SessionStep::Send(bodies) => {
                    for body in bodies {
                        self.send_own(&body, DownPhase::Hello);
                        if self.link.is_none() {
                            return;
                        }
                    }
                }
                // They were kept when the frame was heard.
                SessionStep::Keep(_) => {}
                SessionStep::Ready => {
                    self.shared.status.set_state("warming");
                    self.warm(0);
                }
                SessionStep::Fail(reason) => {
                    return self.down(DownPhase::Hello, reason);
                }
            }
        }
    }

    /// After `acknowledged` keepalives: the next one, or ready.
    fn warm(&mut self, acknowledged: u8) {
        let session = &self.options.session;
        if acknowledged < session.ready_after && !session.keepalive_every.is_zero() {
            self.stage = Stage::Warming { acknowledged };
            return self.keepalive();
        }
        self.stage = Stage::Ready;
        let next =
            (!session.keepalive_every.is_zero()).then(|| self.now() + session.keepalive_every);
        if let Some(link) = &mut self.link {
            link.next_keepalive_at = next;
        }
        self.shared.status.set_state("ready");
        self.shared
            .status
            .set_connected(Some(self.options.wires.clock.now()));
        self.shared.open_for(Some(self.connection));
        tracing::info!(lane = %self.options.id, connection = self.connection, "lane ready");
        self.batch.push(LaneEvent::Ready {
            connection: self.connection,
        });
    }

    pub(super) fn keepalive(&mut self) {
        let Some(ctx) = self.context() else {
            let again = self.now() + NUMBERS_AGAIN;
            if let Some(link) = &mut self.link {
                link.next_keepalive_at = Some(again);
            }
            return;
        };
        match self.dialogue.keepalive(&ctx) {
            Ok(encoded) => {
                let until = self.now() + self.options.session.reply_timeout;
                if let Some(link) = &mut self.link {
                    link.sent_keepalive(encoded.key, until);
                }
                self.send_own(&encoded.body, DownPhase::Keepalive);
            }
            Err(reason) => self.down(DownPhase::Keepalive, reason),
        }
    }

    fn keepalive_answered(&mut self) {
        let next = self.now() + self.options.session.keepalive_every;
        let Some(link) = &mut self.link else {
            return;
        };
        if link.keepalive.take().is_none() {
            return;
        }
        if let Stage::Warming { acknowledged } = self.stage {
            self.warm(acknowledged.saturating_add(1));
        } else {
            link.next_keepalive_at = Some(next);
            self.proven();
        }
    }

    /// The connection is of use: the next one may come soon. A CAS that greets and closes never gets here.
    fn proven(&mut self) {
        self.backoff = self.options.session.reconnect_min;
    }

    /// What the next frame of the session may use; none until dispatch grants numbers.
    fn context(&mut self) -> Option<EncodeContext> {
        let Some(transaction) = self.options.wires.transactions.take() else {
            self.batch.push(LaneEvent::NumbersNeeded);
            return None;
        };
        Some(EncodeContext {
            transaction,
            now: self.options.wires.clock.now(),
            lane: self.options.id.lane,
        })
    }

    /// Goes through the frames that were read, as long as their connection stands.
    pub(super) fn hear(&mut self) {
        let mut frames = std::mem::take(&mut self.frames);
        count(&self.shared.status.frames_in, frames.len());
        for frame in frames.drain(..) {
            if self.link.is_none() {
                break;
            }
            if matches!(self.stage, Stage::Hello { .. }) {
                let steps = self.dialogue.hear(&frame);
                self.keep(&steps);
                self.tap_heard(&frame, "of the session's begin", None);
                self.heard_in_hello(steps);
            } else {
                let decoded = self.dialogue.decode(&frame);
                self.tap_decoded(&frame, &decoded);
                self.act_on(frame, decoded);
            }
        }
        self.frames = frames;
    }

    fn act_on(&mut self, frame: Vec<u8>, decoded: Result<Decoded, String>) {
        let connection = self.connection;
        let event = match decoded {
            Ok(Decoded::Reply(reply)) => {
                if self.is_of_keepalive(&reply) {
                    if reply.outcome.is_confirmed() {
                        return self.keepalive_answered();
                    }
                    let code = reply.code.as_deref().unwrap_or("none");
                    return self.down(
                        DownPhase::Keepalive,
                        format!("the CAS refused a keepalive, code `{code}`"),
                    );
                }
                let is_awaited = self.link.as_mut().is_some_and(Link::take_awaited);
                if self.is_in_order() && !is_awaited {
                    return self.stray("an answer that no command waits for");
                }
                let ends_session = reply.ends_session;
                let is_closing = http_closes(&self.options.framing, &frame);
                if !ends_session {
                    self.proven();
                }
                if let Some(link) = &mut self.link {
                    // A session that ends is no reason to come back at once.
                    link.has_answered = !ends_session;
                }
                let reply = self.veiled(reply);
                let frame = self.secrets.veil(frame);
                self.batch.push(LaneEvent::Reply {
                    connection,
                    reply,
                    frame,
                });
                if ends_session {
                    self.down(DownPhase::Established, "the CAS wants a new session");
                } else if is_closing {
                    self.down(DownPhase::Established, "the CAS closes after its answer");
                }
                return;
            }
            Ok(Decoded::Push { data, reply }) => LaneEvent::Push {
                connection,
                data: self.secrets.veil_text(&data),
                reply,
                frame: self.secrets.veil(frame),
            },
            Ok(Decoded::Keepalive) => return self.keepalive_answered(),
            Ok(Decoded::Ignore) => return self.stray("a frame that answers nothing"),
            Err(error) => {
                count(&self.shared.status.frames_unreadable, 1);
                self.batch.push(LaneEvent::Unreadable {
                    connection,
                    frame: self.secrets.veil(frame),
                    error: self.secrets.veil_text(&error),
                });
                return self.stray("a frame that cannot be read");
            }
        };
        self.batch.push(event);
    }

    /// What a session brings is a secret from the frame on that brings it.
    fn keep(&mut self, steps: &Result<Vec<SessionStep>, String>) {
        for step in steps.iter().flatten() {
            if let SessionStep::Keep(values) = step {
                self.secrets.add(values.clone());
            }
        }
    }

    /// Answers in order have no keys of their own.
    fn is_of_keepalive(&self, reply: &Reply) -> bool {
        let keepalive = self.link.as_ref().and_then(|link| link.keepalive.as_ref());
        !self.is_in_order() && keepalive.is_some_and(|sent| sent.key == reply.key)
    }

    fn tap_decoded(&self, frame: &[u8], decoded: &Result<Decoded, String>) {
        if self.options.wires.tap.is_none() {
            return;
        }
        match decoded {
            Ok(Decoded::Reply(reply)) if self.is_of_keepalive(reply) => {
                self.tap_heard(frame, &words(&Decoded::Keepalive), None);
            }
            Ok(Decoded::Reply(reply)) => {
                let reply = self.veiled(reply.clone());
                let said = words(&Decoded::Reply(reply.clone()));
                self.tap_heard(frame, &said, Some(&reply.key));
            }
            Ok(other) => self.tap_heard(frame, &words(other), None),
            Err(error) => self.tap_heard(frame, &format!("cannot be read: {error}"), None),
        }
    }

    fn tap_heard(&self, frame: &[u8], said: &str, key: Option<&str>) {
        if self.options.wires.tap.is_some() {
            let frame = &*self.secrets.veil(frame.to_vec());
            let said = &*self.secrets.veil_text(said);
            super::tap(&self.options.wires, &Tapped::Heard { frame, said, key });
        }
    }

    /// The words of an answer without the secrets that the CAS may repeat.
    fn veiled(&self, reply: Reply) -> Reply {
        let veil = |text: Option<String>| text.map(|text| self.secrets.veil_text(&text));
        Reply {
            code: veil(reply.code),
            text: veil(reply.text),
            reference: veil(reply.reference),
            // The key of a command is recorded, so one that repeats a secret is none.
            key: self.secrets.veil_text(&reply.key),
            ..reply
        }
    }

    fn is_in_order(&self) -> bool {
        self.options.session.matching == Matching::Fifo
    }

    /// Where answers are matched by their order, a frame too many would make the next one speak for another command.
    fn stray(&mut self, what: &str) {
        if self.is_in_order() {
            let reason = format!("{what} came where answers are matched by their order");
            self.down(DownPhase::Established, reason);
        }
    }
}
