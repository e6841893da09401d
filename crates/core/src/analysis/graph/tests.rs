//! Held against plain versions of the definitions, on random graphs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

fn node(n: u8) -> Node {
    Node { addr: Ipv4Addr::new(10, 0, 0, n).into(), port: None }
}

fn flow(src: u8, dst: u8, port: Option<u16>) -> Flow {
    Flow { src: node(src), dst: node(dst), dst_port: port, packets: 2, bytes: 100 }
}

/// A graph and the lines in it.
struct Made {
    graph: Graph,
    lines: HashMap<(Node, Node, Option<u16>), u32>,
}

impl Made {
    fn values(&self, src: &Node, dst: &Node, port: Option<u16>) -> Option<FlowValues> {
        self.graph.values(*self.lines.get(&(*src, *dst, port))?)
    }
}

fn graph(flows: &[Flow], settings: GraphSettings) -> Made {
    let mut c = Connections::default();
    let lines = flows.iter().map(|f| ((f.src, f.dst, f.dst_port), c.add(f).unwrap())).collect();
    Made { graph: c.finish(settings, 1, &|| true).unwrap(), lines }
}

/// A graph as the definitions see it: nodes in the order of their texts, edges by number, ranks.
struct Plain {
    nodes: Vec<Node>,
    edges: BTreeSet<(usize, usize)>,
    ranks: Vec<u32>,
}

impl Plain {
    fn new(flows: &[Flow], seed: u64) -> Self {
        let texts: BTreeMap<String, Node> =
            flows.iter().flat_map(|f| [f.src, f.dst]).map(|n| (n.to_string(), n)).collect();
        let nodes: Vec<Node> = texts.values().copied().collect();
        let at = |n: Node| nodes.iter().position(|m| *m == n).unwrap();
        let edges = flows.iter().map(|f| (at(f.src), at(f.dst))).filter(|(a, b)| a != b).collect();
        let mut hashed: Vec<(u64, &String)> = Vec::new();
        for text in texts.keys() {
            let mut h = 0xcbf29ce484222325u64;
            for b in seed.to_le_bytes().iter().chain(text.as_bytes()) {
                h ^= u64::from(*b);
                h = h.wrapping_mul(0x100000001b3);
            }
            hashed.push((h, text));
        }
        hashed.sort();
        let rank = |n: &Node| hashed.iter().position(|(_, text)| **text == n.to_string()).unwrap() as u32;
        let ranks = nodes.iter().map(rank).collect();
        Self { nodes, edges, ranks }
    }

    fn n(&self) -> usize {
        self.nodes.len()
    }

    fn near(&self, a: usize, b: usize) -> bool {
        self.edges.contains(&(a, b)) || self.edges.contains(&(b, a))
    }

    fn neighbours(&self, a: usize) -> Vec<usize> {
        (0..self.n()).filter(|b| self.near(a, *b)).collect()
    }

    /// Distances and numbers of shortest paths, by walking all steps of one length after another.
    fn paths_from(&self, s: usize) -> Vec<Option<(usize, f64)>> {
        let mut found = vec![None; self.n()];
        found[s] = Some((0, 1.0));
        for length in 1..=self.n() {
            let before = found.clone();
            for &(a, b) in &self.edges {
                if let Some((d, paths)) = before[a].filter(|(d, _)| *d == length - 1) {
                    let _ = d;
                    match &mut found[b] {
                        None => found[b] = Some((length, paths)),
                        Some((l, sum)) if *l == length => *sum += paths,
                        Some(_) => {}
                    }
                }
            }
        }
        found
    }

    fn betweenness(&self) -> Vec<f64> {
        let n = self.n();
        let all: Vec<_> = (0..n).map(|s| self.paths_from(s)).collect();
        let of = |v: usize| -> f64 {
            let mut sum = 0.0;
            for s in (0..n).filter(|s| *s != v) {
                for t in (0..n).filter(|t| *t != v && *t != s) {
                    if let (Some((d, paths)), Some((a, first)), Some((b, second))) = (all[s][t], all[s][v], all[v][t])
                        && a + b == d
                    {
                        sum += first * second / paths;
                    }
                }
            }
            if n <= 2 { 0.0 } else { sum / ((n - 1) as f64 * (n - 2) as f64) }
        };
        (0..n).map(of).collect()
    }

    fn clustering(&self, a: usize) -> f64 {
        let near = self.neighbours(a);
        let k = near.len() as f64;
        let edges =
            near.iter().flat_map(|b| near.iter().map(move |c| (*b, *c))).filter(|(b, c)| b < c && self.near(*b, *c));
        if k < 2.0 { 0.0 } else { edges.count() as f64 / (k * (k - 1.0) / 2.0) }
    }

    /// Groups of nodes, in the order of their numbers.
    fn ordered(mut groups: Vec<BTreeSet<usize>>) -> Vec<BTreeSet<usize>> {
        groups.retain(|g| !g.is_empty());
        groups.sort_by_key(|g| (std::cmp::Reverse(g.len()), *g.iter().next().unwrap()));
        groups
    }

    /// As the definition has it, with sets: nodes of a level are sets of nodes of the graph.
    fn louvain(&self) -> Vec<BTreeSet<usize>> {
        let rank = |s: &BTreeSet<usize>| s.iter().map(|v| self.ranks[*v]).min().unwrap();
        let weight = |a: &BTreeSet<usize>, b: &BTreeSet<usize>| {
            a.iter().flat_map(|x| b.iter().map(move |y| (*x, *y))).filter(|(x, y)| self.near(*x, *y)).count() as i64
        };
        let degree = |s: &BTreeSet<usize>| s.iter().map(|v| self.neighbours(*v).len() as i64).sum::<i64>();
        let total: i64 = (0..self.n()).map(|v| self.neighbours(v).len() as i64).sum();
        let mut level: Vec<BTreeSet<usize>> = (0..self.n()).map(|v| BTreeSet::from([v])).collect();
        loop {
            level.sort_by_key(rank);
            let mut community: Vec<usize> = (0..level.len()).collect();
            let mut any = false;
            loop {
                let mut again = false;
                for i in 0..level.len() {
                    let own = community[i];
                    let others = |c: usize, community: &[usize]| -> Vec<usize> {
                        (0..level.len()).filter(|j| *j != i && community[*j] == c).collect()
                    };
                    let gain = |c: usize, community: &[usize]| {
                        let members = others(c, community);
                        let w: i64 = members.iter().map(|j| weight(&level[i], &level[*j])).sum();
                        let k: i64 = members.iter().map(|j| degree(&level[*j])).sum();
                        total * w - degree(&level[i]) * k
                    };
                    let near: BTreeSet<usize> = (0..level.len())
                        .filter(|j| *j != i && weight(&level[i], &level[*j]) > 0)
                        .map(|j| community[j])
                        .collect();
                    let lowest = |c: usize| others(c, &community).into_iter().min();
                    let best = near
                        .iter()
                        .filter(|c| **c != own)
                        .map(|c| (std::cmp::Reverse(gain(*c, &community)), lowest(*c), *c))
                        .min();
                    if let Some((std::cmp::Reverse(g), _, c)) = best
                        && g > gain(own, &community)
                    {
                        community[i] = c;
                        (again, any) = (true, true);
                    }
                }
                if !again {
                    break;
                }
            }
            let mut merged: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
            for (i, s) in level.iter().enumerate() {
                merged.entry(community[i]).or_default().extend(s);
            }
            level = merged.into_values().collect();
            if !any {
                return Self::ordered(level);
            }
        }
    }

    fn greedy(&self) -> Vec<BTreeSet<usize>> {
        let total: i64 = (0..self.n()).map(|v| self.neighbours(v).len() as i64).sum();
        let mut groups: Vec<BTreeSet<usize>> = (0..self.n()).map(|v| BTreeSet::from([v])).collect();
        loop {
            groups.sort();
            let mut best: Option<(i64, usize, usize)> = None;
            for a in 0..groups.len() {
                for b in a + 1..groups.len() {
                    let w = groups[a]
                        .iter()
                        .flat_map(|x| groups[b].iter().map(move |y| (*x, *y)))
                        .filter(|(x, y)| self.near(*x, *y))
                        .count() as i64;
                    let k = |s: &BTreeSet<usize>| s.iter().map(|v| self.neighbours(*v).len() as i64).sum::<i64>();
                    let g = total * w - k(&groups[a]) * k(&groups[b]);
                    if w > 0 && g > best.map_or(0, |b| b.0) {
                        best = Some((g, a, b));
                    }
                }
            }
            let Some((_, a, b)) = best else { return Self::ordered(groups) };
            let gone = groups.remove(b);
            groups[a].extend(gone);
        }
    }

    fn label_propagation(&self) -> Vec<BTreeSet<usize>> {
        let mut labels: Vec<usize> = (0..self.n()).collect();
        let mut order = labels.clone();
        order.sort_by_key(|v| self.ranks[*v]);
        for _ in 0..100 {
            let before = labels.clone();
            for &v in &order {
                let count = |l: usize| self.neighbours(v).iter().filter(|u| labels[**u] == l).count();
                let best = (0..self.n()).map(|l| (std::cmp::Reverse(count(l)), l)).min().unwrap();
                if best.0.0 > 0 {
                    labels[v] = best.1;
                }
            }
            if labels == before {
                break;
            }
        }
        Self::ordered((0..self.n()).map(|l| (0..self.n()).filter(|v| labels[*v] == l).collect()).collect())
    }
}

fn check(flows: &[Flow], seed: u64) -> Result<(), TestCaseError> {
    let plain = Plain::new(flows, seed);
    let betweenness = plain.betweenness();
    for algorithm in [Algorithm::Louvain, Algorithm::Greedy, Algorithm::LabelPropagation] {
        let groups = match algorithm {
            Algorithm::Louvain => plain.louvain(),
            Algorithm::Greedy => plain.greedy(),
            Algorithm::LabelPropagation => plain.label_propagation(),
        };
        let at = |n: &Node| plain.nodes.iter().position(|m| m == n).unwrap();
        let community = |v: usize| groups.iter().position(|g| g.contains(&v)).unwrap() as u32;
        let graph = graph(flows, GraphSettings { algorithm, seed, ..GraphSettings::default() });
        for f in flows {
            let v = graph.values(&f.src, &f.dst, f.dst_port).unwrap();
            let m = v.metrics.unwrap();
            let (s, d) = (at(&f.src), at(&f.dst));
            prop_assert_eq!(
                (m.src.unwrap().community, m.dst.unwrap().community),
                (community(s), community(d)),
                "{:?} {:?}",
                algorithm,
                groups
            );
            prop_assert!(
                (m.src.unwrap().betweenness - betweenness[s]).abs() < 1e-12,
                "{} {}",
                m.src.unwrap().betweenness,
                betweenness[s]
            );
            prop_assert!((m.dst.unwrap().betweenness - betweenness[d]).abs() < 1e-12);
            prop_assert_eq!(
                (m.src.unwrap().clustering, m.dst.unwrap().clustering),
                (plain.clustering(s), plain.clustering(d))
            );
            prop_assert_eq!(m.src_out_degree as usize, plain.edges.iter().filter(|(a, _)| *a == s).count());
            prop_assert_eq!(m.dst_in_degree as usize, plain.edges.iter().filter(|(_, b)| *b == d).count());
            let all = |test: &dyn Fn(&&Flow) -> bool| flows.iter().filter(test).count() as u64;
            let set = |test: &dyn Fn(&&Flow) -> bool, value: fn(&Flow) -> Node| {
                flows.iter().filter(test).map(value).collect::<BTreeSet<_>>().len() as u64
            };
            prop_assert_eq!(v.src_unique_dsts, set(&|g| g.src == f.src, |g| g.dst));
            prop_assert_eq!(v.dst_unique_srcs, set(&|g| g.dst == f.dst, |g| g.src));
            prop_assert_eq!(v.src_dst_flows, all(&|g| (g.src, g.dst) == (f.src, f.dst)));
            let same_port = |g: &&Flow| (g.src, g.dst, g.dst_port) == (f.src, f.dst, f.dst_port);
            prop_assert_eq!(v.src_port_flows, f.dst_port.map(|_| all(&same_port)));
            prop_assert_eq!(
                (v.src_total_flows, v.src_total_packets),
                (all(&|g| g.src == f.src), 2 * all(&|g| g.src == f.src))
            );
            prop_assert_eq!(
                (v.dst_total_flows, v.dst_total_bytes),
                (all(&|g| g.dst == f.dst), 100 * all(&|g| g.dst == f.dst))
            );
            let ports: BTreeSet<_> = flows.iter().filter(|g| g.src == f.src).filter_map(|g| g.dst_port).collect();
            prop_assert_eq!(v.src_unique_ports, ports.len() as u64);
        }
    }
    Ok(())
}

#[test]
fn texts_of_nodes() {
    let v6: IpAddr = "2001:db8:0:0:1:0:0:1".parse().unwrap();
    assert_eq!(Node { addr: v6, port: Some(53) }.to_string(), "[2001:db8::1:0:0:1]:53");
    assert_eq!(Node { addr: v6, port: None }.to_string(), "2001:db8::1:0:0:1");
    assert_eq!(Node { port: Some(1), ..node(1) }.to_string(), "10.0.0.1:1");
}

#[test]
fn a_flow_of_a_node_with_itself_counts_and_gives_no_edge() {
    let g = graph(&[flow(1, 1, Some(5)), flow(1, 2, None)], GraphSettings::default());
    let v = g.values(&node(1), &node(1), Some(5)).unwrap();
    assert_eq!((v.src_unique_dsts, v.dst_unique_srcs, v.src_total_flows, v.src_unique_ports), (2, 1, 2, 1));
    let m = v.metrics.unwrap();
    assert_eq!((m.src_out_degree, m.dst_in_degree, m.same_community().unwrap()), (1, 0, true));
    assert!(g.values(&node(1), &node(9), None).is_none());
}

#[test]
fn metrics_can_be_left_out() {
    let g = graph(&[flow(1, 2, None)], GraphSettings { metrics: false, ..GraphSettings::default() });
    assert_eq!(g.values(&node(1), &node(2), None).unwrap().metrics, None);
}

#[test]
fn a_line_has_its_betweenness_in_the_middle() {
    let g = graph(&[flow(1, 2, None), flow(2, 3, None)], GraphSettings::default());
    let m = g.values(&node(2), &node(3), None).unwrap().metrics.unwrap();
    assert_eq!((m.src.unwrap().betweenness, m.dst.unwrap().betweenness), (0.5, 0.0));
}

/// Two hubs of 600 leaves each that speak to one another: above 1,000 nodes pivots stand for all.
#[test]
fn pivots_stand_for_all_nodes_of_a_large_graph() {
    let address = |a: u32| Node { addr: Ipv4Addr::from_bits(0x0a00_0000 + a).into(), port: None };
    let hub = |leaf: u32| address(if leaf.is_multiple_of(2) { 5000 } else { 5001 });
    let mut flows: Vec<Flow> =
        (0..1200).map(|i| Flow { src: address(i), dst: hub(i), dst_port: None, packets: 1, bytes: 1 }).collect();
    flows.push(Flow { src: address(5000), dst: address(5001), dst_port: None, packets: 1, bytes: 1 });
    let g = graph(&flows, GraphSettings::default());
    let m = g.values(&address(5000), &address(5001), None).unwrap().metrics.unwrap();
    // All leaves of one hub reach the other through it: 600 paths.
    let exact = 600.0 / (1201.0 * 1200.0);
    assert!(
        (m.src.unwrap().betweenness / exact - 1.0).abs() < 0.2 && m.src.unwrap().betweenness != exact,
        "{}",
        m.src.unwrap().betweenness
    );
    assert_eq!(m.dst.unwrap().betweenness, 0.0);
    assert_eq!((m.src.unwrap().clustering, m.same_community().unwrap()), (0.0, false));
    // The same flows in another order.
    flows.reverse();
    let again = graph(&flows, GraphSettings::default());
    assert_eq!(again.values(&address(5000), &address(5001), None).unwrap().metrics.unwrap(), m);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_graph_is_what_the_definitions_say(
        flows in prop::collection::vec((0u8..12, 0u8..12, prop::option::of(0u16..3)), 1..40),
        seed in 0u64..3,
    ) {
        let flows: Vec<Flow> = flows.into_iter().map(|(s, d, port)| flow(s, d, port)).collect();
        check(&flows, seed)?;
    }

    /// Cliques that are loosely joined, so that levels have something to find.
    #[test]
    fn communities_of_cliques(sizes in prop::collection::vec(2u8..5, 1..5), extra in prop::collection::vec((0u8..20, 0u8..20), 0..6)) {
        let mut flows = Vec::new();
        let mut start = 0;
        for size in sizes {
            for a in 0..size {
                flows.extend((0..a).map(|b| flow(start + a, start + b, None)));
            }
            start += size;
        }
        flows.extend(extra.into_iter().map(|(a, b)| flow(a % start, b % start, None)));
        check(&flows, 0)?;
    }
}

/// A scan: what grew with the square of the hub's neighbours would not come to an end.
#[test]
fn a_hub_of_many_neighbours_costs_no_square() {
    let address = |a: u32| Node { addr: Ipv4Addr::from_bits(0x0a00_0000 + a).into(), port: None };
    let to = |i: u32| Flow { src: address(0), dst: address(1 + i), dst_port: Some(i as u16), packets: 1, bytes: 1 };
    let flows: Vec<Flow> = (0..100_000).map(to).collect();
    for algorithm in [Algorithm::Louvain, Algorithm::Greedy, Algorithm::LabelPropagation] {
        let g = graph(&flows, GraphSettings { algorithm, ..GraphSettings::default() });
        let v = g.values(&address(0), &address(1), Some(0)).unwrap();
        let m = v.metrics.unwrap();
        assert_eq!((m.src_out_degree, v.src_unique_dsts, v.src_unique_ports), (100_000, 100_000, 65_536));
        assert_eq!((m.src.unwrap().community, m.same_community().unwrap()), (0, true));
        assert_eq!((m.src.unwrap().clustering, m.src.unwrap().betweenness), (0.0, 0.0));
    }
}

/// Sparse, of more nodes than are all sources, some of which nothing leads away from.
fn sparse(nodes: u64) -> Vec<(u32, u32)> {
    let mut edges: Vec<(u32, u32)> = (0..3 * nodes)
        .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20)
        .map(|n| ((n % (nodes * 3 / 4)) as u32, (n / nodes % nodes) as u32))
        .filter(|(src, dst)| src != dst)
        .collect();
    edges.sort_unstable();
    edges.dedup();
    edges
}

#[test]
fn betweenness_is_the_same_to_the_last_bit_on_any_number_of_threads() {
    for nodes in [3, 300, 2_000] {
        let graph = Adjacency::new(nodes, &sparse(nodes as u64));
        let ranks: Vec<u32> = (0..nodes as u32).map(|n| (n * 7 + 3) % nodes as u32).collect();
        let bits = |threads| {
            let values = betweenness::of(&graph, &ranks, threads, &|| true).unwrap();
            values.into_iter().map(f64::to_bits).collect::<Vec<_>>()
        };
        let alone = bits(1);
        assert!(nodes == 3 || alone.iter().any(|b| *b != 0));
        for threads in [0, 2, 4, 7] {
            assert_eq!(bits(threads), alone, "{nodes} nodes, {threads} threads");
        }
    }
}

#[test]
fn threads_stop_when_nobody_wants_the_graph_any_more() {
    use std::sync::atomic::{AtomicU32, Ordering};

    let graph = Adjacency::new(2_000, &sparse(2_000));
    for threads in [1, 4] {
        let asked = AtomicU32::new(0);
        let go_on = || asked.fetch_add(1, Ordering::Relaxed) < 20;
        assert_eq!(betweenness::of(&graph, &[], threads, &go_on), None);
        assert!(asked.into_inner() <= 20 + 4);
    }
}
