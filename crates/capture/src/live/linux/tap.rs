//! One interface by its name, over the rings that it has had: it may go down, be renamed, vanish and come again.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use joyfuljay_io::source::{InterfaceCounts, SourceError, SourceWarning};

use super::super::LiveOptions;
use super::super::links::Link;
use super::ring::{Counts, Noted, Ring, is_readable};
use super::{sys, warning};

/// An interface that is captured from.
#[derive(Debug)]
pub(super) struct Tap {
    name: String,
    /// As numbered when it was last there, and its ring.
    open: Option<(u32, Ring)>,
    /// Rings of its predecessors that are read to their end.
    leaving: Vec<Ring>,
    state: State,
    mtu: u32,
    /// What rings that are closed have counted.
    closed: Counts,
    counts: InterfaceCounts,
    /// The interface's own count of losses at the last look.
    missed: u64,
    said: Said,
    /// Whether the counts were told after the last frame was read.
    told: bool,
}

/// Whether frames can come. An interface that is taken down may be seen without its carrier first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    NoCarrier,
    Down,
}

impl State {
    fn of(link: &Link) -> Self {
        match (link.running, link.up) {
            (true, _) => Self::Running,
            (false, true) => Self::NoCarrier,
            (false, false) => Self::Down,
        }
    }
}

/// What has been said already, and is not said again.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    refused: bool,
    merged: bool,
    unknown: bool,
}

impl Tap {
    pub(super) fn open(
        name: &str,
        links: &[Link],
        options: &LiveOptions,
        warnings: &mut Vec<SourceWarning>,
    ) -> Result<Self, SourceError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);

        let failed = |problem| SourceError::Interface { name: name.to_owned(), problem };
        let mut tap = Self {
            name: name.to_owned(),
            open: None,
            leaving: Vec::new(),
            state: State::Running,
            mtu: 0,
            closed: Counts::default(),
            counts: InterfaceCounts {
                id: NEXT.fetch_add(1, Ordering::Relaxed),
                name: name.to_owned(),
                ..InterfaceCounts::default()
            },
            missed: 0,
            said: Said::default(),
            told: false,
        };
        let Some(link) = links.iter().find(|link| link.name == name) else {
            if options.wait_for_interface {
                // Whether capturing is allowed can be told without it.
                sys::packet_socket().map_err(|e| failed(refusal(&e)))?;
                tap.state = State::Down;
                warnings.push(warning(name, "does not exist yet: waiting for it".into()));
                return Ok(tap);
            }
            return Err(failed(no_such(links)));
        };
        if !is_readable(link) {
            return Err(failed(unreadable(link)));
        }
        let ring = Ring::open(link, options).map_err(|e| failed(refusal(&e)))?;
        if ring.bytes() < options.ring_bytes >> 1 {
            let message = format!(
                "memory is short: its ring has {} MiB instead of {}",
                ring.bytes() >> 20,
                options.ring_bytes >> 20
            );
            warnings.push(warning(name, message));
        }
        tap.attach(link, ring);
        tap.tell_state(link, warnings);
        Ok(tap)
    }

    fn attach(&mut self, link: &Link, ring: Ring) {
        self.open = Some((link.index, ring));
        self.missed = link.missed;
        self.mtu = link.mtu;
    }

    /// The number of the interface, while it is there.
    pub(super) fn index(&self) -> Option<u32> {
        self.open.as_ref().map(|(index, _)| *index)
    }

    /// Whether the interface has vanished and everything that came from it was read.
    /// It is so at the look after the one that said so in its counts.
    pub(super) fn is_gone(&self) -> bool {
        self.told
    }

    pub(super) fn rings(&mut self) -> impl Iterator<Item = &mut Ring> {
        self.open.iter_mut().map(|(_, ring)| ring).chain(&mut self.leaving)
    }

    pub(super) fn ring_count(&self) -> usize {
        usize::from(self.open.is_some()) + self.leaving.len()
    }

    /// Adds up the counters.
    pub(super) fn count(&mut self) {
        self.told = self.ring_count() == 0;
        let now = Instant::now();
        let mut i = 0;
        while let Some(ring) = self.leaving.get_mut(i) {
            if ring.is_final(now) && ring.head().is_none() {
                self.closed.add(ring.counts());
                self.leaving.swap_remove(i);
            } else {
                i += 1;
            }
        }
        let mut sum = self.closed;
        for ring in self.rings() {
            sum.add(ring.counts());
        }
        self.counts.received = sum.received;
        self.counts.drops.kernel = sum.dropped;
        self.counts.freezes = sum.freezes;
    }

    /// The counts at the last look.
    pub(super) fn counts(&self) -> InterfaceCounts {
        InterfaceCounts { up: self.state == State::Running, ..self.counts.clone() }
    }

    /// Takes note of what was read.
    pub(super) fn note(&mut self, noted: Noted, warnings: &mut Vec<SourceWarning>) {
        /// Link header and two tags.
        const OVERHEAD: u32 = 14 + 8;

        if noted.longest > self.mtu.saturating_add(OVERHEAD) && self.mtu > 0 && !self.said.merged {
            self.said.merged = true;
            let message = format!(
                "frames are longer than its MTU of {}: the kernel or the adapter merges packets (GRO, LRO, TSO), so counts and sizes \
                 are those of merged packets; ethtool -K {} gro off lro off tso off gso off shows them as on the wire",
                self.mtu, self.name
            );
            warnings.push(warning(&self.name, message));
        }
        if noted.unknown > 0 && !self.said.unknown {
            self.said.unknown = true;
            warnings.push(warning(&self.name, "frames of a hardware type that is not read are left out".into()));
        }
    }

    /// Compares with what the kernel says of interfaces now.
    pub(super) fn follow(
        &mut self,
        links: &[Link],
        options: &LiveOptions,
        any: bool,
        warnings: &mut Vec<SourceWarning>,
    ) {
        if let Some((index, _)) = self.open {
            match links.iter().find(|link| link.index == index) {
                Some(link) => {
                    self.counts.drops.interface += link.missed.saturating_sub(self.missed);
                    (self.missed, self.mtu) = (link.missed, link.mtu);
                    if link.name != self.name {
                        warnings.push(warning(&self.name, format!("is called {} now", link.name)));
                        self.name.clone_from(&link.name);
                        self.counts.name.clone_from(&link.name);
                    }
                    self.tell_state(link, warnings);
                    return;
                }
                None => {
                    if let Some((_, mut ring)) = self.open.take() {
                        ring.shut();
                        self.leaving.push(ring);
                    }
                    self.state = State::Down;
                    let then = if any { "" } else { "; it is captured again as soon as it is back" };
                    warnings.push(warning(&self.name, format!("has vanished{then}")));
                }
            }
        }
        if any {
            return;
        }
        let Some(link) = links.iter().find(|link| link.name == self.name) else { return };
        let opened = match is_readable(link) {
            true => Ring::open(link, options).map_err(|e| refusal(&e)),
            false => Err(unreadable(link)),
        };
        match opened {
            Ok(ring) => {
                self.attach(link, ring);
                self.said.refused = false;
                self.state = State::Running;
                warnings.push(warning(&self.name, "is there: captured from now on".into()));
                self.tell_state(link, warnings);
            }
            Err(problem) if !self.said.refused => {
                self.said.refused = true;
                warnings.push(warning(&self.name, problem));
            }
            Err(_) => {}
        }
    }

    fn tell_state(&mut self, link: &Link, warnings: &mut Vec<SourceWarning>) {
        let state = State::of(link);
        if state != self.state {
            let said = match state {
                State::Running => "is up again",
                State::NoCarrier => "has no carrier: nothing comes before it has",
                State::Down => "is down: nothing comes before it is up",
            };
            warnings.push(warning(&self.name, said.into()));
        }
        self.state = state;
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.received += other.received;
        self.dropped += other.dropped;
        self.freezes += other.freezes;
    }
}

/// Names the interfaces that there are.
pub(super) fn no_such(links: &[Link]) -> String {
    /// More do not help a reader.
    const MOST: usize = 20;

    let mut names: Vec<&str> = links.iter().take(MOST).map(|link| link.name.as_str()).collect();
    if links.len() > MOST {
        names.push("…");
    }
    format!("there is no such interface; there are {}, and `any` for all", names.join(", "))
}

pub(super) fn unreadable(link: &Link) -> String {
    format!("frames of hardware type {} (ARPHRD_ in linux/if_arp.h) are not read", link.hardware)
}

/// What to do about a refusal of the kernel.
pub(super) fn refusal(error: &io::Error) -> String {
    match sys::errno(error) {
        Some(libc::EPERM | libc::EACCES) => {
            let program = std::env::current_exe().map_or_else(|_| "jj".to_owned(), |path| path.display().to_string());
            format!(
                "capturing needs the capability CAP_NET_RAW ({error}): run it as root, or grant it by \
                 `sudo setcap cap_net_raw=ep {program}`, in a systemd unit by AmbientCapabilities=CAP_NET_RAW, in a container by \
                 --cap-add=NET_RAW"
            )
        }
        Some(libc::ENODEV | libc::ENXIO) => "it has just vanished".into(),
        Some(libc::ENOMEM | libc::ENOBUFS) => format!("no memory for its ring, not even for the smallest ({error})"),
        Some(libc::EAFNOSUPPORT) => format!("this kernel has no packet sockets ({error})"),
        _ => error.to_string(),
    }
}
