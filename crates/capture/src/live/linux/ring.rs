//! One socket with its ring.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use joyfuljay_core::frame::{FrameBatch, TimeNs};

use crate::filter::Insn;

use super::super::block::{Cursor, hardware};
use super::super::geometry::Geometry;
use super::super::links::Link;
use super::super::timeline::Timeline;
use super::super::{LiveOptions, block};
use super::sys::{self, Mapping};

/// How old a block may become before the kernel hands it over with the frames that it has.
pub(super) const RETIRE: Duration = Duration::from_millis(40);

/// What a socket has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Packets that came, also those lost afterwards.
    pub(super) received: u64,
    /// Of these, lost for want of room in the ring.
    pub(super) dropped: u64,
    /// Times that the ring became full.
    pub(super) freezes: u64,
}

/// What taking frames brought besides frames.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Noted {
    /// Frames of interfaces whose hardware type is not known.
    pub(super) unknown: u64,
    /// Length of the longest frame.
    pub(super) longest: u32,
}

/// A ring and the place up to which it was read.
#[derive(Debug)]
pub(super) struct Ring {
    /// Unmapped before the socket is closed.
    mapping: Mapping,
    socket: OwnedFd,
    geometry: Geometry,
    block: u32,
    cursor: Option<Cursor>,
    counts: Counts,
    /// Set when nothing is let in any more: when the last block has been handed over.
    shut: Option<Instant>,
}

impl Ring {
    /// Opens a ring for an interface; it receives when it is returned, and not before everything stands.
    pub(super) fn open(link: &Link, options: &LiveOptions) -> io::Result<Self> {
        let socket = sys::packet_socket()?;
        let geometry = set_up(socket.as_fd(), options.ring_bytes)?;
        let mapping = Mapping::new(socket.as_fd(), geometry)?;
        if link.hardware == hardware::LOOPBACK {
            // Where the kernel cannot, the second sight of a packet is left out when it is read.
            let _ = sys::ignore_outgoing(socket.as_fd());
        } else if options.promiscuous {
            sys::join_promiscuous(socket.as_fd(), link.index)?;
        }
        if let Some(program) = socket_program(link, options) {
            // One that the kernel does not take is applied by the reader alone.
            let _ = sys::attach_filter(socket.as_fd(), &program);
        }
        sys::bind(socket.as_fd(), link.index)?;
        Ok(Self { mapping, socket, geometry, block: 0, cursor: None, counts: Counts::default(), shut: None })
    }

    /// Bytes of the ring.
    pub(super) fn bytes(&self) -> u64 {
        self.geometry.bytes()
    }

    /// To wait for frames.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Lets nothing in any more; what has come is still to be read.
    pub(super) fn shut(&mut self) {
        if self.shut.is_none() {
            // A socket that takes no filter has lost its interface, and receives nothing either.
            let _ = sys::reject_all(self.socket());
            // The block that is open is handed over within RETIRE; twice that, as the kernel's timer may be late.
            self.shut = Some(Instant::now() + 2 * RETIRE);
        }
    }

    /// Whether nothing more will come out of it. To be asked before it is looked whether there is a frame.
    pub(super) fn is_final(&self, now: Instant) -> bool {
        self.shut.is_some_and(|shut| now >= shut)
    }

    /// The time stamp of the next frame, if one is there.
    pub(super) fn head(&mut self) -> Option<TimeNs> {
        loop {
            let bytes = self.mapping.block(self.block)?;
            let cursor = self.cursor.unwrap_or_else(|| Cursor::new(bytes));
            match cursor.frame(bytes) {
                Some((frame, _)) => {
                    self.cursor = Some(cursor);
                    return Some(frame.ts);
                }
                None => {
                    self.cursor = None;
                    self.mapping.give_back(self.block);
                    self.block = (self.block + 1) % self.geometry.blocks;
                }
            }
        }
    }

    /// Copies frames into a batch: `most` at most, the batch may be full before. How many were looked at.
    pub(super) fn take(
        &mut self,
        most: usize,
        snaplen: usize,
        time: &Timeline,
        out: &mut FrameBatch,
        noted: &mut Noted,
    ) -> usize {
        let mut looked_at = 0;
        while looked_at < most && self.head().is_some() {
            let Some((bytes, mut cursor)) = self.mapping.block(self.block).zip(self.cursor) else { break };
            while looked_at < most
                && !super::is_full(out)
                && let Some((frame, next)) = cursor.frame(bytes)
            {
                cursor = next;
                looked_at += 1;
                if frame.is_repeated() {
                    self.counts.received = self.counts.received.saturating_sub(1);
                } else if frame.push(time.stamp(frame.ts), snaplen, out) {
                    noted.longest = noted.longest.max(frame.wire_len);
                } else {
                    noted.unknown += 1;
                }
            }
            self.cursor = Some(cursor);
            if super::is_full(out) {
                break;
            }
        }
        looked_at
    }

    /// The counts by now. Reading clears those of the kernel, so nobody else may.
    pub(super) fn counts(&mut self) -> Counts {
        if let Ok([received, dropped, freezes]) = sys::statistics(self.socket()) {
            self.counts.received += received;
            self.counts.dropped += dropped;
            self.counts.freezes += freezes;
        }
        self.counts
    }

    /// Takes note of the socket's error, so that waiting for frames is not broken off again.
    pub(super) fn take_error(&self) {
        let _ = sys::take_error(self.socket());
    }
}

/// Asks for a ring of so many bytes, or half of it, and so on.
fn set_up(socket: BorrowedFd<'_>, bytes: u64) -> io::Result<Geometry> {
    sys::set_version(socket)?;
    let mut geometry = Geometry::new(bytes, rustix::param::page_size() as u64);
    loop {
        match sys::set_ring(socket, geometry, RETIRE.as_millis() as u32) {
            Ok(()) => return Ok(geometry),
            Err(e) if sys::is_out_of_memory(&e) => geometry = geometry.halved().ok_or(e)?,
            Err(e) => return Err(e),
        }
    }
}

/// What the kernel leaves out of the ring of an interface.
fn socket_program(link: &Link, options: &LiveOptions) -> Option<Vec<Insn>> {
    let program = options.filter.as_ref()?.program(block::link_type(link.hardware)?).ok()?;
    program.for_socket()
}

/// Whether frames of an interface can be read, by its hardware type.
pub(super) fn is_readable(link: &Link) -> bool {
    block::link_type(link.hardware).is_some()
}
