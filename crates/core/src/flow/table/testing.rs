//! Flows made by hand, for the tests of the table.

use super::*;
use crate::packet::{Endpoint, Scope};
use crate::testing::tcp_packet;

pub(super) const SYN: u16 = tcp_flags::SYN;
pub(super) const ACK: u16 = tcp_flags::ACK;
pub(super) const FIN: u16 = tcp_flags::FIN | tcp_flags::ACK;
pub(super) const RST: u16 = tcp_flags::RST;

pub(super) const SECOND: i64 = 1_000_000_000;

/// Who sends: the client has the lower address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
}
pub(super) use self::Sender::{Client, Server};

/// A TCP packet of the `n`th connection from 10.0.0.1:`port` to 10.0.0.2:443, at so many milliseconds. Sequence numbers
/// are those of a connection without data.
pub(super) fn nth(n: u32, port: u16, from: Sender, ms: i64, flags: u16) -> PacketInfo {
    let mut p = tcp_in(Scope::default(), port, from, ms, flags);
    let base = n.wrapping_mul(1_000_000);
    let numbers = [base.wrapping_add(1000), base.wrapping_add(5000)];
    let (own, other) = if from == Client { (numbers[0], numbers[1]) } else { (numbers[1], numbers[0]) };
    p.seq = own.wrapping_add(u32::from(flags & SYN == 0));
    p.ack = if flags & ACK != 0 { other.wrapping_add(1) } else { 0 };
    p
}

/// A TCP packet in a VLAN or a tunnel.
pub(super) fn tcp_in(scope: Scope, port: u16, from: Sender, ms: i64, flags: u16) -> PacketInfo {
    let ends = [Endpoint::v4([10, 0, 0, 1], port), Endpoint::v4([10, 0, 0, 2], 443)];
    let ends = if from == Client { ends } else { [ends[1], ends[0]] };
    tcp_packet(ms * (SECOND / 1000), scope, ends, flags)
}

pub(super) fn tcp(port: u16, from: Sender, ms: i64, flags: u16) -> PacketInfo {
    nth(0, port, from, ms, flags)
}

/// An idle timeout of 60 s, nothing else that ends a flow but FIN and RST, no trackers.
pub(super) fn settings() -> FlowSettings {
    FlowSettings {
        idle_timeout: 60 * SECOND,
        active_timeout: None,
        max_flows: 1000,
        max_bytes: usize::MAX,
        eviction: Eviction::Lru,
        close_timeout: 60 * SECOND,
        terminate_on_fin_rst: true,
        initiator_by_port: false,
        trackers: TrackerMask::NONE,
        tracker_settings: TrackerSettings::default(),
    }
}

/// What a test asks of a flow: port of the client, packets, why it ended.
pub(super) type Row = (u16, u64, EndReason);

/// A table, the number of the next packet and what ended so far.
pub(super) struct Bench {
    pub(super) table: FlowTable,
    pub(super) ended: FlowStore,
    next: u64,
}

impl Bench {
    pub(super) fn new(settings: FlowSettings) -> Self {
        let table = FlowTable::new(settings);
        Self { ended: table.ended_store(), table, next: 0 }
    }

    pub(super) fn push(&mut self, packets: &[PacketInfo]) {
        let all: Vec<u32> = (0..packets.len() as u32).collect();
        self.table.process(packets, &all, &FrameBatch::new(), self.next, &mut self.ended);
        self.next += packets.len() as u64;
    }

    pub(super) fn expire(&mut self, ms: i64) {
        self.table.expire(ms * (SECOND / 1000), &mut self.ended);
    }

    /// Ends the input at the latest packet time so far.
    pub(super) fn drain(&mut self, now: i64) {
        for (_, place) in self.table.drain_order(now) {
            self.table.take(place, &mut self.ended);
        }
    }

    /// The flows that ended, in the order of their end.
    pub(super) fn rows(&self) -> Vec<Row> {
        let port = |b: &FlowBase| b.key.port(true).unwrap_or_default();
        self.ended.bases().iter().map(|b| (port(b), b.total_packets(), b.end)).collect()
    }
}

/// The flows of an input, in the order of their end.
pub(super) fn flows(settings: FlowSettings, packets: &[PacketInfo]) -> Vec<Row> {
    let mut bench = Bench::new(settings);
    bench.push(packets);
    bench.drain(packets.iter().map(|p| p.ts).max().unwrap_or_default());
    bench.rows()
}
