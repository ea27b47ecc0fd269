//! The private line between the gate and what stands behind tiny_http: one header of ours on each request and answer.
//!
//! The gate writes every head anew from a whitelist, so no client can send or see this header. A request says where it came
//! from; an answer says to which request it belongs, and whether it is the answer or a ticket for it.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use super::super::answer::{Answer, reason};
use crate::domain::network_of;

pub const PRIVATE_HEADER: &str = "X-Pairbox";
const TICKET: &str = "ticket";

/// Which listener a client came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DoorKind {
    Api,
    Ops,
    Control,
}

impl DoorKind {
    pub const ALL: [Self; 3] = [Self::Api, Self::Ops, Self::Control];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Ops => "ops",
            Self::Control => "control",
        }
    }
}

/// The account at the other end of a Unix socket, as the kernel says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Address(IpAddr),
    Account(Account),
}

impl Peer {
    /// The address; a peer on this machine's Unix socket counts as loopback.
    pub fn address(&self) -> IpAddr {
        match self {
            Self::Address(address) => *address,
            Self::Account(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    /// What counts as one address.
    pub fn network(&self) -> IpAddr {
        network_of(self.address())
    }
}

/// The number of one request inside; never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The connection from the gate to tiny_http; each has a number of its own, reopened ones too.
    pub line: u64,
    pub id: RequestId,
    pub door: DoorKind,
    pub peer: Peer,
}

impl Origin {
    /// The header's value.
    pub fn write(&self, text: &mut String) {
        let (line, RequestId(id), door) = (self.line, self.id, self.door.as_str());
        // Writing to a String cannot fail.
        let _ = match self.peer {
            Peer::Address(address) => write!(text, "{line} {id} {door} {address}"),
            Peer::Account(Account { uid, gid }) => {
                write!(text, "{line} {id} {door} uid {uid} {gid}")
            }
        };
    }

    pub fn parse(value: &str) -> Option<Self> {
        let mut words = value.split(' ');
        let line = words.next()?.parse().ok()?;
        let id = RequestId(words.next()?.parse().ok()?);
        let door = words.next()?;
        let door = DoorKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == door)?;
        let peer = match words.next()? {
            "uid" => Peer::Account(Account {
                uid: words.next()?.parse().ok()?,
                gid: words.next()?.parse().ok()?,
            }),
            address => Peer::Address(address.parse().ok()?),
        };
        Some(Self {
            line,
            id,
            door,
            peer,
        })
    }
}

/// The bytes of an answer on its way to the gate.
pub fn write_answer(id: RequestId, answer: &Answer) -> Vec<u8> {
    let mut head = String::with_capacity(192 + answer.body.len());
    let (status, RequestId(number)) = (answer.status, id);
    let _ = write!(
        head,
        "HTTP/1.1 {status} {}\r\n{PRIVATE_HEADER}: {number}\r\n",
        reason(status)
    );
    answer.write_fields(&mut head);
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&answer.body);
    bytes
}

/// The bytes of a ticket: the answer will come by another way, the line is free.
pub fn write_ticket(id: RequestId) -> Vec<u8> {
    format!(
        "HTTP/1.1 202 Accepted\r\n{PRIVATE_HEADER}: {} {TICKET}\r\nContent-Length: 0\r\n\r\n",
        id.0
    )
    .into_bytes()
}

/// What the private header of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Belonging {
    pub id: RequestId,
    pub is_ticket: bool,
}

impl Belonging {
    pub fn parse(value: &str) -> Option<Self> {
        let (number, word) = value.split_once(' ').unwrap_or((value, ""));
        let is_ticket = match word {
            "" => false,
            TICKET => true,
            _ => return None,
        };
        Some(Self {
            id: RequestId(number.parse().ok()?),
            is_ticket,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let peers = [
            Peer::Address("192.0.2.1".parse().unwrap()),
            Peer::Address("2001:db8::1".parse().unwrap()),
            Peer::Account(Account { uid: 0, gid: 1000 }),
        ];
        for (door, peer) in DoorKind::ALL.into_iter().zip(peers) {
            let origin = Origin {
                line: 3,
                id: RequestId(u64::MAX),
                door,
                peer,
            };
            let mut text = String::new();
            origin.write(&mut text);
            assert_eq!(Origin::parse(&text), Some(origin), "{text}");
        }
        for wrong in ["", "1", "1 2 api", "1 2 side 127.0.0.1", "1 -2 api ::1"] {
            assert_eq!(Origin::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_ticket_is_no_answer() {
        let of = |value| Belonging::parse(value).map(|found| (found.id.0, found.is_ticket));
        assert_eq!(of("7"), Some((7, false)));
        assert_eq!(of("7 ticket"), Some((7, true)));
        assert_eq!(of("7 tickets"), None);
        assert_eq!(of("seven"), None);
    }
}
