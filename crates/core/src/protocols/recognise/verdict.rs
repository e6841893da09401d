//! The rules in their order.

use super::start::Start;
use super::stream::command;
use super::{Datagrams, Stream};
use crate::packet::Side;
use crate::protocols::quic::First;
use crate::protocols::tls::Facts;
use crate::protocols::vpn::{Evidence, Vpn};

macro_rules! protocols {
    ($($(#[$doc:meta])* $name:ident $text:literal,)+) => {
        /// An application protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum AppProtocol { $($name,)+ }

        impl AppProtocol {
            /// Every protocol.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

protocols! {
    Tls "tls", Dtls "dtls", Quic "quic", Gquic "gquic", Ssh "ssh", Http "http", Http2 "http2",
    Dns "dns", Mdns "mdns", Llmnr "llmnr",
    WireGuard "wireguard", OpenVpn "openvpn", Ike "ike", Esp "esp", L2tp "l2tp", Pptp "pptp",
    BitTorrent "bittorrent", Smb "smb", Rtsp "rtsp", Sip "sip", Smtp "smtp", Ftp "ftp", Pop3 "pop3", Imap "imap",
    Socks "socks", Rdp "rdp", Mqtt "mqtt", Stun "stun", Dhcp "dhcp", Ssdp "ssdp",
}

impl AppProtocol {
    /// Whether what it carries is encrypted.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Dtls | Self::Quic | Self::Gquic | Self::Ssh)
    }
}

/// The protocol of a flow, and the rule that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The protocol.
    pub protocol: AppProtocol,
    /// Name of the rule.
    pub by: &'static str,
}

/// What was seen of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// Who the initiator is.
    pub initiator: Option<Side>,
    /// The streams of a connection.
    pub stream: Option<&'a Stream>,
    /// The datagrams of a UDP flow.
    pub datagrams: Option<&'a Datagrams>,
    /// TLS over TCP, or DTLS.
    pub tls: Option<&'a Facts>,
    /// QUIC: what kind of packet it was recognised by.
    pub quic: Option<First>,
    /// Whether a message of DNS was read.
    pub dns: bool,
    /// Ports of both ends.
    pub ports: [Option<u16>; 2],
    /// IP protocol 50.
    pub esp: bool,
    /// Packets have an authentication header.
    pub ah: bool,
}

impl Seen<'_> {
    /// The first rule that holds.
    pub fn verdict(&self) -> Option<Verdict> {
        if self.esp {
            return Some(Verdict { protocol: AppProtocol::Esp, by: Evidence::ESP.rule });
        }
        match self.stream {
            Some(stream) => self.of_stream(stream),
            None => self.of_datagrams(),
        }
    }

    /// Whether SSH was spoken: lines before the identification string are the responder's only.
    pub fn is_ssh(&self) -> bool {
        let after_lines = |side: Side| self.stream.is_some_and(|s| s.began(side, Start::SshAfterLines));
        let responder = self.initiator.unwrap_or(Side::A).other();
        self.stream.is_some_and(|s| s.any(Start::SshBanner)) || after_lines(responder)
    }

    /// Tunnels.
    pub fn vpn(&self) -> Option<Evidence> {
        let esp = self.esp.then_some(Evidence::ESP);
        let ah = self.ah.then_some(Evidence::AH);
        let stream = self.stream.into_iter().flat_map(Stream::vpn);
        let datagrams = self.datagrams.into_iter().flat_map(Datagrams::vpn);
        Evidence::strongest(stream.chain(datagrams).chain(esp).chain(ah))
    }

    /// By which hello TLS was recognised: a ClientHello counts where all of it was read.
    fn hello(&self) -> &'static str {
        if self.tls.is_some_and(|t| t.client.is_some()) { "client_hello" } else { "server_hello" }
    }

    fn of_stream(&self, stream: &Stream) -> Option<Verdict> {
        use AppProtocol as P;
        let responder = self.initiator.unwrap_or(Side::A).other();
        let greeted = |start| stream.began(responder, start);
        let sent = |commands| stream.sent(responder.other(), commands);
        let any = |start| stream.any(start);
        let openvpn = || stream.vpn().any(|e| e.vpn == Vpn::OpenVpn);
        let found = if any(Start::ClientHello) || any(Start::ServerHello) {
            (P::Tls, self.hello())
        } else if self.is_ssh() {
            (P::Ssh, "ssh_banner")
        } else if any(Start::HttpRequest) {
            (P::Http, "http_request_line")
        } else if any(Start::HttpResponse) {
            (P::Http, "http_status_line")
        } else if any(Start::Http2Preface) {
            (P::Http2, "http2_preface")
        } else if self.dns {
            (P::Dns, "dns_message")
        } else if openvpn() {
            (P::OpenVpn, "openvpn_reset_pair")
        } else if any(Start::Pptp) {
            (P::Pptp, Evidence::PPTP.rule)
        } else if any(Start::BitTorrent) {
            (P::BitTorrent, "bittorrent_handshake")
        } else if any(Start::Smb) {
            (P::Smb, "smb_header")
        } else if any(Start::Rtsp) {
            (P::Rtsp, "rtsp_start_line")
        } else if any(Start::Sip) {
            (P::Sip, "sip_start_line")
        } else if greeted(Start::Greeting220) && sent(command::SMTP) {
            (P::Smtp, "smtp_greeting")
        } else if greeted(Start::Greeting220) && sent(command::FTP) {
            (P::Ftp, "ftp_greeting")
        } else if greeted(Start::GreetingPop3) && sent(command::POP3) {
            (P::Pop3, "pop3_greeting")
        } else if greeted(Start::GreetingImap) {
            (P::Imap, "imap_greeting")
        } else if stream.socks5 {
            (P::Socks, "socks5_method")
        } else if any(Start::Rdp) {
            (P::Rdp, "rdp_connection_request")
        } else if any(Start::Mqtt) {
            (P::Mqtt, "mqtt_connect")
        } else if self.tls.is_some_and(Facts::has_hello) {
            (P::Tls, self.hello())
        } else if self.tls.is_some_and(|t| t.records_only) {
            (P::Tls, "tls_records")
        } else {
            return None;
        };
        Some(Verdict { protocol: found.0, by: found.1 })
    }

    fn of_datagrams(&self) -> Option<Verdict> {
        use AppProtocol as P;
        let port = |port| self.ports.contains(&Some(port));
        let found = match (self.quic, self.tls) {
            (Some(First::Initial), _) => (P::Quic, "quic_initial"),
            (Some(First::LongHeader), _) => (P::Quic, "quic_long_header"),
            (Some(First::VersionNegotiation), _) => (P::Quic, "quic_version_negotiation"),
            (Some(First::Google), _) => (P::Gquic, "gquic_header"),
            (None, Some(t)) if t.has_hello() => (P::Dtls, self.hello()),
            (None, Some(t)) if t.records_only => (P::Dtls, "dtls_records"),
            _ if self.dns && port(53) => (P::Dns, "dns_message"),
            _ if self.dns && port(5353) => (P::Mdns, "dns_message"),
            _ if self.dns && port(5355) => (P::Llmnr, "dns_message"),
            _ => {
                let datagrams = self.datagrams?;
                let order = [
                    (Vpn::WireGuard, P::WireGuard),
                    (Vpn::OpenVpn, P::OpenVpn),
                    (Vpn::L2tp, P::L2tp),
                    (Vpn::IpsecIke, P::Ike),
                    (Vpn::IpsecEsp, P::Esp),
                ];
                let tunnel = order.into_iter().find_map(|(vpn, protocol)| {
                    let evidence = datagrams.vpn().find(|e| e.vpn == vpn)?;
                    Some(Verdict { protocol, by: evidence.rule })
                });
                return tunnel.or(datagrams.single());
            }
        };
        Some(Verdict { protocol: found.0, by: found.1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::recognise::Follow;
    use crate::protocols::testing::Wire;
    use crate::protocols::tls::Transport;
    use Side::{A, B};

    fn verdict(initiator: Side, parts: &[(Side, &[u8])]) -> Option<&'static str> {
        let follow = Follow { openvpn: true, ..Follow::default() };
        let mut wire = Wire::new(Stream::new(follow));
        parts.iter().for_each(|(side, bytes)| _ = wire.send(*side, bytes));
        let seen = Seen { initiator: Some(initiator), stream: Some(&wire.session), ..Seen::default() };
        seen.verdict().map(|v| v.by)
    }

    #[test]
    fn the_first_rule_wins() {
        let (ssh, get): (&[u8], &[u8]) = (b"SSH-2.0-x\r\n", b"GET / HTTP/1.1\r\n");
        assert_eq!(verdict(A, &[(A, get), (B, ssh)]), Some("ssh_banner"));
        assert_eq!(verdict(A, &[(A, get), (B, b"HTTP/1.1 200 OK\r\n")]), Some("http_request_line"));
        assert_eq!(verdict(A, &[(B, b"HTTP/1.1 200 OK\r\n")]), Some("http_status_line"));
        assert_eq!(verdict(A, &[(A, b"\x01\x02")]), None);
    }

    #[test]
    fn the_responder_greets() {
        let parts: &[(Side, &[u8])] = &[(B, b"220 x\r\n"), (A, b"USER x\r\n")];
        assert_eq!((verdict(A, parts), verdict(B, parts)), (Some("ftp_greeting"), None));
        assert_eq!(verdict(A, &[(B, b"220 x\r\n"), (A, b"USER x\r\nEHLO y\r\n")]), Some("smtp_greeting"));
        assert_eq!(verdict(A, &[(B, b"220 x\r\n")]), None);
        assert_eq!(verdict(A, &[(B, b"* OK\r\n")]), Some("imap_greeting"));
        assert_eq!(verdict(A, &[(B, b"+OK\r\n"), (A, b"CAPA\r\n")]), Some("pop3_greeting"));
        let lines: &[(Side, &[u8])] = &[(B, b"hello\nSSH-2.0-x\n")];
        assert_eq!((verdict(A, lines), verdict(B, lines)), (Some("ssh_banner"), None));
    }

    #[test]
    fn tls_later_in_the_stream_comes_last() {
        let mut facts = Facts::new(Transport::Tcp);
        facts.client_side = Some(A);
        let stream = Stream::new(Follow::default());
        let seen = Seen { stream: Some(&stream), tls: Some(&facts), ..Seen::default() };
        // The header of a hello is enough, but only a whole ClientHello gives its name.
        assert_eq!(seen.verdict().map(|v| (v.protocol, v.by)), Some((AppProtocol::Tls, "server_hello")));
        let dns = Seen { dns: true, ..seen };
        assert_eq!(dns.verdict().map(|v| v.protocol.name()), Some("dns"));
    }

    #[test]
    fn names_differ() {
        let mut names: Vec<_> = AppProtocol::ALL.iter().map(|p| p.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), AppProtocol::ALL.len());
    }
}
