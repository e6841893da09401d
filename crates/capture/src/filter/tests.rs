//! The filter against tcpdump, which has the same compiler and libpcap's own interpreter. Where there is no tcpdump or no
//! libpcap, these tests say so and pass.

use super::*;
use joyfuljay_core::frame::{Frame, FrameBatch};
use joyfuljay_io::source::{CaptureReader, PacketSource, Pulled};
use std::io::{Cursor, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Length on the wire, and the bytes.
type Owned = (u32, Vec<u8>);

const CAPTURES: &[&str] =
    &["demo.pcap", "big_endian_ns.pcap", "snaplen_96.pcap", "raw_ip.pcap", "tunnels.pcap", "fragments.pcap"];

const EXPRESSIONS: &[&str] = &[
    "",
    "tcp",
    "udp",
    "icmp or icmp6",
    "ip",
    "ip6",
    "not ip",
    "arp",
    "port 80",
    "port 53 or port 443",
    "src port 443",
    "dst portrange 1-1024",
    "not port 22",
    "host 192.0.2.10",
    "src host 192.0.2.53 and udp",
    "host 2001:db8::22",
    "net 192.0.2.0/24 and not host 192.0.2.12",
    "dst net 2001:db8::/32",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "tcp[13] = 0x12",
    "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420",
    "ip[6:2] & 0x3fff != 0",
    "ip[6] & 0x20 != 0 or ip[6:2] & 0x1fff > 0",
    "len > 1000",
    "greater 100 and less 500",
    "len % 2 = 1",
    "ip[2:2] / 3 * 2 ^ 5 > 40",
    "ip[8] << 1 >= 0x80 or ip[9] | 1 = 7",
    "-ip[8] + 300 > 200",
    "ip proto 47",
    "proto \\tcp",
    "udp[4:2] > 100 and udp[0:2] - udp[2:2] > 0",
    "vlan",
    "not vlan",
    "vlan and tcp",
    "vlan and udp",
    "vlan 5",
    "vlan and vlan and ip",
    "mpls",
    "pppoes and ip",
    "geneve",
    "ether host 02:00:00:00:00:01",
    "ether multicast or ether broadcast",
    "ether[12:2] > 0x600",
    "ip multicast or ip6 multicast",
    "tcp port 22 and (tcp[tcpflags] & tcp-push != 0 or len < 80)",
];

fn tests_data(name: &str) -> String {
    format!("{}/../../tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn frames(input: impl std::io::Read + Send + 'static) -> Vec<(LinkType, Owned)> {
    let mut reader = CaptureReader::from_reader("test", input).unwrap();
    let (mut batch, mut all) = (FrameBatch::new(), Vec::new());
    while reader.pull(&mut batch, Duration::ZERO).unwrap() != Pulled::End {
        let owned = |f: &Frame| (f.link, (f.wire_len, batch.bytes(f).to_vec()));
        all.extend(batch.frames.iter().map(owned));
    }
    all
}

/// A classic capture of these frames.
fn pcap(link: LinkType, frames: &[Owned]) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>();
    let mut out = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, u32::from(link.0)]);
    for (i, (wire_len, bytes)) in frames.iter().enumerate() {
        out.extend(words(&[i as u32, 0, bytes.len() as u32, *wire_len]));
        out.extend(bytes);
    }
    out
}

/// What `tcpdump -r - EXPRESSION` picks; none where it refuses the expression.
fn tcpdump(capture: &[u8], expression: &str) -> Option<Vec<Owned>> {
    let mut child = Command::new("tcpdump")
        .args(["-r", "-", "-w", "-", "--", expression])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let capture = capture.to_vec();
    // It refuses an expression before it has read everything.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&capture)));
    let out = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    out.status.success().then(|| frames(Cursor::new(out.stdout)).into_iter().map(|f| f.1).collect())
}

fn skip() -> bool {
    if let Err(FilterError::NoCompiler { tried, .. }) = Filter::new("tcp") {
        eprintln!("skipped: no libpcap: {tried}");
        return true;
    }
    if Command::new("tcpdump").arg("--version").output().is_err() {
        eprintln!("skipped: no tcpdump");
        return true;
    }
    false
}

/// Both pick the same frames, or both refuse. How many were picked.
fn agree(link: LinkType, frames: &[Owned], expression: &str) -> usize {
    let theirs = tcpdump(&pcap(link, frames), expression);
    let theirs_is = theirs.as_ref().map(Vec::len);
    let Ok(program) = Filter::new(expression).and_then(|filter| filter.program(link)) else {
        assert_eq!(theirs_is, None, "{expression:?} on {link}");
        return 0;
    };
    let mut filter = Filter::new(expression).unwrap();
    let ours: Vec<_> = frames.iter().filter(|(len, bytes)| filter.matches(link, *len, bytes)).cloned().collect();
    let theirs = theirs.unwrap_or_else(|| panic!("tcpdump refuses {expression:?} on {link}"));
    assert!(ours == theirs, "{expression:?} on {link}: {} of ours, {} of tcpdump's", ours.len(), theirs.len());
    assert!(program.for_socket().is_some(), "{expression:?}");
    ours.len()
}

#[test]
fn the_same_frames_as_tcpdump() {
    if skip() {
        return;
    }
    let captures: Vec<_> = CAPTURES
        .iter()
        .map(|name| {
            let frames = frames(std::fs::File::open(tests_data(name)).unwrap());
            (frames[0].0, frames.into_iter().map(|f| f.1).collect::<Vec<_>>())
        })
        .chain([(LinkType::ETHERNET, tagged())])
        .collect();
    for expression in EXPRESSIONS {
        let picked: usize = captures.iter().map(|(link, frames)| agree(*link, frames, expression)).sum();
        let nothing_there = ["ether host 02:00:00:00:00:01"];
        assert!(picked > 0 || nothing_there.contains(expression), "{expression}: a test of nothing");
    }
}

#[test]
fn a_program_for_each_link_type() {
    if skip() {
        return;
    }
    let all = frames(std::fs::File::open(tests_data("link_types.pcapng")).unwrap());
    assert!(all.len() > 30);
    for expression in ["", "ip", "udp", "port 10001 or port 10113 or port 10101", "len > 60", "tcp or not ip"] {
        for (link, frame) in &all {
            // libpcap's own are rewritten in the order of this machine when it reads them; see `in_host_order`.
            agree(*link, std::slice::from_ref(frame), expression);
        }
    }
}

/// An untagged, a tagged, and a twice tagged frame of each of TCP port 80 and UDP port 53; a priority tag; cut frames.
fn tagged() -> Vec<Owned> {
    let mut out = Vec::new();
    for (protocol, port) in [(6u8, 80u16), (17, 53)] {
        for tags in [&[][..], &[5u16], &[7, 5], &[0]] {
            let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
            for tag in tags {
                frame.extend([0x81, 0]);
                frame.extend(tag.to_be_bytes());
            }
            frame.extend([8, 0, 0x45, 0, 0, 40, 0, 1, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
            frame.extend(40_000u16.to_be_bytes());
            frame.extend(port.to_be_bytes());
            frame.resize(frame.len() + 16, 0);
            out.push((frame.len() as u32, frame.clone()));
            for len in [0, 12, 13, 14, 16, 20, frame.len() - 17] {
                out.push((frame.len() as u32, frame[..len].to_vec()));
            }
        }
    }
    out
}

/// The kernel takes the outer tag off before it filters; what the socket lets pass and the whole filter then picks must be
/// what the filter picks of whole frames.
#[test]
fn live_and_from_a_file_the_same() {
    if skip() {
        return;
    }
    for expression in EXPRESSIONS {
        let mut filter = Filter::new(expression).unwrap();
        let Ok(program) = filter.program(LinkType::ETHERNET) else { continue };
        let socket = Program::new(program.for_socket().unwrap()).unwrap();
        for (wire_len, frame) in tagged() {
            let whole = filter.matches(LinkType::ETHERNET, wire_len, &frame);
            let (seen, tag) = match frame.get(12..16) {
                Some([0x81, 0, high, low]) => {
                    ([&frame[..12], &frame[16..]].concat(), Some(u16::from_be_bytes([*high, *low])))
                }
                _ => (frame.clone(), None),
            };
            let passed = socket.run(&seen, wire_len - if tag.is_some() { 4 } else { 0 }, tag) != 0;
            assert!(passed || !whole, "{expression:?} loses {frame:02x?}");
            // Only frames that had a tag are passed on needlessly.
            assert!(tag.is_some() || passed == whole, "{expression:?}: {frame:02x?}");
        }
    }
}

#[test]
fn tags_count_as_tcpdump_counts_them() {
    if skip() {
        return;
    }
    let whole: Vec<_> = tagged().into_iter().filter(|(len, bytes)| *len as usize == bytes.len()).collect();
    for (expression, picked) in [
        ("vlan", 6),
        ("not vlan", 2),
        ("vlan and tcp", 2),
        ("tcp", 1),
        ("port 80", 1),
        ("vlan 5", 2),
        ("vlan and port 80", 2),
    ] {
        let mut filter = Filter::new(expression).unwrap();
        let n = whole.iter().filter(|(len, bytes)| filter.matches(LinkType::ETHERNET, *len, bytes)).count();
        assert_eq!(n, picked, "{expression}");
    }
}

#[test]
fn what_cannot_be_compiled_is_said_with_libpcaps_words() {
    if skip() {
        return;
    }
    let error = Filter::new("tcp and").unwrap_err().to_string();
    assert!(error.starts_with("filter 'tcp and': ") && error.contains("syntax error"), "{error}");
    assert!(Filter::new("prot 80").is_err());
    // tcpdump runs its loop, we do not.
    let error = Filter::new("ip6 protochain 6").unwrap_err().to_string();
    assert!(error.contains("its program is not run") && error.contains("jumps back"), "{error}");
    assert!(Filter::new("tcp\0").unwrap_err().to_string().contains("zero byte"));
    // What Ethernet does not have may be meant for another link type.
    let mut wifi = Filter::new("type mgt").unwrap();
    assert!(wifi.useless().is_none());
    assert!(!wifi.matches(LinkType::ETHERNET, 60, &[0; 60]));
    assert!(!wifi.matches(LinkType::ETHERNET, 60, &[0; 60]));
    let warnings = wifi.take_warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("ETHERNET (1)") && warnings[0].contains("left out"), "{}", warnings[0]);
    assert_eq!(wifi.take_warnings(), [""; 0]);
    assert!(wifi.useless().unwrap().contains("type mgt"));
    assert!(wifi.matches(LinkType::IEEE802_11, 24, &[0; 24]));
    assert_eq!(wifi.useless(), None);
}

#[test]
fn link_types_without_a_name_are_not_compiled_for() {
    if skip() {
        return;
    }
    let mut filter = Filter::new("tcp").unwrap();
    for number in 1000..3000 {
        assert!(!filter.matches(LinkType(number), 60, &[0; 60]));
    }
    assert_eq!((filter.take_warnings().len(), filter.programs.len()), (1, 1));
}

#[test]
fn address_families_of_either_byte_order() {
    if skip() {
        return;
    }
    let mut filter = Filter::new("ip").unwrap();
    let packet = [0x45, 0, 0, 20, 0, 0, 0, 0, 1, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    for family in [[2, 0, 0, 0], [0, 0, 0, 2]] {
        assert!(filter.matches(LinkType::NULL, 24, &[&family[..], &packet].concat()));
    }
    assert!(!filter.matches(LinkType::NULL, 24, &[&[0, 2, 0, 0][..], &packet].concat()));
    assert!(!filter.matches(LinkType::NULL, 3, &[2, 0, 0]));
}

/// Linux's own family of IPv6 is none of them.
#[cfg(unix)]
#[test]
fn ipv6_has_the_numbers_of_all_bsds() {
    if skip() {
        return;
    }
    let (mut filter, mut not) = (Filter::new("ip6").unwrap(), Filter::new("not ip6").unwrap());
    let packet = [&[0x60, 0, 0, 0, 0, 0, 59, 1][..], &[0; 32]].concat();
    for (family, wanted) in [(24u32, true), (28, true), (30, true), (2, false), (10, false)] {
        let mut both = |link, family: [u8; 4]| {
            let frame = [&family[..], &packet].concat();
            assert_eq!(
                [&mut filter, &mut not].map(|f| f.matches(link, 44, &frame)),
                [wanted, !wanted],
                "{link} {family:?}"
            );
        };
        both(LinkType::NULL, family.to_le_bytes());
        both(LinkType::NULL, family.to_be_bytes());
        both(LinkType::LOOP, family.to_be_bytes());
    }
}

/// As tcpdump has it where it reads a file.
#[cfg(unix)]
#[test]
fn what_no_file_says_is_refused() {
    if skip() {
        return;
    }
    let ethernet = |expression: &str| Filter::new(expression).and_then(|f| f.program(LinkType::ETHERNET));
    for expression in ["inbound", "tcp or outbound"] {
        assert!(matches!(ethernet(expression), Err(FilterError::Expression { .. })), "{expression}");
    }
    let program = ethernet("ip broadcast").unwrap();
    let frame = |last: u8| {
        let ip = [&[0x45, 0, 0, 20, 0, 0, 0, 0, 1, 17, 0, 0, 192, 0, 2, 1, 255, 255, 255][..], &[last]].concat();
        [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1, 8, 0], &ip].concat()
    };
    assert!(program.matches(&frame(255), 34) && !program.matches(&frame(7), 34));
}
