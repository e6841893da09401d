//! Window fields; random flows have no options, so that nothing is scaled.

use super::{Golden, Oracle, P, Stat, eventful};

const FIN: u16 = 1;
const SYN: u16 = 2;
const RST: u16 = 4;

pub(super) static ORACLE: Oracle = Oracle {
    naive: |case, out| {
        if !case.is_tcp() {
            return;
        }
        let mut zeros = 0.0;
        let any_syn = case.packets.iter().any(|p| p.flags & SYN != 0);
        for (d, is_a) in [("fwd", case.a_opened), ("bwd", !case.a_opened)] {
            let of = |with: u16, without: u16| {
                let fits = move |p: &&P| p.a == is_a && (with == 0 || p.flags & with != 0) && p.flags & without == 0;
                case.packets.iter().filter(fits)
            };
            out.put(&format!("tcp_init_win_{d}"), of(SYN, 0).next().map(|p| f64::from(p.window)));
            let w = Stat::of(of(0, RST).map(|p| f64::from(p.window)));
            out.put(&format!("tcp_win_{d}_min"), w.min());
            out.put(&format!("tcp_win_{d}_max"), w.max());
            out.put(&format!("tcp_win_{d}_mean"), w.mean());
            // Without any SYN, it is not known whether windows are scaled.
            out.put(&format!("tcp_scaled_win_{d}_max"), w.max().filter(|_| any_syn));
            let zero = of(0, RST | SYN | FIN).filter(|p| p.window == 0).count() as f64;
            zeros += zero;
            out.put(&format!("tcp_win_{d}_zero_count"), zero);
            let row: Vec<u16> = of(0, RST | SYN).map(|p| p.window).collect();
            let up = row.windows(2).filter(|w| w[0] < w[1]).count() as f64;
            let down = row.windows(2).filter(|w| w[0] > w[1]).count() as f64;
            out.put(&format!("tcp_win_{d}_up_count"), up);
            out.put(&format!("tcp_win_{d}_down_count"), down);
            out.put(&format!("tcp_win_{d}_change_count"), up + down);
        }
        out.put("tcp_zero_win_ratio", zeros / case.packets.len() as f64);
    },
    // Forward 64240, 502, 502, 0, 502, 502; backward 65160 and four times 509; shifts 7 and 9.
    golden: &[Golden {
        flow: eventful,
        options: |_| {},
        row: "tcp_init_win_fwd 64240
            tcp_init_win_bwd 65160
            tcp_win_scale_fwd 7
            tcp_win_scale_bwd 9
            tcp_win_fwd_min 0
            tcp_win_fwd_max 64240
            tcp_win_fwd_mean 11041.333333333334
            tcp_win_fwd_zero_count 1
            tcp_win_bwd_min 509
            tcp_win_bwd_max 65160
            tcp_win_bwd_mean 16671.75
            tcp_win_bwd_zero_count 0
            tcp_win_fwd_up_count 1
            tcp_win_fwd_down_count 1
            tcp_win_fwd_change_count 2
            tcp_win_bwd_up_count 0
            tcp_win_bwd_down_count 0
            tcp_win_bwd_change_count 0
            tcp_scaled_win_fwd_max 64256
            tcp_scaled_win_bwd_max 260608
            tcp_zero_win_ratio 0.1",
    }],
};
