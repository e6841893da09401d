//! The rules one by one, over the whole list of packets before each.

use super::{Golden, Oracle, P, eventful};

const FIN: u16 = 1;
const SYN: u16 = 2;
const RST: u16 = 4;
const ACK: u16 = 16;

/// What one side has shown so far.
#[derive(Clone, Copy, Default)]
struct Seen {
    base: Option<u32>,
    sent: bool,
    next: Option<u32>,
    moved: i64,
    ack: Option<u32>,
    time: i64,
    window: Option<u16>,
    duplicates: u32,
    keep_alive: bool,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    bytes: f64,
    retrans: f64,
    gaps: f64,
    ooo: f64,
    acks: f64,
    dup: f64,
}

fn less(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) >= 1 << 31
}

fn analyse(packets: &[P]) -> [Counts; 2] {
    let mut seen = [Seen::default(); 2];
    let mut counts = [Counts::default(); 2];
    // Packets of the connection without RST, for the handshake.
    let mut connection: Vec<P> = Vec::new();
    for p in packets {
        let (i, j) = (usize::from(!p.a), usize::from(p.a));
        let has = |bits: u16| p.flags & bits != 0;
        counts[i].acks += f64::from(u8::from(has(ACK)));
        if has(RST) {
            continue;
        }
        if has(SYN) && !has(ACK) && seen[i].base.is_some_and(|b| b != p.seq) {
            seen = [Seen::default(); 2];
            connection.clear();
        }
        if !seen[i].sent {
            seen[i].sent = true;
            seen[i].base = Some(p.seq.wrapping_sub(u32::from(!has(SYN))));
        }
        if has(ACK) && seen[j].base.is_none() {
            seen[j].base = Some(p.ack.wrapping_sub(1));
        }
        let (x, y) = (seen[i], seen[j]);
        let end = p.seq.wrapping_add(p.payload);
        let e = end.wrapping_add(u32::from(has(SYN | FIN)));
        counts[i].gaps += f64::from(u8::from(x.next.is_some_and(|n| less(n, p.seq))));
        let one_back = x.next.is_some_and(|n| p.seq == n.wrapping_sub(1));
        let keep_alive = p.payload <= 1 && !has(SYN | FIN) && one_back;
        let repeats = x.window == Some(p.window) && x.next == Some(p.seq) && x.ack == Some(p.ack);
        if has(ACK) && p.payload == 0 && !has(SYN | FIN) && p.window != 0 && repeats && !y.keep_alive {
            counts[i].dup += 1.0;
            seen[i].duplicates += 1;
        }
        if has(ACK) && x.ack != Some(p.ack) {
            seen[i].duplicates = 0;
        }
        // The handshake: the last SYN before the first SYN-ACK of the other side, then that sender's first ACK.
        let synack = connection.iter().enumerate().find_map(|(at, s)| {
            let syn = connection[..at].iter().rfind(|c| c.flags & (SYN | ACK) == SYN);
            (s.flags & (SYN | ACK) == SYN | ACK && syn.is_some_and(|c| c.a != s.a)).then_some((at, syn))
        });
        let round_trip = synack.and_then(|(at, syn)| {
            let syn = syn?;
            let third = connection[at..].iter().find(|c| c.a == syn.a && c.flags & (SYN | ACK) == ACK)?;
            Some(third.ts - syn.ts)
        });
        let late = round_trip.filter(|r| *r > 0).unwrap_or(3_000_000);
        let back = x.next.is_some_and(|n| less(p.seq, n)) && !(p.payload > 1 && one_back);
        let takes = (p.payload > 0 || has(SYN | FIN)) && !keep_alive;
        let spurious = p.payload > 0 && y.ack.is_some_and(|a| !less(a, end));
        let since = p.ts - y.time;
        let fast = back && y.duplicates >= 2 && y.ack == Some(p.seq) && (0..20_000_000).contains(&since);
        let ooo = back && (0..late).contains(&(p.ts - x.moved)) && x.next != Some(e);
        let mut ooo_marked = false;
        if takes && (spurious || fast || back) {
            if !spurious && !fast && ooo {
                counts[i].ooo += 1.0;
                ooo_marked = true;
            } else {
                counts[i].retrans += 1.0;
            }
        }
        let first = p.seq.wrapping_add(u32::from(has(SYN)));
        counts[i].bytes += match x.next {
            Some(n) if less(first, n) && !ooo_marked => {
                let last = first.wrapping_add(p.payload);
                if less(n, last) { f64::from(last.wrapping_sub(n)) } else { 0.0 }
            }
            _ => f64::from(p.payload),
        };
        if x.next.is_none_or(|n| less(n, e)) {
            (seen[i].next, seen[i].moved) = (Some(e), p.ts);
        }
        if has(ACK) {
            seen[i].ack = Some(p.ack);
        }
        (seen[i].time, seen[i].window, seen[i].keep_alive) = (p.ts, Some(p.window), keep_alive);
        connection.push(*p);
    }
    counts
}

pub(super) static ORACLE: Oracle = Oracle {
    naive: |case, out| {
        if !case.is_tcp() {
            return;
        }
        let [a, b] = analyse(case.packets);
        let sides = if case.a_opened { [("fwd", a, true), ("bwd", b, false)] } else { [("fwd", b, false), ("bwd", a, true)] };
        for (d, c, is_a) in sides {
            let syn = case.packets.iter().find(|p| p.a == is_a && p.flags & SYN != 0);
            out.put(&format!("tcp_isn_{d}"), syn.map(|p| f64::from(p.seq)));
            out.put(&format!("tcp_seq_{d}_bytes_sent"), c.bytes);
            out.put(&format!("tcp_seq_{d}_retrans"), c.retrans);
            out.put(&format!("tcp_seq_{d}_gaps"), c.gaps);
            out.put(&format!("tcp_seq_{d}_ooo"), c.ooo);
            out.put(&format!("tcp_ack_{d}_count"), c.acks);
            out.put(&format!("tcp_ack_{d}_dup"), c.dup);
        }
        out.put("tcp_total_retrans", a.retrans + b.retrans);
        out.put("tcp_total_ooo", a.ooo + b.ooo);
        out.put("tcp_total_dup_acks", a.dup + b.dup);
        out.put("tcp_retrans_ratio", (a.retrans + b.retrans) / case.packets.len() as f64);
    },
    // Packet 4 leaves a gap that packet 5 fills a millisecond later, within the two of the handshake. Packet 7 was
    // acknowledged already.
    golden: &[Golden {
        flow: eventful,
        options: |_| {},
        row: "tcp_isn_fwd 99
            tcp_isn_bwd 499
            tcp_seq_fwd_bytes_sent 10
            tcp_seq_fwd_retrans 1
            tcp_seq_fwd_gaps 0
            tcp_seq_fwd_ooo 0
            tcp_seq_bwd_bytes_sent 14
            tcp_seq_bwd_retrans 0
            tcp_seq_bwd_gaps 1
            tcp_seq_bwd_ooo 1
            tcp_ack_fwd_count 5
            tcp_ack_fwd_dup 0
            tcp_ack_bwd_count 4
            tcp_ack_bwd_dup 0
            tcp_total_retrans 1
            tcp_total_ooo 1
            tcp_total_dup_acks 0
            tcp_retrans_ratio 0.1",
    }],
};
