//! Versions of QUIC: the standard ones, drafts, vendors' and Google's own (RFC 9000 section 15, RFC 9369).

use std::fmt;

/// A version as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u32);

impl Version {
    /// QUIC version 1 (RFC 9000).
    pub const V1: Self = Self(1);
    /// QUIC version 2 (RFC 9369).
    pub const V2: Self = Self(0x6b33_43cf);
    /// QUIC version 2 while it was a draft.
    const V2_DRAFT: Self = Self(0x709a_50c4);

    /// Whether packets of this version can be read.
    pub fn is_known(self) -> bool {
        matches!(self, Self::V1 | Self::V2 | Self::V2_DRAFT) || self.draft().is_some() || self.is_mvfst()
    }

    /// Number of the draft: 1 to 34.
    fn draft(self) -> Option<u32> {
        self.0.checked_sub(0xff00_0000).filter(|n| (1..=34).contains(n))
    }

    /// Meta's mvfst.
    fn is_mvfst(self) -> bool {
        self.0 >> 4 == 0x0fac_eb00
    }

    /// Google's QUIC: "Q" or "T", and three digits.
    pub fn is_gquic(self) -> bool {
        let [name, digits @ ..] = self.0.to_be_bytes();
        matches!(name, b'Q' | b'T') && digits[0] == b'0' && digits.iter().all(u8::is_ascii_digit)
    }

    /// A version that is only there to be ignored.
    pub fn is_grease(self) -> bool {
        self.0 & 0x0f0f_0f0f == 0x0a0a_0a0a
    }

    /// Whether the types of long headers and the labels of keys are those of version 2.
    pub(super) fn is_v2(self) -> bool {
        matches!(self, Self::V2 | Self::V2_DRAFT)
    }

    /// Whether both lengths of connection ids share one byte: drafts before 22.
    pub(super) fn has_nibbles(self) -> bool {
        self.draft().is_some_and(|n| n < 22)
    }

    /// The salt of the keys of Initial packets (RFC 9001 section 5.2, and the same section of the drafts). Drafts before 17
    /// have packets of another shape.
    pub(super) fn salt(self) -> Option<&'static [u8; 20]> {
        Some(match self {
            Self::V1 => &SALT_V1,
            Self::V2 => &SALT_V2,
            Self::V2_DRAFT => &SALT_V2_DRAFT,
            // The first of mvfst's versions is draft 22, those behind it are draft 27.
            Self(0xface_b001) => &SALT_21,
            v if v.is_mvfst() => &SALT_23,
            v => match v.draft()? {
                17..=20 => &SALT_17,
                21..=22 => &SALT_21,
                23..=28 => &SALT_23,
                29..=32 => &SALT_29,
                33..=34 => &SALT_V1,
                _ => return None,
            },
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V1 => f.write_str("QUIC v1"),
            Self::V2 => f.write_str("QUIC v2"),
            v if v.is_gquic() => {
                f.write_str("gQUIC ")?;
                v.0.to_be_bytes().iter().try_for_each(|b| write!(f, "{}", char::from(*b)))
            }
            v if v.is_mvfst() => write!(f, "mvfst 0x{:08x}", v.0),
            v => match v.draft() {
                Some(n) => write!(f, "QUIC draft-{n:02}"),
                None => write!(f, "0x{:08x}", v.0),
            },
        }
    }
}

const SALT_17: [u8; 20] = [
    0xef, 0x4f, 0xb0, 0xab, 0xb4, 0x74, 0x70, 0xc4, 0x1b, 0xef, 0xcf, 0x80, 0x31, 0x33, 0x4f, 0xae, 0x48, 0x5e, 0x09,
    0xa0,
];
const SALT_21: [u8; 20] = [
    0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a, 0x02, 0x64,
    0x4a,
];
const SALT_23: [u8; 20] = [
    0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5,
    0x02,
];
const SALT_29: [u8; 20] = [
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8,
    0x99,
];
const SALT_V1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f,
    0x0a,
];
const SALT_V2_DRAFT: [u8; 20] = [
    0xa7, 0x07, 0xc2, 0x03, 0xa5, 0x9b, 0x47, 0x18, 0x4a, 0x1d, 0x62, 0xca, 0x57, 0x04, 0x06, 0xea, 0x7a, 0xe3, 0xe5,
    0xd3,
];
const SALT_V2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e,
    0xd9,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (version, name) in [
            (1, "QUIC v1"),
            (0x6b33_43cf, "QUIC v2"),
            (0x709a_50c4, "0x709a50c4"),
            (0xff00_001d, "QUIC draft-29"),
            (0xff00_0007, "QUIC draft-07"),
            (0x5130_3433, "gQUIC Q043"),
            (0x5430_3531, "gQUIC T051"),
            (0xface_b002, "mvfst 0xfaceb002"),
            (0x0102_0304, "0x01020304"),
        ] {
            assert_eq!(Version(version).to_string(), name);
        }
    }

    #[test]
    fn what_is_known() {
        let known = [1, 0x6b33_43cf, 0x709a_50c4, 0xff00_0001, 0xff00_0022, 0xface_b000, 0xface_b00f];
        assert!(known.into_iter().all(|v| Version(v).is_known()));
        let unknown = [0, 2, 0xff00_0000, 0xff00_0023, 0xface_b010, 0x1a2a_3a4a, 0x5130_3433, 0x5131_3433];
        assert!(unknown.into_iter().all(|v| !Version(v).is_known()));
        assert!(Version(0x1a2a_3a4a).is_grease() && !Version(0x1a2a_3a4b).is_grease());
        assert!(Version(0x5130_3433).is_gquic() && !Version(0x5131_3433).is_gquic());
    }
}
