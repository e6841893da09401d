//! Random flows travel in nothing.

use super::{Golden, Oracle};
use crate::packet::Scope;
use crate::testing::packet_in;

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, _| {},
    golden: &[Golden {
        flow: || {
            let scope = Scope { vlan: 101 | 8 << 16, tunnel_kind: 1, tunnel_id: 77 };
            vec![packet_in(0, 60, 40, 17, scope)].into()
        },
        options: |_| {},
        row: "vlan_id 100
            vlan_inner_id 7
            tunnel_type -
            tunnel_id 77
            outer_src_ip -
            outer_dst_ip -",
    }],
};
