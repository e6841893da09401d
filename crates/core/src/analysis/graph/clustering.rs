//! Clustering coefficient (Watts, Strogatz 1998): edges among a node's neighbours over how many there could be.

use super::Adjacency;

/// Of the undirected graph; 0 for nodes with fewer than two neighbours. Each triangle is found once, from its node of least
/// degree, so that a node with many neighbours does not cost their square.
pub(super) fn of(graph: &Adjacency) -> Vec<f64> {
    let n = graph.len();
    let key = |node: usize| (graph.degree(node), node);
    // Neighbours later in the order of degrees: no node has more than the root of twice the edges, however many have it.
    let edges: Vec<(u32, u32)> = (0..n)
        .flat_map(|u| graph.of(u).iter().map(move |v| (u, *v)))
        .filter(|(u, v)| key(*v as usize) > key(*u))
        .map(|(u, v)| (u as u32, v))
        .collect();
    let later = Adjacency::new(n, &edges);
    drop(edges);
    let later = |from: usize| later.of(from).iter().map(|v| *v as usize);
    let mut triangles = vec![0u64; n];
    // By the node that they are neighbours of.
    let mut marked = vec![usize::MAX; n];
    for u in 0..n {
        later(u).for_each(|v| marked[v] = u);
        for v in later(u) {
            for w in later(v).filter(|w| marked[*w] == u) {
                triangles[u] += 1;
                triangles[v] += 1;
                triangles[w] += 1;
            }
        }
    }
    let coefficient = |(node, triangles): (usize, u64)| {
        let k = graph.degree(node) as f64;
        if k < 2.0 { 0.0 } else { triangles as f64 / (k * (k - 1.0) / 2.0) }
    };
    triangles.into_iter().enumerate().map(coefficient).collect()
}
