//! Gaps of the sorted times.

use super::{Golden, Oracle, P, Stat, connection};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |case, out| {
        let (all, f, b) = (&case.all[..], &case.fwd[..], &case.bwd[..]);
        let gaps = |p: &[P]| Stat::of(p.windows(2).map(|w| (w[1].ts - w[0].ts) as f64 / 1e9));
        for (suffix, s) in [("", all), ("_fwd", f), ("_bwd", b)] {
            let g = gaps(s);
            let stats = [("min", g.min()), ("max", g.max()), ("mean", g.mean()), ("std", g.std()), ("median", g.q(0.5))];
            for (k, v) in stats {
                out.put(&format!("iat{suffix}_{k}"), v);
            }
            let moving = g.mean().filter(|m| *m > 0.0);
            out.put(&format!("burstiness_index{suffix}"), moving.map(|m| g.std().unwrap() / m));
        }
        let g = gaps(all);
        out.put("iat_sum", g.sum());
        for q in [25, 75, 90, 99] {
            out.put(&format!("iat_p{q}"), g.q(f64::from(q) / 100.0));
        }
        let mut bursts: Vec<Vec<P>> = vec![vec![all[0]]];
        for w in all.windows(2) {
            if ((w[1].ts - w[0].ts) as f64) < case.threshold {
                bursts.last_mut().unwrap().push(w[1]);
            } else {
                bursts.push(vec![w[1]]);
            }
        }
        let times = all.windows(2).map(|w| (w[1].ts - w[0].ts) as f64);
        let idle = Stat::of(times.filter(|g| *g >= case.threshold).map(|g| g / 1e9));
        let count = bursts.len() as f64;
        let packets = |b: &Vec<P>| b.len() as f64;
        out.put("burst_count", count);
        out.put("avg_burst_packets", bursts.iter().map(packets).sum::<f64>() / count);
        let time = |b: &Vec<P>| (b[b.len() - 1].ts - b[0].ts) as f64 / 1e9;
        out.put("avg_burst_duration", bursts.iter().map(time).sum::<f64>() / count);
        out.put("max_burst_packets", bursts.iter().map(packets).reduce(f64::max));
        out.put("idle_count", idle.len() as f64);
        out.put("avg_idle_duration", idle.mean());
        out.put("max_idle_duration", idle.max());
        out.put("first_response_time", b.first().map(|p| (p.ts - all[0].ts) as f64 / 1e9));
        out.put("iat_approximate", f64::from(u8::from(case.sketched)));
    },
    golden: &[Golden {
        flow: || connection().into(),
        options: |_| {},
        row: "iat_min 0
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
    }],
};
