//! Golden rows of small flows worked out by hand, and what each option does to columns.

use std::collections::BTreeMap;

use arrow_array::{Array, RecordBatch};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray};

use super::*;
use crate::flow::{FlowBase, FlowStore};
use crate::packet::{Endpoint, FlowKey, Packet, PacketInfo, Scope};
use crate::testing::{packet, packet_in};

const MS: i64 = 1_000_000;

/// A TCP connection: SYN, SYN-ACK, ACK, 100 bytes, 500 bytes 200 ms later, FIN and FIN; captured in order.
fn connection() -> Vec<PacketInfo> {
    let steps = [
        (0, 0x02, 0, true),
        (10, 0x12, 0, false),
        (20, 0x10, 0, true),
        (20, 0x18, 100, true),
        (220, 0x18, 500, false),
        (230, 0x11, 0, true),
        (240, 0x11, 0, false),
    ];
    let step = |(ms, flags, payload, fwd): (i64, u16, u32, bool)| {
        let mut p = packet_in(1_000_000_000_000 + ms * MS, 40 + payload, payload, 6, Scope::default());
        (p.tcp_flags, p.from_lo) = (flags, fwd);
        p
    };
    steps.map(step).to_vec()
}

/// One flow for each list of packets.
fn build(config: &Config, flows: &[Vec<PacketInfo>]) -> RecordBatch {
    let plan = RowPlan::new(config).unwrap();
    let settings = plan.tracker_settings();
    let mut store = FlowStore::new(plan.trackers());
    for (at, packets) in flows.iter().enumerate() {
        let base = FlowBase::start(&Packet::without_bytes(&packets[0]), at as u64);
        store.replay(base, packets.iter().map(Packet::without_bytes), &settings);
    }
    let flows: Vec<_> = (0..flows.len()).filter_map(|i| store.get(i)).collect();
    plan.build(&flows, &mut RowScratch::default()).unwrap()
}

/// A value as text; `-` is null.
fn text(column: &ArrayRef, at: usize) -> String {
    let any = column.as_any();
    if column.is_null(at) {
        "-".into()
    } else if let Some(c) = any.downcast_ref::<Float64Array>() {
        c.value(at).to_string()
    } else if let Some(c) = any.downcast_ref::<Int64Array>() {
        c.value(at).to_string()
    } else if let Some(c) = any.downcast_ref::<BooleanArray>() {
        c.value(at).to_string()
    } else if let Some(c) = any.downcast_ref::<StringArray>() {
        c.value(at).to_owned()
    } else {
        let list = any.downcast_ref::<ListArray>().unwrap().value(at);
        (0..list.len()).map(|i| text(&list, i)).collect::<Vec<_>>().join(" ")
    }
}

fn row(batch: &RecordBatch, at: usize) -> BTreeMap<String, String> {
    let schema = batch.schema();
    let names = schema.fields().iter().map(|f| f.name().clone());
    names.zip(batch.columns().iter().map(|c| text(c, at))).collect()
}

fn names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|f| f.name().clone()).collect()
}

fn groups(names: &[&str]) -> Config {
    Config { features: names.iter().map(|s| (*s).to_owned()).collect(), ..Config::default() }
}

fn only(names: &[&str]) -> Config {
    Config { specific_features: Some(names.iter().map(|s| (*s).to_owned()).collect()), ..Config::default() }
}

fn expect(row: &BTreeMap<String, String>, golden: &str) {
    for line in golden.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (name, value) = line.split_once(' ').unwrap();
        let got = row.get(name).map(String::as_str).unwrap_or("no such column");
        let same = match (got.parse::<f64>(), value.parse::<f64>()) {
            (Ok(g), Ok(v)) => (g - v).abs() <= 1e-12 * v.abs(),
            _ => got == value,
        };
        assert!(same, "{name}: {got} instead of {value}");
    }
    assert_eq!(row.len(), golden.lines().filter(|l| !l.trim().is_empty()).count(), "a column without a golden value");
}

#[test]
fn flow_meta_of_a_connection() {
    expect(
        &row(&build(&groups(&["flow_meta"]), &[connection()]), 0),
        "src_ip 10.0.0.1
        dst_ip 10.0.0.2
        src_port 1000
        dst_port 53
        dst_port_class dns
        dst_port_class_num 1
        protocol 6
        start_time 1000
        end_time 1000.24
        duration 0.24
        total_packets 7
        packets_fwd 4
        packets_bwd 3
        total_bytes 880
        bytes_fwd 260
        bytes_bwd 620
        payload_bytes_fwd 100
        payload_bytes_bwd 500
        payload_bytes_total 600
        packets_ratio 1.3333333333333333
        bytes_ratio 0.41935483870967744
        packets_per_second 29.166666666666668
        bytes_per_second 3666.666666666667
        avg_packet_size 125.71428571428571
        time_first 1000
        time_last 1000.24
        flow_stat 79
        num_hdrs 3
        hdr_desc ETH-IP-TCP
        end_reason end_of_input",
    );
}

#[test]
fn timing_of_a_connection() {
    expect(
        &row(&build(&groups(&["timing"]), &[connection()]), 0),
        "iat_min 0
        iat_max 0.2
        iat_mean 0.04
        iat_std 0.07164728420068225
        iat_median 0.01
        iat_sum 0.24
        iat_p25 0.01
        iat_p75 0.01
        iat_p90 0.105
        iat_p99 0.1905
        iat_fwd_min 0
        iat_fwd_max 0.21
        iat_fwd_mean 0.07666666666666667
        iat_fwd_std 0.0946337971105226
        iat_fwd_median 0.02
        iat_bwd_min 0.02
        iat_bwd_max 0.21
        iat_bwd_mean 0.115
        iat_bwd_std 0.095
        iat_bwd_median 0.115
        burstiness_index 1.7911821050170563
        burstiness_index_fwd 1.2343538753546426
        burstiness_index_bwd 0.8260869565217391
        burst_count 2
        avg_burst_packets 3.5
        avg_burst_duration 0.02
        max_burst_packets 4
        idle_count 1
        avg_idle_duration 0.2
        max_idle_duration 0.2
        first_response_time 0.01
        iat_approximate false",
    );
}

#[test]
fn size_of_a_connection() {
    // IP lengths: 40 40 40 140 540 40 40; forward 40 40 140 40, backward 40 540 40.
    expect(
        &row(&build(&groups(&["size"]), &[connection()]), 0),
        "pkt_len_min 40
        pkt_len_max 540
        pkt_len_mean 125.71428571428571
        pkt_len_std 172.61494247992246
        pkt_len_median 40
        pkt_len_p25 40
        pkt_len_p75 90
        pkt_len_p90 300
        pkt_len_fwd_min 40
        pkt_len_fwd_max 140
        pkt_len_fwd_mean 65
        pkt_len_fwd_std 43.30127018922193
        pkt_len_fwd_median 40
        pkt_len_bwd_min 40
        pkt_len_bwd_max 540
        pkt_len_bwd_mean 206.66666666666666
        pkt_len_bwd_std 235.70226039551585
        pkt_len_bwd_median 40
        payload_len_min 0
        payload_len_max 500
        payload_len_mean 85.71428571428571
        payload_len_std 172.61494247992246
        payload_len_fwd_mean 25
        payload_len_fwd_std 43.30127018922193
        payload_len_bwd_mean 166.66666666666666
        payload_len_bwd_std 235.70226039551585
        packets_with_payload 2
        packets_with_payload_fwd 1
        packets_with_payload_bwd 1
        header_only_ratio 0.7142857142857143
        pkt_len_variance 29795.918367346938
        dominant_pkt_size 40
        dominant_pkt_ratio 0.7142857142857143
        l7_bytes_fwd 100
        l7_bytes_bwd 500
        l7_bytes_total 600
        l7_pkt_min_fwd 100
        l7_pkt_max_fwd 100
        l7_pkt_min_bwd 500
        l7_pkt_max_bwd 500
        pkt_asymmetry 0.14285714285714285
        byte_asymmetry -0.4090909090909091",
    );
}

#[test]
fn tcp_of_a_connection() {
    expect(
        &row(&build(&groups(&["tcp"]), &[connection()]), 0),
        "tcp_is_tcp true
        tcp_syn_count 1
        tcp_synack_count 1
        tcp_fin_count 2
        tcp_rst_count 0
        tcp_ack_count 6
        tcp_psh_count 2
        tcp_urg_count 0
        tcp_ece_count 0
        tcp_cwr_count 0
        tcp_complete_handshake true
        tcp_graceful_close true
        tcp_reset_close false
        tcp_syn_ratio 0.2857142857142857
        tcp_fin_ratio 0.2857142857142857
        tcp_rst_ratio 0
        tcp_psh_ratio 0.2857142857142857
        tcp_data_packets 2
        tcp_ack_only_packets 1
        tcp_flags_anomaly false
        tcp_initiator_syn true
        tcp_responder_synack true
        tcp_fstat 95
        tcp_flags_agg 27
        tcp_flags_fwd 27
        tcp_flags_bwd 27",
    );
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
    let mut base = FlowBase::start(&packet, 0);
    base.outer = Some(Box::new(([2, 2, 2, 2].into(), [1, 1, 1, 1].into())));
    store.replay(base, packets.iter().map(Packet::without_bytes), &settings);
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
fn every_name_of_the_older_version_is_there_and_new_ones_come_after_them() {
    let core = names(&build(&Config { profile: Some("jj-core".into()), ..Config::default() }, &[]));
    assert_eq!(core.len(), 29 + 31 + 42 + 26);
    assert_eq!((core[0].as_str(), core[28].as_str(), core[29].as_str()), ("src_ip", "hdr_desc", "iat_min"));
    assert_eq!(
        (core[60].as_str(), core[102].as_str(), core[127].as_str()),
        ("pkt_len_min", "tcp_is_tcp", "tcp_flags_bwd")
    );
    let meta = names(&build(&groups(&["FLOW_META"]), &[]));
    assert_eq!(meta.last().map(String::as_str), Some("end_reason"));
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
    assert_eq!(gone, ["src_ip", "dst_ip", "src_port", "dst_port", "outer_src_ip", "outer_dst_ip"]);
}

#[test]
fn addresses_are_replaced_under_a_key_only() {
    let config = Config { anonymize_ips: true, ..groups(&["flow_meta"]) };
    for salt in [None, Some(String::new())] {
        let refused = RowPlan::new(&Config { anonymization_salt: salt, ..config.clone() });
        assert!(matches!(refused, Err(ConfigError::Value { option: "anonymization_salt", .. })));
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
            ["direction", "total_packets", "packets_fwd", "packets_bwd", "iat_bwd_median", "src_ip"]
                .map(|n| r[n].clone())
        };
        assert_eq!(of(&f), ["fwd", "7", "4", "-", "-", "10.0.0.1"]);
        assert_eq!(of(&b), ["bwd", "7", "-", "3", "0.115", "10.0.0.1"]);
        assert_eq!(f["flow_id"], b["flow_id"]);
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
    assert_eq!(error(only(&["iat_maen"])), "unknown feature 'iat_maen' (did you mean 'iat_mean'?)");
    let profile = Config { profile: Some("JJ-CROE".into()), ..Config::default() };
    assert_eq!(error(profile), "unknown profile 'JJ-CROE' (did you mean 'JJ-CORE'?)");
    let later = error(groups(&["tls"]));
    assert!(later.contains("not available in this version") && later.contains("flow_meta, timing"), "{later}");
    let nothing = Config { include_ip_addresses: false, ..only(&["src_ip"]) };
    assert_eq!(RowPlan::new(&nothing).unwrap_err(), ConfigError::NothingSelected);
}

#[test]
fn values_outside_their_range_are_refused() {
    for ms in [f64::NAN, -1.0, f64::INFINITY] {
        let refused = RowPlan::new(&Config { burst_threshold_ms: ms, ..Config::default() });
        assert!(matches!(refused, Err(ConfigError::Value { option: "burst_threshold_ms", .. })));
    }
    for max_sequence_length in [0, 65_537] {
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
