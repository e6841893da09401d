//! What every flow keeps, whichever features are selected.

use std::net::IpAddr;

use super::tcp::Tcp;
use crate::frame::TimeNs;
use crate::packet::{FlowKey, Known, Layers, Packet, PacketInfo, Side, ip_proto, tcp_flags};
use crate::ports;
use crate::stats::EndReason;
use crate::trackers::TrackerMask;

/// Identity, times, counts by side and TCP state of a flow: as much as three cache lines, in the order in which a packet
/// looks at it.
///
/// The alignment is left as it is: only vectors of ordinary alignment grow in place, and those of many flows by moving
/// pages instead of bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FlowBase {
    /// Identity.
    pub key: FlowKey,
    /// Earliest packet time.
    pub first_ts: TimeNs,
    /// Latest packet time.
    pub last_ts: TimeNs,
    /// Packets by [`Side`].
    pub packets: [u64; 2],
    /// IP bytes by [`Side`].
    pub bytes: [u64; 2],
    /// Upper-layer payload bytes by [`Side`], as on the wire.
    pub payload: [u64; 2],
    /// Trackers that the flow has state of.
    pub(super) trackers: TrackerMask,
    /// Those of them that want further packets.
    pub(super) wanting: TrackerMask,
    /// Whether [`Side::A`] is the lower end point of the key.
    pub a_is_lo: bool,
    /// Who the initiator is, by [`FlowBase::initiator_by`].
    initiator: Side,
    initiator_by: InitiatorBy,
    /// Whether the initiator is that of an earlier row of the same connection.
    carried: bool,
    /// FIN seen from side A (1), B (2).
    fin: u8,
    /// Packets of side A (1) or B (2) of which the payload's length is not known: the snap length left too little.
    payload_unknown: u8,
    /// Why the flow ended.
    pub end: EndReason,
    /// Whether a FIN or a RST was seen.
    closing: bool,
    /// Whether the table has taken note that the flow is closed.
    pub(super) in_closed_queue: bool,
    /// Whether the table gives it up when it has been closed for long enough, and not only when it is quiet.
    pub(super) due_as_closed: bool,
    /// A row has gone out; what is left keeps the direction for what may still come.
    pub(super) remnant: bool,
    tcp: Tcp,
    /// Headers of the first packet.
    pub layers: Layers,
    /// Number of the flow's first packet in the input: a total order of flows.
    pub first_seq: u64,
}

const _: () = assert!(size_of::<FlowBase>() == 192, "a fourth cache line costs memory and misses");

/// What it rests on that an end point is called the initiator; later variants outrank earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InitiatorBy {
    /// It sent the earliest packet.
    First,
    /// The other end alone has the port of a service.
    Port,
    /// It received a SYN-ACK.
    SynAck,
    /// It sent the first SYN.
    Syn,
    /// It sent an ICMP echo request, or received the reply: the first echo message decides.
    Echo,
}

impl InitiatorBy {
    /// The value in rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Port => "port",
            Self::SynAck => "synack",
            Self::Syn => "syn",
            Self::Echo => "echo",
        }
    }
}

impl FlowBase {
    /// The flow that begins with this packet, which is not counted yet.
    pub fn start(packet: &Packet<'_>, first_seq: u64) -> Self {
        let p = packet.info;
        Self {
            key: p.key,
            first_seq,
            first_ts: p.ts,
            last_ts: p.ts,
            packets: [0; 2],
            bytes: [0; 2],
            payload: [0; 2],
            layers: p.layers,
            a_is_lo: p.from_lo,
            initiator: Side::A,
            initiator_by: InitiatorBy::First,
            carried: false,
            fin: 0,
            payload_unknown: 0,
            closing: false,
            in_closed_queue: false,
            due_as_closed: false,
            remnant: false,
            tcp: Tcp::default(),
            end: EndReason::EndOfInput,
            trackers: TrackerMask::NONE,
            wanting: TrackerMask::NONE,
        }
    }

    /// Where exactly one end has the port of a service, the other is the initiator unless a SYN says otherwise.
    pub(super) fn guess_by_port(&mut self) {
        let lo = self.key.port(true).is_some_and(ports::is_service);
        let hi = self.key.port(false).is_some_and(ports::is_service);
        if lo != hi {
            let initiator_is_lo = hi;
            self.initiator = if initiator_is_lo == self.a_is_lo { Side::A } else { Side::B };
            self.initiator_by = InitiatorBy::Port;
        }
    }

    /// Takes over who the initiator is from an earlier row of the same connection.
    pub(super) fn continue_from(&mut self, earlier: &Initiator) {
        self.initiator = if earlier.is_lo == self.a_is_lo { Side::A } else { Side::B };
        self.initiator_by = earlier.by;
        self.carried = true;
    }

    /// Takes over who the initiator of the same flow is, for packets that no longer show it.
    pub fn initiated_as(&mut self, other: &Self) {
        self.continue_from(&other.initiator_to_carry());
    }

    /// Who the initiator is, for a later row of the same connection.
    pub(super) fn initiator_to_carry(&self) -> Initiator {
        Initiator { is_lo: self.initiator_is_lo(), by: self.initiator_by }
    }

    /// Which side a packet of this flow comes from.
    pub fn side_of(&self, p: &PacketInfo) -> Side {
        if p.from_lo == self.a_is_lo { Side::A } else { Side::B }
    }

    /// Counts a packet.
    #[inline]
    pub fn update(&mut self, packet: &Packet<'_>, side: Side) {
        let p = packet.info;
        let s = side as usize;
        if p.ts < self.first_ts {
            self.first_ts = p.ts;
            if self.initiator_by == InitiatorBy::First && !self.carried {
                self.initiator = side;
            }
        }
        self.last_ts = self.last_ts.max(p.ts);
        self.packets[s] += 1;
        self.bytes[s] += u64::from(p.ip_len);
        self.payload[s] += u64::from(p.payload_len);
        self.payload_unknown |= u8::from(!p.known.has(Known::PAYLOAD_LEN)) << s;
        if p.has_tcp() {
            self.update_tcp(packet, side);
        } else if matches!(p.key.protocol, ip_proto::ICMP | ip_proto::ICMPV6)
            && self.initiator_by < InitiatorBy::Echo
            && !self.carried
        {
            self.update_icmp(p, side);
        }
    }

    #[inline]
    fn update_tcp(&mut self, packet: &Packet<'_>, side: Side) {
        let flags = packet.info.tcp_flags;
        if flags & (tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST) != 0 {
            self.closing |= flags & (tcp_flags::FIN | tcp_flags::RST) != 0;
            if flags & tcp_flags::SYN != 0 {
                let (by, initiator) = match flags & tcp_flags::ACK {
                    0 => (InitiatorBy::Syn, side),
                    _ => (InitiatorBy::SynAck, side.other()),
                };
                // The first SYN decides; a simultaneous open has two of them (RFC 9293 section 3.5).
                if by > self.initiator_by && !self.carried {
                    (self.initiator_by, self.initiator) = (by, initiator);
                }
            }
            if flags & tcp_flags::FIN != 0 {
                self.fin |= 1 << side as usize;
            }
        }
        self.tcp.update(packet, side);
    }

    /// RFC 792, RFC 4443 section 4: the type distinguishes a request from a reply.
    fn update_icmp(&mut self, p: &PacketInfo, side: Side) {
        let Some((kind, _)) = p.icmp() else { return };
        let initiator = match (p.key.protocol, kind) {
            (ip_proto::ICMP, 8) | (ip_proto::ICMPV6, 128) => side,
            (ip_proto::ICMP, 0) | (ip_proto::ICMPV6, 129) => side.other(),
            _ => return,
        };
        (self.initiator_by, self.initiator) = (InitiatorBy::Echo, initiator);
    }

    /// Whether a SYN without ACK may belong to this flow's connection.
    pub(super) fn fits_syn(&self, p: &PacketInfo) -> bool {
        self.tcp.fits_syn(p, self.side_of(p), p.ts.saturating_sub(self.first_ts))
    }

    /// Whether [`FlowBase::closed`] is worth asking: a FIN or a RST was seen. A connection may outlive its RST, and be closed again.
    #[inline]
    pub(super) fn may_be_closed(&self) -> bool {
        self.closing
    }

    /// How the connection was closed, if it was: FIN from both sides, or RST.
    #[inline]
    pub fn closed(&self) -> Option<EndReason> {
        match self.fin {
            3 => Some(EndReason::Fin),
            _ if self.tcp.is_reset() => Some(EndReason::Rst),
            _ => None,
        }
    }

    /// The initiator: the sender of the first SYN; else the receiver of a SYN-ACK; else the sender of the earliest packet.
    /// Of ICMP, the first echo message decides.
    pub fn initiator(&self) -> Side {
        self.initiator
    }

    /// What that rests on.
    pub fn initiator_by(&self) -> InitiatorBy {
        self.initiator_by
    }

    /// Index of the forward direction (initiator to responder) in arrays by [`Side`].
    pub fn fwd(&self) -> usize {
        self.initiator() as usize
    }

    /// Index of the backward direction in arrays by [`Side`].
    pub fn bwd(&self) -> usize {
        1 - self.fwd()
    }

    /// Address of the initiator.
    pub fn src_addr(&self) -> IpAddr {
        self.key.addr(self.initiator_is_lo())
    }

    /// Address of the responder.
    pub fn dst_addr(&self) -> IpAddr {
        self.key.addr(!self.initiator_is_lo())
    }

    /// Port of the initiator; none for a protocol without ports.
    pub fn src_port(&self) -> Option<u16> {
        self.key.port(self.initiator_is_lo())
    }

    /// Port of the responder; none for a protocol without ports.
    pub fn dst_port(&self) -> Option<u16> {
        self.key.port(!self.initiator_is_lo())
    }

    /// Upper-layer payload bytes of a side (index by [`Side`]), where they are known of all its packets.
    pub fn known_payload(&self, side: usize) -> Option<u64> {
        (self.payload_unknown >> side & 1 == 0).then(|| self.payload.get(side).copied()).flatten()
    }

    /// Packets of both sides.
    pub fn total_packets(&self) -> u64 {
        self.packets[0] + self.packets[1]
    }

    /// IP bytes of both sides.
    pub fn total_bytes(&self) -> u64 {
        self.bytes[0] + self.bytes[1]
    }

    fn initiator_is_lo(&self) -> bool {
        (self.initiator() == Side::A) == self.a_is_lo
    }
}

/// Who the initiator of a connection is, whichever side it is in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Initiator {
    is_lo: bool,
    by: InitiatorBy,
}
