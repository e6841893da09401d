//! System calls of packet rings: the only unsafe code of live capture.
#![allow(
    unsafe_code,
    reason = "socket options, a mapping shared with the kernel, and an address are passed by pointer"
)]

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::filter::{Insn, op};

use super::super::block::{STATUS, STATUS_USER};
use super::super::geometry::Geometry;

/// A packet socket that receives nothing yet: protocol 0.
pub(super) fn packet_socket() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?)
}

/// A socket to ask for interfaces (NETLINK_ROUTE, protocol 0). The default receive buffer, 208 kB, holds what the kernel sends of an answer at a time.
pub(super) fn route_socket() -> io::Result<File> {
    Ok(File::from(socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?))
}

/// Values of options that are plain numbers for the kernel: no pointers, no padding.
///
/// # Safety
/// Only for such types.
unsafe trait Plain: Copy {}
// SAFETY: an integer.
unsafe impl Plain for c_int {}
// SAFETY: seven u32.
unsafe impl Plain for libc::tpacket_req3 {}
// SAFETY: an i32, two u16 and eight bytes.
unsafe impl Plain for libc::packet_mreq {}
// SAFETY: three u32.
unsafe impl Plain for libc::tpacket_stats_v3 {}

fn set<T: Plain>(socket: BorrowedFd<'_>, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of a value that lives through the call; the kernel copies it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn get<T: Plain>(socket: BorrowedFd<'_>, level: c_int, option: c_int, mut value: T) -> io::Result<T> {
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel writes `length` bytes at most into a value of that size, any bytes of which are a `T`.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, option, ptr::from_mut(&mut value).cast(), &raw mut length)
    };
    if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// An option by its name, so that an error can tell which one the kernel refused.
fn named<T>(name: &str, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|e| io::Error::new(e.kind(), Refused { what: name.to_owned(), error: e }))
}

#[derive(Debug)]
struct Refused {
    what: String,
    error: io::Error,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// The number of the system's error, also where it has a name around it.
pub(super) fn errno(error: &io::Error) -> Option<i32> {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<Refused>());
    inner.map_or(error.raw_os_error(), |refused| refused.error.raw_os_error())
}

/// The third version of rings.
pub(super) fn set_version(socket: BorrowedFd<'_>) -> io::Result<()> {
    let version = libc::tpacket_versions::TPACKET_V3 as c_int;
    named("PACKET_VERSION = TPACKET_V3", set(socket, libc::SOL_PACKET, libc::PACKET_VERSION, &version))
}

/// Asks for a ring; a block with frames in it is handed over after `retire` milliseconds at the latest.
pub(super) fn set_ring(socket: BorrowedFd<'_>, ring: Geometry, retire: u32) -> io::Result<()> {
    let request = libc::tpacket_req3 {
        tp_block_size: ring.block,
        tp_block_nr: ring.blocks,
        tp_frame_size: Geometry::FRAME,
        tp_frame_nr: ring.frames(),
        tp_retire_blk_tov: retire,
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    };
    let name = format!("PACKET_RX_RING of {} blocks of {} bytes", ring.blocks, ring.block);
    named(&name, set(socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request))
}

/// The system has no room for a ring of this size. Such a request may be made again with a smaller one.
pub(super) fn is_out_of_memory(error: &io::Error) -> bool {
    matches!(errno(error), Some(libc::ENOMEM | libc::ENOBUFS | libc::EAGAIN))
}

/// Packets that this host sends are not seen: what comes in is all there is on the loopback interface. Unknown before Linux 4.20.
pub(super) fn ignore_outgoing(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &1)
}

/// `linux/if_packet.h`; not in every version of the bindings.
const PACKET_IGNORE_OUTGOING: c_int = 23;

/// Sees frames for other stations too, until the socket is closed.
pub(super) fn join_promiscuous(socket: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let member = libc::packet_mreq {
        mr_ifindex: index as c_int,
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    named("PACKET_ADD_MEMBERSHIP", set(socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &member))
}

/// Lets nothing in any more.
pub(super) fn reject_all(socket: BorrowedFd<'_>) -> io::Result<()> {
    attach_filter(socket, &[Insn::new(op::RET_K, 0)])
}

/// Lets only frames in for which a program returns another number than 0; it takes the place of the one before.
pub(super) fn attach_filter(socket: BorrowedFd<'_>, program: &[Insn]) -> io::Result<()> {
    let mut code: Vec<libc::sock_filter> =
        program.iter().map(|i| libc::sock_filter { code: i.code, jt: i.jt, jf: i.jf, k: i.k }).collect();
    let len = u16::try_from(code.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: code.as_mut_ptr() };
    // SAFETY: the program and the instructions that it points to live through the call; the kernel copies both.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            ptr::from_ref(&program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Begins to receive all packets of an interface.
pub(super) fn bind(socket: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: index as c_int,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the pointer and the length are those of an address that lives through the call; the kernel copies it.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            ptr::from_ref(&address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    named("bind", if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) })
}

/// Received (lost ones included), lost for want of room, and times that the ring was full: since the last call, as reading clears
/// them.
pub(super) fn statistics(socket: BorrowedFd<'_>) -> io::Result<[u64; 3]> {
    let none = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
    let stats = get(socket, libc::SOL_PACKET, libc::PACKET_STATISTICS, none)?;
    Ok([stats.tp_packets, stats.tp_drops, stats.tp_freeze_q_cnt].map(u64::from))
}

/// Takes note of what is wrong with the socket, which poll would otherwise tell again and again.
pub(super) fn take_error(socket: BorrowedFd<'_>) -> io::Result<i32> {
    get(socket, libc::SOL_SOCKET, libc::SO_ERROR, 0)
}

/// The memory of a ring, shared with the kernel: blocks of one size, each with a word that says whose it is.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    ring: Geometry,
}

// SAFETY: the mapping belongs to this value alone, and is used through it only.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps the ring of a socket, for which exactly this geometry was asked.
    pub(super) fn new(socket: BorrowedFd<'_>, ring: Geometry) -> io::Result<Self> {
        let length = usize::try_from(ring.bytes()).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory that is in use.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_fd().as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return named("mmap of the ring", Err(io::Error::last_os_error()));
        }
        NonNull::new(start.cast()).map(|start| Self { start, ring }).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The word that says whose a block is.
    fn status(&self, block: u32) -> &AtomicU32 {
        let offset = (block % self.ring.blocks) as usize * self.ring.block as usize + STATUS;
        // SAFETY: the offset lies within the mapping, as the block is one of the ring's; blocks begin at multiples of the page size
        // and the word at 8, so it is aligned. The kernel writes it with the same kind of access.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(offset).cast()) }
    }

    /// The bytes of a block, if it is the reader's.
    pub(super) fn block(&self, block: u32) -> Option<&[u8]> {
        if self.status(block).load(Ordering::Acquire) & STATUS_USER == 0 {
            return None;
        }
        let length = self.ring.block as usize;
        let offset = (block % self.ring.blocks) as usize * length;
        // SAFETY: the block lies within the mapping, which lives as long as `self`. The kernel does not write to a block before it is
        // given back, and `give_back` needs `&mut self`, so no such slice is left then.
        Some(unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(offset), length) })
    }

    /// Gives a block back to the kernel.
    pub(super) fn give_back(&mut self, block: u32) {
        self.status(block).store(0, Ordering::Release);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this length and no reference into it outlives `self`. It cannot fail then.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.ring.bytes() as usize) };
    }
}
