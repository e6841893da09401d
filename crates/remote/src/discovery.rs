//! Sensors of the local network by multicast DNS (RFC 6762) and service discovery (RFC 6763).
//!
//! What is found is a hint and nothing to trust: anyone on the network can announce anything. Token and certificate are still needed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use mdns_sd::{DaemonEvent, IfKind, IfPredicate, Receiver, ServiceDaemon, ServiceEvent, ServiceInfo};

use crate::wire::cut;

/// What sensors are announced as.
pub const SERVICE: &str = "_joyfuljay._tcp.local.";

/// Longest name of a service (RFC 6763 section 4.1.1).
const MAX_NAME: usize = 63;

/// Servers that a search gives: a network may be full of announcements that somebody made up.
const MAX_FOUND: usize = 1024;

/// How long a good-bye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long an announcement takes: three probes, a quarter of a second apart, and as much again for a busy machine.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(3);

/// How often it is tried.
const ATTEMPTS: usize = 20;

/// How a sensor is announced.
#[derive(Clone, Debug, Default)]
pub struct Announce {
    /// Its name; where another sensor has it, a number is added.
    pub name: String,
    /// Interfaces to announce it on. Without, those with addresses of their own: neither bridges nor what is plugged into one.
    pub interfaces: Vec<String>,
    /// What is said of it besides.
    pub properties: BTreeMap<String, String>,
}

/// A sensor that announces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Its name with the service's.
    pub name: String,
    /// One of its addresses, IPv4 before IPv6.
    pub address: IpAddr,
    /// All of them.
    pub addresses: Vec<IpAddr>,
    /// Its port.
    pub port: u16,
    /// What it says of itself.
    pub properties: BTreeMap<String, String>,
}

/// An announcement that stands until it is ended.
pub(crate) struct Announcement {
    daemon: ServiceDaemon,
    name: String,
}

impl Announcement {
    pub(crate) fn new(announce: &Announce, address: SocketAddr, tls: bool) -> Result<Self, String> {
        let failed = |e: mdns_sd::Error| e.to_string();
        let daemon = ServiceDaemon::new().map_err(failed)?;
        let chosen = announce.interfaces.clone();
        let ip = address.ip();
        let wanted = move |name: &str, its: IpAddr| match (chosen.is_empty(), ip.is_unspecified()) {
            (false, _) => chosen.iter().any(|chosen| chosen == name),
            (true, false) => its == ip,
            (true, true) => !its.is_loopback() && !is_bridged(name),
        };
        let unwanted = IfPredicate::new(move |interface| !wanted(&interface.name, interface.ip()));
        daemon.disable_interface(IfKind::Predicate(unwanted)).map_err(failed)?;
        let mut properties = announce.properties.clone();
        let own = [("protocol", "jj"), ("version", env!("CARGO_PKG_VERSION")), ("tls", if tls { "1" } else { "0" })];
        properties.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let properties: Vec<(String, String)> = properties.into_iter().collect();
        let name = cut(&announce.name, MAX_NAME);
        let host: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let ips: &[IpAddr] = if ip.is_unspecified() { &[] } else { &[ip] };
        let mut service =
            ServiceInfo::new(SERVICE, name, &format!("{host}.local."), ips, address.port(), properties.as_slice())
                .map_err(failed)?;
        if ip.is_unspecified() {
            service = service.enable_addr_auto();
        }
        let name = service.get_fullname().to_owned();
        let events = daemon.monitor().map_err(failed)?;
        let announcing = daemon.clone();
        // The library was seen to leave a service unannounced that is registered while it looks at the interfaces.
        let announce = move || {
            for _ in 0..ATTEMPTS {
                if announcing.register(service.clone()).is_err() || is_announced(&events, ANNOUNCED_WITHIN) {
                    return;
                }
                match announcing.unregister(service.get_fullname()) {
                    Ok(done) => drop(done.recv_timeout(GOODBYE)),
                    Err(_) => return,
                }
            }
        };
        std::thread::Builder::new().name("jj-announce".into()).spawn(announce).map_err(|e| e.to_string())?;
        Ok(Self { daemon, name })
    }

    /// Says that the sensor is gone.
    pub(crate) fn end(self) {
        // Who does not hear it forgets the sensor after a while.
        if let Ok(done) = self.daemon.unregister(&self.name) {
            let _ = done.recv_timeout(GOODBYE);
        }
        if let Ok(done) = self.daemon.shutdown() {
            let _ = done.recv_timeout(GOODBYE);
        }
    }
}

/// Whether a service is announced within so long.
fn is_announced(events: &Receiver<DaemonEvent>, within: Duration) -> bool {
    let until = Instant::now() + within;
    loop {
        match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(DaemonEvent::Announce(..)) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

/// Whether an interface is a bridge or a port of one: those of containers and virtual machines.
fn is_bridged(name: &str) -> bool {
    let place = Path::new("/sys/class/net").join(name);
    ["bridge", "brport"].iter().any(|kind| place.join(kind).exists())
}

/// Looks for sensors for so long.
///
/// # Errors
/// When the network cannot be asked.
pub fn discover(timeout: Duration) -> Result<Vec<Found>, String> {
    let failed = |e: mdns_sd::Error| format!("the network cannot be asked: {e}");
    let daemon = ServiceDaemon::new().map_err(failed)?;
    let events = daemon.browse(SERVICE).map_err(failed)?;
    let until = Instant::now() + timeout;
    let mut found = BTreeMap::new();
    while let Ok(event) = events.recv_timeout(until.saturating_duration_since(Instant::now())) {
        match event {
            ServiceEvent::ServiceResolved(service) if found.len() < MAX_FOUND => {
                // An address of IPv4 sorts before one of IPv6.
                let addresses: BTreeSet<IpAddr> = service.get_addresses().iter().map(|ip| ip.to_ip_addr()).collect();
                let Some(address) = addresses.first().copied() else { continue };
                let properties = service.get_properties().iter();
                let properties = properties.map(|p| (p.key().to_owned(), p.val_str().to_owned())).collect();
                let (name, port) = (service.get_fullname().to_owned(), service.get_port());
                let addresses = addresses.into_iter().collect();
                found.insert(name.clone(), Found { name, address, addresses, port, properties });
            }
            ServiceEvent::ServiceRemoved(_, name) => {
                found.remove(&name);
            }
            _ => {}
        }
    }
    if let Ok(done) = daemon.shutdown() {
        let _ = done.recv_timeout(GOODBYE);
    }
    Ok(found.into_values().collect())
}
