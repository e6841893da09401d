//! The datagrams of a UDP flow: tunnels, and protocols that show in a single datagram. QUIC, DTLS and DNS have sessions of
//! their own.

use super::verdict::{AppProtocol, Verdict};
use crate::packet::Side;
use crate::protocols::start_line::{Family, line, start_line};
use crate::protocols::vpn::{self, Evidence};
use crate::protocols::{Datagram, DatagramSession, Probe, Taken};
use crate::wire::Reader;

/// What the datagrams of a flow show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Datagrams {
    /// Whether one of the ports is 4500 (RFC 3948).
    nat_t: bool,
    vpn: vpn::Datagrams,
    /// The protocol of the first datagram that shows one by itself.
    single: Option<Verdict>,
}

impl Datagrams {
    /// Before the first datagram. `nat_t`: one of the ports is 4500.
    pub fn new(nat_t: bool) -> Self {
        Self { nat_t, ..Self::default() }
    }

    /// Tunnels.
    pub fn vpn(&self) -> impl Iterator<Item = Evidence> {
        self.vpn.evidence()
    }

    /// What the first datagram that shows a protocol by itself shows.
    pub fn single(&self) -> Option<Verdict> {
        self.single
    }
}

impl DatagramSession for Datagrams {
    fn read(&mut self, side: Side, datagram: &Datagram<'_>, _scratch: &mut Vec<u8>) -> Taken {
        self.vpn.read(side, datagram.bytes, datagram.wire_len, self.nat_t);
        if self.single.is_none() {
            self.single = single(datagram.bytes, datagram.wire_len);
        }
        Taken::bytes(0)
    }
}

/// The protocol of one datagram.
fn single(bytes: &[u8], wire_len: u32) -> Option<Verdict> {
    let is = |protocol, by| Some(Verdict { protocol, by });
    match *bytes.first()? {
        0..=0x3f if is_stun(bytes, wire_len) => is(AppProtocol::Stun, "stun_magic_cookie"),
        1 | 2 if is_dhcp(bytes) => is(AppProtocol::Dhcp, "dhcp_magic_cookie"),
        b'A'..=b'Z' => match start_line(bytes) {
            Probe::Certain(start) if start.family == Family::Sip => is(AppProtocol::Sip, "sip_start_line"),
            Probe::Certain(start) if is_ssdp(bytes, start.len) => is(AppProtocol::Ssdp, "ssdp_start_line"),
            _ => None,
        },
        _ => None,
    }
}

/// RFC 8489 section 5.
fn is_stun(bytes: &[u8], wire_len: u32) -> bool {
    let mut r = Reader::new(bytes);
    r.u16();
    let len = r.u16();
    r.u32() == Some(0x2112_a442) && len.is_some_and(|n| u32::from(n) + 20 == wire_len)
}

/// RFC 2131 section 2, 3: a message for Ethernet, with options.
fn is_dhcp(bytes: &[u8]) -> bool {
    matches!(bytes, [1 | 2, 1, 6, ..]) && bytes.get(236..240) == Some(&[0x63, 0x82, 0x53, 0x63])
}

/// UPnP Device Architecture 2.0, section 1: a search, an announcement, or the answer to a search, which has a field ST.
fn is_ssdp(bytes: &[u8], mut at: usize) -> bool {
    let Probe::Certain((start, _)) = line(bytes) else { return false };
    match start {
        b"M-SEARCH * HTTP/1.1" | b"NOTIFY * HTTP/1.1" => return true,
        b"HTTP/1.1 200 OK" => {}
        _ => return false,
    }
    while let Probe::Certain((field, n)) = line(bytes.get(at..).unwrap_or_default()) {
        if field.is_empty() {
            break;
        }
        let name = field.split(|b| *b == b':').next().unwrap_or_default();
        if name.eq_ignore_ascii_case(b"st") && name.len() < field.len() {
            return true;
        }
        at += n;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(bytes: &[u8]) -> Option<&'static str> {
        single(bytes, bytes.len() as u32).map(|v| v.protocol.name())
    }

    #[test]
    fn single_datagrams() {
        let stun = [&[0, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42][..], &[0; 16]].concat();
        assert_eq!((name(&stun), name(&stun[..23])), (Some("stun"), None));
        let mut dhcp = vec![0; 300];
        dhcp[..3].copy_from_slice(&[1, 1, 6]);
        assert_eq!(name(&dhcp), None);
        dhcp[236..240].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
        assert_eq!(name(&dhcp), Some("dhcp"));
        assert_eq!(name(b"INVITE sip:a SIP/2.0\r\n"), Some("sip"));
        assert_eq!(name(b"M-SEARCH * HTTP/1.1\r\n"), Some("ssdp"));
        assert_eq!(name(b"HTTP/1.1 200 OK\r\nA: b\r\nSt: x\r\n\r\n"), Some("ssdp"));
        for no in [
            &b"HTTP/1.1 200 OK\r\nStx: x\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\nST: x\r\n",
            b"M-SEARCH x HTTP/1.1\r\n",
            b"GET",
        ] {
            assert_eq!(name(no), None);
        }
    }
}
