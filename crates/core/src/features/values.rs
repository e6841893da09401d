//! How values are written that several groups have.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::columns::Text;
use crate::digits::{Ascii, Digits, push_hex, push_ipv4};
use crate::flow::FlowRef;
use crate::frame::TimeNs;
use crate::packet::ip_proto;
use crate::packet::tcp_flags::FIN;
use crate::trackers::{App, Earlier, TcpTotals};

/// Appends an address.
pub fn address(addr: IpAddr, out: &mut Text) -> Option<()> {
    match addr {
        IpAddr::V4(v4) => {
            push_ipv4(v4.octets(), out);
            Some(())
        }
        IpAddr::V6(v6) => write!(out, "{v6}").ok(),
    }
}

/// What earlier rows of the same connection showed of its application protocol.
pub fn earlier(flow: &FlowRef<'_>) -> Earlier {
    flow.app().map(App::earlier).unwrap_or_default()
}

/// Whether a protocol was detected: in this row, or in an earlier one of the connection.
pub fn detected(flow: &FlowRef<'_>, here: bool, before: fn(&Earlier) -> bool) -> bool {
    here || before(&earlier(flow))
}

/// Appends a name.
pub fn put(out: &mut Text, name: &str) -> Option<()> {
    out.push_str(name);
    Some(())
}

/// Appends text from the wire: UTF-8 in which every invalid sequence is replaced by U+FFFD.
pub fn wire_text(bytes: &[u8], out: &mut Text) -> Option<()> {
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Some(())
}

/// Appends bytes in hexadecimal digits.
pub fn hex(bytes: &[u8], out: &mut Text) -> Option<()> {
    push_hex(bytes, out);
    Some(())
}

/// A count as a signed number.
pub fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A quotient; none where there is nothing to divide by.
pub fn ratio(a: f64, b: f64) -> Option<f64> {
    (b > 0.0).then_some(a / b)
}

/// Nanoseconds as seconds.
pub fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// A point in time as seconds since the Unix epoch: the double nearest to the time stamp.
///
/// Up to 2^53 the quotient of two exact doubles is rounded once. Beyond, whole seconds and the rest are added: the sum is
/// at least 2^23, so its midpoints between doubles are odd multiples of 2^-30 or more, and no other multiple of a
/// nanosecond lies within 2^-51 of one, while the quotient of the rest is off by 2^-54 at most.
pub fn time(ns: TimeNs) -> f64 {
    const SECOND: i64 = 1_000_000_000;
    if ns.unsigned_abs() <= 1 << 53 {
        return ns as f64 / 1e9;
    }
    ns.div_euclid(SECOND) as f64 + ns.rem_euclid(SECOND) as f64 / 1e9
}

/// A bit mask, lowest bit first.
pub fn bits(set: &[bool]) -> i64 {
    set.iter().rev().fold(0, |n, &b| n << 1 | i64::from(b))
}

/// What a TTL or hop limit began with: stacks begin with one of three numbers, and no path is 64 hops long.
pub fn initial_ttl(seen: u8) -> u8 {
    match seen {
        0..=64 => 64,
        65..=128 => 128,
        129.. => 255,
    }
}

/// Appends a number below 65536.
pub fn number(n: u16, out: &mut Text) {
    out.push_ascii(Digits::decimal(n).bytes());
}

/// TCP flags of a flow with the directions told apart.
#[derive(Clone, Copy)]
pub struct TcpFlow {
    /// Counts and marks by side.
    pub n: TcpTotals,
    packets: u64,
    fwd: usize,
}

impl TcpFlow {
    /// What is known of a flow; none for other protocols, and where no header with flags was captured.
    pub fn of(flow: &FlowRef<'_>) -> Option<Self> {
        let flags = flow.tcp_flags().filter(|_| flow.base.key.protocol == ip_proto::TCP)?;
        let n = (!flags.is_empty()).then(|| flags.totals())?;
        Some(Self { n, packets: flow.base.total_packets(), fwd: flow.base.fwd() })
    }
    fn by(&self, sides: [bool; 2], back: usize) -> bool {
        sides[self.fwd ^ back]
    }
    /// SYN without ACK from the initiator.
    pub fn initiator_syn(&self) -> bool {
        self.by(self.n.sent_syn, 0)
    }
    /// SYN-ACK from the responder.
    pub fn responder_synack(&self) -> bool {
        self.by(self.n.sent_synack, 1)
    }
    /// SYN, SYN-ACK, and an ACK from the initiator that is no reset.
    pub fn handshake(&self) -> bool {
        self.initiator_syn() && self.responder_synack() && self.by(self.n.sent_ack, 0)
    }
    /// FIN forward (0) or backward (1).
    pub fn fin(&self, back: usize) -> bool {
        self.by(self.n.seen.map(|s| s & FIN != 0), back)
    }
    /// FIN from both sides.
    pub fn both_fin(&self) -> bool {
        self.fin(0) && self.fin(1)
    }
    /// RST from any side.
    pub fn rst(&self) -> bool {
        self.n.rst > 0
    }
    /// All flags forward (0) or backward (1).
    pub fn seen(&self, back: usize) -> i64 {
        i64::from(self.n.seen[self.fwd ^ back])
    }
    /// Share of the flow's packets.
    pub fn share(&self, n: u32) -> Option<f64> {
        (self.packets > 0).then(|| f64::from(n) / self.packets as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_read_as_std_writes_them() {
        for addr in ["0.0.0.0", "10.0.209.7", "255.255.255.255", "2001:db8::1", "::ffff:1.2.3.4"] {
            let mut s = Text::default();
            assert_eq!(address(addr.parse().unwrap(), &mut s), Some(()));
            assert_eq!(s.as_str(), addr);
        }
    }

    #[test]
    fn bytes_as_text() {
        let mut s = Text::default();
        wire_text(b"a\xff\xc3\xa9", &mut s);
        hex(&[0x09, 0xaf], &mut s);
        assert_eq!(s.as_str(), "a\u{fffd}é09af");
    }

    #[test]
    fn a_time_stamp_of_microseconds_reads_as_it_was_written() {
        assert_eq!(time(1_500_646_826_631_323_000).to_string(), "1500646826.631323");
        assert_eq!((time(0), time(-1_500_000_000)), (0.0, -1.5));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn times_are_the_doubles_nearest_to_them(any in any::<i64>(), shift in 0..63u32, now in 1_400_000_000_000_000_000..1_900_000_000_000_000_000_i64) {
            for ns in [any >> shift, now, now / 1000 * 1000, -now] {
                let text = format!("{}{}e-9", if ns < 0 { "-" } else { "" }, ns.unsigned_abs());
                prop_assert_eq!(time(ns), text.parse::<f64>().unwrap(), "{}", ns);
            }
        }
    }

    #[test]
    fn numbers_read_as_std_writes_them() {
        for n in [0, 7, 10, 99, 100, 5840, 65_535] {
            let mut s = Text::default();
            number(n, &mut s);
            assert_eq!(s.as_str(), n.to_string());
        }
    }

    #[test]
    fn bits_begin_with_the_lowest() {
        assert_eq!((bits(&[]), bits(&[true, false, true])), (0, 5));
    }
}
