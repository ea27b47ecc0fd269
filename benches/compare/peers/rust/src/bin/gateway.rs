//! A CAS that answers at once: the frames of smsgw, every command acknowledged. It takes as little of the machine as it can, since a
//! CAS does not run on the box.
//!
//! `gateway PORT`; a thread a connection, one write for all commands of one read. Says at the end of each connection how many
//! commands it had.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() {
    let port: u16 = std::env::args()
        .nth(1)
        .and_then(|port| port.parse().ok())
        .expect("usage: gateway PORT");
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    for stream in listener.incoming() {
        let stream = stream.expect("a connection");
        std::thread::spawn(move || println!("{} commands", answer(stream)));
    }
}

fn answer(mut stream: TcpStream) -> u64 {
    let _ = stream.set_nodelay(true);
    let (mut input, mut output) = (Vec::new(), Vec::new());
    let mut part = [0; 64 * 1024];
    let mut commands = 0;
    loop {
        let read = match stream.read(&mut part) {
            Ok(0) | Err(_) => return commands,
            Ok(read) => read,
        };
        input.extend_from_slice(&part[..read]);
        let mut at = 0;
        while let Some([high, low]) = input.get(at..at + 2) {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(frame) = input.get(at + 2..at + 2 + length) else {
                break;
            };
            at += 2 + length;
            if frame.first() == Some(&0) {
                put(&mut output, &[&[0x06]]);
                put(&mut output, &[&[0x00]]);
            } else if frame.len() >= 32 {
                commands += u64::from(&frame[9..11] == b"01");
                let (number, rest) = (&frame[..9], &frame[19..32]);
                let ends = [&frame[15..19], &frame[11..15]].concat();
                put(
                    &mut output,
                    &[number, b"05", &ends, rest, b"1000", number, &[b'0'; 24]],
                );
            }
        }
        input.drain(..at);
        if stream.write_all(&output).is_err() {
            return commands;
        }
        output.clear();
    }
}

fn put(output: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u16::try_from(length).expect("a short frame");
    output.extend_from_slice(&length.to_be_bytes());
    for part in parts {
        output.extend_from_slice(part);
    }
}
