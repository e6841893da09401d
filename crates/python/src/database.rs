//! Rows that Python has, into a table: what is behind `joyfuljay.output.DatabaseWriter`. Types were decided in Python.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, StringBuilder, TimestampNanosecondBuilder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use joyfuljay_io::database::{self, DatabaseOptions, DatabasePlace, DatabaseRun};
use joyfuljay_io::sink::RowSink;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors::run_error;

/// A table that is being written.
#[pyclass(frozen, module = "joyfuljay")]
pub struct TableWriter {
    schema: SchemaRef,
    /// None after the end.
    sink: Mutex<Option<Box<dyn RowSink>>>,
    run: DatabaseRun,
}

impl TableWriter {
    fn sink(&self) -> MutexGuard<'_, Option<Box<dyn RowSink>>> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl TableWriter {
    /// Opens a table with these columns, each a name and a type: bool, int64, uint64, float64, str, address, timestamp
    /// (nanoseconds since 1970), list_int64, list_float64, list_str.
    #[new]
    #[pyo3(signature = (place, columns, table, if_exists="append", batch_size=DatabaseOptions::BATCH_ROWS, alter=true, patience=30.0))]
    #[allow(clippy::too_many_arguments, reason = "keywords in Python")]
    fn new(
        py: Python<'_>,
        place: &str,
        columns: Vec<(String, String)>,
        table: &str,
        if_exists: &str,
        batch_size: usize,
        alter: bool,
        patience: f64,
    ) -> PyResult<Self> {
        let fields = columns.iter().map(|(name, of)| field(name, of)).collect::<PyResult<Vec<_>>>()?;
        let schema = Arc::new(Schema::new(fields));
        let place = DatabasePlace::from_dsn(place).map_err(|e| run_error(e.into()))?;
        let mut options = DatabaseOptions::default();
        options.table = table.to_owned();
        options.if_exists = if_exists.parse().map_err(|e: String| PyValueError::new_err(format!("if_exists: {e}")))?;
        options.batch_rows = batch_size;
        options.alter = alter;
        options.patience = Duration::try_from_secs_f64(patience)
            .map_err(|_| PyValueError::new_err("patience takes seconds, 0 or more"))?;
        let opened = py.detach(|| database::open(&place, Arc::clone(&schema), &options));
        let (sink, run) = opened.map_err(|e| run_error(e.into()))?;
        Ok(Self { schema, sink: Mutex::new(Some(sink)), run })
    }

    /// Writes rows, in one transaction.
    #[pyo3(signature = (rows: "list[dict[str, typing.Any]]"))]
    fn write(&self, py: Python<'_>, rows: &Bound<'_, PyList>) -> PyResult<()> {
        let arrays = self.schema.fields().iter().map(|field| column(rows, field)).collect::<PyResult<Vec<_>>>()?;
        let batch =
            RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|e| PyValueError::new_err(e.to_string()))?;
        let written = py.detach(|| {
            let mut sink = self.sink();
            let Some(open) = sink.as_mut() else { return Ok(false) };
            let chunk = open.encoder().encode(batch)?;
            open.write(chunk).map(|()| true)
        });
        match written.map_err(|e: joyfuljay_io::sink::SinkError| run_error(e.into()))? {
            true => Ok(()),
            false => Err(PyValueError::new_err("the table is closed")),
        }
    }

    /// Ends the run.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        let finished = py.detach(|| self.sink().take().map(RowSink::finish).transpose());
        finished.map(drop).map_err(|e| run_error(e.into()))
    }

    /// Leaves the run without an end: its batches stay, and can be told.
    fn abandon(&self, py: Python<'_>) {
        py.detach(|| drop(self.sink().take()));
    }

    /// The number of the run.
    #[getter]
    fn run_id(&self) -> i64 {
        self.run.id()
    }

    /// Rows that are in the table.
    #[getter]
    fn rows_written(&self) -> u64 {
        self.run.rows()
    }

    /// What is to be known before the first row.
    fn notes(&self) -> Vec<String> {
        self.run.notes()
    }

    /// What is to be known afterwards.
    fn remarks(&self) -> Vec<String> {
        self.run.remarks()
    }
}

fn field(name: &str, of: &str) -> PyResult<Field> {
    let list = |of| DataType::List(Arc::new(Field::new_list_field(of, true)));
    let data_type = match of {
        "bool" => DataType::Boolean,
        "int64" => DataType::Int64,
        "uint64" => DataType::UInt64,
        "float64" => DataType::Float64,
        "str" | "address" => DataType::Utf8,
        "timestamp" => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        "list_int64" => list(DataType::Int64),
        "list_float64" => list(DataType::Float64),
        "list_str" => list(DataType::Utf8),
        other => return Err(PyValueError::new_err(format!("column '{name}': there is no type {other}"))),
    };
    let metadata = match of {
        "address" => std::collections::HashMap::from([("privacy".to_owned(), "address".to_owned())]),
        _ => std::collections::HashMap::new(),
    };
    Ok(Field::new(name, data_type, true).with_metadata(metadata))
}

/// The values of a column; what a row does not have is missing.
fn column(rows: &Bound<'_, PyList>, field: &Field) -> PyResult<ArrayRef> {
    let name = field.name();
    let values = || {
        rows.iter().map(|row| -> PyResult<Option<Bound<'_, PyAny>>> {
            let row =
                row.cast_into::<PyDict>().map_err(|_| PyTypeError::new_err("rows are dicts of values by name"))?;
            Ok(row.get_item(name)?.filter(|value| !value.is_none()))
        })
    };
    let wrong = |value: &Bound<'_, PyAny>| {
        let of = value.get_type().name().map_or_else(|_| "?".to_owned(), |n| n.to_string());
        PyTypeError::new_err(format!("column '{name}' is {}, and a row has a value of type {of}", field.data_type()))
    };
    macro_rules! plain {
        ($builder:expr, $native:ty) => {{
            let mut builder = $builder;
            for value in values() {
                let value = value?;
                builder.append_option(value.map(|v| v.extract::<$native>().map_err(|_| wrong(&v))).transpose()?);
            }
            Arc::new(builder.finish())
        }};
    }
    macro_rules! lists {
        ($builder:expr, $native:ty) => {{
            let mut builder = ListBuilder::new($builder);
            for value in values() {
                let value = value?;
                let items = value.map(|v| v.extract::<Vec<Option<$native>>>().map_err(|_| wrong(&v))).transpose()?;
                builder.append_option(items);
            }
            Arc::new(builder.finish())
        }};
    }
    Ok(match field.data_type() {
        DataType::Boolean => plain!(BooleanBuilder::new(), bool),
        DataType::Int64 => plain!(Int64Builder::new(), i64),
        DataType::UInt64 => plain!(UInt64Builder::new(), u64),
        DataType::Float64 => plain!(Float64Builder::new(), f64),
        DataType::Timestamp(..) => plain!(TimestampNanosecondBuilder::new().with_timezone("UTC"), i64),
        DataType::Utf8 => plain!(StringBuilder::new(), String),
        DataType::List(of) => match of.data_type() {
            DataType::Int64 => lists!(Int64Builder::new(), i64),
            DataType::Float64 => lists!(Float64Builder::new(), f64),
            _ => lists!(StringBuilder::new(), String),
        },
        other => return Err(PyTypeError::new_err(format!("column '{name}': {other} is not written"))),
    })
}
