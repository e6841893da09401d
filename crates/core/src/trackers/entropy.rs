//! The first bytes of payload of each side, as they came: what their distribution says is made of them for the row.

use super::{Concerns, Context, Tracker, TrackerSettings, Wants};
use crate::packet::{Packet, Side, ip_proto};

/// Bytes of a side that may be asked for at most.
pub const MAX_SAMPLE_BYTES: usize = 65_535;

/// A sample of the payload of each side of a TCP or UDP flow, in the order of packets: no reassembly, and what was
/// sent again counts again.
#[derive(Clone, Debug, Default)]
pub struct Entropy {
    samples: [Vec<u8>; 2],
}

impl Entropy {
    /// The sample of a side.
    pub fn sample(&self, side: Side) -> &[u8] {
        let [a, b] = &self.samples;
        if side == Side::A { a } else { b }
    }
}

impl Tracker for Entropy {
    const MAX_BYTES: usize = size_of::<Self>() + 2 * MAX_SAMPLE_BYTES;
    const READS_BYTES: bool = true;
    const CONCERNS: Concerns = Concerns::protocols(&[ip_proto::TCP, ip_proto::UDP]);

    fn start(_settings: &TrackerSettings) -> Self {
        Self::default()
    }

    fn update(&mut self, packet: &Packet<'_>, side: Side, context: &mut Context) -> Wants {
        let most = context.settings.sample_bytes.min(MAX_SAMPLE_BYTES);
        let [a, b] = &mut self.samples;
        let sample = if side == Side::A { a } else { b };
        let payload = packet.payload();
        let more = payload.get(..most.saturating_sub(sample.len())).unwrap_or(payload);
        if !more.is_empty() {
            let before = sample.capacity();
            let len = sample.len() + more.len();
            if len > before {
                // Doubled, but never beyond what can be of use.
                sample.reserve_exact(len.max((2 * before).min(most)) - sample.len());
            }
            sample.extend_from_slice(more);
            context.memory.changed(before, sample.capacity());
        }
        if self.samples.iter().all(|s| s.len() >= most) { Wants::NoMore } else { Wants::More }
    }

    fn heap_bytes(&self) -> usize {
        self.samples.iter().map(Vec::capacity).sum()
    }

    #[inline]
    fn touch(&self) -> u64 {
        self.samples.iter().fold(0, |sum, s| sum ^ s.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{batch, decode, ip4, udp};

    #[test]
    fn a_sample_is_full_at_its_size_and_then_nothing_is_wanted() {
        let packet = ip4(17, &udp(1, 2, b"abcdef"));
        let mut frames = batch(&[(crate::LinkType::RAW, &packet)]);
        let decoded = decode(&mut frames);
        let packet = Packet { info: &decoded.packets[0], batch: &frames };
        let settings = TrackerSettings { sample_bytes: 10, ..TrackerSettings::default() };
        let (mut e, mut context) = (Entropy::start(&settings), Context::new(settings));
        for (side, wants) in
            [(Side::A, Wants::More), (Side::A, Wants::More), (Side::B, Wants::More), (Side::B, Wants::NoMore)]
        {
            assert_eq!(e.update(&packet, side, &mut context), wants);
        }
        assert_eq!((e.sample(Side::A), e.sample(Side::B)), (&b"abcdefabcd"[..], &b"abcdefabcd"[..]));
        assert_eq!((e.heap_bytes(), context.memory.heap_bytes()), (20, 20));
    }
}
