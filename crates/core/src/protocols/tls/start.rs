//! Where TLS begins in one direction of a connection.

use super::proxy;
use super::record::{Header, Hello, RECORD_HEADER, content, looks_like_hello};
use crate::protocols::{Probe, Shown};

/// How far into a stream TLS may begin: behind STARTTLS, CONNECT, SOCKS, a banner.
pub const SEARCHED: u64 = 65_536;

/// Looks at the start of every segment, and behind a PROXY header.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Finder {
    started: bool,
    /// Where the undecided bytes begin.
    base: u64,
    /// Starts of segments among the undecided bytes, counted from `base`. There are 30 of these at most, which is the
    /// longest header of a hello whose every byte has a record of its own.
    starts: u64,
    /// Those of them where TLS may begin.
    candidates: u64,
    walk: Option<Walk>,
}

/// Follows records from the start of the stream on.
#[derive(Clone, Copy, Debug, Default)]
struct Walk {
    /// The next header.
    next: u64,
    headers: u8,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// TLS begins at this offset with this hello. So many segments brought bytes of it before the one that is shown.
    Begins { at: u64, hello: Hello, segments: u32 },
    /// Nothing yet: bytes from here on have to be shown again. `records`: whether the stream starts with two complete records.
    Keep { from: u64, records: bool },
    /// TLS will not be looked for any more.
    Nothing,
}

impl Finder {
    /// Takes in a segment. Only a hello that is accepted counts.
    pub fn look(&mut self, shown: &Shown<'_>, accepts: impl Fn(Hello) -> bool) -> Finding {
        let end = shown.offset + shown.bytes.len() as u64;
        let mut behind_proxy = false;
        if !self.started {
            self.base = shown.offset;
            match proxy::header(shown.bytes) {
                Probe::NeedMore if shown.offset == 0 => return Finding::Keep { from: 0, records: false },
                Probe::Certain(len) if shown.offset == 0 => {
                    self.base = len as u64;
                    self.candidates = 1;
                    behind_proxy = end > self.base;
                }
                _ => self.walk = (shown.offset == 0).then(Walk::default),
            }
            self.started = true;
        }
        let segment = &shown.segment;
        let bit = |start: u64| start.checked_sub(self.base).and_then(|n| 1u64.checked_shl(u32::try_from(n).ok()?));
        let starts = bit(segment.start).filter(|_| segment.first);
        // The segment that ends the header may bring the first bytes of TLS: it counts as one that starts there.
        let this = if behind_proxy { 1 } else { starts.unwrap_or(0) };
        self.starts |= this;
        if segment.start < SEARCHED {
            self.candidates |= this;
        }
        let mut keep = end;
        while self.candidates != 0 {
            let place = self.candidates.trailing_zeros();
            let at = self.base + u64::from(place);
            match looks_like_hello(shown.bytes_from(at)) {
                Probe::NeedMore => {
                    keep = at;
                    break;
                }
                Probe::Certain(hello) if accepts(hello) => {
                    let segments = ((self.starts & !this) >> place).count_ones();
                    return Finding::Begins { at, hello, segments };
                }
                _ => self.candidates &= self.candidates - 1,
            }
        }
        let records = self.walk(shown, end, &mut keep);
        if end >= SEARCHED && self.candidates == 0 && !records {
            return Finding::Nothing;
        }
        let moved = u32::try_from(keep.saturating_sub(self.base)).unwrap_or(u32::MAX);
        self.starts = self.starts.checked_shr(moved).unwrap_or(0);
        self.candidates = self.candidates.checked_shr(moved).unwrap_or(0);
        self.base = self.base.max(keep);
        Finding::Keep { from: keep, records }
    }

    /// Whether the stream starts with two complete records; said once. A header that is not whole is kept.
    fn walk(&mut self, shown: &Shown<'_>, end: u64, keep: &mut u64) -> bool {
        let Some(walk) = &mut self.walk else { return false };
        while walk.headers < 2 && walk.next < end {
            match Header::read(shown.bytes_from(walk.next)) {
                Probe::Certain(h) if h.kind <= content::APPLICATION_DATA => {
                    walk.next += RECORD_HEADER as u64 + u64::from(h.len);
                    walk.headers += 1;
                }
                Probe::NeedMore => {
                    *keep = (*keep).min(walk.next);
                    return false;
                }
                _ => {
                    self.walk = None;
                    return false;
                }
            }
        }
        let found = walk.headers == 2 && walk.next <= end;
        if found {
            self.walk = None;
        }
        found
    }
}
