//! Communities of the undirected graph: Louvain (Blondel 2008), greedy (Clauset, Newman, Moore 2004), label propagation
//! (Raghavan 2007). All arithmetic is in integers, so that ties are ties.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use super::Adjacency;

/// How communities are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Algorithm {
    #[default]
    Louvain,
    Greedy,
    LabelPropagation,
}

/// Rounds of label propagation, which need not come to an end.
const MAX_ROUNDS: usize = 100;

/// Most neighbours that greedy merging may look at, a few seconds' work. It looks at all of a community's neighbours for each merge:
/// a node with k leaves costs k^2 / 2, so that from some 5,700 leaves on (a scan) communities are those of the Louvain method.
pub(super) const MOST_STEPS: u64 = 1 << 24;

/// The community of each node; none where `go_on` said no. Communities are numbered by size, the largest first, then by their smallest node (nodes are
/// in the order of their texts).
pub(super) fn of(graph: &Adjacency, ranks: &[u32], algorithm: Algorithm, go_on: &dyn Fn() -> bool) -> Option<Vec<u32>> {
    let labels = match algorithm {
        Algorithm::Louvain => louvain(graph, ranks, go_on),
        Algorithm::Greedy => match greedy(graph, MOST_STEPS, go_on) {
            Greedy::Merged(labels) => Some(labels),
            Greedy::TooLong => louvain(graph, ranks, go_on),
            Greedy::Stopped => None,
        },
        Algorithm::LabelPropagation => label_propagation(graph, ranks, go_on),
    };
    labels.map(|labels| number(&labels))
}

fn number(labels: &[u32]) -> Vec<u32> {
    // Size and first node of each label.
    let mut communities: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    for (node, label) in labels.iter().enumerate() {
        communities.entry(*label).or_insert((0, node)).0 += 1;
    }
    let mut order: Vec<_> = communities.iter().map(|(label, (size, first))| (Reverse(*size), *first, *label)).collect();
    order.sort_unstable();
    let ids: HashMap<u32, u32> = (0..).zip(&order).map(|(id, (_, _, label))| (*label, id)).collect();
    labels.iter().map(|label| ids.get(label).copied().unwrap_or_default()).collect()
}

/// A weighted graph whose nodes are numbered by rank.
struct Level {
    /// Neighbours with the weight of the edge; loops are left out.
    edges: Vec<Vec<(u32, u64)>>,
    /// Sum of the weights of a node's edges, loops counted twice.
    degrees: Vec<u64>,
}

impl Level {
    /// The graph of the communities: those with the lowest rank in them first. `community`: by node, a number below the
    /// number of nodes. Gives the level and the new number of each community.
    fn condensed(&self, community: &[u32]) -> (Self, Vec<u32>) {
        // Nodes are visited by rank: a community is met first at the lowest rank in it.
        let mut renamed = vec![u32::MAX; community.len()];
        let mut next = 0;
        for c in community {
            let name = &mut renamed[*c as usize];
            if *name == u32::MAX {
                *name = next;
                next += 1;
            }
        }
        let of: Vec<u32> = community.iter().map(|c| renamed[*c as usize]).collect();
        let mut degrees = vec![0; next as usize];
        let mut all: Vec<(u32, u32, u64)> = Vec::new();
        for (node, edges) in self.edges.iter().enumerate() {
            degrees[of[node] as usize] += self.degrees[node];
            let from = of[node];
            all.extend(edges.iter().map(|(to, w)| (from, of[*to as usize], *w)).filter(|(from, to, _)| from != to));
        }
        all.sort_unstable();
        let mut edges: Vec<Vec<(u32, u64)>> = vec![Vec::new(); next as usize];
        for (from, to, weight) in all {
            match edges[from as usize].last_mut() {
                Some(last) if last.0 == to => last.1 += weight,
                _ => edges[from as usize].push((to, weight)),
            }
        }
        (Self { edges, degrees }, of)
    }
}

fn louvain(graph: &Adjacency, ranks: &[u32], go_on: &dyn Fn() -> bool) -> Option<Vec<u32>> {
    let n = graph.len();
    let mut edges: Vec<Vec<(u32, u64)>> = vec![Vec::new(); n];
    let mut degrees = vec![0; n];
    for node in 0..n {
        let rank = ranks[node] as usize;
        edges[rank] = graph.of(node).iter().map(|to| (ranks[*to as usize], 1)).collect();
        degrees[rank] = graph.degree(node) as u64;
    }
    let mut level = Level { edges, degrees };
    // The node of the present level that each node is in, by rank.
    let mut within: Vec<u32> = (0..n as u32).collect();
    while let Some(community) = moved(&level, go_on)? {
        let (condensed, of) = level.condensed(&community);
        within.iter_mut().for_each(|w| *w = of[*w as usize]);
        level = condensed;
    }
    Some(ranks.iter().map(|rank| within[*rank as usize]).collect())
}

/// Moves nodes between communities until none moves; `Some(None)` if none has moved at all, `None` where `go_on` said no.
fn moved(level: &Level, go_on: &dyn Fn() -> bool) -> Option<Option<Vec<u32>>> {
    let n = level.degrees.len();
    let total = i128::from(level.degrees.iter().sum::<u64>());
    let mut community: Vec<u32> = (0..n as u32).collect();
    let mut sums: Vec<u64> = level.degrees.clone();
    // Members of each community by rank, the lowest on top; some have moved away since they were added.
    let mut members: Vec<BinaryHeap<Reverse<u32>>> = (0..n as u32).map(|i| BinaryHeap::from([Reverse(i)])).collect();
    // Weights of the edges of a node into communities, and which these are.
    let (mut weights, mut touched) = (vec![0u64; n], Vec::new());
    let mut any = false;
    loop {
        if !go_on() {
            return None;
        }
        let mut again = false;
        for node in 0..n {
            let (own, degree) = (community[node], level.degrees[node]);
            sums[own as usize] -= degree;
            for (to, weight) in &level.edges[node] {
                let c = community[*to as usize];
                if weights[c as usize] == 0 {
                    touched.push(c);
                }
                weights[c as usize] += weight;
            }
            let gain = |c: u32, weights: &[u64], sums: &[u64]| {
                total * i128::from(weights[c as usize]) - i128::from(degree) * i128::from(sums[c as usize])
            };
            let mut best = (gain(own, &weights, &sums), own);
            for &c in touched.iter().filter(|c| **c != own) {
                let g = gain(c, &weights, &sums);
                // Above its own, or as good as another that is above it.
                let better = g > best.0
                    || g == best.0
                        && best.1 != own
                        && lowest(&mut members[c as usize], c, &community)
                            < lowest(&mut members[best.1 as usize], best.1, &community);
                if better {
                    best = (g, c);
                }
            }
            for c in touched.drain(..) {
                weights[c as usize] = 0;
            }
            sums[best.1 as usize] += degree;
            if best.1 != own {
                community[node] = best.1;
                members[best.1 as usize].push(Reverse(node as u32));
                (again, any) = (true, true);
            }
        }
        if !again {
            return Some(any.then_some(community));
        }
    }
}

/// The lowest rank in a community.
fn lowest(members: &mut BinaryHeap<Reverse<u32>>, c: u32, community: &[u32]) -> u32 {
    while let Some(Reverse(node)) = members.peek() {
        if community[*node as usize] == c {
            return *node;
        }
        members.pop();
    }
    u32::MAX
}

/// What greedy merging came to.
enum Greedy {
    Merged(Vec<u32>),
    TooLong,
    Stopped,
}

/// Merges the two communities that gain most, as long as any do; of equal gains, those with the smallest nodes.
fn greedy(graph: &Adjacency, most_steps: u64, go_on: &dyn Fn() -> bool) -> Greedy {
    let n = graph.len();
    // A leaf joins its neighbour in the end, and each time all others that are left are looked at: known before it is begun.
    let leaves = |node: usize| graph.of(node).iter().filter(|v| graph.degree(**v as usize) == 1).count() as u64;
    if (0..n).map(leaves).any(|k| k * (k + 1) / 2 > most_steps) {
        return Greedy::TooLong;
    }
    let total: i128 = (0..n).map(|node| graph.degree(node) as i128).sum();
    // By the smallest node of a community: its neighbours with weights, the sum of its degrees, how often it has changed.
    let mut between: Vec<HashMap<u32, u64>> =
        (0..n).map(|node| graph.of(node).iter().map(|to| (*to, 1)).collect()).collect();
    let mut sums: Vec<u64> = (0..n).map(|node| graph.degree(node) as u64).collect();
    let mut versions = vec![0u32; n];
    let mut parent: Vec<u32> = (0..n as u32).collect();
    let gain = |weight: u64, a: u64, b: u64| total * i128::from(weight) - i128::from(a) * i128::from(b);
    let mut heap = BinaryHeap::new();
    for a in 0..n {
        for &b in graph.of(a).iter().filter(|b| **b as usize > a) {
            let g = gain(1, sums[a], sums[b as usize]);
            if g > 0 {
                heap.push((g, Reverse((a as u32, b)), 0u32, 0u32));
            }
        }
    }
    let mut room = 2 * heap.len() + 1024;
    let mut steps = 0;
    while let Some((_, Reverse((a, b)), version_a, version_b)) = heap.pop() {
        if versions[a as usize] != version_a || versions[b as usize] != version_b {
            continue;
        }
        let before = steps;
        steps += (between[a as usize].len() + between[b as usize].len()) as u64;
        if steps > most_steps {
            return Greedy::TooLong;
        }
        if before >> 20 != steps >> 20 && !go_on() {
            return Greedy::Stopped;
        }
        // The smaller node names the community. The smaller table is poured into the larger.
        let (mut small, mut large) =
            (std::mem::take(&mut between[b as usize]), std::mem::take(&mut between[a as usize]));
        if small.len() > large.len() {
            std::mem::swap(&mut small, &mut large);
        }
        for (c, weight) in small {
            *large.entry(c).or_default() += weight;
        }
        large.remove(&a);
        large.remove(&b);
        parent[b as usize] = a;
        sums[a as usize] += sums[b as usize];
        versions[a as usize] += 1;
        // Never equal again: the community is gone.
        versions[b as usize] = u32::MAX;
        for (&c, &weight) in &large {
            let others = &mut between[c as usize];
            others.remove(&b);
            others.insert(a, weight);
            let g = gain(weight, sums[a as usize], sums[c as usize]);
            if g > 0 {
                let (x, y) = (a.min(c), a.max(c));
                heap.push((g, Reverse((x, y)), versions[x as usize], versions[y as usize]));
            }
        }
        between[a as usize] = large;
        // Entries of communities that have changed since are void; without this the heap would have one for each step.
        if heap.len() > room {
            heap.retain(|(_, Reverse((a, b)), version_a, version_b)| {
                versions[*a as usize] == *version_a && versions[*b as usize] == *version_b
            });
            room = room.max(2 * heap.len());
        }
    }
    // A parent is smaller than its children.
    for node in 0..n {
        parent[node] = parent[parent[node] as usize];
    }
    Greedy::Merged(parent)
}

/// Each node, by rank, takes the label that most of its neighbours have; of several, the smallest.
fn label_propagation(graph: &Adjacency, ranks: &[u32], go_on: &dyn Fn() -> bool) -> Option<Vec<u32>> {
    let n = graph.len();
    let mut by_rank = vec![0usize; n];
    for (node, rank) in ranks.iter().enumerate() {
        by_rank[*rank as usize] = node;
    }
    let mut labels: Vec<u32> = (0..n as u32).collect();
    let (mut counts, mut touched) = (vec![0u32; n], Vec::new());
    for _ in 0..MAX_ROUNDS {
        if !go_on() {
            return None;
        }
        let mut again = false;
        for &node in &by_rank {
            for to in graph.of(node) {
                let label = labels[*to as usize];
                if counts[label as usize] == 0 {
                    touched.push(label);
                }
                counts[label as usize] += 1;
            }
            let best = touched.iter().copied().max_by_key(|label| (counts[*label as usize], Reverse(*label)));
            for label in touched.drain(..) {
                counts[label as usize] = 0;
            }
            if let Some(best) = best
                && labels[node] != best
            {
                labels[node] = best;
                again = true;
            }
        }
        if !again {
            break;
        }
    }
    Some(labels)
}
