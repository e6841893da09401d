//! What selected features want of application protocols.

/// A set of things that may be wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppWants(u16);

impl AppWants {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Handshakes of TLS, DTLS, and TLS in QUIC.
    pub const TLS: Self = Self(1);
    /// DNS, mDNS, LLMNR.
    pub const DNS: Self = Self(2);

    /// Everything.
    pub const ALL: Self = Self(u16::MAX);

    /// Both sets.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether anything of `other` is in this set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
