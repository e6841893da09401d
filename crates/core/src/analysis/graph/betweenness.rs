//! Betweenness: the share of shortest paths that lead through a node (Brandes 2001), exact or from pivots.
//!
//! Threads search from sources side by side. What a source brings is added in the order of the sources, so that sums are the same
//! to the last bit for any number of threads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::Adjacency;

/// Nodes up to which every node is a source.
const EXACT_UP_TO: usize = 1000;

/// Sources beyond (Brandes, Pich 2007): the cost grows with the graph, not with its square.
const PIVOTS: usize = 256;

/// Most threads: each has memory for every node, which [`super::FINISH_BYTES_A_NODE`] counts.
const MOST_THREADS: usize = 4;

/// Results for each thread that may wait for the one of an earlier source.
const MOST_WAITING: usize = 2;

/// Directed, unweighted, end points excluded, divided by (n - 1)(n - 2). With pivots, the ones of lowest rank, times n / k.
/// None where `go_on` said no.
pub(super) fn of(
    graph: &Adjacency,
    ranks: &[u32],
    threads: usize,
    go_on: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<f64>> {
    let n = graph.len();
    if n <= 2 {
        return Some(vec![0.0; n]);
    }
    let mut sources: Vec<usize> = (0..n).collect();
    let mut share = 1.0;
    if n > EXACT_UP_TO {
        sources.sort_unstable_by_key(|node| ranks.get(*node));
        sources.truncate(PIVOTS);
        share = n as f64 / PIVOTS as f64;
    }
    let threads = threads.clamp(1, MOST_THREADS);
    let sums = Sums { next: 0, sums: vec![0.0; n], waiting: BTreeMap::new() };
    let all = Searches {
        graph,
        sources,
        threads,
        taken: AtomicUsize::new(0),
        ended: AtomicBool::new(false),
        sums: Mutex::new(sums),
        added: Condvar::new(),
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Without another thread it takes longer.
            let _ = thread::Builder::new().name("jj-graph".to_owned()).spawn_scoped(scope, || all.work(go_on));
        }
        all.work(go_on);
    });
    if all.ended.load(Ordering::Relaxed) {
        return None;
    }
    let mut sums = all.sums.into_inner().unwrap_or_else(PoisonError::into_inner).sums;
    let scale = share / ((n - 1) as f64 * (n - 2) as f64);
    sums.iter_mut().for_each(|s| *s *= scale);
    Some(sums)
}

/// The searches from all sources.
struct Searches<'a> {
    graph: &'a Adjacency,
    sources: Vec<usize>,
    threads: usize,
    /// Sources that a thread has taken.
    taken: AtomicUsize,
    /// Not all sources are wanted any more, or a thread has panicked.
    ended: AtomicBool,
    sums: Mutex<Sums>,
    added: Condvar,
}

struct Sums {
    /// The source whose dependencies are added next.
    next: usize,
    sums: Vec<f64>,
    /// Those of later sources.
    waiting: BTreeMap<usize, Vec<(u32, f64)>>,
}

impl Searches<'_> {
    /// Takes sources until there are no more.
    fn work(&self, go_on: &(dyn Fn() -> bool + Sync)) {
        let _end = EndOnPanic(self);
        let mut search = Search::new(self.graph.len());
        loop {
            if !go_on() {
                return self.end();
            }
            let at = self.taken.fetch_add(1, Ordering::Relaxed);
            let Some(source) = self.sources.get(at) else { return };
            // Without an edge no path begins here.
            let found = match self.graph.degree(*source) {
                0 => Vec::new(),
                _ => search.from(self.graph, *source),
            };
            self.add(at, found);
        }
    }

    /// Adds what is next in order; waits while too much is not. The thread that has the next source does not wait.
    fn add(&self, at: usize, found: Vec<(u32, f64)>) {
        let mut sums = self.lock();
        sums.waiting.insert(at, found);
        while sums.add_next() {
            self.added.notify_all();
        }
        while sums.waiting.len() >= MOST_WAITING * self.threads && !self.ended.load(Ordering::Relaxed) {
            sums = self.added.wait(sums).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn end(&self) {
        // Under the lock, so that nobody begins to wait meanwhile.
        let _sums = self.lock();
        self.ended.store(true, Ordering::Relaxed);
        self.added.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps others from waiting for a thread that panicked.
struct EndOnPanic<'a, 'g>(&'a Searches<'g>);

impl Drop for EndOnPanic<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end();
        }
    }
}

impl Sums {
    /// Adds the dependencies of the next source, if they are there.
    fn add_next(&mut self) -> bool {
        let Some(found) = self.waiting.remove(&self.next) else { return false };
        for (node, dependency) in found {
            if let Some(sum) = self.sums.get_mut(node as usize) {
                *sum += dependency;
            }
        }
        self.next += 1;
        true
    }
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

    /// The dependencies of one source, where they are not 0. Indices are nodes, and the vectors are as long as the graph.
    fn from(&mut self, graph: &Adjacency, source: usize) -> Vec<(u32, f64)> {
        let Self { level, paths, dependency, order } = self;
        let mut found = Vec::new();
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
            if v != source && sum > 0.0 {
                found.push((node, sum));
            }
        }
        for &node in order.iter() {
            let v = node as usize;
            (level[v], paths[v], dependency[v]) = (0, 0.0, 0.0);
        }
        found
    }
}
