//! `jj watch`: rows of the captures that come into a folder, each when it is finished.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use joyfuljay::watch::WatchOptions;
use joyfuljay::{Pipeline, RunControl};
use joyfuljay_io::sink::{Format, SinkOptions, Target};

use super::output::Output;
use super::running::{self, Concluded, HowArgs};
use crate::error::CliError;
use crate::notify::Notify;
use crate::options::{ConfigArgs, number};
use crate::say;
use crate::signals::Phase;

/// Captures that come into a folder in, a file of rows for each out, when it is finished.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jj watch /captures -o /flows                  a CSV file for each capture\n  jj watch \
                        /captures -o /flows -f parquet --features flow_meta,tls\n  jj watch /captures -o /flows --once   \
                        what is there now, and end\n\nThe captures are those of one sensor: flows that span rotated \
                        files are one row. Each capture is read once, also across restarts: what was done is in \
                        .jj-watch.json beside the rows. Ctrl-C or SIGTERM ends it in good order, exit code 0; flows that are \
                        open then have rows in open-flows.csv, until the next run takes them up."
)]
pub struct Watch {
    /// The folder that captures come into.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Watch")]
struct WatchArgs {
    /// The folder that gets a file of rows for each capture.
    #[arg(short, long, value_name = "FOLDER")]
    output_dir: PathBuf,
    /// Format of the rows: csv, json, parquet or arrow.
    #[arg(short, long, value_name = "FORMAT", default_value = "csv")]
    format: Format,
    /// Watch the folders below it too.
    #[arg(long)]
    recursive: bool,
    /// Take a capture for finished when it has not changed for so long. One that its writer has followed by another is finished at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = number)]
    settle: f64,
    /// Read what is there now, all of it taken for finished, and end.
    #[arg(long)]
    once: bool,
}

impl WatchArgs {
    fn options(&self, folder: PathBuf) -> Result<WatchOptions, CliError> {
        let settle = Duration::try_from_secs_f64(self.settle)
            .map_err(|_| CliError::Usage("--settle takes seconds, 0 or more".to_owned()))?;
        let mut options = WatchOptions::new(folder, self.output_dir.clone(), self.format);
        options.recursive = self.recursive;
        options.settle = settle;
        options.once = self.once;
        Ok(options)
    }
}

impl Watch {
    pub fn run(self) -> Result<(), CliError> {
        let config = self.config.config()?;
        if !self.folder.is_dir() {
            let problem = match self.folder.exists() {
                true => "a file, and no folder: jj extract reads files",
                false => "there is no such folder: create it first",
            };
            return Err(CliError::Failed(format!("{}: {problem}", self.folder.display())));
        }
        let options = self.watch.options(self.folder.clone())?;
        let control = RunControl::new();
        let mut pipeline = Pipeline::new(config)?.with_control(control.clone());
        pipeline.turn_to_stream()?;
        let interrupt = running::watch(control.clone())?;
        let (mut pipeline, server, bar) = self.how.begin(pipeline)?;
        let notify = Notify::from_environment(Default::default());
        let (progressing, shown) = (notify.clone(), bar.clone());
        pipeline = pipeline.with_progress(Box::new(move |p| {
            progressing.progress(control.is_stopped());
            shown.update(p);
        }));
        interrupt.enter(Phase::Stream);
        if self.how.is_for_people() {
            say::line(format_args!(
                "watching {}; rows go to {}",
                self.folder.display(),
                self.watch.output_dir.display()
            ));
        }
        notify.ready(&format!("watching {}", self.folder.display()));
        let result = pipeline.watch(&options).map_err(CliError::from);
        bar.finish();
        self.how.conclude(Concluded {
            result,
            server,
            interrupt: &interrupt,
            output: &Output::Bytes {
                format: self.watch.format,
                target: Target::File(self.watch.output_dir.clone()),
                options: SinkOptions::default(),
            },
        })
    }
}
