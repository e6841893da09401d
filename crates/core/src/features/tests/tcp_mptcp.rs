//! Random flows have no options.

use super::flows::segments;
use super::{Golden, Oracle};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |case, out| {
        if !case.is_tcp() {
            return;
        }
        let syn = |is_a: bool| case.packets.iter().any(|p| p.a == is_a && p.flags & 2 != 0);
        for (d, is_a) in [("fwd", case.a_opened), ("bwd", !case.a_opened)] {
            out.put_if(syn(is_a), &format!("mptcp_capable_{d}"), 0.0);
        }
        for name in ["mptcp_detected", "mptcp_option_count", "mptcp_stat"] {
            out.put(name, 0.0);
        }
        out.put_if(syn(true) || syn(false), "is_mptcp", 0.0);
    },
    // A connection that the responder refuses to make one of several paths, and a subflow.
    golden: &[
        Golden {
            flow: || {
                segments(&[
                    (true, 0, 0, 0x02, 9, &[30, 4, 0x01, 0x01], b""),
                    (false, 0, 1, 0x12, 9, &[2, 4, 5, 0xb4], b""),
                    (true, 1, 1, 0x10, 9, &[], b""),
                ])
            },
            options: |_| {},
            row: "mptcp_detected 1
                mptcp_capable_fwd 1
                mptcp_capable_bwd 0
                mptcp_option_count 1
                mptcp_stat 3
                is_mptcp 0",
        },
        Golden {
            flow: || {
                segments(&[
                    (true, 0, 0, 0x02, 9, &[30, 12, 0x10, 1, 0, 0, 0, 1, 0, 0, 0, 2], b""),
                    (false, 0, 1, 0x12, 9, &[30, 16, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2], b""),
                ])
            },
            options: |_| {},
            row: "mptcp_detected 1
                mptcp_capable_fwd 0
                mptcp_capable_bwd 0
                mptcp_option_count 2
                mptcp_stat 1
                is_mptcp 1",
        },
    ],
};
