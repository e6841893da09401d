//! Names of numbers (IANA, Transport Layer Security Parameters).

use std::fmt::{self, Write};

/// Writes the name of a version: `TLS 1.3`, `TLS 1.3 draft-28`, `DTLS 1.2`; of others, the number.
pub fn write_version(version: u16, out: &mut impl Write) -> fmt::Result {
    out.write_str(match version {
        0x0300 => "SSL 3.0",
        0x0301 => "TLS 1.0",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        // OpenSSL's, before the standard.
        0x0100 => "DTLS 0.9",
        0xfeff => "DTLS 1.0",
        0xfefd => "DTLS 1.2",
        0xfefc => "DTLS 1.3",
        0x7f00..=0x7fff => return write!(out, "TLS 1.3 draft-{:02}", version & 0xff),
        _ => return write!(out, "0x{version:04x}"),
    })
}

/// Name of a group (TLS Supported Groups).
pub fn group_name(group: u16) -> Option<&'static str> {
    Some(match group {
        1 => "sect163k1",
        2 => "sect163r1",
        3 => "sect163r2",
        4 => "sect193r1",
        5 => "sect193r2",
        6 => "sect233k1",
        7 => "sect233r1",
        8 => "sect239k1",
        9 => "sect283k1",
        10 => "sect283r1",
        11 => "sect409k1",
        12 => "sect409r1",
        13 => "sect571k1",
        14 => "sect571r1",
        15 => "secp160k1",
        16 => "secp160r1",
        17 => "secp160r2",
        18 => "secp192k1",
        19 => "secp192r1",
        20 => "secp224k1",
        21 => "secp224r1",
        22 => "secp256k1",
        23 => "secp256r1",
        24 => "secp384r1",
        25 => "secp521r1",
        26 => "brainpoolP256r1",
        27 => "brainpoolP384r1",
        28 => "brainpoolP512r1",
        29 => "x25519",
        30 => "x448",
        31 => "brainpoolP256r1tls13",
        32 => "brainpoolP384r1tls13",
        33 => "brainpoolP512r1tls13",
        34 => "GC256A",
        35 => "GC256B",
        36 => "GC256C",
        37 => "GC256D",
        38 => "GC512A",
        39 => "GC512B",
        40 => "GC512C",
        41 => "curveSM2",
        256 => "ffdhe2048",
        257 => "ffdhe3072",
        258 => "ffdhe4096",
        259 => "ffdhe6144",
        260 => "ffdhe8192",
        512 => "MLKEM512",
        513 => "MLKEM768",
        514 => "MLKEM1024",
        4587 => "SecP256r1MLKEM768",
        4588 => "X25519MLKEM768",
        4589 => "SecP384r1MLKEM1024",
        4590 => "curveSM2MLKEM768",
        25497 => "X25519Kyber768Draft00",
        25498 => "SecP256r1Kyber768Draft00",
        0xff01 => "arbitrary_explicit_prime_curves",
        0xff02 => "arbitrary_explicit_char2_curves",
        _ => return None,
    })
}

/// Whether a group is post-quantum or a hybrid with one: ML-KEM, Kyber in its drafts, and what was tried before these.
pub fn is_post_quantum(group: u16) -> bool {
    matches!(group, 512..=514 | 4587..=4589 | 25497 | 25498 | 0xfe30..=0xfe32 | 0x2f39 | 0x2f3a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_versions() {
        for (version, name) in
            [(0x0304, "TLS 1.3"), (0x7f13, "TLS 1.3 draft-19"), (0xfefd, "DTLS 1.2"), (0x1a2b, "0x1a2b")]
        {
            let mut out = String::new();
            assert!(write_version(version, &mut out).is_ok());
            assert_eq!(out, name);
        }
    }

    #[test]
    fn hybrids_are_post_quantum() {
        assert!(group_name(4588) == Some("X25519MLKEM768") && is_post_quantum(4588));
        assert!(group_name(29) == Some("x25519") && !is_post_quantum(29) && group_name(0x0a0a).is_none());
    }
}
