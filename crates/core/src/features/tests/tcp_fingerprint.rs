//! Windows and TTLs of the SYNs; random flows have no options.

use super::{Golden, Oracle, P, eventful};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |case, out| {
        if !case.is_tcp() {
            return;
        }
        for (d, is_a, bits) in [("fwd", case.a_opened, 0x02), ("bwd", !case.a_opened, 0x12)] {
            let syn = case.packets.iter().find(|p: &&P| p.a == is_a && p.flags & 0x12 == bits);
            out.put(&format!("tcp_fp_{d}_window"), syn.map(|p| f64::from(p.window)));
            out.put(&format!("tcp_fp_{d}_ttl"), syn.map(|_| 64.0));
        }
    },
    // printf 64240_64_1460_7_2-4-8-1-3 | md5sum; printf 65160_64_1400_9_2-1-3-1-1-8 | md5sum
    golden: &[Golden {
        flow: eventful,
        options: |_| {},
        row: "tcp_fp_fwd t64240_1460_7_7402d907cbae
            tcp_fp_bwd t65160_1400_9_79506e1ee2f8
            tcp_os_hint_fwd linux
            tcp_os_hint_bwd -
            tcp_uptime_fwd -
            tcp_uptime_bwd -
            tcp_fp_fwd_window 64240
            tcp_fp_fwd_ttl 64
            tcp_fp_fwd_mss 1460
            tcp_fp_fwd_ws 7
            tcp_fp_bwd_window 65160
            tcp_fp_bwd_ttl 59
            tcp_fp_bwd_mss 1400
            tcp_fp_bwd_ws 9",
    }],
};
