//! Flags, packet by packet.

use super::{Golden, Oracle, P, connection};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |case, out| {
        let (all, f, b, tcp) = (&case.all[..], &case.fwd[..], &case.bwd[..], case.is_tcp());
        out.put("tcp_is_tcp", f64::from(u8::from(tcp)));
        if !tcp {
            return;
        }
        let n = all.len() as f64;
        let count = |c: &dyn Fn(&P) -> bool| all.iter().filter(|p| c(p)).count() as f64;
        let (syns, synacks) = (count(&|p| p.flags & 18 == 2), count(&|p| p.flags & 18 == 18));
        out.put("tcp_syn_count", syns);
        out.put("tcp_synack_count", synacks);
        out.put("tcp_syn_ratio", (syns + synacks) / n);
        for (k, bit) in [("fin", 1), ("rst", 4), ("psh", 8), ("ack", 16), ("urg", 32), ("ece", 64), ("cwr", 128)] {
            let c = count(&|p| p.flags & bit != 0);
            out.put(&format!("tcp_{k}_count"), c);
            if matches!(k, "fin" | "rst" | "psh") {
                out.put(&format!("tcp_{k}_ratio"), c / n);
            }
        }
        let bad = |p: &P| {
            let x = p.flags & 255;
            x == 0 || x & 41 == 41 || x & 19 == 1 || x & 3 == 3 || x & 6 == 6
        };
        let (data, anomaly) = (count(&|p| p.payload > 0), count(&bad) > 0.0);
        out.put("tcp_data_packets", data);
        out.put("tcp_ack_only_packets", count(&|p| p.flags & 16 != 0 && p.flags & 7 == 0 && p.payload == 0));
        let or = |s: &[P]| s.iter().fold(0, |o, p| o | p.flags);
        out.put("tcp_flags_agg", f64::from(or(all)));
        out.put("tcp_flags_fwd", f64::from(or(f)));
        out.put("tcp_flags_bwd", f64::from(or(b)));
        let syn = f.iter().any(|p| p.flags & 18 == 2);
        let synack = b.iter().any(|p| p.flags & 18 == 18);
        let third = f.iter().any(|p| p.flags & 22 == 16);
        let (ffin, bfin, reset) = (or(f) & 1 != 0, or(b) & 1 != 0, or(all) & 4 != 0);
        for (k, mark) in [
            ("flags_anomaly", anomaly),
            ("initiator_syn", syn),
            ("responder_synack", synack),
            ("complete_handshake", syn && synack && third),
            ("graceful_close", ffin && bfin),
            ("reset_close", reset),
        ] {
            out.put(&format!("tcp_{k}"), f64::from(u8::from(mark)));
        }
        let acks = count(&|p| p.flags & 16 != 0);
        let marks = [syn, synack, acks > synacks, ffin, bfin, reset, data > 0.0, anomaly];
        out.put("tcp_fstat", marks.iter().enumerate().map(|(i, &m)| f64::from(u32::from(m) << i)).sum::<f64>());
    },
    golden: &[Golden {
        flow: || connection().into(),
        options: |_| {},
        row: "tcp_is_tcp true
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
    }],
};
