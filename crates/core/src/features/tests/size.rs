//! Sorted lengths.

use super::{Golden, Oracle, P, Stat, connection};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |case, out| {
        let (all, f, b) = (&case.all[..], &case.fwd[..], &case.bwd[..]);
        let n = |p: &[P]| p.len() as f64;
        let lens = |p: &[P]| Stat::of(p.iter().map(|p| f64::from(p.len)));
        let payloads = |p: &[P]| Stat::of(p.iter().map(|p| f64::from(p.payload)));
        let full = |p: &[P]| Stat::of(p.iter().filter(|p| p.payload > 0).map(|p| f64::from(p.payload)));
        for (suffix, s) in [("", all), ("_fwd", f), ("_bwd", b)] {
            let l = lens(s);
            let stats = [("min", l.min()), ("max", l.max()), ("mean", l.mean()), ("std", l.std()), ("median", l.q(0.5))];
            for (k, v) in stats {
                out.put(&format!("pkt_len{suffix}_{k}"), v);
            }
            out.put(&format!("payload_len{suffix}_mean"), payloads(s).mean());
            out.put(&format!("payload_len{suffix}_std"), payloads(s).std());
            out.put(&format!("packets_with_payload{suffix}"), full(s).len() as f64);
        }
        let l = lens(all);
        for q in [25, 75, 90] {
            out.put(&format!("pkt_len_p{q}"), l.q(f64::from(q) / 100.0));
        }
        out.put("pkt_len_variance", l.std().map(|s| s * s));
        out.put("payload_len_min", payloads(all).min());
        out.put("payload_len_max", payloads(all).max());
        for (d, s) in [("fwd", f), ("bwd", b)] {
            out.put(&format!("l7_pkt_min_{d}"), full(s).min());
            out.put(&format!("l7_pkt_max_{d}"), full(s).max());
        }
        for (d, s) in [("total", all), ("fwd", f), ("bwd", b)] {
            out.put(&format!("l7_bytes_{d}"), payloads(s).sum().unwrap_or(0.0));
        }
        out.put("header_only_ratio", 1.0 - full(all).len() as f64 / n(all));
        let times = |len: u32| all.iter().filter(|p| p.len == len).count();
        let most = all.iter().map(|p| times(p.len)).max().unwrap();
        let mode = all.iter().find(|p| times(p.len) == most).unwrap().len;
        out.put("dominant_pkt_size", f64::from(mode));
        out.put("dominant_pkt_ratio", most as f64 / n(all));
        out.put("pkt_asymmetry", (n(f) - n(b)) / n(all));
        let bytes = |p: &[P]| lens(p).sum().unwrap_or(0.0);
        out.put("byte_asymmetry", (bytes(f) - bytes(b)) / bytes(all));
    },
    // IP lengths: 40 40 40 140 540 40 40; forward 40 40 140 40, backward 40 540 40.
    golden: &[Golden {
        flow: || connection().into(),
        options: |_| {},
        row: "pkt_len_min 40
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
    }],
};
