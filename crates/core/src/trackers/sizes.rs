//! Extremes and squares of lengths, which the base of a flow does not keep: exact for any length, without a log.

use super::{Context, Tracker, TrackerSettings, Wants};
use crate::packet::{Packet, Side};

/// Lengths by [`Side`].
#[derive(Clone, Debug)]
pub struct Sizes {
    /// By [`Side`].
    pub side: [SideSizes; 2],
}

/// Lengths of the packets of one side, in bytes as on the wire. Sums and packet counts are in
/// [`crate::flow::FlowBase`].
#[derive(Clone, Copy, Debug)]
pub struct SideSizes {
    /// Smallest IP length; `u32::MAX` for no packets.
    pub min: u32,
    /// Largest IP length.
    pub max: u32,
    /// Smallest payload that is not empty, less one: an empty payload wraps to the largest number and never counts.
    payload_min_less_1: u32,
    /// Largest payload.
    pub payload_max: u32,
    /// Sum of squared IP lengths; stays at `u64::MAX` (some 4e9 of the largest packets) rather than overflow.
    pub sumsq: u64,
    /// Sum of squared payload lengths, likewise.
    pub payload_sumsq: u64,
    /// Packets with payload.
    pub with_payload: u64,
}

impl SideSizes {
    const EMPTY: Self = Self {
        min: u32::MAX,
        max: 0,
        payload_min_less_1: u32::MAX,
        payload_max: 0,
        sumsq: 0,
        payload_sumsq: 0,
        with_payload: 0,
    };

    /// Smallest payload that is not empty.
    pub fn payload_min(&self) -> Option<u32> {
        (self.with_payload > 0).then(|| self.payload_min_less_1.saturating_add(1))
    }

    /// Both sides together.
    pub fn join(&self, other: &Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            payload_min_less_1: self.payload_min_less_1.min(other.payload_min_less_1),
            payload_max: self.payload_max.max(other.payload_max),
            sumsq: self.sumsq.saturating_add(other.sumsq),
            payload_sumsq: self.payload_sumsq.saturating_add(other.payload_sumsq),
            with_payload: self.with_payload + other.with_payload,
        }
    }
}

impl Tracker for Sizes {
    const MAX_BYTES: usize = size_of::<Self>();

    fn start(_settings: &TrackerSettings) -> Self {
        Self { side: [SideSizes::EMPTY; 2] }
    }

    #[inline]
    fn update(&mut self, packet: &Packet<'_>, side: Side, _context: &mut Context) -> Wants {
        let Some(s) = self.side.get_mut(side as usize) else { return Wants::More };
        let (len, payload) = (packet.info.ip_len, packet.info.payload_len);
        s.min = s.min.min(len);
        s.max = s.max.max(len);
        s.payload_min_less_1 = s.payload_min_less_1.min(payload.wrapping_sub(1));
        s.payload_max = s.payload_max.max(payload);
        s.sumsq = s.sumsq.saturating_add(u64::from(len) * u64::from(len));
        s.payload_sumsq = s.payload_sumsq.saturating_add(u64::from(payload) * u64::from(payload));
        s.with_payload += u64::from(payload > 0);
        Wants::More
    }

    #[inline]
    fn touch(&self) -> u64 {
        self.side[0].sumsq ^ self.side[1].sumsq
    }
}
