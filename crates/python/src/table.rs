//! Rows as Arrow has them, handed to pandas, polars, pyarrow and numpy without knowing any of these.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, RecordBatch, RecordBatchIterator};
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{DataType, SchemaRef};
use pyo3::exceptions::{PyIndexError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyString};

use crate::{html, reshape, rows};

/// Feature rows in Arrow's memory layout, one for each flow (two with ``bidirectional_split``).
///
/// Any library that speaks the Arrow C stream interface takes it without a copy: ``pyarrow.table(t)``,
/// ``polars.DataFrame(t)``. Iterating gives rows as dicts, which is the slow path.
#[pyclass(frozen, module = "joyfuljay")]
pub struct Table {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Table {
    /// Rows of a schema.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches }
    }

    fn numeric(&self) -> Vec<usize> {
        let fields = self.schema.fields().iter().enumerate();
        let number = |t: &DataType| matches!(t, DataType::Float64 | DataType::Int64 | DataType::Boolean);
        fields.filter(|(_, f)| number(f.data_type())).map(|(i, _)| i).collect()
    }

    fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    fn reshaped(rows: Result<reshape::Rows, arrow_schema::ArrowError>) -> PyResult<Self> {
        let (schema, batches) = rows.map_err(|e| PyRuntimeError::new_err(e.to_string()))?;
        Ok(Self { schema, batches })
    }

    fn index(&self, name: &str) -> PyResult<usize> {
        self.schema.index_of(name).map_err(|_| PyIndexError::new_err(format!("there is no column '{name}'")))
    }
}

#[pymethods]
impl Table {
    /// The Arrow C stream of the rows (Arrow PyCapsule interface). ``requested_schema`` is a wish that is not granted.
    #[pyo3(signature = (requested_schema: "object | None" = None) -> "typing_extensions.CapsuleType")]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let batches = self.batches.clone().into_iter().map(Ok);
        let stream = FFI_ArrowArrayStream::new(Box::new(RecordBatchIterator::new(batches, Arc::clone(&self.schema))));
        // The consumer moves the stream out and leaves an empty one; what nobody takes is released with the capsule.
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }

    /// The Arrow C schema of the rows.
    #[pyo3(signature = () -> "typing_extensions.CapsuleType")]
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema =
            FFI_ArrowSchema::try_from(self.schema.as_ref()).map_err(|e| PyRuntimeError::new_err(e.to_string()))?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    #[getter]
    fn num_rows(&self) -> usize {
        self.rows()
    }
    #[getter]
    fn num_columns(&self) -> usize {
        self.schema.fields().len()
    }
    /// Names of the columns, in their order.
    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.schema.fields().iter().map(|f| f.name().clone()).collect()
    }
    /// Names of the columns of numbers and truth values: those of ``numeric_matrix`` and of ``output_format="numpy"``, in their order.
    #[getter]
    fn numeric_columns(&self) -> Vec<String> {
        self.numeric().into_iter().map(|i| self.schema.field(i).name().clone()).collect()
    }
    /// Names of the columns of text.
    #[getter]
    fn string_columns(&self) -> Vec<String> {
        let fields = self.schema.fields().iter().filter(|f| *f.data_type() == DataType::Utf8);
        fields.map(|f| f.name().clone()).collect()
    }
    /// Names of the columns of times.
    #[getter]
    fn time_columns(&self) -> Vec<String> {
        let fields = self.schema.fields().iter().filter(|f| matches!(f.data_type(), DataType::Timestamp(..)));
        fields.map(|f| f.name().clone()).collect()
    }
    /// Bytes of memory that the rows take.
    #[getter]
    fn nbytes(&self) -> usize {
        self.batches.iter().map(RecordBatch::get_array_memory_size).sum()
    }

    /// Numbers and truth values as one row-major matrix of float64, NaN for what is not known.
    fn numeric_matrix(&self, py: Python<'_>) -> Buffer {
        py.detach(|| {
            let columns = self.numeric();
            let width = columns.len();
            let mut data = vec![f64::NAN; self.rows() * width];
            let mut from = 0;
            for batch in &self.batches {
                for (to, &i) in columns.iter().enumerate() {
                    let rows = data.get_mut(from..).unwrap_or_default().chunks_exact_mut(width.max(1));
                    for (row, x) in rows.zip(numbers(batch.column(i))) {
                        if let (Some(cell), Some(x)) = (row.get_mut(to), x) {
                            *cell = x;
                        }
                    }
                }
                from += batch.num_rows() * width;
            }
            Buffer::new(Data::F64(data), vec![self.rows(), width])
        })
    }

    /// A column as a buffer for numpy where its type allows it (float64 with NaN for what is not known; int64 and bool
    /// where all is known), else as a list.
    #[pyo3(signature = (name) -> "Buffer | list[typing.Any]")]
    fn column<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let at = self.index(name)?;
        let kind = self.schema.field(at).data_type();
        let known = self.batches.iter().all(|b| b.column(at).null_count() == 0);
        let data = match kind {
            DataType::Int64 if known => Data::I64(
                self.batches.iter().flat_map(|b| b.column(at).as_primitive::<Int64Type>().values().to_vec()).collect(),
            ),
            DataType::Boolean if known => Data::Bool(
                self.batches
                    .iter()
                    .flat_map(|b| b.column(at).as_boolean().values().iter().map(u8::from).collect::<Vec<_>>())
                    .collect(),
            ),
            DataType::Float64 | DataType::Int64 => Data::F64(
                self.batches
                    .iter()
                    .flat_map(|b| numbers(b.column(at)).map(|x| x.unwrap_or(f64::NAN)).collect::<Vec<_>>())
                    .collect(),
            ),
            _ => {
                let list = PyList::empty(py);
                for batch in &self.batches {
                    for row in 0..batch.num_rows() {
                        list.append(rows::value(py, batch.column(at), row)?)?;
                    }
                }
                return Ok(list.into_any());
            }
        };
        Ok(Bound::new(py, Buffer::new(data, vec![self.rows()]))?.into_any())
    }

    /// The values of a column of numbers, truth values or times (nanoseconds) as a buffer for numpy, and another that is true where a value is not known.
    fn masked(&self, name: &str) -> PyResult<(Buffer, Buffer)> {
        let at = self.index(name)?;
        let columns = || self.batches.iter().map(move |b| b.column(at));
        let data = match self.schema.field(at).data_type() {
            DataType::Int64 => Data::I64(
                columns().flat_map(|c| c.as_primitive::<Int64Type>().iter().map(Option::unwrap_or_default)).collect(),
            ),
            DataType::Float64 => Data::F64(
                columns().flat_map(|c| c.as_primitive::<Float64Type>().iter().map(Option::unwrap_or_default)).collect(),
            ),
            DataType::Boolean => {
                Data::Bool(columns().flat_map(|c| c.as_boolean().iter().map(|x| u8::from(x == Some(true)))).collect())
            }
            DataType::Timestamp(..) => Data::I64(
                columns()
                    .flat_map(|c| c.as_primitive::<TimestampNanosecondType>().iter().map(Option::unwrap_or_default))
                    .collect(),
            ),
            other => return Err(PyTypeError::new_err(format!("the column '{name}' is of {other}, not of numbers"))),
        };
        let mask = columns().flat_map(|c| (0..c.len()).map(move |i| u8::from(c.is_null(i)))).collect();
        Ok((Buffer::new(data, vec![self.rows()]), Buffer::new(Data::Bool(mask), vec![self.rows()])))
    }

    /// Rows as a list of dicts, None for what is not known.
    #[pyo3(signature = () -> "list[dict[str, typing.Any]]")]
    fn to_dicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let names = rows::names(py, &self.schema);
        let list = PyList::empty(py);
        for batch in &self.batches {
            for at in 0..batch.num_rows() {
                list.append(rows::row(py, batch, &names, at)?)?;
            }
            py.check_signals()?;
        }
        Ok(list)
    }

    /// The rows of this table and of others of the same columns, without a copy.
    fn concat(&self, py: Python<'_>, others: Vec<Py<Table>>) -> PyResult<Self> {
        let mut batches = self.batches.clone();
        for other in &others {
            let other = other.bind(py).get();
            if other.schema != self.schema {
                return Err(PyValueError::new_err("tables of different columns cannot be joined"));
            }
            batches.extend(other.batches.iter().cloned());
        }
        Ok(Self { schema: Arc::clone(&self.schema), batches })
    }

    /// The rows with every sequence as ``length`` columns ``NAME_0``, ``NAME_1``…; beyond its end null, or 0 where ``zero``.
    #[pyo3(signature = (length, zero=false))]
    fn padded(&self, py: Python<'_>, length: usize, zero: bool) -> PyResult<Self> {
        py.detach(|| Self::reshaped(reshape::padded(&self.schema, &self.batches, length, zero)))
    }

    /// The rows with their times exact: as timestamps in UTC, or as whole nanoseconds since the Unix epoch. They are those of the
    /// columns of the group ``timestamps``, of which only the ones to ``keep`` stay.
    fn timed(&self, py: Python<'_>, as_integers: bool, keep: Vec<String>) -> PyResult<Self> {
        py.detach(|| Self::reshaped(reshape::timed(&self.schema, &self.batches, as_integers, &keep)))
    }

    /// The rows with one more column, which has the same text in each.
    fn labelled(&self, name: &str, text: &str) -> PyResult<Self> {
        Self::reshaped(reshape::labelled(&self.schema, &self.batches, name, text))
    }

    fn __len__(&self) -> usize {
        self.rows()
    }

    fn __iter__(slf: &Bound<'_, Self>) -> RowIterator {
        let py = slf.py();
        let names = rows::names(py, &slf.get().schema);
        RowIterator { table: slf.clone().unbind(), names, batch: 0, at: 0 }
    }

    fn __repr__(&self) -> String {
        format!("<joyfuljay.Table of {} rows and {} columns>", self.rows(), self.num_columns())
    }

    /// What notebooks show: the first rows and columns.
    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        /// More of a table is not looked at in a notebook, but makes it large.
        const MOST: (usize, usize) = (10, 20);

        let fields = self.schema.fields();
        let cut = fields.len() > MOST.1;
        let dots = || cut.then(|| "…".to_owned());
        let heads: Vec<String> = fields.iter().take(MOST.1).map(|f| f.name().clone()).chain(dots()).collect();
        let places = self.batches.iter().flat_map(|b| (0..b.num_rows()).map(move |at| (b, at)));
        let mut shown = Vec::new();
        for (batch, at) in places.take(MOST.0) {
            let mut cells = Vec::with_capacity(heads.len());
            for column in batch.columns().iter().take(MOST.1) {
                let value = rows::value(py, column, at)?;
                cells.push(if value.is_none() { String::new() } else { value.str()?.to_string() });
            }
            cells.extend(dots());
            shown.push(cells);
        }
        let caption = format!("joyfuljay.Table of {} rows and {} columns", self.rows(), fields.len());
        Ok(html::table(&caption, &heads, &shown))
    }
}

/// Rows of a table as dicts, one at a time.
#[pyclass(module = "joyfuljay")]
pub struct RowIterator {
    table: Py<Table>,
    names: Vec<Py<PyString>>,
    batch: usize,
    at: usize,
}

#[pymethods]
impl RowIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        loop {
            let Some(batch) = self.table.get().batches.get(self.batch) else { return Ok(None) };
            if self.at < batch.num_rows() {
                self.at += 1;
                return rows::row(py, batch, &self.names, self.at - 1).map(Some);
            }
            self.batch += 1;
            self.at = 0;
        }
    }
}

/// Memory that ``numpy.asarray`` takes without a copy.
#[pyclass(frozen, module = "joyfuljay")]
pub struct Buffer {
    /// Where the numbers lie. Not looked at again by us: numpy may write to them.
    at: usize,
    typestr: &'static str,
    shape: Vec<usize>,
    _data: Data,
}

enum Data {
    F64(Vec<f64>),
    I64(Vec<i64>),
    Bool(Vec<u8>),
}

impl Buffer {
    fn new(mut data: Data, shape: Vec<usize>) -> Self {
        let (at, typestr) = match &mut data {
            Data::F64(v) => (v.as_mut_ptr().expose_provenance(), "=f8"),
            Data::I64(v) => (v.as_mut_ptr().expose_provenance(), "=i8"),
            Data::Bool(v) => (v.as_mut_ptr().expose_provenance(), "|b1"),
        };
        Self { at, typestr, shape, _data: data }
    }
}

#[pymethods]
impl Buffer {
    /// See numpy's array interface protocol, version 3.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        let typestr = self.typestr.replace('=', if cfg!(target_endian = "big") { ">" } else { "<" });
        dict.set_item("version", 3)?;
        dict.set_item("typestr", typestr)?;
        dict.set_item("shape", pyo3::types::PyTuple::new(py, &self.shape)?)?;
        dict.set_item("data", (self.at, false))?;
        Ok(dict)
    }
}

fn numbers(column: &dyn Array) -> Box<dyn Iterator<Item = Option<f64>> + '_> {
    match column.data_type() {
        DataType::Float64 => Box::new(column.as_primitive::<Float64Type>().iter()),
        DataType::Int64 => Box::new(column.as_primitive::<Int64Type>().iter().map(|x| x.map(|x| x as f64))),
        DataType::Boolean => Box::new(column.as_boolean().iter().map(|x| x.map(|x| f64::from(u8::from(x))))),
        _ => Box::new(std::iter::repeat_n(None, column.len())),
    }
}
