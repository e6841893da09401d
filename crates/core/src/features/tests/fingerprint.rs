//! Random flows have no bytes, and their protocols are none of a tunnel: no evidence.

use super::{Golden, Oracle, talk};
use crate::protocols::tls::testing::{Hello, record};

/// A ClientHello with a server name.
fn hello(name: &[u8]) -> Vec<u8> {
    let n = name.len() as u8;
    let server_name = [&[0, n + 3, 0, 0, n], name].concat();
    let extensions: &[(u16, &[u8])] = &[(0, &server_name)];
    record(22, &Hello { version: 0x0303, session_id: &[], ciphers: &[0xc02b], extensions }.message())
}

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, out| {
        for what in ["tor", "vpn", "doh"] {
            out.put(&format!("likely_{what}"), 0.0);
            out.put(&format!("{what}_confidence"), 0.0);
        }
    },
    golden: &[
        Golden {
            flow: || talk(6, 443, &[(true, &hello(b"www.abcdefgh.com"))]),
            options: |_| {},
            row: "likely_tor false
                tor_confidence 0.2
                likely_vpn false
                vpn_confidence 0
                vpn_type -
                likely_doh false
                doh_confidence 0
                traffic_type encrypted
                fingerprint_evidence tor_sni",
        },
        Golden {
            flow: || talk(6, 443, &[(true, &hello(b"DNS.google"))]),
            options: |_| {},
            row: "likely_tor false
                tor_confidence 0
                likely_vpn false
                vpn_confidence 0
                vpn_type -
                likely_doh true
                doh_confidence 0.9
                traffic_type doh
                fingerprint_evidence doh_resolver_sni",
        },
        Golden {
            flow: || talk(6, 853, &[(true, &hello(b"dns.google"))]),
            options: |_| {},
            row: "likely_tor false
                tor_confidence 0
                likely_vpn false
                vpn_confidence 0
                vpn_type -
                likely_doh false
                doh_confidence 0
                traffic_type dot
                fingerprint_evidence dot_resolver_sni",
        },
        Golden {
            flow: || talk(50, 0, &[(true, &[7; 40])]),
            options: |_| {},
            row: "likely_tor false
                tor_confidence 0
                likely_vpn true
                vpn_confidence 1
                vpn_type ipsec-esp
                likely_doh false
                doh_confidence 0
                traffic_type vpn:ipsec-esp
                fingerprint_evidence esp_protocol",
        },
        Golden {
            flow: || talk(6, 80, &[(true, b"GET /dns-query HTTP/1.1\r\n\r\n")]),
            options: |_| {},
            row: "likely_tor false
                tor_confidence 0
                likely_vpn false
                vpn_confidence 0
                vpn_type -
                likely_doh true
                doh_confidence 1
                traffic_type doh
                fingerprint_evidence doh_http_request",
        },
    ],
};
