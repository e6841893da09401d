//! The packets of one process, by the sockets that it holds.
//!
//! A frame does not say whose it is. Linux tells which sockets a process holds (`/proc/PID/fd`) and what their ends are
//! (`/proc/PID/net/tcp` and its like, of the process' own network namespace). So packets are matched with ends that were seen a moment
//! ago, and there are limits: a connection that is opened and closed within a refresh is missed, sockets that several processes share
//! (after a fork) count for each, later fragments of datagrams and ICMP are nobody's, and of raw sockets nothing is known.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::{Duration, Instant};

use joyfuljay_core::decode::{DecodeSettings, Decoded, Decoder};
use joyfuljay_core::frame::FrameBatch;
use joyfuljay_core::packet::{PacketInfo, ip_proto};
use joyfuljay_io::source::{PacketSource, Pulled, SourceError, SourceLayer, SourceWarning, Trouble};

/// Whose packets are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Process {
    /// The process of this number.
    Pid(u32),
    /// All processes of this name, as `ps -o comm` shows it.
    Name(String),
}

/// Sockets are looked at this often at most; less often where that takes long.
const REFRESH: Duration = Duration::from_millis(100);
/// Looking takes one part of so many of the time.
const SHARE: u32 = 20;
/// How long the ends of a socket that is closed are remembered, for what is still under way: the time in which TCP repeats a FIN.
const REMEMBERED: Duration = Duration::from_secs(60);

/// A source of which only the packets of a process are left.
pub struct OfProcess {
    source: Box<dyn PacketSource>,
    process: Process,
    sockets: HashMap<(u8, u16), Vec<Socket>>,
    decoder: Decoder,
    decoded: Decoded,
    /// When sockets are to be looked at again.
    refresh: Instant,
    was_there: bool,
    warnings: Vec<SourceWarning>,
}

impl OfProcess {
    /// The packets of a process among those of a source.
    ///
    /// # Errors
    /// When there is no such process, or its sockets may not be seen.
    pub fn new(source: Box<dyn PacketSource>, process: Process) -> Result<Self, SourceError> {
        let mut this = Self {
            source,
            sockets: HashMap::new(),
            decoder: Decoder::new([1, 1], DecodeSettings::default()),
            decoded: Decoded::default(),
            refresh: Instant::now(),
            was_there: true,
            warnings: Vec::new(),
            process,
        };
        this.look().map_err(|problem| SourceError::Interface { name: this.name(), problem })?;
        Ok(this)
    }

    fn name(&self) -> String {
        match &self.process {
            Process::Pid(pid) => format!("process {pid}"),
            Process::Name(name) => format!("process {name}"),
        }
    }

    /// Looks at the sockets of the process.
    fn look(&mut self) -> Result<(), String> {
        let began = Instant::now();
        let pids = match &self.process {
            Process::Pid(pid) => vec![*pid],
            Process::Name(name) => pids_of(name),
        };
        let mut found = Err("there is none".to_owned());
        for pid in pids {
            let root = Path::new("/proc").join(pid.to_string());
            match sockets_of(&root) {
                Ok(sockets) => {
                    found = Ok(());
                    sockets.into_iter().for_each(|socket| self.remember(socket));
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) if found.is_err() => {
                    found = Err(format!("its sockets cannot be seen ({e}): run as its user, or with CAP_SYS_PTRACE"));
                }
                Err(_) => {}
            }
        }
        for sockets in self.sockets.values_mut() {
            sockets.retain(|socket| began.duration_since(socket.seen) < REMEMBERED);
        }
        self.sockets.retain(|_, sockets| !sockets.is_empty());
        self.refresh = Instant::now() + REFRESH.max(began.elapsed().saturating_mul(SHARE));
        found
    }

    fn remember(&mut self, socket: Socket) {
        let known = self.sockets.entry((socket.protocol, socket.local.1)).or_default();
        match known.iter_mut().find(|known| (known.local, known.remote) == (socket.local, socket.remote)) {
            Some(known) => known.seen = socket.seen,
            None => known.push(socket),
        }
    }

    fn owns(&self, packet: &PacketInfo) -> bool {
        let ends = [true, false].map(|lo| packet.key.port(lo).map(|port| (unmapped(packet.key.addr(lo)), port)));
        let [Some(a), Some(b)] = ends else { return false };
        [(a, b), (b, a)].into_iter().any(|(local, remote)| {
            let sockets = self.sockets.get(&(packet.key.protocol, local.1));
            sockets.is_some_and(|sockets| sockets.iter().any(|socket| socket.has(local, remote)))
        })
    }

    /// Leaves only the frames of the process in a batch.
    fn choose(&mut self, batch: &mut FrameBatch) {
        self.decoded.packets.clear();
        self.decoded.extra.clear();
        for (i, frame) in batch.frames.iter().enumerate() {
            self.decoder.decode(&batch.data, i as u32, frame, &mut self.decoded);
        }
        // A fragment that had waited for its ports is of an earlier batch, which is gone: it has no frame here.
        let own = self.decoded.packets.iter().filter(|packet| self.owns(packet));
        let own: HashSet<u32> = own.map(|packet| packet.frame).collect();
        let mut at = 0;
        batch.frames.retain(|_| {
            at += 1;
            own.contains(&(at - 1))
        });
    }
}

impl SourceLayer for OfProcess {
    type Inner = dyn PacketSource;

    fn inner(&self) -> &Self::Inner {
        &*self.source
    }

    fn inner_mut(&mut self) -> &mut Self::Inner {
        &mut *self.source
    }

    fn pull_inner(&mut self, out: &mut FrameBatch, wait: Duration) -> Result<Pulled, SourceError> {
        let pulled = self.source.pull(out, wait)?;
        if Instant::now() >= self.refresh {
            let there = self.look();
            if there.is_ok() != self.was_there {
                self.was_there = there.is_ok();
                let message = match there {
                    Ok(()) => format!("{} is there again", self.name()),
                    Err(problem) => {
                        format!("{} has ended ({problem}): what it left under way is still taken", self.name())
                    }
                };
                self.warnings.push(SourceWarning {
                    path: self.name(),
                    offset: 0,
                    trouble: Trouble::Interface,
                    message,
                });
            }
        }
        if !matches!(pulled, Pulled::Frames { .. }) {
            return Ok(pulled);
        }
        let earliest = out.frames.iter().map(|frame| frame.ts).min();
        self.choose(out);
        // What is left out tells the time all the same.
        Ok(if out.frames.is_empty() { Pulled::Idle(earliest) } else { pulled })
    }

    fn take_inner_warnings(&mut self) -> Vec<SourceWarning> {
        let mut warnings = self.source.take_warnings();
        warnings.append(&mut self.warnings);
        warnings
    }
}

type End = (IpAddr, u16);

/// A socket and its ends; one that is not connected has the remote port 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    protocol: u8,
    local: End,
    remote: End,
    seen: Instant,
}

impl Socket {
    fn has(&self, local: End, remote: End) -> bool {
        let address = |own: End, other: End| own.0.is_unspecified() || own.0 == other.0;
        self.local.1 == local.1
            && address(self.local, local)
            && (self.remote.1 == 0 || (self.remote.1 == remote.1 && address(self.remote, remote)))
    }
}

/// Processes of a name, which the kernel cuts to 15 bytes.
fn pids_of(name: &str) -> Vec<u32> {
    const SHOWN: usize = 15;

    let name = name.as_bytes().get(..SHOWN).unwrap_or(name.as_bytes());
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        fs::read(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.strip_suffix(b"\n").unwrap_or(&comm) == name)
    })
    .collect()
}

/// The sockets of a process, by its folder in /proc.
fn sockets_of(root: &Path) -> io::Result<Vec<Socket>> {
    let links = fs::read_dir(root.join("fd"))?.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    let inodes: HashSet<u64> = links.filter_map(|link| inode(link.to_str()?)).collect();
    let mut sockets = Vec::new();
    let seen = Instant::now();
    for (table, protocol) in [
        ("tcp", ip_proto::TCP),
        ("tcp6", ip_proto::TCP),
        ("udp", ip_proto::UDP),
        ("udp6", ip_proto::UDP),
        ("udplite", ip_proto::UDPLITE),
        ("udplite6", ip_proto::UDPLITE),
    ] {
        // A kernel without IPv6 has fewer tables.
        let text = fs::read_to_string(root.join("net").join(table)).unwrap_or_default();
        let lines = text.lines().skip(1).filter_map(socket);
        let own = lines.filter(|(inode, ..)| inodes.contains(inode));
        sockets.extend(own.map(|(_, local, remote)| Socket { protocol, local, remote, seen }));
    }
    Ok(sockets)
}

/// `socket:[12345]`
fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Number and both ends of a line of `/proc/net/tcp`.
fn socket(line: &str) -> Option<(u64, End, End)> {
    let mut words = line.split_ascii_whitespace();
    let (local, remote) = (words.nth(1)?, words.next()?);
    Some((words.nth(6)?.parse().ok()?, end(local)?, end(remote)?))
}

/// An address in words of the machine's byte order, and a port: `0100007F:1F90`.
fn end(text: &str) -> Option<End> {
    let (address, port) = text.split_once(':')?;
    let mut bytes = [0u8; 16];
    let words = address.len() / 8;
    if !address.is_ascii() || !(address.len() == 8 || address.len() == 32) {
        return None;
    }
    for (word, slot) in (0..words).zip(bytes.chunks_exact_mut(4)) {
        slot.copy_from_slice(&u32::from_str_radix(address.get(8 * word..8 * word + 8)?, 16).ok()?.to_ne_bytes());
    }
    let address = match words {
        1 => IpAddr::V4(Ipv4Addr::from(*bytes.first_chunk::<4>()?)),
        _ => IpAddr::V6(Ipv6Addr::from(bytes)),
    };
    Some((unmapped(address), u16::from_str_radix(port, 16).ok()?))
}

/// IPv4 as such also on a socket of IPv6.
fn unmapped(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn lines_of_the_tables_are_read() {
        let v4 = "   0: 0100007F:1F90 0200000A:C001 01 00000000:00000000 00:00000000 00000000     0        0 12345 1 0";
        let (number, local, remote) = socket(v4).unwrap();
        assert_eq!((number, local, remote), (12345, ([127, 0, 0, 1].into(), 8080), ([10, 0, 0, 2].into(), 49153)));
        let mapped = "0000000000000000FFFF00000100007F:0050";
        assert_eq!(end(mapped), Some(([127, 0, 0, 1].into(), 80)));
        let v6 = "B80D0120000000000000000001000000:0035";
        assert_eq!(end(v6), Some(("2001:db8::1".parse().unwrap(), 53)));
        for bad in ["", "x", "0100007F", "0100007F:", "0100007:1F90", "ü10007F:1F90", "0100007F:12345"] {
            assert_eq!(end(bad), None, "{bad}");
        }
        assert_eq!(inode("socket:[77]"), Some(77));
        assert_eq!(inode("pipe:[77]"), None);
    }

    #[test]
    fn a_socket_has_its_connection_and_a_listener_any() {
        let end = |a, port| (IpAddr::from([10, 0, 0, a]), port);
        let any = (IpAddr::from([0, 0, 0, 0]), 0);
        let socket = |local, remote| Socket { protocol: 6, local, remote, seen: Instant::now() };
        let connected = socket(end(1, 80), end(2, 999));
        assert!(connected.has(end(1, 80), end(2, 999)));
        assert!(!connected.has(end(1, 80), end(2, 998)) && !connected.has(end(3, 80), end(2, 999)));
        let listener = socket((any.0, 80), any);
        assert!(listener.has(end(1, 80), end(2, 999)) && !listener.has(end(1, 81), end(2, 999)));
    }
}
