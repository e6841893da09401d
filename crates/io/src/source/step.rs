//! What the parsers of the two formats and the reader say to each other.

/// Where a batch ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Frames.
    pub(super) frames: usize,
    /// Bytes of capture, packets or not.
    pub(super) bytes: usize,
}

impl Limits {
    pub(super) fn reached(self, frames: usize, bytes: usize) -> bool {
        frames >= self.frames || bytes >= self.bytes
    }
}

/// Why a parser stopped.
#[derive(Debug)]
pub(super) enum Step {
    /// The batch is full.
    Full,
    /// The data end within something that is `want` bytes long from where the parser stopped.
    More { want: usize, part: Part },
    /// What follows cannot be read, for this reason.
    Damaged(String),
}

/// What the data may end in.
#[derive(Debug)]
pub(super) enum Part {
    Header(usize),
    /// By the length that it claims, without its header.
    Record(u32),
    Block(usize),
}

impl Step {
    pub(super) fn header(len: usize) -> Self {
        Self::More { want: len, part: Part::Header(len) }
    }

    pub(super) fn record(len: usize, claimed: u32) -> Self {
        Self::More { want: len, part: Part::Record(claimed) }
    }

    pub(super) fn block(len: usize) -> Self {
        Self::More { want: len, part: Part::Block(len) }
    }
}

/// Largest length on the wire that is passed on, in bytes: tshark's, whose lengths are signed.
pub(super) const MAX_WIRE_LEN: u32 = i32::MAX as u32;
