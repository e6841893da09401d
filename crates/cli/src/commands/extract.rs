//! `jj extract`: the main job.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use joyfuljay::{Error, Pipeline, RunControl, Summary, slices};
use joyfuljay_core::metrics::Mode;
use joyfuljay_io::sink::RowSink;
use joyfuljay_io::source::{Apart, CaptureOptions, CaptureSet, PacketSource, SliceSource};

use super::output::{Lifetime, Output, OutputArgs};
use super::running::{self, Concluded, HowArgs};
use crate::error::CliError;
use crate::options::{self, ConfigArgs};
use crate::progress::ClockNote;
use crate::save::{SaveArgs, Saving};
use crate::say;
use crate::signals::Phase;

/// Captures in, one row of features per flow out.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jj extract a.pcap                        all features, as CSV to the terminal\n  \
                        jj extract a.pcap b.pcapng.gz -o f.parquet        several captures, one file\n  \
                        jj extract captures/ --features flow_meta,tcp     a directory, all below it\n  \
                        tcpdump -w - | jj extract - -f json               from a pipe\n  \
                        jj extract big.pcap --filter 'tcp port 443'       only these packets\n  \
                        jj extract big.pcap -o f.arrow --prometheus-port 9184\n      metrics at http://127.0.0.1:9184/metrics meanwhile\n\nA file appears under \
                        its name when it is whole; a run that is interrupted leaves none. A run over a pipe is ended by \
                        Ctrl-C: it writes what it has read; a second one throws that away."
)]
pub struct Extract {
    /// Captures: files, directories (with all below them), globs, or - for standard input.
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    save: SaveArgs,
    #[command(flatten)]
    how: HowArgs,
    #[command(flatten)]
    find: FindArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
struct FindArgs {
    /// Read directories with all that is below them: the default.
    #[arg(long, overrides_with = "no_recursive")]
    recursive: bool,
    /// Read only the files of a directory itself.
    #[arg(long, overrides_with = "recursive")]
    no_recursive: bool,
    /// Only slice I of N (from 1 on): the flows that begin in it. The rows of all N together are those of the whole; for
    /// array jobs of Slurm, Kubernetes and the like.
    #[arg(long, value_name = "I/N", conflicts_with = "save_pcap")]
    slice: Option<SliceNumber>,
    /// Captures of different sensors: those of each folder, or each file, have flows of their own. As many are read at a time as
    /// there are workers; rows come out one sensor after the other.
    #[arg(long, value_name = "BY", conflicts_with_all = ["slice", "save_pcap"])]
    separate: Option<Separate>,
    /// With --separate: a last column `capture`, the path of the file (of the folder, with `--separate folder`) that a row is from.
    #[arg(long, requires = "separate")]
    capture_column: bool,
    /// Accepted for older scripts: rows are always streamed, memory does not grow with the capture.
    #[arg(long, hide_short_help = true)]
    streaming: bool,
}

impl Extract {
    pub fn run(self) -> Result<(), CliError> {
        options::check_inputs(&self.inputs)?;
        let config = self.config.config()?;
        let output = self.output.resolve(Lifetime::Ends)?;
        let control = RunControl::new();
        let pipeline = Pipeline::new(config)?.with_control(control.clone());
        let interrupt = running::watch(control)?;
        let (mut pipeline, server, bar) = self.how.begin(pipeline)?;
        let shown = bar.clone();
        let mut clock = ClockNote::new(!self.how.quiet);
        let named_pipe = interrupt.clone();
        pipeline = pipeline.with_progress(Box::new(move |p| {
            if p.stats.frames > 0 {
                named_pipe.begin();
            }
            clock.update(p, &shown);
            shown.update(p);
        }));

        let said = pipeline.plan().notes().to_vec();
        let result = match self.open(&mut pipeline, &output) {
            Ok((source, sink, saving)) => {
                for note in pipeline.plan().notes().iter().filter(|note| !said.contains(note)) {
                    say::note(note);
                }
                interrupt.enter(match source.has_streams() {
                    true if self.inputs.iter().any(|input| input.as_os_str() == "-") => Phase::Stream,
                    true => Phase::Waiting,
                    false => Phase::Files,
                });
                pipeline = self.how.opened(pipeline, saving);
                source.run(pipeline, sink).map_err(CliError::from)
            }
            Err(error) => Err(error),
        };
        // Off the screen before anything else is said, also an error.
        bar.finish();
        self.how.conclude(Concluded { result, server, interrupt: &interrupt, output: &output })
    }
}

/// Input, output, and where frames are saved.
type Opened = (Input, Box<dyn RowSink>, Saving);

/// What is read.
enum Input {
    Captures(CaptureSet),
    Slice(SliceSource),
    Separate(Vec<(String, CaptureSet)>),
}

impl Input {
    fn has_streams(&self) -> bool {
        matches!(self, Self::Captures(set) if set.has_streams())
    }

    fn run(self, pipeline: Pipeline, sink: Box<dyn RowSink>) -> Result<Summary, Error> {
        match self {
            Self::Captures(set) => pipeline.run(Box::new(set), sink),
            Self::Slice(slice) => pipeline.run(Box::new(slice), sink),
            Self::Separate(sets) => {
                let boxed = |(name, set)| (name, Box::new(set) as Box<dyn PacketSource>);
                pipeline.run_separate(sets.into_iter().map(boxed).collect(), sink)
            }
        }
    }
}

/// Which captures are of one sensor.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Separate {
    /// A folder holds those of one sensor.
    Folder,
    /// Each file is of another sensor.
    File,
}

impl Separate {
    fn apart(self) -> Apart {
        match self {
            Self::Folder => Apart::Folders,
            Self::File => Apart::Files,
        }
    }

    /// As it is written.
    fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::File => "file",
        }
    }
}

/// `I/N`.
#[derive(Clone, Copy, Debug)]
struct SliceNumber {
    number: u32,
    of: u32,
}

impl FromStr for SliceNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.trim().parse().ok()?, n.trim().parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=slices::MOST_TASKS).contains(&of) && (1..=of).contains(&number) => {
                Ok(Self { number, of })
            }
            _ => Err(format!("a slice is I/N, such as 3/8: I from 1 to N, N at most {}", slices::MOST_TASKS)),
        }
    }
}

impl Extract {
    /// Opens input and output; a failure is reported to the metrics.
    fn open(&self, pipeline: &mut Pipeline, output: &Output) -> Result<Opened, CliError> {
        let mut opened = || -> Result<_, Error> {
            let mut source = CaptureSet::open(&self.inputs, &self.find.capture_options())?;
            if self.find.slice.is_some() {
                pipeline.turn_to_slice()?;
            } else if self.find.separate.is_some() {
                pipeline.turn_to_separate()?;
                if self.find.capture_column {
                    pipeline.name_captures();
                }
            } else if source.is_stream() {
                pipeline.turn_to_stream()?;
            }
            if let Some(path) = output.excluded() {
                source.exclude_output(path)?;
            }
            if let Some(path) = &self.save.save_pcap {
                source.exclude_output(path)?;
            }
            let mut origin = pipeline.origin(&source.position());
            if let (Some(origin), Some(SliceNumber { number, of })) = (&mut origin, self.find.slice) {
                origin.push(("slice", format!("{number}/{of}")));
            }
            if let (Some(origin), Some(by)) = (&mut origin, self.find.separate) {
                origin.push(("separate", by.name().to_owned()));
            }
            let source = match (self.find.slice, self.find.separate) {
                (Some(slice), _) => Input::Slice(slice.open(source, pipeline)?),
                (None, Some(by)) => Input::Separate(source.apart(by.apart())?),
                (None, None) => Input::Captures(source),
            };
            let saving = self.save.open()?;
            match output.open(pipeline, origin, None) {
                Ok(sink) => Ok((source, sink, saving)),
                Err(error) => {
                    if let Some((writer, _)) = saving {
                        writer.discard();
                    }
                    Err(error.into())
                }
            }
        };
        let opened = opened();
        opened.map_err(|error| {
            pipeline.not_begun(Mode::Pcap, &error);
            error.into()
        })
    }
}

impl SliceNumber {
    /// Finds where the slice lies among the captures.
    fn open(self, captures: CaptureSet, pipeline: &mut Pipeline) -> Result<SliceSource, Error> {
        let files = captures.into_files()?;
        let slice = slices::nth(&slices::Local, &files, self.number, self.of, pipeline.config())?;
        pipeline.share(slice.share());
        slice.open(Arc::new(slices::Local), pipeline)
    }
}

impl FindArgs {
    fn capture_options(&self) -> CaptureOptions {
        let mut options = CaptureOptions::default();
        options.recursive = !self.no_recursive;
        options
    }
}
