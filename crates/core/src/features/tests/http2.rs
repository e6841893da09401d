//! Random flows have no bytes: of HTTP/2 and HTTP/3 they show nothing.

use super::{Golden, Oracle, talk};
use crate::protocols::http2::PREFACE;
use crate::protocols::tls::testing::{Hello, message, record};

/// A ClientHello that offers h2, and the ServerHello's extensions.
fn tls(chosen: &[u8]) -> super::Recorded {
    let extensions: &[(u16, &[u8])] = &[(16, b"\0\x0c\x02h2\x08http/1.1")];
    let hello = Hello { version: 0x0303, session_id: &[], ciphers: &[0xc02b], extensions };
    let length = chosen.len() as u8;
    let server = [&[3, 3][..], &[5; 32], &[0, 0xc0, 0x2b, 0, 0, length], chosen].concat();
    let server = record(22, &message(2, &server));
    talk(6, 443, &[(true, &record(22, &hello.message())), (false, &server)])
}

/// The row where there are no frames in clear.
macro_rules! without_frames {
    ($detected:literal, $version:literal) => {
        concat!(
            "http2_detected ", $detected, "\nhttp_version ", $version, "
            http3_detected false
            http2_preface_seen -
            http2_frame_count -
            http2_data_frames -
            http2_headers_frames -
            http2_settings_frames -
            http2_push_promise_frames -
            http2_goaway_frames -
            http2_window_update_frames -
            http2_streams_estimate -
            http2_server_push -
            http2_multiplexed -"
        )
    };
}

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, out| {
        out.put("http2_detected", 0.0);
        out.put("http3_detected", 0.0);
    },
    golden: &[
        Golden {
            flow: || {
                let frame = |kind, stream| [0, 0, 1, kind, 0, 0, 0, 0, stream, 0xaa];
                let client = [PREFACE, &frame(4, 0), &frame(1, 1), &frame(1, 3), &frame(0, 1)].concat();
                let server = [frame(4, 0), frame(5, 1), frame(7, 0), frame(8, 2), frame(99, 0)].concat();
                talk(6, 80, &[(true, &client), (false, &server[..15]), (false, &server[15..])])
            },
            options: |_| {},
            row: "http2_detected true
                http3_detected false
                http2_preface_seen true
                http2_frame_count 9
                http2_data_frames 1
                http2_headers_frames 2
                http2_settings_frames 2
                http2_push_promise_frames 1
                http2_goaway_frames 1
                http2_window_update_frames 1
                http2_streams_estimate 3
                http2_server_push true
                http2_multiplexed true
                http_version h2",
        },
        Golden { flow: || tls(b"\0\x10\0\x05\0\x03\x02h2"), options: |_| {}, row: without_frames!("true", "h2") },
        Golden {
            flow: || tls(b"\0\x10\0\x0b\0\x09\x08http/1.1"),
            options: |_| {},
            row: without_frames!("false", "http/1.1"),
        },
        // The choice is encrypted.
        Golden { flow: || tls(b"\0\x2b\0\x02\x03\x04"), options: |_| {}, row: without_frames!("-", "-") },
        Golden {
            flow: || talk(6, 80, &[(true, b"GET / HTTP/1.1\r\n\r\n"), (false, b"HTTP/1.0 200 OK\r\n")]),
            options: |_| {},
            row: without_frames!("false", "http/1.0"),
        },
    ],
};
