//! Which HTTP a flow speaks: HTTP/2 in clear by its frames, HTTP/2 over TLS and HTTP/3 by ALPN.

use super::http2;
use super::tls::{Facts, Transport};

/// Whether something was detected; within, a null is what cannot be seen. None: nothing speaks of it.
pub type Seen = Option<Option<bool>>;

/// What a flow shows of HTTP/2 and HTTP/3.
#[derive(Clone, Copy, Debug, Default)]
pub struct Http<'a> {
    /// Frames in clear.
    pub frames: Option<&'a http2::Session>,
    /// A handshake of TLS, whatever carried it.
    pub tls: Option<&'a Facts>,
    /// Whether the flow is QUIC, but not Google's.
    pub quic: bool,
}

impl Http<'_> {
    /// Whether HTTP/2 is spoken. A handshake decides it for the connection; rows that have none (`before`: what earlier ones
    /// saw) go by that.
    pub fn http2(&self, before: Seen) -> Seen {
        let over_tcp = self.over_tcp();
        let shown = match (self.frames, over_tcp) {
            (Some(_), _) => Some(Some(true)),
            (None, Some(tls)) if tls.has_hello() => Some(self.http2_over_tls(tls)),
            _ => None,
        };
        // Records without a hello: TLS, and no more is known.
        shown.or(before).or(over_tcp.map(|_| None))
    }

    /// Whether HTTP/3 is spoken, likewise.
    pub fn http3(&self, before: Seen) -> Seen {
        if !self.quic {
            return before;
        }
        let http3 = |p: &[u8]| p == b"h3" || p.starts_with(b"h3-");
        let shown = self.offers(http3).zip(self.offers(|p| !http3(p))).map(|offers| match offers {
            (true, true) => None,
            (offers, _) => Some(offers),
        });
        shown.or(before).or(Some(None))
    }

    /// The protocol that the server chose over TCP, where it says so in clear.
    pub fn chosen(&self) -> Option<&[u8]> {
        self.over_tcp()?.server.as_ref()?.alpn()
    }

    fn http2_over_tls(&self, tls: &Facts) -> Option<bool> {
        if self.chosen() == Some(b"h2") {
            return Some(true);
        }
        // Since TLS 1.3 the choice is encrypted.
        let shown = tls.server.as_ref().is_some_and(|s| !s.is_13());
        (shown || !self.offers(|p| p == b"h2")?).then_some(false)
    }

    fn over_tcp(&self) -> Option<&Facts> {
        self.tls.filter(|t| t.transport == Transport::Tcp)
    }

    fn offers(&self, wanted: impl Fn(&[u8]) -> bool) -> Option<bool> {
        Some(self.tls?.client.as_ref()?.alpn().is_some_and(|mut offered| offered.any(wanted)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Side;
    use crate::protocols::tls::testing::Hello;

    fn handshake(transport: Transport, alpn: &[u8]) -> Facts {
        let list = [&[0, alpn.len() as u8][..], alpn].concat();
        let extensions: &[(u16, &[u8])] = if alpn.is_empty() { &[] } else { &[(16, &list)] };
        let mut facts = Facts::new(transport);
        facts.client = Some(Hello { version: 0x0303, ciphers: &[0x1301], extensions, ..Hello::default() }.read());
        facts.client_side = Some(Side::A);
        facts
    }

    #[test]
    fn a_handshake_decides_and_without_one_the_earlier_row_does() {
        let mut records = Facts::new(Transport::Tcp);
        records.records_only = true;
        let (offers, not) = (handshake(Transport::Tcp, b"\x02h2"), handshake(Transport::Tcp, b"\x08http/1.1"));
        let http2 = |tls, before| Http { tls, ..Http::default() }.http2(before);
        assert_eq!((http2(None, None), http2(Some(&records), None)), (None, Some(None)));
        assert_eq!((http2(Some(&offers), None), http2(Some(&not), None)), (Some(None), Some(Some(false))));
        for before in [Some(None), Some(Some(false)), Some(Some(true))] {
            assert_eq!((http2(None, before), http2(Some(&records), before)), (before, before));
            assert_eq!((http2(Some(&offers), before), http2(Some(&not), before)), (Some(None), Some(Some(false))));
        }
    }

    #[test]
    fn http3_is_what_a_hello_of_quic_offers_alone() {
        let tls = [&b""[..], b"\x02h3", b"\x02h3\x03doq"].map(|alpn| handshake(Transport::Quic, alpn));
        let http3 = |tls, quic, before| Http { tls, quic, ..Http::default() }.http3(before);
        let all = tls.each_ref().map(|tls| http3(Some(tls), true, Some(Some(true))));
        assert_eq!(all, [Some(Some(false)), Some(Some(true)), Some(None)]);
        assert_eq!((http3(None, true, None), http3(None, true, Some(Some(true)))), (Some(None), Some(Some(true))));
        assert_eq!((http3(None, false, None), http3(None, false, Some(None))), (None, Some(None)));
    }
}
