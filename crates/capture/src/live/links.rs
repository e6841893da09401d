//! What the kernel says of network interfaces (rtnetlink(7)), as bytes to read. One question tells everything that a capture
//! watches: names and numbers, up and down, sizes, losses.

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Number, never used again for another one.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Hardware type: an `ARPHRD_` number.
    pub hardware: u16,
    /// Whether it was set up.
    pub up: bool,
    /// Whether it can carry packets: set up, and a cable or its like at the other end.
    pub running: bool,
    /// Largest packet.
    pub mtu: u32,
    /// Number of the bridge, bond or team that it is a port of.
    pub master: Option<u32>,
    /// Number of the interface that carries it: of a VLAN, a macvlan and the like.
    pub parent: Option<u32>,
    /// Packets that the interface lost before the kernel saw them.
    pub missed: u64,
}

impl Link {
    /// The hardware type in words: the `ARPHRD_` numbers of linux/if_arp.h that machines have.
    pub fn hardware_name(&self) -> String {
        let name = match self.hardware {
            1 => "Ethernet",
            32 => "InfiniBand",
            280 => "CAN bus",
            512 => "PPP",
            519 | 65534 => "raw IP",
            768 => "IP in IP",
            769 => "IPv6 in IPv6",
            772 => "loopback",
            776 => "IPv6 in IP",
            778 => "GRE",
            801..=803 => "IEEE 802.11",
            804 | 805 => "IEEE 802.15.4",
            823 => "GRE over IPv6",
            824 => "netlink",
            other => return format!("type {other}"),
        };
        name.to_owned()
    }

    /// Whether frames of this hardware type can be captured.
    pub fn is_readable(&self) -> bool {
        super::block::link_type(self.hardware).is_some()
    }
}

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;

const HEADER: usize = 16;
const IFINFO: usize = 16;

const IFF_UP: u32 = 1;
const IFF_RUNNING: u32 = 0x40;

mod attribute {
    pub(super) const IFNAME: u16 = 3;
    pub(super) const MTU: u16 = 4;
    pub(super) const LINK: u16 = 5;
    pub(super) const MASTER: u16 = 10;
    pub(super) const LINKINFO: u16 = 18;
    pub(super) const STATS64: u16 = 23;
    pub(super) const LINK_NETNSID: u16 = 37;
    /// Within LINKINFO.
    pub(super) const INFO_KIND: u16 = 1;
}

/// Kinds of interfaces whose packets are seen on the one that carries them, too.
const CARRIED: &[&[u8]] = &[b"vlan", b"macvlan", b"macvtap", b"ipvlan", b"ipvtap", b"macsec"];

/// The question: all interfaces.
pub(crate) fn request() -> [u8; HEADER + IFINFO] {
    let mut request = [0; HEADER + IFINFO];
    request[0..4].copy_from_slice(&((HEADER + IFINFO) as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&RTM_GETLINK.to_ne_bytes());
    request[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    request
}

/// What a datagram of the answer says of what comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// More datagrams come.
    More,
    /// It was the last.
    Done,
    /// The kernel refuses, with this error number.
    Refused(i32),
}

/// Reads one datagram of the answer.
pub(crate) fn read(mut bytes: &[u8], links: &mut Vec<Link>) -> Answer {
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = length as usize;
        let Some(body) = bytes.get(HEADER..length) else { break };
        match kind {
            NLMSG_DONE => return Answer::Done,
            NLMSG_ERROR => return Answer::Refused(u32_at(body, 0).map_or(0, |code| (code as i32).wrapping_neg())),
            RTM_NEWLINK => links.extend(link(body)),
            _ => {}
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Answer::More
}

fn link(body: &[u8]) -> Option<Link> {
    let flags = u32_at(body, 8)?;
    let mut link = Link {
        index: u32_at(body, 4)?,
        hardware: u16_at(body, 2)?,
        up: flags & IFF_UP != 0,
        running: flags & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING,
        ..Link::default()
    };
    let (mut carried, mut elsewhere) = (false, false);
    for (kind, value) in attributes(body.get(IFINFO..)?) {
        match kind {
            attribute::IFNAME => link.name = text(value),
            attribute::MTU => link.mtu = u32_at(value, 0)?,
            attribute::LINK => link.parent = u32_at(value, 0),
            attribute::MASTER => link.master = u32_at(value, 0),
            attribute::LINK_NETNSID => elsewhere = true,
            attribute::LINKINFO => {
                carried = attributes(value).any(|(kind, value)| {
                    kind == attribute::INFO_KIND && CARRIED.contains(&value.strip_suffix(&[0]).unwrap_or(value))
                });
            }
            // rx_fifo_errors and rx_missed_errors, as libpcap counts them. rx_dropped is no loss of ours: it counts what the kernel
            // had no use for, after it was captured.
            attribute::STATS64 => {
                link.missed = [14, 15].iter().filter_map(|at| u64_at(value, 8 * at)).fold(0, u64::wrapping_add);
            }
            _ => {}
        }
    }
    link.parent = link.parent.filter(|_| carried && !elsewhere);
    (!link.name.is_empty()).then_some(link)
}

fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const HEADER: usize = 4;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        // The two upper bits say how its value is to be read.
        let kind = u16_at(bytes, 2)? & 0x3fff;
        let value = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.split(|b| *b == 0).next().unwrap_or_default()).into_owned()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Those interfaces that together show every packet once: set up, and neither ports of another one (a bridge shows what passes
/// through it) nor carried by another one (whose frames have the tag).
pub(crate) fn one_level(links: &[Link]) -> impl Iterator<Item = &Link> {
    let there = |index: Option<u32>| index.is_some_and(|index| links.iter().any(|link| link.index == index && link.up));
    links.iter().filter(move |link| link.up && !there(link.master) && !there(link.parent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn put(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = [((4 + value.len()) as u16).to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.resize(HEADER, 0);
        bytes.extend_from_slice(body);
        bytes
    }

    fn answer() -> Vec<u8> {
        let mut body = vec![0; IFINFO];
        body[2..4].copy_from_slice(&1u16.to_ne_bytes());
        body[4..8].copy_from_slice(&7u32.to_ne_bytes());
        body[8..12].copy_from_slice(&0x41u32.to_ne_bytes());
        let mut stats = [0u8; 192];
        stats[15 * 8] = 9;
        let parts = [
            put(3, b"eth0.5\0"),
            put(4, &1500u32.to_ne_bytes()),
            put(5, &2u32.to_ne_bytes()),
            put(0x8000 | 18, &put(1, b"vlan\0")),
            put(23, &stats),
        ];
        body.extend(parts.concat());
        [message(RTM_NEWLINK, &body), message(NLMSG_DONE, &[0; 4])].concat()
    }

    #[test]
    fn an_answer_is_read() {
        let mut links = Vec::new();
        assert_eq!(read(&answer(), &mut links), Answer::Done);
        let want = Link {
            index: 7,
            name: "eth0.5".into(),
            hardware: 1,
            up: true,
            running: true,
            mtu: 1500,
            master: None,
            parent: Some(2),
            missed: 9,
        };
        assert_eq!(links, [want]);
        assert_eq!(read(&message(NLMSG_ERROR, &(-1i32).to_ne_bytes()), &mut links), Answer::Refused(1));
    }

    #[test]
    fn one_level_shows_a_packet_once() {
        let link = |index, master, parent, up| Link { index, master, parent, up, ..Link::default() };
        let links = [
            link(1, None, None, true),
            link(2, Some(4), None, true),
            link(3, Some(4), None, true),
            link(4, None, None, true),
            link(5, None, Some(1), true),
            link(6, None, None, false),
            // Its bridge is down: the port alone shows its packets.
            link(7, Some(6), None, true),
        ];
        assert_eq!(one_level(&links).map(|l| l.index).collect::<Vec<_>>(), [1, 4, 7]);
    }

    proptest! {
        #[test]
        fn any_answer_is_read_to_its_end(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            damage in prop::collection::vec((0usize..300, any::<u8>()), 0..8),
        ) {
            let mut sound = answer();
            for (at, byte) in damage {
                if let Some(place) = sound.get_mut(at) {
                    *place = byte;
                }
            }
            for bytes in [bytes, sound] {
                let mut links = Vec::new();
                read(&bytes, &mut links);
                prop_assert!(links.len() <= bytes.len() / HEADER);
            }
        }
    }
}
