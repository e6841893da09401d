//! Captures built byte by byte, for tests.

use super::{CaptureReader, PacketSource, Pulled, SourceWarning};
use joyfuljay_core::frame::FrameBatch;
use std::io::{self, Read};
use std::time::Duration;

/// A frame with its bytes: time, link type, length on the wire, bytes.
pub(super) type Owned = (i64, u16, u32, Vec<u8>);

/// Writes numbers in one byte order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer {
    pub(super) big: bool,
}

impl Writer {
    pub(super) fn u16(self, v: u16) -> [u8; 2] {
        if self.big { v.to_be_bytes() } else { v.to_le_bytes() }
    }

    pub(super) fn u32(self, v: u32) -> [u8; 4] {
        if self.big { v.to_be_bytes() } else { v.to_le_bytes() }
    }

    pub(super) fn words(self, words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|w| self.u32(*w)).collect()
    }

    /// A classic file header.
    pub(super) fn pcap(self, magic: u32, version: (u16, u16), snaplen: u32, network: u32) -> Vec<u8> {
        let mut out = self.u32(magic).to_vec();
        out.extend(self.u16(version.0));
        out.extend(self.u16(version.1));
        out.extend(self.words(&[0, 0, snaplen, network]));
        out
    }

    /// A classic record, with `extra` bytes of header.
    pub(super) fn record(self, sec: u32, fraction: u32, wire_len: u32, extra: usize, bytes: &[u8]) -> Vec<u8> {
        let mut out = self.words(&[sec, fraction, bytes.len() as u32, wire_len]);
        out.resize(16 + extra, 0);
        out.extend(bytes);
        out
    }

    /// A pcapng block.
    pub(super) fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padded = body.len().next_multiple_of(4);
        let len = self.u32(padded as u32 + 12);
        let mut out = self.u32(kind).to_vec();
        out.extend(len);
        out.extend(body);
        out.resize(8 + padded, 0);
        out.extend(len);
        out
    }

    pub(super) fn section(self) -> Vec<u8> {
        let mut body = self.words(&[0x1a2b_3c4d]);
        body.extend(self.u16(1));
        body.extend(self.u16(0));
        body.extend([0xff; 8]);
        self.block(0x0a0d_0d0a, &body)
    }

    pub(super) fn interface(self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = self.u16(link).to_vec();
        body.extend([0; 2]);
        body.extend(self.u32(snaplen));
        for (code, value) in options {
            body.extend(self.u16(*code));
            body.extend(self.u16(value.len() as u16));
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        self.block(1, &body)
    }

    pub(super) fn enhanced(self, interface: u32, ticks: u64, wire_len: u32, bytes: &[u8]) -> Vec<u8> {
        let mut body = self.words(&[interface, (ticks >> 32) as u32, ticks as u32, bytes.len() as u32, wire_len]);
        body.extend(bytes);
        self.block(6, &body)
    }
}

/// A reader that gives at most so many bytes at once, in turn.
pub(super) struct Chunks {
    pub(super) bytes: io::Cursor<Vec<u8>>,
    pub(super) sizes: Vec<usize>,
    pub(super) turn: usize,
}

impl Read for Chunks {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes[self.turn % self.sizes.len()].min(buf.len());
        self.turn += 1;
        self.bytes.read(&mut buf[..size])
    }
}

/// All batches of a capture, and its warnings.
pub(super) fn read_all(input: impl Read + Send + 'static) -> (Vec<Vec<Owned>>, Vec<SourceWarning>) {
    let mut reader = CaptureReader::from_reader("test", input).unwrap();
    let (mut batch, mut batches) = (FrameBatch::new(), Vec::new());
    while reader.pull(&mut batch, Duration::ZERO).unwrap() != Pulled::End {
        let owned = |f: &joyfuljay_core::Frame| (f.ts, f.link.0, f.wire_len, batch.bytes(f).to_vec());
        batches.push(batch.frames.iter().map(owned).collect());
    }
    (batches, reader.take_warnings())
}

/// All frames of a capture that must be sound.
pub(super) fn frames(bytes: Vec<u8>) -> Vec<Owned> {
    let (batches, warnings) = read_all(io::Cursor::new(bytes));
    assert_eq!(warnings, []);
    batches.concat()
}
