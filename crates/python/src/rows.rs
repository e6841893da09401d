//! Rows as dicts: the slow path, for people and for code that takes one flow at a time.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

/// Names of columns as Python strings, made once.
pub fn names(py: Python<'_>, schema: &Schema) -> Vec<Py<PyString>> {
    schema.fields().iter().map(|f| PyString::intern(py, f.name()).unbind()).collect()
}

/// One row of a batch.
pub fn row<'py>(
    py: Python<'py>,
    batch: &RecordBatch,
    names: &[Py<PyString>],
    at: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, column) in names.iter().zip(batch.columns()) {
        dict.set_item(name.bind(py), value(py, column, at)?)?;
    }
    Ok(dict)
}

/// One value: None for what is not known.
pub fn value<'py>(py: Python<'py>, column: &dyn Array, at: usize) -> PyResult<Bound<'py, PyAny>> {
    if column.is_null(at) {
        return Ok(py.None().into_bound(py));
    }
    Ok(match column.data_type() {
        DataType::Float64 => column.as_primitive::<Float64Type>().value(at).into_pyobject(py)?.into_any(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(at).into_pyobject(py)?.into_any(),
        DataType::Boolean => column.as_boolean().value(at).into_pyobject(py)?.to_owned().into_any(),
        DataType::Utf8 => PyString::new(py, column.as_string::<i32>().value(at)).into_any(),
        DataType::Timestamp(..) => time(py, column.as_primitive::<TimestampNanosecondType>().value(at))?,
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(at);
            let list = PyList::empty(py);
            for i in 0..items.len() {
                list.append(value(py, &items, i)?)?;
            }
            list.into_any()
        }
        // The schema of rows has no other types.
        _ => py.None().into_bound(py),
    })
}

/// Nanoseconds since the Unix epoch as a `datetime` in UTC, which has microseconds: what is below is cut off.
fn time(py: Python<'_>, ns: i64) -> PyResult<Bound<'_, PyAny>> {
    let datetime = py.import("datetime")?;
    let utc = datetime.getattr("timezone")?.getattr("utc")?;
    let epoch = datetime.getattr("datetime")?.call1((1970, 1, 1, 0, 0, 0, 0, utc))?;
    epoch.add(datetime.getattr("timedelta")?.call1((0, 0, ns.div_euclid(1_000)))?)
}
