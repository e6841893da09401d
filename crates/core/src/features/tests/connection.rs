//! Of one flow alone there is no graph: the values come with the flow (`connection_window`), or when the input has ended.

use super::*;
use crate::analysis::graph::{FlowMetrics, FlowValues, NodeMetrics};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, _| {},
    golden: &[Golden {
        flow: || connection().into(),
        options: |_| {},
        row: "conn_src_unique_dsts -
            conn_dst_unique_srcs -
            conn_src_dst_flows -
            conn_src_port_flows -
            conn_src_total_flows -
            conn_dst_total_flows -
            conn_src_total_packets -
            conn_src_total_bytes -
            conn_dst_total_packets -
            conn_dst_total_bytes -
            conn_src_unique_ports -
            conn_src_out_degree -
            conn_dst_in_degree -
            conn_src_betweenness -
            conn_dst_betweenness -
            conn_src_community -
            conn_dst_community -
            conn_same_community -
            conn_src_clustering -
            conn_dst_clustering -",
    }],
};

#[test]
fn each_column_has_its_value() {
    let plan = RowPlan::new(&groups(&["connection"])).unwrap();
    let mut store = FlowStore::new(plan.trackers());
    let flow: Recorded = connection().into();
    store.replay(FlowBase::start(&flow.packets().next().unwrap(), 0), flow.packets(), &plan.tracker_settings());
    let node = |n: u32| NodeMetrics { betweenness: f64::from(n) / 8.0, community: n, clustering: f64::from(n) / 16.0 };
    let metrics = FlowMetrics { src_out_degree: 12, dst_in_degree: 13, src: Some(node(4)), dst: Some(node(5)) };
    let values = FlowValues {
        src_unique_dsts: 1,
        dst_unique_srcs: 2,
        src_dst_flows: 3,
        src_port_flows: Some(4),
        src_total_flows: 5,
        dst_total_flows: 6,
        src_total_packets: 7,
        src_total_bytes: 8,
        dst_total_packets: 9,
        dst_total_bytes: 10,
        src_unique_ports: 11,
        metrics: Some(metrics),
    };
    let texts = |values: &FlowValues| {
        let mut flow = store.get(0).unwrap();
        flow.connection = Some(values);
        let batch = plan.build(&[flow], &mut RowScratch::default()).unwrap();
        batch.columns().iter().map(|c| text(c, 0)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(texts(&values), "1 2 3 4 5 6 7 8 9 10 11 12 13 0.5 0.625 4 5 false 0.25 0.3125");
    let earlier = FlowMetrics { dst: None, ..metrics };
    let of_window = FlowValues { src_port_flows: None, metrics: Some(earlier), ..values };
    assert_eq!(texts(&of_window), "1 2 3 - 5 6 7 8 9 10 11 12 13 0.5 - 4 - - 0.25 -");
    let without = FlowValues { metrics: None, ..values };
    assert_eq!(texts(&without), "1 2 3 4 5 6 7 8 9 10 11 - - - - - - - - -");
}
