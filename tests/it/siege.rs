//! The real binary with its three doors, to be attacked: short deadlines, and its memory and health in view.

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::exchange::post;
use crate::headend::{Headend, Served};
use crate::http_wire::Client;
use crate::scene::{Cas, card_serial, stb_serial};
use crate::tls_wire::Trust;

/// A peer that is silent for longer than any deadline of the gate has been forgotten by it.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const HEALTH: &str = "GET /healthz HTTP/1.1\r\n\r\n";
const CARDS: u32 = 64;

pub struct Siege {
    pub made: Headend,
    pub served: Served,
    pub ops: SocketAddr,
    paired: u32,
    pub cas: Cas,
}

/// A way to one of the doors.
#[derive(Clone, Debug)]
pub enum Way {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Way {
    pub fn connect(&self) -> Socket {
        let socket = match self {
            Self::Tcp(address) => {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
                socket.connect(&SockAddr::from(*address)).unwrap();
                socket
            }
            Self::Unix(path) => {
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
                socket.connect(&SockAddr::unix(path).unwrap()).unwrap();
                socket
            }
        };
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }
}

impl Siege {
    /// With these variables besides.
    pub fn begin(variables: &[(&str, &str)]) -> Self {
        Self::begin_by(variables, |made| made.command(&["serve"]))
    }

    /// With TLS at the API's door.
    pub fn begin_tls(variables: &[(&str, &str)]) -> (Self, Trust) {
        let folder = tempfile::tempdir().unwrap();
        let trust = Trust::make(folder.path());
        let mut all = vec![
            (
                "PAIRBOX_HTTP_TLS_CERTIFICATE",
                trust.certificate.to_str().unwrap(),
            ),
            ("PAIRBOX_HTTP_TLS_KEY", trust.key.to_str().unwrap()),
        ];
        all.extend(variables);
        // It reads them while it starts.
        (Self::begin(&all), trust)
    }

    /// By a command of the test's own that becomes the server.
    pub fn begin_by(variables: &[(&str, &str)], command: impl Fn(&Headend) -> Command) -> Self {
        let cas = Cas::start("", 1);
        let made = Headend::new(cas.address, CARDS);
        let mut command = command(&made);
        command
            .env("PAIRBOX_OPS_LISTEN", "127.0.0.1:0")
            .env("PAIRBOX_HTTP_HEAD_TIMEOUT", "1s")
            .env("PAIRBOX_HTTP_BODY_TIMEOUT", "1s")
            .env("PAIRBOX_HTTP_IDLE_TIMEOUT", "2s")
            .envs(variables.iter().copied());
        let served = made.serve_by(command);
        let own = listening(served.child.id());
        let other = own.iter().find(|address| **address != served.address);
        let ops = *other.expect("it listens for the ops door too");
        Self {
            made,
            served,
            ops,
            paired: 0,
            cas,
        }
    }

    /// API, ops, control socket.
    pub fn ways(&self) -> [(&'static str, Way); 3] {
        [
            ("api", Way::Tcp(self.served.address)),
            ("ops", Way::Tcp(self.ops)),
            ("control", Way::Unix(self.control())),
        ]
    }

    pub fn control(&self) -> PathBuf {
        self.made.path().join("data/control.sock")
    }

    /// The most memory that it ever had in use, in KiB.
    pub fn memory_peak_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.served.child.id());
        let status = fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse().unwrap()
    }

    /// The answer of the metrics' page.
    pub fn metrics(&self) -> String {
        let mut client = Client::connect(self.ops);
        client.send("GET /metrics HTTP/1.1\r\n\r\n").body
    }

    /// One number of them.
    pub fn metric(&self, name: &str) -> usize {
        let text = self.metrics();
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
        let value = lines.find_map(|line| line.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("no {name}: {text}"));
        value.parse().unwrap()
    }

    /// Each door answers, and a pairing is accepted by `stream` and found again.
    pub fn is_well(&mut self, stream: &mut (impl Read + Write)) {
        assert!(
            self.served.child.try_wait().unwrap().is_none(),
            "it ended: {}",
            self.log()
        );
        for (name, way) in self.ways().into_iter().skip(1) {
            let mut client = Client::over(way.connect());
            assert_eq!(client.send(HEALTH).status(), 200, "{name}");
        }
        let token = self.made.login(stream).unwrap();
        let (card, stb) = (card_serial(self.paired), stb_serial(self.paired));
        self.paired += 1;
        let body = format!(
            r#"{{"token":"{token}","smartcard_identifier":{{"serial_number":"{card}"}},"stb_identifier":{{"serial_number":"{stb}"}}}}"#
        );
        let path = "/crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder";
        let answer = post(stream, path, &body, "").unwrap();
        assert_eq!(answer["status"]["code"], "OK", "{answer}");
        let number = answer["data"]["number"].as_str().unwrap();
        let shown = self.made.run(&["request", "show", number]);
        assert!(shown.contains(&card), "{shown}");
        let status = self.made.run(&["status"]);
        assert!(status.contains("self-watch"), "{status}");
    }

    pub fn stream(&self) -> TcpStream {
        let stream = TcpStream::connect(self.served.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.made.path().join("log")).unwrap()
    }
}

/// Where a process listens on IPv4.
fn listening(process: u32) -> Vec<SocketAddr> {
    const LISTENING: &str = "0A";
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    let own: HashSet<String> = links.map(|link| link.display().to_string()).collect();
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap();
    let rows = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_own = own.contains(&format!("socket:[{}]", fields[9]));
        if !is_own || fields[3] != LISTENING {
            return None;
        }
        let (address, port) = fields[1].split_once(':').unwrap();
        let address = u32::from_str_radix(address, 16).unwrap();
        let address = Ipv4Addr::from(address.to_ne_bytes());
        let port = u16::from_str_radix(port, 16).unwrap();
        Some(SocketAddr::from((address, port)))
    });
    rows.collect()
}
