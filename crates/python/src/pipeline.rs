//! The engine behind `joyfuljay.Pipeline`: a validated configuration, ready to run over captures.

use std::path::PathBuf;
use std::sync::Arc;

use joyfuljay::{Config, Pipeline, RunControl};
use joyfuljay_core::metrics::{MetricsSink, Mode};
use joyfuljay_core::privacy::Privacy;
use joyfuljay_core::rows::RowPlan;
use joyfuljay_io::database::{self, DatabaseOptions, DatabasePlace};
use joyfuljay_io::sink::{self, ChannelSink, Format, MemorySink, RowSink, SinkOptions, Target};
use joyfuljay_io::source::PacketSource;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::{config_error, run_error};
use crate::flow::{Flow, Tracked};
use crate::flows::FlowIterator;
use crate::input::{Input, Opened};
use crate::metrics::PrometheusMetrics;
use crate::packet::Packet;
use crate::rows;
use crate::run::{self, Callbacks, Summary};
use crate::scans::Scans;
use crate::sink::UserSink;
use crate::stream::{AHEAD, TableIterator};
use crate::table::Table;

/// A validated configuration, ready to run over captures.
#[pyclass(frozen, module = "joyfuljay")]
pub struct Engine {
    config: Config,
    plan: RowPlan,
    /// For the features of one flow: never split by direction.
    tracked: Arc<Tracked>,
    metrics: Metrics,
}

#[derive(Clone)]
enum Metrics {
    None,
    Native(Arc<dyn MetricsSink>),
    User(Arc<UserSink>),
}

impl Engine {
    fn pipeline(&self) -> PyResult<Pipeline> {
        let pipeline = Pipeline::new(self.config.clone()).map_err(run_error)?.with_control(RunControl::new());
        Ok(match &self.metrics {
            Metrics::None => pipeline,
            Metrics::Native(sink) => pipeline.with_metrics(Arc::clone(sink)),
            Metrics::User(sink) => pipeline.with_metrics(Arc::clone(sink) as Arc<dyn MetricsSink>),
        })
    }

    fn user_sink(&self) -> Option<Arc<UserSink>> {
        match &self.metrics {
            Metrics::User(sink) => Some(Arc::clone(sink)),
            Metrics::None | Metrics::Native(_) => None,
        }
    }

    /// The pipeline of a run over this source.
    fn pipeline_for(&self, py: Python<'_>, source: &mut Opened) -> PyResult<Pipeline> {
        let mut pipeline = self.pipeline()?;
        if source.is_stream() {
            let mode = if source.is_live() { Mode::Live } else { Mode::Pcap };
            pipeline.turn_to_stream().map_err(|e| self.not_begun(py, mode, e))?;
        }
        if let Opened::Slice(slice) = source {
            pipeline.turn_to_slice().map_err(|e| self.not_begun(py, Mode::Pcap, e))?;
            pipeline.share(slice.get().task.share());
        }
        Ok(match source.take_saving() {
            Some(writer) => pipeline.saving(writer, false),
            None => pipeline,
        })
    }

    /// What is to be known of a run because of its source.
    fn more_notes(&self, pipeline: &Pipeline) -> Vec<String> {
        let known = self.plan.notes();
        pipeline.plan().notes().iter().filter(|note| !known.contains(note)).cloned().collect()
    }

    fn open(&self, py: Python<'_>, input: Input) -> PyResult<Opened> {
        let mode = input.mode();
        let filter = match input {
            Input::Live(_) => self.pipeline()?.filter().cloned(),
            Input::Slice(_) | Input::Paths(_) | Input::Open(_) => None,
        };
        py.detach(|| input.open(filter.as_ref())).map_err(|e| self.not_begun(py, mode, e))
    }

    /// What a run of this pipeline reads.
    fn opened(
        &self,
        py: Python<'_>,
        pipeline: Pipeline,
        source: Opened,
    ) -> PyResult<(Pipeline, Box<dyn PacketSource>)> {
        let (pipeline, source) = py.detach(move || {
            let source = source.source(&pipeline);
            (pipeline, source)
        });
        let source = source.map_err(|e| self.not_begun(py, Mode::Pcap, e))?;
        Ok((pipeline, source))
    }

    /// Reports a run that could not begin to the metrics.
    fn not_begun(&self, py: Python<'_>, mode: Mode, error: joyfuljay::Error) -> PyErr {
        let reported = self.pipeline().map(|pipeline| pipeline.not_begun(mode, &error));
        let reported = reported.and_then(|()| self.user_sink().map_or(Ok(()), |sink| sink.deliver(py)));
        reported.err().unwrap_or_else(|| run_error(error))
    }

    fn run(
        &self,
        py: Python<'_>,
        pipeline: Pipeline,
        source: Opened,
        sink: Box<dyn RowSink>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Summary> {
        let callbacks = Callbacks { progress, sink: self.user_sink() };
        let notes = self.more_notes(&pipeline);
        let stops = source.is_live();
        let (pipeline, source) = self.opened(py, pipeline, source)?;
        Ok(run::run(py, pipeline, source, sink, &callbacks, stops)?.with_notes(notes))
    }
}

#[pymethods]
impl Engine {
    /// A pipeline for a configuration (JSON). ``metrics`` is called for every run: a native ``PrometheusMetrics``, or any
    /// object with the methods of ``MetricsSink`` when ``native`` is false.
    #[new]
    #[pyo3(signature = (config, metrics: "object | None" = None, native=true))]
    fn new(config: &str, metrics: Option<Bound<'_, PyAny>>, native: bool) -> PyResult<Self> {
        let config = crate::config::read(config)?;
        let one_row = Config { bidirectional_split: false, ..config.clone() };
        let labels = joyfuljay::labels(&config).map_err(|e| run_error(e.into()))?;
        let plan = RowPlan::new(&config).map_err(|e| config_error(&e))?.with_labels(labels.clone());
        let single = RowPlan::new(&one_row).map_err(|e| config_error(&e))?.with_labels(labels);
        let (trackers, settings) = (single.trackers(), single.tracker_settings());
        let metrics = match metrics {
            None => Metrics::None,
            Some(m) => match m.cast::<PrometheusMetrics>() {
                Ok(own) if native => Metrics::Native(Arc::new(own.get().inner.clone())),
                _ => Metrics::User(Arc::new(UserSink::new(m.unbind()))),
            },
        };
        Ok(Self { config, plan, tracked: Arc::new(Tracked { plan: single, trackers, settings }), metrics })
    }

    /// Rows of captures, and what the run did.
    #[pyo3(signature = (inputs, progress: "collections.abc.Callable[[Progress], object] | None" = None))]
    fn table(&self, py: Python<'_>, inputs: Input, progress: Option<Py<PyAny>>) -> PyResult<(Table, Summary)> {
        let mut source = self.open(py, inputs)?;
        let pipeline = self.pipeline_for(py, &mut source)?;
        let schema = pipeline.schema();
        let sink = MemorySink::new();
        let rows = sink.rows();
        let summary = self.run(py, pipeline, source, Box::new(sink), progress)?;
        Ok((Table::new(schema, rows.take()), summary))
    }

    /// Writes the rows of captures to a file, whole or not at all; ``format`` is csv, json, parquet or arrow, by default what the
    /// file's extension says.
    #[pyo3(signature = (
        inputs, output, format=None, progress: "collections.abc.Callable[[Progress], object] | None" = None
    ))]
    fn write(
        &self,
        py: Python<'_>,
        inputs: Input,
        output: PathBuf,
        format: Option<&str>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Summary> {
        let format = format.map_or_else(|| Format::from_path(&output), str::parse);
        let format = format.map_err(|e: sink::SinkError| PyValueError::new_err(e.to_string()))?;
        let mode = inputs.mode();
        let mut source = self.open(py, inputs)?;
        source.exclude_output(&output).map_err(|e| self.not_begun(py, mode, e.into()))?;
        let pipeline = self.pipeline_for(py, &mut source)?;
        let options = SinkOptions::default();
        let sink = sink::open_sink(format, Target::File(output), pipeline.schema(), &options)
            .map_err(|e| self.not_begun(py, mode, e.into()))?;
        self.run(py, pipeline, source, sink, progress)
    }

    /// Writes the rows of captures into a table of a database, as ``jj extract -f sqlite`` and ``-f postgres`` do. What the run did, and
    /// its number in the database.
    #[pyo3(signature = (
        inputs, place, table=DatabaseOptions::TABLE, if_exists="append", batch_size=DatabaseOptions::BATCH_ROWS, alter=true, resume=None,
        progress: "collections.abc.Callable[[Progress], object] | None" = None
    ))]
    #[allow(clippy::too_many_arguments, reason = "keywords in Python")]
    fn write_database(
        &self,
        py: Python<'_>,
        inputs: Input,
        place: &str,
        table: &str,
        if_exists: &str,
        batch_size: usize,
        alter: bool,
        resume: Option<i64>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(Summary, i64)> {
        let mode = inputs.mode();
        let place = DatabasePlace::from_dsn(place).map_err(|e| run_error(e.into()))?;
        let mut source = self.open(py, inputs)?;
        let pipeline = self.pipeline_for(py, &mut source)?;
        let mut options = DatabaseOptions::default();
        options.table = table.to_owned();
        options.if_exists = if_exists.parse().map_err(|e: String| PyValueError::new_err(format!("if_exists: {e}")))?;
        options.batch_rows = batch_size;
        options.alter = alter;
        options.resume = resume;
        options.addresses = !Privacy::Address.is_replaced(pipeline.config());
        options.origin = source.files().and_then(|files| pipeline.origin(&files.position()));
        let schema = pipeline.schema();
        let opened = py.detach(|| database::open(&place, schema, &options));
        let (sink, run) = opened.map_err(|e| self.not_begun(py, mode, e.into()))?;
        let notes = run.notes();
        let summary = self.run(py, pipeline, source, sink, progress)?;
        Ok((summary.with_notes(notes.into_iter().chain(run.remarks()).collect()), run.id()))
    }

    /// Rows of captures for readers of Arrow streams: a run of its own for each of them.
    fn scans(&self, py: Python<'_>, inputs: Input) -> PyResult<Scans> {
        let Input::Paths(paths) = inputs else {
            return Err(PyValueError::new_err(
                "a query may read its source several times: name captures by their paths",
            ));
        };
        // Found out at once, and not in the middle of a query.
        let source = self.open(py, Input::Paths(paths.clone()))?;
        if source.is_stream() {
            return Err(PyValueError::new_err("a query may read its source several times: a pipe cannot be"));
        }
        Ok(Scans::new(self.config.clone(), self.plan.schema(), paths))
    }

    /// Rows of captures while the run goes on, a table at a time.
    fn stream(&self, py: Python<'_>, inputs: Input) -> PyResult<TableIterator> {
        let mut source = self.open(py, inputs)?;
        let pipeline = self.pipeline_for(py, &mut source)?;
        let (control, schema, notes) = (pipeline.control(), pipeline.schema(), self.more_notes(&pipeline));
        let (sink, rows) = ChannelSink::new("python", AHEAD);
        let done = run::spawn(move || {
            let source = source.source(&pipeline)?;
            pipeline.run(source, Box::new(sink))
        })?;
        Ok(TableIterator::new(schema, rows, done, control, self.user_sink(), notes))
    }

    /// Flows of captures as they end; with their packets, ``most`` of each at most, when ``most`` is given.
    #[pyo3(signature = (inputs, most=None))]
    fn flows(&self, py: Python<'_>, inputs: Input, most: Option<usize>) -> PyResult<FlowIterator> {
        let mut source = self.open(py, inputs)?;
        if let Some(writer) = source.take_saving() {
            writer.discard();
            return Err(PyValueError::new_err(
                "save_pcap: not with extractors of your own, which are given flows one by one",
            ));
        }
        let mut pipeline = self.pipeline_for(py, &mut source)?;
        if let Some(most) = most {
            pipeline = pipeline.keeping_packets(most);
        }
        let (pipeline, source) = self.opened(py, pipeline, source)?;
        let flows = pipeline.flows(source);
        Ok(FlowIterator::new(flows, Arc::clone(&self.tracked), self.user_sink()))
    }

    /// The features of one flow, None for what is not known.
    #[pyo3(signature = (flow) -> "dict[str, typing.Any]")]
    fn extract<'py>(&self, py: Python<'py>, flow: &Flow) -> PyResult<Bound<'py, PyDict>> {
        let (batch, at) = flow.row(py, &self.tracked)?;
        rows::row(py, &batch, &rows::names(py, &batch.schema()), at)
    }

    /// Names of the columns, in their order.
    fn feature_names(&self) -> Vec<String> {
        self.plan.schema().fields().iter().map(|f| f.name().clone()).collect()
    }

    /// Names of the columns of numbers and truth values that never have a null.
    fn never_null(&self) -> Vec<&'static str> {
        self.plan.never_null().collect()
    }

    /// What the user should know before a run: options without effect, and what stays in clear although addresses do not.
    fn notes(&self) -> Vec<String> {
        self.plan.notes().to_vec()
    }

    /// A table without rows.
    fn empty(&self) -> Table {
        Table::new(self.plan.schema(), Vec::new())
    }

    /// A table without rows, as slices have them: the group `connection` needs all flows.
    fn empty_slice(&self) -> PyResult<Table> {
        let plan = RowPlan::for_slice(&self.config).map_err(|e| config_error(&e))?;
        Ok(Table::new(plan.schema(), Vec::new()))
    }

    /// How often the user's metrics sink raised.
    fn sink_errors(&self) -> u64 {
        self.user_sink().map_or(0, |s| s.failures())
    }

    /// Reports to the metrics how long an extractor of the user's own took over one flow.
    fn observe_extractor(&self, name: &str, seconds: f64) {
        if let Metrics::Native(sink) = &self.metrics {
            sink.extractor(name, 1, seconds);
        }
    }

    /// Reports an error at a stage to the metrics.
    fn observe_error(&self, py: Python<'_>, stage: &str) -> PyResult<()> {
        match &self.metrics {
            Metrics::None => Ok(()),
            Metrics::Native(sink) => {
                sink.error(stage);
                Ok(())
            }
            Metrics::User(sink) => {
                sink.error(stage);
                sink.deliver(py)
            }
        }
    }
}

/// Bytes of a packet in all: our own packets are looked at directly, others by their attribute.
pub fn total_len(packet: &Bound<'_, PyAny>) -> PyResult<u64> {
    if let Ok(own) = packet.cast_exact::<Packet>() {
        return Ok(u64::from(own.get().kept.ip_len));
    }
    let value = packet.getattr(pyo3::intern!(packet.py(), "total_len"))?;
    crate::metrics::count(&value, "total_len")
}
