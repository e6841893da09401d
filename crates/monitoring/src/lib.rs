//! Monitoring of JoyfulJay: one table of metric families, and everything that is made from it.
//!
//! - [`PrometheusMetrics`] counts; attach it to a pipeline or call its `observe_*`.
//! - [`start_server`] shows a [`Registry`] to Prometheus at `/metrics`, and to people at `/`.
//! - [`dashboard`] builds Grafana dashboards, [`rules`] alerting rules and a Prometheus configuration.
//! - [`encode`] prints a [`Snapshot`] as Prometheus text or OpenMetrics.

#![forbid(unsafe_code)]

pub mod dashboard;
mod exposition;
mod generated;
mod label;
mod live;
mod process;
mod prometheus;
mod reading;
mod registry;
pub mod rules;
pub mod server;
mod snapshot;
mod store;
mod table;

pub use exposition::{Format, encode, encode_named};
pub use generated::generated_files;
pub use label::{MAX_LABEL_CHARS, MAX_LABEL_VALUES, OTHER};
pub use prometheus::PrometheusMetrics;
pub use reading::{Reading, reading};
pub use registry::{MetricsError, Registry, default_registry};
pub use server::{Readiness, ServerError, ServerHandle, ServerOptions, start_prometheus_server, start_server};
pub use snapshot::{Family, Histogram, Sample, Snapshot, Value};
pub use table::{Created, DEFAULT_NAMESPACE, Id, Kind, Label, METRICS, Metric, Number};
