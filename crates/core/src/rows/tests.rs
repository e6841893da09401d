//! What each option does to columns, and rows of flows that are special.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;

use super::*;
use crate::features::InRows;
use crate::features::tests::{connection, groups, row};
use crate::flow::{FlowBase, FlowStore};
use crate::packet::{Endpoint, FlowKey, Packet, PacketInfo, Scope};
use crate::testing::{packet, packet_in};

/// One flow for each list of packets.
fn build(config: &Config, flows: &[Vec<PacketInfo>]) -> RecordBatch {
    let flows: Vec<_> = flows.iter().map(|packets| packets.clone().into()).collect();
    crate::features::tests::build(config, &flows)
}

fn names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|f| f.name().clone()).collect()
}

fn only(names: &[&str]) -> Config {
    Config { specific_features: Some(names.iter().map(|s| (*s).to_owned()).collect()), ..Config::default() }
}

#[test]
fn what_a_single_packet_cannot_tell_is_null() {
    let r = row(&build(&Config::default(), &[vec![packet(5, 60, 0)]]), 0);
    for name in ["iat_mean", "iat_p99", "iat_sum", "burstiness_index", "avg_idle_duration", "first_response_time"] {
        assert_eq!(r[name], "-", "{name}");
    }
    for name in ["pkt_len_bwd_min", "pkt_len_bwd_median", "payload_len_bwd_std", "l7_pkt_min_fwd", "l7_pkt_max_fwd"] {
        assert_eq!(r[name], "-", "{name}");
    }
    for name in ["packets_ratio", "bytes_ratio", "packets_per_second", "bytes_per_second", "flow_stat", "tcp_syn_count"]
    {
        assert_eq!(r[name], "-", "{name}");
    }
    let known = ["burst_count", "avg_burst_packets", "max_burst_packets", "idle_count", "tcp_is_tcp", "duration"];
    assert_eq!(known.map(|n| r[n].as_str()), ["1", "1", "1", "0", "false", "0"]);
}

#[test]
fn a_protocol_without_ports_has_none() {
    let r = row(&build(&groups(&["flow_meta"]), &[vec![packet_in(0, 60, 40, 47, Scope::default())]]), 0);
    assert_eq!(["src_port", "dst_port", "dst_port_class", "dst_port_class_num"].map(|n| r[n].as_str()), ["-"; 4]);
    assert_eq!((r["hdr_desc"].as_str(), r["num_hdrs"].as_str()), ("ETH-IP-GRE", "3"));
}

#[test]
fn a_handshake_needs_the_ack_of_the_initiator() {
    let scan: Vec<_> = connection().into_iter().take(2).collect();
    let r = row(&build(&groups(&["tcp"]), &[scan]), 0);
    let marks = ["tcp_initiator_syn", "tcp_responder_synack", "tcp_complete_handshake"];
    assert_eq!(marks.map(|n| r[n].as_str()), ["true", "true", "false"]);
}

#[test]
fn the_sender_of_the_syn_is_the_initiator_though_captured_second() {
    let mut packets = connection();
    packets.swap(0, 1);
    let r = row(&build(&Config::default(), &[packets]), 0);
    let n = ["src_port", "packets_fwd", "packets_bwd", "bytes_fwd", "first_response_time", "duration", "iat_min"];
    assert_eq!(n.map(|n| r[n].as_str()), ["1000", "4", "3", "260", "0.01", "0.24", "0"]);
}

#[test]
fn of_equally_frequent_lengths_the_first_seen_dominates() {
    let packets = [300, 200, 100, 200, 300].iter().enumerate().map(|(i, &len)| packet(i as i64, len, 0)).collect();
    let r = row(&build(&groups(&["size"]), &[packets]), 0);
    assert_eq!((r["dominant_pkt_size"].as_str(), r["dominant_pkt_ratio"].as_str()), ("300", "0.4"));
}

#[test]
fn vlan_and_tunnel_are_columns() {
    let scope = Scope { vlan: 101 | 8 << 16, tunnel_kind: 1, tunnel_id: 77 };
    let r = row(&build(&groups(&["tunnel"]), &[vec![packet_in(0, 60, 40, 17, scope)], vec![packet(0, 60, 40)]]), 0);
    let names = ["vlan_id", "vlan_inner_id", "tunnel_type", "tunnel_id", "outer_src_ip", "outer_dst_ip"];
    assert_eq!(names.map(|n| r[n].as_str()), ["100", "7", "-", "77", "-", "-"]);
}

#[test]
fn outer_addresses_follow_the_direction_of_the_flow() {
    let config = groups(&["tunnel"]);
    let plan = RowPlan::new(&config).unwrap();
    let settings = plan.tracker_settings();
    let mut store = FlowStore::new(plan.trackers());
    let mut packets = connection();
    packets.swap(0, 1);
    let packet = Packet::without_bytes(&packets[0]);
    store.replay(FlowBase::start(&packet, 0), packets.iter().map(Packet::without_bytes), &settings);
    store.set_outer(0, Some(([2, 2, 2, 2].into(), [1, 1, 1, 1].into())));
    let r = row(&plan.build(&[store.get(0).unwrap()], &mut RowScratch::default()).unwrap(), 0);
    assert_eq!(["outer_src_ip", "outer_dst_ip"].map(|n| r[n].as_str()), ["1.1.1.1", "2.2.2.2"]);
}

#[test]
fn sequences_tell_of_the_first_packets() {
    let config = Config { include_raw_sequences: true, include_splt: true, max_sequence_length: 5, ..groups(&["tcp"]) };
    let batch = build(&config, &[connection(), vec![packet(0, 30, 2)]]);
    let r = row(&batch, 0);
    let n = ["size_sequence", "payload_sequence", "direction_sequence", "flags_sequence", "iat_sequence"];
    assert_eq!(
        n.map(|n| r[n].as_str()),
        ["40 40 40 140 540", "0 0 0 100 500", "0 1 0 0 1", "2 18 16 24 24", "0 0.01 0.01 0 0.2"]
    );
    let n = ["splt_direction", "splt_ps", "splt_piat_ms"];
    assert_eq!(n.map(|n| r[n].as_str()), ["0 1 0 0 1", "40 40 40 140 540", "0 10 10 0 200"]);
    assert_eq!(row(&batch, 1)["splt_ps"], "30");
}

#[test]
fn sequences_are_there_only_where_asked_for() {
    let all = names(&build(&Config::default(), &[]));
    assert!(!all.iter().any(|n| n.contains("sequence") || n.contains("splt")));
    assert_eq!(names(&build(&only(&["splt_ps"]), &[])), ["splt_ps"]);
}

#[test]
fn single_features_come_in_the_order_that_was_asked_for() {
    assert_eq!(
        names(&build(&only(&["tcp_fstat", "IAT_mean", "src_ip", "iat_mean"]), &[])),
        ["tcp_fstat", "iat_mean", "src_ip"]
    );
    assert_eq!(RowPlan::new(&only(&["iat_mean"])).unwrap().trackers(), TrackerMask::LOG);
}

#[test]
fn addresses_and_ports_can_be_left_out() {
    let all = names(&build(&Config::default(), &[]));
    let kept = names(&build(&Config { include_ip_addresses: false, include_ports: false, ..Config::default() }, &[]));
    let gone: Vec<_> = all.iter().filter(|n| !kept.contains(n)).map(String::as_str).collect();
    assert_eq!(
        gone,
        [
            "src_ip",
            "dst_ip",
            "src_port",
            "dst_port",
            "dst_port_class",
            "dst_port_class_num",
            "outer_src_ip",
            "outer_dst_ip"
        ]
    );
}

#[test]
fn addresses_are_replaced_under_a_key_only() {
    let config = Config { anonymize_ips: true, ..groups(&["flow_meta"]) };
    for salt in [None, Some(String::new())] {
        let refused = RowPlan::new(&Config { anonymization_salt: salt, ..config.clone() });
        assert!(matches!(refused, Err(ConfigError::Value { option: "anonymize_ips", .. })));
    }
    let salted = |s: &str| Config { anonymization_salt: Some(s.into()), ..config.clone() };
    let r = row(&build(&salted("secret"), &[connection()]), 0);
    assert_eq!(r["src_ip"], "eb5a0e55d511c2fe");
    assert_ne!(row(&build(&salted("other"), &[connection()]), 0)["src_ip"], r["src_ip"]);
}

#[test]
fn a_flow_id_depends_on_the_flow_alone_and_on_the_key_if_there_is_one() {
    let config = Config { include_flow_id: true, ..groups(&["tcp"]) };
    let salted = Config { anonymization_salt: Some("x".into()), ..config.clone() };
    let mut other = connection();
    other.iter_mut().for_each(|p| p.ts += 1);
    let alone = build(&config, &[connection()]);
    assert_eq!(names(&alone)[0], "flow_id");
    let id = row(&alone, 0)["flow_id"].clone();
    assert_eq!((id.len(), id.bytes().all(|b| b.is_ascii_hexdigit())), (16, true));
    let both = build(&config, &[other.clone(), connection()]);
    assert_eq!(row(&both, 1)["flow_id"], id);
    assert_ne!(row(&both, 0)["flow_id"], id);
    let keyed = build(&salted, &[connection(), other]);
    assert_ne!(row(&keyed, 0)["flow_id"], id);
    assert_ne!(row(&keyed, 0)["flow_id"], row(&keyed, 1)["flow_id"]);
}

#[test]
fn a_split_flow_has_a_row_for_each_direction() {
    let config = Config { bidirectional_split: true, include_flow_id: true, ..Config::default() };
    let flows: Vec<_> = (0..40).map(|_| connection()).collect();
    let batch = build(&config, &flows);
    assert_eq!(batch.num_rows(), 80);
    assert_eq!(names(&batch)[..2], ["flow_id", "direction"]);
    for at in [0, 38, 39] {
        let (f, b) = (row(&batch, 2 * at), row(&batch, 2 * at + 1));
        let of = |r: &BTreeMap<String, String>| {
            [
                "direction",
                "total_packets",
                "packets_fwd",
                "packets_bwd",
                "iat_bwd_median",
                "iat_median",
                "src_ip",
                "dst_port",
            ]
            .map(|n| r[n].clone())
        };
        assert_eq!(of(&f), ["fwd", "4", "4", "-", "-", "0.02", "10.0.0.1", "53"]);
        assert_eq!(of(&b), ["bwd", "3", "-", "3", "0.115", "0.115", "10.0.0.2", "1000"]);
        for same in ["flow_id", "start_time", "protocol", "end_reason", "tcp_complete_handshake"] {
            assert_eq!(f[same], b[same]);
        }
        assert_eq!([&f, &b].map(|r| r["duration"].as_str()), ["-", "-"]);
    }
    let never_null: Vec<_> = RowPlan::new(&config).unwrap().never_null().collect();
    assert!(never_null.contains(&"total_packets") && never_null.contains(&"start_time"));
    assert!(!never_null.contains(&"packets_fwd") && !never_null.contains(&"duration"));
    for name in never_null {
        assert_eq!(batch.column_by_name(name).unwrap().null_count(), 0, "{name}");
    }
}

#[test]
fn sequences_of_a_split_flow_are_those_of_each_direction() {
    let splt =
        Config { bidirectional_split: true, include_splt: true, include_raw_sequences: true, ..Config::default() };
    let whole = row(&build(&Config { bidirectional_split: false, ..splt.clone() }, &[connection()]), 0);
    let split = build(&splt, &[connection()]);
    let (f, b) = (row(&split, 0), row(&split, 1));
    for name in ["size_sequence", "payload_sequence", "flags_sequence", "splt_ps"] {
        let of = |want: &str| {
            let sides = whole["splt_direction"].split(' ');
            let values = whole[name].split(' ').zip(sides).filter(|(_, side)| *side == want).map(|(v, _)| v);
            values.collect::<Vec<_>>().join(" ")
        };
        assert_eq!((f[name].as_str(), b[name].as_str()), (of("0").as_str(), of("1").as_str()), "{name}");
    }
    assert_eq!(b["splt_piat_ms"].split(' ').next(), Some("0"));
}

/// A name that is not there, or another type, would be a column of nulls.
#[test]
fn what_a_direction_says_instead_is_a_feature_of_the_same_type() {
    let one_way = vec![packet(0, 60, 40), packet(1, 60, 40)];
    let elsewhere = ["mac", "tunnel", "entropy"];
    for config in [Config::default(), Config { missing: Missing::Zero, ..Config::default() }] {
        let config = Config { bidirectional_split: true, include_splt: true, ..config };
        let batch = build(&config, &[connection(), one_way.clone()]);
        for f in RowPlan::new(&config).unwrap().features() {
            let column = batch.column_by_name(f.name).unwrap();
            let known = |row: usize| column.is_valid(row);
            match f.in_rows {
                _ if config.missing == Missing::Zero => assert_eq!(column.null_count(), 0),
                InRows::Neither => assert_eq!(column.null_count(), 4, "{}", f.name),
                InRows::Both => assert_eq!(known(0), known(1), "{}", f.name),
                InRows::Only(Direction::Fwd) => assert!(!known(1) && !known(3), "{}", f.name),
                InRows::Only(Direction::Bwd) => assert!(!known(0) && !known(2), "{}", f.name),
                // The packets have no more than lengths and flags.
                InRows::Own if !elsewhere.contains(&f.group) => {
                    assert!(known(0) && known(1), "{}", f.name);
                }
                InRows::Own => {}
            }
        }
    }
}

#[test]
fn missing_values_can_be_zero() {
    let config = Config { missing: Missing::Zero, include_splt: true, ..Config::default() };
    let r = row(&build(&config, &[vec![packet_in(0, 60, 40, 47, Scope::default())]]), 0);
    let n = ["iat_mean", "src_port", "dst_port_class", "tcp_graceful_close", "vlan_id", "packets_ratio"];
    assert_eq!(n.map(|n| r[n].as_str()), ["0", "0", "", "false", "0", "0"]);
    assert!(r.values().all(|v| v != "-"));
}

#[test]
fn wrong_names_are_refused_with_the_nearest_right_one() {
    let error = |c: Config| RowPlan::new(&c).unwrap_err().to_string();
    assert_eq!(error(groups(&["timming"])), "unknown feature group 'timming' (did you mean 'timing'?)");
    assert!(
        error(groups(&["iat_mean"]))
            .ends_with("is one feature and no group: name it in specific_features (on the command line: --feature)")
    );
    assert!(
        error(only(&["timing"]))
            .ends_with("is a group of features: name it in features (on the command line: --features)")
    );
    assert!(
        error(only(&["direction"])).ends_with(
            "is no feature, but a column that bidirectional_split adds (on the command line: --bidir-split)"
        )
    );
    assert!(error(only(&["tcp.iat_mean"])).starts_with("unknown feature 'tcp.iat_mean'"));
    assert_eq!(RowPlan::new(&only(&["timing.iat_mean"])).unwrap().schema().field(0).name(), "iat_mean");
    assert_eq!(error(only(&["iat_maen"])), "unknown feature 'iat_maen' (did you mean 'iat_mean'?)");
    let profile = Config { profile: Some("JJ-CROE".into()), ..Config::default() };
    assert_eq!(error(profile), "unknown profile 'JJ-CROE' (did you mean 'JJ-CORE'?)");
    let core = |name: &str| names(&build(&Config { profile: Some(name.into()), ..groups(&["flow-meta"]) }, &[])).len();
    assert_eq!([core("JJ-CORE"), core("core"), core("jj_core")], [29; 3]);
    let nothing = Config { include_ip_addresses: false, ..only(&["src_ip"]) };
    assert_eq!(RowPlan::new(&nothing).unwrap_err(), ConfigError::NothingSelected);
}

#[test]
fn ja4plus_is_there_by_name_only_and_in_builds_with_it_only() {
    let all = RowPlan::new(&groups(&["all"])).unwrap();
    let says = |plan: &RowPlan| plan.notes().iter().any(|note| note.contains("FoxIO License 1.1"));
    assert!(all.features().iter().all(|f| f.group != JA4PLUS.0) && !says(&all));
    for config in [groups(&["all", "ja4plus"]), only(JA4PLUS.1)] {
        let plan = RowPlan::new(&config);
        assert_eq!(plan.is_ok(), cfg!(feature = "ja4plus"));
        match plan {
            Ok(plan) => {
                let named: Vec<_> = plan.features().iter().filter(|f| f.group == JA4PLUS.0).map(|f| f.name).collect();
                assert_eq!(named, JA4PLUS.1);
                assert!(says(&plan));
            }
            Err(error) => assert!(error.to_string().contains("FoxIO License 1.1"), "{error}"),
        }
    }
}

#[test]
fn values_outside_their_range_are_refused() {
    for ms in [f64::NAN, -1.0, f64::INFINITY] {
        let refused = RowPlan::new(&Config { burst_threshold_ms: ms, ..Config::default() });
        assert!(matches!(refused, Err(ConfigError::Value { option: "burst_threshold_ms", .. })));
    }
    for max_sequence_length in [0, 65_536] {
        let refused = RowPlan::new(&Config { include_splt: true, max_sequence_length, ..Config::default() });
        assert!(matches!(refused, Err(ConfigError::Value { option: "max_sequence_length", .. })));
    }
}

#[test]
fn fields_carry_what_is_known_of_them() {
    let batch = build(&Config::default(), &[]);
    assert_eq!(batch.num_rows(), 0);
    let schema = batch.schema();
    let meta = schema.field_with_name("iat_mean").unwrap().metadata();
    let get = |k: &str| meta.get(k).map(String::as_str);
    assert_eq!((get("unit"), get("group"), get("profile")), (Some("s"), Some("timing"), Some("JJ-CORE")));
    assert_eq!((get("privacy"), get("description").map(|d| d.is_empty())), (Some("public"), Some(false)));
    let how = ["formula", "range", "null", "since"].map(get);
    assert_eq!(how, ["mean(gaps(all))", "from 0", "fewer than two packets", "0.1.6"].map(Some));
    // What does not apply is not there: it is written once for each of some 450 columns.
    assert_eq!((get("direction"), get("name")), (None, None));
}

#[test]
fn many_flows_keep_their_order_over_blocks() {
    let flow = |i: u8| {
        let mut p = packet(i64::from(i), 40 + u32::from(i), u32::from(i % 2));
        let (src, dst) = (Endpoint::v4([10, 0, 0, i], 9), Endpoint::v4([10, 0, 1, 0], 10));
        (p.key, p.from_lo) = FlowKey::new(false, 17, true, src, dst, Scope::default());
        vec![p]
    };
    let flows: Vec<_> = (0..200).map(flow).collect();
    let batch = build(&Config::default(), &flows);
    for i in 0..200 {
        let r = row(&batch, i);
        assert_eq!(r["src_ip"], format!("10.0.0.{i}"));
        assert_eq!(r["pkt_len_max"], (40 + i).to_string());
        assert_eq!(r["l7_pkt_min_fwd"], if i % 2 == 0 { "-" } else { "1" });
    }
}
