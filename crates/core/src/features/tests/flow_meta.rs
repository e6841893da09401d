//! Sums and the earliest and latest time.

use super::{Golden, Oracle, P, connection};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |case, out| {
        let (all, f, b) = (&case.all[..], &case.fwd[..], &case.bwd[..]);
        let n = |p: &[P]| p.len() as f64;
        let bytes = |p: &[P]| p.iter().map(|p| f64::from(p.len)).sum::<f64>();
        let load = |p: &[P]| p.iter().map(|p| f64::from(p.payload)).sum::<f64>();
        let (first, last) = (all[0].ts, all[all.len() - 1].ts);
        let duration = (last - first) as f64 / 1e9;
        for (k, v) in [("start_time", first), ("time_first", first), ("end_time", last), ("time_last", last)] {
            out.put(k, v as f64 / 1e9);
        }
        out.put("duration", duration);
        out.put("protocol", f64::from(case.protocol));
        let ports = matches!(case.protocol, 6 | 17);
        out.put_if(ports, "src_port", if case.a_opened { 1000.0 } else { 53.0 });
        out.put_if(ports, "dst_port", if case.a_opened { 53.0 } else { 1000.0 });
        out.put_if(ports, "dst_port_class_num", 1.0);
        out.put("num_hdrs", 3.0);
        for (k, s) in [("total_packets", all), ("packets_fwd", f), ("packets_bwd", b)] {
            out.put(k, n(s));
        }
        for (k, s) in [("total_bytes", all), ("bytes_fwd", f), ("bytes_bwd", b)] {
            out.put(k, bytes(s));
        }
        for (k, s) in [("total", all), ("fwd", f), ("bwd", b)] {
            out.put(&format!("payload_bytes_{k}"), load(s));
        }
        out.put_if(!b.is_empty(), "packets_ratio", n(f) / n(b));
        out.put_if(bytes(b) > 0.0, "bytes_ratio", bytes(f) / bytes(b));
        out.put_if(last > first, "packets_per_second", n(all) / duration);
        out.put_if(last > first, "bytes_per_second", bytes(all) / duration);
        out.put("avg_packet_size", bytes(all) / n(all));

        let or = |s: &[P]| s.iter().fold(0, |o, p| o | p.flags);
        let syn = f.iter().any(|p| p.flags & 18 == 2);
        let synack = b.iter().any(|p| p.flags & 18 == 18);
        let (ffin, bfin, reset) = (or(f) & 1 != 0, or(b) & 1 != 0, or(all) & 4 != 0);
        let whole = syn && synack && (reset || ffin && bfin);
        let marks = [(syn, 1.0), (synack, 2.0), (ffin, 4.0), (bfin, 8.0), (reset, 16.0), (whole, 64.0)];
        out.put_if(case.is_tcp(), "flow_stat", marks.iter().filter(|m| m.0).map(|m| m.1).sum());
    },
    golden: &[Golden {
        flow: || connection().into(),
        options: |_| {},
        row: "src_ip 10.0.0.1
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
            end_reason end_of_input
            initiator_by syn",
    }],
};
