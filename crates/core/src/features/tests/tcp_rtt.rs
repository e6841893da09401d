//! The handshake and samples by acknowledgement; random flows have no timestamps.

use super::{Golden, Oracle, P, Stat, eventful};

const FIN: u16 = 1;
const SYN: u16 = 2;
const RST: u16 = 4;
const ACK: u16 = 16;

fn less(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) >= 1 << 31
}

fn handshake(packets: &[P]) -> Option<i64> {
    let kind = |p: &P| p.flags & (SYN | ACK | RST);
    let first = packets.iter().position(|p| kind(p) == SYN)?;
    let syn = &packets[first];
    let answers = |p: &P| p.a != syn.a && kind(p) == SYN | ACK && p.ack.wrapping_sub(syn.seq.wrapping_add(1)) <= syn.payload;
    let second = first + packets[first..].iter().position(answers)?;
    let least = packets[second].seq.wrapping_add(1);
    let ends = |p: &P| p.a == syn.a && kind(p) == ACK && !less(p.ack, least);
    let third = second + packets[second..].iter().position(ends)?;
    let again = packets[first + 1..third].iter().any(|p| p.a == syn.a && kind(p) == SYN)
        || packets[second + 1..third].iter().any(|p| p.a != syn.a && kind(p) == SYN | ACK);
    let duration = packets[third].ts - syn.ts;
    (!again && duration >= 0).then_some(duration)
}

/// Samples by acknowledgement, in seconds.
fn samples(packets: &[P]) -> Vec<f64> {
    let (mut base, mut sent) = ([None; 2], [false; 2]);
    let mut next: [Option<u32>; 2] = [None; 2];
    let mut timed: [Option<(u32, i64)>; 2] = [None; 2];
    let mut out = Vec::new();
    for p in packets.iter().filter(|p| p.flags & RST == 0) {
        let (i, j) = (usize::from(!p.a), usize::from(p.a));
        let has = |bits: u16| p.flags & bits != 0;
        if has(SYN) && !has(ACK) && base[i].is_some_and(|b| b != p.seq) {
            (base, sent, next, timed) = ([None; 2], [false; 2], [None; 2], [None; 2]);
        }
        if !sent[i] {
            (sent[i], base[i]) = (true, Some(p.seq.wrapping_sub(u32::from(!has(SYN)))));
        }
        if has(ACK) && base[j].is_none() {
            base[j] = Some(p.ack.wrapping_sub(1));
        }
        if let Some((end, ts)) = timed[j].filter(|(end, _)| has(ACK) && !less(p.ack, *end)) {
            timed[j] = None;
            let _ = end;
            out.extend(Some(p.ts - ts).filter(|d| (0..60_000_000_000).contains(d)).map(|d| d as f64 / 1e9));
        }
        let end = p.seq.wrapping_add(p.payload);
        if p.payload > 0 {
            if next[i].is_some_and(|n| less(p.seq, n)) {
                timed[i] = None;
            } else {
                timed[i] = timed[i].or(Some((end, p.ts)));
            }
        }
        let e = end.wrapping_add(u32::from(has(SYN | FIN)));
        if next[i].is_none_or(|n| less(n, e)) {
            next[i] = Some(e);
        }
    }
    out
}

pub(super) static ORACLE: Oracle = Oracle {
    naive: |case, out| {
        if !case.is_tcp() {
            return;
        }
        out.put("tcp_rtt_handshake", handshake(case.packets).map(|ns| ns as f64 / 1e9));
        out.put("tcp_rtt_samples", 0.0);
        let acks = Stat::of(samples(case.packets).into_iter());
        out.put("tcp_rtt_ack_min", acks.min());
        out.put("tcp_rtt_ack_max", acks.max());
        out.put("tcp_rtt_ack_mean", acks.mean());
    },
    // By timestamps: the SYN (0 to 1), the SYN-ACK (1 to 2), packet 3 (to 4), packet 4 (to 6), packet 7 (to 8), packet 8
    // (to 9). By acknowledgement: packet 3 (to 4); packet 4 is not, as packet 5 goes back behind it.
    golden: &[Golden {
        flow: eventful,
        options: |_| {},
        row: "tcp_rtt_handshake 0.002
            tcp_rtt_min 0.001
            tcp_rtt_max 0.002
            tcp_rtt_mean 0.0011666666666666668
            tcp_rtt_samples 6
            tcp_rtt_std 0.00037267799624996495
            tcp_rtt_jitter_avg 0.0005
            tcp_rtt_ack_min 0.001
            tcp_rtt_ack_max 0.001
            tcp_rtt_ack_mean 0.001",
    }],
};
