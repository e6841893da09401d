//! `joyfuljay._native`: the native half of the Python package. Conversion only; the engine decides.
//!
//! Every run releases the interpreter (the GIL) and looks for Ctrl-C twenty times a second; Python code of the user's
//! (progress, metrics sinks) is called on the thread that started the run, never from the packet path.

mod command;
mod config;
mod dashboards;
mod database;
mod errors;
mod flow;
mod flow_key;
mod flows;
mod headers;
mod html;
mod input;
mod live;
mod metrics;
mod packet;
mod pipeline;
mod remote;
mod reshape;
mod rows;
mod run;
mod scans;
mod server;
mod sink;
mod slices;
mod stream;
mod table;

use pyo3::prelude::*;

/// The native half of joyfuljay.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::command::cli_main;
    #[pymodule_export]
    use super::config::{
        config_defaults, config_keys, config_load, config_validate, feature_groups, feature_table, profiles,
    };
    #[pymodule_export]
    use super::dashboards::{
        DashboardBuilder, alerting_rules, export_dashboard, overview_dashboard, prometheus_config,
    };
    #[pymodule_export]
    use super::database::TableWriter;
    #[pymodule_export]
    use super::flow::{Flow, PacketIterator, PacketSequence};
    #[pymodule_export]
    use super::flow_key::FlowKey;
    #[pymodule_export]
    use super::flows::FlowIterator;
    #[pymodule_export]
    use super::live::Live;
    #[pymodule_export]
    use super::metrics::{PrometheusMetrics, Registry};
    #[pymodule_export]
    use super::packet::Packet;
    #[pymodule_export]
    use super::pipeline::Engine;
    #[pymodule_export]
    use super::remote::{SensorServer, discover_sensors};
    #[pymodule_export]
    use super::run::{Progress, Summary};
    #[pymodule_export]
    use super::scans::Scans;
    #[pymodule_export]
    use super::server::MetricsServer;
    #[pymodule_export]
    use super::slices::{Slice, capture_files, captures_apart, plan_slices};
    #[pymodule_export]
    use super::stream::TableIterator;
    #[pymodule_export]
    use super::table::{Buffer, RowIterator, Table};

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}

/// Python aligns its objects to 16 bytes. What wants more, as state that has cache lines to itself, lies in a box of its class.
const _: () = {
    const fn fits<T>() {
        assert!(align_of::<T>() <= 16, "a class of Python that wants a larger alignment than its objects have");
    }
    fits::<dashboards::DashboardBuilder>();
    fits::<database::TableWriter>();
    fits::<flow::Flow>();
    fits::<flow::PacketIterator>();
    fits::<flow::PacketSequence>();
    fits::<flow_key::FlowKey>();
    fits::<flows::FlowIterator>();
    fits::<live::Live>();
    fits::<metrics::PrometheusMetrics>();
    fits::<metrics::Registry>();
    fits::<packet::Packet>();
    fits::<pipeline::Engine>();
    fits::<remote::SensorServer>();
    fits::<run::Progress>();
    fits::<run::Summary>();
    fits::<scans::Scans>();
    fits::<server::MetricsServer>();
    fits::<stream::TableIterator>();
    fits::<table::Buffer>();
    fits::<table::RowIterator>();
    fits::<table::Table>();
};
