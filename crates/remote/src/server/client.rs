//! One client: what it wants, what it gets, and when it has gone.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use joyfuljay_core::metrics::RemoteDelta;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Mutex, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::gate::Place;
use super::session::Supply;
use super::{Phase, Shared};
use crate::heard::{Heard, Hearing};
use crate::wire::{ClientHello, End, FromClient, ServerHello, VERSION};

/// Messages that may be on the way to a client: a bound on what is remembered of them.
const MAX_UNDER_WAY: usize = 4096;

/// How long a good-bye may take.
const CLOSING: Duration = Duration::from_secs(2);

/// A client that has shown the token.
pub(super) struct Client<S> {
    pub(super) socket: WebSocketStream<Heard<S>>,
    pub(super) hearing: Hearing,
    pub(super) place: Place,
    pub(super) peer: SocketAddr,
    /// When it must have said what it wants.
    pub(super) until: Instant,
    /// To be set when it has.
    pub(super) through: Arc<tokio::sync::OnceCell<()>>,
}

/// How a conversation ended.
enum Over {
    /// The client has all there was.
    Complete,
    /// The client has gone.
    Gone,
    /// It said what it must not.
    Wrong(&'static str),
    /// It was not heard for too long.
    Silent,
    /// The sensor ends before all was sent.
    Stopped,
}

/// Serves a client to the end.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(client: Client<S>, shared: Arc<Shared>) {
    let Client { socket, hearing, place, peer, until, through } = client;
    let (sink, mut stream) = socket.split();
    let sink = Mutex::new(sink);
    let hello = match tokio::time::timeout_at(until.into(), hello(&mut stream, &shared)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(why)) => return close(&sink, CloseCode::Policy, why).await,
        Err(_) => return close(&sink, CloseCode::Policy, "the client does not say what it wants").await,
    };
    let _ = through.set(());
    let resumes = hello.resume.is_some();
    let supply = match shared.sessions.supply(&shared, hello.resume).await {
        Ok(supply) => supply,
        Err(error) => {
            shared.say(&format!("{peer}: cannot be served: {error}"));
            let end = End { seq: 0, frames: 0, error: Some(error) };
            send(&sink, &shared, end.encode().into()).await;
            return close(&sink, CloseCode::Error, "cannot be served").await;
        }
    };
    shared.say(&format!("{peer}: {}", if resumes { "is back" } else { "is there" }));
    if resumes {
        shared.tell(RemoteDelta { reconnects: 1, ..RemoteDelta::default() });
    }
    shared.lost(supply.lost);
    let (acked, acks) = watch::channel(None);
    let ping = || async {
        // Whoever holds the lock is sending, which is as good.
        if let Ok(mut sink) = sink.try_lock() {
            let _ = sink.send(Message::Ping(Bytes::new())).await;
        }
    };
    let mut stop = shared.stop.subscribe();
    let stored = supply.stored;
    // Streams end by themselves when the sensor does; a capture is broken off.
    let broken_off = async {
        let _ = stop.wait_for(|phase| *phase == Phase::Stopped && stored).await;
    };
    let over = tokio::select! {
        over = give(&sink, &shared, supply, &hello, acks) => over,
        over = listen(&mut stream, &shared, &acked) => over,
        () = hearing.until_silent(shared.options.keepalive, ping) => Over::Silent,
        () = broken_off => Over::Stopped,
    };
    let (code, why) = match over {
        Over::Complete => (CloseCode::Normal, "that was all"),
        Over::Gone => (CloseCode::Normal, "has gone"),
        Over::Wrong(why) => (CloseCode::Protocol, why),
        Over::Silent => (CloseCode::Policy, "was not heard for too long"),
        Over::Stopped => (CloseCode::Away, "the sensor has been stopped"),
    };
    shared.say(&format!("{peer}: {why}"));
    drop(place);
    close(&sink, code, why).await;
}

type Sink<S> = Mutex<SplitSink<WebSocketStream<Heard<S>>, Message>>;

/// Sends a message; whether it went out.
async fn send<S: AsyncRead + AsyncWrite + Unpin>(sink: &Sink<S>, shared: &Shared, bytes: Bytes) -> bool {
    let length = bytes.len() as u64;
    if sink.lock().await.send(Message::Binary(bytes)).await.is_err() {
        return false;
    }
    shared.counts.messages.fetch_add(1, Relaxed);
    shared.counts.bytes.fetch_add(length, Relaxed);
    shared.tell(RemoteDelta { sent: (1, length), ..RemoteDelta::default() });
    true
}

/// Says good-bye, if the other end takes it.
async fn close<S: AsyncRead + AsyncWrite + Unpin>(sink: &Sink<S>, code: CloseCode, why: &'static str) {
    let closing = async {
        let mut sink = sink.lock().await;
        let _ = sink.send(Message::Close(Some(CloseFrame { code, reason: why.into() }))).await;
        let _ = sink.close().await;
    };
    let _ = tokio::time::timeout(CLOSING, closing).await;
}

/// The next message of a client; none when it has gone.
async fn hear<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut SplitStream<WebSocketStream<Heard<S>>>,
    shared: &Shared,
) -> Result<FromClient, Over> {
    loop {
        match stream.next().await {
            Some(Ok(Message::Binary(bytes))) => {
                shared.tell(RemoteDelta { received: (1, bytes.len() as u64), ..RemoteDelta::default() });
                return FromClient::decode(&bytes).map_err(|_| Over::Wrong("what came is not of this protocol"));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Over::Gone),
            Some(Ok(_)) => return Err(Over::Wrong("messages are binary")),
        }
    }
}

async fn hello<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut SplitStream<WebSocketStream<Heard<S>>>,
    shared: &Shared,
) -> Result<ClientHello, &'static str> {
    match hear(stream, shared).await {
        Ok(FromClient::Hello(hello)) if hello.version == VERSION => Ok(hello),
        Ok(FromClient::Hello(_)) => Err("this sensor speaks another version of the protocol"),
        Ok(FromClient::Ack(_)) => Err("the first message must be a hello"),
        Err(Over::Wrong(why)) => Err(why),
        Err(_) => Err("has gone"),
    }
}

/// Takes what a client says, which is how far it has come.
async fn listen<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut SplitStream<WebSocketStream<Heard<S>>>,
    shared: &Shared,
    acked: &watch::Sender<Option<u64>>,
) -> Over {
    loop {
        match hear(stream, shared).await {
            Ok(FromClient::Ack(seq)) => acked.send_modify(|last| *last = (*last).max(Some(seq))),
            Ok(FromClient::Hello(_)) => return Over::Wrong("a second hello"),
            Err(over) => return over,
        }
    }
}

/// Sends what there is, as far as the client has room.
async fn give<S: AsyncRead + AsyncWrite + Unpin>(
    sink: &Sink<S>,
    shared: &Shared,
    mut supply: Supply,
    hello: &ClientHello,
    mut acks: watch::Receiver<Option<u64>>,
) -> Over {
    let answer = ServerHello {
        version: VERSION,
        session: supply.session,
        seq: supply.seq,
        frame: supply.frame,
        stored: supply.stored,
        name: shared.options.name.clone(),
    };
    let mut expected = supply.frame;
    if !send(sink, shared, answer.encode().into()).await {
        return Over::Gone;
    }
    let (mut under_way, mut bytes) = (VecDeque::new(), 0);
    let mut pace = Pace::new(shared.options.max_bandwidth);
    loop {
        // Only what is asked for after this is sent is a matter of the client's: what it is too slow for falls out of the log meanwhile.
        loop {
            let acked = *acks.borrow_and_update();
            while under_way.front().is_some_and(|(seq, _)| Some(*seq) <= acked) {
                bytes -= under_way.pop_front().map_or(0, |(_, length)| length);
            }
            if bytes < u64::from(hello.window) && under_way.len() < MAX_UNDER_WAY || under_way.is_empty() {
                break;
            }
            if acks.changed().await.is_err() {
                return Over::Gone;
            }
        }
        pace.wait().await;
        let Some(entry) = supply.next().await else { return Over::Stopped };
        let lost = entry.frame.saturating_sub(expected);
        shared.lost(lost);
        expected = entry.frame + entry.frames;
        let length = entry.bytes.len() as u64;
        if !send(sink, shared, entry.bytes).await {
            return Over::Gone;
        }
        pace.sent(length);
        under_way.push_back((entry.seq, length));
        bytes += length;
        if entry.last {
            while *acks.borrow_and_update() < Some(entry.seq) {
                if acks.changed().await.is_err() {
                    return Over::Gone;
                }
            }
            return Over::Complete;
        }
    }
}

impl Shared {
    /// A client was too slow for so many frames.
    fn lost(&self, frames: u64) {
        if frames > 0 {
            self.counts.lost.fetch_add(frames, Relaxed);
            self.tell(RemoteDelta { lost_slow: frames, ..RemoteDelta::default() });
        }
    }
}

/// Keeps to a number of bytes a second.
struct Pace {
    rate: Option<u64>,
    free: Instant,
}

impl Pace {
    fn new(rate: Option<u64>) -> Self {
        Self { rate: rate.filter(|rate| *rate > 0), free: Instant::now() }
    }

    async fn wait(&self) {
        tokio::time::sleep_until(self.free.into()).await;
    }

    fn sent(&mut self, bytes: u64) {
        if let Some(rate) = self.rate {
            self.free = self.free.max(Instant::now()) + Duration::from_secs_f64(bytes as f64 / rate as f64);
        }
    }
}
