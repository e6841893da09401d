//! The messages of a session that clients may still want: the last ones, up to a number of bytes.
//!
//! Each client has a place in it, and no messages of its own: so any number of clients takes the memory of one, who is slow loses what
//! has fallen out, which the numbers of frames tell exactly, and who comes back goes on where it was.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Bytes;

/// A message and what it brings.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The message, shared by all clients.
    pub(super) bytes: Bytes,
    pub(super) seq: u64,
    /// Number of the first frame.
    pub(super) frame: u64,
    /// How many there are.
    pub(super) frames: u64,
    /// Whether nothing follows.
    pub(super) last: bool,
}

/// The last messages of a session.
#[derive(Debug)]
pub(super) struct Log {
    inner: Mutex<Inner>,
    grown: Notify,
}

#[derive(Debug)]
struct Inner {
    entries: VecDeque<Entry>,
    bytes: usize,
    most: usize,
    seq: u64,
    frame: u64,
}

impl Log {
    /// Keeps so many bytes, and one message at least.
    pub(super) fn new(most: usize) -> Self {
        let inner = Inner { entries: VecDeque::new(), bytes: 0, most, seq: 0, frame: 0 };
        Self { inner: Mutex::new(inner), grown: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // What a thread that panicked may have left is a message without its bytes counted.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the next message.
    pub(super) fn push(&self, entry: Entry) {
        let mut inner = self.lock();
        inner.seq = entry.seq + 1;
        inner.frame = entry.frame + entry.frames;
        inner.bytes += entry.bytes.len();
        inner.entries.push_back(entry);
        while inner.bytes > inner.most && inner.entries.len() > 1 {
            let left = inner.entries.pop_front().map_or(0, |entry| entry.bytes.len());
            inner.bytes -= left;
        }
        drop(inner);
        self.grown.notify_waiters();
    }

    /// The numbers of the next message and of the next frame.
    pub(super) fn next(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.seq, inner.frame)
    }

    /// The first message from this number on that is still there: its number, and that of its first frame.
    pub(super) fn first_from(&self, seq: u64) -> (u64, u64) {
        let inner = self.lock();
        inner.get(seq).map_or((inner.seq, inner.frame), |entry| (entry.seq, entry.frame))
    }

    /// The first message from this number on that is still there, once there is one.
    pub(super) async fn get(&self, seq: u64) -> Entry {
        loop {
            // Before it is looked, so that what comes in between is heard.
            let grown = self.grown.notified();
            let found = self.lock().get(seq).cloned();
            match found {
                Some(entry) => return entry,
                None => grown.await,
            }
        }
    }
}

impl Inner {
    fn get(&self, seq: u64) -> Option<&Entry> {
        let first = self.entries.front()?.seq;
        self.entries.get(usize::try_from(seq.saturating_sub(first)).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn log(most: usize, entries: u64) -> Log {
        let log = Log::new(most);
        for seq in 0..entries {
            log.push(Entry { bytes: vec![0; 10].into(), seq, frame: seq * 5, frames: 5, last: false });
        }
        log
    }

    #[test]
    fn the_last_messages_stay_and_what_has_gone_shows_in_the_numbers() {
        let log = log(100, 1000);
        assert_eq!(log.next(), (1000, 5000));
        assert_eq!(log.first_from(3), (990, 4950));
        assert_eq!(log.first_from(995), (995, 4975));
        assert_eq!(log.first_from(1000), (1000, 5000));
        assert_eq!(log.lock().bytes, 100);
        log.push(Entry { bytes: vec![0; 1000].into(), seq: 1000, frame: 5000, frames: 1, last: true });
        assert_eq!((log.first_from(0), log.next()), ((1000, 5000), (1001, 5001)));
    }

    #[tokio::test]
    async fn who_is_up_to_date_waits_for_the_next() {
        let log = Arc::new(log(100, 2));
        assert_eq!(log.get(1).await.seq, 1);
        let waiting = tokio::spawn({
            let log = Arc::clone(&log);
            async move { log.get(2).await.seq }
        });
        tokio::task::yield_now().await;
        log.push(Entry { bytes: vec![0; 10].into(), seq: 2, frame: 10, frames: 5, last: false });
        assert_eq!(waiting.await.unwrap(), 2);
    }
}
