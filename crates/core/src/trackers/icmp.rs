//! Messages of ICMP (RFC 792) and ICMPv6 (RFC 4443): types, and what echo messages say.

use super::{Concerns, Context, Distinct, Tracker, TrackerSettings, Wants};
use crate::packet::{Packet, Side, ip_proto};

/// The messages of a flow.
#[derive(Clone, Debug, Default)]
pub struct Icmp {
    /// Messages by type, in the order in which types were first seen: at most as many as there are types.
    types: Vec<(u8, u64)>,
    /// Different pairs of type and code.
    pub type_codes: Distinct,
    /// Different identifiers of echo messages.
    pub ids: Distinct,
    /// Smallest and largest sequence number of echo messages.
    pub seq: Option<(u16, u16)>,
    /// Echo requests that skip a sequence number.
    pub seq_gaps: u64,
    /// Identifier and sequence number of the last echo request, by [`Side`].
    last: [Option<(u16, u16)>; 2],
}

/// Echo request and echo reply.
const ECHO: [u8; 2] = [8, 0];
/// The same of ICMPv6.
const ECHO6: [u8; 2] = [128, 129];

impl Icmp {
    /// Messages.
    pub fn messages(&self) -> u64 {
        self.types.iter().map(|(_, n)| n).sum()
    }

    /// Messages of this type.
    pub fn of_type(&self, kind: u8) -> u64 {
        self.types.iter().find(|(k, _)| *k == kind).map_or(0, |(_, n)| *n)
    }

    /// The most frequent type, of several the one seen first, and how often it was seen.
    pub fn dominant(&self) -> Option<(u8, u64)> {
        // The last of several maxima is the first of the reversed order.
        self.types.iter().rev().max_by_key(|(_, n)| *n).copied()
    }

    fn count(&mut self, kind: u8, context: &mut Context) {
        match self.types.iter_mut().find(|(k, _)| *k == kind) {
            Some((_, n)) => *n += 1,
            None => {
                let before = self.types.capacity();
                self.types.push((kind, 1));
                let bytes = |n: usize| n * size_of::<(u8, u64)>();
                context.memory.changed(bytes(before), bytes(self.types.capacity()));
            }
        }
    }

    fn echo(&mut self, id: u16, seq: u16, is_request: bool, side: Side) {
        self.seq = self.seq.map_or(Some((seq, seq)), |(low, high)| Some((low.min(seq), high.max(seq))));
        if is_request {
            let before = self.last[side as usize].replace((id, seq));
            let skipped = before.is_some_and(|(i, s)| i == id && (2..0x8000).contains(&seq.wrapping_sub(s)));
            self.seq_gaps += u64::from(skipped);
        }
    }
}

impl Tracker for Icmp {
    const MAX_BYTES: usize = size_of::<Self>() + 256 * size_of::<(u8, u64)>() + 2 * Distinct::MAX_HEAP;
    const READS_BYTES: bool = true;
    const CONCERNS: Concerns = Concerns::protocols(&[ip_proto::ICMP, ip_proto::ICMPV6]);

    fn start(_settings: &TrackerSettings) -> Self {
        Self::default()
    }

    fn update(&mut self, packet: &Packet<'_>, side: Side, context: &mut Context) -> Wants {
        let Some((kind, code)) = packet.info.icmp() else { return Wants::More };
        self.count(kind, context);
        self.type_codes.insert(u64::from(kind) << 8 | u64::from(code), &mut context.memory);
        let echo = if packet.info.key.protocol == ip_proto::ICMP { ECHO } else { ECHO6 };
        if echo.contains(&kind)
            && let [_, _, _, _, i0, i1, rest @ ..] = packet.l4_header()
        {
            let id = u16::from_be_bytes([*i0, *i1]);
            self.ids.insert(id.into(), &mut context.memory);
            if let Some(seq) = rest.first_chunk() {
                self.echo(id, u16::from_be_bytes(*seq), kind == echo[0], side);
            }
        }
        Wants::More
    }

    fn heap_bytes(&self) -> usize {
        self.types.capacity() * size_of::<(u8, u64)>() + self.type_codes.heap_bytes() + self.ids.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinkType;
    use crate::testing::{batch, decode, ip4};

    fn feed(messages: &[[u8; 8]]) -> Icmp {
        let packets: Vec<_> = messages.iter().map(|m| ip4(1, m)).collect();
        let frames: Vec<_> = packets.iter().map(|p| (LinkType::RAW, p.as_slice())).collect();
        let mut frames = batch(&frames);
        let decoded = decode(&mut frames);
        let (mut icmp, mut context) = (Icmp::default(), Context::default());
        for info in &decoded.packets {
            icmp.update(&Packet { info, batch: &frames }, Side::A, &mut context);
        }
        assert_eq!(context.memory.heap_bytes(), icmp.heap_bytes());
        icmp
    }

    fn ping(id: u8, seq: u16) -> [u8; 8] {
        let [a, b] = seq.to_be_bytes();
        [8, 0, 0, 0, 0, id, a, b]
    }

    #[test]
    fn gaps_are_those_of_one_pinger() {
        let icmp =
            feed(&[ping(1, 65_534), ping(1, 65_535), ping(1, 1), ping(2, 9), ping(2, 8), ping(2, 8), ping(2, 10)]);
        assert_eq!((icmp.seq_gaps, icmp.seq, icmp.ids.count()), (2, Some((1, 65_535)), 2));
        assert_eq!((icmp.messages(), icmp.of_type(8), icmp.of_type(0)), (7, 7, 0));
    }

    #[test]
    fn of_types_that_are_as_frequent_the_first_is_dominant() {
        let icmp = feed(&[
            [3, 1, 0, 0, 0, 0, 0, 0],
            [11, 0, 0, 0, 0, 0, 0, 0],
            [11, 1, 0, 0, 0, 0, 0, 0],
            [3, 3, 0, 0, 0, 0, 0, 0],
        ]);
        assert_eq!((icmp.dominant(), icmp.type_codes.count(), icmp.seq), (Some((3, 2)), 4, None));
        assert_eq!(Icmp::default().dominant(), None);
    }
}
