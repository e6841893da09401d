//! How the first bytes of payload are distributed (Shannon 1948).

use std::ops::RangeInclusive;

use super::Profile::Extended;
use super::Unit::{Bits, Bytes, None as NoUnit};
use super::values::ratio;
use super::{FlowView, Group, Split, f64, formula, i64, split};
use crate::columns::Direction;
use crate::trackers::{MAX_SAMPLE_BYTES, TrackerMask};

/// What the bytes of the samples are; none for protocols other than TCP and UDP.
pub struct View(Option<Known>);

impl FlowView for View {
    type Of<'a> = Self;
}

#[derive(Default)]
struct Known {
    /// Bytes in both samples.
    n: u32,
    /// Bits per byte: forward, backward, both together.
    entropy: [Option<f64>; 3],
    uniformity: Option<f64>,
    printable: u32,
    zero: u32,
    high: u32,
}

impl Known {
    /// All that is said of the samples. Values that do not occur add nothing, so a sum is made of those that do, in their order:
    /// sums of doubles are chains in which each step waits for the one before.
    fn new(fwd: &[u8], bwd: &[u8], logs: &mut Logs) -> Self {
        let [n_fwd, n_bwd] = [fwd.len() as u32, bwd.len() as u32];
        let n = n_fwd + n_bwd;
        if n == 0 {
            return Self::default();
        }
        let counted = Counted::new(fwd, bwd);
        let [of_fwd, of_bwd, of_all] = logs.of([n_fwd, n_bwd, n]);
        let (mut f, mut b, mut all) = (0.0, 0.0, 0.0);
        let mut squares = 0;
        for (first, mut left) in [0, 64, 128, 192].into_iter().zip(counted.present()) {
            while left != 0 {
                let [in_fwd, in_bwd] = counted.of(first + left.trailing_zeros() as u8);
                left &= left - 1;
                let both = in_fwd + in_bwd;
                // Neither is more than both: one look for all three.
                if both < SMALL {
                    f += of_fwd.small(in_fwd);
                    b += of_bwd.small(in_bwd);
                    all += of_all.small(both);
                } else {
                    f += of_fwd.term(in_fwd);
                    b += of_bwd.term(in_bwd);
                    all += of_all.term(both);
                }
                squares += u64::from(both) * u64::from(both);
            }
        }
        // Of ASCII, with tab, line feed and carriage return.
        let printable = counted.sum(0x20..=0x7e) + counted.sum(0x09..=0x0a) + counted.sum(0x0d..=0x0d);
        let high = counted.sum(0x80..=0xff);
        let mean_of = |sum: f64, n: u32| (n > 0).then(|| sum / f64::from(n));
        let square = f64::from(n) * f64::from(n);
        // The sum of (c - n/256)^2 over 256 counts with the sum n, which is exact: it has 16 binary places, and less than 2^50.
        let off = (256 * squares - u64::from(n) * u64::from(n)) as f64 / 256.0;
        Self {
            n,
            entropy: [mean_of(f, n_fwd), mean_of(b, n_bwd), mean_of(all, n)],
            uniformity: (n >= 256).then(|| 1.0 - off / square),
            printable,
            zero: counted.sum(0..=0),
            high,
        }
    }

    fn share(&self, count: u32) -> Option<f64> {
        ratio(f64::from(count), f64::from(self.n))
    }
}

/// How often each value occurs in the two samples: forward in the lower half of a word, backward in the upper one.
struct Counted([u32; 256]);

const _: () = assert!(MAX_SAMPLE_BYTES <= u16::MAX as usize, "half a word must hold a count, and the sum of all");

impl Counted {
    fn new(fwd: &[u8], bwd: &[u8]) -> Self {
        let samples = [(fwd, 1), (bwd, 1 << 16)];
        if fwd.len() + bwd.len() <= KEPT {
            // Samples of the usual size are counted in less time than two tables are added up.
            let mut counts = [0; 256];
            for (sample, one) in samples {
                sample.iter().for_each(|byte| counts[usize::from(*byte)] += one);
            }
            return Self(counts);
        }
        // Two tables in turn: equal bytes in a row would wait for each other.
        let mut halves = [[0; 256]; 2];
        let [even, odd] = &mut halves;
        for (sample, one) in samples {
            let (pairs, rest) = sample.as_chunks();
            for &[a, b] in pairs {
                even[usize::from(a)] += one;
                odd[usize::from(b)] += one;
            }
            for &byte in rest {
                even[usize::from(byte)] += one;
            }
        }
        even.iter_mut().zip(odd).for_each(|(even, odd)| *even += *odd);
        Self(*even)
    }

    /// How often a value occurs, forward and backward.
    #[inline]
    fn of(&self, byte: u8) -> [u32; 2] {
        let both = self.0[usize::from(byte)];
        [both & 0xffff, both >> 16]
    }

    /// How often these values occur in both.
    fn sum(&self, bytes: RangeInclusive<u8>) -> u32 {
        let both: u32 = self.0[usize::from(*bytes.start())..=usize::from(*bytes.end())].iter().sum();
        (both & 0xffff) + (both >> 16)
    }

    /// Which values occur, lowest bit first.
    fn present(&self) -> [u64; 4] {
        let mut present = [0; 4];
        for (word, counts) in present.iter_mut().zip(self.0.as_chunks().0) {
            *word = bits(counts);
        }
        present
    }
}

/// Which counts are not 0, lowest bit first.
fn bits(counts: &[u32; 64]) -> u64 {
    // Eight bytes of 0 or 1 are gathered in the highest byte of a product: the byte i, at bit 8 i, meets the factor's bit 56 - 7 i, and no
    // two pairs meet in one place.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let there = counts.map(|count| u8::from(count > 0));
    let gathered = |eight: &[u8; 8]| u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56;
    there.as_chunks().0.iter().rev().fold(0, |word, eight| word << 8 | gathered(eight))
}

/// Counts up to here, which are nearly all in samples of the usual size, have their logarithms taken once.
const SMALL: u32 = 64;

/// Bytes of both samples up to which logarithms are kept from flow to flow: two samples of the usual 256 bytes. With the bound
/// on counts, that is 256 KiB.
const KEPT: usize = 512;

/// The terms of the entropy for samples of each length, as they were needed.
#[derive(Debug, Default)]
pub struct Logs {
    kept: Vec<Option<Box<Terms>>>,
    /// Those of samples that are longer.
    longer: [Terms; 3],
}

/// The terms for a sample of `n` bytes, by count; 0 for none.
#[derive(Debug)]
struct Terms {
    n: f64,
    small: [f64; SMALL as usize],
}

impl Default for Terms {
    fn default() -> Self {
        Self { n: 0.0, small: [0.0; SMALL as usize] }
    }
}

impl Logs {
    fn of(&mut self, lengths: [u32; 3]) -> [&Terms; 3] {
        for (length, longer) in lengths.into_iter().zip(&mut self.longer) {
            let at = length as usize;
            if at > KEPT {
                *longer = Terms::new(length);
                continue;
            }
            if self.kept.len() <= at {
                self.kept.resize_with(at + 1, || None);
            }
            if let Some(place) = self.kept.get_mut(at) {
                place.get_or_insert_with(|| Box::new(Terms::new(length)));
            }
        }
        let [a, b, c] = &self.longer;
        let terms = |length: u32, longer| self.kept.get(length as usize).and_then(Option::as_deref).unwrap_or(longer);
        let [n_a, n_b, n_c] = lengths;
        [terms(n_a, a), terms(n_b, b), terms(n_c, c)]
    }
}

impl Terms {
    fn new(n: u32) -> Self {
        let n = f64::from(n);
        let mut small = [0.0; SMALL as usize];
        for (count, term) in small.iter_mut().enumerate().skip(1) {
            *term = term_of(n, count as f64);
        }
        Self { n, small }
    }

    fn term(&self, count: u32) -> f64 {
        if count < SMALL { self.small(count) } else { term_of(self.n, f64::from(count)) }
    }

    /// The term of a count below [`SMALL`].
    #[inline]
    fn small(&self, count: u32) -> f64 {
        self.small[(count % SMALL) as usize]
    }
}

fn term_of(n: f64, count: f64) -> f64 {
    count * (n / count).log2()
}

impl View {
    fn known(&self) -> Option<&Known> {
        self.0.as_ref()
    }
    fn entropy(&self, of: usize) -> Option<f64> {
        *self.known()?.entropy.get(of)?
    }
    fn fwd(&self) -> Option<f64> {
        self.entropy(0)
    }
    fn bwd(&self) -> Option<f64> {
        self.entropy(1)
    }
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
    view: |flow, scratch, _| View(flow.entropy().map(|e| {
        let initiator = flow.base.initiator();
        let (fwd, bwd) = (e.sample(initiator), e.sample(initiator.other()));
        Known::new(fwd, bwd, scratch.logs())
    })),
    features: &[
        split(Split::As(["entropy_initiator", "entropy_responder"]), f64("entropy_payload", Bits, Extended, &|v: &View| v.entropy(2), "Shannon entropy per byte of both samples together.",
            formula("-sum(p log2 p), p = share of each byte value in both samples").range(0, 8))),
        split(Split::Only(Direction::Fwd), f64("entropy_initiator", Bits, Extended, &|v: &View| v.fwd(), "Shannon entropy per byte of the forward sample.",
            formula("-sum(p log2 p), p = share of each byte value in the sample of fwd").null("neither TCP nor UDP, or no forward payload was captured").range(0, 8))),
        split(Split::Only(Direction::Bwd), f64("entropy_responder", Bits, Extended, &|v: &View| v.bwd(), "Shannon entropy per byte of the backward sample.",
            formula("-sum(p log2 p), p = share of each byte value in the sample of bwd").null("neither TCP nor UDP, or no backward payload was captured").range(0, 8))),
        f64("entropy_ratio", NoUnit, Extended, &|v: &View| ratio(v.fwd()?, v.bwd()?), "entropy_initiator over entropy_responder; null where that is 0.",
            formula("entropy_initiator / entropy_responder").null("one of them is null, or entropy_responder is 0").source("own definition").from(0)),
        f64("byte_distribution_uniformity", NoUnit, Extended, &|v: &View| v.known()?.uniformity, "1 - sum of (c - n/256)^2 / n^2 over the 256 values of a byte, which occurs c times in n bytes of both samples; null below 256 bytes.",
            formula("1 - sum((c - n/256)^2) / n^2, c = how often each byte value occurs in the n bytes of both samples").null("neither TCP nor UDP, or fewer than 256 bytes").source("own definition, after the chi-squared test").range(0, 1)),
        f64("printable_ratio", NoUnit, Extended, &|v: &View| v.known()?.share(v.known()?.printable), "Share of bytes 0x20 to 0x7e, tab, line feed and carriage return in both samples.",
            formula("count(bytes 0x20 to 0x7e, TAB, LF, CR) / payload_bytes_sampled").source("RFC 20").range(0, 1)),
        f64("null_ratio", NoUnit, Extended, &|v: &View| v.known()?.share(v.known()?.zero), "Share of bytes 0x00 in both samples.",
            formula("count(bytes 0x00) / payload_bytes_sampled").source("own definition").range(0, 1)),
        f64("high_byte_ratio", NoUnit, Extended, &|v: &View| v.known()?.share(v.known()?.high), "Share of bytes 0x80 to 0xff in both samples.",
            formula("count(bytes >= 0x80) / payload_bytes_sampled").source("own definition").range(0, 1)),
        i64("payload_bytes_sampled", Bytes, Extended, &|v: &View| Some(v.known()?.n.into()), "Bytes in both samples.",
            formula("length of both samples").null("neither TCP nor UDP").source("own definition")),
    ],
};
