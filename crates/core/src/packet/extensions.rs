//! The headers between an IP header and its upper layer: IPv6 extension headers (RFC 8200 section 4) and AH (RFC 4302).

use super::ip_proto;

/// Most extension headers that are followed in one packet; RFC 8200 section 4.1 names six kinds.
pub(crate) const MAX_EXTENSIONS: usize = 12;

/// One extension header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Its protocol number, which the header before it gives.
    pub protocol: u8,
    /// The protocol number of what follows it.
    pub next: u8,
    /// Its bytes, as far as they were captured.
    pub bytes: &'a [u8],
    /// Its length on the wire.
    pub len: usize,
}

impl<'a> Extension<'a> {
    /// The extension header of this protocol number at the start of `bytes`; none where there is none, or it was
    /// cut before it says how long it is. IPv4 (`v6` = false) has AH alone.
    #[inline]
    pub(crate) fn at(protocol: u8, v6: bool, bytes: &'a [u8]) -> Option<Self> {
        let &[next, size, ..] = bytes.first_chunk::<4>()?;
        let len = match protocol {
            ip_proto::HOPOPT | ip_proto::IPV6_ROUTE | ip_proto::IPV6_OPTS if v6 => 8 + usize::from(size) * 8,
            // These two may end the chain; then they are what the packet is about.
            ip_proto::HIP | ip_proto::SHIM6 if v6 && next != ip_proto::IPV6_NONXT => 8 + usize::from(size) * 8,
            ip_proto::AH => 8 + usize::from(size) * 4,
            ip_proto::IPV6_FRAG if v6 => 8,
            _ => return None,
        };
        Some(Self { protocol, next, bytes: bytes.get(..len).unwrap_or(bytes), len })
    }
}

/// The extension headers behind an IP header, in order: up to a fragment header, the upper layer, or where the bytes end.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    protocol: u8,
    v6: bool,
    rest: &'a [u8],
    left: usize,
}

impl<'a> Extensions<'a> {
    /// Those behind the IP header that `ip` begins with; none where it does not begin with one.
    pub fn of(ip: &'a [u8]) -> Self {
        let (protocol, v6, header_len) = match ip {
            [first @ 0x40..=0x4f, _, _, _, _, _, _, _, _, protocol, ..] => {
                (*protocol, false, usize::from(first & 15) * 4)
            }
            [0x60..=0x6f, _, _, _, _, _, protocol, ..] => (*protocol, true, 40),
            _ => (ip_proto::IPV6_NONXT, false, 0),
        };
        Self { protocol, v6, rest: ip.get(header_len..).unwrap_or_default(), left: MAX_EXTENSIONS }
    }

    /// How many bytes are left behind those given so far.
    pub(super) fn left_over(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    fn next(&mut self) -> Option<Extension<'a>> {
        self.left = self.left.checked_sub(1)?;
        let extension = Extension::at(self.protocol, self.v6, self.rest)?;
        self.rest = self.rest.get(extension.len..).unwrap_or_default();
        self.protocol = extension.next;
        if extension.protocol == ip_proto::IPV6_FRAG {
            self.left = 0;
        }
        Some(extension)
    }
}
