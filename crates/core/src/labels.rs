//! Labels of flows, known from elsewhere: ground truth for those who train and test models.
//!
//! A rule says which flows have a label, by end points, protocol and time. What it does not say may be anything. Rules that say
//! the same kinds of things lie in one table, so that a flow is looked up once for each kind, however many rules there are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::flow::FlowBase;
use crate::frame::TimeNs;

/// Which flows have a label. End points may be those of either direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRule {
    /// Source and destination, with how many leading bits count.
    pub addresses: [Option<(IpAddr, u8)>; 2],
    /// Source and destination port.
    pub ports: [Option<u16>; 2],
    /// Protocol number.
    pub protocol: Option<u8>,
    /// Flows that end before this have it not.
    pub from: Option<TimeNs>,
    /// Flows that begin after this have it not.
    pub to: Option<TimeNs>,
    /// The label.
    pub label: Arc<str>,
}

/// Rules, by what they say.
#[derive(Debug, Default)]
pub struct Labels {
    tables: HashMap<Shape, Table>,
    rules: usize,
}

/// What the rules of a table say: leading bits of addresses of IPv4 or not, and whether they have ports and a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shape {
    bits: [Option<(bool, u8)>; 2],
    ports: [bool; 2],
    protocol: bool,
}

/// Rules by addresses, ports and protocol; 0 for what they do not say.
type Table = HashMap<([u128; 2], [u16; 2], u8), Spans>;

/// Rules for the same flows, by the start of their time.
#[derive(Debug, Default)]
struct Spans(Vec<Span>);

#[derive(Debug)]
struct Span {
    from: TimeNs,
    to: TimeNs,
    /// The end of the longest of those up to this one.
    latest: TimeNs,
    /// Of those that begin together, the one that was given first counts.
    rank: usize,
    label: Arc<str>,
}

impl Labels {
    /// Takes rules, of which the first ones come first; the error is the first of theirs.
    pub fn new<E>(rules: impl IntoIterator<Item = Result<LabelRule, E>>) -> Result<Self, E> {
        let mut labels = Self::default();
        for (rank, rule) in rules.into_iter().enumerate() {
            let LabelRule { addresses, ports, protocol, from, to, label } = rule?;
            let bits = addresses.map(|a| a.map(|(addr, bits)| (addr.is_ipv4(), bits)));
            let shape = Shape { bits, ports: ports.map(|p| p.is_some()), protocol: protocol.is_some() };
            let numbers = addresses.map(|a| a.map_or(0, |(addr, bits)| masked(addr, bits)));
            let key = (numbers, ports.map(|p| p.unwrap_or(0)), protocol.unwrap_or(0));
            let (from, to) = (from.unwrap_or(TimeNs::MIN), to.unwrap_or(TimeNs::MAX));
            let spans = labels.tables.entry(shape).or_default().entry(key).or_default();
            spans.0.push(Span { from, to, latest: to, rank, label });
            labels.rules += 1;
        }
        labels.tables.values_mut().flat_map(HashMap::values_mut).for_each(Spans::sort);
        Ok(labels)
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules == 0
    }

    /// The label of a flow. Of several, the one whose time began last before the flow did, else the one whose time begins first; of
    /// those that begin together, the one that was given first.
    pub fn of(&self, flow: &FlowBase) -> Option<&Arc<str>> {
        let key = &flow.key;
        let (first, last) = (flow.first_ts, flow.last_ts);
        let better = |a: &&Span, b: &&Span| {
            let order = |span: &Span| (span.from > first, if span.from > first { span.from } else { -1 - span.from });
            (order(a), a.rank).cmp(&(order(b), b.rank))
        };
        let mut best: Option<&Span> = None;
        for (shape, table) in &self.tables {
            for lo in [true, false] {
                let addrs = [key.addr(lo), key.addr(!lo)];
                if shape.bits.iter().zip(addrs).any(|(bits, addr)| bits.is_some_and(|(v4, _)| v4 != addr.is_ipv4())) {
                    continue;
                }
                // Files have port 0 where a protocol has no ports.
                let ports = [key.port(lo), key.port(!lo)].map(|port| port.unwrap_or(0));
                let number = |i: usize| shape.bits[i].map_or(0, |(_, bits)| masked(addrs[i], bits));
                let port = |i: usize| if shape.ports[i] { ports[i] } else { 0 };
                let protocol = if shape.protocol { key.protocol } else { 0 };
                let found = table.get(&([number(0), number(1)], [port(0), port(1)], protocol));
                let spans = found.into_iter().flat_map(|spans| spans.of(first, last));
                best = best.into_iter().chain(spans).min_by(better);
            }
        }
        best.map(|span| &span.label)
    }
}

impl Spans {
    fn sort(&mut self) {
        self.0.sort_by_key(|span| (span.from, std::cmp::Reverse(span.rank)));
        let mut latest = TimeNs::MIN;
        for span in &mut self.0 {
            latest = latest.max(span.to);
            span.latest = latest;
        }
    }

    /// The best of those that begin before a flow does, and of those that begin later.
    fn of(&self, first: TimeNs, last: TimeNs) -> impl Iterator<Item = &Span> {
        let (before, after) = self.0.split_at(self.0.partition_point(|span| span.from <= first));
        let before =
            before.iter().rev().take_while(move |span| span.latest >= first).find(move |span| span.to >= first);
        // Of those that begin together, the first one given is the last one here.
        let next = after.first().map_or(TimeNs::MAX, |span| span.from);
        let after = after.iter().take_while(move |span| span.from == next && span.from <= last).last();
        before.into_iter().chain(after)
    }
}

/// An address as a number, of which so many leading bits count.
fn masked(addr: IpAddr, bits: u8) -> u128 {
    let (number, len) = match addr {
        IpAddr::V4(addr) => (addr.to_bits().into(), 32),
        IpAddr::V6(addr) => (addr.to_bits(), 128),
    };
    let below = len - u32::from(bits).min(len);
    number.checked_shr(below).and_then(|high| high.checked_shl(below)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Endpoint, FlowKey, Packet, PacketInfo, Scope};

    const ANY: [Option<(IpAddr, u8)>; 2] = [None; 2];

    fn flow(src: [u8; 4], sport: u16, dst: [u8; 4], dport: u16, protocol: u8, span: [TimeNs; 2]) -> FlowBase {
        let (src, dst) = (Endpoint::v4(src, sport), Endpoint::v4(dst, dport));
        let (key, from_lo) = FlowKey::new(false, protocol, protocol != 1, src, dst, Scope::default());
        let info = PacketInfo::by_hand(span[0], key, from_lo);
        let mut base = FlowBase::start(&Packet::without_bytes(&info), 0);
        base.last_ts = span[1];
        base
    }

    fn rule(label: &str) -> LabelRule {
        LabelRule { addresses: ANY, ports: [None; 2], protocol: None, from: None, to: None, label: label.into() }
    }

    fn label(rules: Vec<LabelRule>, flow: &FlowBase) -> Option<String> {
        let labels = Labels::new(rules.into_iter().map(Ok::<_, ()>)).unwrap();
        labels.of(flow).map(|label| label.to_string())
    }

    #[test]
    fn a_rule_is_for_both_directions_and_for_what_it_does_not_say() {
        let web = flow([10, 0, 0, 1], 5000, [192, 0, 2, 7], 80, 6, [0, 9]);
        let addr = |text: &str, bits| Some((text.parse().unwrap(), bits));
        let with = |addresses, ports, protocol| LabelRule { addresses, ports, protocol, ..rule("x") };
        for (of, has) in [
            (with(ANY, [None; 2], None), true),
            (with([addr("10.0.0.1", 32), addr("192.0.2.7", 32)], [Some(5000), Some(80)], Some(6)), true),
            (with([addr("192.0.2.7", 32), addr("10.0.0.1", 32)], [Some(80), Some(5000)], Some(6)), true),
            (with([addr("192.0.2.7", 32), addr("10.0.0.1", 32)], [Some(5000), Some(80)], Some(6)), false),
            (with([None, addr("192.0.2.0", 24)], [None, Some(80)], None), true),
            (with([addr("192.0.3.255", 23), None], [None; 2], None), true),
            (with([addr("192.0.3.0", 24), None], [None; 2], None), false),
            (with([addr("0.0.0.0", 0), None], [None; 2], None), true),
            (with([addr("::", 0), None], [None; 2], None), false),
            (with([addr("2001:db8::", 32), None], [None; 2], None), false),
            (with(ANY, [None; 2], Some(17)), false),
        ] {
            let shown = format!("{of:?}");
            assert_eq!(label(vec![of], &web).is_some(), has, "{shown}");
        }
        // Files have a port of 0 where there is none.
        let ping = flow([10, 0, 0, 1], 0, [192, 0, 2, 7], 0, 1, [0, 9]);
        assert_eq!(label(vec![with(ANY, [Some(0), None], None)], &ping).as_deref(), Some("x"));
        assert_eq!(label(vec![with(ANY, [Some(8), None], None)], &ping), None);
        assert_eq!(label(vec![with(ANY, [None; 2], Some(1))], &ping).as_deref(), Some("x"));
    }

    #[test]
    fn the_last_one_that_has_begun_counts() {
        let at = |from, to, label| LabelRule { from, to, ..rule(label) };
        let http = |from, label| LabelRule { ports: [None, Some(80)], from, ..rule(label) };
        let of = |span, rules: &[LabelRule]| {
            label(rules.to_vec(), &flow([10, 0, 0, 1], 5000, [192, 0, 2, 7], 80, 6, span)).unwrap_or_default()
        };
        let from = [at(Some(10), None, "a"), at(Some(20), None, "b"), at(Some(30), None, "c")];
        assert_eq!(
            [[9, 9], [10, 15], [25, 99], [30, 30], [5, 40]].map(|span| of(span, &from)),
            ["", "a", "b", "c", "a"]
        );
        let within = [at(Some(10), Some(20), "a"), at(Some(12), Some(13), "b"), at(None, None, "rest")];
        assert_eq!([[12, 12], [14, 14], [20, 30], [21, 30]].map(|span| of(span, &within)), ["b", "a", "a", "rest"]);
        // Together: the first one, in whichever table it is.
        assert_eq!(of([5, 5], &[at(None, None, "a"), http(None, "b"), at(None, None, "c")]), "a");
        assert_eq!(of([5, 5], &[http(None, "b"), at(None, None, "a")]), "b");
        assert_eq!(of([1, 9], &[at(Some(5), None, "a"), http(Some(4), "b"), http(Some(4), "c")]), "b");
    }
}
