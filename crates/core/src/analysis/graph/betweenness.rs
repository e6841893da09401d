//! Betweenness: the share of shortest paths that lead through a node (Brandes 2001), exact or from pivots.

use super::Adjacency;

/// Nodes up to which every node is a source.
const EXACT_UP_TO: usize = 1000;

/// Sources beyond (Brandes, Pich 2007): the cost grows with the graph, not with its square.
const PIVOTS: usize = 256;

/// Directed, unweighted, end points excluded, divided by (n - 1)(n - 2). With pivots, the ones of lowest rank, times n / k.
/// None where `go_on` said no.
pub(super) fn of(graph: &Adjacency, ranks: &[u32], go_on: &dyn Fn() -> bool) -> Option<Vec<f64>> {
    let n = graph.len();
    let mut sums = vec![0.0; n];
    if n <= 2 {
        return Some(sums);
    }
    let mut sources: Vec<usize> = (0..n).collect();
    let mut share = 1.0;
    if n > EXACT_UP_TO {
        sources.sort_unstable_by_key(|node| ranks.get(*node));
        sources.truncate(PIVOTS);
        share = n as f64 / PIVOTS as f64;
    }
    let mut search = Search::new(n);
    for source in sources {
        if !go_on() {
            return None;
        }
        // Without an edge no path begins here.
        if graph.degree(source) > 0 {
            search.add(graph, source, &mut sums);
        }
    }
    let scale = share / ((n - 1) as f64 * (n - 2) as f64);
    sums.iter_mut().for_each(|s| *s *= scale);
    Some(sums)
}

/// Memory of a breadth-first search.
struct Search {
    /// 0: not reached; else the distance plus one.
    level: Vec<u32>,
    /// Shortest paths from the source.
    paths: Vec<f64>,
    dependency: Vec<f64>,
    order: Vec<u32>,
}

impl Search {
    fn new(n: usize) -> Self {
        Self { level: vec![0; n], paths: vec![0.0; n], dependency: vec![0.0; n], order: Vec::new() }
    }

    /// Adds the dependencies of one source. Indices are nodes, and the vectors are as long as the graph.
    fn add(&mut self, graph: &Adjacency, source: usize, sums: &mut [f64]) {
        let Self { level, paths, dependency, order } = self;
        order.clear();
        order.push(source as u32);
        (level[source], paths[source]) = (1, 1.0);
        let mut at = 0;
        while let Some(&node) = order.get(at) {
            at += 1;
            let v = node as usize;
            for &w in graph.of(v) {
                let w = w as usize;
                if level[w] == 0 {
                    level[w] = level[v] + 1;
                    order.push(w as u32);
                }
                if level[w] == level[v] + 1 {
                    paths[w] += paths[v];
                }
            }
        }
        for &node in order.iter().rev() {
            let v = node as usize;
            let mut sum = 0.0;
            for &w in graph.of(v) {
                let w = w as usize;
                if level[w] == level[v] + 1 {
                    sum += paths[v] / paths[w] * (1.0 + dependency[w]);
                }
            }
            dependency[v] = sum;
            if v != source {
                sums[v] += sum;
            }
        }
        for &node in order.iter() {
            let v = node as usize;
            (level[v], paths[v], dependency[v]) = (0, 0.0, 0.0);
        }
    }
}
