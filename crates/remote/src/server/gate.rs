//! How clients come in: TLS where it is served, the WebSocket handshake with the token, and not more of them than there is room for.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use joyfuljay_core::metrics::RemoteDelta;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::{Phase, Shared, client, lock};
use crate::heard::Heard;
use crate::wire::{MAX_CLIENT_MESSAGE, SUBPROTOCOL};
use crate::{BEARER, REASON};

/// A client must be through with its handshake within this time.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Handshakes at once. With one more the oldest is given up: it is likely of one who only holds the place.
const HANDSHAKES: usize = 256;

/// Clients at once where no limit was set: a bound for descriptors and memory.
const MAX_CLIENTS: usize = 4096;

/// How long clients have to take what has been captured when the server is stopped.
const GRACE: Duration = Duration::from_secs(5);

/// Accepts clients until the server is to end; then until they have what there is.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut stop = shared.stop.subscribe();
    let mut clients = JoinSet::new();
    let mut handshakes: VecDeque<Handshake> = VecDeque::new();
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|phase| *phase != Phase::Running) => break,
            Some(_) = clients.join_next(), if !clients.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    handshakes.retain(|handshake| !handshake.is_over());
                    if handshakes.len() >= HANDSHAKES && let Some(oldest) = handshakes.pop_front() {
                        oldest.task.abort();
                    }
                    let through = Arc::new(tokio::sync::OnceCell::new());
                    let client = connection(stream, peer, Arc::clone(&shared), Arc::clone(&through));
                    let task = clients.spawn(client);
                    handshakes.push_back(Handshake { task, through });
                }
                // Out of descriptors, most likely: some will be closed, and nothing is won by trying at once.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
    drop(listener);
    // Those that are not through have nothing to wait for.
    handshakes.iter().filter(|handshake| !handshake.is_over()).for_each(|handshake| handshake.task.abort());
    let out_of_time = async {
        let _ = stop.wait_for(|phase| *phase == Phase::Stopped).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = out_of_time => {}
        () = async { while clients.join_next().await.is_some() {} } => {}
    }
}

/// A connection that may not be a client's yet.
struct Handshake {
    task: AbortHandle,
    through: Through,
}

/// Set when a client is through.
type Through = Arc<tokio::sync::OnceCell<()>>;

impl Handshake {
    fn is_over(&self) -> bool {
        self.through.initialized() || self.task.is_finished()
    }
}

/// A place among the clients.
pub(super) struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let most = match shared.options.max_clients {
            0 => MAX_CLIENTS,
            most => most.min(MAX_CLIENTS),
        };
        let taken = shared.counts.clients.fetch_update(Relaxed, Relaxed, |n| (n < most).then_some(n + 1));
        taken.ok().map(|_| {
            shared.tell(RemoteDelta { connections: 1, ..RemoteDelta::default() });
            Self(Arc::clone(shared))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.counts.clients.fetch_sub(1, Relaxed);
        self.0.tell(RemoteDelta { connections: -1, ..RemoteDelta::default() });
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, through: Through) {
    let _ = stream.set_nodelay(true);
    if let Ok(local) = stream.local_addr() {
        shared.own.reached(local);
    }
    let until = Instant::now() + HANDSHAKE;
    let Some(acceptor) = shared.tls.clone() else { return websocket(stream, peer, shared, until, through).await };
    let secured = async {
        // The first byte of a TLS record that holds a handshake.
        const HANDSHAKE_RECORD: u8 = 22;
        let mut first = [0];
        if stream.peek(&mut first).await.ok()? == 1 && first != [HANDSHAKE_RECORD] {
            refuse_plain(stream).await;
            return None;
        }
        acceptor.accept(stream).await.ok()
    };
    match tokio::time::timeout_at(until.into(), secured).await {
        Ok(Some(stream)) => websocket(stream, peer, shared, until, through).await,
        Ok(None) => {}
        Err(_) => {}
    }
}

/// Who speaks plainly to the port of TLS is told so, and shown nothing.
async fn refuse_plain(mut stream: TcpStream) {
    const WORDS: &str = "this sensor is reached by TLS only: add tls=1 to its address";

    // What it said is read first, else the answer may be lost with the connection. There may be a token in it; it is dropped.
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\n{REASON}: {WORDS}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{WORDS}\n",
        WORDS.len() + 1
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn websocket<S>(stream: S, peer: SocketAddr, shared: Arc<Shared>, until: Instant, through: Through)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = Heard::new(stream);
    let hearing = stream.hearing();
    let config = WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_CLIENT_MESSAGE))
        .max_frame_size(Some(MAX_CLIENT_MESSAGE.max(125)));
    let mut place = None;
    #[allow(clippy::result_large_err, reason = "the type is the library's")]
    let judge = |request: &Request, mut response: Response| {
        place = Some(admit(&shared, peer.ip(), request)?);
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        Ok(response)
    };
    let accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, judge, Some(config));
    let accepted = tokio::time::timeout_at(until.into(), accepted).await;
    let (Ok(Ok(socket)), Some(place)) = (accepted, place) else { return };
    client::serve(client::Client { socket, hearing, place, peer, until, through }, shared).await;
}

/// Whether a request is a client's: else what it is told.
#[allow(clippy::result_large_err, reason = "the type is the library's")]
fn admit(shared: &Arc<Shared>, address: IpAddr, request: &Request) -> Result<Place, ErrorResponse> {
    let now = Instant::now();
    let refuse = |status, words: &str| {
        let mut answer = ErrorResponse::new(Some(format!("{words}\n")));
        *answer.status_mut() = status;
        if let Ok(words) = HeaderValue::from_str(words) {
            answer.headers_mut().insert(REASON, words);
        }
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        answer
    };
    if let Some(wait) = lock(&shared.attempts).wait(address, now) {
        shared.failed_attempt();
        let words = format!("too many wrong tokens came from this address: wait {} s", wait.as_secs() + 1);
        return Err(refuse(StatusCode::TOO_MANY_REQUESTS, &words));
    }
    let shown = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let Some(shown) = shown.and_then(|value| value.strip_prefix(BEARER.as_bytes())) else {
        return Err(refuse(StatusCode::UNAUTHORIZED, "a token is needed (Authorization: Bearer)"));
    };
    if !shared.options.token.is(shown) {
        lock(&shared.attempts).failed(address, now);
        shared.failed_attempt();
        shared.say(&format!("{address}: turned away, its token is wrong"));
        return Err(refuse(StatusCode::UNAUTHORIZED, "the token is wrong"));
    }
    lock(&shared.attempts).succeeded(address);
    let protocols = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    if !protocols
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|p| p.trim() == SUBPROTOCOL)
    {
        let words = format!("this sensor speaks {SUBPROTOCOL} (joyfuljay {})", env!("CARGO_PKG_VERSION"));
        return Err(refuse(StatusCode::BAD_REQUEST, &words));
    }
    Place::take(shared).ok_or_else(|| {
        let words = format!("the sensor has {} clients and takes no more", shared.counts.clients.load(Relaxed));
        refuse(StatusCode::SERVICE_UNAVAILABLE, &words)
    })
}

impl Shared {
    fn failed_attempt(&self) {
        self.counts.auth_failures.fetch_add(1, Relaxed);
        self.tell(RemoteDelta { auth_failures: 1, ..RemoteDelta::default() });
    }
}
