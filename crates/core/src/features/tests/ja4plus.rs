//! Random flows have no bytes: strings only, of which plain formulas say nothing. Golden rows have what the fingerprints' own
//! tests do not: which packets they are made of.

use super::{Golden, Oracle, eventful, talk};
use crate::protocols::tls::testing::{Hello, message, record};

fn handshake() -> super::Recorded {
    let hello = Hello { version: 0x0303, session_id: &[9; 32], ciphers: &[0x1301, 0xc02f], extensions: &[] }.message();
    // The extensions of the example of FoxIO's technical details.
    let extensions = [&[0, 16][..], &[0, 5, 0, 0], &[0, 0x17, 0, 0], &[0xff, 1, 0, 0], &[0, 0, 0, 0]].concat();
    let server = message(2, &[&[3, 3][..], &[5; 32], &[0, 0xc0, 0x30, 0], &extensions].concat());
    talk(6, 443, &[(true, &record(22, &hello)), (false, &record(22, &server))])
}

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, _| {},
    golden: &[
        Golden {
            flow: handshake,
            options: |_| {},
            row: "ja4s t120400_c030_4e8089b08790
                ja4h -
                ja4l -
                ja4ls -
                ja4x -
                ja4ssh -
                ja4t -
                ja4ts -",
        },
        Golden {
            flow: eventful,
            options: |_| {},
            row: "ja4s -
                ja4h -
                ja4l 500_64
                ja4ls 500_59
                ja4x -
                ja4ssh -
                ja4t 64240_2-4-8-1-3_1460_7
                ja4ts 65160_2-1-3-1-1-8_1400_9",
        },
        Golden {
            flow: || {
                let request: &[u8] = b"POST /a HTTP/1.1\r\nHost: a\r\nCookie: b=2; a=1\r\nAccept-Language: en-US,en\r\nReferer: x\r\n\r\n";
                talk(6, 80, &[(true, request)])
            },
            options: |_| {},
            // SHA-256 of "Host,Accept-Language", "a,b" and "a=1,b=2".
            row: "ja4s -
                ja4h po11cr02enus_09e340ee0db0_1eb7c54d5283_06beefe2b477
                ja4l -
                ja4ls -
                ja4x -
                ja4ssh -
                ja4t -
                ja4ts -",
        },
        Golden {
            flow: || talk(6, 22, &[(false, b"SSH-2.0-b\n"), (true, b"SSH-2.0-abc\n"), (true, b"xx")]),
            options: |_| {},
            row: "ja4s -
                ja4h -
                ja4l -
                ja4ls -
                ja4x -
                ja4ssh c10s2_c1s2_c0s0
                ja4t -
                ja4ts -",
        },
    ],
};
