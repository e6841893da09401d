//! What commands that make rows share: how the run is shown, its metrics, its beginning and its end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use joyfuljay::{Pipeline, RunControl, Summary};
use joyfuljay_capture::live::LiveOptions;
use joyfuljay_monitoring::{PrometheusMetrics, Registry, ServerHandle, ServerOptions};

use super::output::Output;
use crate::error::CliError;
use crate::human;
use crate::options::{number, whole};
use crate::progress::Bar;
use crate::save::Saving;
use crate::say;
use crate::signals::{Interrupt, Phase};
use crate::summary::{self, Report};

#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub(super) struct HowArgs {
    /// Show the progress bar although standard error is no terminal.
    #[arg(long, overrides_with = "no_progress")]
    progress: bool,
    /// Show no progress bar.
    #[arg(long, overrides_with = "progress")]
    no_progress: bool,
    /// The form of the summary on standard error.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = SummaryForm::Text)]
    summary: SummaryForm,
    /// Neither progress nor summary; warnings and errors stay.
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Show every warning.
    #[arg(short, long)]
    pub(super) verbose: bool,
    #[command(flatten)]
    metrics: MetricsArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SummaryForm {
    Text,
    Json,
    None,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Metrics")]
pub(super) struct MetricsArgs {
    /// Serve Prometheus metrics on this port while the run goes on; 0 takes any free one.
    #[arg(long, value_name = "PORT", value_parser = whole(0, u16::MAX))]
    prometheus_port: Option<u16>,
    /// The address to serve them on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", requires = "prometheus_port")]
    prometheus_addr: String,
    /// Keep serving for so long after the end, also of a run that failed, so that a last scrape sees the final counts.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, requires = "prometheus_port", value_parser = number)]
    prometheus_linger: f64,
    /// Prometheus web configuration file: TLS and basic authentication for the metrics.
    #[arg(long, value_name = "FILE", requires = "prometheus_port")]
    prometheus_web_config: Option<PathBuf>,
}

/// A run that is over.
pub(super) struct Concluded<'a> {
    pub(super) result: Result<Summary, CliError>,
    pub(super) server: Option<ServerHandle>,
    pub(super) interrupt: &'a Interrupt,
    pub(super) output: &'a Output,
}

/// Signals of a run.
pub(super) fn watch(control: RunControl) -> Result<Interrupt, CliError> {
    Interrupt::watch(control).map_err(|e| CliError::Failed(format!("signals cannot be watched for: {e}")))
}

/// Seconds of an option.
pub(super) fn duration(option: &str, seconds: f64) -> Result<Duration, CliError> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|d| !d.is_zero() && *d <= LiveOptions::MAX_DURATION)
        .ok_or_else(|| CliError::Usage(format!("{option} takes seconds, above 0 and up to a century")))
}

const SIGINT: i32 = 2;

impl HowArgs {
    fn wants_progress(&self) -> Option<bool> {
        match (self.quiet || self.no_progress, self.progress) {
            (true, _) => Some(false),
            (_, true) => Some(true),
            _ => None,
        }
    }

    /// Says what the user should know, and serves metrics where they were asked for.
    pub(super) fn begin(&self, pipeline: Pipeline) -> Result<(Pipeline, Option<ServerHandle>, Bar), CliError> {
        for note in pipeline.plan().notes() {
            say::note(note);
        }
        let (pipeline, server) = match self.metrics.start(self.quiet)? {
            Some((server, metrics)) => (pipeline.with_metrics(Arc::new(metrics)), Some(server)),
            None => (pipeline, None),
        };
        Ok((pipeline, server, Bar::new(self.wants_progress())))
    }

    /// The pipeline of a run whose input and output are open.
    pub(super) fn opened(&self, pipeline: Pipeline, saving: Saving) -> Pipeline {
        if self.is_for_people() {
            let bytes = human::bytes(pipeline.max_memory());
            say::line(format_args!("memory for flows: at most {bytes} (max_memory)"));
        }
        match saving {
            Some((writer, or_lose)) => pipeline.saving(writer, or_lose),
            None => pipeline,
        }
    }

    /// What the run was, or why it failed: said, and kept for a last scrape.
    pub(super) fn conclude(&self, run: Concluded<'_>) -> Result<(), CliError> {
        let Concluded { result, server, interrupt, output } = run;
        let summary = match (result, server.as_ref()) {
            (Ok(summary), _) => summary,
            // Counted, but not scraped yet: an alert on failed runs could never fire.
            (Err(error @ (CliError::Failed(_) | CliError::Usage(_))), Some(_))
                if self.metrics.prometheus_linger > 0.0 =>
            {
                let code = error.report();
                self.metrics.linger(server, interrupt);
                return Err(CliError::Said(code));
            }
            (Err(error), _) => return Err(error),
        };
        summary::print_warnings(&summary, self.verbose);
        if summary.cancelled {
            if let Some(left) = output.left() {
                say::line(left);
            }
            return Err(CliError::Interrupted(interrupt.signal().unwrap_or(SIGINT)));
        }
        for remark in output.remarks() {
            say::note(remark);
        }
        let place = output.place();
        let report = Report { summary: &summary, output: &place, format: output.format() };
        match self.summary {
            _ if self.quiet => {}
            SummaryForm::Text => say::text_as_is(&report.text()),
            SummaryForm::Json => say::text_as_is(&format!("{}\n", report.json())),
            SummaryForm::None => {}
        }
        self.metrics.linger(server, interrupt);
        Ok(())
    }

    /// Whether people read along.
    pub(super) fn is_for_people(&self) -> bool {
        !self.quiet && matches!(self.summary, SummaryForm::Text)
    }
}

impl MetricsArgs {
    pub(super) fn start(&self, quiet: bool) -> Result<Option<(ServerHandle, PrometheusMetrics)>, CliError> {
        let Some(port) = self.prometheus_port else { return Ok(None) };
        if !(0.0..=MAX_LINGER).contains(&self.prometheus_linger) {
            return Err(CliError::Usage(format!("--prometheus-linger takes 0 to {MAX_LINGER} seconds")));
        }
        let failed = |e: &dyn std::fmt::Display| CliError::Failed(e.to_string());
        let registry = Registry::new().with_process();
        let metrics =
            PrometheusMetrics::new(&registry, joyfuljay_monitoring::DEFAULT_NAMESPACE).map_err(|e| failed(&e))?;
        let mut options = ServerOptions::default();
        options.web_config.clone_from(&self.prometheus_web_config);
        let server = joyfuljay_monitoring::start_server(&self.prometheus_addr, port, &registry, options)
            .map_err(|e| failed(&e))?;
        if let Some(warning) = server.warning() {
            say::warning(warning);
        }
        if !quiet {
            say::line(format_args!("metrics at {}metrics", server.url()));
        }
        Ok(Some((server, metrics)))
    }

    pub(super) fn linger(&self, server: Option<ServerHandle>, interrupt: &Interrupt) {
        const STEP: Duration = Duration::from_millis(50);
        let Some(server) = server else { return };
        interrupt.enter(Phase::Over);
        let mut left = Duration::from_secs_f64(self.prometheus_linger);
        while !left.is_zero() && interrupt.signal().is_none() {
            let step = left.min(STEP);
            std::thread::sleep(step);
            left -= step;
        }
        server.close();
    }
}

/// A day: what runs longer than that is a service of its own, not the end of a run.
const MAX_LINGER: f64 = 86_400.0;
