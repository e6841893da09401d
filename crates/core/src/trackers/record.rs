//! One packet in 16 bytes: all that order statistics and sequences need of it.

use crate::frame::TimeNs;
use crate::packet::{PacketInfo, Side};

/// A packet's time, side, lengths, TCP flags and window.
///
/// IP lengths above 262,143 and payload lengths above 131,071 bytes (jumbograms, RFC 2675) are held as these; sums,
/// smallest and largest lengths come from [`super::Sizes`] and are exact for any length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Time of capture.
    pub ts: TimeNs,
    bits: u64,
}

const IP_LEN: u32 = (1 << 18) - 1;
const PAYLOAD: u32 = (1 << 17) - 1;
const FLAGS: u64 = (1 << 9) - 1;
const PAYLOAD_AT: u32 = 18;
const FLAGS_AT: u32 = 35;
const WINDOW_AT: u32 = 44;
const SIDE_AT: u32 = 60;

impl Record {
    /// The record of a packet.
    #[inline]
    pub fn new(p: &PacketInfo, side: Side) -> Self {
        let bits = u64::from(p.ip_len.min(IP_LEN))
            | u64::from(p.payload_len.min(PAYLOAD)) << PAYLOAD_AT
            | (u64::from(p.tcp_flags) & FLAGS) << FLAGS_AT
            | u64::from(p.window) << WINDOW_AT
            | (side as u64) << SIDE_AT;
        Self { ts: p.ts, bits }
    }

    /// Length of the IP datagram in bytes.
    pub fn ip_len(self) -> u32 {
        self.bits as u32 & IP_LEN
    }

    /// Length of the upper-layer payload in bytes.
    pub fn payload_len(self) -> u32 {
        (self.bits >> PAYLOAD_AT) as u32 & PAYLOAD
    }

    /// TCP flags (nine bits), 0 for other protocols.
    pub fn tcp_flags(self) -> u16 {
        (self.bits >> FLAGS_AT & FLAGS) as u16
    }

    /// TCP window, unscaled.
    pub fn window(self) -> u16 {
        (self.bits >> WINDOW_AT) as u16
    }

    /// Index of the sender in arrays by [`Side`].
    pub fn side(self) -> usize {
        (self.bits >> SIDE_AT & 1) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::packet;

    #[test]
    fn every_field_comes_back() {
        for side in [Side::A, Side::B] {
            let mut p = packet(i64::MIN, 262_143, 131_071);
            (p.tcp_flags, p.window) = (0x155, 0xfffe);
            let r = Record::new(&p, side);
            assert_eq!((r.ts, r.ip_len(), r.payload_len()), (i64::MIN, 262_143, 131_071));
            assert_eq!((r.tcp_flags(), r.window(), r.side()), (0x155, 0xfffe, side as usize));
        }
    }

    #[test]
    fn jumbograms_are_clamped_and_spill_into_no_other_field() {
        let r = Record::new(&packet(7, u32::MAX, u32::MAX), Side::A);
        assert_eq!((r.ip_len(), r.payload_len(), r.tcp_flags(), r.window(), r.side()), (262_143, 131_071, 0, 0, 0));
        assert_eq!(size_of::<Record>(), 16);
    }
}
