//! The PROXY protocol (haproxy.org, proxy-protocol.txt): a header in front of a connection's own bytes.

use crate::protocols::Probe;
use crate::wire::Reader;

const SIGNATURE_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Longest header of version 1, its CRLF included (section 2.1).
const MAX_V1: usize = 107;

/// Longest header of version 2 that is looked past: addresses, and the TLVs of a proxy that sends all it knows. Without
/// a bound 64 KiB would wait.
const MAX_V2: usize = 4096;

/// The length of the header that a stream starts with.
pub fn header(bytes: &[u8]) -> Probe<usize> {
    let common = |text: &[u8]| bytes.iter().zip(text).all(|(a, b)| a == b);
    if common(b"PROXY ") {
        let line = bytes.get(..MAX_V1).unwrap_or(bytes);
        return match line.windows(2).position(|w| w == b"\r\n") {
            Some(at) if bytes.len() > 6 => Probe::Certain(at + 2),
            None if bytes.len() < MAX_V1 => Probe::NeedMore,
            _ => Probe::NotThis,
        };
    }
    if !common(SIGNATURE_V2) {
        return Probe::NotThis;
    }
    let mut r = Reader::new(bytes);
    let (Some(_), Some(version), Some(_family), Some(len)) = (r.take(12), r.u8(), r.u8(), r.u16()) else {
        return Probe::NeedMore;
    };
    let len = 16 + usize::from(len);
    match () {
        () if version >> 4 != 2 || len > MAX_V2 => Probe::NotThis,
        () if bytes.len() < len => Probe::NeedMore,
        () => Probe::Certain(len),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions() {
        let v1 = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n\x16";
        assert_eq!(header(v1), Probe::Certain(v1.len() - 1));
        let v2 = [SIGNATURE_V2, &[0x21, 0x11, 0, 12], &[7; 12], b"\x16"].concat();
        assert_eq!(header(&v2), Probe::Certain(28));
        for bytes in [&v1[..v1.len() - 1], &v2[..28]] {
            assert!((0..bytes.len()).all(|n| header(&bytes[..n]) == Probe::NeedMore));
        }
        assert_eq!(header(b"\x16\x03\x01"), Probe::NotThis);
        assert_eq!(header(b"PROPFIND / HTTP/1.1\r\n"), Probe::NotThis);
        assert_eq!(header(&[b"PROXY ".to_vec(), vec![b'x'; 200]].concat()), Probe::NotThis);
    }
}
