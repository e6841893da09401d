//! What the SYNs say of the stacks that sent them, and how long their clocks have run.

use md5::{Digest, Md5};

use super::Profile::Experimental;
use super::Unit::{Bytes, Hours, None as NoUnit};
use super::sides::SidesView;
use super::values::{hex, initial_ttl, put};
use super::{Group, f64, formula, i64, str};
use crate::columns::Text;
use crate::digits::{Ascii, Piece};
use crate::trackers::{Clock, Syn, TcpOptions, TrackerMask};

/// SYNs and clocks with the directions told apart; none for other protocols, or where no header was captured.
type View<'a> = SidesView<'a, TcpOptions>;

/// Orders of options that stacks are known by, with their initial TTL.
const STACKS: [(u8, &[u8], &str); 8] = [
    (64, &[2, 4, 8, 1, 3], "linux"),
    (64, &[2, 1, 1, 4, 1, 3], "linux"),
    (64, &[2, 1, 3, 1, 1, 8, 4, 0], "macos"),
    (64, &[2, 1, 3, 4, 8], "freebsd"),
    (64, &[2, 1, 1, 4, 1, 3, 1, 1, 8], "openbsd"),
    (128, &[2, 1, 3, 1, 1, 4], "windows"),
    (128, &[2, 1, 3, 4, 8], "windows"),
    (128, &[2, 1, 1, 4], "windows"),
];

/// Frequencies that clocks of timestamps run at.
const CLOCKS_HZ: [f64; 4] = [10.0, 100.0, 250.0, 1000.0];

impl View<'_> {
    /// The initiator's first SYN without ACK (0), the responder's first SYN-ACK (1).
    fn syn(&self, back: usize) -> Option<&Syn> {
        self.side(back)?.syns.get(back)?.as_ref()
    }
    fn fingerprint(&self, back: usize, out: &mut Text) -> Option<()> {
        let syn = self.syn(back)?;
        let common = |out: &mut Piece| {
            for value in [syn.mss, syn.scale.map(u16::from)] {
                if let Some(value) = value {
                    out.number(value);
                }
                out.byte(b'_');
            }
        };
        let mut hashed = Piece::new();
        hashed.number(syn.window);
        hashed.byte(b'_');
        hashed.number(initial_ttl(syn.ttl));
        hashed.byte(b'_');
        common(&mut hashed);
        for (i, kind) in syn.kinds().iter().enumerate() {
            if i > 0 {
                hashed.byte(b'-');
            }
            hashed.number(*kind);
        }
        let mut shown = Piece::new();
        shown.byte(b't');
        shown.number(syn.window);
        shown.byte(b'_');
        common(&mut shown);
        out.push_ascii(shown.bytes());
        hex(Md5::digest(hashed.bytes()).get(..6)?, out)
    }
    fn stack(&self, back: usize) -> Option<&'static str> {
        let syn = self.syn(back)?;
        let known = |&&(ttl, kinds, _): &&(u8, &[u8], &str)| ttl == initial_ttl(syn.ttl) && kinds == syn.kinds();
        STACKS.iter().find(known).map(|(_, _, name)| *name)
    }
    fn uptime(&self, back: usize) -> Option<f64> {
        uptime(&self.side(back)?.timestamps.clock)
    }
}

/// Hours that a clock has run when it was first seen, if it keeps one of the known rates for ten samples and seconds.
fn uptime(clock: &Clock) -> Option<f64> {
    let (value, ts) = clock.first;
    let elapsed = clock.last.1.saturating_sub(ts);
    if clock.samples < 10 || elapsed < 10_000_000_000 {
        return None;
    }
    let rate = f64::from(clock.last.0.wrapping_sub(value)) / (elapsed as f64 / 1e9);
    let hz = CLOCKS_HZ.into_iter().find(|hz| (rate / hz - 1.0).abs() <= 0.05)?;
    Some(f64::from(value) / hz / 3600.0)
}

// When there is no value.
const NO_OPTION: &str = "not TCP, or no such SYN was captured, or it has no such option";

/// Fingerprints of TCP stacks.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View<'static>> = Group {
    id: "tcp_fingerprint",
    doc: "Fingerprints of TCP stacks by their SYNs, and apparent uptimes.",
    source: "RFC 9293 section 3.1",
    null: "not TCP, or no such SYN was captured",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::TCP_OPTIONS,
    needs: &[],
    view: |flow, _, _| View::of(flow, flow.tcp_options()),
    features: &[
        str("tcp_fp_fwd", Experimental, |v, out| v.fingerprint(0, out), "t, window, MSS, window scale and 12 digits of an MD5 of these with initial TTL and kinds of options, of the initiator's first SYN without ACK.",
            formula("\"tW_M_S_\" and 12 digits of MD5(\"W_TTL_M_S_kinds\"), W window, M MSS, S scale of the SYN of fwd").source("own definition, after p0f (Zalewski)").text("text such as t64240_1460_7_ and 12 hexadecimal digits")),
        str("tcp_fp_bwd", Experimental, |v, out| v.fingerprint(1, out), "The same of the responder's first SYN-ACK.",
            formula("\"tW_M_S_\" and 12 digits of MD5(\"W_TTL_M_S_kinds\"), W window, M MSS, S scale of the SYN of bwd").source("own definition, after p0f (Zalewski)").text("text such as t64240_1460_7_ and 12 hexadecimal digits")),
        str("tcp_os_hint_fwd", Experimental, |v, out| put(out, v.stack(0)?), "System with the initial TTL and the order of options of the initiator's first SYN: linux, macos, freebsd, openbsd, windows.",
            formula("stack with initial TTL and order of options of the SYN of fwd").null("not TCP, or no such SYN, or its options are no known stack's").source("well-known orders of options, after p0f (Zalewski)").one_of(&["linux", "macos", "freebsd", "openbsd", "windows"])),
        str("tcp_os_hint_bwd", Experimental, |v, out| put(out, v.stack(1)?), "The same of the responder's first SYN-ACK.",
            formula("stack with initial TTL and order of options of the SYN of bwd").null("not TCP, or no such SYN, or its options are no known stack's").source("well-known orders of options, after p0f (Zalewski)").one_of(&["linux", "macos", "freebsd", "openbsd", "windows"])),
        f64("tcp_uptime_fwd", Hours, Experimental, &|v: &View<'_>| v.uptime(0), "Apparent uptime of the initiator by its timestamps, where they run at 10, 100, 250 or 1000 Hz; wrong where a random offset is added (Linux since 4.10).",
            formula("first TSval of fwd / Hz / 3600, Hz one of 10, 100, 250, 1000 within 5 % of the rate seen").null("not TCP, or fewer than 10 samples, or less than 10 s, or no known rate").source("RFC 7323 section 5.4")),
        f64("tcp_uptime_bwd", Hours, Experimental, &|v: &View<'_>| v.uptime(1), "Apparent uptime of the responder, likewise.",
            formula("first TSval of bwd / Hz / 3600, Hz one of 10, 100, 250, 1000 within 5 % of the rate seen").null("not TCP, or fewer than 10 samples, or less than 10 s, or no known rate").source("RFC 7323 section 5.4")),
        i64("tcp_fp_fwd_window", Bytes, Experimental, &|v: &View<'_>| Some(v.syn(0)?.window.into()), "Window of the initiator's first SYN without ACK.",
            formula("window of the SYN of fwd").range(0, 65535)),
        i64("tcp_fp_fwd_ttl", NoUnit, Experimental, &|v: &View<'_>| Some(v.syn(0)?.ttl.into()), "TTL or hop limit of the initiator's first SYN without ACK.",
            formula("TTL of the SYN of fwd").source("RFC 791, RFC 8200 section 3").range(0, 255)),
        i64("tcp_fp_fwd_mss", Bytes, Experimental, &|v: &View<'_>| v.syn(0)?.mss.map(i64::from), "MSS of the initiator's first SYN without ACK.",
            formula("MSS option of the SYN of fwd").null(NO_OPTION).source("RFC 9293 section 3.7.1").range(0, 65535)),
        i64("tcp_fp_fwd_ws", NoUnit, Experimental, &|v: &View<'_>| v.syn(0)?.scale.map(i64::from), "Window scale of the initiator's first SYN without ACK.",
            formula("window scale option of the SYN of fwd").null(NO_OPTION).source("RFC 7323 section 2.2").range(0, 255)),
        i64("tcp_fp_bwd_window", Bytes, Experimental, &|v: &View<'_>| Some(v.syn(1)?.window.into()), "Window of the responder's first SYN-ACK.",
            formula("window of the SYN of bwd").range(0, 65535)),
        i64("tcp_fp_bwd_ttl", NoUnit, Experimental, &|v: &View<'_>| Some(v.syn(1)?.ttl.into()), "TTL or hop limit of the responder's first SYN-ACK.",
            formula("TTL of the SYN of bwd").source("RFC 791, RFC 8200 section 3").range(0, 255)),
        i64("tcp_fp_bwd_mss", Bytes, Experimental, &|v: &View<'_>| v.syn(1)?.mss.map(i64::from), "MSS of the responder's first SYN-ACK.",
            formula("MSS option of the SYN of bwd").null(NO_OPTION).source("RFC 9293 section 3.7.1").range(0, 65535)),
        i64("tcp_fp_bwd_ws", NoUnit, Experimental, &|v: &View<'_>| v.syn(1)?.scale.map(i64::from), "Window scale of the responder's first SYN-ACK.",
            formula("window scale option of the SYN of bwd").null(NO_OPTION).source("RFC 7323 section 2.2").range(0, 255)),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uptime_needs_a_clock_that_keeps_its_rate() {
        let clock =
            |samples, ticks: u32| Clock { samples, first: (360_000, 5), last: (360_000 + ticks, 10_000_000_005) };
        assert_eq!(uptime(&clock(10, 1000)), Some(1.0));
        assert_eq!(uptime(&clock(10, 1049)), Some(1.0));
        assert_eq!(uptime(&clock(10, 1060)), None);
        assert_eq!(uptime(&clock(9, 1000)), None);
    }
}
