//! What was written goes to the disk while the run goes on.
//!
//! A file is made durable before it gets its name. Where all of it is in the page cache still, that is a wait at the end of a run in
//! which nothing else is done: a tenth of a second for 90 MB. So a thread has the system write out what has come, a few megabytes at
//! a time; what is left for the end is little.

use std::fs::File;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Bytes after which the next ones are written out. A file that stays below has no thread.
const STEP: u64 = 8 << 20;

/// The thread of one file, once there is something to do.
#[derive(Default)]
pub(super) struct WriteBehind {
    waiting: u64,
    worker: Option<Worker>,
}

struct Worker {
    more: SyncSender<()>,
    /// It tells the first error: the system tells each only once, and not to whoever asks next.
    thread: JoinHandle<io::Result<()>>,
}

impl WriteBehind {
    /// So many bytes more are in the file.
    pub(super) fn wrote(&mut self, file: &File, bytes: usize) {
        self.waiting += bytes as u64;
        if self.waiting < STEP {
            return;
        }
        self.waiting = 0;
        if self.worker.is_none() {
            // Without a thread all is written out at the end.
            self.worker = Worker::start(file).ok();
        }
        if let Some(worker) = &self.worker {
            // Where one step waits already, this one goes with it. Where an error ended the thread, the end tells it.
            let _ = worker.more.try_send(());
        }
    }

    /// Waits for what is being written out. What came after the last step is not.
    pub(super) fn finish(self) -> io::Result<()> {
        let Some(Worker { more, thread }) = self.worker else { return Ok(()) };
        drop(more);
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that writes out has panicked")))
    }
}

impl Worker {
    fn start(file: &File) -> io::Result<Self> {
        let file = file.try_clone()?;
        let (more, steps) = sync_channel(1);
        let write_out = move || steps.iter().try_for_each(|()| file.sync_data());
        let thread = thread::Builder::new().name("jj-write-out".to_owned()).spawn(write_out)?;
        Ok(Self { more, thread })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_large_file_is_whole_and_a_small_one_has_no_thread() {
        let mut file = tempfile::tempfile().unwrap();
        let mut behind = WriteBehind::default();
        let part = vec![1; STEP as usize / 3];
        for n in 1..=2 {
            file.write_all(&part).unwrap();
            behind.wrote(&file, part.len());
            assert!(behind.worker.is_none(), "after {n} parts");
        }
        for _ in 0..8 {
            file.write_all(&part).unwrap();
            behind.wrote(&file, part.len());
        }
        assert!(behind.worker.is_some());
        behind.finish().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 10 * part.len() as u64);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_error_of_the_thread_is_told_at_the_end() {
        // A pipe cannot be synced.
        let (_reader, writer) = io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(writer));
        let mut behind = WriteBehind::default();
        behind.wrote(&file, STEP as usize);
        assert!(behind.finish().is_err());
    }
}
