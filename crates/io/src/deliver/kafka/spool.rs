//! Messages that wait in a temporary file while the queue is full. It has no name and ends with the process: what it buys is room,
//! not life beyond a crash. The file is a ring, so it never has more bytes than it was given.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// A file of messages, first in, first out.
pub(super) struct Spool {
    file: File,
    /// Most bytes.
    size: u64,
    /// Where the next is read and written, counted from the beginning of time: the place in the file is the remainder by `size`.
    read: u64,
    written: u64,
}

/// A message in the file.
#[derive(Debug, PartialEq)]
pub(super) struct Spooled {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Vec<u8>,
    pub(super) rows: u64,
    /// When it was written, from the start of the output.
    pub(super) at: Duration,
}

/// Length of value and key (all ones: none), rows, microseconds.
const HEAD: usize = 24;
const NO_KEY: u32 = u32::MAX;

impl Spool {
    /// A file in `TMPDIR`.
    pub(super) fn create(size: u64) -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, size: size.max(1), read: 0, written: 0 })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.read == self.written
    }

    /// Appends a message; false where there is no room.
    pub(super) fn push(&mut self, key: Option<&[u8]>, value: &[u8], rows: u64, at: Duration) -> io::Result<bool> {
        let key_bytes = key.unwrap_or_default();
        let length = (HEAD + key_bytes.len() + value.len()) as u64;
        if self.written - self.read + length > self.size {
            return Ok(false);
        }
        let key_length = key.map_or(Ok(NO_KEY), |key| u32::try_from(key.len()));
        let (Ok(key_length), Ok(value_length)) = (key_length, u32::try_from(value.len())) else { return Ok(false) };
        let mut bytes = Vec::with_capacity(length as usize);
        bytes.extend_from_slice(&value_length.to_le_bytes());
        bytes.extend_from_slice(&key_length.to_le_bytes());
        bytes.extend_from_slice(&rows.to_le_bytes());
        bytes.extend_from_slice(&(at.as_micros() as u64).to_le_bytes());
        bytes.extend_from_slice(key_bytes);
        bytes.extend_from_slice(value);
        // The place is taken when all is there: a full disk leaves what was before.
        self.each_part(self.written, bytes.len(), |file, at, part| file.write_all_at(&bytes[part], at))?;
        self.written += length;
        Ok(true)
    }

    /// Takes the oldest message out.
    pub(super) fn pop(&mut self) -> io::Result<Option<Spooled>> {
        if self.is_empty() {
            return Ok(None);
        }
        let head = self.bytes(self.read, HEAD)?;
        let number = |from: usize, to: usize| {
            head.get(from..to).unwrap_or_default().iter().rev().fold(0_u64, |n, b| n << 8 | u64::from(*b))
        };
        let (value, key) = (number(0, 4) as usize, number(4, 8) as u32);
        let key_length = if key == NO_KEY { 0 } else { key as usize };
        let mut value = self.bytes(self.read + HEAD as u64, key_length + value)?;
        let rest = value.split_off(key_length);
        self.read += (HEAD + key_length + rest.len()) as u64;
        let key = (key != NO_KEY).then_some(value);
        Ok(Some(Spooled { key, value: rest, rows: number(8, 16), at: Duration::from_micros(number(16, 24)) }))
    }

    /// Takes back the message that was taken last: its bytes are still there.
    pub(super) fn put_back(&mut self, message: &Spooled) {
        let length = HEAD + message.key.as_ref().map_or(0, Vec::len) + message.value.len();
        self.read = self.read.saturating_sub(length as u64);
    }

    fn bytes(&self, from: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.each_part(from, length, |file, at, part| file.read_exact_at(&mut bytes[part], at))?;
        Ok(bytes)
    }

    /// The pieces of a stretch: two where it goes over the end of the file.
    fn each_part(
        &self,
        from: u64,
        length: usize,
        mut work: impl FnMut(&File, u64, std::ops::Range<usize>) -> io::Result<()>,
    ) -> io::Result<()> {
        let at = from % self.size;
        let first = length.min((self.size - at) as usize);
        work(&self.file, at, 0..first)?;
        if first < length { work(&self.file, 0, first..length) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As a queue in memory that counts its bytes.
        #[test]
        fn it_is_a_bounded_queue(
            size in 1_u64..400,
            steps in prop::collection::vec(prop::option::of((prop::option::of(0_usize..40), 0_usize..90)), 1..200),
        ) {
            let mut spool = Spool::create(size).unwrap();
            let (mut queue, mut bytes) = (VecDeque::new(), 0);
            for (n, step) in steps.into_iter().enumerate() {
                match step {
                    Some((key, value)) => {
                        let (key, value) = (key.map(|len| vec![n as u8; len]), vec![!n as u8; value]);
                        let length = (HEAD + key.as_ref().map_or(0, Vec::len) + value.len()) as u64;
                        let fits = bytes + length <= size;
                        let at = Duration::from_micros(n as u64);
                        prop_assert_eq!(spool.push(key.as_deref(), &value, n as u64, at).unwrap(), fits);
                        if fits {
                            bytes += length;
                            queue.push_back((length, Spooled { key, value, rows: n as u64, at }));
                        }
                    }
                    None => {
                        let want = queue.pop_front().map(|(length, message)| {
                            bytes -= length;
                            message
                        });
                        prop_assert_eq!(spool.pop().unwrap(), want);
                    }
                }
                prop_assert_eq!(spool.is_empty(), queue.is_empty());
            }
        }
    }
}
