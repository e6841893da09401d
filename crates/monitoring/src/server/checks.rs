//! Password checks: bcrypt takes a tenth of a second and more by design, so what strangers can make of that is bounded.
//!
//! - One check at a time, on a thread of low priority, with a rest after each failure: guessing gets a fraction of one processor,
//!   and the packets the rest.
//! - The outcome is remembered: a scraper that comes every second pays once, and a guess that is repeated costs nothing.
//! - A password waits while others are checked, also when its client gave up waiting, so that it is known the next time. First comes the
//!   client with the fewest failures, then the password that was asked for most often: one that is scraped with comes again, guesses are
//!   new each time. So neither a flood from elsewhere nor one from the scraper's own address keeps the right password out.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What an outcome is remembered under: a keyed hash of everything that it depends on.
pub(super) type Key = [u8; 32];

/// What is to be checked.
pub(super) struct Job {
    pub(super) password: Vec<u8>,
    pub(super) hash: Arc<str>,
    /// For a user who does not exist the check is done for the time it takes.
    pub(super) user_exists: bool,
}

/// Outcomes remembered; wrong guesses are forgotten first.
const MAX_KNOWN: usize = 1024;
/// Passwords that wait, about 250 bytes each: all that a thousand connections (`max_connections`) can ask for in four rounds of [`PATIENCE`].
const MAX_PENDING: usize = 4096;
/// How long a request waits for its check before it gets 503 with Retry-After: half of Prometheus' default `scrape_timeout`.
const PATIENCE: Duration = Duration::from_secs(5);
/// The rest after a failure, as a multiple of what the check took: a quarter of one processor goes to guesses.
const REST: u32 = 3;
/// The longest rest: with the most expensive hashes a right password is not to wait for ever behind a wrong one.
const MAX_REST: Duration = Duration::from_secs(2);

/// The queue of a server. Dropping it ends its thread after the check under way.
#[derive(Default)]
pub(super) struct Checks(Arc<Queue>);

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// A check was done.
    changed: Notify,
    closed: AtomicBool,
}

#[derive(Default)]
struct State {
    known: HashMap<Key, bool>,
    pending: HashMap<Key, Pending>,
    /// Failures by client, while passwords wait.
    failures: HashMap<IpAddr, u32>,
    /// Counts arrivals.
    arrivals: u64,
    working: bool,
    done: u64,
}

struct Pending {
    job: Job,
    client: IpAddr,
    /// How often it came.
    asked: u32,
    /// Requests that wait for it now.
    waiting: u32,
    arrival: u64,
}

impl Checks {
    /// Whether the password is right; `None` where that is not known in time.
    pub(super) async fn outcome(&self, key: Key, job: Job, client: IpAddr) -> Option<bool> {
        self.outcome_within(PATIENCE, key, job, client).await
    }

    async fn outcome_within(&self, patience: Duration, key: Key, job: Job, client: IpAddr) -> Option<bool> {
        let queue = &self.0;
        {
            let mut state = queue.state();
            if let Some(ok) = state.known.get(&key) {
                return Some(*ok);
            }
            state.ask(key, job, group(client));
            if !state.working {
                let worker = Arc::clone(queue);
                let thread = std::thread::Builder::new().name("jj-passwords".to_owned());
                // Where no thread can be had, the password waits until there is one.
                state.working = thread.spawn(move || worker.work()).is_ok();
            }
        }
        let mut waiting = Waiting { queue, key, stays: false };
        let outcome = tokio::time::timeout(patience, async {
            loop {
                // Made before the look: a check that is done in between is not missed.
                let changed = queue.changed.notified();
                if let Some(ok) = queue.state().known.get(&key) {
                    return *ok;
                }
                changed.await;
            }
        });
        let outcome = outcome.await.ok();
        waiting.stays = true;
        outcome
    }

    #[cfg(test)]
    pub(super) fn done(&self) -> u64 {
        self.0.state().done
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.0.closed.store(true, Relaxed);
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body of the thread: until nothing waits.
    fn work(&self) {
        lower_priority();
        loop {
            let next = self.state().next();
            let Some((key, Pending { job, client, .. })) = next else { return };
            let begun = Instant::now();
            let ok = bcrypt::verify(&job.password, &job.hash).unwrap_or(false) && job.user_exists;
            let took = begun.elapsed();
            self.state().remember(key, client, ok);
            self.changed.notify_waiters();
            if self.closed.load(Relaxed) {
                return;
            }
            if !ok {
                std::thread::sleep((took * REST).min(MAX_REST));
            }
        }
    }
}

impl State {
    /// The password waits, or waits already and has come again.
    fn ask(&mut self, key: Key, job: Job, client: IpAddr) {
        if !self.pending.contains_key(&key) && self.pending.len() >= MAX_PENDING {
            self.make_room();
        }
        self.arrivals += 1;
        let arrival = self.arrivals;
        let pending = self.pending.entry(key).or_insert(Pending { job, client, asked: 0, waiting: 0, arrival });
        pending.asked = pending.asked.saturating_add(1);
        pending.waiting += 1;
    }

    /// Gives up a password of the client that has the most waiting: asked for the fewest times, one that nobody waits for.
    fn make_room(&mut self) {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for pending in self.pending.values() {
            *counts.entry(pending.client).or_default() += 1;
        }
        let Some((client, _)) = counts.into_iter().max_by_key(|(_, n)| *n) else { return };
        let of_client = self.pending.iter().filter(|(_, p)| p.client == client);
        let last = of_client.min_by_key(|(_, p)| (p.asked, p.waiting > 0, p.arrival)).map(|(key, _)| *key);
        if let Some(key) = last {
            self.pending.remove(&key);
        }
    }

    /// The password to check next; without one, the thread ends.
    fn next(&mut self) -> Option<(Key, Pending)> {
        let failures = |p: &Pending| self.failures.get(&p.client).copied().unwrap_or(0);
        let first = self.pending.iter().min_by_key(|(_, p)| (failures(p), Reverse(p.asked), p.arrival));
        let Some(key) = first.map(|(key, _)| *key) else {
            self.failures.clear();
            self.working = false;
            return None;
        };
        self.pending.remove(&key).map(|pending| (key, pending))
    }

    fn remember(&mut self, key: Key, client: IpAddr, ok: bool) {
        self.done += 1;
        // It may have come again meanwhile.
        self.pending.remove(&key);
        if self.known.len() >= MAX_KNOWN {
            // A right password stays; it is what the next scrape brings.
            self.known.retain(|_, ok| *ok);
        }
        if self.known.len() >= MAX_KNOWN {
            // All right: bcrypt ignores what comes after 72 bytes, so one user may have many.
            self.known.clear();
        }
        self.known.insert(key, ok);
        if !ok {
            let failures = self.failures.entry(client).or_default();
            *failures = failures.saturating_add(1);
        }
    }
}

/// A request that waits for a check.
struct Waiting<'a> {
    queue: &'a Queue,
    key: Key,
    /// Answered, be it with Retry-After: the password is still wanted. A client that hung up got no answer and waits for none.
    stays: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        let Some(pending) = state.pending.get_mut(&self.key) else { return };
        pending.waiting = pending.waiting.saturating_sub(1);
        if !self.stays && pending.waiting == 0 && pending.asked == 1 {
            state.pending.remove(&self.key);
        }
    }
}

/// Addresses that one client has at will count as one: the /64 of an IPv6 address.
fn group(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(ip) => {
            let mut octets = ip.octets();
            octets.iter_mut().skip(8).for_each(|b| *b = 0);
            IpAddr::V6(octets.into())
        }
        v4 => v4,
    }
}

/// Lowers the priority of the calling thread, which Linux has per thread: nice 10 is a tenth of the weight of a thread that
/// works on packets. Where it cannot be done, one check at a time is bound enough.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, 10);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn client(n: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, n))
    }

    fn key(n: u16) -> Key {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&n.to_le_bytes());
        key
    }

    fn job() -> Job {
        Job { password: b"x".to_vec(), hash: "".into(), user_exists: true }
    }

    fn order(state: &mut State) -> Vec<u16> {
        std::iter::from_fn(|| state.next()).map(|(key, _)| u16::from_le_bytes([key[0], key[1]])).collect()
    }

    #[test]
    fn who_failed_less_comes_first_then_what_comes_again_then_what_came_first() {
        let mut state = State::default();
        for n in 0..4 {
            state.ask(key(n), job(), client(1));
        }
        state.ask(key(2), job(), client(1));
        state.ask(key(9), job(), client(2));
        state.remember(key(100), client(1), false);
        assert_eq!(order(&mut state), [9, 2, 0, 1, 3]);
    }

    #[test]
    fn a_flood_pushes_out_its_own_and_not_what_is_asked_for_again() {
        let mut state = State::default();
        state.ask(key(0), job(), client(1));
        state.ask(key(0), job(), client(1));
        state.ask(key(1), job(), client(2));
        for pending in state.pending.values_mut() {
            pending.waiting = 0;
        }
        for n in 2..10_000 {
            state.ask(key(n), job(), client(1));
        }
        assert_eq!(state.pending.len(), MAX_PENDING);
        assert!(state.pending.contains_key(&key(0)) && state.pending.contains_key(&key(1)));
    }

    #[test]
    fn outcomes_are_bounded_and_right_ones_stay() {
        let mut state = State::default();
        state.remember(key(0), client(1), true);
        for n in 1..10_000 {
            state.remember(key(n), client(1), false);
        }
        assert!(state.known.len() <= MAX_KNOWN);
        assert_eq!(state.known.get(&key(0)), Some(&true));
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_leaves_nothing_behind() {
        let checks = Checks::default();
        checks.0.state().working = true; // no thread: it waits
        let asked = tokio::time::timeout(Duration::from_millis(10), checks.outcome(key(1), job(), client(1)));
        assert!(asked.await.is_err());
        assert!(checks.0.state().pending.is_empty());
    }

    #[tokio::test]
    async fn a_password_that_was_not_reached_in_time_is_still_checked() {
        let checks = Checks::default();
        checks.0.state().working = true;
        assert_eq!(checks.outcome_within(Duration::from_millis(10), key(1), job(), client(1)).await, None);
        let state = checks.0.state();
        assert_eq!(state.pending.get(&key(1)).map(|p| (p.asked, p.waiting)), Some((1, 0)));
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let v6 = |last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0, 0, last));
        assert_eq!(group(v6(1)), group(v6(2)));
        assert_eq!(group(IpAddr::V6(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped())), client(1));
        assert_ne!(group(client(1)), group(client(2)));
    }
}
