//! How the first bytes of payload are distributed (Shannon 1948).

use std::ops::RangeInclusive;

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
    /// Bits per byte: forward, backward.
    entropy: [Option<f64>; 2],
    all: Counts,
}

impl Known {
    fn new(fwd: &[u8], bwd: &[u8]) -> Self {
        let mut all = Counts::new(fwd);
        let mut entropy = [all.entropy(), None];
        if !bwd.is_empty() {
            let bwd = Counts::new(bwd);
            entropy[1] = bwd.entropy();
            all.add(&bwd);
        }
        Self { entropy, all }
    }
}

struct Counts {
    of: [u32; 256],
    n: u32,
}

impl Counts {
    fn new(sample: &[u8]) -> Self {
        let mut counts = Self { of: [0; 256], n: sample.len() as u32 };
        for &byte in sample {
            if let Some(count) = counts.of.get_mut(usize::from(byte)) {
                *count += 1;
            }
        }
        counts
    }

    fn add(&mut self, other: &Self) {
        self.n += other.n;
        for (count, more) in self.of.iter_mut().zip(&other.of) {
            *count += more;
        }
    }

    /// Bits per byte.
    fn entropy(&self) -> Option<f64> {
        /// Counts up to here, which are nearly all in samples of the usual size, have their logarithm taken once.
        const SMALL: usize = 64;

        if self.n == 0 {
            return None;
        }
        let n = f64::from(self.n);
        let term = |count: u32| f64::from(count) * (n / f64::from(count)).log2();
        let mut terms = [None; SMALL];
        let mut sum = 0.0;
        for &count in self.of.iter().filter(|count| **count > 0) {
            sum += match terms.get_mut(count as usize) {
                Some(known) => *known.get_or_insert_with(|| term(count)),
                None => term(count),
            };
        }
        Some(sum / n)
    }

    /// The share of the bytes in these ranges.
    fn share(&self, ranges: &[RangeInclusive<u8>]) -> Option<f64> {
        let count = |range: &RangeInclusive<u8>| {
            let counts = self.of.get(usize::from(*range.start())..=usize::from(*range.end()));
            counts.unwrap_or_default().iter().sum::<u32>()
        };
        ratio(f64::from(ranges.iter().map(count).sum::<u32>()), f64::from(self.n))
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
        self.0.as_ref()?.entropy[0]
    }
    fn bwd(&self) -> Option<f64> {
        self.0.as_ref()?.entropy[1]
    }
}

/// Printable bytes of ASCII, tab, line feed and carriage return.
const PRINTABLE: [RangeInclusive<u8>; 4] = [0x20..=0x7e, b'\t'..=b'\t', b'\n'..=b'\n', b'\r'..=b'\r'];

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
        Box::new(Known::new(fwd, bwd))
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
        f64("printable_ratio", NoUnit, Extended, |v| v.all()?.share(&PRINTABLE), "Share of bytes 0x20 to 0x7e, tab, line feed and carriage return in both samples.",
            formula("count(bytes 0x20 to 0x7e, TAB, LF, CR) / payload_bytes_sampled").source("RFC 20").range(0, 1)),
        f64("null_ratio", NoUnit, Extended, |v| v.all()?.share(&[0..=0]), "Share of bytes 0x00 in both samples.",
            formula("count(bytes 0x00) / payload_bytes_sampled").source("own definition").range(0, 1)),
        f64("high_byte_ratio", NoUnit, Extended, |v| v.all()?.share(&[0x80..=0xff]), "Share of bytes 0x80 to 0xff in both samples.",
            formula("count(bytes >= 0x80) / payload_bytes_sampled").source("own definition").range(0, 1)),
        i64("payload_bytes_sampled", Bytes, Extended, |v| Some(v.all()?.n.into()), "Bytes in both samples.",
            formula("length of both samples").null("neither TCP nor UDP").source("own definition")),
    ],
};
