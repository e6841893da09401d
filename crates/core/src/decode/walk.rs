//! The walk over the headers of one frame: where it stands, what it has seen, and the loop over the kinds of headers.
//!
//! A loop and not recursion: nesting is chosen by the sender of the frame, so it must not decide the depth of the stack.

use super::{ip, link, tunnel, wifi};
use crate::frame::LinkType;
use crate::packet::{Endpoint, FROM_FRAME, Layer, Layers, NO_OFFSET, Scope, ip_proto};
use crate::stats::SkipReason;

/// Most headers that are followed in a frame, VLAN tags included; each costs a few nanoseconds, and TShark follows as many.
const MAX_HEADERS: u8 = 128;
/// Most IP headers among them. Overlays of overlays have three.
const MAX_IP_HEADERS: u8 = 16;
/// Most datagrams that are put together inside one another: each copies its bytes.
const MAX_REASSEMBLED: u8 = 3;

/// The header that the walk stands before.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Ethernet,
    /// What follows a type field of Ethernet.
    EtherType(u16),
    Llc,
    Ppp,
    /// PPP in HDLC-like framing, or Cisco HDLC.
    PppHdlc,
    CiscoHdlc,
    Pppoe,
    Mpls,
    /// IP of the version its first nibble says.
    Ip,
    Ip4,
    Ip6,
    Wifi,
    /// 802.11 whose frame control may have its bytes swapped.
    WifiEitherOrder,
    Radiotap,
    /// A subframe of an 802.11 aggregate.
    Subframe,
    /// The first header of a link type.
    Link(LinkType),
    /// An IP payload: done, unless a tunnel begins here.
    Upper(Upper),
}

/// What one header led to.
pub(super) type Next = Result<Step, SkipReason>;

/// An IP header, and where its upper layer lies in the walk's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upper {
    pub src: Endpoint,
    pub dst: Endpoint,
    pub v6: bool,
    pub protocol: u8,
    pub ttl: u8,
    /// Offset of the IP header in the data of the batch.
    pub l3: u32,
    /// Start of the upper layer in the walk's bytes.
    pub l4: usize,
    /// End of its captured part.
    pub end: usize,
    /// Length by the IP header.
    pub ip_len: u32,
    /// Bytes of the upper layer on the wire.
    pub l4_len: u32,
    /// Whether an authentication header stands before the upper layer.
    pub ah: bool,
    /// Set for a fragment.
    pub piece: Option<Piece>,
}

/// Where a fragment belongs in its datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub id: u32,
    pub offset: u32,
    pub more: bool,
}

/// What the headers so far have said; put back when a tunnel turns out not to be one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub layers: Layers,
    pub scope: Scope,
    /// Offset of the latest Ethernet header in the data of the batch.
    pub ethernet: Option<u32>,
    /// Offset of the outermost IP header, once there is an inner one.
    pub outer_l3: u32,
    pub ip_headers: u8,
    /// Whether an authentication header stands before a tunnel that was entered.
    pub ah: bool,
}

/// The state of the walk over one frame.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    /// The captured bytes, cut back as lengths and trailers become known.
    pub bytes: &'a [u8],
    /// Where the next header starts.
    pub at: usize,
    /// Length of `bytes` on the wire.
    pub wire: usize,
    /// The same before lengths and trailers cut it back.
    whole_wire: usize,
    /// Offset of `bytes` in the data of the batch.
    pub base: u32,
    /// Offset of the frame in the data of the batch: that of `bytes`, but of a datagram put together.
    frame: u32,
    pub context: Context,
    /// Version of the outermost network layer, 0 before there is one.
    pub outermost: u8,
    /// Its length by its header.
    pub outermost_len: u32,
    first_l3: u32,
    headers: u8,
    reassembled: u8,
    /// Whether the header before which the walk stands was chosen by its version alone.
    by_version: bool,
    /// The IP packet around the tunnel that the walk is in, and the bytes it may use.
    around: Option<(Upper, Context, &'a [u8])>,
    /// Where the frame's next subframe begins, if it is an aggregate.
    pub further: Option<Further<'a>>,
}

/// A subframe that is still to be walked over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Further<'a> {
    bytes: &'a [u8],
    at: usize,
    wire: usize,
    context: Context,
}

impl<'a> Walk<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8], base: u32, wire: usize) -> Self {
        Self {
            bytes,
            at: 0,
            wire: wire.max(bytes.len()),
            whole_wire: wire.max(bytes.len()),
            base,
            frame: base,
            context: Context {
                layers: Layers::default(),
                scope: Scope::default(),
                ethernet: None,
                outer_l3: NO_OFFSET,
                ip_headers: 0,
                ah: false,
            },
            outermost: 0,
            outermost_len: 0,
            first_l3: NO_OFFSET,
            headers: 0,
            reassembled: 0,
            by_version: false,
            around: None,
            further: None,
        }
    }

    /// Remembers that the frame goes on with another subframe at `at`.
    pub fn note_further(&mut self, at: usize) {
        self.further = Some(Further { bytes: self.bytes, at, wire: self.wire, context: self.context });
    }

    /// The walk over the next subframe.
    pub fn at_further(base: u32, further: Further<'a>) -> Self {
        let mut walk = Self::new(further.bytes, base, further.wire);
        walk.at = further.at;
        walk.context = further.context;
        walk
    }

    /// Goes on in other bytes (a reassembled datagram) where `before` stood.
    pub fn resume(&mut self, before: &Walk<'_>, context: Context) {
        self.context = context;
        self.frame = before.frame;
        self.outermost = before.outermost;
        self.outermost_len = before.outermost_len;
        self.first_l3 = before.first_l3;
        self.headers = before.headers;
        self.reassembled = before.reassembled + 1;
    }

    /// Where the Ethernet header before an IP header is, see [`PacketInfo::ethernet`](crate::packet::PacketInfo::ethernet).
    #[inline]
    pub fn ethernet(&self, l3: u32) -> u16 {
        let Some(at) = self.context.ethernet else { return 0 };
        let within = |far: Option<u32>| far.and_then(|far| u16::try_from(far).ok()).filter(|far| *far < FROM_FRAME);
        let from_frame = || within(at.checked_sub(self.frame)).map(|from| from | FROM_FRAME);
        within(l3.checked_sub(at)).or_else(from_frame).unwrap_or(0)
    }

    /// Follows headers until the innermost IP packet.
    #[inline]
    pub fn run(&mut self, mut step: Step) -> Result<Upper, SkipReason> {
        loop {
            let next = match step {
                Step::Ip4 => ip::v4(self),
                Step::Ip6 => ip::v6(self),
                Step::Upper(upper) => {
                    let (context, bytes) = (self.context, self.bytes);
                    match tunnel::enter(self, &upper) {
                        None => return Ok(upper),
                        Some(next) => {
                            self.around = Some((upper, context, bytes));
                            self.context.ah |= upper.ah;
                            next
                        }
                    }
                }
                Step::Ethernet => link::ethernet(self),
                Step::EtherType(t) => link::ether_type(self, t),
                other => self.rare(other),
            };
            self.headers += 1;
            self.by_version &= !matches!(step, Step::Ip4 | Step::Ip6);
            step = match next {
                Ok(_) if self.is_too_deep() => return Err(SkipReason::TooDeep),
                Ok(step) => step,
                Err(reason) => match self.around.take() {
                    Some((upper, context, bytes)) => {
                        self.bytes = bytes;
                        self.context = context;
                        return Ok(upper);
                    }
                    None => return Err(reason),
                },
            };
        }
    }

    #[cold]
    #[inline(never)]
    fn rare(&mut self, step: Step) -> Next {
        match step {
            Step::Llc => link::llc(self),
            Step::Ppp => link::ppp(self),
            Step::PppHdlc => link::ppp_hdlc(self),
            Step::CiscoHdlc => link::cisco_hdlc(self),
            Step::Pppoe => link::pppoe(self),
            Step::Mpls => link::mpls(self),
            Step::Ip => {
                self.by_version = true;
                ip::by_version(self)
            }
            Step::Wifi => wifi::dot11(self, wifi::Layout::default()),
            Step::WifiEitherOrder => wifi::either_order(self),
            Step::Subframe => wifi::subframe(self),
            Step::Radiotap => wifi::radiotap(self),
            Step::Link(link) => link::other(self, link),
            Step::Ip4 | Step::Ip6 | Step::Upper(_) | Step::Ethernet | Step::EtherType(_) => Ok(step),
        }
    }

    /// The captured bytes from here on.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The first `N` captured bytes from here on.
    #[inline]
    pub fn peek<const N: usize>(&self) -> Result<&'a [u8; N], SkipReason> {
        self.bytes.get(self.at..).and_then(|b| b.first_chunk()).ok_or(SkipReason::Truncated)
    }

    /// Takes a header of `N` bytes.
    #[inline]
    pub fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], SkipReason> {
        let header = self.peek()?;
        self.at += N;
        Ok(header)
    }

    /// The present position as an offset into the data of the batch.
    #[inline]
    pub fn offset(&self) -> u32 {
        self.base.saturating_add(self.at as u32)
    }

    /// Bytes on the wire from here on.
    pub fn wire_rest(&self) -> usize {
        self.wire.saturating_sub(self.at)
    }

    /// Bytes on the wire from here on, whatever the headers around say.
    pub fn whole_wire_rest(&self) -> usize {
        self.whole_wire.saturating_sub(self.at)
    }

    /// The next `len` bytes are all that belongs to this layer; the rest is padding or a trailer.
    pub fn limit(&mut self, len: usize) {
        let end = self.at.saturating_add(len);
        self.wire = self.wire.min(end);
        self.bytes = self.bytes.get(..end).unwrap_or(self.bytes);
    }

    /// The last `len` bytes on the wire are a trailer.
    pub fn drop_trailer(&mut self, len: usize) {
        let len = self.wire_rest().saturating_sub(len);
        self.limit(len);
    }

    /// The captured bytes of an upper layer.
    #[inline]
    pub fn upper_bytes(&self, upper: &Upper) -> &'a [u8] {
        self.bytes.get(upper.l4..upper.end).unwrap_or_default()
    }

    pub fn push(&mut self, layer: Layer) {
        self.context.layers.push(layer);
    }

    /// Notes an IP header at the present position.
    #[inline]
    pub fn note_ip(&mut self, version: u8, len: u32) -> u32 {
        let l3 = self.offset();
        self.push(if version == 4 { Layer::Ip } else { Layer::Ip6 });
        if self.outermost == 0 {
            self.outermost = version;
            self.outermost_len = len;
            self.first_l3 = l3;
        } else {
            self.context.outer_l3 = self.first_l3;
        }
        self.context.ip_headers += 1;
        l3
    }

    #[inline]
    fn is_too_deep(&self) -> bool {
        self.headers > MAX_HEADERS || self.context.ip_headers > MAX_IP_HEADERS || self.reassembled > MAX_REASSEMBLED
    }

    /// Notes what claims to be IP and is not: the frame counts as IP on the link, as it does for TShark.
    #[cold]
    pub fn note_unsound_ip(&mut self, version: u8, len: u32) {
        if self.outermost == 0 {
            (self.outermost, self.outermost_len) = (version, len);
        }
    }

    /// Whether the walk is inside an IP packet.
    pub fn is_inside(&self) -> bool {
        self.around.is_some()
    }

    /// Whether the headers that lead here say that it is IP, and not only its first bits and a UDP port.
    pub fn is_named(&self) -> bool {
        let in_ethernet = |tunnel: &Upper| self.context.ethernet.is_some_and(|at| at > tunnel.l3);
        !self.by_version && self.around.as_ref().is_some_and(|(u, ..)| u.protocol != ip_proto::UDP || in_ethernet(u))
    }

    /// Puts the walk at an upper layer, cut to its end.
    pub fn enter(&mut self, upper: &Upper) {
        self.at = upper.l4;
        self.bytes = self.bytes.get(..upper.end).unwrap_or(self.bytes);
        self.wire = upper.l4.saturating_add(upper.l4_len as usize).max(upper.end);
    }
}

/// A big-endian number of two bytes.
pub(super) fn be16(b: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*b.get(at..)?.first_chunk()?))
}
