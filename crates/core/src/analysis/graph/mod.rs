//! The graph of who speaks to whom, over all flows of a run (group `connection`).
//!
//! Flows are counted in as they end ([`Connections::add`]); when the run has ended, [`Connections::finish`] makes the
//! graph and its metrics once, and gives the values for each flow. Nodes, pairs and their ports are all that is held.
//! Results depend on the set of flows and the settings only, not on the order of flows or of a hash table.

mod betweenness;
mod clustering;
mod community;
#[cfg(test)]
mod tests;
mod window;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::net::IpAddr;

pub use community::Algorithm;
pub use window::Window;

/// A node: an address, with a port where ports are part of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// The address.
    pub addr: IpAddr,
    /// The port; none where nodes are addresses, or the protocol has no ports.
    pub port: Option<u16>,
}

/// The canonical text (RFC 5952), by which nodes are ordered and ranked.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.addr, self.port) {
            (addr, None) => write!(f, "{addr}"),
            (IpAddr::V4(v4), Some(port)) => write!(f, "{v4}:{port}"),
            (IpAddr::V6(v6), Some(port)) => write!(f, "[{v6}]:{port}"),
        }
    }
}

/// One flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The initiator.
    pub src: Node,
    /// The responder.
    pub dst: Node,
    /// Port of the responder; none for protocols without ports.
    pub dst_port: Option<u16>,
    /// Packets of both directions.
    pub packets: u64,
    /// Bytes of both directions.
    pub bytes: u64,
}

/// Settings of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphSettings {
    /// Whether betweenness, communities and clustering are computed.
    pub metrics: bool,
    /// How communities are found.
    pub algorithm: Algorithm,
    /// Chooses pivots and the order of nodes.
    pub seed: u64,
}

impl Default for GraphSettings {
    /// All metrics, communities by the Louvain method, seed 0.
    fn default() -> Self {
        Self { metrics: true, algorithm: Algorithm::Louvain, seed: 0 }
    }
}

/// Totals of the flows that a node began (or that led to it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    flows: u64,
    packets: u64,
    bytes: u64,
}

impl Totals {
    fn add(&mut self, flow: &Flow) {
        self.flows += 1;
        self.packets = self.packets.saturating_add(flow.packets);
        self.bytes = self.bytes.saturating_add(flow.bytes);
    }

    fn take(&mut self, flow: &Flow) {
        self.flows -= 1;
        self.packets = self.packets.saturating_sub(flow.packets);
        self.bytes = self.bytes.saturating_sub(flow.bytes);
    }
}

/// Flows of one initiator to one responder and port.
#[derive(Clone, Copy, Debug)]
struct Line {
    src: u32,
    dst: u32,
    port: Option<u16>,
    flows: u64,
}

/// Flows counted in so far.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    index: HashMap<Node, u32>,
    nodes: Vec<Node>,
    out: Vec<Totals>,
    into: Vec<Totals>,
    lines: HashMap<(u32, u32, Option<u16>), u32>,
    by_line: Vec<Line>,
}

impl Connections {
    /// Counts a flow in, and gives the number of its line: initiator, responder and port, by which [`Graph::values`] finds its
    /// values. None where there are as many nodes or lines as can be numbered: the flow is left out.
    pub fn add(&mut self, flow: &Flow) -> Option<u32> {
        let (src, dst) = (self.node(flow.src)?, self.node(flow.dst)?);
        let line = match self.lines.entry((src, dst, flow.dst_port)) {
            Entry::Occupied(line) => *line.get(),
            Entry::Vacant(place) => {
                let line = u32::try_from(self.by_line.len()).ok().filter(|line| *line < u32::MAX)?;
                self.by_line.push(Line { src, dst, port: flow.dst_port, flows: 0 });
                *place.insert(line)
            }
        };
        if let Some(totals) = self.out.get_mut(src as usize) {
            totals.add(flow);
        }
        if let Some(totals) = self.into.get_mut(dst as usize) {
            totals.add(flow);
        }
        if let Some(line) = self.by_line.get_mut(line as usize) {
            line.flows += 1;
        }
        Some(line)
    }

    fn node(&mut self, node: Node) -> Option<u32> {
        if let Some(id) = self.index.get(&node) {
            return Some(*id);
        }
        let id = u32::try_from(self.nodes.len()).ok().filter(|id| *id < u32::MAX)?;
        self.index.insert(node, id);
        self.nodes.push(node);
        self.out.push(Totals::default());
        self.into.push(Totals::default());
        Some(id)
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        // A hash table has one byte of control beside each entry.
        self.index.capacity() * (size_of::<(Node, u32)>() + 1)
            + self.nodes.capacity() * size_of::<Node>()
            + (self.out.capacity() + self.into.capacity()) * size_of::<Totals>()
            + self.lines.capacity() * (size_of::<((u32, u32, Option<u16>), u32)>() + 1)
            + self.by_line.capacity() * size_of::<Line>()
    }

    /// Bytes on the heap while the graph is made, at most: what was counted, and the sizes of what the metrics allocate.
    pub fn finish_bytes(&self) -> usize {
        self.heap_bytes() + self.nodes.len() * FINISH_BYTES_A_NODE + self.by_line.len() * FINISH_BYTES_A_LINE
    }

    /// Makes the graph, on so many threads where that helps: all flows have been counted in. None where `go_on` said no meanwhile;
    /// it is asked now and then.
    ///
    /// The cost, of n nodes and m edges: betweenness n m, above 1,000 nodes 256 m; clustering m^1.5; communities by Louvain or
    /// label propagation m for each of a few passes; by greedy merging see [`community::MOST_STEPS`].
    pub fn finish(self, settings: GraphSettings, threads: usize, go_on: &(dyn Fn() -> bool + Sync)) -> Option<Graph> {
        let Self { index, nodes, out, into, lines, by_line } = self;
        drop((index, lines));
        let (place, ranks) = places(&nodes, settings.seed);
        drop(nodes);
        let to = |id: u32| place.get(id as usize).copied().unwrap_or_default();
        let mut totals = vec![NodeTotals::default(); place.len()];
        for (id, (out, into)) in (0..).zip(out.iter().zip(&into)) {
            if let Some(totals) = totals.get_mut(to(id) as usize) {
                (totals.out, totals.into) = (*out, *into);
            }
        }
        drop((out, into));
        let mut lines = by_line;
        let mut ports = Vec::new();
        for line in &mut lines {
            (line.src, line.dst) = (to(line.src), to(line.dst));
            ports.extend(line.port.map(|port| (line.src, port)));
        }
        ports.sort_unstable();
        ports.dedup();
        for (src, _) in ports {
            if let Some(totals) = totals.get_mut(src as usize) {
                totals.ports += 1;
            }
        }
        let mut edges: Vec<(u32, u32)> = lines.iter().map(|line| (line.src, line.dst)).collect();
        edges.sort_unstable();
        edges.dedup();
        let pair = |line: &Line| edges.binary_search(&(line.src, line.dst)).unwrap_or_default();
        let mut pairs = vec![0; edges.len()];
        for line in &lines {
            if let Some(flows) = pairs.get_mut(pair(line)) {
                *flows += line.flows;
            }
        }
        for (src, dst) in &edges {
            if let Some(totals) = totals.get_mut(*src as usize) {
                totals.dsts += 1;
            }
            if let Some(totals) = totals.get_mut(*dst as usize) {
                totals.srcs += 1;
            }
        }
        let metrics = match settings.metrics {
            true => {
                let proper: Vec<_> = edges.iter().copied().filter(|(src, dst)| src != dst).collect();
                Some(Metrics::of(&proper, &ranks, settings.algorithm, threads, go_on)?)
            }
            false => None,
        };
        Some(Graph { totals, lines, edges, pairs, metrics })
    }
}

/// Beside what was counted, per node: its text, place, rank, totals, and what the metrics need of it, on as many threads as there
/// may be.
const FINISH_BYTES_A_NODE: usize = 400;

/// Per line: its edge, in both directions, with weights, and its port.
const FINISH_BYTES_A_LINE: usize = 96;

/// The place of each node in the order of the texts, so that numbers compare as texts do; and the ranks by place.
fn places(nodes: &[Node], seed: u64) -> (Vec<u32>, Vec<u32>) {
    let mut texts: Vec<(String, u32)> = (0..).zip(nodes).map(|(id, node)| (node.to_string(), id)).collect();
    texts.sort_unstable();
    let mut places = vec![0; texts.len()];
    for (at, (_, id)) in (0..).zip(&texts) {
        if let Some(place) = places.get_mut(*id as usize) {
            *place = at;
        }
    }
    let ranks = ranks(&texts, seed);
    (places, ranks)
}

/// Rank of each node: its place in ascending order of the FNV-1a hash of seed and text, ties by text.
fn ranks(texts: &[(String, u32)], seed: u64) -> Vec<u32> {
    let hash = |text: &str| {
        let bytes = seed.to_le_bytes().into_iter().chain(text.bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
    };
    let mut order: Vec<(u64, u32)> = (0..).zip(texts).map(|(at, (text, _))| (hash(text), at)).collect();
    order.sort_unstable();
    let mut ranks = vec![0; order.len()];
    for (rank, (_, at)) in (0..).zip(order) {
        if let Some(place) = ranks.get_mut(at as usize) {
            *place = rank;
        }
    }
    ranks
}

#[derive(Clone, Copy, Debug, Default)]
struct NodeTotals {
    out: Totals,
    into: Totals,
    /// Different responders, itself included where it is one.
    dsts: u32,
    /// Different initiators.
    srcs: u32,
    /// Different ports of responders.
    ports: u32,
}

/// Lists of neighbours, all in one.
#[derive(Clone, Debug)]
struct Adjacency {
    starts: Vec<usize>,
    to: Vec<u32>,
}

impl Adjacency {
    /// From sorted pairs.
    fn new(nodes: usize, edges: &[(u32, u32)]) -> Self {
        let mut starts = vec![0; nodes + 1];
        for (from, _) in edges {
            if let Some(n) = starts.get_mut(*from as usize + 1) {
                *n += 1;
            }
        }
        let mut sum = 0;
        for n in &mut starts {
            sum += *n;
            *n = sum;
        }
        Self { starts, to: edges.iter().map(|(_, to)| *to).collect() }
    }

    /// The same without direction.
    fn undirected(nodes: usize, edges: &[(u32, u32)]) -> Self {
        let mut both: Vec<_> = edges.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect();
        both.sort_unstable();
        both.dedup();
        Self::new(nodes, &both)
    }

    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn of(&self, node: usize) -> &[u32] {
        match (self.starts.get(node), self.starts.get(node + 1)) {
            (Some(start), Some(end)) => self.to.get(*start..*end).unwrap_or_default(),
            _ => &[],
        }
    }

    fn degree(&self, node: usize) -> usize {
        self.of(node).len()
    }
}

/// What the graph says of each node.
#[derive(Clone, Debug)]
struct Metrics {
    out_degree: Vec<u32>,
    in_degree: Vec<u32>,
    betweenness: Vec<f64>,
    community: Vec<u32>,
    clustering: Vec<f64>,
}

impl Metrics {
    /// Of sorted edges without loops; none where `go_on` said no.
    fn of(
        edges: &[(u32, u32)],
        ranks: &[u32],
        algorithm: Algorithm,
        threads: usize,
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Option<Self> {
        let n = ranks.len();
        let (mut out_degree, mut in_degree) = (vec![0; n], vec![0; n]);
        let count = |degrees: &mut Vec<u32>, node: u32| {
            if let Some(degree) = degrees.get_mut(node as usize) {
                *degree += 1;
            }
        };
        for (src, dst) in edges {
            count(&mut out_degree, *src);
            count(&mut in_degree, *dst);
        }
        let betweenness = betweenness::of(&Adjacency::new(n, edges), ranks, threads, go_on)?;
        let undirected = Adjacency::undirected(n, edges);
        let community = community::of(&undirected, ranks, algorithm, go_on)?;
        let clustering = clustering::of(&undirected);
        Some(Self { out_degree, in_degree, betweenness, community, clustering })
    }

    fn node(&self, node: usize) -> Option<NodeMetrics> {
        Some(NodeMetrics {
            betweenness: *self.betweenness.get(node)?,
            community: *self.community.get(node)?,
            clustering: *self.clustering.get(node)?,
        })
    }
}

/// The finished graph.
#[derive(Clone, Debug)]
pub struct Graph {
    totals: Vec<NodeTotals>,
    lines: Vec<Line>,
    /// Pairs of initiator and responder, sorted, and the flows of each.
    edges: Vec<(u32, u32)>,
    pairs: Vec<u64>,
    metrics: Option<Metrics>,
}

/// The values of one flow.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct FlowValues {
    pub src_unique_dsts: u64,
    pub dst_unique_srcs: u64,
    pub src_dst_flows: u64,
    /// None where the protocol has no ports.
    pub src_port_flows: Option<u64>,
    pub src_total_flows: u64,
    pub dst_total_flows: u64,
    pub src_total_packets: u64,
    pub src_total_bytes: u64,
    pub dst_total_packets: u64,
    pub dst_total_bytes: u64,
    pub src_unique_ports: u64,
    /// None where graph metrics are off.
    pub metrics: Option<FlowMetrics>,
}

/// What the graph says of a flow's ends.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct FlowMetrics {
    pub src_out_degree: u32,
    pub dst_in_degree: u32,
    /// None where the graph is that of an earlier time, and does not have this end.
    pub src: Option<NodeMetrics>,
    pub dst: Option<NodeMetrics>,
}

/// What the graph says of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct NodeMetrics {
    pub betweenness: f64,
    pub community: u32,
    pub clustering: f64,
}

impl FlowMetrics {
    /// Whether both ends are in one community.
    pub fn same_community(&self) -> Option<bool> {
        Some(self.src?.community == self.dst?.community)
    }
}

impl Graph {
    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.totals.len()
    }

    /// The values of a flow by the number of its line; none where there is no such line.
    pub fn values(&self, line: u32) -> Option<FlowValues> {
        let line = self.lines.get(line as usize)?;
        let (src, dst) = (line.src as usize, line.dst as usize);
        let (of_src, of_dst) = (self.totals.get(src)?, self.totals.get(dst)?);
        let pair = self.edges.binary_search(&(line.src, line.dst)).ok()?;
        let metrics = self.metrics.as_ref().and_then(|m| {
            Some(FlowMetrics {
                src_out_degree: *m.out_degree.get(src)?,
                dst_in_degree: *m.in_degree.get(dst)?,
                src: m.node(src),
                dst: m.node(dst),
            })
        });
        Some(FlowValues {
            src_unique_dsts: of_src.dsts.into(),
            dst_unique_srcs: of_dst.srcs.into(),
            src_dst_flows: *self.pairs.get(pair)?,
            src_port_flows: line.port.map(|_| line.flows),
            src_total_flows: of_src.out.flows,
            dst_total_flows: of_dst.into.flows,
            src_total_packets: of_src.out.packets,
            src_total_bytes: of_src.out.bytes,
            dst_total_packets: of_dst.into.packets,
            dst_total_bytes: of_dst.into.bytes,
            src_unique_ports: of_src.ports.into(),
            metrics,
        })
    }
}
