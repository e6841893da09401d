//! A decoded packet: plain numbers and offsets into the batch that it came from.
//!
//! [`PacketInfo`] is `Copy` and free of lifetimes, so that it crosses threads beside its batch; [`Packet`] joins the
//! two again for readers of bytes. Lengths are wire lengths, never what the snap length left of them.

mod extensions;
mod key;
mod layer;
mod proto;
mod tcp_options;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::frame::{Frame, FrameBatch, LinkType, TimeNs};
pub(crate) use extensions::MAX_EXTENSIONS;
pub use extensions::{Extension, Extensions};
pub use key::{Endpoint, FlowKey, Scope, tunnel_kind};
pub use layer::{Layer, Layers};
pub use proto::{IpProtocol, ip_proto};
pub use tcp_options::{TcpOption, TcpOptionList, tcp_option};

/// TCP flag bits as on the wire (RFC 9293 section 3.1, RFC 3168, RFC 3540).
pub mod tcp_flags {
    #![allow(missing_docs)]
    pub const FIN: u16 = 0x001;
    pub const SYN: u16 = 0x002;
    pub const RST: u16 = 0x004;
    pub const PSH: u16 = 0x008;
    pub const ACK: u16 = 0x010;
    pub const URG: u16 = 0x020;
    pub const ECE: u16 = 0x040;
    pub const CWR: u16 = 0x080;
    /// AE of RFC 9768, formerly the nonce sum of RFC 3540.
    pub const AE: u16 = 0x100;
}

/// "There is no such header in this packet", where an offset is expected.
pub const NO_OFFSET: u32 = u32::MAX;

/// Which end of a flow sent a packet, counted from the flow's first packet.
///
/// Trackers count by side, because who the initiator is may become known late (a SYN seen after its SYN-ACK). Features
/// turn sides into forward and backward when the row is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Side {
    /// The sender of the flow's first packet.
    A = 0,
    /// The other end.
    B = 1,
}

impl Side {
    /// The other end.
    pub fn other(self) -> Self {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }
}

/// A packet's part in a fragmented datagram (RFC 791, RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fragment {
    /// A whole datagram.
    #[default]
    Whole,
    /// The fragment at offset 0, with more to come.
    First,
    /// Any later fragment.
    Later,
}

/// Which numbers of a packet its capture holds: a snap length may cut headers anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Known(u8);

impl Known {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// [`PacketInfo::payload_len`].
    pub const PAYLOAD_LEN: Self = Self(1);
    /// [`PacketInfo::seq`].
    pub const SEQ: Self = Self(2);
    /// [`PacketInfo::ack`].
    pub const ACK: Self = Self(4);
    /// [`PacketInfo::tcp_flags`], and a sound data offset: bytes 12 and 13 of the TCP header.
    pub const TCP_FLAGS: Self = Self(8);
    /// [`PacketInfo::window`].
    pub const WINDOW: Self = Self(16);
    /// The TCP header without its options (20 bytes): all of the above.
    pub const TCP_HEADER: Self = Self(32 | 31);
    /// [`PacketInfo::icmp`].
    pub const ICMP: Self = Self(64);
    /// That there is an authentication header (RFC 4302) before the upper layer.
    pub const AH: Self = Self(128);

    /// Whether all of `what` is known.
    #[inline]
    pub fn has(self, what: Self) -> bool {
        self.0 & what.0 == what.0
    }

    /// This and `what`.
    #[inline]
    pub const fn with(self, what: Self) -> Self {
        Self(self.0 | what.0)
    }

    /// This without `what`.
    #[inline]
    pub const fn without(self, what: Self) -> Self {
        Self(self.0 & !what.0)
    }

    /// `self` if the condition holds, else nothing.
    #[inline]
    pub const fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }
}

/// In [`PacketInfo::ethernet`]: counted from the start of the frame.
pub const FROM_FRAME: u16 = 0x8000;

/// What decoding found out about one packet. Offsets are into the data of the batch.
///
/// Every fragment of a datagram is a packet, with the `ip_len` and `payload_len` that are its own. The upper-layer
/// header (`l4`, the numbers of TCP and ICMP) and the payload are seen once, whole, with the fragment that completes
/// the datagram; where the first fragment was cut by the snap length, as far as captured and with that one.
///
/// Two cache lines, none of them shared with another packet: they often come from another processor's cache. The first finds
/// the flow, the second says what the packet is.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct PacketInfo {
    /// Time of capture.
    pub ts: TimeNs,
    /// [`FlowKey::keyed_hash`] of `key` under the engine's secret.
    pub hash: u64,
    /// The flow.
    pub key: FlowKey,
    /// Headers from the outside in.
    pub layers: Layers,
    /// Index of the frame in the batch.
    pub frame: u32,
    /// Start of the outermost IP header where the packet is tunnelled, else [`NO_OFFSET`].
    pub outer_l3: u32,
    /// Start of the innermost IP header, or [`NO_OFFSET`] for a packet that has no bytes.
    pub l3: u32,
    /// Start of the upper-layer header (TCP, UDP, ICMP…), or [`NO_OFFSET`] for a fragment that does not show it.
    pub l4: u32,
    /// Start of the captured upper-layer payload.
    pub payload_start: u32,
    /// End of the captured upper-layer payload.
    pub payload_end: u32,
    /// Length of the IP datagram on the wire, header included: IPv4 total length, or 40 + IPv6 payload length.
    pub ip_len: u32,
    /// Length of the upper-layer payload on the wire; 0 where it is not known.
    pub payload_len: u32,
    /// TCP sequence number.
    pub seq: u32,
    /// TCP acknowledgement number.
    pub ack: u32,
    /// TCP window as on the wire, unscaled.
    pub window: u16,
    /// TCP flags, see [`tcp_flags`]; 0 for other protocols.
    pub tcp_flags: u16,
    /// Type and code of an ICMP or ICMPv6 message.
    pub icmp: [u8; 2],
    /// Bytes from the innermost Ethernet header before the innermost IP header to that header; with [`FROM_FRAME`], from the start of
    /// the frame to it, where the IP header lies in a datagram put together; 0 without one.
    pub ethernet: u16,
    /// Which of the numbers are known.
    pub known: Known,
    /// Whether the sender is the lower end point of the key.
    pub from_lo: bool,
    /// IPv4 time to live, IPv6 hop limit.
    pub ttl: u8,
    /// Part in a fragmented datagram.
    pub fragment: Fragment,
}

const _: () = assert!(size_of::<PacketInfo>() == 128, "a third cache line costs misses");

impl PacketInfo {
    /// A packet that was made by hand: a flow and a time, and otherwise nothing, to be filled in by `..` syntax.
    pub fn by_hand(ts: TimeNs, key: FlowKey, from_lo: bool) -> Self {
        Self {
            ts,
            hash: 0,
            key,
            layers: Layers::default(),
            frame: 0,
            outer_l3: NO_OFFSET,
            l3: NO_OFFSET,
            l4: NO_OFFSET,
            payload_start: 0,
            payload_end: 0,
            ip_len: 0,
            payload_len: 0,
            seq: 0,
            ack: 0,
            window: 0,
            tcp_flags: 0,
            icmp: [0; 2],
            ethernet: 0,
            known: Known::PAYLOAD_LEN,
            from_lo,
            ttl: 64,
            fragment: Fragment::Whole,
        }
    }

    /// Whether TCP flags (and the data offset, the sequence and the acknowledgement number) are known.
    #[inline]
    pub fn has_tcp(&self) -> bool {
        self.known.has(Known::TCP_FLAGS)
    }

    /// Type and code of the ICMP or ICMPv6 message that the packet is.
    #[inline]
    pub fn icmp(&self) -> Option<(u8, u8)> {
        self.known.has(Known::ICMP).then_some((self.icmp[0], self.icmp[1]))
    }
}

/// A decoded packet together with the batch that it came in: everything that can be known of it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The numbers.
    pub info: &'a PacketInfo,
    /// The batch that `info` points into; an empty one for a packet that was made by hand.
    pub batch: &'a FrameBatch,
}

/// The batch of packets that have no bytes.
static NO_BATCH: FrameBatch = FrameBatch { data: Vec::new(), frames: Vec::new() };

impl<'a> Packet<'a> {
    /// A packet without bytes: made by hand, or a fragment whose frame is gone.
    pub fn without_bytes(info: &'a PacketInfo) -> Self {
        Self { info, batch: &NO_BATCH }
    }

    /// The frame; none for a packet without bytes. Of a datagram put together from fragments, the frame of the fragment
    /// that completed it.
    pub fn frame(&self) -> Option<&'a Frame> {
        self.batch.frames.get(self.info.frame as usize)
    }

    /// The link type of the frame, and its bytes as captured.
    pub fn link(&self) -> Option<(LinkType, &'a [u8])> {
        let frame = self.frame()?;
        Some((frame.link, self.batch.bytes(frame)))
    }

    /// The last Ethernet header before the packet's IP header (destination, source, type or length), and what comes behind it: tags, labels,
    /// and the like.
    pub fn ethernet(&self) -> Option<(&'a [u8; 14], &'a [u8])> {
        let (at, end) = match self.info.ethernet {
            0 => return None,
            from if from & FROM_FRAME != 0 => {
                let frame = self.frame()?;
                (frame.offset.checked_add((from & !FROM_FRAME).into())?, frame.offset.checked_add(frame.cap_len)?)
            }
            _ if self.info.l3 == NO_OFFSET => return None,
            back => (self.info.l3.checked_sub(back.into())?, self.info.l3),
        };
        self.range(at, end).split_first_chunk()
    }

    /// The innermost IP header with its options or extension headers, as far as it was captured; of a fragment, up to
    /// the fragment header. Of a datagram put together, that of the fragment that completed it.
    pub fn l3_header(&self) -> &'a [u8] {
        // Of nearly all packets the upper-layer header was reached: the frame, which lies elsewhere, need not be looked at.
        if self.info.fragment == Fragment::Whole && self.info.l4 <= self.info.payload_start {
            return self.range(self.info.l3, self.info.l4);
        }
        let rest = self.l3_rest();
        let len = match rest.first() {
            // The upper layer of a datagram put together lies elsewhere: only the header itself says where it ends.
            Some(_) if self.info.fragment != Fragment::Whole => {
                let mut extensions = Extensions::of(rest);
                while extensions.next().is_some() {}
                rest.len() - extensions.left_over()
            }
            _ => self.info.l4.saturating_sub(self.info.l3) as usize,
        };
        rest.get(..len).unwrap_or(rest)
    }

    /// The extension headers of the innermost IP header.
    pub fn extensions(&self) -> Extensions<'a> {
        Extensions::of(self.l3_header())
    }

    /// The upper-layer header as far as it was captured (for TCP, with its options).
    pub fn l4_header(&self) -> &'a [u8] {
        self.range(self.info.l4, self.info.payload_start)
    }

    /// The options of its TCP header, as far as captured.
    pub fn tcp_options(&self) -> TcpOptionList<'a> {
        TcpOptionList::of(self.l4_header())
    }

    /// The captured part of the upper-layer payload; of a fragmented datagram, the whole of it, with the packet that
    /// shows the upper-layer header too (see [`PacketInfo`]).
    pub fn payload(&self) -> &'a [u8] {
        self.range(self.info.payload_start, self.info.payload_end)
    }

    /// Length on the wire of the payload that [`Packet::payload`] shows: of a datagram put together, that of the whole
    /// datagram, where `payload_len` is the share of one fragment.
    #[inline]
    pub fn shown_payload_len(&self) -> u32 {
        self.info.payload_len.max(self.info.payload_end - self.info.payload_start)
    }

    /// Source and destination in the outermost IP header, where the packet is tunnelled.
    pub fn outer_addresses(&self) -> Option<(IpAddr, IpAddr)> {
        let ip = self.batch.data.get(self.info.outer_l3 as usize..)?;
        match ip.first()? >> 4 {
            4 => Some((
                <[u8; 4]>::try_from(ip.get(12..16)?).ok()?.into(),
                <[u8; 4]>::try_from(ip.get(16..20)?).ok()?.into(),
            )),
            6 => Some((
                <[u8; 16]>::try_from(ip.get(8..24)?).ok()?.into(),
                <[u8; 16]>::try_from(ip.get(24..40)?).ok()?.into(),
            )),
            _ => None,
        }
    }

    /// The bytes from the innermost IP header on, up to the end of the frame or, of a packet inside a datagram that was
    /// put together, of its payload.
    fn l3_rest(&self) -> &'a [u8] {
        let l3 = self.info.l3;
        if l3 == NO_OFFSET {
            return &[];
        }
        let end = match self.frame() {
            Some(f) if l3 < f.offset.saturating_add(f.cap_len) => f.offset.saturating_add(f.cap_len),
            _ => self.info.payload_end,
        };
        self.range(l3, end)
    }

    fn range(&self, start: u32, end: u32) -> &'a [u8] {
        self.batch.data.get(start as usize..end as usize).unwrap_or_default()
    }
}
