//! The sessions of a TCP connection, and who of them still wants bytes.

use super::cursor::Cursor;
use super::{AppWants, Ended, Found, has_dns_port};
use crate::packet::{FlowKey, Packet, Side};
use crate::protocols::recognise::{Follow, Stream};
use crate::protocols::tls::{SEARCHED, TlsSession};
use crate::streams::{Assembler, Progress, Reader, Run, Streams};

/// Both streams of a connection, and how far they were read.
#[derive(Debug)]
pub(super) struct Connection {
    streams: Streams,
    readers: Readers,
}

/// How far each session has got. None: it is not wanted, or has nothing to do here.
#[derive(Debug)]
struct Readers {
    tls: Option<TlsReader>,
    dns: Option<Cursor>,
    /// Everything else: what each direction begins with, and what follows.
    stream: Option<Cursor>,
    follow: Follow,
}

/// TLS may begin at the start of any segment in the first 64 KiB. There is a session from the first segment on that
/// begins as TLS does.
#[derive(Debug, Default)]
struct TlsReader {
    cursor: Cursor,
    /// Whether a direction is shown to the session.
    open: [bool; 2],
    /// Whether records are counted to the end of the connection.
    to_end: bool,
}

impl Connection {
    /// Most bytes, heap included.
    pub const MAX_BYTES: usize = size_of::<Self>() + 2 * Assembler::MAX_HEAP;

    /// Before the first packet, behind `segments` of earlier connections.
    pub fn new(key: &FlowKey, wants: AppWants, segments: u64) -> Self {
        let to_end = wants.has(AppWants::TLS_RECORDS);
        let tls = wants.has(AppWants::TLS).then(|| TlsReader { to_end, ..TlsReader::default() });
        let dns = (wants.has(AppWants::DNS) && has_dns_port(key)).then(Cursor::default);
        let follow = Follow {
            ssh: wants.has(AppWants::SSH),
            http1: wants.has(AppWants::HTTP1),
            http1_fields: wants.has(AppWants::HTTP1_FIELDS),
            http2: wants.has(AppWants::HTTP2),
            openvpn: wants.has(AppWants::RECOGNISE),
        };
        let stream =
            (follow != Follow { http1_fields: follow.http1_fields, ..Follow::default() }).then(Cursor::default);
        Self { streams: Streams::new(segments), readers: Readers { tls, dns, stream, follow } }
    }

    /// Takes in a packet. Whether nothing more is wanted.
    pub fn take(&mut self, packet: &Packet<'_>, side: Side, found: &mut Found, scratch: &mut Vec<u8>) -> bool {
        let mut reader = ConnectionReader { readers: &mut self.readers, found, scratch, woken: None };
        self.streams.push(packet, side, &mut reader);
        [Side::A, Side::B].into_iter().all(|s| self.readers.keep_from(s).is_none())
    }

    /// Memory is short: drops what is kept. How many directions are given up by it.
    pub fn drop_buffers(&mut self, found: &mut Found) -> u64 {
        let mut reader = ConnectionReader { readers: &mut self.readers, found, scratch: &mut Vec::new(), woken: None };
        self.streams.drop_buffers(&mut reader)
    }

    /// What the next connection needs to know.
    pub fn ended(&self) -> Ended {
        Ended { begins: self.streams.begins(), segments: self.streams.segments() }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.streams.heap_bytes()
    }

    /// See [`crate::trackers::Tracker::touch`].
    #[inline]
    pub fn touch(&self) -> u64 {
        self.streams.segments() ^ self.streams.heap_bytes() as u64
    }
}

impl Readers {
    /// Where the bytes begin that a session wants; none if no session wants any.
    fn keep_from(&self, side: Side) -> Option<u64> {
        let cursors = [self.tls.as_ref().map(|t| &t.cursor), self.dns.as_ref(), self.stream.as_ref()];
        cursors.into_iter().flatten().filter(|c| !c.is_done(side)).map(|c| c.taken(side)).min()
    }

    fn cursors(&mut self) -> impl Iterator<Item = &mut Cursor> {
        [self.tls.as_mut().map(|t| &mut t.cursor), self.dns.as_mut(), self.stream.as_mut()].into_iter().flatten()
    }
}

struct ConnectionReader<'a> {
    readers: &'a mut Readers,
    found: &'a mut Found,
    scratch: &'a mut Vec<u8>,
    /// The direction that may go on.
    woken: Option<Side>,
}

impl ConnectionReader<'_> {
    /// Shows a direction to the session that follows what it begins with.
    #[inline]
    fn follow(&mut self, side: Side, run: &Run<'_>, again: bool) -> bool {
        let Self { readers, found, scratch, woken } = self;
        let Some(cursor) = &mut readers.stream else { return false };
        let session = found.stream.get_or_insert_with(|| Box::new(Stream::new(readers.follow)));
        let told = match again {
            false => cursor.show(session.as_mut(), side, run, scratch),
            true => cursor.show_again(session.as_mut(), side, run, scratch),
        };
        if told.wakes {
            *woken = Some(side.other());
        }
        told.malformed
    }

    fn progress(&self, side: Side) -> Progress {
        match self.readers.keep_from(side) {
            Some(keep_from) => Progress { keep_from, done: false },
            None => Progress { keep_from: u64::MAX, done: true },
        }
    }
}

impl Reader for ConnectionReader<'_> {
    fn read(&mut self, side: Side, run: &Run<'_>) -> Progress {
        let Self { readers, found, scratch, .. } = self;
        let mut malformed = false;
        if let Some(tls) = &mut readers.tls {
            malformed |= tls.read(side, run, &mut found.tls, scratch);
        }
        if let Some(cursor) = &mut readers.dns {
            let session = found.dns.get_or_insert_default();
            malformed |= cursor.show(session.as_mut(), side, run, scratch).malformed;
        }
        malformed |= self.follow(side, run, false);
        self.found.malformed += u64::from(malformed);
        self.progress(side)
    }

    fn woken(&mut self) -> Option<Side> {
        self.woken.take()
    }

    fn read_again(&mut self, side: Side, run: &Run<'_>) -> Progress {
        let malformed = self.follow(side, run, true);
        self.found.malformed += u64::from(malformed);
        self.progress(side)
    }

    fn lost(&mut self, side: Side) {
        use crate::protocols::Session;
        self.readers.cursors().for_each(|c| c.finish(side));
        if let Some(tls) = &mut self.found.tls {
            tls.lost(side);
        }
        if let Some(dns) = &mut self.found.dns {
            Session::lost(dns.as_mut(), side);
        }
        if let Some(stream) = &mut self.found.stream {
            stream.lost(side);
        }
    }

    fn restart(&mut self) {
        self.readers.cursors().for_each(|c| *c = Cursor::default());
        if let Some(tls) = &mut self.readers.tls {
            tls.open = [false; 2];
        }
        self.found.restart();
    }
}

impl TlsReader {
    /// Shows the session what it wants. Whether that broke the rules of TLS.
    fn read(
        &mut self,
        side: Side,
        run: &Run<'_>,
        session: &mut Option<Box<TlsSession>>,
        scratch: &mut Vec<u8>,
    ) -> bool {
        let Some(segment) = run.segments.last() else { return false };
        let [a, b] = &mut self.open;
        let open = if side == Side::A { a } else { b };
        if !*open {
            let begins = segment.first && segment.start < SEARCHED;
            *open =
                begins && run.range(segment.start, segment.end).first().is_some_and(|b| may_begin(*b, segment.start));
            let behind = if *open { segment.start } else { segment.end };
            self.cursor.skip_to(side, behind);
            if !*open {
                if segment.end >= SEARCHED {
                    self.cursor.finish(side);
                }
                return false;
            }
        }
        let session = session.get_or_insert_with(|| Box::new(TlsSession::new(self.to_end)));
        self.cursor.show(session.as_mut(), side, run, scratch).malformed
    }
}

/// Whether TLS may begin with this byte: a record; or at the start of the stream, a PROXY header (either version) before it.
fn may_begin(byte: u8, offset: u64) -> bool {
    matches!(byte, 20..=24) || offset == 0 && matches!(byte, b'P' | b'\r')
}
