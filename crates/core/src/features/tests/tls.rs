//! Random flows have no bytes: of TLS they show nothing.

use super::{Golden, Oracle, Recorded};
use crate::protocols::tls::testing::{Hello, message, record};
use crate::testing::{eth, ip4_between, tcp};

const CLIENT: [u8; 4] = [10, 0, 0, 2];
const SERVER: [u8; 4] = [10, 0, 0, 1];

/// A full handshake of TLS 1.2, a segment each way.
fn full_handshake() -> Recorded {
    let hello = Hello {
        version: 0x0303,
        session_id: &[9; 32],
        ciphers: &[0x1a1a, 0x1301, 0xc02b],
        extensions: &[
            (0, b"\0\x0c\0\0\x09localhost"),
            (10, b"\0\x06\x2a\x2a\x11\xec\0\x1d"),
            (11, b"\x01\0"),
            (13, b"\0\x02\x04\x03"),
            (16, b"\0\x0c\x02h2\x08http/1.1"),
            (35, b""),
            (43, b"\x04\x03\x04\x03\x03"),
            (51, b"\0\x0f\x2a\x2a\0\x01\0\x11\xec\0\x01\x05\0\x1d\0\x01\x06"),
        ],
    };
    let der = include_bytes!("../../../../../tests/data/certificate.der");
    let length = |n: usize| [0, (n >> 8) as u8, n as u8];
    let cert = [&length(der.len() + 3)[..], &length(der.len()), der].concat();
    let server = [
        message(2, &[&[3, 3][..], &[5; 32], &[0, 0xc0, 0x2b, 0, 0, 9, 0, 16, 0, 5, 0, 3, 2, b'h', b'2']].concat()),
        message(11, &cert),
        message(12, &[&[3, 0, 23, 65][..], &[4; 65], &[4, 3, 0, 0]].concat()),
        message(14, &[]),
    ];
    let frame = |from, to, ports: (u16, u16), payload: &[u8]| {
        eth(0x0800, &ip4_between(from, to, 6, &tcp(ports.0, ports.1, 0x18, payload)))
    };
    Recorded::frames(&[
        (0, frame(CLIENT, SERVER, (40_000, 443), &record(22, &hello.message()))),
        (1, frame(SERVER, CLIENT, (443, 40_000), &record(22, &server.concat()))),
    ])
}

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, out| out.put("tls_detected", 0.0),
    golden: &[Golden {
        flow: full_handshake,
        options: |_| {},
        row: r#"tls_detected true
            tls_version 771
            tls_version_str TLS 1.2
            tls_cipher_suite 49195
            tls_cipher_count 3
            tls_extension_count 8
            tls_sni localhost
            tls_alpn h2
            ja3_hash 78d960de2dc54d0ab1d83573e4ad4e9d
            ja3s_hash 73c5401bc2544038f608637524b63c6a
            tls_handshake_packets 2
            tls_cert_count 1
            tls_cert_total_length 581
            tls_cert_first_length 581
            tls_cert_chain_length 1
            tls_session_id_len 32
            tls_session_ticket_ext true
            tls_session_resumed false
            tls_psk_ext false
            tls_early_data_ext false
            tls_key_exchange_group 23
            tls_key_exchange_group_name secp256r1
            tls_key_exchange_length 520
            tls_transport tcp
            ja4 t13d0208h2_777cda164f4b_5c97ca241b93
            ja4_raw t13d0208h2_1301,c02b_000a,000b,000d,0023,002b,0033_0403
            tls_alpn_offered h2,http/1.1
            tls_hello_retry false
            tls_key_share_groups 4588-29
            tls_pq_key_share true
            tls_ech_ext false
            tls_cert_issuer UID=7+emailAddress=a@example.test,1.2.3.4=#0c0161,CN=\#1 www.example.test\ ,O=Exämple\, \"Ltd\"\;
            tls_cert_subject UID=7+emailAddress=a@example.test,1.2.3.4=#0c0161,CN=\#1 www.example.test\ ,O=Exämple\, \"Ltd\"\;
            tls_cert_sans www.example.test,192.0.2.1,2001:db8::1
            tls_cert_not_before 1767225600
            tls_cert_not_after 1768089600
            tls_cert_key_type ec
            tls_cert_key_bits 256
            tls_cert_self_signed true
            tls_cert_sha256 d812e3d86996d9a15b736a164eddd5f3f9ccea48d8a5acd1a266e7ecda5c2249"#,
    }],
};
