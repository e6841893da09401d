#![doc = include_str!("monitoring.md")]

pub use joyfuljay_core::metrics::MetricsSink;
pub use joyfuljay_monitoring::dashboard::{
    DashboardBuilder, DashboardError, PanelKind, PanelOptions, export_dashboard, overview_dashboard, with_datasource,
};
pub use joyfuljay_monitoring::rules::{
    ConfigOptions, RulesError, RulesOptions, Watched, generate_alerting_rules, generate_prometheus_config,
};
pub use joyfuljay_monitoring::*;
