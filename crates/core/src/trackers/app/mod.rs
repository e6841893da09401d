//! What a flow says of itself: its application protocol, and what the first bytes of that hold.
//!
//! One tracker for all protocols, so that a flow's streams are put together once. It knows flows and packets; what
//! bytes mean is in [`crate::protocols`]. State of a protocol exists only in flows that speak it, buffers only while
//! somebody waits for bytes, and a flow in which nothing is wanted any more is not looked at again until a SYN
//! begins another connection.

mod connection;
mod cursor;
mod datagrams;
#[cfg(test)]
mod tests;
mod wants;

pub use wants::AppWants;

use super::{Concerns, Context, Tracker, TrackerSettings, Wants};
use crate::packet::tcp_flags::{FIN, RST, SYN};
use crate::packet::{FlowKey, Known, Packet, Side, ip_proto};
use crate::protocols::dns;
use crate::protocols::http::{self, Http};
use crate::protocols::quic::QuicSession;
use crate::protocols::recognise::{self, Seen, Stream, Verdict};
use crate::protocols::ssh;
use crate::protocols::tls::{self, DtlsSession, TlsSession};
use connection::Connection;
use datagrams::Datagrams;

/// Application protocols of a flow. What was not wanted, or not seen, is `None`.
#[derive(Debug)]
pub struct App {
    work: Work,
    found: Found,
    earlier: Earlier,
    /// Bytes on the heap that are entered in the account of memory.
    entered: usize,
}

/// What earlier rows of the same connection showed: a row after an active timeout begins in the middle of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Earlier {
    /// The protocol, and the rule that said so.
    pub verdict: Option<Verdict>,
    /// Whether DNS was detected.
    pub dns: bool,
    /// Whether HTTP/1 was detected.
    pub http: bool,
    /// Whether HTTP/2 was detected.
    pub http2: http::Seen,
    /// Whether HTTP/3 was detected.
    pub http3: http::Seen,
    /// Whether QUIC was detected.
    pub quic: bool,
    /// Whether SSH was detected.
    pub ssh: bool,
    /// Whether TLS was detected.
    pub tls: bool,
}

/// What is still to be done.
#[derive(Debug)]
enum Work {
    /// Nothing was looked at yet. So many segments went before, in other connections.
    Nothing(u64),
    Connection(Box<Connection>),
    Datagrams(Box<Datagrams>),
    /// Nothing is wanted any more.
    Done(Ended),
}

/// What the next connection of a flow needs to know of the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    /// The sequence numbers that its streams began with.
    begins: [Option<u32>; 2],
    /// The number of the next segment.
    segments: u64,
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    tls: Option<Box<TlsSession>>,
    dtls: Option<Box<DtlsSession>>,
    quic: Option<Box<QuicSession>>,
    dns: Option<Box<dns::Session>>,
    stream: Option<Box<Stream>>,
    datagrams: Option<Box<recognise::Datagrams>>,
    /// Whether packets have an authentication header of IPsec.
    ah: bool,
    /// Directions that broke the rules of their protocol.
    malformed: u64,
}

impl App {
    /// TLS over TCP.
    pub fn tls(&self) -> Option<&TlsSession> {
        self.found.tls.as_deref()
    }

    /// QUIC.
    pub fn quic(&self) -> Option<&QuicSession> {
        self.found.quic.as_deref()
    }

    /// A handshake of TLS, whatever carried it.
    pub fn handshake(&self) -> Option<&tls::Facts> {
        let tls = self.found.tls.as_ref().map(|t| t.facts());
        let dtls = self.found.dtls.as_ref().map(|d| d.facts());
        let quic = self.found.quic.as_ref().map(|q| q.facts());
        tls.or(quic).or(dtls).filter(|facts| facts.is_detected())
    }

    /// What earlier rows of the same connection showed.
    pub fn earlier(&self) -> Earlier {
        self.earlier
    }

    /// DNS, mDNS, LLMNR.
    pub fn dns(&self) -> Option<&dns::Session> {
        self.found.dns.as_deref()
    }

    /// HTTP/2 and HTTP/3.
    pub fn http(&self) -> Http<'_> {
        Http {
            frames: self.stream().and_then(Stream::http2),
            tls: self.handshake(),
            quic: self.quic().is_some_and(|q| !q.is_gquic()),
        }
    }

    /// A connection: what its directions begin with; SSH, HTTP.
    pub fn stream(&self) -> Option<&Stream> {
        self.found.stream.as_deref()
    }

    /// What was seen of the flow, for the rules that recognise its protocol.
    pub fn seen(&self, key: &FlowKey, initiator: Side) -> Seen<'_> {
        Seen {
            initiator: Some(initiator),
            stream: self.stream(),
            datagrams: self.found.datagrams.as_deref(),
            tls: self.handshake(),
            quic: self.quic().map(QuicSession::first),
            dns: self.dns().is_some_and(dns::Session::detected),
            ports: [key.port(true), key.port(false)],
            esp: key.protocol == ip_proto::ESP,
            ah: self.found.ah,
        }
    }

    fn take(&mut self, packet: &Packet<'_>, side: Side, context: &mut Context) {
        let p = packet.info;
        let found = &mut self.found;
        found.ah |= p.known.has(Known::AH);
        if let Work::Done(Ended { begins, segments }) = self.work
            && p.key.protocol == ip_proto::TCP
            && p.tcp_flags & SYN != 0
            && begins[side as usize].is_none_or(|seq| seq != p.seq.wrapping_add(1))
        {
            found.restart();
            self.work = Work::Nothing(segments);
        }
        if let Work::Nothing(segments) = self.work {
            self.work = match p.key.protocol {
                ip_proto::TCP => Work::Connection(Box::new(Connection::new(&p.key, context.settings.app, segments))),
                ip_proto::UDP => Work::Datagrams(Box::new(Datagrams::new(&p.key, context.settings.app))),
                _ => Work::Done(Ended::default()),
            };
        }
        let done = match &mut self.work {
            Work::Connection(c) => c.take(packet, side, found, &mut context.scratch).then(|| c.ended()),
            Work::Datagrams(d) => d.take(packet, side, found, &mut context.scratch).then(Ended::default),
            Work::Nothing(_) | Work::Done(_) => None,
        };
        if let Some(ended) = done {
            self.work = Work::Done(ended);
        }
    }

    /// Enters what is held now in the account of memory.
    fn enter(&mut self, context: &mut Context) {
        let now = self.held();
        context.memory.changed(self.entered, now);
        self.entered = now;
    }

    fn held(&self) -> usize {
        let work = match &self.work {
            Work::Connection(c) => size_of::<Connection>() + c.heap_bytes(),
            Work::Datagrams(_) => size_of::<Datagrams>(),
            Work::Nothing(_) | Work::Done(_) => 0,
        };
        work + self.found.heap_bytes()
    }
}

impl Found {
    /// Another connection begins in the flow.
    fn restart(&mut self) {
        use crate::protocols::Session;
        if let Some(tls) = &mut self.tls {
            tls.restart();
        }
        if let Some(dns) = &mut self.dns {
            Session::restart(dns.as_mut());
        }
        if let Some(stream) = &mut self.stream {
            stream.restart();
        }
    }

    fn heap_bytes(&self) -> usize {
        use crate::protocols::{DatagramSession, Session};
        let tls = self.tls.as_ref().map_or(0, |t| size_of::<TlsSession>() + t.heap_bytes());
        let dns = self.dns.as_ref().map_or(0, |d| size_of::<dns::Session>() + Session::heap_bytes(d.as_ref()));
        let stream = self.stream.as_ref().map_or(0, |s| size_of::<Stream>() + s.heap_bytes());
        let datagrams = self.datagrams.as_ref().map_or(0, |_| size_of::<recognise::Datagrams>());
        let dtls = self.dtls.as_ref().map_or(0, |d| size_of::<DtlsSession>() + d.heap_bytes());
        let quic = self.quic.as_ref().map_or(0, |q| size_of::<QuicSession>() + q.heap_bytes());
        tls + dtls + quic + dns + stream + datagrams
    }

    /// Drops what turned out to be nothing.
    fn end(&mut self) {
        self.tls.take_if(|t| !t.facts().is_detected());
        self.dtls.take_if(|d| !d.facts().is_detected());
        if let Some(dtls) = &mut self.dtls {
            dtls.end();
        }
        if let Some(quic) = &mut self.quic {
            quic.end();
        }
        if let Some(dns) = &mut self.dns {
            dns.end();
        }
        self.dns.take_if(|d| !d.detected());
        if let Some(stream) = &mut self.stream {
            stream.end();
        }
    }
}

/// Ports on which DNS, mDNS and LLMNR are spoken: their messages say too little to be known by their bytes alone.
fn has_dns_port(key: &FlowKey) -> bool {
    [true, false].into_iter().any(|lo| matches!(key.port(lo), Some(53 | 5353 | 5355)))
}

impl Tracker for App {
    const MAX_BYTES: usize = size_of::<Self>()
        + Connection::MAX_BYTES
        + size_of::<Datagrams>()
        + size_of::<TlsSession>()
        + size_of::<DtlsSession>()
        + DtlsSession::MAX_HEAP
        + size_of::<QuicSession>()
        + QuicSession::MAX_HEAP
        // A message of each kind is kept at most, as facts: text of which every byte is wrong takes three times its length.
        + 4 * 3 * tls::MAX_MESSAGE
        + size_of::<dns::Session>()
        + dns::Session::MAX_HEAP
        + size_of::<Stream>()
        + Stream::MAX_HEAP
        + size_of::<recognise::Datagrams>();
    const READS_BYTES: bool = true;

    const AGAIN_AT_SYN: bool = true;

    // Of other protocols, only an authentication header is of interest.
    const CONCERNS: Concerns = Concerns::protocols(&[ip_proto::TCP, ip_proto::UDP]).or_with_ah();

    fn start(_settings: &TrackerSettings) -> Self {
        Self { work: Work::Nothing(0), found: Found::default(), earlier: Earlier::default(), entered: 0 }
    }

    fn update(&mut self, packet: &Packet<'_>, side: Side, context: &mut Context) -> Wants {
        let begun = !matches!(self.work, Work::Nothing(_));
        self.take(packet, side, context);
        context.stats.malformed_streams += std::mem::take(&mut self.found.malformed);
        // A packet that only acknowledges, which is every third, adds nothing to what is held.
        if !begun || !packet.payload().is_empty() || packet.info.tcp_flags & (SYN | FIN | RST) != 0 {
            self.enter(context);
        }
        if matches!(self.work, Work::Done(_)) { Wants::NoMore } else { Wants::More }
    }

    fn continue_from(&mut self, earlier: &Self, key: &FlowKey, initiator: Side) {
        let before = earlier.earlier;
        let stream = earlier.stream();
        let banner = |ssh: &ssh::Session| [Side::A, Side::B].iter().any(|side| ssh.side(*side).banner.is_some());
        self.earlier = Earlier {
            verdict: before.verdict.or_else(|| earlier.seen(key, initiator).verdict()),
            dns: before.dns || earlier.dns().is_some_and(dns::Session::detected),
            http: before.http || stream.and_then(Stream::http1).is_some_and(|http| http.detected()),
            http2: earlier.http().http2(before.http2),
            http3: earlier.http().http3(before.http3),
            quic: before.quic || earlier.quic().is_some(),
            ssh: before.ssh || stream.and_then(Stream::ssh).is_some_and(banner),
            tls: before.tls || earlier.handshake().is_some(),
        };
    }

    fn end(&mut self, context: &mut Context) {
        self.work = Work::Done(Ended::default());
        self.found.end();
        self.enter(context);
    }

    fn relieve(&mut self, context: &mut Context) {
        if let Work::Connection(c) = &mut self.work {
            context.stats.streams_given_up += c.drop_buffers(&mut self.found);
        }
        self.enter(context);
    }

    fn heap_bytes(&self) -> usize {
        self.entered
    }

    #[inline]
    fn touch(&self) -> u64 {
        let work = match &self.work {
            Work::Connection(connection) => connection.touch(),
            Work::Datagrams(_) | Work::Nothing(_) | Work::Done(_) => 0,
        };
        work ^ self.entered as u64
    }
}
