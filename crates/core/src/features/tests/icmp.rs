//! Random flows are of other protocols.

use super::{Golden, Oracle, Recorded};
use crate::testing::{eth, ip4_between};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, out| out.put("is_icmp_only", 0.0),
    // Pings 5, 6, 8, the answers to two of them, and a redirect.
    golden: &[Golden {
        flow: || {
            let message = |back: bool, kind: u8, seq: u8| {
                let (a, b) = ([10, 0, 0, 1], [10, 0, 0, 2]);
                let (src, dst) = if back { (b, a) } else { (a, b) };
                eth(0x0800, &ip4_between(src, dst, 1, &[kind, 0, 0, 0, 0x12, 0x34, 1, seq]))
            };
            let sent = [(false, 8, 5), (true, 0, 5), (false, 8, 6), (true, 5, 0), (false, 8, 8), (true, 0, 8)];
            let frames: Vec<_> = (0..).zip(sent).map(|(ts, (back, kind, seq))| (ts, message(back, kind, seq))).collect();
            Recorded::frames(&frames)
        },
        options: |_| {},
        row: "icmp_packet_count 6
            icmp_echo_request_count 3
            icmp_echo_reply_count 2
            icmp_dest_unreachable_count 0
            icmp_time_exceeded_count 0
            icmp_unique_type_codes 3
            icmp_dominant_type 8
            icmp_dominant_type_count 3
            icmp_echo_success_ratio 0.6666666666666666
            icmp_unique_ids 1
            icmp_seq_min 261
            icmp_seq_max 264
            icmp_seq_gaps 1
            icmp_stat 19
            icmp_ratio 1
            is_icmp_only true",
    }],
};
