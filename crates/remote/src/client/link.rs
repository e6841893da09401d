//! The connection of a client, on a thread of its own: made, kept, made again.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use joyfuljay_core::metrics::{MetricsSink, RemoteDelta};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, watch};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::ClientOptions;
use crate::heard::{Heard, Hearing};
use crate::tls;
use crate::token::random;
use crate::url::SensorUrl;
use crate::wire::{ClientHello, FromClient, FromServer, MAX_MESSAGE, Resume, SUBPROTOCOL, ServerHello, VERSION};
use crate::{BEARER, REASON};

/// A connection must stand within this time, name, TLS and hello included.
const CONNECT: Duration = Duration::from_secs(20);

/// The first pause before it is tried again, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];

/// How long a good-bye may take.
const CLOSING: Duration = Duration::from_secs(1);

/// What the source is told.
pub(super) enum Arrived {
    /// The connection stands.
    Connected(ServerHello),
    /// A message of the sensor.
    Message(Bytes),
    /// The connection has broken, and is tried again.
    Lost(String),
    /// Nothing more will come; why, if that is not what was wanted.
    Over(Option<String>),
}

/// What the source wants.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Order {
    /// No more.
    pub(super) stop: bool,
    /// How many times it was told that the connection stands: acknowledgements are for the one that stands now.
    pub(super) turn: u64,
    /// Up to which message it has taken what came over this connection.
    pub(super) taken: Option<u64>,
    /// Bytes of all messages that it has taken.
    pub(super) bytes: u64,
}

/// How an attempt ended.
enum Ended {
    /// As the source wanted.
    Stopped,
    /// All was sent.
    Complete,
    /// To be tried again.
    Broken(String),
    /// No use to try again.
    Refused(String),
}

/// Begins to connect.
pub(super) fn start(
    url: &SensorUrl,
    options: &ClientOptions,
) -> Result<(watch::Sender<Order>, Receiver<Arrived>), String> {
    let tls = match url.tls {
        true => {
            let name = tls::server_name(&url.host).map_err(|e| e.to_string())?;
            Some((tls::connector(&options.trust).map_err(|e| e.to_string())?, name))
        }
        false => None,
    };
    let (orders, order) = watch::channel(Order::default());
    let (tell, arrived) = channel();
    let link = Link {
        host: url.host.clone(),
        port: url.port,
        place: url.place(),
        tls,
        options: options.clone(),
        tell,
        order,
        at: None,
        turn: 0,
        bytes: 0,
        stands: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let run = move || {
        runtime.block_on(link.run());
        // A look-up of a name may hang for long.
        runtime.shutdown_background();
    };
    std::thread::Builder::new().name("jj-remote".into()).spawn(run).map_err(|e| e.to_string())?;
    Ok((orders, arrived))
}

struct Link {
    host: String,
    port: u16,
    place: String,
    tls: Option<(TlsConnector, rustls::pki_types::ServerName<'static>)>,
    options: ClientOptions,
    tell: Sender<Arrived>,
    order: watch::Receiver<Order>,
    /// Where to go on.
    at: Option<Resume>,
    /// How many times the connection has been made.
    turn: u64,
    /// Bytes of all messages that came.
    bytes: u64,
    /// Whether the connection stood in this attempt.
    stands: bool,
}

impl Link {
    async fn run(mut self) {
        let [mut pause, longest] = PAUSES;
        let mut away = Instant::now();
        loop {
            self.stands = false;
            let mut order = self.order.clone();
            let stopped = async move {
                // An error is that the source is gone.
                let _ = order.wait_for(|order| order.stop).await;
            };
            let ended = tokio::select! {
                ended = self.attempt() => ended,
                () = stopped, if self.at.is_none() => Ended::Stopped,
            };
            let over = match ended {
                Ended::Stopped => Some(None),
                // The source has the last message, or will have.
                Ended::Complete => return,
                Ended::Refused(why) => Some(Some(why)),
                Ended::Broken(why) if self.at.is_none() && !self.options.wait => Some(Some(why)),
                Ended::Broken(why) => {
                    if self.stands {
                        pause = PAUSES[0];
                        away = Instant::now();
                        let _ = self.tell.send(Arrived::Lost(why.clone()));
                    }
                    let too_long = self.options.give_up.is_some_and(|most| away.elapsed() >= most);
                    too_long.then(|| Some(format!("has been away for {} s: {why}", away.elapsed().as_secs())))
                }
            };
            if let Some(over) = over {
                let _ = self.tell.send(Arrived::Over(over));
                return;
            }
            if self.order.has_changed().is_err() {
                return;
            }
            // Many clients of a sensor that comes back do not come back at once.
            let jitter = random::<1>().map_or(0.5, |[byte]| f64::from(byte) / 255.0);
            tokio::select! {
                () = tokio::time::sleep(pause.mul_f64(0.75 + jitter / 2.0)) => {}
                gone = self.order.wait_for(|order| order.stop) => {
                    drop(gone);
                    let _ = self.tell.send(Arrived::Over(None));
                    return;
                }
            }
            pause = (pause * 2).min(longest);
        }
    }

    /// Connects, and stays connected as long as that lasts.
    async fn attempt(&mut self) -> Ended {
        let until = Instant::now() + CONNECT;
        let late = || Ended::Broken(format!("there is no answer for {} s", CONNECT.as_secs()));
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = match tokio::time::timeout_at(until.into(), connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(e)) => return Ended::Broken(format!("cannot be reached: {e}")),
            Err(_) => return late(),
        };
        let _ = stream.set_nodelay(true);
        let Some((connector, name)) = self.tls.clone() else { return self.websocket(stream, until).await };
        match tokio::time::timeout_at(until.into(), connector.connect(name, stream)).await {
            Ok(Ok(stream)) => self.websocket(stream, until).await,
            Ok(Err(e)) if matches!(e.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                Ended::Broken("it ends the connection when TLS begins: it may not speak TLS (tls=1)".into())
            }
            Ok(Err(e)) => broken(&e),
            Err(_) => late(),
        }
    }

    async fn websocket<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: S, until: Instant) -> Ended {
        let request = match self.request() {
            Ok(request) => request,
            Err(e) => return Ended::Refused(e),
        };
        let stream = Heard::new(stream);
        let hearing = stream.hearing();
        let config = WebSocketConfig::default()
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let waiting = self.bytes.saturating_sub(self.order.borrow().bytes);
        let window = u64::from(self.options.window).saturating_sub(waiting).max(1) as u32;
        let shaking = async {
            let (socket, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(config))
                .await
                .map_err(|e| refused(&e))?;
            let (mut sink, mut stream) = socket.split();
            let hello = FromClient::Hello(ClientHello { version: VERSION, window, resume: self.at });
            let bytes = hello.encode();
            self.count(&bytes, true);
            sink.send(Message::Binary(bytes.into())).await.map_err(|e| Ended::Broken(e.to_string()))?;
            loop {
                let Some(message) = hear(&mut stream, &*self.options.metrics).await? else { continue };
                return match FromServer::decode(&message) {
                    Ok(FromServer::Hello(hello)) if hello.version == VERSION => Ok((sink, stream, hello)),
                    Ok(FromServer::End(end)) => {
                        Err(Ended::Refused(end.error.unwrap_or_else(|| "it has nothing to give".into())))
                    }
                    _ => Err(Ended::Refused("what it says is not of this protocol".into())),
                };
            }
        };
        let (sink, stream, hello) = match tokio::time::timeout_at(until.into(), shaking).await {
            Ok(Ok(stands)) => stands,
            Ok(Err(ended)) => return ended,
            Err(_) => return Ended::Broken(format!("there is no answer for {} s", CONNECT.as_secs())),
        };
        self.stands = true;
        self.at = Some(Resume { session: hello.session, seq: hello.seq, frame: hello.frame });
        if self.tell.send(Arrived::Connected(hello)).is_err() {
            return Ended::Stopped;
        }
        let connected = |n| self.options.metrics.remote(&RemoteDelta { connections: n, ..RemoteDelta::default() });
        connected(1);
        let ended = self.converse(Mutex::new(sink), stream, hearing).await;
        self.options.metrics.remote(&RemoteDelta { connections: -1, ..RemoteDelta::default() });
        self.turn += 1;
        ended
    }

    /// Takes what comes, says what was taken.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        sink: Mutex<SplitSink<WebSocketStream<Heard<S>>, Message>>,
        mut stream: SplitStream<WebSocketStream<Heard<S>>>,
        hearing: Hearing,
    ) -> Ended {
        let ping = || async {
            if let Ok(mut sink) = sink.try_lock() {
                let _ = sink.send(Message::Ping(Bytes::new())).await;
            }
        };
        let keepalive = self.options.keepalive;
        let (mut order, metrics, turn) = (self.order.clone(), Arc::clone(&self.options.metrics), self.turn);
        let acknowledge = async {
            let mut said = None;
            loop {
                if order.changed().await.is_err() {
                    return Ended::Stopped;
                }
                let now = *order.borrow_and_update();
                if now.turn == turn && now.taken > said {
                    said = now.taken;
                    let bytes = FromClient::Ack(now.taken.unwrap_or_default()).encode();
                    metrics.remote(&RemoteDelta { sent: (1, bytes.len() as u64), ..RemoteDelta::default() });
                    if let Err(e) = sink.lock().await.send(Message::Binary(bytes.into())).await {
                        return Ended::Broken(e.to_string());
                    }
                }
                if now.stop {
                    return Ended::Stopped;
                }
            }
        };
        let ended = tokio::select! {
            ended = self.receive(&mut stream) => ended,
            ended = acknowledge => ended,
            () = hearing.until_silent(keepalive, ping) => Ended::Broken("it was not heard for too long".into()),
        };
        let closing = async {
            let mut sink = sink.lock().await;
            if matches!(ended, Ended::Complete)
                && let Some(at) = self.at
            {
                let bytes = FromClient::Ack(at.seq - 1).encode();
                self.count(&bytes, true);
                let _ = sink.send(Message::Binary(bytes.into())).await;
            }
            let _ = sink.send(Message::Close(None)).await;
        };
        let _ = tokio::time::timeout(CLOSING, closing).await;
        ended
    }

    async fn receive<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut SplitStream<WebSocketStream<Heard<S>>>,
    ) -> Ended {
        loop {
            let message = match hear(stream, &*self.options.metrics).await {
                Ok(Some(message)) => message,
                Ok(None) => continue,
                Err(ended) => return ended,
            };
            // A session that says more than this is not one; the source says what is wrong with it.
            let numbers = FromServer::numbers(&message);
            if let (Some(at), Some((seq, frame))) = (&mut self.at, numbers) {
                (at.seq, at.frame) = (seq.saturating_add(1), frame);
            }
            self.bytes += message.len() as u64;
            let waiting = self.bytes.saturating_sub(self.order.borrow().bytes);
            if waiting > u64::from(self.options.window) + 2 * MAX_MESSAGE as u64 {
                return Ended::Refused("it sends more than there is room for".into());
            }
            let last = FromServer::is_end(&message);
            if self.tell.send(Arrived::Message(message)).is_err() {
                return Ended::Stopped;
            }
            if last {
                return Ended::Complete;
            }
        }
    }

    fn count(&self, bytes: &[u8], sent: bool) {
        let both = (1, bytes.len() as u64);
        let delta = match sent {
            true => RemoteDelta { sent: both, ..RemoteDelta::default() },
            false => RemoteDelta { received: both, ..RemoteDelta::default() },
        };
        self.options.metrics.remote(&delta);
    }

    /// The token goes into a header: addresses are kept by proxies and logs.
    fn request(&self) -> Result<Request, String> {
        let wrong = |e: &dyn fmt::Display| format!("no address of a sensor: {e}");
        let mut request = format!("ws://{}/", self.place).into_client_request().map_err(|e| wrong(&e))?;
        let mut token = HeaderValue::from_str(&format!("{BEARER}{}", self.options.token.reveal()))
            .map_err(|_| "the token fits no header")?;
        token.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, token);
        request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        Ok(request)
    }
}

/// The next message of the sensor; none for what is not one.
async fn hear<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut SplitStream<WebSocketStream<Heard<S>>>,
    metrics: &dyn MetricsSink,
) -> Result<Option<Bytes>, Ended> {
    match stream.next().await {
        Some(Ok(Message::Binary(bytes))) => {
            metrics.remote(&RemoteDelta { received: (1, bytes.len() as u64), ..RemoteDelta::default() });
            Ok(Some(bytes))
        }
        Some(Ok(Message::Close(Some(frame)))) if !frame.reason.is_empty() => {
            Err(Ended::Broken(format!("closed by the sensor: {}", printable(&frame.reason))))
        }
        Some(Ok(Message::Close(_))) | None => Err(Ended::Broken("closed by the sensor".into())),
        Some(Ok(_)) => Ok(None),
        Some(Err(Error::Capacity(_))) => Err(Ended::Refused("it sends larger messages than there may be".into())),
        Some(Err(Error::Io(e))) => Err(broken(&e)),
        Some(Err(e)) => Err(Ended::Broken(e.to_string())),
    }
}

/// What the sensor says instead of a handshake.
fn refused(error: &Error) -> Ended {
    match error {
        Error::Http(answer) => {
            let why = reason(answer);
            match answer.status() {
                // These pass.
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Ended::Broken(why),
                _ => Ended::Refused(why),
            }
        }
        Error::Io(e) => broken(e),
        // What TLS looks like to who does not expect it, and other things that are no HTTP.
        Error::Protocol(_) | Error::Utf8(_) | Error::HttpFormat(_) => {
            Ended::Refused(format!("no sensor answers there, or it wants TLS (tls=1): {error}"))
        }
        _ => Ended::Broken(error.to_string()),
    }
}

fn reason(answer: &Response<Option<Vec<u8>>>) -> String {
    let status = answer.status();
    match answer.headers().get(REASON).and_then(|value| value.to_str().ok()) {
        Some(why) => printable(why),
        None => format!("no sensor answers there, but something that says {status}"),
    }
}

/// Other machines' words: short and without control characters.
fn printable(text: &str) -> String {
    text.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Certificates do not become right by trying again.
fn broken(error: &io::Error) -> Ended {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(why)) => Ended::Refused(format!(
            "its certificate is refused ({why}): --tls-ca names an authority to trust, --tls-insecure takes any certificate"
        )),
        Some(rustls::Error::InvalidMessage(_)) => Ended::Refused(
            "it does not speak TLS: without tls=1 nothing would be encrypted, and the token neither".into(),
        ),
        Some(rustls::Error::AlertReceived(alert)) => Ended::Refused(format!(
            "it breaks off TLS ({alert:?}): it may want a certificate of the client (--tls-cert, --tls-key)"
        )),
        Some(other) => Ended::Refused(format!("TLS fails: {other}")),
        None => Ended::Broken(error.to_string()),
    }
}
