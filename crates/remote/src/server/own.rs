//! The sensor's own connections, which it must not capture: each message would bring forth another one.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use joyfuljay_core::decode::{DecodeSettings, Decoded, Decoder};
use joyfuljay_core::frame::{Frame, FrameBatch};
use joyfuljay_core::packet::ip_proto;

/// Addresses of this machine at which clients have reached it.
///
/// All that goes to and from the sensor's port there is its own: also connections that are turned away, and what is left of ones that
/// have ended. Other machines' services on the same port are seen.
#[derive(Clone, Debug)]
pub(super) struct Own {
    port: u16,
    addresses: Arc<Mutex<HashSet<IpAddr>>>,
}

impl Own {
    pub(super) fn new(port: u16) -> Self {
        Self { port, addresses: Arc::default() }
    }

    /// A client came to this address.
    pub(super) fn reached(&self, local: SocketAddr) {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).insert(local.ip().to_canonical());
    }

    /// What leaves them out of a batch.
    pub(super) fn exclusion(&self) -> Exclusion {
        Exclusion {
            own: self.clone(),
            addresses: HashSet::new(),
            decoder: Decoder::new([1, 1], DecodeSettings::default()),
            decoded: Decoded::default(),
        }
    }
}

/// See [`Own`].
pub(super) struct Exclusion {
    own: Own,
    addresses: HashSet<IpAddr>,
    decoder: Decoder,
    decoded: Decoded,
}

impl Exclusion {
    /// Takes own frames out of a batch.
    pub(super) fn apply(&mut self, batch: &mut FrameBatch) {
        self.addresses.clone_from(&self.own.addresses.lock().unwrap_or_else(PoisonError::into_inner));
        let FrameBatch { data, frames } = batch;
        frames.retain(|frame| !self.is_own(data, frame));
    }

    fn is_own(&mut self, data: &[u8], frame: &Frame) -> bool {
        /// Ethernet with tags, IPv6 with extension headers, ports.
        const HEADERS: usize = 256;

        let start = frame.offset as usize;
        let bytes = data.get(start..start + frame.cap_len as usize).unwrap_or_default();
        // Of most frames the port is nowhere in the headers, and nothing need be decoded.
        let port = self.own.port.to_be_bytes();
        if !bytes.get(..HEADERS.min(bytes.len())).unwrap_or_default().windows(2).any(|pair| pair == port) {
            return false;
        }
        self.decoder.decode(data, 0, frame, &mut self.decoded);
        let own = self.decoded.packets.iter().any(|packet| {
            let is_own_end = |lo| {
                packet.key.port(lo) == Some(self.own.port)
                    && self.addresses.contains(&packet.key.addr(lo).to_canonical())
            };
            packet.key.protocol == ip_proto::TCP && (is_own_end(true) || is_own_end(false))
        });
        self.decoded = Decoded::default();
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use joyfuljay_core::LinkType;
    use joyfuljay_core::testing::{eth, ip4, tcp, udp};

    #[test]
    fn own_connections_are_left_out_and_nothing_else() {
        let own = Own::new(8765);
        own.reached("[::ffff:10.0.0.1]:8765".parse().unwrap());
        let mut exclusion = own.exclusion();
        let frames = [
            ip4(6, &tcp(8765, 40_000, 0x18, b"of the other end")),
            ip4(6, &tcp(40_000, 8765, 0x18, b"mine")),
            ip4(17, &udp(40_000, 8765, b"another protocol")),
            ip4(6, &tcp(40_000, 8766, 0x18, b"\x22\x3d in the payload")),
        ];
        let mut batch = FrameBatch::new();
        frames.iter().for_each(|ip| batch.push(0, LinkType::ETHERNET, 0, &eth(0x0800, ip)));
        exclusion.apply(&mut batch);
        let kept: Vec<_> = batch.frames.iter().map(|frame| batch.bytes(frame).to_vec()).collect();
        assert_eq!(kept, [0, 2, 3].map(|i| eth(0x0800, &frames[i])));
        // Nobody has come to this address.
        let mut exclusion = Own::new(8765).exclusion();
        batch.push(0, LinkType::ETHERNET, 0, &eth(0x0800, &frames[1]));
        exclusion.apply(&mut batch);
        assert_eq!(batch.frames.len(), 4);
    }
}
