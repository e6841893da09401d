//! How the first bytes of payload are distributed (Shannon 1948).

use super::Profile::Extended;
use super::Unit::{Bits, Bytes, None as NoUnit};
use super::values::ratio;
use super::{FlowView, Group, f64, formula, i64};
use crate::trackers::TrackerMask;

/// How often each byte occurs in the samples; none for protocols other than TCP and UDP.
pub struct View(Option<Box<Known>>);

impl FlowView for View {
    type Of<'a> = Self;
}

struct Known {
    fwd: Counts,
    bwd: Counts,
    all: Counts,
}

struct Counts {
    of: [u32; 256],
    n: u32,
}

impl Counts {
    fn new(parts: &[&[u8]]) -> Self {
        let mut counts = Self { of: [0; 256], n: 0 };
        for &byte in parts.iter().copied().flatten() {
            if let Some(count) = counts.of.get_mut(usize::from(byte)) {
                *count += 1;
            }
            counts.n += 1;
        }
        counts
    }

    /// Bits per byte.
    fn entropy(&self) -> Option<f64> {
        if self.n == 0 {
            return None;
        }
        let n = f64::from(self.n);
        let term = |&count: &u32| if count == 0 { 0.0 } else { f64::from(count) * (n / f64::from(count)).log2() };
        Some(self.of.iter().map(term).sum::<f64>() / n)
    }

    fn share(&self, which: impl Fn(u8) -> bool) -> Option<f64> {
        let count: u32 = (0u8..=255).zip(&self.of).filter(|(byte, _)| which(*byte)).map(|(_, count)| count).sum();
        ratio(f64::from(count), f64::from(self.n))
    }

    fn uniformity(&self) -> Option<f64> {
        let n = f64::from(self.n);
        let square = |&count: &u32| (f64::from(count) - n / 256.0).powi(2);
        (self.n >= 256).then(|| 1.0 - self.of.iter().map(square).sum::<f64>() / (n * n))
    }
}

impl View {
    fn all(&self) -> Option<&Counts> {
        Some(&self.0.as_ref()?.all)
    }
    fn fwd(&self) -> Option<f64> {
        self.0.as_ref()?.fwd.entropy()
    }
    fn bwd(&self) -> Option<f64> {
        self.0.as_ref()?.bwd.entropy()
    }
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e | b'\t' | b'\n' | b'\r')
}

/// Entropy of the payload.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View> = Group {
    id: "entropy",
    doc: "Distribution of the first `entropy_sample_bytes` bytes of TCP or UDP payload of each direction, in the order of packets.",
    source: "Shannon: A mathematical theory of communication (1948)",
    null: "neither TCP nor UDP, or no payload was captured",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::ENTROPY,
    needs: &[],
    view: |flow, _, _| View(flow.entropy.map(|e| {
        let initiator = flow.base.initiator();
        let (fwd, bwd) = (e.sample(initiator), e.sample(initiator.other()));
        Box::new(Known { fwd: Counts::new(&[fwd]), bwd: Counts::new(&[bwd]), all: Counts::new(&[fwd, bwd]) })
    })),
    features: &[
        f64("entropy_payload", Bits, Extended, |v| v.all()?.entropy(), "Shannon entropy per byte of both samples together.",
            formula("-sum(p log2 p), p = share of each byte value in both samples").range(0, 8)),
        f64("entropy_initiator", Bits, Extended, |v| v.fwd(), "Shannon entropy per byte of the forward sample.",
            formula("-sum(p log2 p), p = share of each byte value in the sample of fwd").null("neither TCP nor UDP, or no forward payload was captured").range(0, 8)),
        f64("entropy_responder", Bits, Extended, |v| v.bwd(), "Shannon entropy per byte of the backward sample.",
            formula("-sum(p log2 p), p = share of each byte value in the sample of bwd").null("neither TCP nor UDP, or no backward payload was captured").range(0, 8)),
        f64("entropy_ratio", NoUnit, Extended, |v| ratio(v.fwd()?, v.bwd()?), "entropy_initiator over entropy_responder; null where that is 0.",
            formula("entropy_initiator / entropy_responder").null("one of them is null, or entropy_responder is 0").source("own definition").from(0)),
        f64("byte_distribution_uniformity", NoUnit, Extended, |v| v.all()?.uniformity(), "1 - sum of (c - n/256)^2 / n^2 over the 256 values of a byte, which occurs c times in n bytes of both samples; null below 256 bytes.",
            formula("1 - sum((c - n/256)^2) / n^2, c = how often each byte value occurs in the n bytes of both samples").null("neither TCP nor UDP, or fewer than 256 bytes").source("own definition, after the chi-squared test").range(0, 1)),
        f64("printable_ratio", NoUnit, Extended, |v| v.all()?.share(is_printable), "Share of bytes 0x20 to 0x7e, tab, line feed and carriage return in both samples.",
            formula("count(bytes 0x20 to 0x7e, TAB, LF, CR) / payload_bytes_sampled").source("RFC 20").range(0, 1)),
        f64("null_ratio", NoUnit, Extended, |v| v.all()?.share(|b| b == 0), "Share of bytes 0x00 in both samples.",
            formula("count(bytes 0x00) / payload_bytes_sampled").source("own definition").range(0, 1)),
        f64("high_byte_ratio", NoUnit, Extended, |v| v.all()?.share(|b| b >= 0x80), "Share of bytes 0x80 to 0xff in both samples.",
            formula("count(bytes >= 0x80) / payload_bytes_sampled").source("own definition").range(0, 1)),
        i64("payload_bytes_sampled", Bytes, Extended, |v| Some(v.all()?.n.into()), "Bytes in both samples.",
            formula("length of both samples").null("neither TCP nor UDP").source("own definition")),
    ],
};
