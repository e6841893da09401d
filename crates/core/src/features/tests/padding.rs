//! Sorted lengths, and bursts written down as lists.

use super::{Golden, Oracle, P, Stat, connection};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |case, out| {
        let all = &case.all[..];
        let n = all.len() as f64;
        let lens = Stat::of(all.iter().map(|p| f64::from(p.len)));
        let (std, mean) = (lens.std().unwrap(), lens.mean().unwrap());
        out.put("pkt_size_variance", std * std);
        out.put("pkt_size_cv", std / mean);
        let times = |len: u32| all.iter().filter(|p| p.len == len).count();
        let most = all.iter().map(|p| times(p.len)).max().unwrap();
        let mode = all.iter().find(|p| times(p.len) == most).unwrap().len;
        let dominant = most as f64 / n;
        out.put_if(all.len() > 1, "is_constant_size", f64::from(u8::from(dominant >= 0.95)));
        out.put("dominant_size_mode", f64::from(mode));
        out.put("dominant_size_ratio", dominant);
        let mut distinct: Vec<u32> = all.iter().map(|p| p.len).collect();
        distinct.sort_unstable();
        distinct.dedup();
        out.put("unique_size_count", distinct.len() as f64);
        let share = |len: u32| times(len) as f64 / n;
        let entropy = distinct.iter().map(|l| -share(*l) * share(*l).log2()).sum::<f64>();
        let even = (distinct.len() as f64).log2();
        out.put("size_entropy", if distinct.len() == 1 { 0.0 } else { entropy / even });
        let gaps = Stat::of(all.windows(2).map(|w| (w[1].ts - w[0].ts) as f64 / 1e9));
        out.put("iat_variance", gaps.std().map(|s| s * s));
        let variation = gaps.std().filter(|_| gaps.mean() > Some(0.0)).map(|s| s / gaps.mean().unwrap());
        out.put("iat_cv", variation);
        let steady = variation.filter(|_| all.len() > 2).map(|v| v <= 0.1);
        out.put("is_constant_rate", steady.map(|s| f64::from(u8::from(s))));
        let cells = all.iter().filter(|p| (580..=600).contains(&p.len)).count() as f64;
        out.put("tor_cell_count", cells);
        out.put("tor_cell_ratio", cells / n);
        let tor = cells / n >= 0.7 && std / mean < 0.1;
        out.put("is_tor_like", f64::from(u8::from(tor)));
        let sum = |of: fn(&P) -> u32| all.iter().map(|p| f64::from(of(p))).sum::<f64>();
        let (bytes, payload) = (sum(|p| p.len), sum(|p| p.payload));
        out.put("burst_overhead_bytes", bytes - payload);
        out.put("burst_padding_ratio", (bytes - payload) / bytes);
        let mut bursts: Vec<Vec<P>> = vec![vec![all[0]]];
        for w in all.windows(2) {
            if (w[1].ts - w[0].ts) as f64 >= case.threshold {
                bursts.push(Vec::new());
            }
            bursts.last_mut().unwrap().push(w[1]);
        }
        let full = |b: &Vec<P>| {
            let of = |f: fn(&P) -> u32| b.iter().map(|p| f64::from(f(p))).sum::<f64>();
            of(|p| p.payload) / of(|p| p.len)
        };
        out.put("avg_burst_payload_efficiency", bursts.iter().map(full).sum::<f64>() / bursts.len() as f64);
        let parts = [(dominant >= 0.95, 0.3), (dominant > 0.8, 0.2), (steady == Some(true), 0.2), (tor, 0.3)];
        let score = parts.iter().map(|(holds, weight)| if *holds { *weight } else { 0.0 }).sum::<f64>();
        out.put_if(all.len() > 1, "padding_score", score);
    },
    // IP lengths 40 40 40 140, 200 ms later 540 40 40: bursts with payload 100 of 260 and 500 of 620.
    golden: &[Golden {
        flow: || connection().into(),
        options: |_| {},
        row: "pkt_size_variance 29795.918367346938
            pkt_size_cv 1.3730734060902923
            is_constant_size false
            dominant_size_mode 40
            dominant_size_ratio 0.7142857142857143
            unique_size_count 3
            size_entropy 0.72483409150576
            iat_variance 0.005133333333333333
            iat_cv 1.7911821050170562
            is_constant_rate false
            tor_cell_count 0
            tor_cell_ratio 0
            is_tor_like false
            burst_padding_ratio 0.3181818181818182
            burst_overhead_bytes 280
            avg_burst_payload_efficiency 0.5955334987593052
            padding_score 0",
    }],
};
