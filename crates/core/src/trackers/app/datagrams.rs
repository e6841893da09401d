//! The sessions of a UDP flow, and who of them still wants datagrams.

use super::{AppWants, Found, has_dns_port};
use crate::packet::{FlowKey, Packet, Side};
use crate::protocols::{Datagram, DatagramSession, recognise};

/// Who wants datagrams.
#[derive(Debug)]
pub(super) struct Datagrams {
    dns: bool,
    recognise: bool,
    /// Whether one of the ports is that of NAT traversal of IPsec (RFC 3948).
    nat_t: bool,
}

impl Datagrams {
    /// Before the first packet.
    pub fn new(key: &FlowKey, wants: AppWants) -> Self {
        Self {
            dns: wants.has(AppWants::DNS) && has_dns_port(key),
            recognise: wants.has(AppWants::RECOGNISE),
            nat_t: [true, false].into_iter().any(|lo| key.port(lo) == Some(4500)),
        }
    }

    /// Takes in a packet. Whether nothing more is wanted.
    pub fn take(&mut self, packet: &Packet<'_>, side: Side, found: &mut Found, scratch: &mut Vec<u8>) -> bool {
        let datagram = Datagram { bytes: packet.payload(), wire_len: packet.shown_payload_len(), at: packet.info.ts };
        if self.dns && !datagram.bytes.is_empty() {
            let session = found.dns.get_or_insert_default();
            scratch.clear();
            let taken = DatagramSession::read(session.as_mut(), side, &datagram, scratch);
            found.malformed += u64::from(taken.malformed);
            self.dns = !taken.done;
        }
        if self.recognise && !datagram.bytes.is_empty() {
            let session = found.datagrams.get_or_insert_with(|| Box::new(recognise::Datagrams::new(self.nat_t)));
            scratch.clear();
            self.recognise = !session.read(side, &datagram, scratch).done;
        }
        !(self.dns || self.recognise)
    }
}
