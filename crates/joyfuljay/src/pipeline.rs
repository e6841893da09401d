//! The pipeline: a validated configuration, ready to run over sources.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use joyfuljay_capture::filter::Filter;
use joyfuljay_core::Config;
use joyfuljay_core::engine::{EngineSettings, Share};
use joyfuljay_core::frame::FrameFilter;
use joyfuljay_core::metrics::{MetricsSink, Mode, NoMetrics, RunResult};
use joyfuljay_core::rows::RowPlan;
use joyfuljay_core::trackers::TrackerMask;
use joyfuljay_io::save::CaptureWriter;
use joyfuljay_io::sink::RowSink;
use joyfuljay_io::source::{PacketSource, Position};

use crate::drive::Drive;
use crate::labels::labels;
use crate::memory::default_max_memory;
use crate::progress::{Listener, Reporter};
use crate::recorder::Recorder;
use crate::run::{Outcome, Run};
use crate::saving::Saving;
use crate::{Error, Progress, RunControl, Summary, parallel, separate, serial, waiting};

/// Packets in, rows out. See the crate's first page for an example.
pub struct Pipeline {
    config: Config,
    plan: RowPlan,
    settings: EngineSettings,
    filter: Option<Filter>,
    saving: Option<Saving>,
    max_memory: u64,
    metrics: Arc<dyn MetricsSink>,
    listener: Option<Listener>,
    control: RunControl,
    /// Whether rows of inputs that are kept apart say of which they are.
    naming_captures: bool,
}

/// The column that says which capture, or which folder of captures, a row is from.
pub const CAPTURE_COLUMN: &str = "capture";

impl Pipeline {
    /// Validates a configuration.
    ///
    /// # Errors
    /// When a value is out of range, a name does not exist, or the filter cannot be compiled; the error names the option and
    /// the way out.
    pub fn new(config: Config) -> Result<Self, Error> {
        let plan = RowPlan::new(&config)?.with_labels(labels(&config)?);
        let filter = match config.bpf_filter.as_deref() {
            // As for tcpdump, no expression is every frame; that needs no compiler.
            None => None,
            Some(expression) if expression.trim().is_empty() => None,
            Some(expression) => Some(Filter::new(expression)?),
        };
        let max_memory = config.max_memory.map_or_else(default_max_memory, |size| size.0);
        let settings = EngineSettings::new(&config, plan.trackers(), plan.tracker_settings())
            .with_max_memory(max_memory)
            .with_connections(plan.connections());
        Ok(Self {
            config,
            plan,
            settings,
            filter,
            saving: None,
            max_memory,
            metrics: Arc::new(NoMetrics),
            listener: None,
            control: RunControl::new(),
            naming_captures: false,
        })
    }

    /// Reports to a metrics sink, batch by batch.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Arc<dyn MetricsSink>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Calls a listener a few times a second while a run goes on.
    #[must_use]
    pub fn with_progress(mut self, listener: Box<dyn FnMut(&Progress) + Send>) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Lets a control end the runs.
    #[must_use]
    pub fn with_control(mut self, control: RunControl) -> Self {
        self.control = control;
        self
    }

    /// For runs over streams (pipes, devices), whose rows cannot wait for an end: without `connection_window`, `all` leaves the group
    /// `connection` out, which the notes of the plan say. To be called before the schema is asked for.
    ///
    /// # Errors
    /// When that group was named, without a window.
    pub fn turn_to_stream(&mut self) -> Result<(), Error> {
        // The group reads no trackers: theirs are as they were.
        self.plan = RowPlan::for_stream(&self.config)?.with_labels(self.plan.labels());
        self.settings = self.settings.with_connections(self.plan.connections());
        Ok(())
    }

    /// Takes only a share of the flows, as one of several tasks over the same slice.
    pub fn share(&mut self, share: Share) {
        self.settings = self.settings.with_share(share);
    }

    /// For runs over a slice, which see only a part of the flows: `all` leaves the group `connection` out, which the notes of the
    /// plan say. To be called before the schema is asked for.
    ///
    /// # Errors
    /// When that group was named.
    pub fn turn_to_slice(&mut self) -> Result<(), Error> {
        self.plan = RowPlan::for_slice(&self.config)?.with_labels(self.plan.labels());
        self.settings = self.settings.with_connections(None);
        Ok(())
    }

    /// For runs over several inputs that are kept apart: `all` leaves the group `connection` out, which the notes of the plan say. To
    /// be called before the schema is asked for.
    ///
    /// # Errors
    /// When that group was named.
    pub fn turn_to_separate(&mut self) -> Result<(), Error> {
        self.plan = RowPlan::for_separate(&self.config)?.with_labels(self.plan.labels());
        self.settings = self.settings.with_connections(None);
        Ok(())
    }

    /// Gives the rows of [`Pipeline::run_separate`] a last column [`CAPTURE_COLUMN`] with the name of their input. To be called before the
    /// schema is asked for.
    pub fn name_captures(&mut self) {
        self.naming_captures = true;
    }

    /// Keeps the packets of every flow, `most` of one flow at most: [`Pipeline::flows`] then has them.
    #[must_use]
    pub fn keeping_packets(mut self, most: usize) -> Self {
        self.settings.flow.trackers = self.settings.flow.trackers.union(TrackerMask::KEEP);
        self.settings.flow.tracker_settings.keep_cap = most;
        self
    }

    /// Saves the frames of the next run, those that match the filter. What cannot be written ends the run, or is counted as
    /// lost and tried again with the next batch.
    #[must_use]
    pub fn saving(mut self, writer: CaptureWriter, or_lose: bool) -> Self {
        self.saving = Some(Saving::new(writer, or_lose));
        self
    }

    /// The filter of the configuration, for sources that give it to the kernel as well.
    pub fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// The filter of a run.
    pub(crate) fn frame_filter(&self) -> Option<Box<dyn FrameFilter>> {
        self.filter.clone().map(|filter| Box::new(filter) as Box<dyn FrameFilter>)
    }

    /// The listener, for the run that is about to begin.
    pub(crate) fn take_listener(&mut self) -> Option<Listener> {
        self.listener.take()
    }

    /// The metrics sink: sources with counts of their own report to it too.
    pub fn metrics(&self) -> Arc<dyn MetricsSink> {
        Arc::clone(&self.metrics)
    }

    /// What ends the runs from outside.
    pub fn control(&self) -> RunControl {
        self.control.clone()
    }

    /// Most bytes that the flows of a run may take: as configured, else [`default_max_memory`].
    pub fn max_memory(&self) -> u64 {
        self.max_memory
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The selected columns.
    pub fn plan(&self) -> &RowPlan {
        &self.plan
    }

    /// The configuration in effect.
    pub fn engine_settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// The schema of the rows.
    pub fn schema(&self) -> SchemaRef {
        let schema = self.plan.schema();
        if !self.naming_captures {
            return schema;
        }
        let doc = "Path of the capture, or of the folder of captures, that the flow is from.";
        let said = [("description", doc), ("privacy", "public")].map(|(key, text)| (key.to_owned(), text.to_owned()));
        let named = Field::new(CAPTURE_COLUMN, DataType::Utf8, false).with_metadata(HashMap::from(said));
        let fields: Vec<_> = schema.fields().iter().cloned().chain([Arc::new(named)]).collect();
        Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
    }

    /// What the rows of a run over files depend on, by name, as text: for databases, which compare it when a run is taken up again. None
    /// for streams, whose rows do not come twice.
    pub fn origin(&self, files: &Position) -> Option<Vec<(&'static str, String)>> {
        let bytes = files.total?;
        // Rows are the same for any number of workers.
        let config = Config { num_workers: None, ..self.config.clone() };
        let config = serde_json::to_string(&config).unwrap_or_default();
        Some(vec![("input", format!("{} files of {bytes} bytes", files.files_total)), ("configuration", config)])
    }

    /// Worker threads of a run: as configured, else one for each processor.
    pub fn workers(&self) -> usize {
        match self.config.num_workers {
            Some(n) => n.max(1) as usize,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// Reports a run over a source of this mode that could not begin, as its input or its output could not be opened: a
    /// failed run like any other.
    pub fn not_begun(&self, mode: Mode, error: &Error) {
        let recorder = Recorder::start(Arc::clone(&self.metrics), mode, &self.settings);
        recorder.failed(error);
        recorder.close(RunResult::Failure);
    }

    /// Runs a source to its end, or until the run's [`RunControl`] says otherwise.
    ///
    /// Rows and their order do not depend on the number of workers. A run that fails or is cancelled leaves no output
    /// file. Over a stream, the group `connection` without a window has nulls: see [`Pipeline::turn_to_stream`].
    ///
    /// # Errors
    /// When the source cannot be read or the sink cannot be written.
    pub fn run(mut self, source: Box<dyn PacketSource>, sink: Box<dyn RowSink>) -> Result<Summary, Error> {
        // A slice is one task of many, and ends by what has become of its flows: it is worked on in order, on one thread.
        let workers = if source.slice_part().is_some() { 1 } else { self.workers().min(self.settings.partitions) };
        let metrics = Arc::clone(&self.metrics);
        if source.is_stream() {
            let of_window = self.settings.connections.filter(|connections| !connections.waits());
            self.settings = self.settings.with_connections(of_window);
        }
        let run = Run::start(&self.plan, self.settings, metrics, &self.control, source.mode(), &*sink, workers);
        let reporter = Reporter::new(self.listener.take());
        let is_slice = source.slice_part().is_some();
        let mut drive = Drive::new(source, &run.settings, self.control.clone(), reporter)
            .with_filter(self.frame_filter())
            .saving(self.saving.take());
        if is_slice {
            // Other tasks may have captures that its filter suits; that it suits none of this one is a warning.
            drive = drive.one_of_several();
        }
        let outcome = match run.waiting() {
            Some(waiting) => waiting::run(&run, &mut drive, waiting, sink),
            None => work(&run, &mut drive, sink),
        };
        run.finish(outcome, &mut drive)
    }

    /// Runs several sources of stored frames with their names, each to its end and as if it were alone: as many at a time as there are
    /// workers. See [`Pipeline::turn_to_separate`].
    ///
    /// Rows come out source after source, in the order of each; neither they nor their bytes depend on the number of workers. Each source
    /// has an equal share of [`Pipeline::max_memory`], a sixteenth at least. Frames cannot be saved.
    ///
    /// # Errors
    /// As for [`Pipeline::run`]; a source that cannot be read ends the run.
    pub fn run_separate(
        mut self,
        sources: Vec<(String, Box<dyn PacketSource>)>,
        sink: Box<dyn RowSink>,
    ) -> Result<Summary, Error> {
        let (names, sources): (Vec<_>, Vec<_>) = sources.into_iter().unzip();
        let named = self.naming_captures.then(|| (self.schema(), names));
        let at_a_time = sources.len().clamp(1, separate::MOST_AT_A_TIME);
        let settings = self.settings.with_connections(None).with_max_memory(self.max_memory / at_a_time as u64);
        let workers = self.workers().min(at_a_time);
        let metrics = Arc::clone(&self.metrics);
        let run = Run::start(&self.plan, settings, metrics, &self.control, Mode::Pcap, &*sink, workers);
        let drive = |source, listener| Drive::new(source, &run.settings, self.control.clone(), Reporter::new(listener));
        let (all, sources) = separate::together(sources);
        let mut all = drive(all, self.listener.take());
        let drives =
            sources.into_iter().map(|source| drive(source, None).with_filter(self.frame_filter()).one_of_several());
        let outcome = separate::run(&run, &mut all, drives.collect(), named, sink);
        run.finish(outcome, &mut all)
    }
}

/// Takes the input to its end, with as many threads as the run is to have.
pub(crate) fn work(run: &Run<'_>, drive: &mut Drive, sink: Box<dyn RowSink>) -> Result<Outcome, Error> {
    match run.workers {
        1 => serial::run(run, drive, sink),
        _ => parallel::run(run, drive, sink),
    }
}
