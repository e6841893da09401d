//! Random flows have no options.

use super::{Golden, Oracle, eventful};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |case, out| {
        if !case.is_tcp() {
            return;
        }
        for (d, is_a) in [("fwd", case.a_opened), ("bwd", !case.a_opened)] {
            let of = || case.packets.iter().filter(|p| p.a == is_a);
            out.put_if(of().any(|p| p.flags & 2 != 0), &format!("tcp_sack_permitted_{d}"), 0.0);
            out.put_if(of().next().is_some(), &format!("tcp_ts_{d}_present"), 0.0);
        }
        for name in ["tcp_sack_blocks_total", "tcp_options_bitmap", "tcp_options_pkt_count"] {
            out.put(name, 0.0);
        }
    },
    golden: &[Golden {
        flow: eventful,
        options: |_| {},
        row: "tcp_mss_fwd 1460
            tcp_mss_bwd 1400
            tcp_ws_fwd 7
            tcp_ws_bwd 9
            tcp_sack_permitted_fwd 1
            tcp_sack_permitted_bwd 0
            tcp_sack_blocks_total 0
            tcp_ts_fwd_present 1
            tcp_ts_fwd_first 100
            tcp_ts_fwd_last 109
            tcp_ts_fwd_diff 9
            tcp_ts_ecr_fwd_first 7
            tcp_ts_bwd_present 1
            tcp_ts_bwd_first 7
            tcp_ts_bwd_last 12
            tcp_ts_bwd_diff 5
            tcp_ts_ecr_bwd_first 100
            tcp_options_bitmap 15
            tcp_options_pkt_count 10",
    }],
};
