//! Who, when, how much: the identity and the counts of a flow.

use std::net::IpAddr;

use super::Profile::{Core, Extended};
use super::Unit::{Bitmap, Bytes, BytesPerSecond, Count, None as NoUnit, PacketsPerSecond, Seconds};
use super::values::{TcpFlow, address, bits, int, number, put, ratio, time};
use super::{FlowView, Group, Split, always, f64, formula, i64, private, split, str};
use crate::columns::{Get, Text};
use crate::flow::InitiatorBy;
use crate::packet::{Layer, Layers};
use crate::ports;
use crate::privacy::Privacy::{Address, Port};
use crate::stats::EndReason;
use crate::trackers::TrackerMask;

/// A flow's base with the directions told apart.
pub struct View {
    src: IpAddr,
    dst: IpAddr,
    src_port: Option<u16>,
    dst_port: Option<u16>,
    protocol: u8,
    first_ts: i64,
    last_ts: i64,
    packets: [u64; 2],
    bytes: [u64; 2],
    payload: [Option<u64>; 2],
    layers: Layers,
    tcp: Option<TcpFlow>,
    end: EndReason,
    initiator_by: InitiatorBy,
}

impl FlowView for View {
    type Of<'a> = Self;
}

impl View {
    fn packets(&self) -> u64 {
        self.packets[0] + self.packets[1]
    }
    fn bytes(&self) -> u64 {
        self.bytes[0] + self.bytes[1]
    }
    fn duration(&self) -> f64 {
        // Nanoseconds before seconds: two epoch times as doubles would lose all below 0.2 microseconds.
        self.last_ts.saturating_sub(self.first_ts) as f64 / 1e9
    }
    /// IP bytes over packets of one direction.
    fn average(&self, side: usize) -> Option<f64> {
        ratio(*self.bytes.get(side)? as f64, *self.packets.get(side)? as f64)
    }
    fn flow_stat(&self) -> Option<i64> {
        let t = self.tcp?;
        let (syn, synack) = (t.initiator_syn(), t.responder_synack());
        let whole = syn && synack && (t.both_fin() || t.rst());
        Some(bits(&[syn, synack, t.fin(0), t.fin(1), t.rst(), false, whole]))
    }
}

// What the direction's own is, where no other feature says it.
const DST_CLASS: Split<View> = Split::Own([
    Get::Str(|v, o| put(o, ports::class(v.dst_port?))),
    Get::Str(|v, o| put(o, ports::class(v.src_port?))),
]);
const DST_RANGE: Split<View> = Split::Own([
    Get::I64(&|v: &View| v.dst_port.map(ports::range)),
    Get::I64(&|v: &View| v.src_port.map(ports::range)),
]);
const AVERAGE: Split<View> = Split::Own([Get::F64(&|v: &View| v.average(0)), Get::F64(&|v: &View| v.average(1))]);

// When there is no value.
const NO_PORTS: &str = "the protocol has no ports, or they were not captured";
const CUT: &str = "a snap length hid a payload of that direction";

/// Identity, times and counts.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View> = Group {
    id: "flow_meta",
    doc: "Identity, times and counts of a flow.",
    source: "RFC 7011, IANA IPFIX information elements",
    null: "the flow has no such packet",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::TCP_FLAGS,
    needs: &[],
    view: |flow, _, _| {
        let b = flow.base;
        let turned = |n: [u64; 2]| if b.fwd() == 0 { n } else { [n[1], n[0]] };
        View {
            src: b.src_addr(),
            dst: b.dst_addr(),
            src_port: b.src_port(),
            dst_port: b.dst_port(),
            protocol: b.key.protocol,
            first_ts: b.first_ts,
            last_ts: b.last_ts,
            packets: turned(b.packets),
            bytes: turned(b.bytes),
            payload: [b.known_payload(b.fwd()), b.known_payload(b.bwd())],
            layers: b.layers,
            tcp: TcpFlow::of(flow),
            end: b.end,
            initiator_by: b.initiator_by(),
        }
    },
    features: &[
        split(Split::As(["src_ip", "dst_ip"]), always(private(Address, str("src_ip", Core, |v, o| address(v.src, o), "Address of the initiator.",
            formula("initiator's address").source("RFC 5952 (text)").text("IPv4 or IPv6 address"))))),
        split(Split::As(["dst_ip", "src_ip"]), always(private(Address, str("dst_ip", Core, |v, o| address(v.dst, o), "Address of the responder.",
            formula("responder's address").source("RFC 5952 (text)").text("IPv4 or IPv6 address"))))),
        split(Split::As(["src_port", "dst_port"]), private(Port, i64("src_port", NoUnit, Core, &|v: &View| v.src_port.map(Into::into), "Port of the initiator.",
            formula("initiator's port").null(NO_PORTS).source("IANA IPFIX sourceTransportPort").range(0, 65535)))),
        split(Split::As(["dst_port", "src_port"]), private(Port, i64("dst_port", NoUnit, Core, &|v: &View| v.dst_port.map(Into::into), "Port of the responder.",
            formula("responder's port").null(NO_PORTS).source("IANA IPFIX destinationTransportPort").range(0, 65535)))),
        split(DST_CLASS, private(Port, str("dst_port_class", Core, |v, o| put(o, ports::class(v.dst_port?)), "Service of the responder's port, or its range: system, registered, dynamic.",
            formula("service(dst_port), else name of its range").null(NO_PORTS).source("IANA service names, RFC 6335 section 6").text("name of a service, or system, registered, dynamic")))),
        split(DST_RANGE, private(Port, i64("dst_port_class_num", NoUnit, Core, &|v: &View| v.dst_port.map(ports::range), "Range of the responder's port: 1 system, 2 registered, 3 dynamic (RFC 6335).",
            formula("dst_port < 1024 ? 1 : dst_port < 49152 ? 2 : 3").null(NO_PORTS).source("RFC 6335 section 6").range(1, 3)))),
        split(Split::Both, always(i64("protocol", NoUnit, Core, &|v: &View| Some(v.protocol.into()), "IP protocol number of the upper layer, behind IPv6 extension headers.",
            formula("IPv4.protocol; IPv6: next header of the last extension header").source("IANA protocol numbers, RFC 8200 section 4").range(0, 255)))),
        split(Split::Both, always(f64("start_time", Seconds, Core, &|v: &View| Some(time(v.first_ts)), "Time of the earliest packet since the Unix epoch.",
            formula("min(t)").source("IANA IPFIX flowStartNanoseconds").any()))),
        split(Split::Both, always(f64("end_time", Seconds, Core, &|v: &View| Some(time(v.last_ts)), "Time of the latest packet since the Unix epoch.",
            formula("max(t)").source("IANA IPFIX flowEndNanoseconds").any()))),
        always(f64("duration", Seconds, Core, &|v: &View| Some(v.duration()), "Time from the earliest to the latest packet.",
            formula("max(t) - min(t)").source("IANA IPFIX flowDurationMicroseconds"))),
        split(Split::As(["packets_fwd", "packets_bwd"]), always(i64("total_packets", Count, Core, &|v: &View| Some(int(v.packets())), "Packets in both directions.",
            formula("count(all)").source("IANA IPFIX packetTotalCount")))),
        always(i64("packets_fwd", Count, Core, &|v: &View| Some(int(v.packets[0])), "Packets from the initiator.",
            formula("count(fwd)").source("RFC 5103 (biflows)"))),
        always(i64("packets_bwd", Count, Core, &|v: &View| Some(int(v.packets[1])), "Packets from the responder.",
            formula("count(bwd)").source("RFC 5103 (biflows)"))),
        split(Split::As(["bytes_fwd", "bytes_bwd"]), always(i64("total_bytes", Bytes, Core, &|v: &View| Some(int(v.bytes())), "IP bytes in both directions, as on the wire.",
            formula("sum(len of all)").source("IANA IPFIX octetTotalCount")))),
        always(i64("bytes_fwd", Bytes, Core, &|v: &View| Some(int(v.bytes[0])), "IP bytes from the initiator.",
            formula("sum(len of fwd)").source("RFC 5103 (biflows)"))),
        always(i64("bytes_bwd", Bytes, Core, &|v: &View| Some(int(v.bytes[1])), "IP bytes from the responder.",
            formula("sum(len of bwd)").source("RFC 5103 (biflows)"))),
        i64("payload_bytes_fwd", Bytes, Core, &|v: &View| v.payload[0].map(int), "Upper-layer payload from the initiator, as on the wire.",
            formula("sum(payload of fwd)").null(CUT).source("IANA IPFIX transportOctetDeltaCount")),
        i64("payload_bytes_bwd", Bytes, Core, &|v: &View| v.payload[1].map(int), "Upper-layer payload from the responder, as on the wire.",
            formula("sum(payload of bwd)").null(CUT).source("IANA IPFIX transportOctetDeltaCount")),
        split(Split::As(["payload_bytes_fwd", "payload_bytes_bwd"]), i64("payload_bytes_total", Bytes, Core, &|v: &View| Some(int(v.payload[0]? + v.payload[1]?)), "Upper-layer payload in both directions.",
            formula("payload_bytes_fwd + payload_bytes_bwd").null("a snap length hid a payload").source("IANA IPFIX transportOctetDeltaCount"))),
        f64("packets_ratio", NoUnit, Core, &|v: &View| ratio(v.packets[0] as f64, v.packets[1] as f64), "Forward over backward packets.",
            formula("packets_fwd / packets_bwd").null("no backward packet").source("own definition").from(0)),
        f64("bytes_ratio", NoUnit, Core, &|v: &View| ratio(v.bytes[0] as f64, v.bytes[1] as f64), "Forward over backward IP bytes.",
            formula("bytes_fwd / bytes_bwd").null("no backward byte").source("own definition").from(0)),
        f64("packets_per_second", PacketsPerSecond, Core, &|v: &View| ratio(v.packets() as f64, v.duration()), "Packets over duration.",
            formula("total_packets / duration").null("duration is 0").source("own definition")),
        f64("bytes_per_second", BytesPerSecond, Core, &|v: &View| ratio(v.bytes() as f64, v.duration()), "IP bytes over duration.",
            formula("total_bytes / duration").null("duration is 0").source("own definition")),
        split(AVERAGE, always(f64("avg_packet_size", Bytes, Core, &|v: &View| ratio(v.bytes() as f64, v.packets() as f64), "IP bytes over packets.",
            formula("total_bytes / total_packets").source("own definition")))),
        split(Split::Both, always(f64("time_first", Seconds, Core, &|v: &View| Some(time(v.first_ts)), "The same as start_time.",
            formula("min(t)").source("IANA IPFIX flowStartNanoseconds").any()))),
        split(Split::Both, always(f64("time_last", Seconds, Core, &|v: &View| Some(time(v.last_ts)), "The same as end_time.",
            formula("max(t)").source("IANA IPFIX flowEndNanoseconds").any()))),
        i64("flow_stat", Bitmap, Core, &|v: &View| v.flow_stat(), "TCP: 1 initiator's SYN, 2 responder's SYN-ACK, 4 forward FIN, 8 backward FIN, 16 RST, 64 opened and closed (32 is reserved).",
            formula("bits(SYN(fwd) without ACK, SYN-ACK(bwd), FIN in fwd, FIN in bwd, RST, 0, opened and closed)").null("not TCP, or no header with flags was captured").source("RFC 9293 section 3.5, 3.6").range(0, 127)),
        always(i64("num_hdrs", Count, Core, &|v: &View| Some(headers(v.layers).count() as i64), "Headers in hdr_desc.",
            formula("count(headers in hdr_desc)").source("own definition"))),
        str("hdr_desc", Core, |v, o| describe(v.layers, v.protocol, o), "Headers of the first packet from the outside in, joined by '-'.",
            formula("the outermost 12 headers of the first packet, the outermost first, joined by \"-\"").null("no header of the first packet has a name").source("own definition").text("names of headers, such as ETH-VLAN-IP-TCP")),
        always(str("end_reason", Extended, |v, o| put(o, v.end.name()), "Why the flow ended: fin, rst, idle, active, reused, end_of_input, evicted.",
            formula("what ended the flow").source("IANA IPFIX flowEndReason").one_of(&["fin", "rst", "idle", "active", "reused", "end_of_input", "evicted"]).since("0.2.0"))),
        always(str("initiator_by", Extended, |v, o| put(o, v.initiator_by.name()), "What the direction rests on: syn, synack, echo (ICMP), port (of a service, where asked for), first (packet in time).",
            formula("first that is known of: echo, syn, synack, port, first").source("RFC 5103, IANA IPFIX biflowDirection").one_of(&["syn", "synack", "echo", "port", "first"]).since("0.2.0"))),
    ],
};

/// Layers that are headers: a raw IP link has none of its own.
fn headers(layers: Layers) -> impl Iterator<Item = Layer> {
    layers.iter().filter(|&l| l != Layer::Raw)
}

fn describe(layers: Layers, protocol: u8, out: &mut Text) -> Option<()> {
    let start = out.len();
    for layer in headers(layers) {
        if out.len() > start {
            out.push('-');
        }
        out.push_str(layer.name());
        if layer == Layer::Other {
            number(protocol.into(), out);
        }
    }
    (out.len() > start).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_have_the_names_of_their_headers() {
        let desc = |layers: &[Layer]| {
            let l: Layers = layers.iter().copied().collect();
            let mut s = Text::default();
            describe(l, 47, &mut s).map(|()| (s.as_str().to_owned(), headers(l).count()))
        };
        use Layer::*;
        assert_eq!(desc(&[Eth, Vlan, Ip, Tcp]), Some(("ETH-VLAN-IP-TCP".into(), 4)));
        let vxlan = [Eth, Ip, Udp, Vxlan, Eth, Ip, Tcp];
        assert_eq!(desc(&vxlan), Some(("ETH-IP-UDP-VXLAN-ETH-IP-TCP".into(), 7)));
        assert_eq!(desc(&[Raw, Ip6, Icmp6]), Some(("IP6-ICMP6".into(), 2)));
        assert_eq!(desc(&[Sll, Ip, Other]), Some(("SLL-IP-PROTO47".into(), 3)));
        assert_eq!(desc(&[Ip, Cisco]), Some(("IP-CISCO".into(), 2)));
        assert_eq!(desc(&[]), None);
    }
}
