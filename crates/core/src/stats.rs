//! What the engine counts: plain integers while a batch is worked on, one [`StatsDelta`] when it is done.
//!
//! The same numbers feed the summary at the end of a run, `jj info` and the Prometheus families, so they cannot disagree.

use std::ops::{Index, IndexMut};

use crate::decode;
use crate::link_type::LinkTypes;

/// Why a frame did not become a packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum SkipReason {
    /// Sound, but no IP inside: ARP, LLDP, 802.11 management and the like.
    NonIp,
    /// No decoder for this link type.
    UnsupportedLinkType,
    /// The capture holds too few bytes of the headers.
    Truncated,
    /// A header contradicts itself or the frame around it.
    Malformed,
    /// More nested headers than the decoder follows.
    TooDeep,
    /// A fragment that does not fit the rest of its datagram, or came when the reassembly buffers were full.
    Fragment,
    /// Left out by `sampling_rate`.
    Sampled,
}

impl SkipReason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 7] = [
        Self::NonIp,
        Self::UnsupportedLinkType,
        Self::Truncated,
        Self::Malformed,
        Self::TooDeep,
        Self::Fragment,
        Self::Sampled,
    ];

    /// The value of the `reason` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::NonIp => "non_ip",
            Self::UnsupportedLinkType => "unsupported_link_type",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::TooDeep => "too_deep",
            Self::Fragment => "fragment",
            Self::Sampled => "sampled",
        }
    }

    /// Whether the frame counts as an error of stage `parsing` too: it should have been decodable.
    pub fn is_error(self) -> bool {
        matches!(self, Self::Truncated | Self::Malformed | Self::TooDeep | Self::Fragment)
    }
}

/// Why a flow ended (compare IPFIX flowEndReason, RFC 5102 section 5.11.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum EndReason {
    /// FIN from both sides.
    Fin,
    /// A TCP reset.
    Rst,
    /// No packet of its own for longer than the idle timeout.
    Idle,
    /// Older than the active timeout.
    Active,
    /// Still open when the input ended.
    #[default]
    EndOfInput,
    /// Pushed out of a full flow table.
    Evicted,
    /// Its end points opened another connection before it was closed.
    Reused,
}

impl EndReason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 7] =
        [Self::Fin, Self::Rst, Self::Idle, Self::Active, Self::EndOfInput, Self::Evicted, Self::Reused];

    /// The value in rows (`end_reason`).
    pub fn name(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::Rst => "rst",
            Self::Idle => "idle",
            Self::Active => "active",
            Self::EndOfInput => "end_of_input",
            Self::Evicted => "evicted",
            Self::Reused => "reused",
        }
    }

    /// The value of the `reason` label of `joyfuljay_flows_total`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::Rst => "rst",
            Self::Idle | Self::Active => "timeout",
            Self::EndOfInput | Self::Reused => "completed",
            Self::Evicted => "evicted",
        }
    }
}

/// A counter for each value of a small enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts<const N: usize>(pub [u64; N]);

impl<const N: usize> Default for Counts<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Counts<N> {
    /// The sum over all values.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn add(&mut self, other: &Self) {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a += b;
        }
    }
}

/// What happened since the last delta. Adding deltas up, in any order, gives the totals of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatsDelta {
    /// Frames read.
    pub frames: u64,
    /// Frames read besides by a run over a slice of its input: before and behind it, or counted by the run over another
    /// share of its flows.
    pub lead_frames: u64,
    /// Bytes of these frames in the capture.
    pub captured_bytes: u64,
    /// Bytes of these frames on the wire.
    pub wire_bytes: u64,
    /// Frames whose outermost network layer is IPv4.
    pub ipv4_packets: u64,
    /// Frames whose outermost network layer is IPv6.
    pub ipv6_packets: u64,
    /// Bytes of these by their outermost IP headers: total length, or 40 + payload length.
    pub ip_bytes: u64,
    /// Packets that were put into flows.
    pub packets: u64,
    /// Bytes of these packets: the (innermost) IP length.
    pub bytes: u64,
    /// Frames that the filter left out. They are neither packets nor skipped.
    pub filtered: u64,
    /// Frames that did not become packets of a flow, by [`SkipReason`].
    pub skipped: Counts<7>,
    /// Link types of these frames.
    pub skipped_links: LinkTypes,
    /// Frames whose time is before 1970, or beyond what nanoseconds in 64 bits can say (2262).
    pub odd_times: u64,
    /// Subframes beyond the first of their frame (802.11 aggregates): each is a packet or has a [`SkipReason`], as the
    /// frame has.
    pub subframes: u64,
    /// Datagrams put together from fragments.
    pub datagrams_reassembled: u64,
    /// Datagrams given up before their time because there was no more room for fragments.
    pub datagrams_evicted: u64,
    /// Directions of connections, and datagrams, that broke the rules of the application protocol that they began with.
    pub malformed_streams: u64,
    /// Directions of connections that were not read on because memory was short.
    pub streams_given_up: u64,
    /// Times that memory was too short for the graph of connections: it was given up, or its window began anew.
    pub graph_shortages: u64,
    /// Flows begun.
    pub flows_created: u64,
    /// Flows ended, by [`EndReason`].
    pub flows_ended: Counts<7>,
    /// Flows open now, less those open at the last delta.
    pub active_flows: i64,
    /// Bytes the flow tables hold now, less those at the last delta.
    pub table_bytes: i64,
}

impl StatsDelta {
    /// Adds another delta to this one.
    pub fn add(&mut self, d: &StatsDelta) {
        self.frames += d.frames;
        self.lead_frames += d.lead_frames;
        self.captured_bytes += d.captured_bytes;
        self.wire_bytes += d.wire_bytes;
        self.ipv4_packets += d.ipv4_packets;
        self.ipv6_packets += d.ipv6_packets;
        self.ip_bytes += d.ip_bytes;
        self.packets += d.packets;
        self.bytes += d.bytes;
        self.filtered += d.filtered;
        self.skipped.add(&d.skipped);
        self.skipped_links.add(&d.skipped_links);
        self.odd_times += d.odd_times;
        self.subframes += d.subframes;
        self.datagrams_reassembled += d.datagrams_reassembled;
        self.datagrams_evicted += d.datagrams_evicted;
        self.malformed_streams += d.malformed_streams;
        self.streams_given_up += d.streams_given_up;
        self.graph_shortages += d.graph_shortages;
        self.flows_created += d.flows_created;
        self.flows_ended.add(&d.flows_ended);
        self.active_flows += d.active_flows;
        self.table_bytes += d.table_bytes;
    }

    /// What a user of these rows has to know: that nothing was of use, what is not read, times that cannot be.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let mut unread = LinkTypes::default();
        self.skipped_links.iter().filter(|l| !decode::is_supported(*l)).for_each(|l| unread.insert(l));
        let unread = unread.describe();
        if self.frames > 0 && self.filtered == self.frames {
            remarks.push(format!("none of the {} frames matches the filter", self.frames));
        } else if self.frames > 0 && self.packets == 0 {
            let counts = SkipReason::ALL.iter().filter(|r| self.skipped[**r] > 0);
            let counts: Vec<_> = counts.map(|r| format!("{}: {}", r.label(), self.skipped[*r])).collect();
            let links = if unread.is_empty() {
                format!("link type {}", self.skipped_links.describe())
            } else {
                format!("link type {unread} is not read")
            };
            remarks.push(format!(
                "none of the {} frames became a packet of a flow ({}); {links}",
                self.frames - self.filtered,
                counts.join(", ")
            ));
        } else if !unread.is_empty() {
            let n = self.skipped[SkipReason::UnsupportedLinkType];
            remarks.push(format!("{n} frames are of a link type that is not read: {unread}"));
        }
        if self.odd_times > 0 {
            remarks.push(format!(
                "{} frames have a time before 1970 or after 2262: times and durations of their flows mean nothing",
                self.odd_times
            ));
        }
        if self.graph_shortages > 0 {
            remarks.push(format!(
                "the graph of connections and the flow tables did not fit into max_memory ({} times): columns conn_... are null, or \
                 of fewer flows with connection_window; raise max_memory, or shorten connection_window",
                self.graph_shortages
            ));
        }
        remarks
    }

    /// Skipped frames that count as errors of stage `parsing`.
    pub fn parsing_errors(&self) -> u64 {
        SkipReason::ALL.iter().filter(|r| r.is_error()).map(|r| self.skipped[*r]).sum()
    }
}

impl Index<SkipReason> for Counts<7> {
    type Output = u64;
    fn index(&self, r: SkipReason) -> &u64 {
        &self.0[r as usize]
    }
}

impl IndexMut<SkipReason> for Counts<7> {
    fn index_mut(&mut self, r: SkipReason) -> &mut u64 {
        &mut self.0[r as usize]
    }
}

impl Index<EndReason> for Counts<7> {
    type Output = u64;
    fn index(&self, r: EndReason) -> &u64 {
        &self.0[r as usize]
    }
}

impl IndexMut<EndReason> for Counts<7> {
    fn index_mut(&mut self, r: EndReason) -> &mut u64 {
        &mut self.0[r as usize]
    }
}
