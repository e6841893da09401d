//! Laws of sessions: what is read does not depend on how the bytes were split, and memory is bounded.
//!
//! Input: segments, each a byte that says its side (top bit), whether it is to be cut (next bit) and its length in eights,
//! a byte that says where it is cut and by how many bytes it is shorter, and its bytes.

use std::fmt::Debug;

use joyfuljay_core::Side;
use joyfuljay_core::protocols::recognise::{self, Follow, Seen, Start, Stream};
use joyfuljay_core::protocols::testing::Wire;
use joyfuljay_core::protocols::{Datagram, DatagramSession, Session, dns, http1, http2, ssh};

/// A segment, and where it is cut.
pub(crate) struct Part<'a> {
    pub side: Side,
    pub bytes: &'a [u8],
    pub cut: usize,
}

pub(crate) fn parts(mut input: &[u8]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    while let [head, more, rest @ ..] = input {
        let side = if head & 0x80 == 0 { Side::A } else { Side::B };
        let len = (usize::from(head & 0x3f) * 8 + 8 - usize::from(more & 7)).min(rest.len());
        let (bytes, after) = rest.split_at(len);
        let cut = if head & 0x40 == 0 { 0 } else { usize::from(more >> 3) * 3 };
        parts.push(Part { side, bytes, cut });
        input = after;
    }
    parts
}

/// The laws of a session, whose facts are what is compared. Each side begins with bytes of its own.
pub(crate) fn laws<S: Session, F: PartialEq + Debug>(
    new: impl Fn() -> S,
    facts: impl Fn(&S) -> F,
    max_heap: usize,
    input: &[u8],
    mut begins: [&[u8]; 2],
) {
    let parts = parts(input);
    let (mut whole, mut cut, mut bytewise) = (Wire::new(new()), Wire::new(new()), Wire::new(new()));
    for part in &parts {
        let bytes = [std::mem::take(&mut begins[part.side as usize]), part.bytes].concat();
        whole.send(part.side, &bytes);
        cut.send_cut(part.side, &bytes, &[part.cut]);
        bytes.chunks(1).for_each(|byte| _ = bytewise.send(part.side, byte));
        assert!(whole.session.heap_bytes() <= max_heap);
        assert!(bytewise.session.heap_bytes() <= max_heap);
    }
    assert_eq!(facts(&whole.session), facts(&cut.session));
    assert_eq!(facts(&whole.session), facts(&bytewise.session));
    // Another connection in the same flow.
    whole.restart();
    parts.iter().for_each(|part| _ = whole.send(part.side, part.bytes));
    assert!(whole.session.heap_bytes() <= max_heap);
}

/// DNS over TCP. Times depend on the split.
pub fn dns(input: &[u8]) {
    let facts = |s: &dns::Session| {
        let response = s.response().map(|r| (r.rcode, r.counts, r.ttls));
        (s.queries, s.responses, s.transactions, s.unique_names(), s.question().cloned(), response, s.truncated())
    };
    laws(dns::Session::default, facts, dns::Session::MAX_HEAP, input, [&[]; 2]);
}

fn ssh_facts(s: &ssh::Session) -> (ssh::Direction, ssh::Direction, bool) {
    // How many segments there are depends on the split.
    (s.side(Side::A).clone(), s.side(Side::B).clone(), s.encrypted_segments().is_some())
}

/// SSH.
pub fn ssh(input: &[u8]) {
    laws(ssh::Session::default, ssh_facts, ssh::Session::MAX_HEAP, input, [&[]; 2]);
}

/// HTTP/1, and HTTP/2 behind it.
pub fn http1(input: &[u8]) {
    laws(|| http1::Session::new(true), http1::Session::clone, http1::Session::MAX_HEAP, input, [&[]; 2]);
}

/// HTTP/2.
pub fn http2(input: &[u8]) {
    let new = || {
        let mut session = http2::Session::default();
        session.begins_with_preface(Side::A);
        session
    };
    laws(new, http2::Session::clone, http2::Session::MAX_HEAP, input, [&[]; 2]);
}

/// What a connection speaks, and what follows it.
pub fn recognise(input: &[u8]) {
    let new = || Stream::new(Follow { ssh: true, http1: true, http1_fields: true, http2: true, openvpn: true });
    let facts = |s: &Stream| {
        let verdict = |side| Seen { initiator: Some(side), stream: Some(s), ..Seen::default() }.verdict();
        let vpn: Vec<_> = s.vpn().collect();
        let text = s.any(Start::Text);
        let verdicts = (verdict(Side::A), verdict(Side::B), vpn, text);
        (verdicts, s.ssh().map(ssh_facts), s.http1().cloned(), s.http2().cloned())
    };
    laws(new, facts, Stream::MAX_HEAP, input, [&[]; 2]);
}

/// Datagrams: DNS, tunnels, and what shows in a single one.
pub fn datagrams(input: &[u8]) {
    let (mut dns, mut others) = (dns::Session::default(), recognise::Datagrams::new(input.first() == Some(&1)));
    for part in parts(input) {
        // A length on the wire that is right, or not.
        let wire_len = part.bytes.len() as u32 + part.cut as u32;
        let datagram = Datagram { bytes: part.bytes, wire_len, at: 0 };
        DatagramSession::read(&mut dns, part.side, &datagram, &mut Vec::new());
        others.read(part.side, &datagram, &mut Vec::new());
        assert!(DatagramSession::heap_bytes(&dns) <= dns::Session::MAX_HEAP);
    }
    let _ = Seen { datagrams: Some(&others), ..Seen::default() }.verdict();
    let _ = (dns.question(), dns.response(), dns.response_time());
}
