//! Random flows are IPv4.

use super::{Golden, Oracle, Recorded};
use crate::testing::{eth, ip6, udp};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |case, out| {
        out.put("ipv6_packet_count", 0.0);
        out.put("ipv4_packet_count", case.all.len() as f64);
        out.put("ipv6_ratio", 0.0);
        out.put("is_ipv6_only", 0.0);
    },
    golden: &[Golden {
        flow: || {
            let packet = |class: u32, label: u32| {
                let mut ip = ip6(17, &udp(5000, 5001, b"x"));
                ip[..4].copy_from_slice(&(6 << 28 | class << 20 | label).to_be_bytes());
                eth(0x86dd, &ip)
            };
            Recorded::frames(&[(0, packet(0xb9, 7)), (1, packet(0xb8, 7)), (2, packet(0, 9))])
        },
        options: |_| {},
        row: "ipv6_packet_count 3
            ipv4_packet_count 0
            ipv6_flow_label 7
            ipv6_flow_label_unique_count 2
            ipv6_flow_label_changes 1
            ipv6_traffic_class 185
            ipv6_traffic_class_unique_count 3
            ipv6_dscp 46
            ipv6_ecn 1
            ipv6_ratio 1
            is_ipv6_only 1",
    }],
};
