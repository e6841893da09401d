//! Dashboards, alerting rules and the Prometheus configuration: JSON and YAML text, made by the monitoring crate.

use std::path::PathBuf;

use joyfuljay_monitoring::dashboard::{self, DashboardError, PanelOptions};
use joyfuljay_monitoring::rules::{
    ConfigOptions, RulesError, RulesOptions, generate_alerting_rules, generate_prometheus_config,
};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use serde_json::Value;

/// Builds a dashboard, row by row and panel by panel.
#[pyclass(module = "joyfuljay.monitoring")]
pub struct DashboardBuilder(dashboard::DashboardBuilder);

#[pymethods]
impl DashboardBuilder {
    #[new]
    #[pyo3(signature = (title, uid=None))]
    fn new(title: &str, uid: Option<&str>) -> Self {
        let mut builder = dashboard::DashboardBuilder::new(title);
        if let Some(uid) = uid {
            builder.uid(uid);
        }
        Self(builder)
    }

    fn add_row(&mut self, title: &str) {
        self.0.add_row(title);
    }

    #[pyo3(signature = (title, exprs, graph, unit=None, width=None, height=None, legend=None, description=None))]
    #[allow(clippy::too_many_arguments)]
    fn add_panel(
        &mut self,
        title: &str,
        exprs: Vec<String>,
        graph: bool,
        unit: Option<String>,
        width: Option<u32>,
        height: Option<u32>,
        legend: Option<Vec<String>>,
        description: Option<String>,
    ) -> PyResult<()> {
        let kind = if graph { dashboard::PanelKind::Graph } else { dashboard::PanelKind::Stat };
        let legend = legend.unwrap_or_default();
        let options = PanelOptions { width, height, unit, description, legend, ..PanelOptions::default() };
        let exprs: Vec<&str> = exprs.iter().map(String::as_str).collect();
        self.0.add_panel(kind, title, &exprs, options).map(drop).map_err(dashboard_error)
    }

    /// The panel or row that was added last, as JSON.
    fn last(&self) -> String {
        self.0.panels().last().map(Value::to_string).unwrap_or_default()
    }

    /// The dashboard as JSON.
    fn build(&self) -> String {
        self.0.build().to_string()
    }
}

/// The overview dashboard as JSON.
#[pyfunction]
pub fn overview_dashboard() -> String {
    dashboard::overview_dashboard().to_string()
}

/// Writes a dashboard (JSON; the overview when none is given) for Grafana.
#[pyfunction]
#[pyo3(signature = (path, dashboard=None, datasource_uid=None))]
pub fn export_dashboard(path: PathBuf, dashboard: Option<&str>, datasource_uid: Option<&str>) -> PyResult<()> {
    let given = dashboard.map(serde_json::from_str::<Value>).transpose();
    let given = given.map_err(|e| PyValueError::new_err(format!("the dashboard is not JSON: {e}")))?;
    dashboard::export_dashboard(path, given.as_ref(), datasource_uid).map_err(dashboard_error)
}

/// Alerting and recording rules as YAML.
#[pyfunction]
#[pyo3(signature = (error_threshold, packet_rate_threshold, active_flows_threshold, active_flows_ratio, lag_threshold, namespace, job, watched, runbook_url))]
#[allow(clippy::too_many_arguments)]
pub fn alerting_rules(
    error_threshold: f64,
    packet_rate_threshold: f64,
    active_flows_threshold: f64,
    active_flows_ratio: f64,
    lag_threshold: f64,
    namespace: String,
    job: String,
    watched: &str,
    runbook_url: String,
) -> PyResult<String> {
    let watched = watched.parse().map_err(|e: String| PyValueError::new_err(format!("profile: {e}")))?;
    let options = RulesOptions {
        error_threshold,
        packet_rate_threshold,
        active_flows_threshold,
        active_flows_ratio,
        lag_threshold,
        namespace,
        job,
        watched,
        runbook_url,
    };
    generate_alerting_rules(&options).map_err(rules_error)
}

/// A Prometheus configuration as YAML.
#[pyfunction]
#[pyo3(signature = (targets, job, scrape_interval, metrics_path, https, rule_files))]
pub fn prometheus_config(
    targets: Vec<String>,
    job: String,
    scrape_interval: String,
    metrics_path: String,
    https: bool,
    rule_files: Vec<String>,
) -> PyResult<String> {
    let options = ConfigOptions { targets, job, scrape_interval, metrics_path, https, rule_files };
    generate_prometheus_config(&options).map_err(rules_error)
}

fn dashboard_error(error: DashboardError) -> PyErr {
    match &error {
        DashboardError::Write { source, path } => match source.raw_os_error() {
            Some(number) => {
                let text = joyfuljay::without_codes(&source.to_string());
                PyOSError::new_err((number, text, path.display().to_string()))
            }
            None => PyOSError::new_err(error.to_string()),
        },
        _ => PyValueError::new_err(error.to_string()),
    }
}

fn rules_error(error: RulesError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
