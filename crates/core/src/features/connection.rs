//! Who speaks to whom: what the graph over all flows of a run says of a flow's ends (`analysis::graph`).
//!
//! The graph is known when the input has ended. Until then rows wait without these columns, and get them by
//! [`crate::rows::RowPlan::complete`]; with `connection_window` the values come with the flow.

use super::Profile::Experimental;
use super::Unit::{Bytes, Count, None as NoUnit};
use super::values::int;
use super::{FlowView, Group, Split, bool, f64, formula, i64, split};
use crate::analysis::graph::{FlowMetrics, FlowValues, NodeMetrics};
use crate::columns::Direction;
use crate::trackers::TrackerMask;

/// The values of a flow, where they are known.
pub struct View<'a>(pub Option<&'a FlowValues>);

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;
}

impl View<'_> {
    fn n(&self, get: impl Fn(&FlowValues) -> u64) -> Option<i64> {
        self.0.map(|v| int(get(v)))
    }
    fn metrics(&self) -> Option<&FlowMetrics> {
        self.0?.metrics.as_ref()
    }
    fn src(&self) -> Option<NodeMetrics> {
        self.metrics()?.src
    }
    fn dst(&self) -> Option<NodeMetrics> {
        self.metrics()?.dst
    }
}

/// Name of the group.
pub const ID: &str = "connection";

/// Where the metrics of a node are null.
const NO_NODE: &str =
    "graph metrics are off; with connection_window, the end was not in the graph at its last multiple; no graph";
const NO_METRICS: &str = "graph metrics are off (connection_include_graph_metrics), or there is no graph";

/// Counts of flows by their ends, and metrics of the graph that these make.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View> = Group {
    id: ID,
    doc: "Who speaks to whom, over all flows of the run, or of the last seconds (connection_window). Flows: rows; src, dst: a row's initiator and responder.",
    source: "own definition (graph of flows)",
    null: "no graph: flows given one by one, streams without connection_window, or max_memory too small for it",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::NONE,
    needs: &[],
    view: |flow, _, _| View(flow.connection),
    features: &[
        split(Split::Only(Direction::Fwd), i64("conn_src_unique_dsts", Count, Experimental, &|v: &View<'_>| v.n(|v| v.src_unique_dsts), "Different responders of the flows that the initiator began, itself included where it is one.",
            formula("unique(dst of flows of src)").from(1))),
        split(Split::Only(Direction::Fwd), i64("conn_dst_unique_srcs", Count, Experimental, &|v: &View<'_>| v.n(|v| v.dst_unique_srcs), "Different initiators of the flows to the responder.",
            formula("unique(src of flows to dst)").from(1))),
        split(Split::Only(Direction::Fwd), i64("conn_src_dst_flows", Count, Experimental, &|v: &View<'_>| v.n(|v| v.src_dst_flows), "Flows from the initiator to the responder.",
            formula("count(flows of src to dst)").from(1))),
        split(Split::Only(Direction::Fwd), i64("conn_src_port_flows", Count, Experimental, &|v: &View<'_>| v.0?.src_port_flows.map(int), "Flows from the initiator to the responder and its port, whatever the protocol.",
            formula("count(flows of src to dst and dst_port)").null("the protocol has no ports, or there is no graph").from(1))),
        split(Split::Only(Direction::Fwd), i64("conn_src_total_flows", Count, Experimental, &|v: &View<'_>| v.n(|v| v.src_total_flows), "Flows that the initiator began.",
            formula("count(flows of src)").from(1))),
        split(Split::Only(Direction::Fwd), i64("conn_dst_total_flows", Count, Experimental, &|v: &View<'_>| v.n(|v| v.dst_total_flows), "Flows to the responder.",
            formula("count(flows to dst)").from(1))),
        split(Split::Only(Direction::Fwd), i64("conn_src_total_packets", Count, Experimental, &|v: &View<'_>| v.n(|v| v.src_total_packets), "Packets, in both directions, of the flows that the initiator began.",
            formula("sum(total_packets of flows of src)").from(1))),
        split(Split::Only(Direction::Fwd), i64("conn_src_total_bytes", Bytes, Experimental, &|v: &View<'_>| v.n(|v| v.src_total_bytes), "IP bytes, in both directions, of the flows that the initiator began.",
            formula("sum(total_bytes of flows of src)"))),
        split(Split::Only(Direction::Fwd), i64("conn_dst_total_packets", Count, Experimental, &|v: &View<'_>| v.n(|v| v.dst_total_packets), "Packets, in both directions, of the flows to the responder.",
            formula("sum(total_packets of flows to dst)").from(1))),
        split(Split::Only(Direction::Fwd), i64("conn_dst_total_bytes", Bytes, Experimental, &|v: &View<'_>| v.n(|v| v.dst_total_bytes), "IP bytes, in both directions, of the flows to the responder.",
            formula("sum(total_bytes of flows to dst)"))),
        split(Split::Only(Direction::Fwd), i64("conn_src_unique_ports", Count, Experimental, &|v: &View<'_>| v.n(|v| v.src_unique_ports), "Different responder's ports of the flows that the initiator began.",
            formula("unique(dst_port of flows of src)"))),
        split(Split::Only(Direction::Fwd), i64("conn_src_out_degree", Count, Experimental, &|v: &View<'_>| Some(v.metrics()?.src_out_degree.into()), "Edges out of the initiator: different responders but itself.",
            formula("unique(dst of flows of src, dst not src)").null(NO_METRICS))),
        split(Split::Only(Direction::Fwd), i64("conn_dst_in_degree", Count, Experimental, &|v: &View<'_>| Some(v.metrics()?.dst_in_degree.into()), "Edges into the responder: different initiators but itself.",
            formula("unique(src of flows to dst, src not dst)").null(NO_METRICS))),
        split(Split::Only(Direction::Fwd), f64("conn_src_betweenness", NoUnit, Experimental, &|v: &View<'_>| Some(v.src()?.betweenness), "Betweenness of the initiator in the directed graph; above 1,000 nodes from 256 pivots.",
            formula("sum(share of the shortest paths from s to t that lead through src) / ((n - 1) (n - 2)), s and t not src; 0 for n <= 2").source("Brandes (2001); pivots: Brandes, Pich (2007)").null(NO_NODE).from(0))),
        split(Split::Only(Direction::Fwd), f64("conn_dst_betweenness", NoUnit, Experimental, &|v: &View<'_>| Some(v.dst()?.betweenness), "Betweenness of the responder in the directed graph; above 1,000 nodes from 256 pivots.",
            formula("as conn_src_betweenness, of dst").source("Brandes (2001); pivots: Brandes, Pich (2007)").null(NO_NODE).from(0))),
        split(Split::Only(Direction::Fwd), i64("conn_src_community", NoUnit, Experimental, &|v: &View<'_>| Some(v.src()?.community.into()), "Community of the initiator in the undirected graph (connection_community_algorithm).",
            formula("number of the community by size, 0 the largest; of equal ones by the smallest node as text").source("Blondel et al. (2008); greedy: Clauset, Newman, Moore (2004); label propagation: Raghavan et al. (2007)").null(NO_NODE).from(0))),
        split(Split::Only(Direction::Fwd), i64("conn_dst_community", NoUnit, Experimental, &|v: &View<'_>| Some(v.dst()?.community.into()), "Community of the responder in the undirected graph.",
            formula("as conn_src_community, of dst").source("as conn_src_community").null(NO_NODE).from(0))),
        bool("conn_same_community", Experimental, &|v: &View<'_>| v.metrics()?.same_community(), "Whether both are in one community.",
            formula("conn_src_community = conn_dst_community").source("as conn_src_community").null(NO_NODE)),
        split(Split::Only(Direction::Fwd), f64("conn_src_clustering", NoUnit, Experimental, &|v: &View<'_>| Some(v.src()?.clustering), "Clustering coefficient of the initiator in the undirected graph.",
            formula("edges among the k neighbours of src / (k (k - 1) / 2); 0 for k < 2").source("Watts, Strogatz (1998)").null(NO_NODE).range(0, 1))),
        split(Split::Only(Direction::Fwd), f64("conn_dst_clustering", NoUnit, Experimental, &|v: &View<'_>| Some(v.dst()?.clustering), "Clustering coefficient of the responder in the undirected graph.",
            formula("as conn_src_clustering, of dst").source("Watts, Strogatz (1998)").null(NO_NODE).range(0, 1))),
    ],
};
