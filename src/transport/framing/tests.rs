//! Every framing against splits, merges, bounds and spoilt bytes.

use super::*;
use crate::domain::Endian;
use crate::domain::checksum::Checksum;

fn len(bytes: u8, endian: Endian, includes_self: bool, adjust: i32) -> Framing {
    Framing::Len {
        bytes,
        endian,
        includes_self,
        adjust,
        max: 300,
    }
}

fn marked(escape: Option<u8>, checksum: Checksum) -> Framing {
    Framing::StxEtx {
        stx: 2,
        etx: 3,
        escape,
        checksum,
        max: 300,
    }
}

fn header(adjust: i32) -> Framing {
    Framing::Header {
        size: 6,
        len_at: 4,
        len_bytes: 2,
        endian: Endian::Big,
        adjust,
        magic: vec![0x68],
        max: 300,
    }
}

/// Any payload fits these.
fn all() -> Vec<Framing> {
    let mut all = vec![
        marked(Some(0x10), Checksum::None),
        marked(Some(0x10), Checksum::Xor),
        marked(Some(0x10), Checksum::Crc16Modbus),
        Framing::Delim {
            bytes: b"\r\n".to_vec(),
            max: 300,
        },
    ];
    for bytes in [2, 4] {
        for endian in [Endian::Big, Endian::Little] {
            for includes_self in [false, true] {
                for adjust in [-6, 0, 4] {
                    all.push(len(bytes, endian, includes_self, adjust));
                }
            }
        }
    }
    all
}

fn drain(decoder: &mut Decoder) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| decoder.next_frame().unwrap()).collect()
}

#[test]
fn frames_survive_a_split_at_every_byte_and_any_merge() {
    let payloads: Vec<Vec<u8>> = vec![vec![7; 6], vec![1; 255], b"hello!".to_vec(), vec![9; 300]];
    for framing in all() {
        check_splits(&framing, &payloads);
    }
}

fn check_splits(framing: &Framing, payloads: &[Vec<u8>]) {
    let mut stream = Vec::new();
    for payload in payloads {
        encode(framing, b"", payload, &mut stream).unwrap();
    }
    for at in 0..=stream.len() {
        let mut decoder = Decoder::new(framing.clone());
        decoder.feed(&stream[..at]);
        let mut got = drain(&mut decoder);
        decoder.feed(&stream[at..]);
        got.extend(drain(&mut decoder));
        assert_eq!(got, payloads, "{framing:?} split at {at}");
        assert_eq!(decoder.waiting_bytes(), 0);
    }
    let mut decoder = Decoder::new(framing.clone());
    let mut got = Vec::new();
    for byte in &stream {
        decoder.feed(std::slice::from_ref(byte));
        got.extend(drain(&mut decoder));
    }
    assert_eq!(got, payloads, "{framing:?} byte by byte");
}

#[test]
fn the_length_of_smsgw_is_big_endian_and_counts_the_payload_only() {
    let mut out = Vec::new();
    encode(&len(2, Endian::Big, false, 0), b"", &[0x06], &mut out).unwrap();
    encode(&len(2, Endian::Big, false, 0), b"", &[0x00], &mut out).unwrap();
    assert_eq!(out, [0x00, 0x01, 0x06, 0x00, 0x01, 0x00]);
}

#[test]
fn an_empty_payload_is_a_frame() {
    let framing = len(1, Endian::Big, false, 0);
    let mut out = Vec::new();
    encode(&framing, b"", &[], &mut out).unwrap();
    let mut decoder = Decoder::new(framing);
    decoder.feed(&out);
    assert_eq!(decoder.next_frame(), Ok(Some(Vec::new())));
    assert_eq!(decoder.next_frame(), Ok(None));
}

#[test]
fn what_is_over_the_bound_is_refused_on_both_sides() {
    let framing = len(2, Endian::Big, false, 0);
    let oversize = FramingError::Oversize {
        bytes: 301,
        max: 300,
    };
    let mut out = vec![1];
    assert_eq!(
        encode(&framing, b"", &[0; 301], &mut out),
        Err(FramingError::Unfit(Unfit::Size {
            bytes: 301,
            min: 0,
            max: 300
        }))
    );
    assert_eq!(out, [1]);
    let mut decoder = Decoder::new(framing);
    decoder.feed(&[1, 45]);
    assert_eq!(decoder.next_frame(), Err(oversize));
}

#[test]
fn a_length_that_cannot_be_is_named() {
    let mut decoder = Decoder::new(len(2, Endian::Big, true, 0));
    decoder.feed(&[0, 1]);
    assert_eq!(
        decoder.next_frame(),
        Err(FramingError::BadLength {
            number: 1,
            bytes: -1
        })
    );
    let narrow = len(1, Endian::Big, false, 0);
    assert_eq!(
        encode(&narrow, b"", &[0; 256], &mut Vec::new()),
        Err(FramingError::Unfit(Unfit::Field {
            bytes: 256,
            field_bytes: 1
        }))
    );
}

#[test]
fn headers_and_fixed_sizes_survive_the_same() {
    let mut first = b"h.....12345".to_vec();
    header(0).complete(&mut first).unwrap();
    assert_eq!(first, b"h...\x00\x0512345");
    let mut counted = b"h.....12345".to_vec();
    header(-6).complete(&mut counted).unwrap();
    assert_eq!(counted, b"h...\x00\x0b12345");
    let fixed = Framing::Fixed { size: 4 };
    let marked = marked(None, Checksum::Lrc);
    for (framing, payloads) in [
        (
            header(0),
            vec![first.clone(), b"h...\x00\x00".to_vec(), first],
        ),
        (header(-6), vec![counted]),
        (fixed, vec![b"1234".to_vec(), b"5678".to_vec()]),
        (marked, vec![b"".to_vec(), b"abc".to_vec()]),
    ] {
        check_splits(&framing, &payloads);
    }
}

#[test]
fn what_frames_a_payload_may_not_stand_in_it() {
    let unfit = |framing: &Framing, payload: &[u8]| {
        encode(framing, b"", payload, &mut Vec::new())
            .unwrap_err()
            .to_string()
    };
    let delim = Framing::Delim {
        bytes: b"\n".to_vec(),
        max: 9,
    };
    assert_eq!(
        unfit(&delim, b"ab\nc"),
        "the payload holds 0a at byte 2, which frames it"
    );
    assert_eq!(
        unfit(&marked(None, Checksum::None), b"a\x03"),
        "the payload holds 03 at byte 1, which frames it"
    );
    assert_eq!(
        unfit(&Framing::Fixed { size: 3 }, b"ab"),
        "the payload has 2 bytes, the framing allows 3 to 3"
    );
    assert_eq!(
        unfit(&header(0), b"h...\x00\x09123"),
        "the header's length field reads 9, and what follows makes it 3"
    );
    assert_eq!(
        unfit(&header(0), b"x...\x00\x00"),
        "the header begins with 78, the framing says 68"
    );
}

#[test]
fn a_stream_that_cannot_be_trusted_is_an_error() {
    let wrong = |framing: &Framing, bytes: &[u8]| {
        let mut decoder = Decoder::new(framing.clone());
        decoder.feed(bytes);
        decoder.next_frame().unwrap_err().to_string()
    };
    let sum = marked(None, Checksum::Xor);
    assert_eq!(
        wrong(&sum, b"x"),
        "expected 02 where a frame begins, found 78"
    );
    assert_eq!(
        wrong(&sum, b"\x02ab\x02"),
        "expected 02 where a frame begins, found 02"
    );
    assert_eq!(
        wrong(&sum, b"\x02a\x03\x00"),
        "checksum 00 behind a frame: expected 62"
    );
    assert_eq!(
        wrong(&header(0), b"x"),
        "expected 68 where a frame begins, found 78"
    );
    let delim = Framing::Delim {
        bytes: b"\r\n".to_vec(),
        max: 3,
    };
    assert!(wrong(&delim, b"abcde").contains("over the framing's bound of 3"));
    assert!(
        wrong(
            &marked(None, Checksum::None),
            &[2; 1].iter().chain(&[65; 301]).copied().collect::<Vec<_>>()
        )
        .contains("bound of 300")
    );
}

const HTTP: Framing = Framing::Http { max: 300 };

fn cut_all(bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut decoder = Decoder::new(HTTP);
    let mut heard = Vec::new();
    for byte in bytes {
        decoder.feed(std::slice::from_ref(byte));
        while let Some(frame) = decoder.next_frame().map_err(|error| error.to_string())? {
            heard.push(String::from_utf8(frame).unwrap());
        }
    }
    let last = decoder.end().map(|frame| String::from_utf8(frame).unwrap());
    heard.extend(last);
    Ok(heard)
}

#[test]
fn http_gets_the_lines_of_its_connection_and_its_length() {
    let mut out = Vec::new();
    let payload = b"POST /x HTTP/1.1\r\ncontent-type: text/plain\r\n\r\nabc";
    encode(&HTTP, b"Host: cas:80\r\n", payload, &mut out).unwrap();
    assert_eq!(
        out,
        b"POST /x HTTP/1.1\r\ncontent-type: text/plain\r\nHost: cas:80\r\nContent-Length: 3\r\n\r\nabc"
    );
    assert!(encode(&HTTP, b"", b"POST /x HTTP/1.1\r\n", &mut out).is_err());
}

#[test]
fn http_answers_are_cut_however_their_length_is_told() {
    let two = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
    assert_eq!(
        cut_all(&[two, two].concat().into_bytes()).unwrap(),
        [two, two]
    );
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let sent = format!("{chunked}3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nTrailer: 1\r\n\r\n{two}");
    assert_eq!(
        cut_all(sent.as_bytes()).unwrap(),
        [format!("{chunked}abcd"), two.to_owned()]
    );
    let interim = format!("HTTP/1.1 100 Continue\r\n\r\n{two}");
    assert_eq!(cut_all(interim.as_bytes()).unwrap(), [two]);
    let empty = "HTTP/1.1 204 No Content\r\n\r\n";
    assert_eq!(
        cut_all(format!("{empty}{two}").as_bytes()).unwrap(),
        [empty, two]
    );
    let until_close = "HTTP/1.0 200 OK\r\n\r\nall of it";
    assert_eq!(cut_all(until_close.as_bytes()).unwrap(), [until_close]);
    let request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(
        cut_all(&[request, request].concat().into_bytes()).unwrap(),
        [request, request]
    );
}

#[test]
fn http_that_can_be_read_in_two_ways_is_refused() {
    for (message, why) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
            "two different",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n", "no number"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
            "other than chunked alone",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "other than chunked alone",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "without a size",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
            "longer than its size",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n",
            "chunks of more",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
            "over the framing's bound",
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n", "HTTP that cannot be read"),
    ] {
        let error = cut_all(message.as_bytes()).unwrap_err();
        assert!(error.contains(why), "{message}: {error}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\n{}", "X: 1\r\n".repeat(60));
    assert!(cut_all(endless.as_bytes()).unwrap_err().contains("bound"));
}
