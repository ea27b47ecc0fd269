//! The gate's bounds: what the configuration decides, and what is fixed.

use std::time::Duration;

use super::private::DoorKind;
use crate::config::HttpConfig;

/// What the configuration decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateOptions {
    /// Clients of the API at once, in all and from one address.
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    /// How long a head may take from its first byte, a body from the end of its head.
    pub head_timeout: Duration,
    pub body_timeout: Duration,
    /// How long a connection may stand between two requests.
    pub idle_timeout: Duration,
    pub body_bytes_max: usize,
    /// Bodies of the control socket: a chunk of an import.
    pub control_body_bytes_max: usize,
}

/// Connections of the doors that are this machine's own; the API's clients cannot take them away.
pub const LOCAL_CONNECTIONS_MAX: usize = 64;
/// Connections beyond the caps that are being told so.
pub const LEAVING_MAX: usize = 256;
/// How long an answer may take to leave, and how long a client that was refused is listened to, so that it can read why.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
pub const LEAVING_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of requests that have not come whole, and of answers that have not left, over all clients.
pub const REQUEST_BYTES_MAX: usize = 64 << 20;
pub const ANSWER_BYTES_MAX: usize = 128 << 20;
/// Longest single answer.
pub const ONE_ANSWER_BYTES_MAX: usize = 16 << 20;
/// Connections that a door lets in before those who are in have their turn again.
const ACCEPTS_MAX: usize = 256;
/// File descriptors that clients leave to the rest of the process; a quarter of them all where there are few.
pub const DESCRIPTORS_KEPT: usize = 64;
/// For so long nobody is asked to make room who has just begun something, while others can be.
pub const GRACE: Duration = Duration::from_secs(1);
/// How long the gate stays awake for the answer to a lone request, and after it for the next one.
pub const AWAKE_FOR_ANSWER: Duration = Duration::from_micros(500);
pub const AWAKE_AFTER: Duration = Duration::from_micros(100);
/// How often it is said that descriptors are short.
pub const SHORTAGE_TOLD_EVERY: Duration = Duration::from_mins(1);
/// Reads of one client before the others have their turn.
pub const READS_MAX: usize = 64;
/// How long accepting rests when the process has no file descriptor left.
pub const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Handshakes of one round: each costs a signature.
pub const HANDSHAKES_MAX: usize = 16;
/// Bytes that wait for a line before more requests are taken in.
pub const LINE_BYTES_MAX: usize = 8 << 20;
/// A round that took longer ends nobody by time: what they have sent meanwhile was not looked at yet.
pub const STALL: Duration = Duration::from_millis(500);
/// How often deadlines are looked at.
pub const SWEEP_EVERY: Duration = Duration::from_millis(100);
/// How long a line to tiny_http may take to be proven by an answer, and when a broken one is tried again.
pub const PROOF_TIMEOUT: Duration = Duration::from_secs(5);
pub const LINE_AGAIN_AFTER: Duration = Duration::from_millis(100);

impl GateOptions {
    pub fn new(http: &HttpConfig, control_body_bytes_max: usize) -> Self {
        Self {
            connections_max: http.connections_max,
            connections_per_address_max: http.connections_per_address_max,
            head_timeout: http.head_timeout,
            body_timeout: http.body_timeout,
            idle_timeout: http.idle_timeout,
            body_bytes_max: http.body_bytes_max,
            control_body_bytes_max,
        }
    }

    pub fn body_bytes_max(&self, door: DoorKind) -> usize {
        match door {
            DoorKind::Api | DoorKind::Ops => self.body_bytes_max,
            DoorKind::Control => self.control_body_bytes_max,
        }
    }

    /// Connections that a door lets in at a time: far fewer than it has room for, or the last of them would take the room of
    /// the first before that has said a word.
    pub fn accepts_max(&self, door: DoorKind) -> usize {
        let room = self.connections_max(door).min(self.per_address_max(door));
        ACCEPTS_MAX.min(room / 4).max(1)
    }

    /// Clients of one door at once.
    pub fn connections_max(&self, door: DoorKind) -> usize {
        match door {
            DoorKind::Api => self.connections_max,
            DoorKind::Ops | DoorKind::Control => LOCAL_CONNECTIONS_MAX,
        }
    }

    /// Clients of one door and address at once.
    pub fn per_address_max(&self, door: DoorKind) -> usize {
        match door {
            DoorKind::Api => self.connections_per_address_max,
            DoorKind::Ops | DoorKind::Control => LOCAL_CONNECTIONS_MAX,
        }
    }
}
