//! Of packets without bytes the TTL is known, which is 64 in random flows.

use super::{Golden, Oracle, eventful};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |case, out| {
        out.put("ip_version", 4.0);
        for (d, side) in [("fwd", &case.fwd), ("bwd", &case.bwd)] {
            for (k, v) in [("min", 64.0), ("max", 64.0), ("mean", 64.0), ("changes", 0.0)] {
                out.put_if(!side.is_empty(), &format!("ip_ttl_{d}_{k}"), v);
            }
        }
        out.put_if(!case.fwd.is_empty(), "ip_ttl_fwd_initial_est", 64.0);
        out.put_if(!case.fwd.is_empty(), "ip_ttl_fwd_hops_est", 0.0);
    },
    // The initiator sends packets 0, 2, 3, 6, 7, 9; the responder's identification is always 0.
    golden: &[Golden {
        flow: eventful,
        options: |_| {},
        row: "ip_ttl_fwd_min 64
            ip_ttl_fwd_max 64
            ip_ttl_fwd_mean 64
            ip_ttl_fwd_changes 0
            ip_ttl_bwd_min 59
            ip_ttl_bwd_max 59
            ip_ttl_bwd_mean 59
            ip_ttl_bwd_changes 0
            ip_ttl_fwd_initial_est 64
            ip_ttl_fwd_hops_est 0
            ip_tos_value 0
            ip_tos_unique_count 2
            ip_dscp 0
            ip_ecn 2
            ip_flags 2
            ip_df_count 6
            ip_df_ratio 0.6
            ip_version 4
            ip_id_gaps 3",
    }],
};
