//! Bytes of an input: counted below any decompression, as progress counts bytes of the file; and streams (pipes,
//! FIFOs, devices), which may keep their reader waiting until a deadline and no longer.
//!
//! A stream that has nothing to read at its deadline says [`io::ErrorKind::WouldBlock`]; what was read before is with
//! its reader. Regular files never wait and are never polled.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A count of bytes that outlives the reader it counts.
#[derive(Clone, Debug, Default)]
pub(super) struct ByteCount(Arc<AtomicU64>);

impl ByteCount {
    /// Bytes so far.
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A reader that counts.
#[derive(Debug)]
pub(super) struct Counting<R> {
    inner: R,
    count: ByteCount,
}

impl<R> Counting<R> {
    /// Counts what is read from `inner` into `count`.
    pub(super) fn new(inner: R, count: ByteCount) -> Self {
        Self { inner, count }
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.count.0.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Reads until `buf` is full or the input ends; returns how many bytes came.
pub(super) fn read_full(input: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buf.get_mut(filled..).filter(|room| !room.is_empty()) {
        match input.read(room) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// An input that was opened.
pub(super) enum Opened {
    /// A regular file and its size.
    File(File, u64),
    /// Anything else, and how long its reader may wait.
    Stream(Box<dyn Read + Send>, Deadline),
}

/// Opens what is at a path.
pub(super) fn open(path: &Path) -> io::Result<Opened> {
    let file = open_options().open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    opened(file)
}

/// Opening a FIFO waits for a writer, unless it is opened so that reading does not wait.
#[cfg(target_os = "linux")]
fn open_options() -> std::fs::OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    options.read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    options
}

/// Elsewhere, a FIFO that has no writer yet may look like one whose writer is gone: opening it waits.
#[cfg(not(target_os = "linux"))]
fn open_options() -> std::fs::OpenOptions {
    let mut options = File::options();
    options.read(true);
    options
}

/// Standard input, which may be a regular file: what is left of it from where it stands.
pub(super) fn stdin() -> io::Result<Opened> {
    let mut file = stdin_file()?;
    match opened(file.try_clone()?)? {
        Opened::File(_, size) => {
            let from = file.stream_position()?;
            Ok(Opened::File(file, size.saturating_sub(from)))
        }
        stream => Ok(stream),
    }
}

#[cfg(unix)]
fn stdin_file() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
fn stdin_file() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stdin().as_handle().try_clone_to_owned()?))
}

/// A file that is open already.
pub(super) fn opened(file: File) -> io::Result<Opened> {
    let meta = file.metadata()?;
    if meta.is_file() {
        return Ok(Opened::File(file, meta.len()));
    }
    let deadline = Deadline::default();
    Ok(Opened::Stream(stream(file, &deadline)?, deadline))
}

#[cfg(unix)]
fn stream(file: File, deadline: &Deadline) -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(Polled { file, deadline: deadline.clone() }))
}

/// Where there is nothing like `poll`, a thread waits.
#[cfg(not(unix))]
fn stream(file: File, deadline: &Deadline) -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(Relay::start(file, Deadline::default(), deadline.clone())?))
}

/// How long the reader of a stream may wait. Clones are the same deadline.
#[derive(Clone, Debug, Default)]
pub(super) struct Deadline(Arc<Mutex<Limit>>);

#[derive(Clone, Copy, Debug, Default)]
struct Limit {
    at: Option<Instant>,
    abandoned: bool,
}

impl Opened {
    /// Bytes of a regular file.
    pub(super) fn size(&self) -> Option<u64> {
        match self {
            Self::File(_, size) => Some(*size),
            Self::Stream(..) => None,
        }
    }
}

impl Deadline {
    /// How often a reader that may wait for ever looks whether anybody still waits for it.
    const LOOK_UP: Duration = Duration::from_millis(200);

    /// From now on the reader waits until then; `None`: for as long as it takes.
    pub(super) fn set(&self, at: Option<Instant>) {
        self.limit().at = at;
    }

    /// The reader is gone: a thread that waits ends.
    fn abandon(&self) {
        self.limit().abandoned = true;
    }

    /// How long to wait before asking again; nothing when the deadline has passed.
    fn left(&self) -> io::Result<Duration> {
        let limit = *self.limit();
        if limit.abandoned {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(limit.at.map_or(Self::LOOK_UP, |at| at.saturating_duration_since(Instant::now())))
    }

    fn limit(&self) -> MutexGuard<'_, Limit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A descriptor that is asked whether it can be read before it is.
#[cfg(unix)]
struct Polled {
    file: File,
    deadline: Deadline,
}

#[cfg(unix)]
impl Read for Polled {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            // What is there is taken also when the deadline has passed.
            let wait = self.deadline.left()?;
            if readable(&self.file, wait)? {
                match self.file.read(buf) {
                    // Another reader of the pipe was faster.
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock && !wait.is_zero() => continue,
                    result => return result,
                }
            }
            if wait.is_zero() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
    }
}

/// Whether a read would give something at once, be it the end or an error.
#[cfg(unix)]
fn readable(file: &File, wait: Duration) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    // A wait that is too long for the system's type is looked at again when it is over.
    let timeout = Timespec::try_from(wait).ok();
    match poll(&mut [PollFd::new(file, PollFlags::IN)], timeout.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// A thread that reads, for inputs that cannot be asked whether they have something to read: decoders, which hold bytes
/// back and do not survive being interrupted; and every stream on systems without `poll`.
pub(super) struct Relay {
    from: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
    inner: Deadline,
    deadline: Deadline,
}

impl Relay {
    /// Bytes that the thread reads at once.
    const PIECE: usize = 64 * 1024;

    /// Pieces that may wait: enough that neither side stops while the other is in the middle of a batch.
    const AHEAD: usize = 8;

    /// Reads `input`, whose own deadline is `inner`, on a thread.
    pub(super) fn start(
        mut input: impl Read + Send + 'static,
        inner: Deadline,
        deadline: Deadline,
    ) -> io::Result<Self> {
        let (to, from) = sync_channel(Self::AHEAD);
        thread::Builder::new().name("jj-stream".into()).spawn(move || relay(&mut input, &to))?;
        Ok(Self { from, piece: Vec::new(), at: 0, ended: false, inner, deadline })
    }
}

fn relay(input: &mut impl Read, to: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut piece = vec![0; Relay::PIECE];
        let read = match input.read(&mut piece) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map(|n| piece.truncate(n)),
        };
        let last = read.is_err() || piece.is_empty();
        if to.send(read.map(|()| piece)).is_err() || last {
            return;
        }
    }
}

impl Read for Relay {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() && !self.ended {
            let wait = self.deadline.left()?;
            match self.from.recv_timeout(wait) {
                Ok(Ok(piece)) => {
                    self.ended = piece.is_empty();
                    (self.piece, self.at) = (piece, 0);
                }
                Ok(Err(e)) => {
                    self.ended = true;
                    return Err(e);
                }
                Err(RecvTimeoutError::Timeout) if wait.is_zero() => return Err(io::ErrorKind::WouldBlock.into()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the thread that reads the stream ended unexpectedly"));
                }
            }
        }
        let n = self.piece.get(self.at..).unwrap_or_default().read(buf)?;
        self.at += n;
        Ok(n)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.inner.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write};

    fn would_block(result: io::Result<usize>) -> bool {
        result.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_read_while_it_has_bytes_and_waited_for_until_the_deadline() {
        let (reader, mut writer) = io::pipe().unwrap();
        let deadline = Deadline::default();
        let file = File::from(std::os::fd::OwnedFd::from(reader));
        for relayed in [false, true] {
            deadline.set(Some(Instant::now()));
            let polled = Polled { file: file.try_clone().unwrap(), deadline: deadline.clone() };
            let inner = Deadline::default();
            let slow = Polled { file: file.try_clone().unwrap(), deadline: inner.clone() };
            let mut input: Box<dyn Read> = match relayed {
                true => Box::new(Relay::start(slow, inner, deadline.clone()).unwrap()),
                false => Box::new(polled),
            };
            let mut buf = [0; 8];
            assert!(would_block(input.read(&mut buf)), "nothing is there");
            writer.write_all(b"abc").unwrap();
            deadline.set(None);
            assert_eq!(input.read(&mut buf).unwrap(), 3);
            deadline.set(Some(Instant::now() + Duration::from_millis(20)));
            assert!(would_block(input.read(&mut buf)), "nothing more comes");
        }
        drop(writer);
        deadline.set(None);
        assert_eq!(Polled { file, deadline }.read(&mut [0; 8]).unwrap(), 0);
    }

    #[test]
    fn a_relay_gives_what_its_input_has() {
        let bytes: Vec<u8> = (0..300_000u32).map(|i| i as u8).collect();
        let mut relay = Relay::start(Cursor::new(bytes.clone()), Deadline::default(), Deadline::default()).unwrap();
        let mut read = Vec::new();
        relay.read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        assert_eq!(relay.read(&mut [0; 4]).unwrap(), 0, "the end is final");
    }

    #[cfg(unix)]
    #[test]
    fn a_relay_that_is_left_lets_go_of_its_pipe() {
        let (reader, mut writer) = io::pipe().unwrap();
        let inner = Deadline::default();
        let polled = Polled { file: File::from(std::os::fd::OwnedFd::from(reader)), deadline: inner.clone() };
        drop(Relay::start(polled, inner, Deadline::default()).unwrap());
        while writer.write_all(b"x").is_ok() {
            thread::yield_now();
        }
    }
}
