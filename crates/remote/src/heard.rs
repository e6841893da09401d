//! A connection that knows when something was last heard on it, so that a peer that vanished without a word is noticed.
//!
//! Both ends send a ping at every turn and neither waits for an answer: what counts is bytes. A large message on a slow link is heard
//! while it comes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::MISSED;

/// When something was last heard.
#[derive(Clone, Debug)]
pub(crate) struct Hearing {
    begun: Instant,
    millis: Arc<AtomicU64>,
}

impl Hearing {
    fn new() -> Self {
        Self { begun: Instant::now(), millis: Arc::default() }
    }

    fn note(&self) {
        self.millis.store(self.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_millis(self.millis.load(Ordering::Relaxed)))
    }

    /// Ends when nothing was heard for as long as [`MISSED`] pings take, and calls `ping` until then.
    pub(crate) async fn until_silent<F: Future<Output = ()>>(&self, every: Duration, mut ping: impl FnMut() -> F) {
        loop {
            tokio::time::sleep(every).await;
            // Half a turn more, as the other end's clock does not tick with ours.
            if self.silence() > every * MISSED + every / 2 {
                return;
            }
            // A peer that takes nothing must not keep us from looking.
            let _ = tokio::time::timeout(every, ping()).await;
        }
    }
}

/// A connection with its [`Hearing`].
#[derive(Debug)]
pub(crate) struct Heard<S> {
    stream: S,
    hearing: Hearing,
}

impl<S> Heard<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, hearing: Hearing::new() }
    }

    pub(crate) fn hearing(&self) -> Hearing {
        self.hearing.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.hearing.note();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
