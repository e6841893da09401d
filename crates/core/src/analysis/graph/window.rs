//! The graph of the last seconds: what serves streams, which have no end to wait for.
//!
//! Flows come one after the other, as they end. A flow's counts are those of the flows that came before it, and of itself, as far
//! as their last packets lie less than the window before its own. A flow that has left the window does not come back, though a
//! later one ended earlier. Betweenness, communities and clustering would cost a graph for each flow: they are those of the graph
//! as it stood when the present multiple of the window was reached. So nothing depends on what comes later.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;

use super::{Flow, FlowMetrics, FlowValues, GraphSettings, Metrics, Node, NodeMetrics, NodeTotals, places};
use crate::frame::TimeNs;

/// Flows in a row that are two windows or more behind the latest: then its time was that of a broken clock, and all begins anew.
/// A graph costs as much as many flows, so that a few such flows must not bring about a new one each.
const MOST_BEHIND: u32 = 1000;

/// The flows of the last seconds.
#[derive(Debug)]
pub struct Window {
    settings: GraphSettings,
    width: i64,
    /// The earliest end first; of equal ones, in the order of their coming.
    flows: BinaryHeap<Reverse<Held>>,
    came: u64,
    nodes: HashMap<Node, NodeTotals>,
    pairs: HashMap<(Node, Node), u64>,
    lines: HashMap<(Node, Node, u16), u64>,
    ports: HashMap<(Node, u16), u64>,
    earlier: Option<Earlier>,
    behind: u32,
}

/// A flow in the window.
#[derive(Debug)]
struct Held {
    end: TimeNs,
    number: u64,
    flow: Flow,
}

impl Held {
    fn key(&self) -> (TimeNs, u64) {
        (self.end, self.number)
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// The graph as it stood when a multiple of the window was reached.
#[derive(Debug)]
struct Earlier {
    multiple: i64,
    nodes: HashMap<Node, NodeMetrics>,
}

impl Window {
    /// An empty window of so many nanoseconds, 1 at least.
    pub fn new(width: i64, settings: GraphSettings) -> Self {
        Self {
            settings,
            width: width.max(1),
            flows: BinaryHeap::new(),
            came: 0,
            nodes: HashMap::new(),
            pairs: HashMap::new(),
            lines: HashMap::new(),
            ports: HashMap::new(),
            earlier: None,
            behind: 0,
        }
    }

    /// Takes a flow whose last packet was at `end` into the window, and gives its values.
    pub fn add(&mut self, flow: &Flow, end: TimeNs) -> Option<FlowValues> {
        self.turn_to(end);
        self.leave_up_to(end.saturating_sub(self.width));
        self.put(*flow, end);
        self.values(flow)
    }

    /// Bytes on the heap, by what is in use: a table's memory is used again.
    pub fn heap_bytes(&self) -> usize {
        // Tables are at least half full while they grow; they have a byte of control beside each entry.
        let table = |len: usize, entry: usize| 2 * len * (entry + 1);
        2 * self.flows.len() * size_of::<Held>()
            + table(self.nodes.len(), size_of::<(Node, NodeTotals)>())
            + table(self.pairs.len(), size_of::<((Node, Node), u64)>())
            + table(self.lines.len(), size_of::<((Node, Node, u16), u64)>())
            + table(self.ports.len(), size_of::<((Node, u16), u64)>())
            + self.earlier.as_ref().map_or(0, |e| table(e.nodes.len(), size_of::<(Node, NodeMetrics)>()))
    }

    /// Forgets all flows, and gives their memory back.
    pub fn clear(&mut self) {
        *self = Self { came: self.came, ..Self::new(self.width, self.settings) };
    }

    /// Makes the graph for graph metrics anew where the time has come for it.
    fn turn_to(&mut self, end: TimeNs) {
        let multiple = end.div_euclid(self.width);
        if let Some(earlier) = &self.earlier {
            self.behind = if multiple < earlier.multiple - 1 { self.behind + 1 } else { 0 };
            if self.behind >= MOST_BEHIND {
                self.clear();
            } else if multiple <= earlier.multiple {
                return;
            }
        }
        self.leave_up_to(multiple.saturating_mul(self.width).saturating_sub(self.width));
        let nodes = if self.settings.metrics { self.metrics() } else { HashMap::new() };
        self.earlier = Some(Earlier { multiple, nodes });
    }

    /// Graph metrics of the nodes in the window.
    fn metrics(&self) -> HashMap<Node, NodeMetrics> {
        let nodes: Vec<Node> = self.nodes.keys().copied().collect();
        let (places, ranks) = places(&nodes, self.settings.seed);
        let at: HashMap<Node, u32> = nodes.into_iter().zip(places).collect();
        let edge = |(src, dst): &(Node, Node)| Some((*at.get(src)?, *at.get(dst)?)).filter(|(src, dst)| src != dst);
        let mut edges: Vec<(u32, u32)> = self.pairs.keys().filter_map(edge).collect();
        edges.sort_unstable();
        let Some(metrics) = Metrics::of(&edges, &ranks, self.settings.algorithm, 1, &|| true) else {
            return HashMap::new();
        };
        at.into_iter().filter_map(|(node, at)| Some((node, metrics.node(at as usize)?))).collect()
    }

    fn leave_up_to(&mut self, end: TimeNs) {
        while let Some(Reverse(held)) = self.flows.peek()
            && held.end <= end
        {
            let Some(Reverse(Held { flow, .. })) = self.flows.pop() else { return };
            self.take_out(&flow);
        }
    }

    fn put(&mut self, flow: Flow, end: TimeNs) {
        let Flow { src, dst, dst_port, .. } = flow;
        let new_pair = count(&mut self.pairs, (src, dst));
        let mut new_port = false;
        if let Some(port) = dst_port {
            count(&mut self.lines, (src, dst, port));
            new_port = count(&mut self.ports, (src, port));
        }
        let from = self.nodes.entry(src).or_default();
        from.out.add(&flow);
        from.dsts += u32::from(new_pair);
        from.ports += u32::from(new_port);
        let to = self.nodes.entry(dst).or_default();
        to.into.add(&flow);
        to.srcs += u32::from(new_pair);
        self.flows.push(Reverse(Held { end, number: self.came, flow }));
        self.came += 1;
    }

    fn take_out(&mut self, flow: &Flow) {
        let Flow { src, dst, dst_port, .. } = *flow;
        let last_pair = discount(&mut self.pairs, (src, dst));
        let mut last_port = false;
        if let Some(port) = dst_port {
            discount(&mut self.lines, (src, dst, port));
            last_port = discount(&mut self.ports, (src, port));
        }
        if let Some(from) = self.nodes.get_mut(&src) {
            from.out.take(flow);
            from.dsts -= u32::from(last_pair);
            from.ports -= u32::from(last_port);
        }
        if let Some(to) = self.nodes.get_mut(&dst) {
            to.into.take(flow);
            to.srcs -= u32::from(last_pair);
        }
        for node in [src, dst] {
            if self.nodes.get(&node).is_some_and(|n| n.out.flows == 0 && n.into.flows == 0) {
                self.nodes.remove(&node);
            }
        }
    }

    fn values(&self, flow: &Flow) -> Option<FlowValues> {
        let Flow { src, dst, dst_port, .. } = *flow;
        let (from, to) = (self.nodes.get(&src)?, self.nodes.get(&dst)?);
        let with_itself = |node: Node| u32::from(self.pairs.contains_key(&(node, node)));
        let earlier = |node: &Node| self.earlier.as_ref()?.nodes.get(node).copied();
        Some(FlowValues {
            src_unique_dsts: from.dsts.into(),
            dst_unique_srcs: to.srcs.into(),
            src_dst_flows: *self.pairs.get(&(src, dst))?,
            src_port_flows: dst_port.and_then(|port| self.lines.get(&(src, dst, port)).copied()),
            src_total_flows: from.out.flows,
            dst_total_flows: to.into.flows,
            src_total_packets: from.out.packets,
            src_total_bytes: from.out.bytes,
            dst_total_packets: to.into.packets,
            dst_total_bytes: to.into.bytes,
            src_unique_ports: from.ports.into(),
            metrics: self.settings.metrics.then(|| FlowMetrics {
                src_out_degree: from.dsts - with_itself(src),
                dst_in_degree: to.srcs - with_itself(dst),
                src: earlier(&src),
                dst: earlier(&dst),
            }),
        })
    }
}

/// One more; whether it is the first.
fn count<K: Hash + Eq>(counts: &mut HashMap<K, u64>, key: K) -> bool {
    let n = counts.entry(key).or_default();
    *n += 1;
    *n == 1
}

/// One less; whether it was the last.
fn discount<K: Hash + Eq>(counts: &mut HashMap<K, u64>, key: K) -> bool {
    let Entry::Occupied(mut entry) = counts.entry(key) else { return false };
    *entry.get_mut() -= 1;
    let last = *entry.get() == 0;
    if last {
        entry.remove();
    }
    last
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::super::{Algorithm, Connections};
    use super::*;

    fn node(n: u8) -> Node {
        Node { addr: Ipv4Addr::new(10, 0, 0, n).into(), port: None }
    }

    fn flow(src: u8, dst: u8, port: Option<u16>, bytes: u64) -> Flow {
        Flow { src: node(src), dst: node(dst), dst_port: port, packets: 1 + bytes / 100, bytes }
    }

    /// As the first lines of this file say it: the whole graph of what is left, for every flow.
    fn naive(flows: &[(Flow, i64)], width: i64, settings: GraphSettings) -> Vec<FlowValues> {
        let graph = |held: &[(Flow, i64)]| {
            let mut all = Connections::default();
            let lines: Vec<_> = held.iter().map(|(flow, _)| all.add(flow).unwrap()).collect();
            (all.finish(settings, 1, &|| true).unwrap(), lines)
        };
        let mut held: Vec<(Flow, i64)> = Vec::new();
        let mut earlier: Option<(i64, BTreeMap<Node, NodeMetrics>)> = None;
        let mut out = Vec::new();
        for (flow, end) in flows {
            let multiple = end.div_euclid(width);
            if earlier.as_ref().is_none_or(|(m, _)| multiple > *m) {
                held.retain(|(_, e)| *e > multiple * width - width);
                let (graph, lines) = graph(&held);
                let mut nodes = BTreeMap::new();
                for (line, (flow, _)) in lines.iter().zip(&held) {
                    let m = graph.values(*line).unwrap().metrics;
                    if let Some(m) = m {
                        nodes.extend([(flow.src, m.src.unwrap()), (flow.dst, m.dst.unwrap())]);
                    }
                }
                earlier = Some((multiple, nodes));
            }
            held.retain(|(_, e)| *e > end - width);
            held.push((*flow, *end));
            let (graph, lines) = graph(&held);
            let mut values = graph.values(*lines.last().unwrap()).unwrap();
            if let Some(m) = &mut values.metrics {
                let nodes = &earlier.as_ref().unwrap().1;
                (m.src, m.dst) = (nodes.get(&flow.src).copied(), nodes.get(&flow.dst).copied());
            }
            out.push(values);
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn a_window_has_the_values_of_the_graph_of_what_is_in_it(
            flows in prop::collection::vec((0u8..8, 0u8..8, prop::option::of(0u16..3), -15i64..40), 1..60),
            width in 1i64..60,
            metrics in any::<bool>(),
        ) {
            let settings = GraphSettings { metrics, algorithm: Algorithm::Louvain, seed: 0 };
            let mut end = 0;
            let flows: Vec<_> = flows.into_iter().map(|(src, dst, port, step)| {
                end += step;
                (flow(src, dst, port, step.unsigned_abs()), end)
            }).collect();
            let mut window = Window::new(width, settings);
            let got: Vec<_> = flows.iter().map(|(flow, end)| window.add(flow, *end).unwrap()).collect();
            prop_assert_eq!(got, naive(&flows, width, settings));
            // All leave, and nothing of them is left.
            window.leave_up_to(i64::MAX);
            prop_assert_eq!((window.nodes.len(), window.pairs.len(), window.lines.len(), window.ports.len()), (0, 0, 0, 0));
        }
    }

    #[test]
    fn what_comes_later_changes_nothing() {
        let flows: Vec<_> = (0..40).map(|i| (flow(i % 5, i % 7, Some(80), 60), i64::from(i) * 3)).collect();
        let values = |flows: &[(Flow, i64)]| {
            let mut window = Window::new(20, GraphSettings::default());
            flows.iter().map(|(flow, end)| window.add(flow, *end)).collect::<Vec<_>>()
        };
        assert_eq!(values(&flows[..25]), values(&flows)[..25]);
    }

    #[test]
    fn a_flow_of_the_far_future_does_not_stop_the_window_for_good() {
        let mut window = Window::new(100, GraphSettings::default());
        window.add(&flow(1, 2, None, 60), i64::MAX);
        let mut last = None;
        for i in 0..3000 {
            last = window.add(&flow(1, 2, None, 60), i);
        }
        let last = last.unwrap();
        assert_eq!(last.src_total_flows, 100);
        assert!(last.metrics.unwrap().src.is_some());
    }
}
