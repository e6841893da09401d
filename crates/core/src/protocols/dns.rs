//! DNS (RFC 1035), also as mDNS (RFC 6762) and LLMNR (RFC 4795): messages, and what a flow of them says.
//!
//! A message is believed only as a whole: header, questions and records have to parse within it. So it takes no port to
//! distinguish DNS from noise, and a damaged message counts for nothing.

use std::collections::VecDeque;
use std::fmt::Write as _;

use super::{Datagram, DatagramSession, Session as StreamSession, Shown, Taken};
use crate::frame::TimeNs;
use crate::hash::fold;
use crate::packet::Side;
use crate::wire::Reader;

/// Longest name in octets, lengths of labels and root included (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;

/// Most compression pointers that are followed in a message: a name may lead over all before it, which would cost the square of their
/// number.
const MAX_POINTERS: usize = 1 << 20;

/// Most open queries, and most different names, that a flow's session knows.
const MAX_DISTINCT: usize = 1024;

/// Messages behind a length prefix that may fail to parse, one after the other, before a stream is no DNS any more.
const MAX_FAILURES: u8 = 16;

/// A name within a message.
#[derive(Clone, Copy, Debug)]
struct Name<'a> {
    message: &'a [u8],
    start: usize,
}

impl<'a> Name<'a> {
    /// Steps over a name that begins at `start`: where it ends. None unless it is sound. So many `pointers` may still be followed.
    fn end(message: &[u8], start: usize, pointers: &mut usize) -> Option<usize> {
        let (mut at, mut run, mut end) = (start, start, None);
        let mut length = 1;
        loop {
            let n = usize::from(*message.get(at)?);
            match n {
                0 => return Some(end.unwrap_or(at + 1)),
                1..=63 => {
                    length += n + 1;
                    at += n + 1;
                    if length > MAX_NAME || at >= message.len() {
                        return None;
                    }
                }
                0xc0.. => {
                    let target = pointer(message, at)?;
                    end = end.or(Some(at + 2));
                    *pointers = pointers.checked_sub(1)?;
                    // Strictly before the labels that led here: a chain of pointers comes to an end.
                    if target >= run {
                        return None;
                    }
                    (at, run) = (target, target);
                }
                _ => return None,
            }
        }
    }

    /// The labels of a name that is sound.
    fn labels(self) -> impl Iterator<Item = &'a [u8]> {
        let mut at = self.start;
        std::iter::from_fn(move || {
            loop {
                let n = usize::from(*self.message.get(at)?);
                match n {
                    0 => return None,
                    1..=63 => {
                        let label = self.message.get(at + 1..at + 1 + n)?;
                        at += n + 1;
                        return Some(label);
                    }
                    _ => {
                        let target = pointer(self.message, at)?;
                        // As in `end`; also ends the walk of a name that nobody checked.
                        if target >= at {
                            return None;
                        }
                        at = target;
                    }
                }
            }
        })
    }

    /// Presentation format (RFC 1035 section 5.1) without the final dot; the root is ".".
    fn text(self) -> Box<str> {
        // A place more for each label, and so one too many.
        let octets = self.labels().map(|label| label.len() + 1).sum::<usize>();
        let mut text = String::with_capacity(octets.saturating_sub(1).max(1));
        for label in self.labels() {
            if !text.is_empty() {
                text.push('.');
            }
            for &b in label {
                match b {
                    b'.' | b'\\' => text.extend(['\\', char::from(b)]),
                    33..=126 => text.push(char::from(b)),
                    // Writing to a string cannot fail.
                    _ => _ = write!(text, "\\{b:03}"),
                }
            }
        }
        if text.is_empty() {
            text.push('.');
        }
        text.into()
    }

    /// A hash of the name, the case of ASCII letters ignored (RFC 4343).
    fn hash(self) -> u64 {
        let mut octets = [0; MAX_NAME + 1];
        let words = self.octets(&mut octets).div_ceil(8);
        // Zeros behind the last octet are no part of a name: none but the root has the length 0.
        let words = octets.as_chunks_mut().0.iter_mut().take(words);
        words.fold(0x9e37_79b9_7f4a_7c15, |hash, word: &mut [u8; 8]| {
            // Lengths are below all letters.
            word.make_ascii_lowercase();
            fold(hash ^ u64::from_le_bytes(*word), 0xa076_1d64_78bd_642f)
        })
    }

    /// Puts down the labels of a name that is sound, each behind its length, and says how many octets these are. They lie like this in the
    /// message, up to a pointer.
    fn octets(self, out: &mut [u8; MAX_NAME + 1]) -> usize {
        let (mut at, mut len) = (self.start, 0);
        loop {
            let from = at;
            let next = loop {
                match self.message.get(at) {
                    Some(&n @ 1..=63) => at += 1 + usize::from(n),
                    other => break other,
                }
            };
            let Some(labels) = self.message.get(from..at) else { return len };
            let Some(place) = out.get_mut(len..len + labels.len()) else { return len };
            place.copy_from_slice(labels);
            len += labels.len();
            match next.filter(|n| **n >= 0xc0).and_then(|_| pointer(self.message, at)) {
                // As in `end`; also ends the walk of a name that nobody checked.
                Some(target) if target < from => at = target,
                _ => return len,
            }
        }
    }
}

/// Where the compression pointer at `at` leads (RFC 1035 section 4.1.4).
fn pointer(message: &[u8], at: usize) -> Option<usize> {
    let octets = message.get(at..)?.first_chunk()?;
    Some(usize::from(u16::from_be_bytes(*octets) & 0x3fff))
}

/// A message that parses: what its header and its records say.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Identifier: a response has that of its query.
    pub id: u16,
    flags: u16,
    /// Records in the answer, authority and additional sections.
    pub counts: [u16; 3],
    question: Option<(Name<'a>, u16)>,
    extended: u8,
    /// Smallest and largest TTL of the answers.
    pub ttls: Option<(u32, u32)>,
}

impl<'a> Message<'a> {
    /// Reads a message; what lies behind the last record does not matter. None unless all of it parses.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let (id, flags) = (r.u16()?, r.u16()?);
        // Opcodes above 6 (DSO, RFC 8490) are not assigned.
        if flags >> 11 & 15 > 6 {
            return None;
        }
        let questions = r.u16()?;
        let counts = [r.u16()?, r.u16()?, r.u16()?];
        let mut message = Self { id, flags, counts, question: None, extended: 0, ttls: None };
        let (mut has_opt, mut pointers) = (false, MAX_POINTERS);
        for i in 0..questions {
            let start = r.position();
            r.take(Name::end(bytes, start, &mut pointers)? - start)?;
            let kind = r.u16()?;
            r.u16()?;
            if i == 0 {
                message.question = Some((Name { message: bytes, start }, kind));
            }
        }
        for (section, &count) in counts.iter().enumerate() {
            for _ in 0..count {
                let start = r.position();
                r.take(Name::end(bytes, start, &mut pointers)? - start)?;
                let (kind, _class, ttl, length) = (r.u16()?, r.u16()?, r.u32()?, r.u16()?);
                r.take(length.into())?;
                if section == 0 {
                    let (low, high) = message.ttls.unwrap_or((ttl, ttl));
                    message.ttls = Some((low.min(ttl), high.max(ttl)));
                }
                // The upper eight bits of the response code (RFC 6891 section 6.1.3).
                if section == 2 && kind == 41 && !has_opt {
                    has_opt = true;
                    message.extended = (ttl >> 24) as u8;
                }
            }
        }
        Some(message)
    }

    /// QR: whether it is a response.
    pub fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// Response code, with the upper bits of an OPT record.
    pub fn rcode(&self) -> u16 {
        u16::from(self.extended) << 4 | self.flags & 15
    }

    fn question(&self) -> Option<Question> {
        self.question.map(|(name, kind)| Question { name: name.text(), kind })
    }
}

/// The first question of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Name in presentation format, without the final dot.
    pub name: Box<str>,
    /// Type.
    pub kind: u16,
}

/// The query of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    id: u16,
    side: Side,
    /// When it came.
    pub ts: TimeNs,
    /// What it asks.
    pub question: Option<Question>,
    flags: u16,
}

/// The response of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// When it came.
    pub ts: TimeNs,
    /// Response code.
    pub rcode: u16,
    /// Records in the answer, authority and additional sections.
    pub counts: [u16; 3],
    /// Smallest and largest TTL of the answers.
    pub ttls: Option<(u32, u32)>,
    flags: u16,
    /// What it answers; kept only where there is no query.
    question: Option<Question>,
}

/// The messages of one flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Messages with QR = 0.
    pub queries: u64,
    /// Messages with QR = 1.
    pub responses: u64,
    /// Queries that got a response.
    pub transactions: u64,
    query: Option<Query>,
    /// The response to it; as long as there is no query, the first response.
    response: Option<Response>,
    /// The earliest query that waits for its response, unless it is among the others: most flows have one query, and need no list.
    waiting: Option<(u16, Side)>,
    /// Those that wait behind it.
    others: VecDeque<(u16, Side)>,
    names: Names,
    failures: [u8; 2],
    /// The latest time of the segments of each direction of a stream.
    latest: [Option<TimeNs>; 2],
}

/// Hashes of the different names asked for, [`MAX_DISTINCT`] at most. The first takes no memory of its own, as most flows have one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Names {
    first: Option<u64>,
    /// The others, sorted.
    others: Vec<u64>,
}

impl Names {
    fn insert(&mut self, name: Name<'_>) {
        let hash = name.hash();
        if *self.first.get_or_insert(hash) == hash || self.count() >= MAX_DISTINCT {
            return;
        }
        if let Err(place) = self.others.binary_search(&hash) {
            self.others.insert(place, hash);
        }
    }

    fn count(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }
}

impl Session {
    /// Most bytes on the heap: two names of 255 octets, each at most four characters long; and the two bounded lists,
    /// which at most double as they grow.
    pub const MAX_HEAP: usize = 2 * 4 * MAX_NAME + 2 * MAX_DISTINCT * (size_of::<(u16, Side)>() + size_of::<u64>());

    /// Reads what should be one message: whether it is.
    pub fn read_message(&mut self, side: Side, bytes: &[u8], ts: TimeNs) -> bool {
        let message = Message::parse(bytes);
        if let Some(message) = &message {
            self.message(side, message, ts);
        }
        message.is_some()
    }

    fn message(&mut self, side: Side, message: &Message<'_>, ts: TimeNs) {
        if let Some((name, _)) = message.question {
            self.names.insert(name);
        }
        if message.is_response() { self.take_response(side, message, ts) } else { self.take_query(side, message, ts) }
    }

    fn take_query(&mut self, side: Side, message: &Message<'_>, ts: TimeNs) {
        self.queries += 1;
        if self.query.is_none() {
            let question = message.question();
            self.query = Some(Query { id: message.id, side, ts, question, flags: message.flags });
            // A response before the first query does not answer it.
            self.response = None;
        }
        self.wait_for_response((message.id, side));
    }

    fn wait_for_response(&mut self, query: (u16, Side)) {
        if self.waiting.is_none() && self.others.is_empty() {
            self.waiting = Some(query);
            return;
        }
        if self.waiting_queries() >= MAX_DISTINCT && self.waiting.take().is_none() {
            self.others.pop_front();
        }
        self.others.push_back(query);
    }

    /// Whether a query waited for its response, which is there now.
    fn is_answered(&mut self, query: (u16, Side)) -> bool {
        if self.waiting == Some(query) {
            self.waiting = None;
            return true;
        }
        let place = self.others.iter().position(|other| *other == query);
        place.and_then(|place| self.others.remove(place)).is_some()
    }

    fn waiting_queries(&self) -> usize {
        usize::from(self.waiting.is_some()) + self.others.len()
    }

    fn take_response(&mut self, side: Side, message: &Message<'_>, ts: TimeNs) {
        self.responses += 1;
        let asked = (message.id, side.other());
        self.transactions += u64::from(self.is_answered(asked));
        let answers = self.query.as_ref().is_none_or(|q| (q.id, q.side) == asked);
        if answers && self.response.is_none() {
            self.response = Some(Response {
                ts,
                rcode: message.rcode(),
                counts: message.counts,
                ttls: message.ttls,
                flags: message.flags,
                question: if self.query.is_none() { message.question() } else { None },
            });
        }
    }

    /// Whether any message was read.
    pub fn detected(&self) -> bool {
        self.queries + self.responses > 0
    }

    /// The first question of the query; without a query, of the first response.
    pub fn question(&self) -> Option<&Question> {
        match &self.query {
            Some(q) => q.question.as_ref(),
            None => self.response.as_ref()?.question.as_ref(),
        }
    }

    /// The first response to the query; without a query, the first response.
    pub fn response(&self) -> Option<&Response> {
        self.response.as_ref()
    }

    /// Time from the query to its response, in nanoseconds.
    pub fn response_time(&self) -> Option<i64> {
        Some(self.response.as_ref()?.ts.saturating_sub(self.query.as_ref()?.ts))
    }

    /// TC of the response; without one, of the query.
    pub fn truncated(&self) -> Option<bool> {
        let flags = self.response.as_ref().map(|r| r.flags).or(self.query.as_ref().map(|q| q.flags))?;
        Some(flags & 0x0200 != 0)
    }

    /// RD of the query; without one, of the response.
    pub fn recursion_desired(&self) -> Option<bool> {
        let flags = self.query.as_ref().map(|q| q.flags).or(self.response.as_ref().map(|r| r.flags))?;
        Some(flags & 0x0100 != 0)
    }

    /// RA of the response.
    pub fn recursion_available(&self) -> Option<bool> {
        Some(self.response.as_ref()?.flags & 0x0080 != 0)
    }

    /// Different names in first questions.
    pub fn unique_names(&self) -> usize {
        self.names.count()
    }

    /// The flow has ended: frees what only further messages would need.
    pub fn end(&mut self) {
        self.others = VecDeque::new();
    }

    fn held(&self) -> usize {
        let asked = self.query.as_ref().and_then(|q| q.question.as_ref());
        let answered = self.response.as_ref().and_then(|r| r.question.as_ref());
        let names = [asked, answered].into_iter().flatten().map(|q| q.name.len()).sum::<usize>();
        names + self.others.capacity() * size_of::<(u16, Side)>() + self.names.others.capacity() * size_of::<u64>()
    }
}

impl DatagramSession for Session {
    fn read(&mut self, side: Side, datagram: &Datagram<'_>, _scratch: &mut Vec<u8>) -> Taken {
        self.read_message(side, datagram.bytes, datagram.at);
        Taken::bytes(0)
    }

    fn heap_bytes(&self) -> usize {
        self.held()
    }
}

/// In a TCP stream each message stands behind its length (RFC 1035 section 4.2.2).
impl StreamSession for Session {
    fn read(&mut self, side: Side, shown: &Shown<'_>, _scratch: &mut Vec<u8>) -> Taken {
        let mut r = Reader::new(shown.bytes);
        // A message is there with the last of its segments to come, not with the one that has its last byte.
        let latest = self.latest[side as usize].map_or(shown.segment.at, |latest| latest.max(shown.segment.at));
        self.latest[side as usize] = Some(latest);
        while let Some(message) = r.vec16() {
            let sound = self.read_message(side, message.rest(), latest);
            let failures = &mut self.failures[side as usize];
            *failures = if sound { 0 } else { failures.saturating_add(1) };
            if *failures >= MAX_FAILURES {
                return Taken::MALFORMED;
            }
        }
        Taken::bytes(r.position() as u64)
    }

    fn restart(&mut self) {
        self.failures = [0; 2];
        self.latest = [None; 2];
        self.waiting = None;
        self.others.clear();
    }

    fn heap_bytes(&self) -> usize {
        self.held()
    }
}

/// Name of a type (IANA DNS parameters, "Resource Record (RR) TYPEs").
pub fn type_name(kind: u16) -> Option<&'static str> {
    TYPES.binary_search_by_key(&kind, |t| t.0).ok().and_then(|i| TYPES.get(i)).map(|t| t.1)
}

/// Name of a response code (IANA DNS parameters, "DNS RCODEs").
pub fn rcode_name(rcode: u16) -> Option<&'static str> {
    Some(match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        11 => "DSOTYPENI",
        16 => "BADVERS",
        17 => "BADKEY",
        18 => "BADTIME",
        19 => "BADMODE",
        20 => "BADNAME",
        21 => "BADALG",
        22 => "BADTRUNC",
        23 => "BADCOOKIE",
        _ => return None,
    })
}

/// Types by number.
#[rustfmt::skip]
static TYPES: &[(u16, &str)] = &[
    (1, "A"), (2, "NS"), (3, "MD"), (4, "MF"), (5, "CNAME"), (6, "SOA"), (7, "MB"), (8, "MG"), (9, "MR"), (10, "NULL"),
    (11, "WKS"), (12, "PTR"), (13, "HINFO"), (14, "MINFO"), (15, "MX"), (16, "TXT"), (17, "RP"), (18, "AFSDB"),
    (19, "X25"), (20, "ISDN"), (21, "RT"), (22, "NSAP"), (23, "NSAP-PTR"), (24, "SIG"), (25, "KEY"), (26, "PX"),
    (27, "GPOS"), (28, "AAAA"), (29, "LOC"), (30, "NXT"), (31, "EID"), (32, "NIMLOC"), (33, "SRV"), (34, "ATMA"),
    (35, "NAPTR"), (36, "KX"), (37, "CERT"), (38, "A6"), (39, "DNAME"), (40, "SINK"), (41, "OPT"), (42, "APL"),
    (43, "DS"), (44, "SSHFP"), (45, "IPSECKEY"), (46, "RRSIG"), (47, "NSEC"), (48, "DNSKEY"), (49, "DHCID"),
    (50, "NSEC3"), (51, "NSEC3PARAM"), (52, "TLSA"), (53, "SMIMEA"), (55, "HIP"), (56, "NINFO"), (57, "RKEY"),
    (58, "TALINK"), (59, "CDS"), (60, "CDNSKEY"), (61, "OPENPGPKEY"), (62, "CSYNC"), (63, "ZONEMD"), (64, "SVCB"),
    (65, "HTTPS"), (66, "DSYNC"), (67, "HHIT"), (68, "BRID"), (99, "SPF"), (100, "UINFO"), (101, "UID"), (102, "GID"),
    (103, "UNSPEC"), (104, "NID"), (105, "L32"), (106, "L64"), (107, "LP"), (108, "EUI48"), (109, "EUI64"),
    (128, "NXNAME"), (249, "TKEY"), (250, "TSIG"), (251, "IXFR"), (252, "AXFR"), (253, "MAILB"), (254, "MAILA"),
    (255, "ANY"), (256, "URI"), (257, "CAA"), (258, "AVC"), (259, "DOA"), (260, "AMTRELAY"), (261, "RESINFO"),
    (262, "WALLET"), (263, "CLA"), (264, "IPN"), (32768, "TA"), (32769, "DLV"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::Segment;
    use crate::protocols::testing::read_cut;
    use proptest::prelude::*;

    impl Session {
        fn without_times(mut self) -> Self {
            self.query.iter_mut().for_each(|q| q.ts = 0);
            self.response.iter_mut().for_each(|r| r.ts = 0);
            Self { latest: [None; 2], ..self }
        }
    }

    /// A message: id, flags, one question of a name, answers as raw records.
    fn message(id: u16, flags: u16, name: &[u8], kind: u16, answers: &[&[u8]]) -> Vec<u8> {
        let mut m = Vec::new();
        for n in [id, flags, 1, answers.len() as u16, 0, 0] {
            m.extend(n.to_be_bytes());
        }
        m.extend(name);
        m.extend(kind.to_be_bytes());
        m.extend([0, 1]);
        answers.iter().for_each(|a| m.extend(*a));
        m
    }

    const NAME: &[u8] = b"\x03www\x07example\x04test\x00";
    /// A record of the name at 12: A, IN, TTL 60, 192.0.2.1.
    const ANSWER: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1];

    fn text(name: &[u8]) -> String {
        Message::parse(&message(1, 0, name, 1, &[])).and_then(|m| m.question()).unwrap().name.into()
    }

    #[test]
    fn a_query_and_its_response_are_a_transaction() {
        let mut s = Session::default();
        assert!(s.read_message(Side::A, &message(7, 0x0100, NAME, 1, &[]), 10));
        // Another id, the same direction, then the right one, twice.
        s.read_message(Side::B, &message(8, 0x8180, NAME, 1, &[]), 20);
        s.read_message(Side::A, &message(7, 0x8180, NAME, 1, &[]), 30);
        s.read_message(Side::B, &message(7, 0x8183, b"\x03WWW\x07example\x04test\x00", 1, &[ANSWER]), 40);
        s.read_message(Side::B, &message(7, 0x8185, NAME, 1, &[]), 50);
        assert_eq!((s.queries, s.responses, s.transactions, s.unique_names()), (1, 4, 1, 1));
        let r = s.response().unwrap();
        assert_eq!((r.rcode, r.counts, r.ttls), (3, [1, 0, 0], Some((60, 60))));
        assert_eq!((s.response_time(), s.truncated(), s.recursion_desired()), (Some(30), Some(false), Some(true)));
        assert_eq!(s.question().map(|q| (&*q.name, q.kind)), Some(("www.example.test", 1)));
    }

    #[test]
    fn without_a_query_the_first_response_speaks_until_a_query_comes() {
        let mut s = Session::default();
        s.read_message(Side::B, &message(7, 0x8180, NAME, 28, &[ANSWER]), 10);
        assert_eq!(s.question().map(|q| q.kind), Some(28));
        assert_eq!((s.response().map(|r| r.rcode), s.response_time()), (Some(0), None));
        s.read_message(Side::A, &message(7, 0x0200, NAME, 1, &[]), 20);
        assert_eq!((s.response(), s.question().map(|q| q.kind), s.truncated()), (None, Some(1), Some(true)));
    }

    #[test]
    fn names_are_in_presentation_format() {
        assert_eq!(text(b"\x00"), ".");
        assert_eq!(text(b"\x05a.b\\c\x02\x00\xff\x00"), "a\\.b\\\\c.\\000\\255");
        assert_eq!(text(b"\x01 \x00"), "\\032");
    }

    #[test]
    fn pointers_go_backwards_and_names_have_an_end() {
        let with = |owner: &[u8]| {
            let record = [owner, &ANSWER[2..]].concat();
            Message::parse(&message(1, 0x8000, NAME, 1, &[&record])).is_some()
        };
        assert!(with(&[0xc0, 12]) && with(b"\x01a\xc0\x10") && with(&[0xc0, 29]));
        // At itself, forwards, reserved label types.
        assert!(!with(&[0xc0, 34]) && !with(&[0xc0, 60]) && !with(&[0x40, 0]) && !with(&[0x80, 0]));
        // 16 labels of 15 octets are 256 with the root; one octet less is as long as a name may be.
        let long = |last: u8| {
            [&b"\x0f0123456789abcde".repeat(15)[..], &[last], &b"0123456789abcdef"[..last.into()], &[0]].concat()
        };
        assert!(Message::parse(&message(1, 0, &long(13), 1, &[])).is_some());
        assert!(Message::parse(&message(1, 0, &long(14), 1, &[])).is_none());
    }

    /// As of an encoder that points at where it has written a name last.
    #[test]
    fn a_chain_of_pointers_may_be_long_but_not_without_bounds() {
        let chain = |records: u16| {
            let answer = |i: u16| {
                // The question ends at 12 + 18 + 4, and each record has 16 bytes.
                let target = if i == 0 { 12 } else { 34 + 16 * (i.min(1000) - 1) };
                [&(0xc000 | target).to_be_bytes()[..], &ANSWER[2..]].concat()
            };
            let records: Vec<_> = (0..records).map(answer).collect();
            let records: Vec<_> = records.iter().map(Vec::as_slice).collect();
            Message::parse(&message(1, 0x8000, NAME, 1, &records)).is_some()
        };
        assert!(chain(129) && chain(300) && chain(1000) && !chain(3000));
    }

    #[test]
    fn a_message_comes_with_the_last_of_its_segments() {
        let whole = |flags| {
            let m = message(1, flags, NAME, 1, &[]);
            [&(m.len() as u16).to_be_bytes()[..], &m].concat()
        };
        let mut session = Session::default();
        let mut show = |side, bytes: &[u8], start: u64, at: TimeNs| {
            let segment = Segment { number: 0, start, end: bytes.len() as u64, first: true, at };
            StreamSession::read(&mut session, side, &Shown { offset: 0, bytes, segment }, &mut Vec::new());
        };
        show(Side::A, &whole(0), 0, 100);
        // The second half came first.
        let response = whole(0x8000);
        show(Side::B, &response[..20], 0, 147);
        show(Side::B, &response, 20, 107);
        assert_eq!(session.response_time(), Some(47));
    }

    #[test]
    fn a_name_has_one_hash_whether_in_capitals_or_behind_pointers() {
        let hash = |message: &[u8], start| Name { message, start }.hash();
        let compressed = b"\x04TEST\x00\x07example\xc0\x00\x03wwW\xc0\x06";
        assert_eq!(hash(compressed, 16), hash(NAME, 0));
        assert_eq!(hash(compressed, 6), hash(NAME, 4));
        let names = [hash(NAME, 0), hash(NAME, 4), hash(NAME, 12), hash(NAME, 17), hash(b"\x04test\x01x\x00", 0)];
        assert!(names.iter().enumerate().all(|(i, name)| !names[..i].contains(name)));
        // Nobody has checked these.
        hash(b"\x01a\xc0\x00", 0);
        hash(b"\x3fa", 0);
    }

    #[test]
    fn a_message_that_is_cut_is_none() {
        let whole = message(1, 0x8180, NAME, 1, &[ANSWER, ANSWER]);
        assert!((0..whole.len()).all(|n| Message::parse(&whole[..n]).is_none()));
        assert!(Message::parse(&[&whole[..], b"more"].concat()).is_some());
        let dso = message(1, 7 << 11, NAME, 1, &[]);
        assert!(Message::parse(&dso).is_none());
    }

    #[test]
    fn opt_extends_the_response_code() {
        let mut m = message(1, 0x8180, NAME, 1, &[]);
        m[11] = 1;
        m.extend([0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0]);
        assert_eq!(Message::parse(&m).unwrap().rcode(), 16);
        assert_eq!((rcode_name(16), rcode_name(12)), (Some("BADVERS"), None));
    }

    #[test]
    fn types_are_sorted_and_named() {
        assert!(TYPES.windows(2).all(|w| w[0].0 < w[1].0));
        assert_eq!((type_name(65), type_name(255), type_name(54)), (Some("HTTPS"), Some("ANY"), None));
    }

    #[test]
    fn open_queries_and_names_are_bounded() {
        let mut s = Session::default();
        for i in 0..3000u16 {
            let name = [&[4u8][..], format!("{i:04}").as_bytes(), &[0]].concat();
            s.read_message(Side::A, &message(i, 0, &name, 1, &[]), 0);
        }
        assert_eq!((s.waiting_queries(), s.unique_names(), s.queries), (MAX_DISTINCT, MAX_DISTINCT, 3000));
        assert!(s.held() <= Session::MAX_HEAP);
        // The oldest was forgotten.
        s.read_message(Side::B, &message(0, 0x8000, NAME, 1, &[]), 0);
        s.read_message(Side::B, &message(2999, 0x8000, NAME, 1, &[]), 0);
        assert_eq!(s.transactions, 1);
    }

    proptest! {
        #[test]
        fn any_split_of_a_stream_gives_the_same_facts(
            parts in prop::collection::vec((any::<bool>(), 0u16..4, any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..8),
            cuts in prop::collection::vec(0usize..400, 0..6),
        ) {
            let mut stream = Vec::new();
            for (sound, id, response, noise) in parts {
                let m = if sound { message(id, u16::from(response) << 15, NAME, 1, &[]) } else { noise };
                stream.extend((m.len() as u16).to_be_bytes());
                stream.extend(m);
            }
            let at_once = read_cut(Session::default(), &stream, &[]).without_times();
            prop_assert_eq!(at_once, read_cut(Session::default(), &stream, &cuts).without_times());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut s = Session::default();
            s.read_message(Side::A, &bytes, 0);
            prop_assert!(s.held() <= Session::MAX_HEAP);
            prop_assert!(read_cut(s, &bytes, &[]).held() <= Session::MAX_HEAP);
        }
    }
}
