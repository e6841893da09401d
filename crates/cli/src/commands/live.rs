//! `jj live`: rows of what passes network interfaces, until a signal or a duration ends it.

use std::path::Path;

use clap::Args;
use joyfuljay::sensor::Sensor;
use joyfuljay::{Pipeline, RunControl};
use joyfuljay_capture::live::{self, LiveOptions};
use joyfuljay_capture::process::Process;
use joyfuljay_core::metrics::Mode;
use joyfuljay_io::sink::{Lasting, RowSink};
use joyfuljay_io::source::PacketSource;
use joyfuljay_monitoring::ServerHandle;

use super::output::{LastingArgs, Lifetime, Output, OutputArgs};
use super::running::{self, Concluded, HowArgs};
use crate::error::CliError;
use crate::notify::Notify;
use crate::options::{ConfigArgs, number, whole};
use crate::save::{SaveArgs, Saving};
use crate::say;
use crate::signals::Phase;
use crate::spoken::Spoken;

/// Packets of network interfaces in, one row of features per flow out, as flows end.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jj live eth0                             rows as CSV to standard output\n  jj live eth0 -o \
                        flows.csv -d 3600       an hour into a file that grows\n  jj live eth0 eth1 --prometheus-port \
                        9184 -f json\n  jj live any --check                      what is missing, if anything\n\nCtrl-C or \
                        SIGTERM ends it in good order: what has come is read, open flows are written, exit code 0. A \
                        second one gives up. After the file of rows was moved away, SIGHUP begins a new one under its \
                        name. Capturing needs the capability CAP_NET_RAW."
)]
pub struct Live {
    /// Interfaces, or any for all of them.
    #[arg(value_name = "IFACE", required = true)]
    interfaces: Vec<String>,
    #[command(flatten)]
    capture: CaptureArgs,
    /// Say what capturing needs and whether it is there, and end: exit code 1 where something is missing.
    #[arg(long, help_heading = "Capture")]
    check: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    lasting: LastingArgs,
    #[command(flatten)]
    save: SaveArgs,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Capture")]
pub(super) struct CaptureArgs {
    /// End after so many seconds.
    #[arg(short, long, value_name = "SECONDS", value_parser = number)]
    duration: Option<f64>,
    /// Keep so many bytes of each frame; 0 keeps all.
    #[arg(long, value_name = "BYTES", default_value_t = 0, value_parser = whole(0, u32::MAX))]
    snaplen: u32,
    /// See only what is for this host.
    #[arg(long)]
    no_promiscuous: bool,
    /// Memory for frames that wait to be read, in MiB, for each interface.
    #[arg(long, value_name = "MIB", default_value_t = LiveOptions::RING_BYTES >> 20, value_parser = whole(0, u64::MAX))]
    ring_size: u64,
    /// Only packets of the process of this number, by its sockets. What is opened and closed within a tenth of a second, ICMP and
    /// later fragments are not seen.
    #[arg(long, value_name = "NUMBER", conflicts_with = "process", value_parser = whole(0, u32::MAX))]
    pid: Option<u32>,
    /// Only packets of all processes of this name, as ps -o comm shows it.
    #[arg(long, value_name = "NAME")]
    process: Option<String>,
    /// Wait for interfaces that do not exist yet.
    #[arg(long)]
    pub(super) wait: bool,
}

impl CaptureArgs {
    pub(super) fn options(&self) -> Result<LiveOptions, CliError> {
        /// A TiB: beyond what any machine gives to a ring, and far from what overflows.
        const MAX_RING: u64 = 1 << 20;

        let mut options = LiveOptions::default();
        options.snaplen = self.snaplen;
        options.promiscuous = !self.no_promiscuous;
        if !(1..=MAX_RING).contains(&self.ring_size) {
            return Err(CliError::Usage(format!("--ring-size takes 1 to {MAX_RING} MiB")));
        }
        options.ring_bytes = self.ring_size << 20;
        options.wait_for_interface = self.wait;
        options.duration = self.duration.map(|seconds| running::duration("--duration", seconds)).transpose()?;
        Ok(options)
    }

    pub(super) fn process(&self) -> Option<Process> {
        self.process.clone().map(Process::Name).or(self.pid.map(Process::Pid))
    }
}

/// Interfaces, output, and where frames are saved.
type Opened = (Box<dyn PacketSource>, Box<dyn RowSink>, Saving);

impl Live {
    pub fn run(self) -> Result<(), CliError> {
        let mut options = self.capture.options()?;
        let config = self.config.config()?;
        let output = self.output.resolve(Lifetime::Lasts)?;
        if self.check {
            return self.say_what_is_missing(&options, &output);
        }
        let control = RunControl::new();
        let lasting = self.lasting.lasting();
        let mut pipeline = Pipeline::new(config)?.with_control(control.clone());
        pipeline.turn_to_stream()?;
        options.filter = pipeline.filter().cloned();
        let interrupt = running::watch(control.clone())?;
        interrupt.reopens(lasting.clone());
        let (mut pipeline, server, bar) = self.how.begin(pipeline)?;
        let shown = bar.clone();
        let notify = Notify::from_environment(lasting.clone());
        let progressing = notify.clone();
        let (failing, ready) = (lasting.clone(), server.as_ref().map(ServerHandle::readiness));
        pipeline = pipeline.with_progress(Box::new(move |p| {
            if let Some(ready) = &ready {
                ready.set(!failing.is_failing());
            }
            progressing.progress(control.is_stopped());
            shown.update(p);
        }));

        let result = match self.open(&pipeline, &options, &lasting, &output) {
            Ok((source, sink, saving)) => {
                interrupt.enter(Phase::Stream);
                pipeline = self.how.opened(pipeline, saving);
                if self.how.is_for_people() {
                    say::line(format_args!("capturing from {}", self.interfaces.join(", ")));
                }
                notify.ready(&format!("capturing from {}", self.interfaces.join(", ")));
                pipeline.run(Box::new(Spoken::new(source, bar.clone())), sink).map_err(CliError::from)
            }
            Err(error) => Err(error),
        };
        notify.stopping();
        bar.finish();
        self.how.conclude(Concluded { result, server, interrupt: &interrupt, output: &output })
    }

    /// Input and output; where they cannot be had, the metrics are told.
    fn open(
        &self,
        pipeline: &Pipeline,
        options: &LiveOptions,
        lasting: &Lasting,
        output: &Output,
    ) -> Result<Opened, CliError> {
        let opened = || -> Result<_, joyfuljay::Error> {
            let saving = self.save.open()?;
            // The output before the input: a capture that is open and not read loses packets.
            let opened = output.open(pipeline, None, Some(lasting)).map_err(joyfuljay::Error::from);
            match opened.and_then(|sink| Ok((self.source(options)?, sink))) {
                Ok((source, sink)) => Ok((source, sink, saving)),
                Err(error) => {
                    if let Some((writer, _)) = saving {
                        writer.discard();
                    }
                    Err(error)
                }
            }
        };
        opened().map_err(|error| {
            pipeline.not_begun(Mode::Live, &error);
            error.into()
        })
    }

    fn source(&self, options: &LiveOptions) -> Result<Box<dyn PacketSource>, joyfuljay::Error> {
        let (inputs, options) = (self.interfaces.clone(), options.clone());
        Ok(Sensor { inputs, options, process: self.capture.process(), filter: None }.capture()?)
    }

    /// Says what capturing needs.
    fn say_what_is_missing(&self, options: &LiveOptions, output: &Output) -> Result<(), CliError> {
        let mut checks = live::check(&self.interfaces, options);
        if let Some(path) = output.file() {
            checks.push(live::Check { what: "output".into(), found: may_write(path) });
        }
        let mut missing = 0;
        for check in &checks {
            match &check.found {
                Ok(found) => say::line(format_args!("ok       {}: {found}", check.what)),
                Err(problem) => {
                    missing += 1;
                    say::line(format_args!("missing  {}: {}", check.what, say::without_codes(problem)));
                }
            }
        }
        if missing == 0 { Ok(()) } else { Err(CliError::Said(1)) }
    }
}

/// Whether a file could be written, by making one beside it.
fn may_write(path: &Path) -> Result<String, String> {
    let name = path.display();
    let directory = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Err(format!("{name} is a directory")),
        Ok(_) => match std::fs::OpenOptions::new().append(true).open(path) {
            Ok(_) => Ok(format!("{name} can be written")),
            Err(e) => Err(format!("{name} cannot be written: {e}")),
        },
        Err(_) => {
            let trial = directory.join(format!(".jj-check-{}", std::process::id()));
            let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&trial);
            let _ = std::fs::remove_file(&trial);
            match made {
                Ok(_) => Ok(format!("{name} can be made")),
                Err(e) => Err(format!("no file can be made in {}: {e}", directory.display())),
            }
        }
    }
}
