//! Options of TCP (RFC 9293 section 3.2). What only a SYN may say is ignored elsewhere (RFC 7323 section 2.2).

use super::Profile::Extended;
use super::Unit::{Bitmap, Bytes, Count, None as NoUnit};
use super::sides::SidesView;
use super::values::int;
use super::{Group, formula, i64};
use crate::trackers::{TcpOptions, TrackerMask};

/// Options with the directions told apart; none for other protocols, or where no header was captured.
type View<'a> = SidesView<'a, TcpOptions>;

impl View<'_> {
    fn sack_permitted(&self, back: usize) -> Option<i64> {
        let side = self.side(back)?;
        side.first_syn.map(|_| side.sack_permitted.into())
    }
    fn has_timestamps(&self, back: usize) -> Option<i64> {
        let side = self.side(back).filter(|s| s.segments > 0)?;
        Some(side.timestamps.values.is_some().into())
    }
    /// First and last TSval.
    fn timestamps(&self, back: usize) -> Option<(u32, u32)> {
        self.side(back)?.timestamps.values
    }
    fn elapsed(&self, back: usize) -> Option<i64> {
        let (first, last) = self.timestamps(back)?;
        Some(last.wrapping_sub(first).into())
    }
}

// When there is no value.
const NO_OPTION: &str = "not TCP, or no SYN of that side with the option";
const NO_SYN: &str = "not TCP, or no SYN of that side";
const NO_STAMP: &str = "not TCP, or no segment of that side with the option";
const NO_ECHO: &str = "not TCP, or no segment of that side with ACK and the option";

/// Options.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View<'static>> = Group {
    id: "tcp_options",
    doc: "Options of TCP: MSS, window scale, SACK, timestamps.",
    source: "RFC 9293 section 3.2",
    null: "not TCP, or no TCP header was captured",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::TCP_OPTIONS,
    needs: &[],
    view: |flow, _, _| View::of(flow, flow.tcp_options()),
    features: &[
        i64("tcp_mss_fwd", Bytes, Extended, &|v: &View<'_>| v.side(0)?.mss.map(i64::from), "First MSS in a segment with SYN of the initiator.",
            formula("first MSS option in a SYN of fwd").null(NO_OPTION).source("RFC 9293 section 3.7.1").range(0, 65535)),
        i64("tcp_mss_bwd", Bytes, Extended, &|v: &View<'_>| v.side(1)?.mss.map(i64::from), "First MSS in a segment with SYN of the responder.",
            formula("first MSS option in a SYN of bwd").null(NO_OPTION).source("RFC 9293 section 3.7.1").range(0, 65535)),
        i64("tcp_ws_fwd", NoUnit, Extended, &|v: &View<'_>| v.side(0)?.scale.map(i64::from), "The same as tcp_win_scale_fwd.",
            formula("first window scale option in a SYN of fwd").null(NO_OPTION).source("RFC 7323 section 2.2").range(0, 255)),
        i64("tcp_ws_bwd", NoUnit, Extended, &|v: &View<'_>| v.side(1)?.scale.map(i64::from), "The same as tcp_win_scale_bwd.",
            formula("first window scale option in a SYN of bwd").null(NO_OPTION).source("RFC 7323 section 2.2").range(0, 255)),
        i64("tcp_sack_permitted_fwd", NoUnit, Extended, &|v: &View<'_>| v.sack_permitted(0), "1 if a segment with SYN of the initiator has SACK-permitted, else 0.",
            formula("SACK-permitted option in a SYN of fwd ? 1 : 0").null(NO_SYN).source("RFC 2018 section 2").range(0, 1)),
        i64("tcp_sack_permitted_bwd", NoUnit, Extended, &|v: &View<'_>| v.sack_permitted(1), "1 if a segment with SYN of the responder has SACK-permitted, else 0.",
            formula("SACK-permitted option in a SYN of bwd ? 1 : 0").null(NO_SYN).source("RFC 2018 section 2").range(0, 1)),
        i64("tcp_sack_blocks_total", Count, Extended, &|v: &View<'_>| Some(int(v.known?.sack_blocks)), "Blocks of all SACK options, both directions, D-SACK included.",
            formula("sum(blocks of SACK options)").source("RFC 2018 section 3, RFC 2883")),
        i64("tcp_ts_fwd_present", NoUnit, Extended, &|v: &View<'_>| v.has_timestamps(0), "1 if a forward segment has timestamps, else 0.",
            formula("timestamps option in fwd ? 1 : 0").null("not TCP, or no segment of that side").source("RFC 7323 section 3.2").range(0, 1)),
        i64("tcp_ts_fwd_first", NoUnit, Extended, &|v: &View<'_>| Some(v.timestamps(0)?.0.into()), "TSval of the first forward segment with timestamps.",
            formula("first TSval of fwd").null(NO_STAMP).source("RFC 7323 section 3.2").range(0, 4_294_967_295)),
        i64("tcp_ts_fwd_last", NoUnit, Extended, &|v: &View<'_>| Some(v.timestamps(0)?.1.into()), "TSval of the last forward segment with timestamps.",
            formula("last TSval of fwd").null(NO_STAMP).source("RFC 7323 section 3.2").range(0, 4_294_967_295)),
        i64("tcp_ts_fwd_diff", NoUnit, Extended, &|v: &View<'_>| v.elapsed(0), "(tcp_ts_fwd_last - tcp_ts_fwd_first) modulo 2^32.",
            formula("(tcp_ts_fwd_last - tcp_ts_fwd_first) modulo 2^32").null(NO_STAMP).source("RFC 7323 section 3.2").range(0, 4_294_967_295)),
        i64("tcp_ts_ecr_fwd_first", NoUnit, Extended, &|v: &View<'_>| v.side(0)?.timestamps.echo_first.map(i64::from), "TSecr of the first forward segment with ACK and timestamps.",
            formula("first TSecr of fwd with ACK").null(NO_ECHO).source("RFC 7323 section 3.2").range(0, 4_294_967_295)),
        i64("tcp_ts_bwd_present", NoUnit, Extended, &|v: &View<'_>| v.has_timestamps(1), "1 if a backward segment has timestamps, else 0.",
            formula("timestamps option in bwd ? 1 : 0").null("not TCP, or no segment of that side").source("RFC 7323 section 3.2").range(0, 1)),
        i64("tcp_ts_bwd_first", NoUnit, Extended, &|v: &View<'_>| Some(v.timestamps(1)?.0.into()), "TSval of the first backward segment with timestamps.",
            formula("first TSval of bwd").null(NO_STAMP).source("RFC 7323 section 3.2").range(0, 4_294_967_295)),
        i64("tcp_ts_bwd_last", NoUnit, Extended, &|v: &View<'_>| Some(v.timestamps(1)?.1.into()), "TSval of the last backward segment with timestamps.",
            formula("last TSval of bwd").null(NO_STAMP).source("RFC 7323 section 3.2").range(0, 4_294_967_295)),
        i64("tcp_ts_bwd_diff", NoUnit, Extended, &|v: &View<'_>| v.elapsed(1), "(tcp_ts_bwd_last - tcp_ts_bwd_first) modulo 2^32.",
            formula("(tcp_ts_bwd_last - tcp_ts_bwd_first) modulo 2^32").null(NO_STAMP).source("RFC 7323 section 3.2").range(0, 4_294_967_295)),
        i64("tcp_ts_ecr_bwd_first", NoUnit, Extended, &|v: &View<'_>| v.side(1)?.timestamps.echo_first.map(i64::from), "TSecr of the first backward segment with ACK and timestamps.",
            formula("first TSecr of bwd with ACK").null(NO_ECHO).source("RFC 7323 section 3.2").range(0, 4_294_967_295)),
        i64("tcp_options_bitmap", Bitmap, Extended, &|v: &View<'_>| Some(v.known?.seen.into()), "Seen in any segment: 1 MSS, 2 window scale, 4 SACK-permitted, 8 timestamps.",
            formula("bits(MSS, window scale, SACK-permitted, timestamps)").range(0, 15)),
        i64("tcp_options_pkt_count", Count, Extended, &|v: &View<'_>| Some(int(v.known?.with_options)), "Segments with an option other than End of Option List and No-Operation.",
            formula("count(segments with an option other than kind 0 and 1)")),
    ],
};
