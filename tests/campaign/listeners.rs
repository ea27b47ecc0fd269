//! Random bytes, and spoilt requests, to each listener: the port of the API and the control socket. The server lives,
//! serves a good client in between, and what was acknowledged is there.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use pairbox::domain::Chance;

use crate::bed::Bed;
use crate::mutate::{bytes, spoil};
use crate::rounds::{Rounds, seed};
use crate::scene::Cas;
use crate::table::Row;

/// How long a stranger listens for an answer.
const LISTENS: Duration = Duration::from_millis(2);
/// Strangers between two good clients.
const STRANGERS: u32 = 150;

const API_REQUEST: &str = "POST /crmapi/rest/v2/authentication/token HTTP/1.1\r\nHost: box\r\n\
    Content-Type: application/json\r\nConnection: keep-alive\r\nContent-Length: 26\r\n\r\n{\"username\":\"a\",\"unit\":1}\r\n";
const CONTROL_REQUEST: &str = "POST /control/request.list HTTP/1.1\r\nHost: control\r\nContent-Length: 36\r\n\
    Connection: close\r\n\r\n{\"by\":\"x\",\"ask\":{\"state\":\"PENDING\"}}\r\n";

#[test]
fn no_stranger_takes_a_listener_down() {
    let rounds = Rounds::timed("listeners", Duration::from_secs(2), Duration::from_mins(1));
    let cas = Cas::start("", seed());
    let mut bed = Bed::new(&cas, seed());
    let mut row = Row::default();
    for seed in rounds {
        let mut chance = Chance::new(seed);
        let mut served = bed.made.serve();
        for _ in 0..STRANGERS {
            bother(&mut chance, served.address, &bed);
        }
        let began = Instant::now();
        bed.call_while(served.address, 5, |_| {});
        let recovery = began.elapsed();
        bed.made.run(&["status"]);
        let ended = served.await_end(Duration::ZERO);
        assert!(ended.is_none(), "it ended: {}", bed.made.log());
        served.stop();
        row.add(&bed.judge(None).verdict, Some(recovery));
    }
    row.tell("random bytes to the API's port and the control socket");
}

fn bother(chance: &mut Chance, api: SocketAddr, bed: &Bed) {
    let is_api = chance.below(2) == 0;
    let mut said = bytes(chance, 600);
    if chance.below(4) > 0 {
        let good = if is_api { API_REQUEST } else { CONTROL_REQUEST };
        said = good.as_bytes().to_vec();
        spoil(chance, &mut said);
    }
    if is_api {
        let stream = TcpStream::connect(api).unwrap();
        stream.set_read_timeout(Some(LISTENS)).unwrap();
        let leaves = || stream.shutdown(Shutdown::Write);
        say(chance, &stream, &said, leaves);
    } else {
        let path = bed.made.data().join("control.sock");
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(LISTENS)).unwrap();
        let leaves = || stream.shutdown(Shutdown::Write);
        say(chance, &stream, &said, leaves);
    }
}

/// Says it in one or two pieces, and listens a moment; a closed connection is as good an answer as any.
fn say<S>(
    chance: &mut Chance,
    mut stream: S,
    said: &[u8],
    leaves: impl FnOnce() -> std::io::Result<()>,
) where
    S: Read + Write,
{
    let at = chance.below(said.len() as u64 + 1) as usize;
    let _ = stream.write_all(&said[..at]);
    let _ = stream.write_all(&said[at..]);
    if chance.below(2) == 0 {
        let _ = leaves();
    }
    let _ = stream.read(&mut [0; 1024]);
}
