//! Live capture on Linux: interfaces that come and go, their rings, and one stream of frames out of them.

mod ring;
mod sys;
mod tap;

use std::fs::File;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use joyfuljay_core::frame::{FrameBatch, TimeNs};
use joyfuljay_core::metrics::Mode;
use joyfuljay_io::source::{
    Clock, Drops, InterfaceCounts, MAX_BATCH_BYTES, PacketSource, Position, Pulled, SourceError, SourceWarning, Trouble,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::time::{ClockId, clock_gettime};

use self::ring::{Noted, RETIRE, Ring};
use self::tap::Tap;
use super::block;
use super::links::{self, Answer, Link};
use super::timeline::Timeline;
use super::{ANY, Check, LiveOptions};

/// How long a frame may wait in a ring that is read at once: the time up to which nothing more can come. Twice the age of a block,
/// as the kernel's timer may be late.
const SETTLED: Duration = RETIRE.saturating_mul(2);

/// How often interfaces and counters are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A batch that is not full waits this long at most for more frames: with [`RETIRE`], a frame is in its flow a tenth of a second
/// after it came.
const GATHER: Duration = Duration::from_millis(50);

/// On a quiet wire the time is told this often, so that flows end in time.
const IDLE: Duration = Duration::from_millis(200);

/// Frames from network interfaces, in the order of their times.
#[derive(Debug)]
pub struct LiveSource {
    options: LiveOptions,
    taps: Vec<Tap>,
    /// Whether interfaces that appear later are captured too.
    any: bool,
    route: File,
    time: Timeline,
    label: String,
    looked: Instant,
    ends: Option<Instant>,
    stopped: bool,
    ended: bool,
    bytes: u64,
    lag: Duration,
    /// What interfaces have lost that `any` has left since.
    left: Drops,
    warnings: Vec<SourceWarning>,
}

/// The interfaces of this machine.
///
/// # Errors
/// When the kernel does not tell.
pub fn interfaces() -> io::Result<Vec<Link>> {
    ask(&mut sys::route_socket()?)
}

fn ask(route: &mut File) -> io::Result<Vec<Link>> {
    /// The kernel fills 32 kB at a time.
    const BUFFER: usize = 64 << 10;

    route.write_all(&links::request())?;
    let (mut found, mut buffer) = (Vec::new(), vec![0; BUFFER]);
    loop {
        let length = route.read(&mut buffer)?;
        match links::read(buffer.get(..length).unwrap_or_default(), &mut found) {
            Answer::More if length > 0 => {}
            Answer::More | Answer::Done => return Ok(found),
            Answer::Refused(code) => return Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// Time by the host's clock and by the one that nobody sets.
fn clocks() -> (TimeNs, TimeNs) {
    let read = |clock| {
        let now: Timespec = clock_gettime(clock);
        now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec)
    };
    (read(ClockId::Realtime), read(ClockId::Boottime))
}

fn is_full(batch: &FrameBatch) -> bool {
    batch.is_full() || batch.data.len() >= MAX_BATCH_BYTES
}

impl LiveSource {
    /// Begins to capture from interfaces, [`ANY`] for all.
    ///
    /// # Errors
    /// When one does not exist, its frames are not understood, or capturing is not allowed: the error says how to allow it.
    pub fn open<S: AsRef<str>>(names: &[S], options: &LiveOptions) -> Result<Self, SourceError> {
        let mut names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(*name));
        let any = names.contains(&ANY);
        if names.is_empty() || (any && names.len() > 1) {
            let problem = "name interfaces, or `any` alone for all of them".into();
            return Err(SourceError::Interface { name: names.join(", "), problem });
        }
        let failed = |e: io::Error| SourceError::Interface {
            name: names.join(", "),
            problem: format!("the kernel does not tell its interfaces: {e}"),
        };
        let mut route = sys::route_socket().map_err(failed)?;
        let links = ask(&mut route).map_err(failed)?;
        let (real, boot) = clocks();
        let mut source = Self {
            taps: Vec::new(),
            any,
            route,
            time: Timeline::new(real, boot),
            label: names.join("+"),
            looked: Instant::now(),
            ends: None,
            stopped: false,
            ended: false,
            bytes: 0,
            lag: Duration::ZERO,
            left: Drops::default(),
            warnings: Vec::new(),
            options: options.clone(),
        };
        if any {
            source.open_any(&links)?;
        } else {
            for name in &names {
                can_filter(name, &links, options)?;
                source.taps.push(Tap::open(name, &links, options, &mut source.warnings)?);
            }
            source.warn_of_levels(&links);
        }
        source.ends = options.duration.map(|duration| Instant::now() + duration);
        Ok(source)
    }

    /// The interfaces that together show every packet once.
    fn open_any(&mut self, links: &[Link]) -> Result<(), SourceError> {
        for link in links::one_level(links).filter(|link| ring::is_readable(link)) {
            self.taps.push(Tap::open(&link.name, links, &self.options, &mut self.warnings)?);
        }
        for link in links.iter().filter(|link| link.up) {
            if self.has(link.index) {
                continue;
            }
            let upper = [link.master, link.parent].into_iter().flatten();
            let upper = links.iter().find(|other| upper.clone().any(|index| index == other.index));
            self.warnings.push(warning(
                &link.name,
                match upper {
                    Some(other) => format!("left out, as its packets are seen on {} too", other.name),
                    None => format!("left out, as frames of hardware type {} are not read", link.hardware),
                },
            ));
        }
        Ok(())
    }

    /// Interfaces of which one shows what passes through the other.
    fn warn_of_levels(&mut self, links: &[Link]) {
        for link in links {
            for other in [link.master, link.parent].into_iter().flatten() {
                if !self.has(link.index) || !self.has(other) {
                    continue;
                }
                let Some(other) = links.iter().find(|l| l.index == other) else { continue };
                let message = format!("its packets are seen on {} too: they count twice", other.name);
                self.warnings.push(warning(&link.name, message));
            }
        }
    }

    fn has(&self, index: u32) -> bool {
        self.taps.iter().any(|tap| tap.index() == Some(index))
    }

    /// What is to be done now and then: counters, interfaces, the clock.
    fn look(&mut self) {
        let (real, boot) = clocks();
        if let Some(step) = self.time.look(real, boot) {
            let seconds = step as f64 / 1e9;
            let message = format!(
                "the clock of this machine was set by {seconds:+.3} s: times of packets go on as before until the capture is begun anew"
            );
            self.warnings.push(warning(&self.label, message));
        }
        let now = Instant::now();
        if self.ends.is_some_and(|ends| now >= ends) {
            self.stop();
        }
        if now.duration_since(self.looked) < LOOK {
            return;
        }
        self.looked = now;
        for tap in &mut self.taps {
            tap.count();
        }
        // An interface that is gone is not looked for by a capture that ends.
        if self.stopped {
            return;
        }
        let Ok(links) = ask(&mut self.route) else { return };
        for tap in &mut self.taps {
            tap.follow(&links, &self.options, self.any, &mut self.warnings);
        }
        if self.any {
            self.follow_any(&links);
        }
    }

    /// Interfaces that have appeared are captured, those that have gone are left.
    fn follow_any(&mut self, links: &[Link]) {
        let left = &mut self.left;
        self.taps.retain(|tap| {
            let gone = tap.is_gone();
            if gone {
                left.kernel += tap.counts().drops.kernel;
                left.interface += tap.counts().drops.interface;
            }
            !gone
        });
        for link in links::one_level(links).filter(|link| ring::is_readable(link)) {
            if self.has(link.index) {
                continue;
            }
            // Tried again at the next look; that it cannot be opened was said for the first one.
            if let Ok(tap) = Tap::open(&link.name, links, &self.options, &mut Vec::new()) {
                self.warnings.push(warning(&link.name, "new interface: captured from now on".into()));
                self.taps.push(tap);
            }
        }
    }

    fn rings(&mut self) -> impl Iterator<Item = &mut Ring> {
        self.taps.iter_mut().flat_map(Tap::rings)
    }

    /// Copies frames that are there into the batch. Of several rings the earliest frame comes first; one that another ring's
    /// open block may still precede waits for that.
    fn take(&mut self, out: &mut FrameBatch) {
        let snaplen = match self.options.snaplen {
            0 => usize::MAX,
            bytes => bytes as usize,
        };
        let (time, stopped) = (self.time, self.stopped);
        let settled = time.now().saturating_sub(SETTLED.as_nanos() as i64);
        let rings = self.taps.iter().map(Tap::ring_count).sum::<usize>();
        while !is_full(out) {
            // The earliest frame of all, and the earliest of those of other rings.
            let (mut best, mut bound) = (None::<(usize, TimeNs)>, TimeNs::MAX);
            let mut all = true;
            for (i, head) in self.rings().map(Ring::head).enumerate() {
                match (head, best) {
                    (None, _) => all = false,
                    (Some(ts), Some((_, least))) if ts >= least => bound = bound.min(ts),
                    (Some(ts), last) => {
                        bound = bound.min(last.map_or(TimeNs::MAX, |(_, ts)| ts));
                        best = Some((i, ts));
                    }
                }
            }
            let Some((at, ts)) = best else { break };
            if !(all || stopped || rings == 1 || time.stamp(ts) <= settled) {
                break;
            }
            // Alone, a ring is read without looking at the others again.
            let most = if bound == TimeNs::MAX && (rings == 1 || stopped) { usize::MAX } else { 1 };
            let mut noted = Noted::default();
            let mut at = at;
            for tap in &mut self.taps {
                let count = tap.ring_count();
                if at < count {
                    if let Some(ring) = tap.rings().nth(at) {
                        ring.take(most, snaplen, &time, out, &mut noted);
                    }
                    tap.note(noted, &mut self.warnings);
                    break;
                }
                at -= count;
            }
        }
    }

    /// Waits until a ring has frames, for so long at most.
    fn wait(&mut self, most: Duration) {
        let most = Timespec::try_from(most.min(LOOK)).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 50_000_000 });
        let rings: Vec<&Ring> = self.taps.iter_mut().flat_map(Tap::rings).map(|ring| &*ring).collect();
        let mut sockets: Vec<PollFd<'_>> =
            rings.iter().map(|ring| PollFd::from_borrowed_fd(ring.socket(), PollFlags::IN)).collect();
        // Broken off by a signal it is just asked again.
        let _ = poll(&mut sockets, Some(&most));
        for (ring, socket) in rings.iter().zip(&sockets) {
            // The interface went down. It is said once, and what follows from it is seen at the next look.
            if socket.revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
                ring.take_error();
            }
        }
    }
}

impl PacketSource for LiveSource {
    fn mode(&self) -> Mode {
        Mode::Live
    }

    fn label(&self) -> &str {
        &self.label
    }

    fn pull(&mut self, out: &mut FrameBatch, wait: Duration) -> Result<Pulled, SourceError> {
        out.clear();
        if self.ended {
            return Ok(Pulled::End);
        }
        let mut until = Instant::now() + wait.min(IDLE);
        loop {
            self.look();
            // In this order: what arrives between the two is seen the next time.
            let now = Instant::now();
            let last = self.stopped && self.rings().all(|ring| ring.is_final(now));
            let had_none = out.frames.is_empty();
            self.take(out);
            if had_none && !out.frames.is_empty() {
                until = now + wait.min(GATHER);
            }
            let full = is_full(out);
            if full || last || now >= until {
                self.bytes += out.frames.iter().map(|frame| u64::from(frame.cap_len)).sum::<u64>();
                self.lag = out.frames.last().map_or(Duration::ZERO, |frame| {
                    Duration::from_nanos(u64::try_from(self.time.now().saturating_sub(frame.ts)).unwrap_or(0))
                });
                if !out.frames.is_empty() {
                    return Ok(Pulled::Frames { waited: !full });
                }
                if last {
                    self.taps.iter_mut().for_each(Tap::count);
                    self.ended = true;
                    return Ok(Pulled::End);
                }
                return Ok(Pulled::Idle(Some(self.time.now().saturating_sub(SETTLED.as_nanos() as i64))));
            }
            // Frames that wait for those of another ring are not announced again.
            let step = if self.stopped || self.taps.len() > 1 { RETIRE / 2 } else { IDLE };
            self.wait(until.saturating_duration_since(now).min(step));
        }
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.rings().for_each(Ring::shut);
    }

    fn position(&self) -> Position {
        Position { read: self.bytes, total: None, files_done: 0, files_total: 0, current: Some(self.label.clone()) }
    }

    fn clock(&self) -> Option<Clock> {
        Some(Clock::Running)
    }

    fn drops(&self) -> Drops {
        self.taps.iter().map(Tap::counts).fold(self.left, |mut sum, counts| {
            sum.kernel += counts.drops.kernel;
            sum.interface += counts.drops.interface;
            sum
        })
    }

    fn lag(&self) -> Option<Duration> {
        Some(self.lag)
    }

    fn interfaces(&self) -> Vec<InterfaceCounts> {
        self.taps.iter().map(Tap::counts).collect()
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        std::mem::take(&mut self.warnings)
    }
}

fn warning(name: &str, message: String) -> SourceWarning {
    SourceWarning {
        path: name.to_owned(),
        offset: 0,
        trouble: Trouble::Interface,
        message: format!("{name}: {message}"),
    }
}

/// Looks at what capturing from these interfaces needs.
pub fn check<S: AsRef<str>>(names: &[S], options: &LiveOptions) -> Vec<Check> {
    let mut checks = Vec::new();
    let links = match interfaces() {
        Ok(links) => links,
        Err(e) => {
            checks.push(Check { what: "interfaces".into(), found: Err(format!("the kernel does not tell them: {e}")) });
            return checks;
        }
    };
    let socket = sys::packet_socket();
    checks.push(Check {
        what: "permission".into(),
        found: match &socket {
            Ok(_) => Ok("packet sockets may be opened".into()),
            Err(e) => Err(tap::refusal(e)),
        },
    });
    for name in names.iter().map(AsRef::as_ref) {
        let targets: Vec<&Link> = match name {
            ANY => links::one_level(&links).collect(),
            _ => links.iter().filter(|link| link.name == name).collect(),
        };
        if targets.is_empty() {
            checks.push(Check { what: name.to_owned(), found: Err(tap::no_such(&links)) });
        }
        for link in targets {
            let found = match Ring::open(link, options) {
                _ if !ring::is_readable(link) => Err(tap::unreadable(link)),
                Ok(_) if !link.up => Err(format!("down; ip link set {} up", link.name)),
                Ok(ring) if ring.bytes() < options.ring_bytes => {
                    Err(format!("only {} MiB of memory for its ring", ring.bytes() >> 20))
                }
                Ok(ring) => Ok(format!("ring of {} MiB, MTU {}", ring.bytes() >> 20, link.mtu)),
                Err(e) => Err(tap::refusal(&e)),
            };
            checks.push(Check { what: link.name.clone(), found });
        }
    }
    checks
}

/// Whether the filter is one for the frames of an interface that is there: nothing would come of a run without a word otherwise.
fn can_filter(name: &str, links: &[Link], options: &LiveOptions) -> Result<(), SourceError> {
    let link = links.iter().find(|link| link.name == name).and_then(|link| block::link_type(link.hardware));
    let Some((filter, link)) = options.filter.as_ref().zip(link) else { return Ok(()) };
    match filter.program(link) {
        Ok(_) => Ok(()),
        Err(error) => Err(SourceError::Interface { name: name.to_owned(), problem: error.to_string() }),
    }
}
