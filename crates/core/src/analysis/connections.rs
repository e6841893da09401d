//! Flows that have ended, counted into the graph in the one order of rows: the group `connection`.
//!
//! Without a window the values are known when the input has ended, so each flow is given the number of its line
//! ([`Tag::Line`]), under which its row finds them later; with one they are known at once ([`Tag::Values`]).
//!
//! Flow tables have the first claim on `max_memory`, so that rows do not depend on whether this group is selected. The graph has what
//! they leave. When that is not enough, it is given up (no values), or its window begins anew.

use super::graph::{Algorithm, Connections, Flow, FlowValues, Graph, GraphSettings, Node, Window};
use crate::config::{Community, Config};
use crate::flow::FlowBase;

/// Settings of the group `connection`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Whether ports are part of a node.
    pub use_ports: bool,
    /// How the graph is made.
    pub graph: GraphSettings,
    /// The window in nanoseconds; none: all flows of the run.
    pub window: Option<i64>,
}

impl ConnectionSettings {
    /// As configured.
    pub fn new(config: &Config) -> Self {
        Self {
            use_ports: config.connection_use_ports,
            graph: GraphSettings {
                metrics: config.connection_include_graph_metrics,
                algorithm: match config.connection_community_algorithm {
                    Community::Louvain => Algorithm::Louvain,
                    Community::Greedy => Algorithm::Greedy,
                    Community::LabelPropagation => Algorithm::LabelPropagation,
                },
                seed: config.connection_seed,
            },
            window: config.connection_window.map(|seconds| ((seconds * 1e9) as i64).max(1)),
        }
    }

    /// Whether values are known at the end of the run only.
    pub fn waits(&self) -> bool {
        self.window.is_none()
    }
}

/// What a flow was given when it was counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tag {
    /// Nothing: it was not counted.
    None,
    /// The number of its line in the graph to come.
    Line(u32),
    /// Its values.
    Values(FlowValues),
}

/// The graph of a run while it grows.
#[derive(Debug)]
pub struct Counting {
    settings: ConnectionSettings,
    state: State,
    max_bytes: usize,
    /// What the flow tables hold.
    table_bytes: i64,
    shortages: u64,
}

#[derive(Debug)]
enum State {
    Run(Connections),
    Window(Window),
    GivenUp,
}

impl Counting {
    /// An empty graph, which together with the flow tables is to hold so many bytes at most.
    pub fn new(settings: ConnectionSettings, max_bytes: usize) -> Self {
        let state = match settings.window {
            None => State::Run(Connections::default()),
            Some(width) => State::Window(Window::new(width, settings.graph)),
        };
        Self { settings, state, max_bytes, table_bytes: 0, shortages: 0 }
    }

    /// Whether values are known at the end of the run only.
    pub fn waits(&self) -> bool {
        self.settings.waits()
    }

    /// Counts the flows that ended together, in the order of their rows, and puts their tags to `tags`. In a window those that
    /// ended first come first.
    pub fn add<'a>(&mut self, flows: impl Iterator<Item = &'a FlowBase>, tags: &mut Vec<Tag>) {
        let (use_ports, left) = (self.settings.use_ports, self.left());
        match &mut self.state {
            State::GivenUp => tags.extend(flows.map(|_| Tag::None)),
            State::Run(graph) => {
                tags.extend(flows.map(|base| graph.add(&flow(base, use_ports)).map_or(Tag::None, Tag::Line)));
            }
            State::Window(window) => {
                let flows: Vec<&FlowBase> = flows.collect();
                let mut order: Vec<usize> = (0..flows.len()).collect();
                order.sort_by_key(|at| flows.get(*at).map(|base| base.last_ts));
                let from = tags.len();
                tags.resize(from + flows.len(), Tag::None);
                for (n, at) in order.into_iter().enumerate() {
                    // All flows that are open when the input ends come at once.
                    if n % CHECKED_EVERY == 0 && window.heap_bytes() > left {
                        window.clear();
                        self.shortages += 1;
                    }
                    if let (Some(base), Some(tag)) = (flows.get(at), tags.get_mut(from + at))
                        && let Some(values) = window.add(&flow(base, use_ports), base.last_ts)
                    {
                        *tag = Tag::Values(values);
                    }
                }
            }
        }
    }

    /// Takes note of what the flow tables have grown by since the last call, and gives way to them.
    pub fn tables_grew(&mut self, bytes: i64) {
        self.table_bytes += bytes;
        let left = self.left();
        match &mut self.state {
            State::Run(graph) if graph.heap_bytes() > left => self.give_up(),
            State::Window(window) if window.heap_bytes() > left => {
                window.clear();
                self.shortages += 1;
            }
            State::Run(_) | State::Window(_) | State::GivenUp => {}
        }
    }

    /// What the flow tables leave.
    fn left(&self) -> usize {
        self.max_bytes.saturating_sub(usize::try_from(self.table_bytes).unwrap_or_default())
    }

    fn give_up(&mut self) {
        self.state = State::GivenUp;
        self.shortages += 1;
    }

    /// How often there was no memory for the graph since the last call.
    pub fn take_shortages(&mut self) -> u64 {
        std::mem::take(&mut self.shortages)
    }

    /// Makes the graph on so many threads, as all flows have been counted and the flow tables are gone. None in a window, where there is no memory for it,
    /// and where `go_on` said no.
    pub fn finish(&mut self, threads: usize, go_on: &(dyn Fn() -> bool + Sync)) -> Option<Graph> {
        if let State::Run(graph) = &self.state
            && graph.finish_bytes() > self.max_bytes
        {
            self.give_up();
        }
        match std::mem::replace(&mut self.state, State::GivenUp) {
            State::Run(graph) => graph.finish(self.settings.graph, threads, go_on),
            State::Window(_) | State::GivenUp => None,
        }
    }
}

/// Flows after which a window's memory is looked at: they take less than a megabyte.
const CHECKED_EVERY: usize = 1024;

/// A flow as the graph sees it.
fn flow(base: &FlowBase, use_ports: bool) -> Flow {
    let node = |addr, port: Option<u16>| Node { addr, port: port.filter(|_| use_ports) };
    let dst_port = base.dst_port();
    Flow {
        src: node(base.src_addr(), base.src_port()),
        dst: node(base.dst_addr(), dst_port),
        dst_port,
        packets: base.total_packets(),
        bytes: base.total_bytes(),
    }
}
