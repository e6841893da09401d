//! The accept loop, the turns that connections take, and the table that decides which of them makes room for another.

use super::ServerError;
use super::deadline::Deadline;
use super::http::App;
use crate::process::max_fds;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// How long answers under way may take once the server closes.
const GRACE: Duration = Duration::from_secs(2);
/// Pending connections that the kernel keeps for us: a burst of silent ones must not fill it.
const BACKLOG: u32 = 1024;
/// A header beyond this is refused (431).
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Answers that one connection gets within a second; it waits for the rest of the second then. Prometheus and the live page take one.
const MAX_ANSWERS_PER_SECOND: u32 = 100;
/// What the kernel keeps of answers that are not read; Linux doubles it. Some answers, not the megabytes that it grows to by itself: who
/// asks without reading is not answered on. A scrape of 100 kB arrives as fast.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;

/// The address it listens on, and the descriptor.
type Started = mpsc::Sender<Result<(SocketAddr, Option<i32>), ServerError>>;

/// The body of the server's thread.
pub(super) fn run(host: &str, port: u16, app: Arc<App>, stop: watch::Receiver<bool>, started: &Started) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(8).build() {
        Ok(runtime) => runtime,
        Err(e) => {
            let _ = started.send(Err(ServerError::Thread(e)));
            return;
        }
    };
    runtime.block_on(async {
        let listener = match bind(host, port).and_then(|l| l.local_addr().map(|a| (l, a))) {
            Ok((listener, addr)) => {
                let _ = started.send(Ok((addr, descriptor(&listener))));
                listener
            }
            Err(source) => {
                let _ = started.send(Err(ServerError::Bind { addr: host.to_owned(), port, source }));
                return;
            }
        };
        serve(&listener, app, stop).await;
    });
    // A foreign collector that hangs must not hold up the close.
    runtime.shutdown_background();
}

#[cfg(unix)]
fn descriptor(listener: &TcpListener) -> Option<i32> {
    Some(std::os::fd::AsRawFd::as_raw_fd(listener))
}

#[cfg(not(unix))]
fn descriptor(_: &TcpListener) -> Option<i32> {
    None
}

fn bind(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for addr in (host, port).to_socket_addrs()? {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let listening = socket.and_then(|s| {
            #[cfg(unix)]
            s.set_reuseaddr(true)?;
            // Connections have it from the listener. Where it cannot be set, the system's own bound holds.
            let _ = s.set_send_buffer_size(SEND_BUFFER_BYTES);
            s.bind(addr)?;
            s.listen(BACKLOG)
        });
        match listening {
            Ok(listener) => return Ok(listener),
            Err(e) => last = e,
        }
    }
    Err(last)
}

async fn serve(listener: &TcpListener, app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let half_of_files = max_fds().map_or(usize::MAX, |n| usize::try_from(n / 2).unwrap_or(usize::MAX));
    let table = Arc::new(Table::new(app.options.max_connections.min(half_of_files).max(4)));
    let mut tasks = JoinSet::new();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    // A machine that slept has not lived through the seconds.
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            _ = stop.changed() => break,
            _ = second.tick() => app.remember(),
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    if let Some(slot) = Table::enter(&table) {
                        let client = Client { slot, ip: peer.ip() };
                        tasks.spawn(connection(stream, client, Arc::clone(&app), stop.clone()));
                    }
                    // The new connection's task must run before more arrive, lest a flood evict it unheard.
                    tokio::task::yield_now().await;
                }
                // Out of descriptors, most likely: close a connection, and do not spin.
                Err(_) => {
                    table.evict();
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
        }
    }
    let _ = tokio::time::timeout(GRACE, async { while tasks.join_next().await.is_some() {} }).await;
}

/// The other end of a connection, and the place that it has here.
struct Client {
    slot: Arc<Slot>,
    ip: IpAddr,
}

async fn connection(stream: TcpStream, client: Client, app: Arc<App>, stop: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let kill = Arc::clone(&client.slot.kill);
    tokio::select! {
        () = kill.notified() => {}
        () = secured(stream, client, app, stop) => {}
    }
}

#[cfg(feature = "tls")]
async fn secured(stream: TcpStream, client: Client, app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let Some(acceptor) = app.web.current().tls.clone() else { return http(stream, client, app, stop).await };
    let handshake = tokio::time::timeout(app.options.header_timeout, acceptor.accept(stream));
    tokio::select! {
        _ = stop.changed() => {}
        done = handshake => if let Ok(Ok(stream)) = done { http(stream, client, app, stop).await }
    }
}

#[cfg(not(feature = "tls"))]
async fn secured(stream: TcpStream, client: Client, app: Arc<App>, stop: watch::Receiver<bool>) {
    http(stream, client, app, stop).await;
}

async fn http<S>(stream: S, client: Client, app: Arc<App>, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (header_timeout, write_timeout) = (app.options.header_timeout, app.options.write_timeout);
    let pace = Arc::new(Mutex::new(Pace::new()));
    let service = service_fn(|request| {
        let (app, slot, ip, pace) = (Arc::clone(&app), Arc::clone(&client.slot), client.ip, Arc::clone(&pace));
        async move {
            // Requests may come in one piece (pipelining, RFC 9112 9.3.2): the others have a turn before each answer.
            tokio::task::yield_now().await;
            let wait = pace.lock().unwrap_or_else(|e| e.into_inner()).wait(Instant::now());
            if let Some(wait) = wait {
                tokio::time::sleep(wait).await;
            }
            // A connection that waits for its password to be checked makes room like an idle one.
            let verdict = app.judge(&request, ip).await;
            slot.set_busy();
            let response = app.answer(request, verdict).await;
            slot.set_idle();
            Ok::<_, Infallible>(response)
        }
    });
    let io = TokioIo::new(Deadline::new(stream, write_timeout));
    let mut conn = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(io, service)
    );
    tokio::select! {
        _ = conn.as_mut() => return,
        _ = stop.changed() => conn.as_mut().graceful_shutdown(),
    }
    let _ = conn.await;
}

/// Counts the answers of a connection.
struct Pace {
    since: Instant,
    answers: u32,
}

impl Pace {
    fn new() -> Self {
        Self { since: Instant::now(), answers: 0 }
    }

    /// How long the next answer has to wait.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        const SECOND: Duration = Duration::from_secs(1);
        let over = now.saturating_duration_since(self.since);
        if over >= SECOND {
            *self = Self { since: now, answers: 0 };
        }
        self.answers += 1;
        (self.answers > MAX_ANSWERS_PER_SECOND).then(|| SECOND.saturating_sub(over))
    }
}

/// Connections by how long they have been idle.
struct Table {
    max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    count: usize,
    next: u64,
    idle: BTreeMap<u64, Arc<Notify>>,
}

/// One connection's place; leaving is dropping it.
pub(super) struct Slot {
    table: Arc<Table>,
    key: Mutex<u64>,
    kill: Arc<Notify>,
}

impl Table {
    fn new(max: usize) -> Self {
        Self { max, state: Mutex::default() }
    }

    /// A place, if need be that of the longest idle connection; none when all are busy.
    fn enter(table: &Arc<Self>) -> Option<Arc<Slot>> {
        if table.state().count >= table.max && !table.evict() {
            return None;
        }
        let kill = Arc::new(Notify::new());
        let mut state = table.state();
        state.count += 1;
        let key = state.sit(&kill);
        Some(Arc::new(Slot { table: Arc::clone(table), key: Mutex::new(key), kill }))
    }

    fn evict(&self) -> bool {
        let oldest = self.state().idle.pop_first();
        if let Some((_, kill)) = &oldest {
            kill.notify_one();
        }
        oldest.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl State {
    fn sit(&mut self, kill: &Arc<Notify>) -> u64 {
        self.next += 1;
        self.idle.insert(self.next, Arc::clone(kill));
        self.next
    }
}

impl Slot {
    fn set_busy(&self) {
        let key = self.key.lock().unwrap_or_else(|e| e.into_inner());
        self.table.state().idle.remove(&key);
    }

    /// Idle from now on; the answer still has to leave, so the connection is the last to be evicted.
    fn set_idle(&self) {
        let mut key = self.key.lock().unwrap_or_else(|e| e.into_inner());
        *key = self.table.state().sit(&self.kill);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.set_busy();
        let mut state = self.table.state();
        state.count = state.count.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_gets_so_many_answers_a_second() {
        let mut pace = Pace::new();
        let start = pace.since;
        let answered = (0..1000).filter(|_| pace.wait(start).is_none()).count();
        assert_eq!(answered, MAX_ANSWERS_PER_SECOND as usize);
        assert_eq!(pace.wait(start + Duration::from_millis(300)), Some(Duration::from_millis(700)));
        assert_eq!(pace.wait(start + Duration::from_secs(1)), None);
    }

    #[test]
    fn the_longest_idle_makes_room_and_the_busy_stay() {
        let table = Arc::new(Table::new(3));
        let a = Table::enter(&table).unwrap();
        let b = Table::enter(&table).unwrap();
        let c = Table::enter(&table).unwrap();
        a.set_busy();
        b.set_busy();
        b.set_idle();
        let _d = Table::enter(&table).unwrap();
        // c sat longest; b came back after it; a works.
        let idle: Vec<_> = table.state().idle.values().map(Arc::as_ptr).collect();
        assert!(!idle.contains(&Arc::as_ptr(&c.kill)) && !idle.contains(&Arc::as_ptr(&a.kill)));
        assert!(idle.contains(&Arc::as_ptr(&b.kill)));
        drop(c);
        assert_eq!(table.state().count, 3);
    }

    #[test]
    fn nobody_enters_when_all_are_busy() {
        let table = Arc::new(Table::new(1));
        let a = Table::enter(&table).unwrap();
        a.set_busy();
        assert!(Table::enter(&table).is_none());
        drop(a);
        assert!(Table::enter(&table).is_some());
    }
}
