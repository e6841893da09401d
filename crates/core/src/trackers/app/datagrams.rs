//! The sessions of a UDP flow, and who of them still wants datagrams.

use super::{AppWants, Found, has_dns_port};
use crate::packet::{FlowKey, Packet, Side};
use crate::protocols::quic::QuicFinder;
use crate::protocols::tls::may_be_dtls;
use crate::protocols::{Datagram, DatagramSession, recognise};

/// Who wants datagrams.
#[derive(Debug)]
pub(super) struct Datagrams {
    dns: bool,
    quic: Quic,
    /// DTLS may begin in any datagram, as it shares its flows with STUN and RTP; but a flow of QUIC has none.
    dtls: bool,
    recognise: bool,
    /// Whether one of the ports is that of NAT traversal of IPsec (RFC 3948).
    nat_t: bool,
}

/// What is done about QUIC.
#[derive(Debug)]
enum Quic {
    Nothing,
    /// It is looked for. `handshake`: only the handshake is wanted.
    Seeking {
        finder: QuicFinder,
        handshake: bool,
    },
    Following {
        handshake: bool,
    },
}

impl Datagrams {
    /// Before the first packet.
    pub fn new(key: &FlowKey, wants: AppWants) -> Self {
        let tls = wants.has(AppWants::TLS.union(AppWants::RECOGNISE));
        let quic = match tls || wants.has(AppWants::QUIC) {
            true => Quic::Seeking { finder: QuicFinder::default(), handshake: !wants.has(AppWants::QUIC) },
            false => Quic::Nothing,
        };
        Self {
            dns: wants.has(AppWants::DNS) && has_dns_port(key),
            quic,
            dtls: tls,
            recognise: wants.has(AppWants::RECOGNISE),
            nat_t: [true, false].into_iter().any(|lo| key.port(lo) == Some(4500)),
        }
    }

    /// Takes in a packet. Whether nothing more is wanted.
    pub fn take(&mut self, packet: &Packet<'_>, side: Side, found: &mut Found, scratch: &mut Vec<u8>) -> bool {
        let datagram = Datagram { bytes: packet.payload(), wire_len: packet.shown_payload_len(), at: packet.info.ts };
        if !datagram.bytes.is_empty() {
            self.dns(side, &datagram, found, scratch);
            self.quic(side, &datagram, found, scratch);
            self.dtls(side, &datagram, found, scratch);
            self.recognise(side, &datagram, found, scratch);
        }
        !(self.dns || self.dtls || self.recognise) && matches!(self.quic, Quic::Nothing)
    }

    fn dns(&mut self, side: Side, datagram: &Datagram<'_>, found: &mut Found, scratch: &mut Vec<u8>) {
        if self.dns {
            let session = found.dns.get_or_insert_default();
            scratch.clear();
            let taken = DatagramSession::read(session.as_mut(), side, datagram, scratch);
            found.malformed += u64::from(taken.malformed);
            self.dns = !taken.done;
        }
    }

    fn quic(&mut self, side: Side, datagram: &Datagram<'_>, found: &mut Found, scratch: &mut Vec<u8>) {
        let (session, handshake) = match &mut self.quic {
            Quic::Nothing => return,
            Quic::Seeking { finder, handshake } => {
                let Some(session) = finder.look(side, datagram, scratch) else { return };
                (self.dtls, found.dtls) = (false, None);
                (found.quic.insert(Box::new(session)), *handshake)
            }
            Quic::Following { handshake } => {
                let Some(session) = &mut found.quic else { return };
                session.read(side, datagram, scratch);
                (session, *handshake)
            }
        };
        let done = session.is_gquic() || handshake && session.has_read_handshake();
        self.quic = if done { Quic::Nothing } else { Quic::Following { handshake } };
    }

    fn recognise(&mut self, side: Side, datagram: &Datagram<'_>, found: &mut Found, scratch: &mut Vec<u8>) {
        if self.recognise {
            let session = found.datagrams.get_or_insert_with(|| Box::new(recognise::Datagrams::new(self.nat_t)));
            scratch.clear();
            self.recognise = !session.read(side, datagram, scratch).done;
        }
    }

    fn dtls(&mut self, side: Side, datagram: &Datagram<'_>, found: &mut Found, scratch: &mut Vec<u8>) {
        if self.dtls && may_be_dtls(datagram.bytes) {
            let taken = found.dtls.get_or_insert_default().read(side, datagram, scratch);
            self.dtls = !taken.done;
        }
    }
}
