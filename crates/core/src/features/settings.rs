//! What views of flows depend on besides the flow, and the memory that they share.

use std::fmt::Write as _;
use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::flow::FlowBase;
use crate::trackers::{LogScratch, TrackerSettings};

/// Settings of a run that the values of rows depend on.
#[derive(Clone, Debug)]
pub struct RowSettings {
    /// The settings that trackers ran with.
    pub trackers: TrackerSettings,
    /// Replaces addresses.
    pub pseudonyms: Option<Pseudonyms>,
    /// The secret that flow ids are made with, if any.
    pub id_secret: Option<Pseudonyms>,
}

/// Memory that views use, reused from flow to flow.
#[derive(Debug, Default)]
pub struct Scratch {
    /// For [`crate::trackers::PacketLog`].
    pub log: LogScratch,
    text: String,
}

/// Keyed pseudonyms: HMAC-SHA256, of which 64 bits are kept.
///
/// A plain hash of an address, salted or not, is undone by trying all addresses; a keyed one needs the key.
#[derive(Clone, Debug)]
pub struct Pseudonyms(Hmac<Sha256>);

impl Pseudonyms {
    /// Pseudonyms under a key.
    pub fn new(key: &str) -> Self {
        // Every key length is accepted (RFC 2104 section 2).
        Self(Hmac::new_from_slice(key.as_bytes()).unwrap_or_else(|_| Hmac::new(&Default::default())))
    }

    /// The pseudonym of an address, which is that of its text.
    pub fn of(&self, addr: IpAddr, scratch: &mut Scratch) -> u64 {
        scratch.text.clear();
        // Writing to a string cannot fail.
        let _ = write!(scratch.text, "{addr}");
        self.mac(scratch.text.as_bytes())
    }

    fn mac(&self, bytes: &[u8]) -> u64 {
        let mut mac = self.0.clone();
        mac.update(bytes);
        let tag = mac.finalize().into_bytes();
        tag.iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b))
    }
}

impl RowSettings {
    /// A flow's identifier: the same in every run, whatever else is in the capture.
    ///
    /// Under a secret where there is one, since addresses could be found by trying all of them otherwise.
    pub fn flow_id(&self, base: &FlowBase, scratch: &mut Scratch) -> u64 {
        let Some(secret) = &self.id_secret else {
            return base.key.keyed_hash([0x4528_21e6_38d0_1377 ^ base.first_ts as u64, 0xbe54_66cf_34e9_0c6c]);
        };
        let key = &base.key;
        let scope = key.scope();
        scratch.text.clear();
        let _ = write!(
            scratch.text,
            "flow {} {} {:?} {:?} {} {} {} {} {}",
            key.addr(true),
            key.addr(false),
            key.port(true),
            key.port(false),
            key.protocol,
            scope.vlan,
            scope.tunnel_kind,
            scope.tunnel_id,
            base.first_ts,
        );
        secret.mac(scratch.text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_the_start_of_the_hmac_of_the_address() {
        // printf 10.0.0.1 | openssl dgst -sha256 -hmac secret
        let p = Pseudonyms::new("secret").of([10, 0, 0, 1].into(), &mut Scratch::default());
        assert_eq!(format!("{p:016x}"), "eb5a0e55d511c2fe");
    }
}
