//! Random flows have no bytes: of QUIC they show nothing.

use super::{Golden, Oracle, Recorded};
use crate::protocols::quic::testing::{Initial, crypto};
use crate::protocols::tls::testing::Hello;
use crate::testing::{eth, ip4_between, udp};

/// An Initial packet of the client with a short header packet behind it, one of the server, and short header packets.
fn first_packets() -> Recorded {
    let extensions: &[(u16, &[u8])] = &[(0, b"\0\x0c\0\0\x09localhost"), (16, b"\0\x03\x02h3"), (43, b"\x02\x03\x04")];
    let hello = Hello { version: 0x0303, ciphers: &[0x1301], extensions, ..Hello::default() }.message();
    let client = Initial::default();
    let short = |spin: u8| [&[0x40 | spin << 5][..], &[0x44; 30]].concat();
    let server = Initial { dcid: &[7, 7], scid: &[9; 5], ..client }.by_server();
    let (a, b) = ([10, 0, 0, 2], [10, 0, 0, 1]);
    let up = |payload: &[u8]| eth(0x0800, &ip4_between(a, b, 17, &udp(40_000, 443, payload)));
    let down = |payload: &[u8]| eth(0x0800, &ip4_between(b, a, 17, &udp(443, 40_000, payload)));
    Recorded::frames(&[
        (0, up(&[client.packet(&crypto(&hello, 0, hello.len())), short(0)].concat())),
        (1, down(&server.packet(&[1; 30]))),
        (2, up(&short(1))),
        (3, up(&short(0))),
    ])
}

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, out| out.put("quic_detected", 0.0),
    golden: &[Golden {
        flow: first_packets,
        options: |_| {},
        row: "quic_detected true
            quic_version 1
            quic_version_str QUIC v1
            quic_dcid_len 8
            quic_scid_len 2
            quic_pn_length 4
            quic_initial_packets 2
            quic_0rtt_detected false
            quic_retry_detected false
            quic_spin_bit true
            quic_alpn h3
            quic_sni localhost
            quic_dcid 8394c8f03e515708
            quic_scid 0707
            quic_server_scid 0909090909
            quic_version_negotiation false
            quic_spin_transitions_fwd 2
            quic_spin_transitions_bwd -",
    }],
};
