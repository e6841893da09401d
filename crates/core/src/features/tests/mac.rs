//! Random flows have no Ethernet header.

use super::{Golden, Oracle, eventful};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, _| {},
    golden: &[Golden {
        flow: eventful,
        options: |_| {},
        row: "mac_src 02:00:00:00:00:02
            mac_dst 02:00:00:00:00:01
            mac_eth_type 2048
            mac_vlan_id -
            mac_vlan_count 0
            mac_unique_src_count 1
            mac_unique_dst_count 1
            mac_stat 3
            mac_broadcast_count 0
            mac_multicast_count 0",
    }],
};
