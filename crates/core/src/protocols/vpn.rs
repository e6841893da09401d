//! What shows that a flow is a tunnel of a VPN: WireGuard, OpenVPN, IPsec, L2TP, PPTP. By bytes, never by port alone.

use super::{Session as StreamSession, Shown, Taken};
use crate::packet::Side;
use crate::wire::Reader;

/// Kinds of tunnels, the ones first that win where evidence is as strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vpn {
    /// WireGuard.
    WireGuard,
    /// Key exchange of IPsec (RFC 2408, 7296).
    IpsecIke,
    /// Encapsulated payload of IPsec (RFC 4303), also in UDP (RFC 3948).
    IpsecEsp,
    /// L2TP (RFC 2661).
    L2tp,
    /// OpenVPN.
    OpenVpn,
    /// PPTP (RFC 2637).
    Pptp,
    /// Authentication header of IPsec (RFC 4302).
    IpsecAh,
}

impl Vpn {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::WireGuard => "wireguard",
            Self::IpsecIke => "ipsec-ike",
            Self::IpsecEsp => "ipsec-esp",
            Self::L2tp => "l2tp",
            Self::OpenVpn => "openvpn",
            Self::Pptp => "pptp",
            Self::IpsecAh => "ipsec-ah",
        }
    }
}

/// A rule that holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// What it shows.
    pub vpn: Vpn,
    /// How sure it is: 0 to 1.
    pub confidence: f64,
    /// Its name.
    pub rule: &'static str,
}

impl Evidence {
    const fn new(vpn: Vpn, confidence: f64, rule: &'static str) -> Self {
        Self { vpn, confidence, rule }
    }

    /// IP protocol 50.
    pub const ESP: Self = Self::new(Vpn::IpsecEsp, 1.0, "esp_protocol");
    /// Packets with an authentication header.
    pub const AH: Self = Self::new(Vpn::IpsecAh, 1.0, "ah_header");
    /// A control message with PPTP's cookie.
    pub const PPTP: Self = Self::new(Vpn::Pptp, 1.0, "pptp_cookie");

    /// The strongest; of those that are as strong, the first kind of [`Vpn`].
    pub fn strongest(all: impl IntoIterator<Item = Self>) -> Option<Self> {
        all.into_iter().reduce(|best, e| {
            let wins = e.confidence > best.confidence || e.confidence == best.confidence && e.vpn < best.vpn;
            if wins { e } else { best }
        })
    }
}

/// Evidence in the datagrams of a UDP flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Datagrams {
    wireguard: WireGuard,
    openvpn: OpenVpn,
    ike: u32,
    l2tp: bool,
    esp: [EspRuns; 2],
}

impl Datagrams {
    /// Takes in a datagram with payload. `nat_t`: one of the ports is 4500 (RFC 3948).
    pub fn read(&mut self, side: Side, bytes: &[u8], wire_len: u32, nat_t: bool) {
        self.wireguard.read(side, bytes, wire_len);
        self.openvpn.message(side, bytes, wire_len);
        self.ike = self.ike.saturating_add(is_ike(bytes, wire_len).into());
        self.l2tp |= is_l2tp(bytes, wire_len);
        if nat_t {
            self.esp[side as usize].read(bytes, wire_len);
        }
    }

    /// The rules that hold.
    pub fn evidence(&self) -> impl Iterator<Item = Evidence> {
        let ike = match self.ike {
            0 => None,
            1 => Some(Evidence::new(Vpn::IpsecIke, 0.8, "ike_header")),
            _ => Some(Evidence::new(Vpn::IpsecIke, 1.0, "ike_header")),
        };
        let esp = self.esp.iter().any(EspRuns::holds);
        let esp = esp.then_some(Evidence::new(Vpn::IpsecEsp, 0.9, "udp_esp_sequence"));
        let l2tp = self.l2tp.then_some(Evidence::new(Vpn::L2tp, 0.8, "l2tp_control"));
        [self.wireguard.evidence(), ike, esp, l2tp, self.openvpn.evidence()].into_iter().flatten()
    }
}

/// WireGuard: every datagram has the shape of one of its four messages (WireGuard protocol, section 5.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct WireGuard {
    refuted: bool,
    initiation: bool,
    /// A response to an initiation.
    handshake: bool,
    /// Whether there were others than transport data.
    other: bool,
    data: u32,
    /// Sender indices of the last initiations of each side: a client that gets no answer tries again with another one.
    initiations: [[Option<[u8; 4]>; 4]; 2],
    /// Receiver index of the last response of each side: its initiation may have been captured after it.
    responses: [Option<[u8; 4]>; 2],
    /// Receiver indices of transport data of each side, the first two.
    receivers: [[Option<[u8; 4]>; 2]; 2],
    /// A side has more of them.
    many: bool,
}

impl WireGuard {
    fn read(&mut self, side: Side, bytes: &[u8], wire_len: u32) {
        if self.refuted {
            return;
        }
        let mut r = Reader::new(bytes);
        let index = |r: &mut Reader<'_>| r.array::<4>();
        let i = side as usize;
        match (r.array::<4>(), wire_len) {
            (Some([1, 0, 0, 0]), 148) => {
                (self.initiation, self.other) = (true, true);
                self.initiations[i].rotate_right(1);
                self.initiations[i][0] = index(&mut r);
                self.handshake |=
                    self.initiations[i][0].is_some_and(|s| self.responses[side.other() as usize] == Some(s));
            }
            (Some([2, 0, 0, 0]), 92) => {
                self.other = true;
                let receiver = index(&mut r).and_then(|_| index(&mut r));
                self.handshake |= receiver.is_some() && self.initiations[side.other() as usize].contains(&receiver);
                self.responses[i] = receiver;
            }
            (Some([3, 0, 0, 0]), 64) => self.other = true,
            (Some([4, 0, 0, 0]), 32..) if wire_len.is_multiple_of(16) => {
                self.data = self.data.saturating_add(1);
                let receiver = index(&mut r);
                if receiver.is_some() && !self.receivers[i].contains(&receiver) {
                    match self.receivers[i].iter_mut().find(|r| r.is_none()) {
                        Some(free) => *free = receiver,
                        None => self.many = true,
                    }
                }
            }
            _ => self.refuted = true,
        }
    }

    fn evidence(&self) -> Option<Evidence> {
        let is = |confidence, rule| Some(Evidence::new(Vpn::WireGuard, confidence, rule));
        match self {
            Self { refuted: true, .. } => None,
            Self { handshake: true, .. } => is(1.0, "wireguard_handshake"),
            Self { initiation: true, .. } => is(0.8, "wireguard_initiation"),
            Self { other: false, many: false, data: 4.., .. } => is(0.6, "wireguard_data"),
            _ => None,
        }
    }
}

/// OpenVPN: messages begin with an opcode and a key id (OpenVPN protocol, "Wire protocol"); the first ones of both sides
/// are resets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenVpn {
    refuted: bool,
    /// Who sent the first message, and its session id.
    client: Option<(Side, [u8; 8])>,
    /// What follows the session id, or the end, is as expected without further proof.
    plausible: bool,
    /// The reset of the server was seen, and whether the client's session id is in it.
    server: Option<bool>,
}

impl OpenVpn {
    /// Takes in a message, of which `bytes` may be only the start (of the first one of each side, all there is).
    pub fn message(&mut self, side: Side, bytes: &[u8], wire_len: u32) {
        if self.refuted {
            return;
        }
        let Some(&first) = bytes.first() else {
            self.refuted = true;
            return;
        };
        self.refuted |= !(1..=11).contains(&(first >> 3));
        match (self.client, self.server) {
            (None, _) => match reset(bytes, wire_len, &[1, 7, 10]) {
                Some(session) => {
                    self.client = Some((side, session));
                    let tail = bytes.len() as u64 == u64::from(wire_len) && bytes.ends_with(&[0; 5]);
                    self.plausible = tail || matches!(bytes.get(9..13), Some([0 | 0x0f, 0, 0, 1]));
                }
                None => self.refuted = true,
            },
            (Some((client, session)), None) if client != side => match reset(bytes, wire_len, &[2, 8]) {
                Some(_) => {
                    let rest = bytes.get(9..).unwrap_or_default();
                    self.server = Some(rest.windows(8).any(|w| w == session));
                }
                None => self.refuted = true,
            },
            _ => {}
        }
    }

    /// Whether the flow is none of OpenVPN.
    pub fn is_refuted(&self) -> bool {
        self.refuted
    }

    /// What holds.
    pub fn evidence(&self) -> Option<Evidence> {
        let is = |confidence| Some(Evidence::new(Vpn::OpenVpn, confidence, "openvpn_reset_pair"));
        match (self.refuted, self.server, self.plausible) {
            (false, Some(true), _) => is(1.0),
            (false, Some(false), true) => is(0.8),
            _ => None,
        }
    }
}

/// Session id of a reset with one of these opcodes, key id 0.
fn reset(bytes: &[u8], wire_len: u32, opcodes: &[u8]) -> Option<[u8; 8]> {
    let (first, rest) = bytes.split_first()?;
    let session = *rest.first_chunk::<8>()?;
    let sound = first & 7 == 0 && opcodes.contains(&(first >> 3)) && session != [0; 8] && wire_len >= 14;
    sound.then_some(session)
}

/// Messages after which OpenVPN over TCP is not followed any further: it can hardly turn out to be anything else.
const ENOUGH_MESSAGES: u16 = 1024;

/// OpenVPN over TCP, where each message stands behind its length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenVpnStream {
    /// What the messages say.
    pub messages: OpenVpn,
    /// Whether the reset of each side has been read.
    begun: [bool; 2],
    count: u16,
}

impl OpenVpnStream {
    /// Whether a stream may begin with a reset: a length, an opcode, a session id. None: too short to say.
    pub fn may_begin(bytes: &[u8]) -> Option<bool> {
        let mut r = Reader::new(bytes);
        let length = match bytes {
            [high] => *high <= 0x20,
            _ => r.u16().is_none_or(|n| (14..=8192).contains(&n)),
        };
        let opcode = bytes.get(2).is_none_or(|b| b & 7 == 0 && matches!(b >> 3, 1 | 2 | 7 | 8 | 10));
        r.u8();
        match (length && opcode, r.u64()) {
            (false, _) => Some(false),
            (true, Some(session)) => Some(session != 0),
            (true, None) => None,
        }
    }

    /// The other direction is something else.
    pub fn refute(&mut self) {
        self.messages.refuted = true;
    }
}

impl StreamSession for OpenVpnStream {
    fn read(&mut self, side: Side, shown: &Shown<'_>, _scratch: &mut Vec<u8>) -> Taken {
        let mut at = 0usize;
        while !self.messages.refuted && self.count < ENOUGH_MESSAGES {
            let mut r = Reader::new(shown.bytes.get(at..).unwrap_or_default());
            let Some(len) = r.u16() else { return Taken::bytes(at as u64) };
            let all = 2 + usize::from(len);
            if !(14..=8192).contains(&len) {
                self.messages.refuted = true;
                break;
            }
            let begun = &mut self.begun[side as usize];
            // Of the first message all is wanted, of the others the first byte.
            let wanted = if *begun { 1 } else { usize::from(len) };
            let Some(message) = r.take(wanted) else { return Taken::bytes(at as u64) };
            *begun = true;
            self.count += 1;
            self.messages.message(side, message, len.into());
            at += all;
            if at > shown.bytes.len() {
                return Taken::bytes(at as u64);
            }
        }
        Taken::DONE
    }

    fn restart(&mut self) {
        // What one connection has shown stays; the next one is not looked at.
        self.count = ENOUGH_MESSAGES;
    }
}

/// An IKE header (RFC 7296 section 3.1, RFC 2408 section 3.1), behind the marker of RFC 3948 or not.
fn is_ike(bytes: &[u8], wire_len: u32) -> bool {
    let header = |bytes: &[u8], len: u32| -> Option<bool> {
        let mut r = Reader::new(bytes);
        let initiator = r.u64()?;
        r.take(9)?;
        let (version, exchange) = (r.u8()?, r.u8()?);
        r.take(5)?;
        let known = matches!((version, exchange), (0x20, 34..=43) | (0x10, 1..=6 | 32 | 33));
        Some(initiator != 0 && known && r.u32()? == len)
    };
    let marked = || header(bytes.strip_prefix(&[0; 4])?, wire_len.checked_sub(4)?);
    header(bytes, wire_len) == Some(true) || marked() == Some(true)
}

/// A control message of L2TP (RFC 2661 section 3.1) whose first AVP is the type of the message.
fn is_l2tp(bytes: &[u8], wire_len: u32) -> bool {
    let mut r = Reader::new(bytes);
    // T, L, S set; O, P clear; version 2.
    let sound = r.u16().is_some_and(|flags| flags & 0xcb0f == 0xc802);
    let whole = r.u16().is_some_and(|len| u32::from(len) == wire_len);
    r.take(8);
    sound && whole && r.take(6) == Some(&[0x80, 8, 0, 0, 0, 0])
}

/// ESP in UDP: sequence numbers of one SPI that rise. Two SPIs may take turns: the last one comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct EspRuns([EspRun; 2]);

/// Datagrams of an SPI, one behind the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct EspRun {
    spi: u32,
    sequence: u32,
    len: u8,
}

impl EspRuns {
    fn read(&mut self, bytes: &[u8], wire_len: u32) {
        let mut r = Reader::new(bytes);
        let (Some(spi), Some(sequence)) = (r.u32(), r.u32()) else { return };
        // SPIs up to 255 are reserved (RFC 4303 section 2.1); 0 marks IKE.
        if self.holds() || spi < 256 || wire_len < 16 {
            return;
        }
        if self.0[0].spi != spi {
            self.0.swap(0, 1);
        }
        let run = &mut self.0[0];
        let len = match sequence.wrapping_sub(run.sequence) {
            1..=64 if spi == run.spi => run.len + 1,
            _ => 1,
        };
        *run = EspRun { spi, sequence, len };
    }

    /// Whether one was long enough; nothing is read after that.
    fn holds(&self) -> bool {
        self.0[0].len >= 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::{Wire, read_cut};
    use Side::{A, B};
    use proptest::prelude::*;

    fn udp(parts: &[(Side, &[u8])], nat_t: bool) -> Option<(&'static str, f64)> {
        let mut d = Datagrams::default();
        parts.iter().for_each(|(side, bytes)| d.read(*side, bytes, bytes.len() as u32, nat_t));
        Evidence::strongest(d.evidence()).map(|e| (e.rule, e.confidence))
    }

    fn message(kind: u8, fields: &[[u8; 4]], len: usize) -> Vec<u8> {
        let mut m = [&[[kind, 0, 0, 0]], fields].concat().concat();
        m.resize(len, 9);
        m
    }

    #[test]
    fn wireguard() {
        let initiation = message(1, &[[1, 2, 3, 4]], 148);
        let response = message(2, &[[5, 6, 7, 8], [1, 2, 3, 4]], 92);
        let data = |index| message(4, &[[index; 4]], 96);
        assert_eq!(udp(&[(A, &initiation), (B, &response), (A, &data(1))], false), Some(("wireguard_handshake", 1.0)));
        assert_eq!(udp(&[(B, &response), (A, &initiation)], false), Some(("wireguard_handshake", 1.0)));
        let other = message(2, &[[5, 6, 7, 8], [1, 2, 3, 5]], 92);
        assert_eq!(udp(&[(A, &initiation), (B, &other)], false), Some(("wireguard_initiation", 0.8)));
        // The same side cannot answer itself.
        assert_eq!(udp(&[(A, &initiation), (A, &response)], false), Some(("wireguard_initiation", 0.8)));
        assert_eq!(udp(&[(A, &initiation), (B, &response), (A, b"hello")], false), None);
        let four = [1, 2, 1, 2].map(data);
        let four: Vec<_> = four.iter().map(|d| (A, &d[..])).collect();
        assert_eq!(udp(&four, false), Some(("wireguard_data", 0.6)));
        assert_eq!(udp(&four[..3], false), None);
        let many: Vec<_> = [1, 2, 3, 1].map(data).to_vec();
        assert_eq!(udp(&many.iter().map(|d| (A, &d[..])).collect::<Vec<_>>(), false), None);
        assert_eq!(udp(&[(B, &other[..]); 5], false), None);
        assert_eq!(udp(&[(A, &message(4, &[], 95)[..]); 5], false), None);
    }

    const CLIENT: &[u8] = &[0x38, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0];
    const SERVER: &[u8] = &[0x40, 9, 9, 9, 9, 9, 9, 9, 9, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0];

    #[test]
    fn openvpn() {
        let data: &[u8] = &[0x30, 1, 2, 3];
        assert_eq!(udp(&[(A, CLIENT), (A, CLIENT), (B, SERVER), (A, data)], false), Some(("openvpn_reset_pair", 1.0)));
        let stranger = [&SERVER[..14], &[7; 12]].concat();
        assert_eq!(udp(&[(A, CLIENT), (B, &stranger)], false), Some(("openvpn_reset_pair", 0.8)));
        let odd = [CLIENT, &[1]].concat();
        assert_eq!(udp(&[(A, &odd), (B, &stranger)], false), None);
        assert_eq!(udp(&[(A, CLIENT)], false), None);
        assert_eq!(udp(&[(B, SERVER), (A, CLIENT)], false), None);
        assert_eq!(udp(&[(A, CLIENT), (B, SERVER), (A, b"\xff")], false), None);
        assert_eq!(udp(&[(A, CLIENT), (B, data), (B, SERVER)], false), None);
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&(message.len() as u16).to_be_bytes(), message].concat()
    }

    #[test]
    fn openvpn_over_tcp() {
        let mut wire = Wire::new(OpenVpnStream::default());
        wire.send(A, &framed(CLIENT)).send(B, &framed(SERVER)).send(A, &framed(&[0x30; 500]));
        assert_eq!(wire.session.messages.evidence().map(|e| e.confidence), Some(1.0));
        wire.send(A, &framed(&[0xff; 20]));
        assert!(wire.session.messages.evidence().is_none() && wire.is_done(A));
        assert_eq!(OpenVpnStream::may_begin(&framed(CLIENT)), Some(true));
        assert_eq!((OpenVpnStream::may_begin(&[0, 14, 0x38]), OpenVpnStream::may_begin(b"GET")), (None, Some(false)));
    }

    #[test]
    fn ipsec() {
        let ike = |version, exchange| {
            let mut m = vec![7; 16];
            m.extend([0, version, exchange, 8, 0, 0, 0, 0, 0, 0, 0, 30, 1, 1]);
            m
        };
        let (two, one) = (ike(0x20, 34), ike(0x10, 2));
        assert_eq!(udp(&[(A, &two)], false), Some(("ike_header", 0.8)));
        let marked = [&[0; 4], &one[..]].concat();
        assert_eq!(udp(&[(A, &two), (B, &marked)], false), Some(("ike_header", 1.0)));
        assert_eq!(udp(&[(A, &ike(0x20, 2))], false), None);
        assert_eq!(udp(&[(A, &two[..29])], false), None);
        let esp = |sequence: u32| [&[0, 0, 1, 0][..], &sequence.to_be_bytes(), &[5; 8]].concat();
        let run = |numbers: &[u32], nat_t| {
            let all: Vec<_> = numbers.iter().map(|n| esp(*n)).collect();
            udp(&all.iter().map(|m| (A, &m[..])).collect::<Vec<_>>(), nat_t)
        };
        assert_eq!(run(&[u32::MAX, 0, 64], true), Some(("udp_esp_sequence", 0.9)));
        let other = |sequence: u32| [&[9, 9, 9, 9], &esp(sequence)[4..]].concat();
        let turns: Vec<_> = (1..=3).flat_map(|n| [esp(n), other(n + 70)]).collect();
        assert_eq!(udp(&turns.iter().map(|m| (A, &m[..])).collect::<Vec<_>>(), true), Some(("udp_esp_sequence", 0.9)));
        assert_eq!((run(&[1, 2, 3], false), run(&[1, 2, 2, 3], true), run(&[1, 66, 130], true)), (None, None, None));
    }

    #[test]
    fn l2tp() {
        let mut m = vec![0xc8, 2, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 1];
        assert_eq!(udp(&[(A, &m)], false), Some(("l2tp_control", 0.8)));
        m[3] = 21;
        assert_eq!(udp(&[(A, &m)], false), None);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_facts(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 14..40), 0..5),
            sound in any::<bool>(),
            cuts in prop::collection::vec(0usize..200, 0..8),
        ) {
            let mut bytes = framed(CLIENT);
            for mut m in messages {
                if sound {
                    m[0] = 0x30;
                }
                bytes.extend(framed(&m));
            }
            let (at_once, cut) = (read_cut(OpenVpnStream::default(), &bytes, &[]), read_cut(OpenVpnStream::default(), &bytes, &cuts));
            prop_assert_eq!(at_once, cut);
        }

        #[test]
        fn any_datagrams_are_read_without_a_panic(
            all in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..60), any::<u32>()), 0..20),
        ) {
            let mut d = Datagrams::default();
            for (a, bytes, len) in &all {
                d.read(if *a { A } else { B }, bytes, *len, true);
            }
            let _ = Evidence::strongest(d.evidence());
        }
    }
}
