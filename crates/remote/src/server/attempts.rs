//! Wrong tokens are counted by address: who gave too many is not listened to for a while, whatever comes then.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Wrong tokens in a row after which an address has to wait.
const MOST: u32 = 10;

/// How long it has to wait. With 256 random bits this is not what keeps an attacker out; with a word that somebody made up it is.
const PAUSE: Duration = Duration::from_secs(60);

/// Addresses that are remembered. When there are more, the one that has been quiet for longest is forgotten.
const ADDRESSES: usize = 1024;

/// Failures by address.
#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<IpAddr, Failed>);

#[derive(Clone, Copy, Debug)]
struct Failed {
    count: u32,
    last: Instant,
}

impl Attempts {
    /// How long an address has to wait before it is listened to again.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let failed = self.0.get(&of(address)).filter(|failed| failed.count >= MOST)?;
        PAUSE.checked_sub(now.saturating_duration_since(failed.last)).filter(|left| !left.is_zero())
    }

    /// A wrong token came from there.
    pub(super) fn failed(&mut self, address: IpAddr, now: Instant) {
        let address = of(address);
        if self.0.len() >= ADDRESSES && !self.0.contains_key(&address) {
            let quiet = self.0.iter().min_by_key(|(_, failed)| failed.last).map(|(address, _)| *address);
            quiet.and_then(|quiet| self.0.remove(&quiet));
        }
        let failed = self.0.entry(address).or_insert(Failed { count: 0, last: now });
        if now.saturating_duration_since(failed.last) >= PAUSE {
            failed.count = 0;
        }
        failed.count += 1;
        failed.last = now;
    }

    /// The right token came from there.
    pub(super) fn succeeded(&mut self, address: IpAddr) {
        self.0.remove(&of(address));
    }
}

/// One end of IPv6 has a network of 64 bits to itself.
fn of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_too_often_waits() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let [a, b]: [IpAddr; 2] = ["10.0.0.1", "10.0.0.2"].map(|a| a.parse().unwrap());
        (1..MOST).for_each(|_| attempts.failed(a, now));
        assert_eq!(attempts.wait(a, now), None);
        attempts.failed(a, now);
        assert_eq!((attempts.wait(a, now), attempts.wait(b, now)), (Some(PAUSE), None));
        assert_eq!(attempts.wait("::ffff:10.0.0.1".parse().unwrap(), now), Some(PAUSE));
        assert_eq!(attempts.wait(a, now + PAUSE), None);
        attempts.failed(a, now + PAUSE);
        assert_eq!(attempts.wait(a, now + PAUSE), None);
        attempts.succeeded(a);
        assert!(attempts.0.is_empty());
    }

    #[test]
    fn addresses_of_one_network_wait_together_and_many_take_no_memory() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for i in 0..MOST {
            attempts.failed(format!("2001:db8::{i}").parse().unwrap(), now);
        }
        assert!(attempts.wait("2001:db8::ffff".parse().unwrap(), now).is_some());
        for i in 0..100_000_u32 {
            attempts.failed(IpAddr::from(i.to_be_bytes()), now + Duration::from_millis(i.into()));
        }
        assert_eq!(attempts.0.len(), ADDRESSES);
    }
}
