//! HTTP/1 (RFC 9110, 9112): messages of both directions, followed by the rules for the length of their bodies, and the
//! change to HTTP/2 in clear (RFC 7540 section 3.2).

use std::borrow::Cow;
use std::collections::VecDeque;

use super::start_line::{Family, Kind, MAX_LINE, StartLine, line, start_line};
use super::{Probe, Session as StreamSession, Shown, Taken};
use super::{http2, ssh};
use crate::packet::Side;

/// Requests without their response that are remembered: more than any client pipelines.
const MAX_PENDING: usize = 1024;

/// Empty lines that may stand before a start line (RFC 9112 section 2.2 speaks of one at least).
const MAX_EMPTY_LINES: u8 = 4;

/// What a request asks for that decides how its response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    method: Method,
    /// To go on in HTTP/2, whatever the method.
    h2c: bool,
}

/// Methods whose responses have rules of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Head,
    Connect,
    Other,
}

/// The first request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: Box<str>,
    /// HTTP/1.x: x.
    pub minor: u8,
    /// The first field Host.
    pub host: Option<Box<str>>,
    /// The first field User-Agent.
    pub user_agent: Option<Box<str>>,
    /// All fields, where they are wanted and the header section is complete.
    pub fields: Option<Box<Fields>>,
}

/// The first final response; where there is none, the first response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status.
    pub status: u16,
    /// HTTP/1.x: x.
    pub minor: u8,
    /// The first field Content-Type.
    pub content_type: Option<Box<str>>,
}

/// Most bytes of the names of fields, and of the cookies: servers take less (Apache 8 KiB a line and 100 fields).
const MAX_FIELDS: usize = 16 << 10;

/// The fields of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Names in their order without Cookie and Referer, as sent, each behind a comma but the first.
    pub names: Vec<u8>,
    /// How many these are.
    pub count: u32,
    /// Values of the fields Cookie, joined by ";"; none without one.
    pub cookies: Option<Vec<u8>>,
    /// Whether there is a field Referer.
    pub referer: bool,
    /// The first bytes of the first field Accept-Language.
    pub language: Option<[u8; 8]>,
    /// There was more than is kept.
    pub cut: bool,
}

impl Fields {
    fn take(&mut self, name: &[u8], value: &[u8]) {
        let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
        if is(b"cookie") {
            let cookies = self.cookies.get_or_insert_default();
            let separator: &[u8] = if cookies.is_empty() { b"" } else { b";" };
            self.cut |= !append(cookies, &[separator, value]);
            return;
        }
        if is(b"referer") {
            self.referer = true;
            return;
        }
        if is(b"accept-language") && self.language.is_none() {
            let mut first = [0; 8];
            first.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
            self.language = Some(first);
        }
        let separator: &[u8] = if self.count == 0 { b"" } else { b"," };
        self.cut |= !append(&mut self.names, &[separator, name]);
        self.count += 1;
    }

    fn heap_bytes(&self) -> usize {
        self.names.capacity() + self.cookies.as_ref().map_or(0, Vec::capacity)
    }
}

/// Appends, where it fits.
fn append(to: &mut Vec<u8>, parts: &[&[u8]]) -> bool {
    let fits = to.len() + parts.iter().map(|p| p.len()).sum::<usize>() <= MAX_FIELDS;
    if fits {
        parts.iter().for_each(|part| to.extend_from_slice(part));
    }
    fits
}

/// The header section that is being read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Head {
    /// None: a request.
    status: Option<u16>,
    /// Of the request; of a response, of the one that it answers.
    asked: Option<Asked>,
    /// Whether its fields are wanted as facts.
    wanted: bool,
    host: Option<Box<str>>,
    user_agent: Option<Box<str>>,
    content_type: Option<Box<str>>,
    fields: Option<Box<Fields>>,
    length: Option<u64>,
    /// Lengths that contradict each other, or are no numbers.
    bad_length: bool,
    /// Transfer-Encoding: whether its last coding is chunked.
    chunked: Option<bool>,
}

/// What comes next in a direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    /// A start line, after so many empty lines.
    #[default]
    Start,
    Empty(u8),
    Fields(Box<Head>),
    /// The rest of a line too long to be read, within a header section (else within trailers).
    LongLine(Option<Box<Head>>),
    ChunkSize,
    ChunkEnd,
    Trailers,
    /// A request to CONNECT was sent: what comes next depends on the response.
    Tunnel,
    Http2,
    /// What a response to CONNECT has opened begins here.
    Opened,
    Done,
}

/// Both directions of a connection; the ones that begin with a start line of HTTP/1 are to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Requests.
    pub requests: u64,
    /// Responses, 1xx included.
    pub responses: u64,
    /// The first request.
    pub request: Option<Box<Request>>,
    /// The first final response; else the first.
    pub response: Option<Box<Response>>,
    /// A request speaks of DNS: its path has `/dns-query`, or it accepts or has `application/dns-message` (RFC 8484).
    pub dns_query: bool,
    /// Frames of HTTP/2 after `Upgrade: h2c`.
    pub http2: Option<Box<http2::Session>>,
    sides: [State; 2],
    /// Requests that wait for their response, with their sender.
    pending: [VecDeque<Asked>; 2],
    /// The client whose body, which is not at its end, has frames of HTTP/2 behind it.
    then_http2: Option<Side>,
    /// Values are those of an earlier connection: only counts go on.
    frozen: bool,
    /// Whether all fields of the first request are wanted.
    with_fields: bool,
}

impl Session {
    /// Before the first message. `with_fields`: all fields of the first request are kept.
    pub fn new(with_fields: bool) -> Self {
        Self { with_fields, ..Self::default() }
    }

    /// Most bytes on the heap: text of lines of which every byte may be wrong (three bytes for one), once as facts, once as
    /// what is being read for each direction.
    pub const MAX_HEAP: usize = 3 * 3 * 3 * MAX_LINE
        + 2 * 2 * MAX_PENDING * size_of::<Asked>()
        // Names and cookies of one request, in vectors that grow by doubling.
        + size_of::<Fields>()
        + 2 * 2 * MAX_FIELDS
        + size_of::<Request>()
        + size_of::<Response>()
        + 2 * size_of::<Head>()
        + size_of::<http2::Session>()
        + http2::Session::MAX_HEAP;

    /// Whether any message was read.
    pub fn detected(&self) -> bool {
        self.requests + self.responses > 0
    }

    /// HTTP/1.x: x of the response, without one of the request.
    pub fn minor(&self) -> Option<u8> {
        self.response.as_ref().map(|r| r.minor).or(self.request.as_ref().map(|r| r.minor))
    }

    /// Whether a direction has come to frames of HTTP/2.
    pub fn is_http2(&self, side: Side) -> bool {
        self.sides[side as usize] == State::Http2
    }

    /// Whether a direction has come to what a response to CONNECT has opened.
    pub fn is_opened(&self, side: Side) -> bool {
        self.sides[side as usize] == State::Opened
    }

    /// The flow has ended: frees what only further bytes would need.
    pub fn end(&mut self) {
        self.sides = Default::default();
        self.pending = Default::default();
        self.then_http2 = None;
    }

    /// A message begins.
    fn begin(&mut self, side: Side, start: &StartLine<'_>, minor: u8) -> Box<Head> {
        let mut head = Box::<Head>::default();
        match start.kind {
            Kind::Request { method, target } => {
                self.requests += 1;
                let method_of = |name: &[u8]| match name {
                    b"HEAD" => Method::Head,
                    b"CONNECT" => Method::Connect,
                    _ => Method::Other,
                };
                head.asked = Some(Asked { method: method_of(method), h2c: false });
                let path = target.split(|b| *b == b'?').next().unwrap_or_default();
                self.dns_query |= path.windows(10).any(|w| w == b"/dns-query");
                if self.request.is_none() && !self.frozen {
                    head.wanted = true;
                    head.fields = self.with_fields.then(Box::default);
                    let method = String::from_utf8_lossy(method).into();
                    self.request =
                        Some(Box::new(Request { method, minor, host: None, user_agent: None, fields: None }));
                }
            }
            Kind::Response(status) => {
                self.responses += 1;
                head.status = Some(status);
                let better = self.response.as_ref().is_none_or(|r| r.status < 200 && status >= 200);
                if better && !self.frozen {
                    head.wanted = true;
                    self.response = Some(Box::new(Response { status, minor, content_type: None }));
                }
                if !(100..200).contains(&status) || status == 101 {
                    head.asked = self.pending[side.other() as usize].pop_front();
                }
            }
        }
        head
    }

    /// A header section is complete: what comes next, behind so many bytes of body.
    fn complete(&mut self, side: Side, head: Head) -> (State, u64) {
        if head.wanted {
            match head.status {
                None => {
                    if let Some(r) = &mut self.request {
                        (r.host, r.user_agent, r.fields) = (head.host, head.user_agent, head.fields);
                    }
                }
                Some(_) => {
                    if let Some(r) = &mut self.response {
                        r.content_type = head.content_type;
                    }
                }
            }
        }
        let method = head.asked.map_or(Method::Other, |asked| asked.method);
        match head.status {
            None => {
                let pending = &mut self.pending[side as usize];
                if pending.len() >= MAX_PENDING {
                    pending.pop_front();
                }
                pending.extend(head.asked);
                match (head.chunked, head.length) {
                    _ if method == Method::Connect => (State::Tunnel, 0),
                    (Some(true), _) => (State::ChunkSize, 0),
                    // A request cannot end with the connection (RFC 9112 section 6.3).
                    (Some(false), _) => (State::Done, 0),
                    _ if head.bad_length => (State::Done, 0),
                    (None, length) => (State::Start, length.unwrap_or(0)),
                }
            }
            Some(101) => self.switch(side, head.asked.is_some_and(|asked| asked.h2c)),
            Some(status) => {
                let client = &mut self.sides[side.other() as usize];
                if method == Method::Connect {
                    let open = (200..300).contains(&status);
                    if *client == State::Tunnel {
                        *client = if open { State::Opened } else { State::Start };
                    }
                    if open {
                        return (State::Opened, 0);
                    }
                }
                let bodiless = status < 200 || status == 204 || status == 304 || method == Method::Head;
                match (head.chunked, head.length) {
                    _ if bodiless => (State::Start, 0),
                    (Some(true), _) => (State::ChunkSize, 0),
                    (None, Some(length)) if !head.bad_length => (State::Start, length),
                    // The body ends with the connection.
                    _ => (State::Done, 0),
                }
            }
        }
    }

    /// 101 Switching Protocols: both directions speak another protocol from here on.
    fn switch(&mut self, server: Side, h2c: bool) -> (State, u64) {
        let client = &mut self.sides[server.other() as usize];
        if !h2c {
            *client = State::Done;
            return (State::Done, 0);
        }
        match client {
            // Its body is not at its end yet.
            State::ChunkSize | State::ChunkEnd | State::Trailers | State::LongLine(None) => {
                self.then_http2 = Some(server.other());
            }
            _ => *client = State::Http2,
        }
        self.http2.get_or_insert_default().begins_with_preface(server.other());
        (State::Http2, 0)
    }

    /// One step: how many bytes it takes.
    fn step(&mut self, side: Side, bytes: &[u8]) -> Probe<u64> {
        let state = std::mem::take(&mut self.sides[side as usize]);
        let (next, step) = match state {
            State::Start => self.start(side, bytes, 0),
            State::Empty(n) => self.start(side, bytes, n),
            State::Fields(mut head) => match field_line(bytes) {
                Probe::Certain((text, n)) if text.is_empty() => {
                    let (next, body) = self.complete(side, *head);
                    (next, Probe::Certain(body.saturating_add(n as u64)))
                }
                Probe::Certain((text, n)) => {
                    self.dns_query |= head.field(&text);
                    (State::Fields(head), Probe::Certain(n as u64))
                }
                Probe::NeedMore => (State::Fields(head), Probe::NeedMore),
                Probe::NotThis => {
                    head.fields.iter_mut().for_each(|f| f.cut = true);
                    (State::LongLine(Some(head)), Probe::Certain(0))
                }
            },
            State::LongLine(head) => match bytes.iter().position(|b| *b == b'\n') {
                Some(end) => (head.map_or(State::Trailers, State::Fields), Probe::Certain(end as u64 + 1)),
                None if bytes.is_empty() => (State::LongLine(head), Probe::NeedMore),
                None => (State::LongLine(head), Probe::Certain(bytes.len() as u64)),
            },
            State::ChunkSize => match line(bytes) {
                Probe::Certain((text, n)) => match chunk_size(text) {
                    Some(0) => (State::Trailers, Probe::Certain(n as u64)),
                    Some(size) => (State::ChunkEnd, Probe::Certain(size.saturating_add(n as u64))),
                    None => (State::Done, Probe::NotThis),
                },
                Probe::NeedMore => (State::ChunkSize, Probe::NeedMore),
                Probe::NotThis => (State::Done, Probe::NotThis),
            },
            State::ChunkEnd => match bytes {
                [b'\r', b'\n', ..] => (State::ChunkSize, Probe::Certain(2)),
                [b'\n', ..] => (State::ChunkSize, Probe::Certain(1)),
                [] | [b'\r'] => (State::ChunkEnd, Probe::NeedMore),
                _ => (State::Done, Probe::NotThis),
            },
            State::Trailers => match line(bytes) {
                Probe::Certain((b"", n)) if self.then_http2 == Some(side) => (State::Http2, Probe::Certain(n as u64)),
                Probe::Certain((b"", n)) => (State::Start, Probe::Certain(n as u64)),
                Probe::Certain((_, n)) => (State::Trailers, Probe::Certain(n as u64)),
                Probe::NeedMore => (State::Trailers, Probe::NeedMore),
                Probe::NotThis => (State::LongLine(None), Probe::Certain(0)),
            },
            // Bytes that are no request are those of the tunnel; others wait for the response.
            State::Tunnel => match start_line(bytes) {
                Probe::NotThis if ssh::Banner::parse(bytes) == Probe::NotThis => (State::Done, Probe::NotThis),
                _ => (State::Tunnel, Probe::NeedMore),
            },
            State::Http2 => (State::Http2, Probe::NeedMore),
            State::Opened => (State::Opened, Probe::NeedMore),
            State::Done => (State::Done, Probe::NotThis),
        };
        self.sides[side as usize] = next;
        step
    }

    /// A start line.
    fn start(&mut self, side: Side, bytes: &[u8], empty: u8) -> (State, Probe<u64>) {
        let again = if empty == 0 { State::Start } else { State::Empty(empty) };
        match bytes {
            [b'\r', b'\n', ..] if empty < MAX_EMPTY_LINES => return (State::Empty(empty + 1), Probe::Certain(2)),
            [b'\n', ..] if empty < MAX_EMPTY_LINES => return (State::Empty(empty + 1), Probe::Certain(1)),
            [] | [b'\r'] => return (again, Probe::NeedMore),
            _ => {}
        }
        match start_line(bytes) {
            Probe::Certain(start) => {
                let Family::Http1(minor) = start.family else { return (State::Done, Probe::NotThis) };
                let n = start.len as u64;
                (State::Fields(self.begin(side, &start, minor)), Probe::Certain(n))
            }
            Probe::NeedMore => (again, Probe::NeedMore),
            // Frames may come before the response that says 101.
            Probe::NotThis
                if self.pending[side as usize].back().is_some_and(|asked| asked.h2c)
                    && http2::preface(bytes) != Probe::NotThis =>
            {
                (again, Probe::NeedMore)
            }
            Probe::NotThis => (State::Done, Probe::NotThis),
        }
    }
}

impl StreamSession for Session {
    fn read(&mut self, side: Side, shown: &Shown<'_>, scratch: &mut Vec<u8>) -> Taken {
        let mut at = 0u64;
        loop {
            let rest = usize::try_from(at).ok().and_then(|at| shown.bytes.get(at..)).unwrap_or_default();
            if self.is_http2(side) {
                let Some(http2) = &mut self.http2 else { return Taken::DONE };
                let shown = Shown { offset: shown.offset.saturating_add(at), bytes: rest, segment: shown.segment };
                let mut taken = http2.read(side, &shown, scratch);
                taken.bytes = taken.bytes.saturating_add(at);
                return taken;
            }
            match self.step(side, rest) {
                Probe::Certain(n) => at = at.saturating_add(n),
                Probe::NeedMore => return Taken::bytes(at),
                Probe::NotThis => return Taken::DONE,
            }
        }
    }

    fn restart(&mut self) {
        self.frozen = self.detected();
        self.end();
        if let Some(http2) = &mut self.http2 {
            http2.restart();
        }
    }

    fn heap_bytes(&self) -> usize {
        let len = |s: &Option<Box<str>>| s.as_ref().map_or(0, |s| s.len());
        let fields = |f: &Option<Box<Fields>>| f.as_ref().map_or(0, |f| size_of::<Fields>() + f.heap_bytes());
        let head =
            |h: &Head| size_of::<Head>() + len(&h.host) + len(&h.user_agent) + len(&h.content_type) + fields(&h.fields);
        let side = |s: &State| match s {
            State::Fields(h) | State::LongLine(Some(h)) => head(h),
            _ => 0,
        };
        self.sides.iter().map(side).sum::<usize>()
            + self.request.as_ref().map_or(0, |r| {
                size_of::<Request>() + r.method.len() + len(&r.host) + len(&r.user_agent) + fields(&r.fields)
            })
            + self.response.as_ref().map_or(0, |r| size_of::<Response>() + len(&r.content_type))
            + self.http2.as_ref().map_or(0, |h| size_of::<http2::Session>() + h.heap_bytes())
            + self.pending.iter().map(|p| p.capacity() * size_of::<Asked>()).sum::<usize>()
    }
}

impl Head {
    /// A field line (RFC 9112 section 5). Whether it speaks of DNS, in a request.
    fn field(&mut self, text: &[u8]) -> bool {
        let Some(colon) = text.iter().position(|b| *b == b':') else { return false };
        let (name, value) = (text.get(..colon).unwrap_or_default(), text.get(colon + 1..).unwrap_or_default());
        let value = trim(value);
        if let Some(fields) = &mut self.fields {
            fields.take(name, value);
        }
        let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
        let request = self.status.is_none();
        if is(b"host") {
            self.keep(value, |h| &mut h.host);
        } else if is(b"user-agent") {
            self.keep(value, |h| &mut h.user_agent);
        } else if is(b"content-type") {
            self.keep(value, |h| &mut h.content_type);
            return request && has_dns_message(value);
        } else if is(b"accept") {
            return request && has_dns_message(value);
        } else if is(b"content-length") {
            for part in value.split(|b| *b == b',').map(trim) {
                let n = std::str::from_utf8(part).ok().filter(|p| p.bytes().all(|b| b.is_ascii_digit()));
                let n = n.and_then(|p| p.parse().ok());
                self.bad_length |= n.is_none() || self.length.is_some_and(|l| Some(l) != n);
                self.length = self.length.or(n);
            }
        } else if is(b"transfer-encoding") {
            let last = value.rsplit(|b| *b == b',').next().map(trim).unwrap_or_default();
            self.chunked = Some(last.eq_ignore_ascii_case(b"chunked"));
        } else if is(b"upgrade") {
            let asks = value.split(|b| *b == b',').map(trim).any(|p| p.eq_ignore_ascii_case(b"h2c"));
            if let Some(asked) = self.asked.as_mut().filter(|_| request) {
                asked.h2c |= asks;
            }
        }
        false
    }

    /// Keeps the first value of a field; an empty one is kept as such until the section is complete.
    fn keep(&mut self, value: &[u8], place: impl FnOnce(&mut Self) -> &mut Option<Box<str>>) {
        if self.wanted {
            place(self).get_or_insert_with(|| String::from_utf8_lossy(value).into());
        }
    }
}

/// Most lines that are folded into one: all are read again with every byte that comes.
const MAX_FOLDS: usize = 64;

/// The next line of a header section with the lines that are folded into it, each fold as one space (RFC 9112 section 5.2), and its
/// length. Whether one follows, its first byte says.
fn field_line(bytes: &[u8]) -> Probe<(Cow<'_, [u8]>, usize)> {
    let mut field = Cow::Borrowed(&[][..]);
    let mut len = 0;
    for _ in 0..=MAX_FOLDS {
        let rest = bytes.get(len..).unwrap_or_default();
        match (line(rest), len) {
            (Probe::NeedMore, _) if bytes.len() <= MAX_LINE => return Probe::NeedMore,
            (Probe::Certain((b"", n)), 0) => return Probe::Certain((field, n)),
            (Probe::Certain((text, n)), 0) => (field, len) = (Cow::Borrowed(text), n),
            (Probe::Certain((text, n)), _) if len + n <= MAX_LINE => {
                let field = field.to_mut();
                field.push(b' ');
                field.extend_from_slice(trim(text));
                len += n;
            }
            _ => return Probe::NotThis,
        }
        match bytes.get(len) {
            None => return Probe::NeedMore,
            Some(b' ' | b'\t') => {}
            Some(_) => return Probe::Certain((field, len)),
        }
    }
    Probe::NotThis
}

/// Without the white space around it (OWS of RFC 9110 section 5.6.3).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// `application/dns-message` (RFC 8484 section 6).
fn has_dns_message(value: &[u8]) -> bool {
    let wanted = b"application/dns-message";
    value.windows(wanted.len()).any(|w| w.eq_ignore_ascii_case(wanted))
}

/// Size of a chunk (RFC 9112 section 7.1): hexadecimal digits, then white space or an extension.
fn chunk_size(text: &[u8]) -> Option<u64> {
    let end = text.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(text.len());
    if !matches!(text.get(end), None | Some(b' ' | b'\t' | b';')) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(text.get(..end)?).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::Wire;
    use proptest::prelude::*;

    fn talk(parts: &[(Side, &str)]) -> Session {
        let mut wire = Wire::new(Session::default());
        parts.iter().for_each(|(side, text)| _ = wire.send(*side, text.as_bytes()));
        wire.session
    }

    use Side::{A, B};

    #[test]
    fn a_request_and_its_response() {
        let s = talk(&[
            (A, "GET /a?/dns-query HTTP/1.1\r\nhost: \t a.test \r\nUser-Agent: x/1\r\nHost: b\r\n\r\n"),
            (B, "HTTP/1.0 404 Not Found\nContent-Type: text/html; charset=x\nContent-Length: 3\n\nabc"),
        ]);
        let (q, r) = (s.request.clone().unwrap(), s.response.clone().unwrap());
        assert_eq!(
            (&*q.method, q.minor, q.host.as_deref(), q.user_agent.as_deref()),
            ("GET", 1, Some("a.test"), Some("x/1"))
        );
        assert_eq!((r.status, r.minor, r.content_type.as_deref()), (404, 0, Some("text/html; charset=x")));
        assert_eq!((s.requests, s.responses, s.dns_query), (1, 1, false));
    }

    #[test]
    fn lines_may_be_folded() {
        let s = talk(&[
            (A, "GET / HTTP/1.1\r\nHost:\r\n a.test\r\nUser-Agent: x/1\r\n\t (a; \r\n  b) \r\n\r\n"),
            (
                B,
                "HTTP/1.1 200 OK\nTransfer-Encoding:\n chunked\nContent-Type: text/html;\n \n charset=x\n\n3\nabc\n0\n\n",
            ),
            (B, "HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\nab"),
            (B, "HTTP/1.1 404 Not Found\r\n\r\n"),
        ]);
        let (q, r) = (s.request.clone().unwrap(), s.response.clone().unwrap());
        assert_eq!((q.host.as_deref(), q.user_agent.as_deref()), (Some("a.test"), Some("x/1 (a; b)")));
        assert_eq!((r.content_type.as_deref(), s.responses), (Some("text/html;  charset=x"), 3));
        // More than a line may have, or more lines: what it begins with is passed over, as it would be in one line.
        let agent = |folds: String| {
            let s = talk(&[(A, &format!("GET / HTTP/1.1\r\nUser-Agent: b{folds}\r\nHost: a\r\n\r\n"))]);
            let q = s.request.unwrap();
            assert_eq!(q.host.as_deref(), Some("a"));
            q.user_agent.map(|agent| agent.len())
        };
        assert_eq!(agent("\r\n a".repeat(MAX_FOLDS)), Some(1 + 2 * MAX_FOLDS));
        assert_eq!(agent("\r\n a".repeat(MAX_FOLDS + 1)), None);
        assert_eq!(agent(format!("\r\n {}", "a".repeat(MAX_LINE - 10))), None);
    }

    #[test]
    fn a_header_section_that_is_cut_gives_no_fields() {
        let s = talk(&[(A, "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n")]);
        assert_eq!((s.requests, s.request.unwrap().host), (1, None));
        assert_eq!(talk(&[(A, "GET / HTTP/1.1")]).requests, 0);
    }

    #[test]
    fn bodies_are_stepped_over() {
        let s = talk(&[
            (A, "POST / HTTP/1.1\r\nContent-Length: 16\r\n\r\nGET / HTTP/1.1\r\nHEAD / HTTP/1.1\r\n\r\n"),
            (A, "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
            (
                B,
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5;x=y\r\nHTTP/\r\n",
            ),
            (
                B,
                "0\r\nTrailer: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nHTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n",
            ),
            (B, "HTTP/1.1 204 No\r\n\r\n\r\nHTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        ]);
        assert_eq!((s.requests, s.responses), (5, 6));
        assert_eq!(s.response.unwrap().status, 200);
    }

    #[test]
    fn lengths_that_contradict_each_other_end_the_reading() {
        let two = "GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: N\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        assert_eq!(talk(&[(A, &two.replace('N', "0"))]).requests, 2);
        assert_eq!(talk(&[(A, &two.replace('N', "1"))]).requests, 1);
        assert_eq!(talk(&[(A, &two.replace('N', "-0"))]).requests, 1);
        assert_eq!(talk(&[(A, &two.replace('N', "99999999999999999999"))]).requests, 1);
        let huge = "POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        assert_eq!(talk(&[(A, huge), (A, "GET / HTTP/1.1\r\n\r\n")]).requests, 1);
    }

    #[test]
    fn a_tunnel_is_not_read() {
        let (connect, get) = ("CONNECT a:443 HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n");
        let open = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        let s = talk(&[(A, connect), (B, open), (A, get), (B, "HTTP/1.1 200 OK\r\n\r\n")]);
        assert_eq!((s.requests, s.responses), (1, 1));
        let s = talk(&[
            (A, connect),
            (A, "GET / HT"),
            (B, "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"),
            (A, "TP/1.1\r\n\r\n"),
        ]);
        assert_eq!((s.requests, s.responses), (2, 1));
    }

    #[test]
    fn an_upgrade_to_http2_is_followed() {
        let ask = "GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n";
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let frames = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x03\0\0\0\0\0\x01abc";
        for parts in [[(A, ask), (B, answer), (A, frames)], [(A, ask), (A, &frames[..9]), (B, answer)]] {
            let mut all = parts.to_vec();
            if parts[2].0 == B {
                all.push((A, &frames[9..]));
            }
            let s = talk(&all);
            let h = s.http2.unwrap();
            assert_eq!((s.requests, s.responses, h.preface_seen, h.frames, h.streams()), (1, 1, true, 2, 1));
        }
        let refused = talk(&[(A, ask), (B, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), (A, ask)]);
        assert_eq!((refused.http2, refused.requests), (None, 2));
        let websocket = talk(&[(A, &ask.replace("h2c", "websocket")), (B, answer), (A, ask)]);
        assert_eq!((websocket.http2, websocket.requests), (None, 1));
    }

    #[test]
    fn any_method_may_ask_for_http2() {
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let frames = |s: Session| s.http2.map(|h| (h.preface_seen, h.frames));
        let head = "HEAD / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n";
        assert_eq!(frames(talk(&[(A, head), (B, answer), (A, preface)])), Some((true, 2)));
        // One that is refused is a HEAD still.
        let refused = "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nHTTP/1.1 200 OK\r\n";
        assert_eq!(talk(&[(A, head), (A, head), (B, refused)]).responses, 2);
        // The body of a request may go on behind the answer.
        let post = "POST / HTTP/1.1\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na";
        let rest = format!("bc\r\n0\r\nExpires: 0\r\n\r\n{preface}");
        for cut in [0, 2, 4, 7, 12, rest.len() - 1] {
            let s = talk(&[(A, post), (B, answer), (A, &rest[..cut]), (A, &rest[cut..])]);
            assert_eq!(frames(s), Some((true, 2)), "{cut}");
        }
    }

    #[test]
    fn dns_over_http() {
        assert!(talk(&[(A, "GET /x/dns-query?dns=a HTTP/1.1\r\n\r\n")]).dns_query);
        assert!(talk(&[(A, "POST / HTTP/1.1\r\nAccept: */*, Application/dns-message\r\nHost")]).dns_query);
        assert!(!talk(&[(A, "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\n\r\n")]).dns_query);
    }

    #[test]
    fn a_long_line_is_stepped_over() {
        let long = format!("GET / HTTP/1.1\r\nCookie: {}\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n", "x".repeat(50_000));
        for cut in [30, 20_000, 50_040] {
            let s = talk(&[(A, &long[..cut]), (A, &long[cut..])]);
            assert_eq!((s.requests, s.request.and_then(|r| r.host).as_deref()), (2, Some("a")));
        }
    }

    #[test]
    fn many_requests_stay_within_the_bound() {
        let all = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "\u{fffd}".repeat(5000)).repeat(3000);
        let mut wire = Wire::new(Session::default());
        wire.send(A, all.as_bytes());
        assert_eq!(wire.session.requests, 3000);
        assert!(wire.session.heap_bytes() <= Session::MAX_HEAP);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_facts(
            script in prop::collection::vec((0usize..12, prop::collection::vec(0usize..120, 0..4)), 0..12),
        ) {
            let parts = [
                (A, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (A, "HEAD / HTTP/1.1\nHost: a\n\n"),
                (A, "CONNECT a HTTP/1.1\r\n\r\n"), (A, "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"),
                (A, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x03\0\0\0\0\0\x01abc"), (A, "\r\nPOST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n"),
                (B, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
                (B, "HTTP/1.1 101 X\r\n\r\n"), (B, "HTTP/1.1 200 OK\r\n\r\n"), (B, "HTTP/1.1 204 No\r\n\r\n"),
                (B, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"), (A, "\x16\x03\x01"),
            ];
            let (mut at_once, mut cut) = (Wire::new(Session::default()), Wire::new(Session::default()));
            for (i, cuts) in script {
                let (side, text) = parts[i];
                at_once.send(side, text.as_bytes());
                cut.send_cut(side, text.as_bytes(), &cuts);
            }
            prop_assert_eq!(at_once.session, cut.session);
        }
    }
}
