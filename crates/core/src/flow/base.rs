//! What every flow keeps, whichever features are selected.

use std::net::IpAddr;

use crate::frame::TimeNs;
use crate::packet::{FlowKey, Layers, Packet, PacketInfo, Side, tcp_flags};
use crate::stats::EndReason;
use crate::trackers::TrackerMask;

/// Identity, times, counts by side and TCP state of a flow.
#[derive(Clone, Debug)]
pub struct FlowBase {
    /// Identity.
    pub key: FlowKey,
    /// Number of the flow's first packet in the input: a total order of flows.
    pub first_seq: u64,
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
    /// Headers of the first packet.
    pub layers: Layers,
    /// Addresses of the outermost IP header of the first packet (source, destination), for a tunnelled flow.
    pub outer: Option<Box<(IpAddr, IpAddr)>>,
    /// Whether [`Side::A`] is the lower end point of the key.
    pub a_is_lo: bool,
    /// Who opened the flow, see [`FlowBase::initiator`].
    initiator: Opened,
    /// FIN seen from side A (1), B (2).
    pub fin: u8,
    /// Whether the flow has been closed by FIN from both sides and only lingers for the last ACKs.
    pub closed: bool,
    /// Why the flow ended.
    pub end: EndReason,
    /// Trackers that the flow has state of.
    pub(super) trackers: TrackerMask,
    /// Those of them that want further packets.
    pub(super) wanting: TrackerMask,
}

/// What is known of who opened a flow; later variants outrank earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Opened {
    FirstPacket,
    SynAck(Side),
    Syn(Side),
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
            outer: packet.outer_addresses().map(Box::new),
            a_is_lo: p.from_lo,
            initiator: Opened::FirstPacket,
            fin: 0,
            closed: false,
            end: EndReason::EndOfInput,
            trackers: TrackerMask::NONE,
            wanting: TrackerMask::NONE,
        }
    }

    /// Which side a packet of this flow comes from.
    pub fn side_of(&self, p: &PacketInfo) -> Side {
        if p.from_lo == self.a_is_lo { Side::A } else { Side::B }
    }

    /// Counts a packet.
    pub fn update(&mut self, p: &PacketInfo, side: Side) {
        let s = side as usize;
        self.first_ts = self.first_ts.min(p.ts);
        self.last_ts = self.last_ts.max(p.ts);
        self.packets[s] += 1;
        self.bytes[s] += u64::from(p.ip_len);
        self.payload[s] += u64::from(p.payload_len);
        let flags = p.tcp_flags;
        if flags & tcp_flags::SYN != 0 {
            let opened = if flags & tcp_flags::ACK == 0 { Opened::Syn(side) } else { Opened::SynAck(side.other()) };
            // The first SYN decides; a simultaneous open has two of them (RFC 9293 section 3.5).
            if std::mem::discriminant(&opened) != std::mem::discriminant(&self.initiator) && opened > self.initiator {
                self.initiator = opened;
            }
        }
        if flags & tcp_flags::FIN != 0 {
            self.fin |= 1 << s;
        }
    }

    /// The initiator: the sender of the first SYN; else the receiver of a SYN-ACK; else the sender of the first packet.
    pub fn initiator(&self) -> Side {
        match self.initiator {
            Opened::FirstPacket => Side::A,
            Opened::SynAck(side) | Opened::Syn(side) => side,
        }
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
