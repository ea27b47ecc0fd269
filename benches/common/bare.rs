//! tiny_http without a gate: the same work behind its own TCP listener, for comparison. Two pumps, answered after the sync.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use pairbox::actions::Actions;
use pairbox::actions::pair::PairCall;
use pairbox::domain::{ItemIdentifier, Priority, ProcessName};
use tiny_http::{Request, Response, Server};

/// Starts it on a free port; `answer` gets each request with its body read.
fn start(answer: impl Fn(Request, Vec<u8>) + Send + Sync + 'static) -> SocketAddr {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    // Accepted connections inherit it; without it a long answer waits 40 ms.
    socket.set_tcp_nodelay(true).unwrap();
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    socket.listen(1024).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let server = Arc::new(Server::from_listener(listener, None).unwrap());
    let answer = Arc::new(answer);
    for _ in 0..2 {
        let (server, answer) = (server.clone(), answer.clone());
        std::thread::spawn(move || {
            while let Ok(mut request) = server.recv() {
                let mut body = Vec::new();
                request.as_reader().read_to_end(&mut body).unwrap();
                answer(request, body);
            }
        });
    }
    address
}

fn respond(request: Request, body: impl Into<Vec<u8>>) {
    // A client that has left needs no answer.
    let _ = request.respond(Response::from_data(body));
}

pub fn hello() -> SocketAddr {
    start(|request, _| respond(request, r#"{"healthy":true}"#))
}

/// Durable accepts by the product's own action: no token, no envelope, no pairing rules less.
pub fn accepts(actions: Arc<Actions>) -> SocketAddr {
    start(move |request, body| {
        if request.url() == "/healthz" {
            return respond(request, "{}");
        }
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let serial = |field: &str| {
            let serial = body[field]["serial_number"].as_str().unwrap();
            ItemIdentifier::SerialNumber(serial.to_owned())
        };
        let call = PairCall {
            family: Some("nagravision".into()),
            card: serial("smartcard_identifier"),
            stb: Some(serial("stb_identifier")),
            from: None,
            moves: false,
            card_change: None,
            subscription: None,
            scheduled: None,
            priority: Priority::Regular,
            is_immediate: false,
            process_name: ProcessName::WebApi,
            idempotency: None,
            retries: None,
        };
        actions.pair("bench", call, move |result| {
            let number = result.unwrap().number;
            let body = format!(
                r#"{{"status":{{"code":"OK"}},"data":{{"number":"{}"}}}}"#,
                number.0
            );
            respond(request, body);
        });
    })
}
