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
    /// SSH up to its encrypted packets, and these counted.
    pub const SSH: Self = Self(4);
    /// Messages of HTTP/1 in clear.
    pub const HTTP1: Self = Self(8);
    /// Frames of HTTP/2 in clear; behind an upgrade only together with [`Self::HTTP1`].
    pub const HTTP2: Self = Self(16);
    /// Which protocol is spoken, and which tunnel: [`crate::protocols::recognise`].
    pub const RECOGNISE: Self = Self(32);
    /// Records of application data of TLS, to the end of the connection.
    pub const TLS_RECORDS: Self = Self(64);
    /// QUIC: its headers to the end of the flow.
    pub const QUIC: Self = Self(128);

    /// Names of the fields of the first request of HTTP/1, with its cookies; only together with [`Self::HTTP1`].
    pub const HTTP1_FIELDS: Self = Self(256);

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
